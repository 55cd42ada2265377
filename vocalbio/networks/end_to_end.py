"""A speech encoder, pooling and a head in one network: samples in, class probabilities out."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from vocalbio.conditions import get_condition
from vocalbio.errors import ParameterError, required_for
from vocalbio.networks.head import attach_output, seeds
from vocalbio.networks.pooling import ATTENTION_UNITS

if TYPE_CHECKING:
    import keras

    from vocalbio.encoders import SpeechEncoder

__all__ = ["build_end_to_end"]

POOLINGS = ("mean", "mean+std", "attention")
PRECISIONS = (None, "float32", "mixed_bfloat16", "mixed_float16")


def build_end_to_end(
    encoder: SpeechEncoder,
    condition: str,
    *,
    layer: int | str = "weighted",
    pooling: str = "mean+std",
    freeze: str | int | None = "front",
    time_masks: float = 0.05,
    feature_masks: float = 0.0,
    dropout: float = 0.1,
    learning_rate: Any = 1e-3,
    encoder_rate: float = 0.1,
    layer_decay: float = 0.9,
    weight_decay: float = 0.01,
    dtype: str | None = None,
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a network that trains a speech encoder for a condition.

    Samples, encoder, pooling over time, standardisation, dropout, output.

    Parameters
    ----------
    encoder : SpeechEncoder
        From `vocalbio.encoders.load_encoder`. It becomes part of the network: training changes it, and its
        ``save_pretrained`` writes the result.
    condition : {"depression", "stress", "apnea"}
        Two classes are one sigmoid, output shape (batch, 1); three a softmax, output shape (batch, 3), for one-hot
        targets in the order of ``get_condition(condition).classes``. One answer a clip: for apnea, of a window.
    layer : int, "last" or "weighted"
        Hidden state that is pooled; what lies above it is neither computed nor trained. ``"weighted"``: all of them,
        summed with learnt weights [1]_.
    pooling : {"mean", "mean+std", "attention"}
        Over real frames; ``"attention"``: mean and deviation weighted as is learnt [2]_.
    freeze : {"front", "all"}, int or None
        What stays as it is: ``"front"``, the convolutions that hear the samples; a number, all before the first layer
        and that many layers; ``"all"``, the encoder; None, nothing. No gradient is computed there, and no dropout
        happens.
    time_masks, feature_masks : float, 0 to 1
        SpecAugment, in training: share of frames, and of features, that would be masked if no masks overlapped. In
        wav2vec 2.0 and its kin on the latent features, masked frames becoming the checkpoint's learnt vector where it
        has one; in Whisper on the spectrogram. Lengths of masks are the checkpoint's.
    dropout : float, 0 to 1
        Before the output. Dropout inside the encoder is the checkpoint's.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Of pooling and head.
    encoder_rate : float
        Share of it for the highest layer of the encoder.
    layer_decay : float, 0 to 1
        Factor from each layer to the one below [3]_; 1: all alike.
    weight_decay : float
        Decoupled, of matrices only.
    dtype : {None, "float32", "mixed_bfloat16", "mixed_float16"}
        Precision of the encoder; pooling and head are float32 always. None: Keras' global policy.
    seed : int, optional
        Fixes head, dropout and masks. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled: `vocalbio.networks.speech.LayerwiseAdamW`, gradients cut to a norm of 1, cross-entropy, accuracy and
        AUC. Two inputs, ``{"waveform": ..., "mask": ...}``: samples as recorded, 16 kHz, of shape (batch, n_samples),
        and bool of the same shape, True for real samples, which come first.
        ``get_layer("speech").encoder`` is the encoder.

    Raises
    ------
    ParameterError
        If an argument is wrong.
    MissingPackageError
        If Keras is not installed.

    Notes
    -----
    What stands in the padding, and how much of it there is, changes nothing. Every clip needs one frame at least
    (``encoder.fewest_samples``), and Whisper hears 30 s at most. The layer drop of a checkpoint's configuration is not
    applied, and the vector that stands for masked frames is not trained.

    The output of pooling is standardised by the batch in training (`keras.layers.BatchNormalization`): some channels of
    a hidden state are a thousand times larger than others, and a head that shares one learning rate among them would
    learn from those alone. So batches should hold eight clips or more.

    References
    ----------
    .. [1] Yang S et al. SUPERB: speech processing universal performance benchmark. Interspeech 2021:1194-1198.
       doi:10.21437/Interspeech.2021-1775
    .. [2] Okabe K, Koshinaka T, Shinoda K. Attentive statistics pooling for deep speaker embedding. Interspeech
       2018:2252-2256. doi:10.21437/Interspeech.2018-993
    .. [3] Clark K, Luong M-T, Le QV, Manning CD. ELECTRA: pre-training text encoders as discriminators rather than
       generators. ICLR 2020. arXiv:2003.10555

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.encoders import TFWav2Vec2Model
    >>> from vocalbio.networks import build_end_to_end
    >>> encoder = TFWav2Vec2Model({"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    ...     "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
    ...     "num_conv_pos_embedding_groups": 2})
    >>> network = build_end_to_end(encoder, "stress", freeze=1, seed=0)
    >>> network({"waveform": np.zeros((2, 8_000), "float32"), "mask": np.ones((2, 8_000), bool)}).shape
    TensorShape([2, 3])
    """
    with required_for("building a network", "tensorflow"):
        import keras

        from vocalbio.networks import layers
        from vocalbio.networks.speech import SpecAugment, SpeechStates

    seed_of = seeds(seed)
    kind = get_condition(condition)
    numbers = _layers_of(encoder, layer)
    _check_training(learning_rate, dtype)
    if pooling not in POOLINGS:
        raise ParameterError(f"pooling is {pooling!r}; expected one of {', '.join(map(repr, POOLINGS))}")
    shares = {"time_masks": time_masks, "feature_masks": feature_masks, "dropout": dropout, "layer_decay": layer_decay}
    for name, value in {**shares, "encoder_rate": encoder_rate, "weight_decay": weight_decay}.items():
        most = 1.0 if name in shares else float("inf")
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value <= most:
            raise ParameterError(
                f"{name} is {value!r}; expected a number of at least 0{' and at most 1' * (most == 1)}"
            )

    augment = None
    if time_masks or feature_masks:
        c = encoder.config
        time = time_masks, c.mask_time_length, c.mask_time_min_masks
        augment = SpecAugment(*time, feature_masks, c.mask_feature_length, seed=next(seed_of))
    speech = SpeechStates(encoder, numbers, freeze, augment, dtype=dtype, name="speech")
    if seed is not None:
        _seed_dropout(encoder, seed_of)

    waveform = keras.Input((None,), dtype="float32", name="waveform")
    mask = keras.Input((None,), dtype="bool", name="mask")
    *states, frames = speech(waveform, mask=mask)
    hidden = layers.WeightedSum(dtype="float32", name="layers")(states) if len(states) > 1 else states[0]
    if pooling == "mean":
        pool = keras.layers.GlobalAveragePooling1D(dtype="float32", name="pooling")
    elif pooling == "mean+std":
        pool = layers.StatisticsPooling(dtype="float32", name="pooling")
    else:
        start = keras.initializers.GlorotUniform(next(seed_of))
        pool = layers.AttentivePooling(ATTENTION_UNITS, start, dtype="float32", name="pooling")
    hidden = pool(hidden, mask=frames)
    hidden = keras.layers.BatchNormalization(
        momentum=0.9, center=False, scale=False, dtype="float32", name="standardised"
    )(hidden)
    hidden = keras.layers.Dropout(dropout, seed=next(seed_of), dtype="float32", name="dropout")(hidden)
    optimizer = _optimizer(encoder, max(numbers), learning_rate, encoder_rate, layer_decay, weight_decay)
    if speech.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    n_outputs = 1 if kind.classes is None else len(kind.classes)
    inputs = {"waveform": waveform, "mask": mask}
    return attach_output(inputs, hidden, n_outputs, optimizer, next(seed_of), "cross_entropy")


