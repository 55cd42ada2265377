"""Speech encoders as layers of a network that trains them: states, masked latents, rates layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

import vocalbio.encoders.pretrained  # noqa: F401 - makes all encoders known to Keras, for files
from vocalbio.networks.layers import registered

__all__ = ["LayerwiseAdamW", "SpecAugment", "SpeechStates"]


@registered
class SpecAugment(keras.layers.Layer):
    """
    Masks over time and over features, drawn anew in every step [1]_, as wav2vec 2.0 is fine-tuned [2]_.

    The number of masks is ``share * steps / length``, rounded up or down by chance; where each starts is drawn without
    replacement, so masks may overlap and the masked share is somewhat smaller.

    Parameters
    ----------
    time_masks, feature_masks : float
        Share of the steps, or of the features, that would be masked if no masks overlapped; 0: none.
    time_length, feature_length : int
        Steps, or features, of a mask.
    time_fewest : int
        Masks over time that every recording gets at least, as far as they fit.
    seed : int, optional

    References
    ----------
    .. [1] Park DS et al. SpecAugment: a simple data augmentation method for automatic speech recognition. Interspeech
       2019. doi:10.21437/Interspeech.2019-2680
    .. [2] Baevski A, Zhou Y, Mohamed A, Auli M. wav2vec 2.0: a framework for self-supervised learning of speech
       representations. NeurIPS 2020. arXiv:2006.11477

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.networks.speech import SpecAugment
    >>> masked = SpecAugment(time_masks=0.5, time_length=5, seed=0)(np.ones((1, 100, 4), "float32"))
    >>> set(np.unique(masked).tolist())
    {0.0, 1.0}
    """

    def __init__(
        self,
        time_masks: float = 0.0,
        time_length: int = 10,
        time_fewest: int = 0,
        feature_masks: float = 0.0,
        feature_length: int = 10,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.autocast = False
        self.time_masks, self.time_length, self.time_fewest = time_masks, time_length, time_fewest
        self.feature_masks, self.feature_length, self.seed = feature_masks, feature_length, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, values: Any, lengths: Any = None, fill: Any = None) -> Any:
        """
        Mask some of it.

        Parameters
        ----------
        values : tensor, shape (batch, n_steps, n_features)
        lengths : tensor of int, shape (batch,), optional
            Real steps; none beyond is masked.
        fill : tensor, shape (n_features,), optional
            What masked steps become; zeros by default, as masked features always do.

        Returns
        -------
        tensor, shape (batch, n_steps, n_features)
        """
        batch, n_steps, n_features = ops.shape(values)
        if self.time_masks > 0:
            lengths = ops.broadcast_to(n_steps, (batch,)) if lengths is None else ops.cast(lengths, "int32")
            fill = 0.0 if fill is None else ops.cast(fill, values.dtype)
            masked = self._masks(lengths, n_steps, self.time_masks, self.time_length, self.time_fewest)
            values = ops.where(masked[..., None], fill, values)
        if self.feature_masks > 0:
            every = ops.broadcast_to(n_features, (batch,))
            masked = self._masks(every, n_features, self.feature_masks, self.feature_length, 0)
            values = ops.where(masked[:, None], 0.0, values)
        return values

    def _masks(self, lengths: Any, n: Any, share: float, length: int, fewest: int) -> Any:
        """Shape (batch, n), True where a mask lies."""
        batch = ops.shape(lengths)[0]
        chance = keras.random.uniform((batch,), dtype="float32", seed=self.seed_generator)
        wanted = ops.cast(ops.floor(share * ops.cast(lengths, "float32") / length + chance), "int32")
        wanted = ops.minimum(ops.maximum(wanted, fewest), lengths // length)
        fits = ops.arange(n)[None] + length <= lengths[:, None]
        drawn = keras.random.uniform((batch, n), dtype="float32", seed=self.seed_generator)
        rank = ops.argsort(ops.argsort(ops.where(fits, drawn, 2.0), axis=1), axis=1)
        begun = ops.cumsum(ops.cast((rank < wanted[:, None]) & fits, "int32"), axis=1)
        ended = ops.pad(begun, [[0, 0], [length, 0]])[:, :n]
        return begun > ended

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        names = ("time_masks", "time_length", "time_fewest", "feature_masks", "feature_length", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@registered
class SpeechStates(keras.layers.Layer):
    """
    States of some layers of a speech encoder, from samples.

    The encoder is taken as it is, not copied: training changes it. It gets the dtype policy of this layer.

    Parameters
    ----------
    encoder : SpeechEncoder
    layers : sequence of int
        Hidden states, 0 to ``encoder.n_layers``. Nothing beyond the highest is computed or trained.
    freeze : {"front", "all"}, int or None
        As in `vocalbio.encoders.SpeechEncoder.freeze`.
    augment : SpecAugment, optional
        In training, on what enters the transformer (wav2vec 2.0 and its kin: masked frames become the checkpoint's
        learnt vector where it has one) or on the spectrogram (Whisper).

    Attributes
    ----------
    encoder : SpeechEncoder
        Its ``save_pretrained`` writes what was trained.
    """

    supports_jit = False  # XLA would compile anew for every length of a batch

    def __init__(
        self,
        encoder: Any,
        layers: Sequence[int],
        freeze: str | int | None = "front",
        augment: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.autocast = False
        self.encoder, self.numbers, self.frozen, self.augment = encoder, [int(n) for n in layers], freeze, augment
        encoder.freeze(freeze)
        highest = max(self.numbers)
        if highest < encoder.n_layers:
            for part in encoder.parts()[highest + 2 :]:
                for layer in part:
                    layer.trainable = False
        for layer in encoder._flatten_layers():
            layer.dtype_policy = self.dtype_policy
        self.built = True

    def call(self, waveforms: Any, mask: Any = None, training: bool = False) -> Any:
        """
        Listen.

        Parameters
        ----------
        waveforms : tensor of float32, shape (batch, n_samples)
            16 kHz, as recorded; normalised here if the encoder wants it. Padded on the right with anything.
        mask : tensor of bool, shape (batch, n_samples)
            True for real samples.
        training : bool

        Returns
        -------
        tuple of tensor
            States, one a layer, of shape (batch, n_frames, hidden_size); last the mask of frames, of bool and shape
            (batch, n_frames).
        """
        lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        waveforms = ops.where(mask, ops.cast(waveforms, "float32"), 0.0)
        if self.encoder.normalizes:
            n = ops.cast(lengths, "float32")[:, None]
            waveforms = ops.where(mask, waveforms - ops.sum(waveforms, axis=1, keepdims=True) / n, 0.0)
            variance = ops.sum(ops.square(waveforms), axis=1, keepdims=True) / n
            waveforms = waveforms * ops.rsqrt(variance + 1e-7)
        x, frames = self.encoder.embed(waveforms, lengths, training, self.augment if training else None)
        return (*self.encoder.transform(x, frames, self.numbers, training), frames)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Nothing: every layer that needs the mask is told."""

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        parts = {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "augment": None if self.augment is None else keras.saving.serialize_keras_object(self.augment),
        }
        return {**super().get_config(), **parts, "layers": self.numbers, "freeze": self.frozen}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SpeechStates:
        """Take up what `get_config` gave."""
        parts = {
            name: config[name] and keras.saving.deserialize_keras_object(config[name])
            for name in ("encoder", "augment")
        }
        return cls(**{**config, **parts})


