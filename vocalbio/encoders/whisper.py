"""Whisper's encoder, and the log-mel spectrogram that it hears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from vocalbio.encoders.encoder import EncoderOutput, SpeechEncoder, hide, spread
from vocalbio.encoders.layers import Attention, Conv, FeedForward, LayerNorm, Weight, gelu
from vocalbio.errors import ParameterError

__all__ = ["LogMel", "TFWhisperEncoder"]

SAMPLING_RATE_HZ = 16_000
N_FFT, HOP = 400, 160
WINDOW_S = 30.0


@keras.saving.register_keras_serializable(package="vocalbio")
class LogMel(keras.layers.Layer):
    """
    The log-mel spectrogram of Whisper, equal to that of transformers.

    Frames of 25 ms every 10 ms, the first centred on the first sample; mel bands on Slaney's scale; decadic logarithm,
    cut off 8 below the largest of the recording, plus 4, over 4.

    Parameters
    ----------
    n_mels : int
        80, or 128 for large-v3.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.encoders import LogMel
    >>> LogMel(80)(np.zeros((1, 16_000), "float32")).shape
    TensorShape([1, 80, 100])
    """

    def __init__(self, n_mels: int = 80, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        from transformers.audio_utils import mel_filter_bank

        self.n_mels = n_mels
        self.filters = mel_filter_bank(
            N_FFT // 2 + 1, n_mels, 0.0, SAMPLING_RATE_HZ / 2, SAMPLING_RATE_HZ, norm="slaney", mel_scale="slaney"
        ).astype(np.float32)
        self.window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
        self.autocast = False

    def call(self, waveforms: Any, n_frames: Any = None) -> Any:
        """
        Log-mel spectrogram.

        Parameters
        ----------
        waveforms : tensor of float32, shape (batch, n_samples)
            16 kHz, padded on the right with zeros.
        n_frames : tensor of int32, shape (batch,), optional
            Frames of each recording; the largest value is looked for among them only, and the others are 0. Silence
            follows the last, as it does in a longer batch; without `n_frames` the end is mirrored, as the reference
            does.

        Returns
        -------
        tensor of float32, shape (batch, n_mels, n_samples // 160)
        """
        waveforms = ops.convert_to_tensor(waveforms, "float32")
        half = N_FFT // 2
        padded = ops.pad(waveforms, [[0, 0], [half, 0]], mode="reflect")
        padded = ops.pad(padded, [[0, 0], [0, half]], mode="reflect" if n_frames is None else "constant")
        n = ops.shape(waveforms)[1] // HOP
        # 25 ms are two and a half hops: three blocks of a hop side by side, cut to the window
        padded = ops.pad(padded, [[0, 0], [0, 3 * HOP - N_FFT]])[:, : (n + 2) * HOP]
        blocks = ops.reshape(padded, (ops.shape(waveforms)[0], -1, HOP))
        frames = ops.concatenate([blocks[:, i : i + n] for i in range(3)], axis=-1)[..., :N_FFT]
        real, imaginary = ops.rfft(frames * self.window)
        mel = ops.matmul(ops.square(real) + ops.square(imaginary), self.filters)
        log = ops.log10(ops.maximum(mel, 1e-10))
        if n_frames is None:
            largest = ops.max(log, axis=(1, 2), keepdims=True)
            found = (ops.maximum(log, largest - 8.0) + 4.0) / 4.0
        else:
            mask = spread(n_frames, n)[..., None]
            largest = ops.max(ops.where(mask, log, -10.0), axis=(1, 2), keepdims=True)
            found = ops.where(mask, (ops.maximum(log, largest - 8.0) + 4.0) / 4.0, 0.0)
        return ops.transpose(found, (0, 2, 1))

    def get_config(self) -> dict[str, Any]:
        """Number of bands."""
        return {**super().get_config(), "n_mels": self.n_mels}


class WhisperLayer(keras.layers.Layer):
    """Attention and feed-forward, normalised before."""

    def __init__(self, path: str, config: Any) -> None:
        super().__init__(name=path.replace(".", "_"))
        size = config.d_model
        self.self_attn_layer_norm = LayerNorm(f"{path}.self_attn_layer_norm", size)
        self.self_attn = Attention(
            f"{path}.self_attn", size, config.encoder_attention_heads, config.attention_dropout, key_bias=False
        )
        self.final_layer_norm = LayerNorm(f"{path}.final_layer_norm", size)
        self.feed_forward = FeedForward(
            (f"{path}.fc1", f"{path}.fc2"),
            size,
            config.encoder_ffn_dim,
            config.activation_function,
            (config.activation_dropout, config.dropout),
        )
        self.dropout = keras.layers.Dropout(config.dropout)
        self.built, self.autocast = True, False  # the bias stays float32

    def call(self, x: Any, bias: Any = None, training: bool = False) -> Any:
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x), bias, training=training), training=training)
        return x + self.feed_forward(self.final_layer_norm(x), training=training)


@keras.saving.register_keras_serializable(package="vocalbio")
class TFWhisperEncoder(SpeechEncoder):
    """
    The encoder of Whisper [1]_ in Keras 3, reading Hugging Face checkpoints; their decoder is left out.

    Whisper was trained on 30 s, silence added where there is less, and that silence costs as much as speech. Called
    with 3,000 frames, this is the reference. Called with fewer, positions and attention end with the recording, at a
    cost in proportion: no frame attends to the silence any more, so states differ from the reference's, and embeddings
    of one kind must not be mixed with the other's. ``benchmarks/encoders.py`` prints by how much on real speech. With
    `attention_mask`, each recording of a batch has the states that it has alone.

    Parameters
    ----------
    config : transformers.WhisperConfig or dict

    References
    ----------
    .. [1] Radford A et al. Robust speech recognition via large-scale weak supervision. ICML 2023. arXiv:2212.04356

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.encoders import LogMel, TFWhisperEncoder
    >>> model = TFWhisperEncoder({"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2,
    ...     "encoder_ffn_dim": 32})
    >>> model(LogMel(80)(np.zeros((1, 16_000), "float32"))).last_hidden_state.shape
    TensorShape([1, 50, 16])
    """

    model_type = "whisper"
    prefixes: ClassVar[tuple[str, ...]] = ("model.encoder.", "encoder.")
    ignored = ("model.decoder.", "decoder.", "proj_out.")
    chunk_s = WINDOW_S
    frame_centre = 0.0  # five mel frames, the middle one around the first sample
    fewest_samples = 2 * HOP

    def __init__(self, config: Any, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        c = self.config
        self.log_mel = LogMel(c.num_mel_bins)
        self.conv1 = Conv("conv1", c.num_mel_bins, c.d_model, 3, padding=1)
        self.conv2 = Conv("conv2", c.d_model, c.d_model, 3, stride=2, padding=1)
        self.positions = self.add_weight(
            shape=(c.max_source_positions, c.d_model), initializer="random_uniform", name="positions", trainable=False
        )
        self.dropout = keras.layers.Dropout(c.dropout)
        self.blocks = [WhisperLayer(f"layers.{i}", c) for i in range(c.encoder_layers)]
        self.layer_norm = LayerNorm("layer_norm", c.d_model)
        self.built = True

    @classmethod
    def _read_config(cls, config: Any) -> Any:
        from transformers import WhisperConfig

        return WhisperConfig.from_dict(dict(config)) if isinstance(config, dict) else config

    def _named_weights(self) -> list[Weight]:
        return [Weight("embed_positions.weight", self.positions), *super()._named_weights()]

    @property
    def n_layers(self) -> int:
        """Transformer layers."""
        return int(self.config.encoder_layers)

    @property
    def hidden_size(self) -> int:
        """Size of a state."""
        return int(self.config.d_model)

    def frame_count(self, n_samples: Any) -> Any:
        """Frames of a recording of so many samples: one for every 20 ms that are full."""
        return n_samples // HOP // 2

    def call(
        self,
        input_features: Any,
        attention_mask: Any = None,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> EncoderOutput:
        """
        States of a batch.

        Parameters
        ----------
        input_features : tensor of float32, shape (batch, n_mels, n_mel_frames)
            From `LogMel`; 3,000 frames or fewer, an even number.
        attention_mask : tensor, shape (batch, n_mel_frames), optional
            1 for real frames, which come first. Leave it out for the reference's states of padded 30 s.
        output_hidden_states : bool
        training : bool

        Returns
        -------
        EncoderOutput

        Raises
        ------
        ParameterError
            If there are more than 3,000 frames.
        """
        input_features = ops.convert_to_tensor(input_features, "float32")
        most = 2 * self.config.max_source_positions
        if input_features.shape[-1] is not None and input_features.shape[-1] > most:
            raise ParameterError(
                f"input_features have {input_features.shape[-1]} frames; expected at most {most} (30 s)"
            )
        n_mel = None if attention_mask is None else ops.sum(ops.cast(attention_mask, "int32"), axis=1)
        layers = range(self.n_layers + 1) if output_hidden_states else [self.n_layers]
        x, mask = self._embed_mel(ops.transpose(input_features, (0, 2, 1)), n_mel, training)
        states = self.transform(x, mask, layers, training)
        return EncoderOutput.of(states, mask, output_hidden_states)

    def embed(
        self, waveforms: Any, lengths: Any, training: bool = False, augment: Callable[..., Any] | None = None
    ) -> tuple[Any, Any]:
        """As in `SpeechEncoder`; the spectrogram is made inside."""
        n_mel = None
        if lengths is not None:  # whatever stands in the padding, even NaN, has no say
            waveforms = ops.where(spread(lengths, ops.shape(waveforms)[1]), waveforms, 0.0)
            n_mel = 2 * self.frame_count(lengths)
        mel = ops.transpose(self.log_mel(waveforms, n_mel), (0, 2, 1))
        return self._embed_mel(mel, n_mel, training, augment)

    def _embed_mel(
        self, mel: Any, n_mel: Any, training: bool, augment: Callable[..., Any] | None = None
    ) -> tuple[Any, Any]:
        mel = mel[:, : ops.shape(mel)[1] // 2 * 2]
        inner = mask = None
        if n_mel is not None:
            n_mel = n_mel // 2 * 2
            inner = spread(n_mel, ops.shape(mel)[1])
            mask = spread(n_mel // 2, ops.shape(mel)[1] // 2)
        if augment is not None:
            mel = augment(mel, n_mel, None)
        x = hide(gelu(self.conv1(hide(mel, inner))), inner)
        x = self._held(gelu(self.conv2(x)), 0)
        x = x + ops.cast(self.positions[: ops.shape(x)[1]], x.dtype)
        return self._held(self.dropout(x, training=training and self.n_frozen < 2), 1), mask

    def _front(self) -> list[Any]:
        return [self.conv1, self.conv2]

    def _last_norms(self) -> list[Any]:
        return [self.layer_norm]

    def _written(self) -> dict[str, NDArray[np.float32]]:
        return {f"model.encoder.{name}": array for name, array in super()._written().items()}

    def _written_config(self) -> dict[str, Any]:
        return {**super()._written_config(), "architectures": ["WhisperForConditionalGeneration"]}
