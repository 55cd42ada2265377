"""A Transformer encoder: a sequence of segments or frames in, class probabilities or a severity out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vocalbio.errors import required_for
from vocalbio.networks.head import attach_output, check_network, seeds, sequence_inputs
from vocalbio.networks.pooling import check_pooling, pool

if TYPE_CHECKING:
    import keras

__all__ = ["build_transformer"]


def build_transformer(
    n_features: int,
    n_outputs: int = 1,
    *,
    preset: str = "published",
    pooling: str | None = None,
    loss: str = "cross_entropy",
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a Transformer encoder [1]_ for sequences of standardised features.

    Features are projected, sines and cosines tell the order, and every block adds what self-attention finds at the
    other steps, then what two dense layers make of it.

    Parameters
    ----------
    n_features : int
        Features of each step.
    n_outputs : int, default 1
        1: one sigmoid, output shape (batch, 1). More: a softmax, output shape (batch, n_outputs), for one-hot
        targets.
    preset : {"published", "small"}
        ``"published"``: the encoder of the paper's base model: 6 blocks of 512 channels with 8 heads, 2,048 between
        the dense layers, dropout 0.1, averaged over the steps; Adam with learning rate 1e-4. Layers are normalised
        before a block instead of after it, which needs no warm-up of the learning rate [2]_. 19 million parameters:
        not for a CPU, nor for hundreds of recordings.
        ``"small"``: one block of 32 channels with 2 heads, 64 between the dense layers, dropout 0.3, averaged; Adam
        with learning rate 1e-3. For tens to hundreds of recordings.
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
    .. [1] Vaswani A et al. Attention is all you need. NeurIPS 2017. arXiv:1706.03762
    .. [2] Xiong R et al. On layer normalization in the Transformer architecture. ICML 2020:10524-10533.
       arXiv:2002.04745

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.networks import build_transformer
    >>> network = build_transformer(4, preset="small", seed=0)
    >>> network([np.zeros((2, 5, 4)), np.ones((2, 5), bool)]).shape
    TensorShape([2, 1])
    """
    check_network(n_outputs, preset, loss, n_features=n_features)
    check_pooling(pooling)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras
        from keras import layers

        from vocalbio.networks.layers import MaskedAttention, MaskedConv1D, SinusoidalPositions

    n_blocks, size, n_heads, between, dropout, rate = (
        (6, 512, 8, 2048, 0.1, 1e-4) if preset == "published" else (1, 32, 2, 64, 0.3, 1e-3)
    )

    def dense(units: int, activation: str | None = None) -> keras.Layer:
        return layers.Dense(
            units, activation, kernel_initializer=keras.initializers.GlorotUniform(next(seed_of))
        )  # fmt: skip

    def add(hidden: Any, found: Any) -> Any:
        return layers.Add()([hidden, layers.Dropout(dropout, seed=next(seed_of))(found)])

    values, mask = sequence_inputs(n_features)
    start = keras.initializers.GlorotUniform(next(seed_of))
    # a convolution of one step is a projection that passes nothing of the padding on
    hidden = MaskedConv1D(size, 1, kernel_initializer=start, name="projection")(values, mask=mask)
    hidden = layers.Dropout(dropout, seed=next(seed_of))(SinusoidalPositions(name="positions")(hidden))
    for _ in range(n_blocks):
        normal = layers.LayerNormalization(epsilon=1e-6)(hidden)
        parts = [dense(size)(normal) for _ in range(3)]
        heard = MaskedAttention(n_heads, dropout, seed=next(seed_of))(parts, mask=mask)
        hidden = add(hidden, dense(size)(heard))
        normal = layers.LayerNormalization(epsilon=1e-6)(hidden)
        hidden = add(hidden, dense(size)(dense(between, "relu")(normal)))
    hidden = layers.LayerNormalization(epsilon=1e-6)(hidden)
    pooled = pool(hidden, mask, pooling or "average", seed_of)
    return attach_output([values, mask], pooled, n_outputs, rate, next(seed_of), loss)
