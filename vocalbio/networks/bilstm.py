"""A bidirectional LSTM: a sequence of segments in, class probabilities or a severity out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocalbio.errors import required_for
from vocalbio.networks.head import attach_output, check_network, seeds, sequence_inputs
from vocalbio.networks.pooling import check_pooling, pool

if TYPE_CHECKING:
    import keras

__all__ = ["build_bilstm"]

PRESETS = ("published", "small", "night")


def build_bilstm(
    n_features: int,
    n_outputs: int = 1,
    *,
    preset: str = "published",
    pooling: str | None = None,
    loss: str = "cross_entropy",
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a bidirectional LSTM for sequences of standardised features.

    Parameters
    ----------
    n_features : int
        Features of each segment.
    n_outputs : int, default 1
        1: one sigmoid, output shape (batch, 1). More: a softmax, output shape (batch, n_outputs), for one-hot
        targets.
    preset : {"published", "small", "night"}
        ``"published"``: after the audio branch of Al Hanai et al. [1]_: three bidirectional layers of 128
        units, dropout 0.2 on inputs and states, last states to the output. They multiplied the two directions
        and trained with SGD on features of their own. Multiplied, a signal of standardised features shrinks
        from layer to layer until float32 loses it, so here directions are joined, and it is Adam with
        learning rate 1e-4.
        ``"small"``: one bidirectional layer of 16 units, dropout 0.3, averaged over the segments; Adam with
        learning rate 1e-3. For tens to hundreds of recordings: the average gives every segment a way to the
        output of its own, so that little has to be learnt about order.
        ``"night"``: one bidirectional layer of 256 units, last states to Dense 64 ReLU, dropout 0.3; Adam with
        learning rate 1e-3. With three classes the published head for normal breathing, snoring and apnea.
    pooling : {None, "average", "attention", "max", "last"}
        None: that of the preset. ``"attention"``: mean and deviation of the segments, weighted as is learnt
        (`vocalbio.networks.layers.AttentivePooling`). ``"last"``: of each direction the state in which it ends.
    loss : {"cross_entropy", "mse", "ccc"}
        ``"cross_entropy"`` for classes; ``"mse"`` (squared error) and ``"ccc"`` (one minus the concordance
        correlation of a batch) for a severity: one linear output, shape (batch, 1).
    seed : int, optional
        Fixes the weights and the dropout. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled: Adam, the loss, accuracy and AUC (classes) or absolute error (severity). Two inputs,
        ``[values, mask]``: values of shape (batch, n_segments, n_features), and mask of bool and shape (batch,
        n_segments), which is True for segments that exist. `vocalbio.datasets.Sequences.padded` makes both.

    Raises
    ------
    ParameterError
        If a size, the preset or the seed is wrong.
    MissingPackageError
        If Keras is not installed.

    Notes
    -----
    What exists is told by the mask alone, never guessed from zeros in the data, so longer padding does not
    change a score. Pad on the right (cuDNN accepts nothing else) and give every sequence one segment at
    least.

    References
    ----------
    .. [1] Al Hanai T, Ghassemi M, Glass J. Detecting depression with audio/text sequence modeling of
       interviews. Interspeech 2018:1716-1720. doi:10.21437/Interspeech.2018-2522. Sizes as in the authors'
       trainLSTM.py, https://github.com/talhanai/redbud-tree-depression

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.networks import build_bilstm
    >>> network = build_bilstm(4, preset="small", seed=0)
    >>> network([np.zeros((2, 5, 4)), np.ones((2, 5), bool)]).shape
    TensorShape([2, 1])
    """
    check_network(n_outputs, preset, loss, presets=PRESETS, n_features=n_features)
    check_pooling(pooling)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras
        from keras import layers

    def one_way(units: int, dropout: float, *, sequences: bool, backwards: bool) -> keras.Layer:
        return layers.LSTM(
            units,
            kernel_initializer=keras.initializers.GlorotUniform(next(seed_of)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seed_of)),
            dropout=dropout,
            recurrent_dropout=dropout,
            seed=next(seed_of),
            return_sequences=sequences,
            go_backwards=backwards,
        )

    def both_ways(units: int, name: str, *, sequences: bool, dropout: float) -> keras.Layer:
        # two layers of our own: left to itself, Bidirectional gives both directions the same weights
        return layers.Bidirectional(
            one_way(units, dropout, sequences=sequences, backwards=False),
            backward_layer=one_way(units, dropout, sequences=sequences, backwards=True),
            name=name,
        )

    values, mask = sequence_inputs(n_features)
    n_layers, units, dropout, rate = {
        "published": (3, 128, 0.2, 1e-4),
        "small": (1, 16, 0.0, 1e-3),
        "night": (1, 256, 0.0, 1e-3),
    }[preset]
    pooling = pooling or ("average" if preset == "small" else "last")
    hidden = values
    for number in range(1, n_layers + 1):
        name = "lstm" if n_layers == 1 else f"lstm_{number}"
        is_last = number == n_layers and pooling == "last"
        hidden = both_ways(units, name, sequences=not is_last, dropout=dropout)(hidden, mask=mask)
    if pooling != "last":
        hidden = pool(hidden, mask, pooling, seed_of)
    if preset == "night":
        hidden = layers.Dense(64, "relu", kernel_initializer=keras.initializers.GlorotUniform(next(seed_of)))(hidden)
    if preset != "published":
        hidden = layers.Dropout(0.3, seed=next(seed_of), name="dropout")(hidden)
    return attach_output([values, mask], hidden, n_outputs, rate, next(seed_of), loss)
