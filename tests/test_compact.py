"""The encoder in the wheel: small, standard, at hand without a network, and worth more than chance."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from golden.make_states import COMPACT, EVERY, assert_states, read_golden, voice
from safetensors.numpy import load_file
from sklearn.base import clone

import vocalbio as vb
from vocalbio.datasets.voices import make_cohort
from vocalbio.encoders import TFWav2Vec2Model, load_encoder, open_checkpoint
from vocalbio.errors import ParameterError

ROOT = Path(__file__).parents[1]
RATE = 16_000


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("compact")


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks for another machine is told of it."""

    def refuse(*address):
        raise AssertionError(f"asked the network for {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_it_is_small_enough_to_come_along():
    tensors = load_file(COMPACT / "model.safetensors")
    assert sum(values.size for values in tensors.values()) <= 6e6
    assert {values.dtype for values in tensors.values()} == {np.dtype("float16")}
    assert all(np.isfinite(values).all() for values in tensors.values())
    assert (COMPACT / "model.safetensors").stat().st_size <= 12e6


def test_it_is_an_ordinary_wav2vec2_with_fifty_frames_a_second(encoder):
    assert type(encoder) is TFWav2Vec2Model
    assert (encoder.n_layers, encoder.hidden_size, encoder.frame_hop) == (6, 256, RATE // 50)
    config = json.loads((COMPACT / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("wav2vec2", ["Wav2Vec2Model"])
    assert json.loads((COMPACT / "preprocessor_config.json").read_text())["sampling_rate"] == RATE


def test_its_states_are_those_that_pytorch_computes_from_the_same_file(encoder):
    golden = read_golden("compact")
    found = encoder(golden.inputs, output_hidden_states=True).hidden_states
    assert_states([np.asarray(state)[:, :: EVERY["compact"]] for state in found], golden.states)


def test_pytorch_that_is_installed_loads_it():
    pytest.importorskip("torch")
    from golden.make_states import reference_states
    from transformers import Wav2Vec2Model

    golden = read_golden("compact")
    states = reference_states(Wav2Vec2Model.from_pretrained(COMPACT).eval(), golden.inputs)
    assert_states([state[:, :: EVERY["compact"]] for state in states], golden.states)


def test_the_name_means_the_wheel_s_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TFWav2Vec2Model({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
                     "conv_dim": [8] * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
                    ).save_pretrained("compact")  # fmt: skip
    assert open_checkpoint("compact").config["hidden_size"] == 256
    assert open_checkpoint("./compact").config["hidden_size"] == 16
    for path in (Path("compact"), Path("./compact")):  # pathlib drops the dot: a path is never a name
        assert open_checkpoint(path).config["hidden_size"] == 16
        assert vb.Embedding(path).encoder == "./compact"
        assert len(vb.Embedding(path).columns) == 16
    with pytest.raises(ParameterError, match="compact is in the wheel and has no revisions"):
        open_checkpoint("compact", revision="main")


def test_it_is_among_what_is_measured_when_nothing_is_said(no_network):
    recording = vb.Recording(voice(1.2), RATE)
    X = vb.extract_features(recording)
    families = [name.split("__")[0] for name in X]
    assert {name: families.count(name) for name in dict.fromkeys(families)} == {
        "prosody": 88, "voice": 55, "compact_L6": 256, "quality": 8,
    }  # fmt: skip
    assert np.isfinite(X.filter(like="compact_L6__").to_numpy()).all()
    named = vb.extract_features(recording, ["prosody", "voice", vb.Embedding("compact", layer=6)])
    np.testing.assert_array_equal(named.to_numpy(), X.to_numpy())
    assert list(vb.FeatureExtractor().get_feature_names_out()) == list(X)


def test_every_column_is_described(no_network):
    described = vb.describe_columns()
    found = described.loc["compact_L6__017"]
    assert found["meaning"] == "mean over time of dimension 17 of hidden state 6"
    assert found["source"] == "wav2vec2 compact"
    assert set(vb.describe_columns(vb.FeatureExtractor().families).index) <= set(described.index)


def test_a_forked_process_is_told_rather_than_left_hanging():
    """TensorFlow, once used, hangs in what is forked from it; a pool made before vocalbio was used is all right."""
    script = """
import multiprocessing, numpy as np, vocalbio as vb

recording = vb.Recording(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)

def work(families):
    try:
        return vb.extract_features(recording, families).shape
    except vb.VocalbioError as error:
        return str(error)

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    with fork.Pool(1) as early:
        print(vb.extract_features(recording).shape, early.map(work, [["compact"]]))
    with fork.Pool(1) as late:
        print(late.map(work, [["compact"], ["prosody"]]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    early, late = done.stdout.splitlines()
    assert early == "(1, 407) [(1, 264)]"
    assert "forked from one that had used an encoder" in late
    assert "(1, 96)]" in late


def test_silence_has_no_embedding():
    X = vb.extract_features(vb.Recording(np.zeros(RATE), RATE))
    assert X.filter(like="compact").isna().all(axis=None)
    assert "digital silence" in vb.errors(X)["reason"].item()


def test_settings_of_a_table_name_its_weights():
    settings = vb.FeatureExtractor(["compact"]).to_dict()
    assert settings["families"][0]["encoder"] == "compact"
    assert settings["families"][0]["weights"] == open_checkpoint("compact").weights
    assert vb.FeatureExtractor.from_dict(settings).to_dict() == settings


def test_a_recording_is_measured_as_if_alone():
    recordings = [vb.Recording(voice(duration_s, 140.0), RATE) for duration_s in (0.7, 2.3, 1.1)]
    together = vb.extract_features(recordings, ["compact"]).filter(like="compact").to_numpy()
    alone = [vb.extract_features(one, ["compact"]).filter(like="compact").to_numpy()[0] for one in recordings]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_level_does_not_reach_it():
    recording = voice(1.5, 180.0)
    loud, soft = (
        vb.extract_features(vb.Recording(gain * recording, RATE), ["compact"]).filter(like="compact").to_numpy()
        for gain in (2.0, 0.2)
    )
    np.testing.assert_allclose(loud, soft, atol=2e-3)


def test_it_tells_voices_apart_that_a_random_twin_does_not(tmp_path, encoder):
    """Pitch of voices that a ridge regression never heard, from the mean state: known, since the voices are made."""
    import keras
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    keras.utils.set_random_seed(1)
    twin = TFWav2Vec2Model(json.loads((COMPACT / "config.json").read_text()))
    twin(np.zeros((1, RATE), np.float32))
    twin.save_pretrained(tmp_path / "twin")
    recordings, truth = make_cohort(n_speakers=20, n_recordings=2, duration_s=3.0, seed=3)
    heard = (truth["speaker"].rank(method="dense") <= 14).to_numpy()
    pitch = np.log2(truth["f0_hz"].to_numpy(float))
    found = {}
    for name, folder in (("student", "compact"), ("twin", tmp_path / "twin")):
        X = vb.extract_features(recordings, [vb.Embedding(folder)]).filter(regex="_L6__").to_numpy()
        model = make_pipeline(StandardScaler(), Ridge(10.0)).fit(X[heard], pitch[heard])
        found[name] = r2_score(pitch[~heard], model.predict(X[~heard]))
    assert found["student"] > 0.7
    assert found["student"] > found["twin"] + 0.1


@pytest.mark.parametrize(("package", "suffix", "format"), [("ai_edge_litert", ".tflite", "litert"),
                                                           ("onnxruntime", ".onnx", "onnx")])  # fmt: skip
def test_eight_bits_leave_its_embeddings_where_they_were(encoder, tmp_path, package, suffix, format):
    """Random weights do not show it: with one scale for a recording's convolutions, half of what it knew was lost."""
    pytest.importorskip(package)
    recordings, _ = make_cohort(n_speakers=6, n_recordings=2, duration_s=3.0, seed=5)
    path = tmp_path / f"eight{suffix}"
    encoder.export(path, format, "int8")
    assert path.stat().st_size < 8.5e6
    exact, found = (
        vb.extract_features(recordings, [vb.Embedding(source)]).filter(regex="__[0-9]{3}$").to_numpy()
        for source in ("compact", path)
    )
    middle = exact.mean(axis=0)
    lengths = np.linalg.norm(exact - middle, axis=1) * np.linalg.norm(found - middle, axis=1)
    assert (((exact - middle) * (found - middle)).sum(axis=1) / lengths).min() > 0.99


def test_its_terms_stand_where_they_are_read_first():
    licence = "CC BY-NC-SA 4.0"
    assert "license: cc-by-nc-sa-4.0" in (COMPACT / "README.md").read_text("utf-8")
    assert licence in (COMPACT / "README.md").read_text("utf-8")[:1500]
    assert licence in (ROOT / "README.md").read_text("utf-8")[:400]
    assert 'license = "MIT AND CC-BY-NC-SA-4.0"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_methods_of_a_report_tell_what_it_heard():
    from vocalbio.report.methods import describe_features

    text, cited = describe_features(vb.FeatureExtractor().to_dict())
    assert "(last layer), distilled without emotion labels from Whisper base on RAVDESS, nEMO, and synthetic" in text
    assert {"wav2vec2", "whisper"} <= set(cited)


def test_who_judges_it_on_what_it_heard_is_told():
    from vocalbio.evaluation.cohort import read_cohort

    heard = ["d/Actor_01/03-01-06-01-02-01-12.flac", "EB0_neutral_13.opus"]
    unheard = ["d/03-01-06-01-02-01-17.wav", "memo.wav"]
    X = pd.DataFrame({"prosody__x": 0.0, "compact_L6__000": 1.0}, pd.Index([*heard, *unheard], name="file"))
    with pytest.warns(vb.VocalbioWarning, match="2 of 4 rows are of recordings that the compact encoder was made with"):
        read_cohort(X, list("abab"), list("stuv"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_cohort(X[["prosody__x"]], list("abab"), list("stuv"))
        read_cohort(X.iloc[2:], list("ab"), list("st"))


def test_every_recording_that_it_heard_has_such_a_name(data):
    from vocalbio.features.embedding import COMPACT_HEARD

    for corpus in ("ravdess", "nemo"):
        for file in pd.read_csv(data / corpus / "manifest.csv")["file"]:
            assert COMPACT_HEARD.search(file), file


def test_commands_take_it_by_default_too(tmp_path, vocalbio):
    from vocalbio.cli.models import _make
    from vocalbio.cli.options import ConditionName, NetworkName, PresetName

    soundfile.write(tmp_path / "memo.wav", voice(1.2), RATE)
    code, _, told = vocalbio("extract", tmp_path / "memo.wav", "-o", tmp_path / "x.parquet", "--no-progress")
    assert code == 0, told
    assert list(pd.read_parquet(tmp_path / "x.parquet")) == list(vb.FeatureExtractor().get_feature_names_out())
    _, extractor = _make(ConditionName.stress, NetworkName.dense, PresetName.small, 1, 8, True, None, None, None, 0)
    assert extractor.to_dict() == vb.FeatureExtractor().to_dict()


def test_workers_and_copies_give_the_same_table(tmp_path):
    files = []
    for number in range(3):
        files.append(str(tmp_path / f"{number}.wav"))
        soundfile.write(files[-1], voice(1.0, 110.0 + 40 * number), RATE)
    extractor = vb.FeatureExtractor()
    alone = extractor.transform(files)
    for other in (clone(extractor).set_params(n_jobs=2), pickle.loads(pickle.dumps(extractor))):
        pd.testing.assert_frame_equal(other.transform(files), alone, rtol=1e-4, atol=1e-4)


def test_windows_are_measured_as_recordings_of_their_own():
    recording = vb.Recording(voice(3.0, 160.0), RATE)
    X = vb.extract_features(recording, window_s=1.0).filter(like="compact")
    parts = [
        vb.extract_features(recording.cut(a, a + 1.0), ["compact"]).filter(like="compact") for a in (0.0, 1.0, 2.0)
    ]
    np.testing.assert_allclose(X.to_numpy(), pd.concat(parts).to_numpy(), atol=1e-4)