@registered
class LayerwiseAdamW(keras.optimizers.Adam):
    """
    AdamW [1]_ with a learning rate of its own for each variable.

    Adam divides gradients by their own size, so a gradient that is made smaller moves a weight as far as before. Here
    the step itself is scaled, and the weight decay with it. Biases and gains do not decay.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    rates : mapping of str to float, optional
        Factors of the learning rate by ``path`` of the variable; 1 for others.
    weight_decay : float
    **settings
        Of `keras.optimizers.Adam`, such as ``global_clipnorm``.

    References
    ----------
    .. [1] Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019. arXiv:1711.05101

    Examples
    --------
    >>> import keras
    >>> from vocalbio.networks.speech import LayerwiseAdamW
    >>> weight = keras.Variable([1.0], name="weight")
    >>> LayerwiseAdamW(0.5, {weight.path: 0.1}).apply([[1.0]], [weight])
    >>> round(float(weight[0]), 3)
    0.95
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        rates: Mapping[str, float] | None = None,
        weight_decay: float = 0.0,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, **settings)
        self.rates, self.shrinkage = dict(rates or {}), weight_decay
        self.factors: list[float] = []

    def build(self, variables: Any) -> None:
        """Make the moments for these variables."""
        if not self.built:
            self.factors = [self.rates.get(variable.path, 1.0) for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable."""
        learning_rate = learning_rate * self.factors[self._get_variable_index(variable)]
        if self.shrinkage and len(variable.shape) > 1:
            self.assign_sub(variable, variable * ops.cast(learning_rate * self.shrinkage, variable.dtype))
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        return {**super().get_config(), "rates": self.rates, "weight_decay": self.shrinkage}
