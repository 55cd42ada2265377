"""Encoders, and networks that listen through one, to files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from vocalbio.errors import ParameterError
from vocalbio.export.forward import encoder_form
from vocalbio.export.writing import check_export, write_export

if TYPE_CHECKING:
    from vocalbio.encoders import SpeechEncoder

__all__ = ["export_encoder", "export_end_to_end"]


def export_encoder(
    encoder: SpeechEncoder,
    path: str | os.PathLike[str],
    format: str = "litert",
    quantize: str | None = None,
    layers: int | str | Sequence[int] = "last",
) -> None:
    """
    Write an encoder as a file for another runtime.

    Parameters
    ----------
    encoder : SpeechEncoder
    path, format, quantize, layers
        As in `SpeechEncoder.export`.

    Raises
    ------
    ParameterError
        If an argument is wrong, or the encoder has no exported form.
    MissingPackageError
        If a package that the format needs is absent.
    """
    check_export(path, format, quantize)
    chosen = _layers(encoder, layers)
    import tensorflow as tf

    c = encoder.config
    # how many frames a recording has: Whisper's spectrogram and second convolution together are one of 20 ms
    is_convolved = hasattr(c, "conv_kernel")
    convolutions = list(zip(c.conv_kernel, c.conv_stride, strict=True)) if is_convolved else [(320, 320)]
    sizes = {
        "num_hidden_layers": encoder.n_layers,
        "encoder_layers": encoder.n_layers,
        "hidden_size": encoder.hidden_size,
    }
    metadata = {
        "kind": "encoder",
        "input": {"name": "waveform", "shape": [1, "n_samples"]},
        "outputs": ["states"],
        "layers": chosen,
        "config": {"model_type": encoder.model_type, **sizes},
        "weights": None if encoder.checkpoint is None else encoder.checkpoint.weights,
        "sampling_rate_hz": 16_000,
        "normalize": encoder.normalizes,
        "convolutions": convolutions,
        "frame_hop": encoder.frame_hop,
        "frame_centre": encoder.frame_centre,
        "fewest_samples": encoder.fewest_samples,
        "chunk_s": encoder.chunk_s,
    }
    form = encoder_form(encoder, chosen, as_products=quantize is not None)
    signature = tf.TensorSpec([1, None], tf.float32, name="waveform")
    write_export(path, form, signature, metadata, format=format, quantize=quantize)


def export_end_to_end(
    network: Any, path: str | os.PathLike[str], format: str = "litert", quantize: str | None = None
) -> None:
    """
    Write a network from samples to probabilities as a file for another runtime.

    Parameters
    ----------
    network : keras.Model
        From `vocalbio.networks.build_end_to_end`.
    path, format, quantize
        As in `SpeechEncoder.export`.

    Raises
    ------
    ParameterError
        If an argument is wrong, or the network is of another kind.
    MissingPackageError
        If a package that the format needs is absent.

    Notes
    -----
    `ModelRunner.predict` takes a list of recordings, samples at 16 kHz as recorded, and gives what the network gives:
    nothing is calibrated, and the file does not know the condition's classes.
    """
    check_export(path, format, quantize)
    import keras
    import tensorflow as tf

    speech = next((layer for layer in getattr(network, "layers", []) if hasattr(layer, "encoder")), None)
    if speech is None:
        raise ParameterError(f"network is {network!r}; expected one from vocalbio.networks.build_end_to_end")
    encoder = speech.encoder
    listen = encoder_form(encoder, speech.numbers, as_products=quantize is not None)
    head = keras.Model(speech.output, network.output)

    def run(waveform: Any) -> dict[str, Any]:
        if encoder.normalizes:
            waveform = waveform - tf.reduce_mean(waveform)
            waveform = waveform * tf.math.rsqrt(tf.reduce_mean(tf.square(waveform)) + 1e-7)
        states = listen(waveform)["states"]
        frames = tf.zeros_like(states[:1, :, 0]) > -1.0  # all there are
        parts = [states[number : number + 1] for number in range(len(speech.numbers))]
        return {"probabilities": head([*parts, frames], training=False)}

    metadata = {
        "kind": "EndToEnd",
        "input": {"name": "waveform", "shape": [1, "n_samples"]},
        "takes": "recordings",
        "outputs": ["probabilities"],
        "answer": [int(network.output_shape[-1])],
        "sampling_rate_hz": 16_000,
        "fewest_samples": encoder.fewest_samples,
    }
    signature = tf.TensorSpec([1, None], tf.float32, name="waveform")
    write_export(path, run, signature, metadata, format=format, quantize=quantize)


def _layers(encoder: SpeechEncoder, layers: int | str | Sequence[int]) -> list[int]:
    named = {"last": [encoder.n_layers], "all": list(range(encoder.n_layers + 1))}
    found: list[Any]
    if isinstance(layers, str):
        found = named.get(layers, [])
    else:
        found = list(layers) if isinstance(layers, Iterable) else [layers]
    fine = all(isinstance(layer, Integral) and int(layer) in named["all"] for layer in found)
    if not found or not fine or len(set(found)) < len(found):
        raise ParameterError(
            f"layers is {layers!r}; expected 'last', 'all', or some of 0 to {encoder.n_layers}, each once"
        )
    return [int(layer) for layer in found]
