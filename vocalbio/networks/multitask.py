"""More to learn from the same recordings: a severity, and what the network should not be able to tell."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

from vocalbio.errors import ParameterError, required_for
from vocalbio.networks.head import seeds

if TYPE_CHECKING:
    import keras

__all__ = ["build_multitask"]

ADVERSARY_UNITS = 32


def build_multitask(
    network: keras.Model,
    *,
    severity: bool = False,
    adversary: int | None = None,
    reversal: float = 1.0,
    seed: int | None = None,
) -> keras.Model:
    """
    Give a network further heads to learn with, and compile it.

    The heads share all layers but the output of `network`, which is trained along: once fitted, ask `network` itself,
    or save it; the other heads have done their work. Take one that was just built.

    Parameters
    ----------
    network : keras.Model
        From one of the builders, such as `build_dense`.
    severity : bool
        Learn a severity as well [1]_: one linear output, squared error. Standardise the targets.
    adversary : int, optional
        Number of classes, such as 2 sexes or 24 speakers, that the shared layers are to make untellable [2]_: a head of
        32 units learns to tell them, and its gradients are turned around on their way back.
    reversal : float
        Factor of the turned gradients; 0 trains an onlooker, which tells how much of it is to be had.
    seed : int, optional
        Fixes the heads' weights.

    Returns
    -------
    keras.Model
        Inputs of `network`; outputs in a dict: ``"condition"``, and ``"severity"`` of shape (batch, 1) and
        ``"adversary"`` of shape (batch, n) as asked for. Targets likewise: those of `network`, severities (n, 1),
        classes as whole numbers (n,). Losses add up; optimiser and learning rate are those of `network`.

    Raises
    ------
    ParameterError
        If there is nothing to add, a number is out of range, or the network is not from a builder.

    Notes
    -----
    That the head loses does not mean that nothing is left to be found: a classifier trained afterwards on the shared
    layers often tells the classes as well as before [3]_, and so it was in our own trials. Measure it, before you call
    a model blind to sex or speaker. And where every speaker has one label, an adversary that learns all about speakers
    takes along what the condition is told by: compare with and without on speakers that it never heard.

    References
    ----------
    .. [1] Caruana R. Multitask learning. Mach Learn 1997;28:41-75. doi:10.1023/A:1007379606734
    .. [2] Ganin Y et al. Domain-adversarial training of neural networks. J Mach Learn Res 2016;17(59):1-35.
       arXiv:1505.07818
    .. [3] Elazar Y, Goldberg Y. Adversarial removal of demographic attributes from text data. EMNLP 2018:11-21.
       arXiv:1808.06640

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.networks import build_dense, build_multitask
    >>> network = build_dense(4, preset="small", seed=0)
    >>> learner = build_multitask(network, severity=True, adversary=2, seed=0)
    >>> X, y, sex = np.zeros((8, 4)), np.zeros((8, 1)), np.zeros(8, int)
    >>> targets = {"condition": y, "severity": y, "adversary": sex}
    >>> sorted(learner.train_on_batch(X, targets, return_dict=True))[:1]
    ['adversary_accuracy']
    """
    with required_for("building a network", "tensorflow"):
        import keras
        from keras import layers

        from vocalbio.networks.layers import GradientReversal

    if not isinstance(network, keras.Model) or network.layers[-1].name not in ("probability", "value"):
        raise ParameterError("network is not from a builder of vocalbio.networks; expected such as build_dense(88)")
    if not severity and adversary is None:
        raise ParameterError("neither severity nor adversary is asked for; expected one of them, or both")
    if adversary is not None and (not isinstance(adversary, Integral) or isinstance(adversary, bool) or adversary < 2):
        raise ParameterError(f"adversary is {adversary!r}; expected None or a number of classes, at least 2")
    if not isinstance(reversal, Real) or isinstance(reversal, bool) or not 0 <= reversal < float("inf"):
        raise ParameterError(f"reversal is {reversal!r}; expected a number of at least 0")
    seed_of = seeds(seed)

    def dense(units: int, activation: str | None, name: str) -> keras.Layer:
        start = keras.initializers.GlorotUniform(next(seed_of))
        return layers.Dense(units, activation, kernel_initializer=start, name=name)

    shared = network.layers[-1].input
    outputs, losses = {"condition": network.outputs[0]}, {"condition": network.loss}
    metrics: dict[str, list[str]] = {}
    if severity:
        outputs["severity"], losses["severity"] = dense(1, None, "severity")(shared), "mean_squared_error"
    if adversary is not None:
        hidden = dense(ADVERSARY_UNITS, "relu", "adversary_hidden")(GradientReversal(float(reversal))(shared))
        outputs["adversary"] = dense(int(adversary), "softmax", "adversary")(hidden)
        losses["adversary"], metrics["adversary"] = "sparse_categorical_crossentropy", ["accuracy"]
    model = keras.Model(network.inputs if len(network.inputs) > 1 else network.inputs[0], outputs)
    rate = float(network.optimizer.learning_rate)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=losses, metrics=metrics)
    return model
