"""Exported models say what the Keras models say, in both formats, and hold nothing that a small runtime lacks."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from vocalbio import MissingPackageError, ParameterError, Recording, RiskModel, Sequences, encoders, networks
from vocalbio.encoders.inference import Inference
from vocalbio.errors import VocalbioWarning
from vocalbio.export import EncoderRunner, ModelRunner, export_end_to_end, write_export
from vocalbio.risk import SeverityModel, WindowModel, load_shipped

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tf2onnx")

FORMATS = {"litert": ".tflite", "onnx": ".onnx"}
WAV2VEC2 = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
STABLE = {**WAV2VEC2, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
WHISPER = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 64}
ENCODERS = {
    "wav2vec2": (encoders.TFWav2Vec2Model, WAV2VEC2),
    "wav2vec2, stable": (encoders.TFWav2Vec2Model, STABLE),
    "hubert": (encoders.TFHubertModel, WAV2VEC2),
    "whisper": (encoders.TFWhisperEncoder, WHISPER),
}
if hasattr(encoders, "TFWavLMModel"):
    ENCODERS |= {"wavlm": (encoders.TFWavLMModel, WAV2VEC2), "wavlm, stable": (encoders.TFWavLMModel, STABLE)}


def operations(path) -> set[str]:
    """What a file asks of its runtime."""
    if path.suffix == ".onnx":
        import onnx

        return {f"{node.domain}:{node.op_type}" for node in onnx.load(path).graph.node}
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return {names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes}


def is_portable(path) -> bool:
    """Whether nothing is asked for beyond the runtime itself, such as TensorFlow's own kernels."""
    found = operations(path)
    return bool(found) and "CUSTOM" not in found and not any(name.startswith("Flex") for name in found)


def hum(n_samples: int, f0_hz: float = 150.0, offset: float = 0.05) -> np.ndarray:
    """A voice-like sound that swells and fades, with a recorder's constant offset."""
    t = np.arange(n_samples) / 16_000
    noise = 0.02 * np.random.default_rng(0).normal(size=n_samples)
    return (0.3 * np.sin(2 * np.pi * f0_hz * t) * (1 + np.sin(7 * t)) + noise + offset).astype(np.float32)


def slow_but(quick: str, cases) -> list:
    """Cases, tuples whose first entry is a name, or names; all but the quick one marked as slow."""
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=() if case[0] == quick else pytest.mark.slow) for case in cases]


@pytest.fixture(scope="module", params=slow_but("wav2vec2", ENCODERS))
def encoder(request):
    kind, config = ENCODERS[request.param]
    return kind(config)


