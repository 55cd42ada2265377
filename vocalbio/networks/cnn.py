"""Convolutional networks: over the steps of a sequence, or over a picture of bands and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocalbio.errors import required_for
from vocalbio.networks.head import attach_output, check_network, seeds, sequence_inputs
from vocalbio.networks.pooling import check_pooling, pool

if TYPE_CHECKING:
    import keras

__all__ = ["build_cnn", "build_cnn2d"]


def build_cnn(
    n_features: int,
    n_outputs: int = 1,
    *,
    preset: str = "published",
    pooling: str | None = None,
    loss: str = "cross_entropy",
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a convolutional network for sequences of standardised features.

    One layer of convolutions over time, which find patterns of a few neighbouring steps wherever they are.

    Parameters
    ----------
    n_features : int
        Features of each step.
    n_outputs : int, default 1
        1: one sigmoid, output shape (batch, 1). More: a softmax, output shape (batch, n_outputs), for one-hot
        targets.
    preset : {"published", "small"}
        ``"published"``: that of Kim [1]_ for sentences: 100 convolutions of 3, 100 of 4 and 100 of 5 steps, ReLU,
        largest value over time, dropout 0.5. Here Adam with learning rate 1e-3, and no bound on the norm of the
        output's weights.
        ``"small"``: 16 convolutions of 3 steps, ReLU, averaged over the steps, dropout 0.3; Adam with learning rate
        1e-3. For tens to hundreds of recordings.
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
    .. [1] Kim Y. Convolutional neural networks for sentence classification. EMNLP 2014:1746-1751.
       doi:10.3115/v1/D14-1181

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.networks import build_cnn
    >>> network = build_cnn(4, preset="small", seed=0)
    >>> network([np.zeros((2, 5, 4)), np.ones((2, 5), bool)]).shape
    TensorShape([2, 1])
    """
    check_network(n_outputs, preset, loss, n_features=n_features)
    check_pooling(pooling)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras

        from vocalbio.networks.layers import MaskedConv1D

    published = preset == "published"
    channels, widths = (100, (3, 4, 5)) if published else (16, (3,))
    values, mask = sequence_inputs(n_features)
    found = []
    for width in widths:
        start = keras.initializers.GlorotUniform(next(seed_of))
        convolve = MaskedConv1D(channels, width, padding="same", activation="relu", kernel_initializer=start)
        found.append(convolve(values, mask=mask))
    hidden = keras.layers.Concatenate()(found) if len(found) > 1 else found[0]
    hidden = pool(hidden, mask, pooling or ("max" if published else "average"), seed_of)
    hidden = keras.layers.Dropout(0.5 if published else 0.3, seed=next(seed_of))(hidden)
    return attach_output([values, mask], hidden, n_outputs, 1e-3, next(seed_of), loss)


def build_cnn2d(
    n_frames: int,
    n_bands: int,
    n_outputs: int = 1,
    *,
    preset: str = "published",
    loss: str = "cross_entropy",
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a convolutional network for windows of log-mel frames.

    Where in a window something happens is kept, so it can answer for the middle of a window as well as for the whole.

    Parameters
    ----------
    n_frames, n_bands : int
        Shape of a window.
    n_outputs : int, default 1
        1: one sigmoid, output shape (batch, 1). More: a softmax, output shape (batch, n_outputs), for one-hot
        targets.
    preset : {"published", "small"}
        ``"published"``: 16 convolutions of 3 x 3, ReLU, largest value of every 2 x 2, Dense 128 ReLU, dropout 0.3;
        Adam with learning rate 1e-3.
        ``"small"``: 8 convolutions of 3 x 3, ReLU, largest value of every 4 x 4, dropout 0.2, Dense 32 ReLU with an
        L2 penalty of 1e-3, dropout 0.4; Adam with learning rate 1e-3. A thirtieth of the parameters.
    loss : {"cross_entropy", "mse", "ccc"}
        As in `build_dense`.
    seed : int, optional
        Fixes the weights and the dropout. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled as in `build_dense`. One input, standardised levels of shape (batch, n_frames, n_bands).

    Raises
    ------
    ParameterError
        If a size, the preset or the seed is wrong.
    MissingPackageError
        If Keras is not installed.

    Examples
    --------
    >>> from vocalbio.networks import build_cnn2d
    >>> network = build_cnn2d(60, 32, n_outputs=3, preset="small", seed=0)
    >>> network.input_shape, network.output_shape
    ((None, 60, 32), (None, 3))
    """
    check_network(n_outputs, preset, loss, n_frames=n_frames, n_bands=n_bands)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras
        from keras import layers

    small = preset == "small"
    size = 4 if small else 2
    inputs = keras.Input((n_frames, n_bands), name="values")
    hidden = layers.Reshape((n_frames, n_bands, 1))(inputs)
    start = keras.initializers.GlorotUniform(next(seed_of))
    hidden = layers.Conv2D(8 if small else 16, 3, padding="same", activation="relu", kernel_initializer=start)(hidden)
    hidden = layers.Flatten()(layers.MaxPooling2D(size, padding="same")(hidden))
    if small:
        hidden = layers.Dropout(0.2, seed=next(seed_of))(hidden)
    hidden = layers.Dense(
        32 if small else 128,
        activation="relu",
        kernel_initializer=keras.initializers.GlorotUniform(next(seed_of)),
        kernel_regularizer=keras.regularizers.L2(1e-3) if small else None,
    )(hidden)
    hidden = layers.Dropout(0.4 if small else 0.3, seed=next(seed_of))(hidden)
    return attach_output(inputs, hidden, n_outputs, 1e-3, next(seed_of), loss)
