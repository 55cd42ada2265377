"""WavLM: wav2vec 2.0 whose attention knows how far apart two frames are."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from vocalbio.encoders.layers import Attention, Linear, Weight
from vocalbio.encoders.wav2vec2 import TFWav2Vec2Model, TransformerLayer
from vocalbio.errors import ParameterError

__all__ = ["TFWavLMModel"]


class RelativePositions(keras.layers.Layer):
    """
    What each head adds for the distance from frame to frame, the same in all layers.

    Half of the buckets look back and half ahead; of each half, half are for single distances and the others widen
    logarithmically. Beyond `farthest` frames all is one.
    """

    def __init__(self, path: str, n_heads: int, n_buckets: int, farthest: int) -> None:
        super().__init__(name=path.replace(".", "_"))
        if farthest <= n_buckets // 4:
            raise ParameterError(
                f"max_bucket_distance {farthest} of the configuration is not beyond the {n_buckets // 4} single "
                f"distances that its {n_buckets} buckets hold"
            )
        self.stem, self.farthest = path, farthest
        self.buckets = _buckets(n_buckets, farthest)
        self.embedding = self.add_weight(shape=(n_buckets, n_heads), initializer="random_normal", name="embedding")
        self.built, self.autocast = True, False  # the bias stays float32

    def call(self, x: Any) -> Any:
        """Shape (batch, n_frames, size) to (n_heads, n_frames, n_frames): a row for each frame that looks."""
        frame = ops.arange(ops.shape(x)[1])
        distance = ops.clip(frame[None, :] - frame[:, None], -self.farthest, self.farthest)
        bucket = ops.take(self.buckets, distance + self.farthest)
        return ops.take(ops.transpose(self.embedding), bucket, axis=1)

    def tensors(self) -> list[Weight]:
        return [Weight(f"{self.stem}.weight", self.embedding)]


def _buckets(n_buckets: int, farthest: int) -> NDArray[np.int32]:
    """Bucket of each distance from -farthest to farthest, in float32 as the reference computes it."""
    half = n_buckets // 2
    single = half // 2
    distance = np.abs(np.arange(-farthest, farthest + 1))
    far = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(single))
    far = far / np.float32(np.log(farthest / single)) * np.float32(half - single)
    wide = np.minimum(single + far.astype(np.int32), half - 1)
    ahead = np.arange(-farthest, farthest + 1) > 0
    return (half * ahead + np.where(distance < single, distance, wide)).astype(np.int32)


class GatedAttention(Attention):
    """Self-attention; a gate, made of what a frame holds, decides how much the distance counts there."""

    def __init__(self, path: str, size: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__(path, size, n_heads, dropout)
        self.stem = path
        self.gate = Linear(f"{path}.gru_rel_pos_linear", size // n_heads, 8)
        self.scale = self.add_weight(shape=(1, n_heads, 1, 1), initializer="ones", name="gru_rel_pos_const")

    def call(self, x: Any, bias: Any = None, training: bool = False) -> Any:
        """``bias``: what `RelativePositions` gives, and the bias of `Attention` or None."""
        positions, absent = bias
        shape = ops.shape(x)
        heads = ops.reshape(x, (shape[0], shape[1], self.n_heads, self.size // self.n_heads))
        # the reference sums four numbers for each of the two gates
        summed = ops.sum(ops.reshape(self.gate(heads), (shape[0], shape[1], self.n_heads, 2, 4)), axis=-1)
        gates = ops.transpose(ops.sigmoid(ops.cast(summed, self.variable_dtype)), (0, 2, 1, 3))
        gated = positions * (gates[..., :1] * (gates[..., 1:] * self.scale - 1.0) + 2.0)
        return super().call(x, gated if absent is None else gated + absent, training=training)

    def tensors(self) -> list[Weight]:
        return [Weight(f"{self.stem}.gru_rel_pos_const", self.scale)]


class WavLMLayer(TransformerLayer):
    """The layer of wav2vec 2.0 with gated attention."""

    attention_type = GatedAttention


@keras.saving.register_keras_serializable(package="vocalbio")
class TFWavLMModel(TFWav2Vec2Model):
    """
    WavLM [1]_ in Keras 3, reading Hugging Face checkpoints.

    The architecture of wav2vec 2.0 with gated relative positions in its attention, in both published variants: group
    norm (base, base-plus) and layer norm with stable transformer (large). A clip's states do not depend on its batch.

    Parameters
    ----------
    config : transformers.WavLMConfig or dict

    References
    ----------
    .. [1] Chen S et al. WavLM: large-scale self-supervised pre-training for full stack speech processing. IEEE J Sel
       Top Signal Process 2022;16(6):1505-1518. doi:10.1109/JSTSP.2022.3188113

    Examples
    --------
    Random weights, a tiny size; ``TFWavLMModel.from_pretrained("microsoft/wavlm-base-plus")`` loads real ones.

    >>> import numpy as np
    >>> from vocalbio.encoders import TFWavLMModel
    >>> model = TFWavLMModel({"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    ...     "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
    ...     "num_conv_pos_embedding_groups": 2})
    >>> model(np.zeros((2, 8_000), "float32")).last_hidden_state.shape
    TensorShape([2, 24, 16])
    """

    model_type = "wavlm"
    family = "WavLM"
    prefixes: ClassVar[tuple[str, ...]] = ("wavlm.",)
    layer_type = WavLMLayer

    def __init__(self, config: Any, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        c = self.config
        self.relative_positions = RelativePositions(
            "encoder.layers.0.attention.rel_attn_embed", c.num_attention_heads, c.num_buckets, c.max_bucket_distance
        )

    def _bias(self, x: Any, mask: Any) -> Any:
        return self.relative_positions(x), super()._bias(x, mask)
