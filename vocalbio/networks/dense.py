"""A network of dense layers: one row of features in, class probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocalbio.errors import required_for
from vocalbio.networks.output import check_sizes, draw_seeds, finish

if TYPE_CHECKING:
    import keras

__all__ = ["build_dense"]


def build_dense(
    n_features: int, n_outputs: int = 1, *, preset: str = "published", seed: int | None = None
) -> keras.Model:
    """
    Build and compile a dense network for standardised features.

    Parameters
    ----------
    n_features : int
        Columns of the input, of shape (batch, n_features).
    n_outputs : int, default 1
        1: one sigmoid, the probability of the positive class, output shape (batch, 1). More: a softmax,
        output shape (batch, n_outputs), for one-hot targets.
    preset : {"published", "small"}
        ``"published"``: Dense 512 ReLU, batch normalisation, dropout 0.4, Dense 256 ReLU, dropout 0.3,
        Dense 64 ReLU; Adam with learning rate 1e-4. For thousands of recordings.
        ``"small"``: see the notes.
    seed : int, optional
        Fixes the weights and the dropout. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled: Adam, cross-entropy, accuracy, AUC.

    Raises
    ------
    ParameterError
        If a size, the preset or the seed is wrong.
    MissingPackageError
        If Keras is not installed.

    Notes
    -----
    ``"small"`` is for tens to hundreds of recordings of ten to a hundred speakers, where the published
    network has a thousand parameters for every recording. SMALLNOTE

    Examples
    --------
    >>> from vocalbio.networks import build_dense
    >>> network = build_dense(88, n_outputs=3, preset="small", seed=0)
    >>> network.output_shape
    (None, 3)
    """
    check_sizes(n_features, n_outputs, preset, ("published", "small"))
    seeds = draw_seeds(seed, 6)
    with required_for("building a network", "keras"):
        import keras
        from keras import layers

    def dense(units: int, seed: int, *, l2: float = 0.0) -> keras.Layer:
        return layers.Dense(
            units,
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
            name=f"dense_{units}",
        )

    inputs = keras.Input((n_features,), name="features")
    if preset == "small":
        hidden = layers.Dropout(0.2, seed=seeds[0], name="dropout_in")(inputs)
        hidden = dense(32, seeds[1], l2=1e-3)(hidden)
        hidden = layers.Dropout(0.5, seed=seeds[2], name="dropout_32")(hidden)
        return finish("dense_small", inputs, hidden, n_outputs, learning_rate=1e-3, seed=seeds[3])
    hidden = dense(512, seeds[0])(inputs)
    hidden = layers.BatchNormalization(name="norm_512")(hidden)
    hidden = layers.Dropout(0.4, seed=seeds[1], name="dropout_512")(hidden)
    hidden = dense(256, seeds[2])(hidden)
    hidden = layers.Dropout(0.3, seed=seeds[3], name="dropout_256")(hidden)
    hidden = dense(64, seeds[4])(hidden)
    return finish("dense_published", inputs, hidden, n_outputs, learning_rate=1e-4, seed=seeds[5])
