"""wav2vec 2.0 and HuBERT; WavLM builds on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from vocalbio.encoders.encoder import EncoderOutput, SpeechEncoder, hide, spread
from vocalbio.encoders.layers import Attention, Conv, FeedForward, LayerNorm, Linear, Weight, activation
from vocalbio.errors import ParameterError

__all__ = ["EmotionOutput", "TFHubertModel", "TFWav2Vec2EmotionModel", "TFWav2Vec2Model"]

POSITION = "encoder.pos_conv_embed.conv"
WEIGHT_NORM = ".parametrizations.weight.original"


class FirstConv(keras.layers.Layer):
    """
    The first convolution of the group-norm variant, its normalisation and activation in one.

    The normalisation is over time, channel by channel, and a channel is a linear function of the samples under its
    kernel: its mean and variance follow from the mean and covariance of those few samples. So the normalisation
    becomes part of the kernel, and the largest array of the whole model (512 channels, 3,200 frames a second) is
    written once and not read three times more. In float64, since differences of loud samples may be small. Only
    frames of real samples are counted, so padding has no say.
    """

    def __init__(self, path: str, n_out: int, size: int, stride: int, act: str, *, bias: bool) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.conv = Conv(f"{path}.conv", 1, n_out, size, stride=stride, bias=bias)
        self.norm = LayerNorm(f"{path}.layer_norm", n_out)
        self.act = activation(act)
        self.size, self.stride = size, stride
        self.built, self.autocast = True, False

    def call(self, waveforms: Any, lengths: Any = None) -> Any:
        if keras.backend.backend() != "tensorflow":  # JAX has no float64, and Keras multiplies PyTorch's in float32
            return self._plain(waveforms, lengths)
        # frames of size samples, put together from blocks of one stride
        n_frames = (ops.shape(waveforms)[1] - self.size) // self.stride + 1
        n_blocks = -(-self.size // self.stride)
        if beyond := n_blocks * self.stride - self.size:  # of the last block, which no frame looks at
            waveforms = ops.pad(waveforms, [[0, 0], [0, beyond]])
        blocks = ops.reshape(
            waveforms[:, : (n_frames + n_blocks - 1) * self.stride], (ops.shape(waveforms)[0], -1, self.stride)
        )
        frames = ops.concatenate([blocks[:, i : i + n_frames] for i in range(n_blocks)], axis=-1)[..., : self.size]

        exact = ops.cast(frames, "float64")
        if lengths is None:
            counted: Any = 1.0
            n = ops.cast(n_frames, "float64")
        else:
            n_real = (lengths - self.size) // self.stride + 1
            counted = ops.cast(spread(n_real, n_frames), "float64")[..., None]
            n = ops.cast(n_real, "float64")[:, None, None]
        mean = ops.sum(exact * counted, axis=1, keepdims=True) / n
        centred = (exact - mean) * counted
        covariance = ops.matmul(ops.transpose(centred, (0, 2, 1)), centred) / n
        kernel = ops.cast(self.conv.kernel[:, 0], "float64")
        variance = ops.sum(kernel * ops.matmul(covariance, kernel), axis=1, keepdims=True)
        scale = ops.cast(self.norm.gamma, "float64") / ops.sqrt(variance + self.norm.epsilon)
        # a bias of the convolution is taken away again with the mean
        shift = ops.cast(self.norm.beta, "float64") - ops.matmul(mean, kernel) * scale
        scaled = ops.cast(kernel * scale, frames.dtype)
        found = ops.matmul(frames, scaled) + ops.cast(shift, frames.dtype)
        return self.act(ops.cast(found, self.compute_dtype))

    def _plain(self, waveforms: Any, lengths: Any) -> Any:
        """Convolution, normalisation, activation one after the other, in float32."""
        n_samples = ops.shape(waveforms)[1] if lengths is None else ops.cast(lengths, "float32")[:, None]
        # a recorder's constant offset would go with the norm; it goes first, so that it does not eat the precision
        x = self.conv((waveforms - ops.sum(waveforms, axis=1, keepdims=True) / n_samples)[..., None])
        x = ops.cast(x, "float32")
        counted: Any = 1.0
        n: Any = ops.shape(x)[1]
        if lengths is not None:
            n_real = (lengths - self.size) // self.stride + 1
            counted = ops.cast(spread(n_real, n), "float32")[..., None]
            n = ops.cast(n_real, "float32")[:, None, None]
        centred = x - ops.sum(x * counted, axis=1, keepdims=True) / n
        variance = ops.sum(ops.square(centred) * counted, axis=1, keepdims=True) / n
        found = centred * ops.rsqrt(variance + self.norm.epsilon) * self.norm.gamma + self.norm.beta
        return self.act(ops.cast(found, self.compute_dtype))


class NormedConv(keras.layers.Layer):
    """A convolution of the front end, with layer normalisation over channels in one of the variants."""

    def __init__(
        self, path: str, n_in: int, n_out: int, size: int, stride: int, act: str, *, bias: bool, norm: bool
    ) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.conv = Conv(f"{path}.conv", n_in, n_out, size, stride=stride, bias=bias)
        self.norm = LayerNorm(f"{path}.layer_norm", n_out) if norm else None
        self.act = activation(act)
        self.built = True

    def call(self, x: Any) -> Any:
        x = self.conv(x)
        return self.act(x if self.norm is None else self.norm(x))


class PositionalConv(keras.layers.Layer):
    """
    Position as a wide convolution in groups.

    One convolution a group: TensorFlow has no gradient of grouped ones on a CPU, and is slower at them.
    """

    def __init__(self, path: str, size: int, width: int, n_groups: int, act: str) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.stem, self.width, self.n_groups, self.n_in = path, width, n_groups, size // n_groups
        self.kernel = self.add_weight(shape=(width, size // n_groups, size), initializer="he_normal", name="kernel")
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")
        self.act = activation(act)
        self.built = True

    def call(self, x: Any) -> Any:
        half = self.width // 2
        x = ops.pad(x, [[0, 0], [half, half - (self.width + 1) % 2], [0, 0]])
        parts = [
            ops.conv(x[..., part], self.kernel[..., part], padding="valid")
            for part in (slice(g * self.n_in, (g + 1) * self.n_in) for g in range(self.n_groups))
        ]
        return self.act(ops.concatenate(parts, axis=-1) + self.bias)

    def tensors(self) -> list[Weight]:
        return [Weight(f"{self.stem}.weight", self.kernel, (2, 1, 0)), Weight(f"{self.stem}.bias", self.bias)]


class TransformerLayer(keras.layers.Layer):
    """Attention and feed-forward, normalised before (stable) or after."""

    attention_type: ClassVar[type[Attention]] = Attention

    def __init__(self, path: str, config: Any) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.stable = bool(config.do_stable_layer_norm)
        size, epsilon = config.hidden_size, config.layer_norm_eps
        self.attention = self.attention_type(
            f"{path}.attention", size, config.num_attention_heads, config.attention_dropout
        )
        self.layer_norm = LayerNorm(f"{path}.layer_norm", size, epsilon)
        self.feed_forward = FeedForward(
            (f"{path}.feed_forward.intermediate_dense", f"{path}.feed_forward.output_dense"),
            size,
            config.intermediate_size,
            config.hidden_act,
            (config.activation_dropout, config.hidden_dropout),
        )
        self.final_layer_norm = LayerNorm(f"{path}.final_layer_norm", size, epsilon)
        self.dropout = keras.layers.Dropout(config.hidden_dropout)
        self.built, self.autocast = True, False  # the bias stays float32

    def call(self, x: Any, bias: Any = None, training: bool = False) -> Any:
        if self.stable:
            x = x + self.dropout(self.attention(self.layer_norm(x), bias, training=training), training=training)
            return x + self.feed_forward(self.final_layer_norm(x), training=training)
        x = self.layer_norm(x + self.dropout(self.attention(x, bias, training=training), training=training))
        return self.final_layer_norm(x + self.feed_forward(x, training=training))


@keras.saving.register_keras_serializable(package="vocalbio")
class TFWav2Vec2Model(SpeechEncoder):
    """
    wav2vec 2.0 [1]_ in Keras 3, reading Hugging Face checkpoints, called as the retired class of transformers was.

    Both published variants: group norm (base) and layer norm with stable transformer (large-lv60, XLS-R, robust). A
    clip's states do not depend on its batch: every norm, convolution and attention sees real samples only. That is
    stricter than the reference, whose group norm counts padding.

    Parameters
    ----------
    config : transformers.Wav2Vec2Config or dict

    References
    ----------
    .. [1] Baevski A, Zhou Y, Mohamed A, Auli M. wav2vec 2.0: a framework for self-supervised learning of speech
       representations. NeurIPS 2020. arXiv:2006.11477

    Examples
    --------
    Random weights, a tiny size; ``TFWav2Vec2Model.from_pretrained("facebook/wav2vec2-base")`` loads real ones.

    >>> import numpy as np
    >>> from vocalbio.encoders import TFWav2Vec2Model
    >>> model = TFWav2Vec2Model({"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    ...     "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
    ...     "num_conv_pos_embedding_groups": 2})
    >>> output = model(np.zeros((1, 16_000), "float32"), output_hidden_states=True)
    >>> output.last_hidden_state.shape, len(output.hidden_states)
    (TensorShape([1, 49, 16]), 3)
    """

    model_type = "wav2vec2"
    family: ClassVar[str] = "Wav2Vec2"
    """How the classes of transformers begin."""
    layer_type: ClassVar[type[TransformerLayer]] = TransformerLayer
    prefixes: ClassVar[tuple[str, ...]] = ("wav2vec2.",)
    ignored = ("quantizer.", "project_q.", "project_hid.", "wav2vec2.masked_spec_embed", "masked_spec_embed")
    chunk_s = 20.0
    frame_centre = 200.0
    fewest_samples = 400

    def __init__(self, config: Any, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        c = self.config
        self._check()
        sizes = [1, *c.conv_dim]
        self.convs: list[Any] = []
        for i, (size, stride) in enumerate(zip(c.conv_kernel, c.conv_stride, strict=True)):
            path = f"feature_extractor.conv_layers.{i}"
            if i == 0 and c.feat_extract_norm == "group":
                self.convs.append(FirstConv(path, sizes[1], size, stride, c.feat_extract_activation, bias=c.conv_bias))
            else:
                self.convs.append(
                    NormedConv(
                        path,
                        sizes[i],
                        sizes[i + 1],
                        size,
                        stride,
                        c.feat_extract_activation,
                        bias=c.conv_bias,
                        norm=c.feat_extract_norm == "layer",
                    )
                )
        self.projection_norm = None
        if getattr(c, "feat_proj_layer_norm", True):
            self.projection_norm = LayerNorm("feature_projection.layer_norm", sizes[-1], c.layer_norm_eps)
        self.projection = Linear("feature_projection.projection", sizes[-1], c.hidden_size)
        self.projection_dropout = keras.layers.Dropout(c.feat_proj_dropout)
        self.position = PositionalConv(
            POSITION,
            c.hidden_size,
            c.num_conv_pos_embeddings,
            c.num_conv_pos_embedding_groups,
            c.feat_extract_activation,
        )
        self.layer_norm = LayerNorm("encoder.layer_norm", c.hidden_size, c.layer_norm_eps)
        self.dropout = keras.layers.Dropout(c.hidden_dropout)
        self.blocks = [self.layer_type(f"encoder.layers.{i}", c) for i in range(c.num_hidden_layers)]
        self.mask_embedding = None
        if c.mask_time_prob > 0 or c.mask_feature_prob > 0:
            # what training puts in the place of masked frames; kept so that nothing of a checkpoint is lost
            self.mask_embedding = self.add_weight(
                shape=(c.hidden_size,), initializer="random_uniform", name="masked_spec_embed", trainable=False
            )
        self.built = True

    def _named_weights(self) -> list[Weight]:
        masked = [] if self.mask_embedding is None else [Weight("masked_spec_embed", self.mask_embedding)]
        return masked + super()._named_weights()

    def _optional(self) -> set[str]:
        return {"masked_spec_embed"}

    def _merged(self, tensors: Iterator[tuple[str, NDArray[np.float32]]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Weight norm, a length for each place of the kernel and a direction, becomes the kernel."""
        parts: dict[str, NDArray[np.float32]] = {}
        for name, array in tensors:
            stem, _, part = name.rpartition(WEIGHT_NORM)
            if not stem:
                yield name, array
                continue
            parts[part] = array
            if len(parts) == 2:
                length, direction = parts["0"], parts["1"]
                yield f"{stem}.weight", direction * (length / _lengths(direction))

    def _written(self) -> dict[str, NDArray[np.float32]]:
        tensors = super()._written()
        kernel = tensors.pop(f"{POSITION}.weight")
        tensors[f"{POSITION}{WEIGHT_NORM}0"] = _lengths(kernel)
        tensors[f"{POSITION}{WEIGHT_NORM}1"] = kernel
        return tensors

    @classmethod
    def _read_config(cls, config: Any) -> Any:
        import transformers

        known = getattr(transformers, f"{cls.family}Config")
        return known.from_dict(dict(config)) if isinstance(config, dict) else config

    def _check(self) -> None:
        c = self.config
        for name, unsupported in (("add_adapter", True), ("conv_pos_batch_norm", True)):
            if getattr(c, name, None) == unsupported:
                raise ParameterError(f"the configuration has {name}={unsupported}, which is not supported here")
        if getattr(c, "adapter_attn_dim", None) is not None:
            raise ParameterError("the configuration has adapter_attn_dim (language adapters), not supported here")
        if c.feat_extract_norm not in ("group", "layer"):
            raise ParameterError(f"feat_extract_norm is {c.feat_extract_norm!r}; expected 'group' or 'layer'")

    def frame_count(self, n_samples: Any) -> Any:
        """Frames of a recording of so many samples: one every 20 ms, from 25 ms up."""
        for size, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            n_samples = (n_samples - size) // stride + 1
        return n_samples

    @property
    def normalizes(self) -> bool:
        """Whether recordings are to have mean 0 and variance 1: unless the checkpoint says otherwise."""
        return bool(self.preprocessor.get("do_normalize", True))

    def call(
        self,
        input_values: Any,
        attention_mask: Any = None,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> EncoderOutput:
        """
        States of a batch.

        Parameters
        ----------
        input_values : tensor of float32, shape (batch, n_samples)
            16 kHz, normalised as the checkpoint wants it (`normalize`), padded on the right.
        attention_mask : tensor, shape (batch, n_samples), optional
            1 for real samples, which come first.
        output_hidden_states : bool
        training : bool

        Returns
        -------
        EncoderOutput
        """
        input_values = ops.convert_to_tensor(input_values, "float32")
        lengths = None if attention_mask is None else ops.sum(ops.cast(attention_mask, "int32"), axis=1)
        layers = range(self.n_layers + 1) if output_hidden_states else [self.n_layers]
        states, mask = self.states(input_values, lengths, layers, training)
        return EncoderOutput.of(states, mask, output_hidden_states)

    def embed(
        self, waveforms: Any, lengths: Any, training: bool = False, augment: Callable[..., Any] | None = None
    ) -> tuple[Any, Any]:
        """As in `SpeechEncoder`."""
        if lengths is not None:  # whatever stands in the padding, even NaN, has no say
            waveforms = ops.where(spread(lengths, ops.shape(waveforms)[1]), waveforms, 0.0)
        x = waveforms if isinstance(self.convs[0], FirstConv) else waveforms[..., None]
        for i, conv in enumerate(self.convs):
            x = conv(x, lengths=lengths) if i == 0 and isinstance(conv, FirstConv) else conv(x)
        n_frames = None if lengths is None else self.frame_count(lengths)
        mask = None if n_frames is None else spread(n_frames, ops.shape(x)[1])
        x, training = self._held(x, 0), training and self.n_frozen < 2
        if self.projection_norm is not None:
            x = self.projection_norm(x)
        x = self.projection_dropout(self.projection(x), training=training)
        if augment is not None:
            x = augment(x, n_frames, self.mask_embedding)
        x = hide(x, mask)
        x = x + self.position(x)
        if not self.config.do_stable_layer_norm:
            x = self.layer_norm(x)
        return self._held(self.dropout(x, training=training), 1), mask

    def _front(self) -> list[Any]:
        return self.convs

    def _last_norms(self) -> list[Any]:
        # the last state of the stable variant is normalised once more
        return [self.layer_norm] if self.config.do_stable_layer_norm else []

    def _written_config(self) -> dict[str, Any]:
        return {**super()._written_config(), "architectures": [f"{self.family}Model"]}

    def _written_preprocessor(self) -> dict[str, Any]:
        return {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "sampling_rate": 16_000,
            "padding_value": 0.0,
            "padding_side": "right",
            "do_normalize": True,
            "return_attention_mask": self.config.feat_extract_norm == "layer",
            **self.preprocessor,
        }


@keras.saving.register_keras_serializable(package="vocalbio")
class TFHubertModel(TFWav2Vec2Model):
    """
    HuBERT [1]_: the architecture of wav2vec 2.0, trained otherwise.

    Parameters
    ----------
    config : transformers.HubertConfig or dict

    References
    ----------
    .. [1] Hsu W-N et al. HuBERT: self-supervised speech representation learning by masked prediction of hidden units.
       IEEE/ACM Trans Audio Speech Lang Process 2021;29:3451-3460. doi:10.1109/TASLP.2021.3122291

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.encoders import TFHubertModel
    >>> model = TFHubertModel({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    ...     "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
    ...     "num_conv_pos_embedding_groups": 2})
    >>> model(np.zeros((2, 8_000), "float32")).last_hidden_state.shape
    TensorShape([2, 24, 16])
    """

    model_type = "hubert"
    family = "Hubert"
    prefixes = ("hubert.",)


def _lengths(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length for each place of a kernel as a checkpoint holds it; in float32, so that writing and reading are exact."""
    return np.sqrt(np.sum(np.square(kernel, dtype=float), axis=(0, 1), keepdims=True)).astype(np.float32)


class EmotionOutput(NamedTuple):
    """
    What the emotion model says.

    Attributes
    ----------
    scores : tensor
        Shape (batch, n_labels), in the order of ``config.id2label``: for audEERING's arousal, dominance, valence,
        each about 0 to 1.
    pooled : tensor
        Shape (batch, hidden_size), the mean of the last states over real frames.
    """

    scores: Any
    pooled: Any


@keras.saving.register_keras_serializable(package="vocalbio")
class TFWav2Vec2EmotionModel(TFWav2Vec2Model):
    """
    wav2vec 2.0 with the regression head of audEERING's emotion model [1]_.

    Mean over time, dense, tanh, dense: arousal, dominance and valence. The published weights are under CC BY-NC-SA 4.0.

    Parameters
    ----------
    config : transformers.Wav2Vec2Config or dict

    References
    ----------
    .. [1] Wagner J et al. Dawn of the transformer era in speech emotion recognition: closing the valence gap. IEEE
       Trans Pattern Anal Mach Intell 2023;45:10745-10759. doi:10.1109/TPAMI.2023.3263585

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.encoders import TFWav2Vec2EmotionModel
    >>> model = TFWav2Vec2EmotionModel({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    ...     "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
    ...     "num_conv_pos_embedding_groups": 2, "num_labels": 3})
    >>> model(np.zeros((2, 8_000), "float32")).scores.shape
    TensorShape([2, 3])
    """

    def __init__(self, config: Any, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.dense = Linear("classifier.dense", self.hidden_size, self.hidden_size)
        self.out_proj = Linear("classifier.out_proj", self.hidden_size, self.config.num_labels)
        self.head_dropout = keras.layers.Dropout(self.config.final_dropout)

    def call(  # type: ignore[override]
        self, input_values: Any, attention_mask: Any = None, training: bool = False
    ) -> EmotionOutput:
        """
        Scores of a batch.

        Parameters
        ----------
        input_values, attention_mask, training
            As in `TFWav2Vec2Model.call`.

        Returns
        -------
        EmotionOutput
        """
        states, _, mask = super().call(input_values, attention_mask, training=training)
        states = ops.cast(states, self.variable_dtype)
        pooled = ops.sum(states, axis=1) / ops.sum(ops.cast(mask, states.dtype), axis=1, keepdims=True)
        hidden = ops.tanh(self.dense(self.head_dropout(pooled, training=training)))
        return EmotionOutput(self.out_proj(self.head_dropout(hidden, training=training)), pooled)

    def _written(self) -> dict[str, NDArray[np.float32]]:
        return {n if n.startswith("classifier.") else f"wav2vec2.{n}": array for n, array in super()._written().items()}

    def _written_config(self) -> dict[str, Any]:
        return {**super()._written_config(), "architectures": ["Wav2Vec2ForSpeechClassification"]}
