"""Exported files run with numpy and one small runtime; what is no such file is refused in words."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest

from vocalbio import Embedding, MissingPackageError, ModelFileError, ParameterError, Recording, extract_features
from vocalbio.encoders import TFWhisperEncoder
from vocalbio.export import EncoderRunner, ModelRunner
from vocalbio.export.pieces import cut
from vocalbio.risk import load_shipped

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tf2onnx")

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx"}
HEAVY = ("tensorflow", "keras", "transformers", "torch", "sklearn", "tf2onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny encoder as a checkpoint and as files, all layers in it, and the shipped model as files."""
    folder = tmp_path_factory.mktemp("exported")
    encoder = TFWhisperEncoder(
        {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    )
    encoder.save_pretrained(folder / "tiny")
    for format, suffix in SUFFIXES.items():
        encoder.export(folder / f"tiny{suffix}", format, layers="all")
        load_shipped("stress").export(folder / f"stress{suffix}", format)
    return folder


@pytest.fixture
def recordings(rng):
    t = np.arange(24_000) / 16_000
    tones = [0.2 * np.sin(2 * np.pi * f0_hz * t) + 0.01 * rng.normal(size=len(t)) for f0_hz in (110, 220)]
    return [Recording(tone.astype(np.float32), 16_000) for tone in tones]


@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_no_framework_is_loaded_to_run_a_file_or_to_extract_features_with_it(folder, suffix):
    code = f"""
        import sys

        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {HEAVY[:4] + HEAVY[5:]}:
                    raise ImportError(f"{{name}} is blocked")

        sys.meta_path.insert(0, Blocked())
        import numpy as np
        from vocalbio.export import EncoderRunner, ModelRunner
        tone = (0.1 * np.sin(np.arange(16_000) / 9)).astype("float32")
        assert EncoderRunner("tiny{suffix}").pool([tone])[0][0].shape == (3, 16)
        runner = ModelRunner("stress{suffix}")
        assert abs(runner.predict(np.zeros((2, runner.metadata["n_features"]))).sum() - 2) < 1e-5
        assert not {{"sklearn", "pandas"}} & set(sys.modules), "numpy is all that running takes"
        from vocalbio import Embedding, Recording, extract_features
        X = extract_features([Recording(tone, 16_000)], [Embedding("tiny{suffix}", layer=1)])
        assert X.filter(like="tiny_L1__").notna().all(axis=None)
        assert not {{"tensorflow", "keras"}} & set(sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("suffix", SUFFIXES.values())
@pytest.mark.parametrize("layer", [1, "last", "mean", "all", (0, 2)])
def test_an_embedding_of_a_file_has_the_names_and_numbers_of_its_checkpoint(folder, suffix, layer, recordings):
    checkpoint = Embedding(folder / "tiny", layer=layer, pooling="mean+std")
    exported = Embedding(folder / f"tiny{suffix}", layer=layer, pooling="mean+std")
    expected, found = (extract_features(recordings, [family]) for family in (checkpoint, exported))
    assert list(found.columns) == list(expected.columns)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    frames, reference = exported.frames(recordings[0]), checkpoint.frames(recordings[0])
    np.testing.assert_allclose(frames.values, reference.values, atol=1e-4)
    assert frames.names == reference.names


def test_an_embedding_insists_on_the_file_that_it_was_trained_with(folder):
    settings = Embedding(folder / "tiny.onnx").settings()
    assert settings["weights"] == EncoderRunner(folder / "tiny.onnx").weights
    assert settings["weights"] != Embedding(folder / "tiny.tflite").settings()["weights"]
    with pytest.raises(ModelFileError, match="expected sha256:0"):
        Embedding(folder / "tiny.onnx", weights="sha256:0").load()
    with pytest.raises(ParameterError, match="takes recordings as they are"):
        Embedding(folder / "tiny.onnx", padded=True)


def test_long_recordings_are_cut_where_the_checkpoint_cuts_them(folder):
    encoder, runner = TFWhisperEncoder.from_pretrained(folder / "tiny"), EncoderRunner(folder / "tiny.tflite")
    for n_samples in (480_000, 480_001, 700_000, 959_999, 1_600_123):
        assert cut(n_samples, runner) == cut(n_samples, encoder)


@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_a_row_of_nothing_has_no_answer_and_another_shape_is_refused(folder, suffix):
    runner = ModelRunner(folder / f"stress{suffix}")
    rows = np.zeros((3, runner.metadata["n_features"]))
    rows[1] = np.nan
    assert np.isnan(runner.predict(rows)).any(axis=1).tolist() == [False, True, False]
    with pytest.raises(ParameterError, match=rf"values have shape \(3, 5\); expected \(n, {rows.shape[1]}\)"):
        runner.predict(rows[:, :5])
    with pytest.raises(ParameterError, match="finite"):
        runner.predict(np.full_like(rows, np.inf))


def test_too_short_a_recording_is_refused(folder):
    with pytest.raises(ParameterError, match=r"shape \(100,\); expected \(n_samples,\), at least 320"):
        EncoderRunner(folder / "tiny.onnx").pool([np.zeros(100, np.float32)])


def test_what_is_no_export_of_ours_is_refused_in_words(folder, tmp_path):
    with pytest.raises(ModelFileError, match="does not exist"):
        ModelRunner(tmp_path / "absent.tflite")
    (tmp_path / "model.pt").write_bytes(b"...")
    with pytest.raises(ModelFileError, match=r"ends in '\.pt'; expected \.tflite or \.onnx"):
        ModelRunner(tmp_path / "model.pt")
    for suffix in SUFFIXES.values():
        (tmp_path / f"noise{suffix}").write_bytes(b"no model" * 100)
        with pytest.raises(ModelFileError, match="is no model of its kind, or it is damaged"):
            ModelRunner(tmp_path / f"noise{suffix}")
    with pytest.raises(ModelFileError, match="holds a model of kind 'encoder'; ModelRunner runs 'RiskModel'"):
        ModelRunner(folder / "tiny.onnx")
    with pytest.raises(ModelFileError, match="holds a model of kind 'RiskModel'; EncoderRunner runs 'encoder'"):
        EncoderRunner(folder / "stress.tflite")


def test_a_model_without_our_description_is_refused(folder, tmp_path):
    content = (folder / "stress.tflite").read_bytes()
    with zipfile.ZipFile(folder / "stress.tflite") as archive:
        length = min(entry.header_offset for entry in archive.infolist())
        text = archive.read("vocalbio.json").decode()
    (tmp_path / "bare.tflite").write_bytes(content[:length])
    with pytest.raises(ModelFileError, match="was not exported by vocalbio: it holds no description"):
        ModelRunner(tmp_path / "bare.tflite")
    (tmp_path / "new.tflite").write_bytes(content[:length])
    with zipfile.ZipFile(tmp_path / "new.tflite", "a") as archive:
        archive.writestr("vocalbio.json", text.replace('"format": 1', '"format": 99'))
    with pytest.raises(ModelFileError, match="has format 99; this vocalbio reads format 1"):
        ModelRunner(tmp_path / "new.tflite")


@pytest.mark.parametrize(
    ("suffix", "module", "extra"),
    [(".tflite", "ai_edge_litert.interpreter", "litert"), (".onnx", "onnxruntime", "onnx")],
)
def test_a_missing_runtime_comes_with_its_pip_line(folder, suffix, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"pip install 'vocalbio\[{extra}\]'"):
        ModelRunner(folder / f"stress{suffix}")
