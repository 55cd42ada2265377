"""A network of dense layers: one row of features in, class probabilities or a severity out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocalbio.errors import required_for
from vocalbio.networks.head import attach_output, check_network, seeds

if TYPE_CHECKING:
    import keras

__all__ = ["build_dense"]

PRESETS = ("published", "small", "wav2vec2")


def build_dense(
    n_features: int,
    n_outputs: int = 1,
    *,
    preset: str = "published",
    loss: str = "cross_entropy",
    seed: int | None = None,
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
    preset : {"published", "small", "wav2vec2"}
        ``"published"``: Dense 512 ReLU, batch normalisation, dropout 0.4, Dense 256 ReLU, dropout 0.3,
        Dense 64 ReLU; Adam with learning rate 1e-4. For thousands of recordings.
        ``"small"``: see the notes.
        ``"wav2vec2"``: Dense 256 ReLU, dropout 0.1; Adam with learning rate 1e-3. A head for the mean of an
        encoder's hidden states, with three classes the published one for stress.
    loss : {"cross_entropy", "mse", "ccc"}
        ``"cross_entropy"`` for classes; ``"mse"`` (squared error) and ``"ccc"`` (one minus the concordance
        correlation of a batch) for a severity: one linear output, shape (batch, 1).
    seed : int, optional
        Fixes the weights and the dropout. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled: Adam, the loss, accuracy and AUC (classes) or absolute error (severity).

    Raises
    ------
    ParameterError
        If a size, the preset or the seed is wrong.
    MissingPackageError
        If Keras is not installed.

    Notes
    -----
    ``"small"`` is dropout 0.2 on the features, Dense 64 ReLU with an L2 penalty of 1e-3, dropout 0.4; Adam with
    learning rate 1e-3. It is for tens to hundreds of recordings, where the published network has a thousand
    parameters for every one of them: one hidden layer bends a linear model no more than so few can support,
    dropout on the features keeps it from leaning on any single column (eGeMAPS columns are much alike), and the
    larger learning rate lets it settle in the few steps that so few rows make.

    Examples
    --------
    >>> from vocalbio.networks import build_dense
    >>> network = build_dense(88, n_outputs=3, preset="small", seed=0)
    >>> network.output_shape
    (None, 3)
    """
    check_network(n_outputs, preset, loss, presets=PRESETS, n_features=n_features)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras
        from keras import layers

    def dense(units: int, *, l2: float | None = None) -> keras.Layer:
        return layers.Dense(
            units,
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(next(seed_of)),
            kernel_regularizer=None if l2 is None else keras.regularizers.L2(l2),
        )

    inputs = keras.Input((n_features,), name="features")
    if preset == "small":
        hidden = layers.Dropout(0.2, seed=next(seed_of))(inputs)
        hidden = dense(64, l2=1e-3)(hidden)
        hidden = layers.Dropout(0.4, seed=next(seed_of))(hidden)
        return attach_output(inputs, hidden, n_outputs, 1e-3, next(seed_of), loss)
    if preset == "wav2vec2":
        hidden = layers.Dropout(0.1, seed=next(seed_of))(dense(256)(inputs))
        return attach_output(inputs, hidden, n_outputs, 1e-3, next(seed_of), loss)
    hidden = dense(512)(inputs)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.Dropout(0.4, seed=next(seed_of))(hidden)
    hidden = dense(256)(hidden)
    hidden = layers.Dropout(0.3, seed=next(seed_of))(hidden)
    hidden = dense(64)(hidden)
    return attach_output(inputs, hidden, n_outputs, 1e-4, next(seed_of), loss)