def _layers_of(encoder: Any, layer: int | str) -> list[int]:
    from vocalbio.encoders.encoder import SpeechEncoder

    if not isinstance(encoder, SpeechEncoder):
        raise ParameterError(f"encoder is {encoder!r}; expected one from vocalbio.encoders, such as load_encoder gives")
    if layer == "weighted":
        return list(range(encoder.n_layers + 1))
    number = encoder.n_layers if layer == "last" else layer
    if not isinstance(number, Integral) or isinstance(number, bool) or not 0 <= number <= encoder.n_layers:
        raise ParameterError(
            f"layer is {layer!r}; expected 'weighted', 'last' or a number from 0 to {encoder.n_layers}"
        )
    return [int(number)]


def _check_training(learning_rate: Any, dtype: Any) -> None:
    import keras

    is_rate = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool) and 0 < float(learning_rate) < 1e9
    if not is_rate and not isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ParameterError(f"learning_rate is {learning_rate!r}; expected a number above 0, or a schedule of Keras")
    if dtype not in PRECISIONS:
        raise ParameterError(f"dtype is {dtype!r}; expected one of {', '.join(map(repr, PRECISIONS))}")


def _seed_dropout(encoder: Any, seed_of: Iterator[int | None]) -> None:
    """Start the encoder's dropout from seeds of ours."""
    for layer in encoder._flatten_layers():
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign([next(seed_of), 0])


def _optimizer(
    encoder: Any, highest: int, learning_rate: Any, encoder_rate: float, layer_decay: float, weight_decay: float
) -> Any:
    """AdamW, slower from layer to layer on the way down."""
    from vocalbio.networks.speech import LayerwiseAdamW

    rates = {
        weight.path: encoder_rate * layer_decay ** max(0, highest + 1 - part)
        for part, own in enumerate(encoder.parts())
        for layer in own
        for weight in layer.trainable_weights
    }
    return LayerwiseAdamW(learning_rate, rates, weight_decay, global_clipnorm=1.0)