# Encoders -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_an_exported_encoder_has_the_states_of_keras_for_recordings_of_any_length(encoder, format, tmp_path):
    path = tmp_path / f"tiny{FORMATS[format]}"
    encoder.export(path, format, layers="all")
    clips = [hum(16_000 * 31), hum(16_000), hum(8_001), hum(32_479), hum(1_600)]
    expected = Inference(encoder, [0, 1, 2]).pool(clips)
    runner = EncoderRunner(path)
    for (mean, deviation), (own_mean, own_deviation) in zip(expected, runner.pool(clips), strict=True):
        np.testing.assert_allclose(own_mean, mean, atol=1e-4)
        np.testing.assert_allclose(own_deviation, deviation, atol=1e-4)
    states, times_s = Inference(encoder, [2]).frames(clips[3])
    own_states, own_times_s = runner.choose([2]).frames(clips[3])
    np.testing.assert_allclose(own_states, states, atol=1e-4)
    np.testing.assert_array_equal(own_times_s, times_s)
    assert is_portable(path)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_int8_keeps_the_states_apart_and_quarters_the_layers(format, tmp_path, rng):
    encoder = encoders.TFWav2Vec2Model({**WAV2VEC2, "hidden_size": 128, "intermediate_size": 256})
    paths = {quantize: tmp_path / f"{quantize}{FORMATS[format]}" for quantize in (None, "int8")}
    for quantize, path in paths.items():
        encoder.export(path, format, quantize)
    clips = [
        hum(16_000, f0_hz) * gain for f0_hz, gain in zip(rng.uniform(80, 300, 12), rng.uniform(0.1, 1, 12), strict=True)
    ]
    means = {
        quantize: np.stack([found for found, _ in EncoderRunner(path).pool(clips)]) for quantize, path in paths.items()
    }
    exact, small = (values[:, 0] - values[:, 0].mean(axis=0) for values in means.values())
    cosines = np.sum(exact * small, axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(small, axis=1)
    assert np.median(cosines) > 0.9
    assert not np.array_equal(exact, small)
    assert paths["int8"].stat().st_size < 0.45 * paths[None].stat().st_size
    assert is_portable(paths["int8"])


def test_only_the_layers_asked_for_are_in_the_file(tmp_path):
    encoder = encoders.TFWhisperEncoder(WHISPER)
    encoder.export(tmp_path / "first.tflite", layers=1)
    encoder.export(tmp_path / "last.tflite")
    assert (tmp_path / "first.tflite").stat().st_size < (tmp_path / "last.tflite").stat().st_size
    runner = EncoderRunner(tmp_path / "first.tflite")
    states, _ = runner.frames(hum(16_000))
    np.testing.assert_allclose(states, Inference(encoder, [1]).frames(hum(16_000))[0], atol=1e-4)
    with pytest.raises(ParameterError, match=r"layers are \[2\]; .*first.tflite holds 1"):
        runner.choose([2])
    with pytest.raises(ParameterError, match="layers is 3; expected 'last', 'all', or some of 0 to 2"):
        encoder.export(tmp_path / "none.tflite", layers=3)


def test_an_encoder_of_another_architecture_is_refused_by_name(tmp_path):
    class Other(encoders.TFWhisperEncoder):
        model_type = "conformer"

    with pytest.raises(ParameterError, match="'conformer' has no exported form; expected 'wav2vec2'"):
        Other(WHISPER).export(tmp_path / "other.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_an_end_to_end_network_answers_alike(kind, tmp_path):
    build, config = ENCODERS[kind]
    network = networks.build_end_to_end(build(config), "stress", pooling="attention", seed=0)
    clips = [hum(16_000), hum(23_456, 220.0)]
    expected = [
        np.asarray(network({"waveform": clip[None], "mask": np.ones((1, len(clip)), bool)}, training=False))[0]
        for clip in clips
    ]
    for format, suffix in FORMATS.items():
        path = tmp_path / f"whole{suffix}"
        export_end_to_end(network, path, format)
        np.testing.assert_allclose(ModelRunner(path).predict(clips), expected, atol=1e-4)
        assert is_portable(path)
    with pytest.raises(ParameterError, match=r"expected one from vocalbio\.networks\.build_end_to_end"):
        export_end_to_end(networks.build_dense(4), tmp_path / "dense.onnx", "onnx")


# Risk models ----------------------------------------------------------------------------------------------------


def table(rng, n_rows: int = 40) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Six columns of two families with gaps, two classes, ten speakers."""
    y = np.arange(n_rows) % 2
    values = rng.normal(size=(n_rows, 6)) * [1, 10, 0.1, 1, 500, 1] + [0, 5, 0, -3, 5000, 0]
    values[:, 0] += 2 * y
    values[rng.random(values.shape) < 0.1] = np.nan
    names = [f"prosody__{i}" for i in range(4)] + ["voice__a", "voice__b"]
    return pd.DataFrame(values, columns=names), y, np.arange(n_rows) // 4


def sequences(rng, n: int = 16) -> tuple[Sequences, np.ndarray, np.ndarray]:
    """Recordings of one to eleven segments."""
    lengths = rng.integers(1, 12, n)
    lengths[0] = 1
    rows, _, _ = table(rng, int(lengths.sum()))
    start = pd.to_timedelta(np.concatenate([np.arange(length) for length in lengths]), unit="s")
    files = np.repeat([f"{i:02d}.wav" for i in range(n)], lengths)
    rows.index = pd.MultiIndex.from_arrays([files, start, start + pd.Timedelta("1s")], names=["file", "start", "end"])
    return Sequences.from_table(rows, by="file"), np.arange(n) % 2, np.arange(n) // 2


def compare(model, X, values, tmp_path, tolerance: float = 1e-5) -> None:
    expected = model.predict(X) if isinstance(model, SeverityModel) else model.predict_proba(X)
    for format, suffix in FORMATS.items():
        path = tmp_path / f"model{suffix}"
        model.export(path, format)
        np.testing.assert_allclose(ModelRunner(path).predict(values), expected, atol=tolerance)
        assert is_portable(path), operations(path)


@pytest.mark.parametrize(
    ("preset", "network"),
    slow_but(
        "small",
        [
            ("small", "dense"),
            ("published", "dense"),
            ("wav2vec2", "dense"),
            ("published", "hybrid"),
            ("small", "hybrid"),
        ],
    ),
)
def test_models_of_tables_answer_alike_gaps_and_all(network, preset, rng, tmp_path):
    X, y, speakers = table(rng)
    folds = 2 if (network, preset) == ("dense", "small") else 0
    model = RiskModel(
        "depression", network, preset=preset, epochs=2, interval_folds=folds, n_networks=2, random_state=0
    )
    model.fit(X, y, groups=speakers)
    compare(model, X, X.to_numpy(), tmp_path)


@pytest.mark.parametrize(
    ("preset", "network", "pooling"),
    slow_but(
        "small",
        [
            ("small", "bilstm", "attention"),
            ("night", "bilstm", None),
            ("published", "bilstm", "max"),
            ("small", "tcn", None),
            ("small", "transformer", "last"),
            ("small", "cnn", None),
        ],
    ),
)
def test_models_of_sequences_answer_alike_whatever_their_length(network, preset, pooling, rng, tmp_path):
    X, y, speakers = sequences(rng)
    model = RiskModel(
        "depression", network, preset=preset, pooling=pooling, epochs=1, interval_folds=0, random_state=0
    ).fit(X, y, groups=speakers)
    compare(model, X, list(X.values), tmp_path)


@pytest.mark.slow
def test_isotonic_calibration_of_three_classes_is_inside(rng, tmp_path):
    X, _, _ = table(rng, 90)
    y, speakers = np.array(["neutral", "sad", "anxious"])[np.arange(90) % 3], np.arange(90) // 9
    X["voice__a"] += 800 * (y == "sad")
    model = RiskModel("stress", preset="small", epochs=8, interval_folds=3, calibration="isotonic", random_state=0)
    model.fit(X, y, groups=speakers)
    compare(model, X, X.to_numpy(), tmp_path, tolerance=1e-4)  # curves have steep steps


@pytest.mark.slow
def test_a_severity_model_answers_alike_on_its_scale(rng, tmp_path):
    X, y, speakers = table(rng)
    model = SeverityModel("depression", preset="small", epochs=3, interval_folds=0, random_state=0)
    model.fit(X, 24.0 * y, groups=speakers)
    compare(model, X, X.to_numpy(), tmp_path, tolerance=1e-4)
    assert ModelRunner(tmp_path / "model.onnx").metadata["scale"] == [0.0, 24.0]


@pytest.mark.parametrize("format", FORMATS)
def test_the_shipped_model_answers_alike_in_a_file_that_tells_what_it_is(format, rng, tmp_path):
    model = load_shipped("stress")
    medians, spread = model.scaling_.medians, model.scaling_.spread[: model.n_features_in_]
    X = medians + rng.normal(size=(30, len(medians))) * np.where(np.isfinite(spread), spread, 1)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[3] = np.nan
    path = tmp_path / f"stress{FORMATS[format]}"
    model.export(path, format)
    runner = ModelRunner(path)
    np.testing.assert_allclose(runner.predict(X), model.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(runner.predict_score(X), model.predict_score(X), atol=1e-3)
    told = runner.metadata
    assert told["classes"] == ["neutral", "sad", "anxious"]
    assert told["columns"] == list(model.feature_names_in_)
    assert told["training"]["licence"] == model.manifest_["training"]["licence"]
    assert told["extractor"] == model.manifest_["extractor"]
    assert "speakers" not in told["training"]
    model.export(path, format, "int8")
    small = ModelRunner(path).predict(X)
    assert 1e-6 < np.nanmax(np.abs(small - model.predict_proba(X))) < 0.03
    assert is_portable(path)


# Nights ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def night():
    rng = np.random.default_rng(0)
    samples = 0.01 * rng.normal(size=16_000 * 160)
    starts = np.arange(5.0, 155.0, 4.0)
    snores = pd.DataFrame({"start_s": starts, "end_s": starts + 1.5})
    snores = snores[(snores.start_s < 59) | (snores.start_s > 80)]
    for start, end in snores.itertuples(index=False):
        samples[int(start * 16_000) : int(end * 16_000)] += 0.3 * np.sin(0.05 * np.arange(24_000))
    events = pd.DataFrame({"start_s": [60.0], "end_s": [80.0]})
    return Recording(samples.astype(np.float32), 16_000), events, snores


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "preset", "window_s"), [("cnn", "small", 30), ("bilstm", "small", 31), ("tcn", "small", 30)]
)
def test_a_model_of_nights_answers_alike_with_gaps_and_drop_outs(network, preset, window_s, night, tmp_path):
    model = WindowModel(network=network, preset=preset, window_s=window_s, epochs=1, hop_s=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VocalbioWarning)
        model.fit([night] * 2, groups=["a", "a"])
    context_s = model.context_s
    samples = night[0].samples[20 * 16_000 : (20 + 2 * context_s + 12) * 16_000].copy()
    samples[: 3 * 16_000] = np.nan
    samples[(context_s + 2) * 16_000 : (context_s + 4) * 16_000] = np.nan
    samples[(context_s + 8) * 16_000 : (context_s + 9) * 16_000] = 0
    expected = model.predict_seconds(samples)
    assert np.isnan(expected).any(axis=1).sum() == 3
    for format, suffix in FORMATS.items():
        path = tmp_path / f"night{suffix}"
        model.export(path, format)
        np.testing.assert_allclose(ModelRunner(path).predict(samples), expected, atol=1e-4)
        assert is_portable(path)


# What is refused ------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_told(tmp_path):
    encoder = encoders.TFWhisperEncoder(WHISPER)
    with pytest.raises(ParameterError, match="format is 'coreml'; expected one of 'litert', 'onnx'"):
        encoder.export(tmp_path / "x.mlmodel", "coreml")
    with pytest.raises(ParameterError, match="quantize is 'int4'; expected None or 'int8'"):
        encoder.export(tmp_path / "x.onnx", "onnx", "int4")
    with pytest.raises(ParameterError, match=r"format 'onnx' takes a name ending in \.onnx"):
        encoder.export(tmp_path / "x.tflite", "onnx")
    with pytest.raises(ParameterError, match="choose a folder that exists"):
        load_shipped("stress").export(tmp_path / "nowhere" / "x.onnx", "onnx")


@pytest.mark.parametrize(("format", "module"), [("litert", "ai_edge_litert"), ("onnx", "tf2onnx")])
def test_a_missing_package_comes_with_its_pip_line(format, module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"pip install 'vocalbio\[{format}\]'"):
        load_shipped("stress").export(tmp_path / f"x{FORMATS[format]}", format)


@pytest.mark.parametrize("format", FORMATS)
def test_an_operation_that_a_format_lacks_is_named(format, tmp_path):
    import tensorflow as tf

    signature = tf.TensorSpec([None, 4, 4], tf.float32, name="features")
    with pytest.raises(ParameterError, match=r"cannot be exported: .* has no Cholesky"):
        write_export(
            tmp_path / f"x{FORMATS[format]}",
            lambda x: {"y": tf.linalg.cholesky(x)},
            signature,
            {"kind": "x"},
            format=format,
        )
    assert not list(tmp_path.iterdir())
