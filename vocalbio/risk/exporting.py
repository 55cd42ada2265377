"""Fitted models to files for other runtimes: imputation, scaling, network and calibration in one graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.conditions import get_condition
from vocalbio.errors import ParameterError
from vocalbio.export.forward import EXACT
from vocalbio.export.recurrent import plain_loops
from vocalbio.export.writing import check_export, write_export
from vocalbio.risk.calibration import LEAST, Isotonic, Temperature
from vocalbio.risk.scaling import LIMIT

if TYPE_CHECKING:
    from vocalbio.risk.base import VoiceModel
    from vocalbio.risk.scaling import Scaling
    from vocalbio.risk.window import WindowModel

__all__ = ["export_voice_model", "export_window_model"]

Outputs = Mapping[str, Any]


def export_voice_model(
    model: VoiceModel, path: str | os.PathLike[str], format: str = "litert", quantize: str | None = None
) -> None:
    """
    Write a fitted `RiskModel` or `SeverityModel` as a file for another runtime.

    Parameters
    ----------
    model : RiskModel or SeverityModel
    path, format, quantize
        As in `RiskModel.export`.

    Raises
    ------
    ParameterError
        If an argument is wrong, or a layer cannot be exported.
    MissingPackageError
        If a package that the format needs is absent.
    """
    check_export(path, format, quantize)
    import tensorflow as tf

    manifest = model.manifest_
    classes = getattr(model, "classes_", None)
    convert, facts = _severity(model) if classes is None else _probabilities(model)
    network = model.network_

    def run(features: Any) -> Outputs:
        values = _scaled(features, model.scaling_)
        return convert(_one_sequence(network, values[None]) if model._sequential else network(values, training=False))

    metadata = {
        "kind": manifest["model"],
        "input": {
            "name": "features",
            "shape": ["n_segments" if model._sequential else "n_samples", model.n_features_in_],
        },
        "takes": "sequences" if model._sequential else "rows",
        "n_features": model.n_features_in_,
        **{name: manifest[name] for name in ("condition", "columns", "extractor", "threshold", "interval_reason")},
        "training": {key: value for key, value in manifest["training"].items() if key not in ("speakers", "cohorts")},
        **facts,
    }
    signature = tf.TensorSpec([None, model.n_features_in_], tf.float32, name="features")
    with plain_loops(network):
        write_export(path, run, signature, metadata, format=format, quantize=quantize)


def _one_sequence(network: Any, values: Any, mask: Any = None) -> Any:
    """Outputs for values of shape (1, n_steps, n); all steps exist unless the mask says otherwise."""
    import tensorflow as tf

    if mask is None:
        mask = tf.zeros_like(values[..., 0]) > -1.0
    return network([values, mask], training=False)


def _scaled(features: Any, scaling: Scaling) -> Any:
    """As `Scaling.transform`, NaN and all."""
    import tensorflow as tf

    missing = tf.math.is_nan(features)
    values = tf.where(missing, scaling.medians.astype(np.float32), features)
    if scaling.indicated.any():
        flags = tf.gather(tf.cast(missing, tf.float32), np.flatnonzero(scaling.indicated), axis=1)
        values = tf.concat([values, flags], axis=1)
    narrow = (1 / scaling.spread).astype(np.float32)  # an infinite spread leaves 0
    scaled = (values - scaling.centre.astype(np.float32)) * narrow
    return tf.clip_by_value(scaled, -LIMIT, LIMIT) * scaling.weight.astype(np.float32)


# Outputs --------------------------------------------------------------------------------------------------------


def _probabilities(model: Any) -> tuple[Callable[[Any], Outputs], dict[str, Any]]:
    import tensorflow as tf

    calibrate = _calibration(model.calibration_)
    score_weights = get_condition(model.condition).score_weights
    weights = None if score_weights is None else model._score_weights().astype(np.float32)

    def convert(outputs: Any) -> Outputs:
        if outputs.shape[-1] == 1:
            outputs = tf.concat([1 - outputs, outputs], axis=1)
        found = {"probabilities": calibrate(outputs / tf.reduce_sum(outputs, axis=1, keepdims=True))}
        if weights is not None:
            found["score"] = tf.reduce_sum(found["probabilities"] * weights, axis=1)
        return found

    facts = {
        "outputs": ["probabilities"] if weights is None else ["probabilities", "score"],
        "answer": [len(model.classes_)],
        "classes": [label.item() if isinstance(label, np.generic) else label for label in model.classes_],
        "calibration": model.calibration if model.calibration_ is not None else None,
    }
    return convert, facts


def _severity(model: Any) -> tuple[Callable[[Any], Outputs], dict[str, Any]]:
    import tensorflow as tf

    low, high = model._limits()

    def convert(outputs: Any) -> Outputs:
        values = model.target_centre_ + model.target_spread_ * outputs[:, 0]
        return {"severity": tf.clip_by_value(values, low, high)}

    return convert, {"outputs": ["severity"], "answer": [], "scale": [low, high]}


def _calibration(calibration: Any) -> Callable[[Any], Any]:
    if calibration is None:
        return lambda probabilities: probabilities
    if isinstance(calibration, Temperature):
        return _temperature(calibration)
    return _isotonic(calibration)


def _temperature(calibration: Temperature) -> Callable[[Any], Any]:
    import tensorflow as tf

    scale, bias = calibration.scale.astype(np.float32), calibration.bias.astype(np.float32)
    return lambda found: tf.nn.softmax(scale * tf.math.log(tf.clip_by_value(found, LEAST, 1.0)) + bias)


def _isotonic(calibration: Isotonic) -> Callable[[Any], Any]:
    """The curves as sums of ramps, since no runtime interpolates."""
    import tensorflow as tf

    def ramps(found: Any, code: int) -> Any:
        _, x, y = calibration.steps[calibration.steps[:, 0] == code].T
        widths = np.diff(x)
        slopes = np.diff(y) / np.where(widths > 0, widths, 1)
        risen = tf.clip_by_value(found[:, code, None] - x[:-1].astype(np.float32), 0.0, widths.astype(np.float32))
        return float(y[0]) + tf.reduce_sum(risen * slopes.astype(np.float32), axis=1)

    def transform(found: Any) -> Any:
        n_classes = found.shape[1]
        if n_classes == 2:
            second = ramps(found, 1)
            return tf.stack([1 - second, second], axis=1)
        curves = tf.stack([ramps(found, code) for code in range(n_classes)], axis=1) + LEAST
        return curves / tf.reduce_sum(curves, axis=1, keepdims=True)

    return transform


# Nights ---------------------------------------------------------------------------------------------------------


def export_window_model(
    model: WindowModel, path: str | os.PathLike[str], format: str = "litert", quantize: str | None = None
) -> None:
    """
    Write a fitted `WindowModel` as a file for another runtime: one second and its context in, probabilities out.

    Parameters
    ----------
    model : WindowModel
        Of log-mel frames.
    path, format, quantize
        As in `WindowModel.export`.

    Raises
    ------
    ParameterError
        If an argument is wrong, or the model listens through an encoder.
    MissingPackageError
        If a package that the format needs is absent.
    """
    check_export(path, format, quantize)
    if model.features != "log_mel":
        raise ParameterError(
            f"the model listens through the encoder {model.features!r}; only models of features='log_mel' can be "
            "exported"
        )
    import tensorflow as tf

    from vocalbio.risk.window import RATE_HZ

    manifest = model.manifest
    n_samples = (2 * model.context_s + 1) * RATE_HZ
    metadata = {
        "kind": manifest["model"],
        "input": {"name": "waveform", "shape": [n_samples]},
        "takes": "samples",
        "outputs": ["probabilities"],
        "answer": [len(model.classes_)],
        "sampling_rate_hz": RATE_HZ,
        "condition": model.condition,
        "classes": list(model.classes_),
        "context_s": model.context_s,
        "calibration": None if model.calibration_ is None else "temperature",
        "training": {key: value for key, value in manifest["training"].items() if key not in ("people", "nights")},
        "validation": manifest["validation"],
    }
    signature = tf.TensorSpec([n_samples], tf.float32, name="waveform")
    with plain_loops(model.network_):
        write_export(path, _second(model), signature, metadata, format=format, quantize=quantize)


def _second(model: WindowModel) -> Callable[[Any], Outputs]:
    """As `WindowModel.predict_seconds` for one second."""
    import tensorflow as tf

    n_frames, half, rate = model._n_frames, model._half, model.frames_per_s
    first = model.context_s * rate - half
    levels, calibrate = _levels(model), _calibration(model.calibration_)

    def run(waveform: Any) -> Outputs:
        window, present = (part[first : first + n_frames] for part in levels(waveform))
        inputs = _window_inputs(model, window, present)
        outputs = (
            model.network_(inputs[0], training=False)
            if model.network == "cnn"
            else _one_sequence(model.network_, *inputs)
        )
        heard = tf.reduce_max(tf.cast(present[half : half + rate], tf.float32))
        return {"probabilities": tf.where(heard > 0.5, calibrate(outputs), np.float32(np.nan))}

    return run


def _levels(model: WindowModel) -> Callable[[Any], tuple[Any, Any]]:
    """Levels of mel bands in dB, (n_frames, n_bands), and which frames there are."""
    import tensorflow as tf

    from vocalbio.risk.window import LOWEST_DB, PIECE, RATE_HZ

    ear = model._ear
    angles = 2 * np.pi / PIECE * np.outer(np.arange(PIECE), np.arange(PIECE // 2 + 1))
    taper = ear._taper.astype(float)[:, None]
    fourier = (taper * np.hstack([np.cos(angles), np.sin(angles)])).astype(np.float32)
    filters = np.tile(ear._filters, (2, 1)).astype(np.float32)

    def run(waveform: Any) -> tuple[Any, Any]:
        frames = tf.reshape(waveform, (-1, RATE_HZ // model.frames_per_s))
        gaps = tf.math.is_nan(frames)
        frames = tf.where(gaps, 0.0, frames)
        silent = tf.reduce_max(frames, axis=1) <= tf.reduce_min(frames, axis=1)
        present = tf.logical_not(silent | (tf.reduce_max(tf.cast(gaps, tf.float32), axis=1) > 0.5))
        with tf.name_scope(EXACT):
            pieces = tf.nn.conv1d(frames[..., None], fourier[:, None], PIECE // 2, "VALID")
            power = tf.matmul(tf.reduce_mean(tf.square(pieces), axis=1), filters)
        return (10 / np.log(10)) * tf.math.log(tf.maximum(power, 10 ** (LOWEST_DB / 10))), present

    return run


def _window_inputs(model: WindowModel, window: Any, present: Any) -> list[Any]:
    """As `WindowModel._inputs`, for one window."""
    import tensorflow as tf

    from vocalbio.risk.window import FLOOR_QUANTILE
    from vocalbio.risk.window import LIMIT as FARTHEST

    n = model._n_frames
    there = tf.cast(present, tf.float32)
    n_present = tf.reduce_sum(there)
    # the lowest tenth: what is missing sorts behind
    ordered = -tf.math.top_k(-tf.transpose(tf.where(present[:, None], window, 1e9)), n).values
    place = tf.cast(tf.floor(FLOOR_QUANTILE * tf.maximum(n_present - 1, 0.0) + 1e-4), tf.int32)
    above = window - tf.gather(ordered, place, axis=1)
    narrow = (1 / model._spread.astype(float)).astype(np.float32)
    values = tf.clip_by_value((above - model._centre) * narrow, -FARTHEST, FARTHEST)
    values = tf.where(present[:, None], values, 0.0)
    if model.network == "cnn":
        return [values[None]]
    sides = slice(0, (n + 1) // 2), slice(n - 1, n // 2 - 1, -1)
    n_steps = (n + 1) // 2
    beside = tf.stack([there[side] for side in sides], axis=1)
    distance = np.linspace(1, 0, n_steps, dtype=np.float32)[:, None]
    values = tf.concat([*(values[side] for side in sides), beside, distance], axis=1)
    mask = tf.reduce_max(beside, axis=1)
    # steps that exist come first, in their order
    order = tf.math.top_k(mask * (2 * n_steps) - np.arange(n_steps, dtype=np.float32), n_steps).indices
    return [tf.gather(values, order)[None], (tf.gather(mask, order) > 0.5)[None]]
