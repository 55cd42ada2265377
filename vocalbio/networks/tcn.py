"""A temporal convolutional network: a sequence of segments or frames in, class probabilities or a severity out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vocalbio.errors import required_for
from vocalbio.networks.head import attach_output, check_network, seeds, sequence_inputs
from vocalbio.networks.pooling import check_pooling, pool

if TYPE_CHECKING:
    import keras

__all__ = ["build_tcn"]


def build_tcn(
    n_features: int,
    n_outputs: int = 1,
    *,
    preset: str = "published",
    pooling: str | None = None,
    loss: str = "cross_entropy",
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a temporal convolutional network [1]_ for sequences of standardised features.

    Residual blocks of two causal convolutions with ReLU and dropout; from block to block they are twice as far
    spread (dilated), so that a few blocks see hundreds of steps back.

    Parameters
    ----------
    n_features : int
        Features of each step.
    n_outputs : int, default 1
        1: one sigmoid, output shape (batch, 1). More: a softmax, output shape (batch, n_outputs), for one-hot
        targets.
    preset : {"published", "small"}
        ``"published"``: the authors' network for one label a sequence [2]_: 8 blocks of 25 channels, 7 steps
        wide, dropout 0.05, last step to the output; Adam with learning rate 2e-3. It sees 3,061 steps. The
        weight normalisation of theirs is left out.
        ``"small"``: 3 blocks of 16 channels, 3 steps wide (it sees 29 steps), dropout 0.3, averaged over the
        steps; Adam with learning rate 1e-3. For tens to hundreds of recordings.
    pooling : {None, "average", "attention", "max", "last"}
        None: that of the preset; ``"attention"``: `vocalbio.networks.layers.AttentivePooling`.
    loss : {"cross_entropy", "mse", "ccc"}
        As in `build_dense`.
    seed : int, optional
        Fixes the weights and the dropout. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled as in `build_dense`. Two inputs, ``[values, mask]``, as in `build_bilstm`; padding, whatever it
        holds, does not change a score.

    Raises
    ------
    ParameterError
        If a size, the preset, the pooling or the seed is wrong.
    MissingPackageError
        If Keras is not installed.

    References
    ----------
    .. [1] Bai S, Kolter JZ, Koltun V. An empirical evaluation of generic convolutional and recurrent networks for
       sequence modeling. 2018. arXiv:1803.01271
    .. [2] Sizes as in the authors' mnist_pixel/pmnist_test.py, https://github.com/locuslab/TCN

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.networks import build_tcn
    >>> network = build_tcn(4, preset="small", seed=0)
    >>> network([np.zeros((2, 5, 4)), np.ones((2, 5), bool)]).shape
    TensorShape([2, 1])
    """
    check_network(n_outputs, preset, loss, n_features=n_features)
    check_pooling(pooling)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras

        from vocalbio.networks.layers import MaskedConv1D

    n_blocks, channels, width, dropout, rate = (
        (8, 25, 7, 0.05, 2e-3) if preset == "published" else (3, 16, 3, 0.3, 1e-3)
    )

    def convolve(hidden: Any, width: int, spread: int) -> Any:
        start = keras.initializers.HeNormal(next(seed_of))
        return MaskedConv1D(channels, width, padding="causal", dilation_rate=spread, kernel_initializer=start)(
            hidden, mask=mask
        )

    values, mask = sequence_inputs(n_features)
    hidden = values
    for number in range(n_blocks):
        found = hidden
        for _ in range(2):
            found = keras.layers.ReLU()(convolve(found, width, 2**number))
            found = keras.layers.Dropout(dropout, seed=next(seed_of))(found)
        kept = hidden if hidden.shape[-1] == channels and number else convolve(hidden, 1, 1)
        hidden = keras.layers.ReLU()(keras.layers.Add()([found, kept]))
    pooled = pool(hidden, mask, pooling or ("last" if preset == "published" else "average"), seed_of)
    return attach_output([values, mask], pooled, n_outputs, rate, next(seed_of), loss)
