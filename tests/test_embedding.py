"""The Embedding family: its names and forms, and its rows in a table beside other families."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from golden.make_states import TINY, TINY_WHISPER, assert_states, voice
from numpy.typing import NDArray
from sklearn.base import clone

import vocalbio as vb
from vocalbio import (
    Embedding,
    FeatureExtractor,
    ModelFileError,
    ModelUnavailableError,
    ParameterError,
    Recording,
    RiskModel,
    extract_features,
)
from vocalbio.extract import read_settings
from vocalbio.features.embedding import _inference

RATE = 16_000


class Workers:
    """Which process measured, and whether TensorFlow is in it."""

    name = "workers"
    names = ("pid", "tensorflow")

    def extract(self, recording: Recording) -> list[float]:
        return [float(os.getpid()), float("tensorflow" in sys.modules or "keras" in sys.modules)]


class Level:
    """A family whose truth is a formula."""

    name = "level"
    names = ("rms_db", "n_samples")

    def extract(self, recording: Recording) -> list[float]:
        return [10 * np.log10(np.mean(np.square(recording.samples, dtype=float))), len(recording.samples)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Encoders with random weights."""
    # not above: a worker process imports this module to find its classes, and shall find no TensorFlow
    from vocalbio.encoders import TFHubertModel, TFWav2Vec2Model, TFWhisperEncoder

    root = tmp_path_factory.mktemp("encoders")
    models = {
        "Wav2Vec2-Tiny.v1": TFWav2Vec2Model(TINY),
        "hubert": TFHubertModel(TINY),
        "whisper-tiny": TFWhisperEncoder({**TINY_WHISPER, "d_model": 12}),
    }
    for name, model in models.items():
        model.save_pretrained(root / name)
    return {name: str(root / name) for name in models}


@pytest.fixture
def folder(folders: dict[str, str]) -> str:
    return folders["Wav2Vec2-Tiny.v1"]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Good, broken, silent and short files; the good ones of different lengths."""
    root = tmp_path_factory.mktemp("sounds")
    samples = {
        "one": voice(1.0, 110),
        "silent": np.zeros(RATE),
        "two": voice(2.3, 190),
        "short": voice(0.3),
        "three": voice(0.7, 150),
    }
    files = {name: str(root / f"{name}.wav") for name in ("one", "broken", "silent", "two", "short", "three")}
    for name, values in samples.items():
        soundfile.write(files[name], values, RATE, subtype="FLOAT")
    Path(files["broken"]).write_bytes(b"no sound")
    return files


def write_another(folder: Path, **settings: Any) -> None:
    """Write an encoder of the same kind with other random weights."""
    from vocalbio.encoders import TFWav2Vec2Model

    TFWav2Vec2Model({**TINY, **settings}).save_pretrained(folder)


def states(model: Any, samples: Any) -> list[NDArray[np.float32]]:
    """Every layer of one recording, of shape (n_frames, size), by the encoder itself."""
    clip = model.normalize(np.asarray(samples, np.float32))
    found, _ = model.states(clip[None], np.array([len(clip)]), range(model.n_layers + 1))
    return [state[0].numpy() for state in found]


def numbers(X: pd.DataFrame, prefix: str) -> NDArray[np.float64]:
    return X.loc[:, X.columns.str.startswith(prefix)].to_numpy()


# Names


@pytest.mark.parametrize(
    ("name", "settings", "prefix", "first", "last", "n"),
    [
        ("Wav2Vec2-Tiny.v1", {}, "wav2vec2_tiny_v1_L3", "00", "15", 16),
        ("Wav2Vec2-Tiny.v1", {"layer": 0}, "wav2vec2_tiny_v1_L0", "00", "15", 16),
        ("hubert", {"layer": "mean"}, "hubert_Lmean", "00", "15", 16),
        ("hubert", {"layer": 2, "pooling": "mean+std"}, "hubert_L2", "00", "15_sd", 32),
        ("hubert", {"layer": "all"}, "hubert_Lall", "L0_00", "L3_15", 64),
        ("hubert", {"layer": [3, 1]}, "hubert_L3_L1", "L3_00", "L1_15", 32),
        ("hubert", {"layer": range(1, 3), "pooling": "mean+std"}, "hubert_L1_L2", "L1_00", "L2_15_sd", 64),
        ("whisper-tiny", {"layer": 1, "padded": True}, "whisper_tiny_30s_L1", "00", "11", 12),
    ],
)
def test_columns_name_encoder_layer_and_dimension(folders, name, settings, prefix, first, last, n):
    family = Embedding(folders[name], **settings)
    assert (family.name, family.names[0], family.names[-1], len(family.names)) == (prefix, first, last, n)
    assert len(set(family.names)) == n
    names = FeatureExtractor([family], quality=False).get_feature_names_out()
    assert list(names) == [f"{prefix}__{column}" for column in family.names]


def test_the_folders_name_is_found_however_it_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(folder).parent)
    spellings = (folder, folder + "/", Path(folder), "./" + Path(folder).name, Path(folder).name)
    assert {Embedding(spelling).name for spelling in spellings} == {"wav2vec2_tiny_v1_L3"}


def test_layers_of_a_large_encoder_are_counted_with_two_digits(tmp_path):
    write_another(tmp_path / "deep", num_hidden_layers=10, hidden_size=8)
    names = Embedding(tmp_path / "deep", layer="all").names
    assert (names[0], names[-1], len(names)) == ("L00_0", "L10_7", 88)


def test_columns_are_described(folder):
    described = vb.describe_columns([Embedding(folder, layer=2, pooling="mean+std")])
    row = described.loc["wav2vec2_tiny_v1_L2__07_sd"]
    assert row.meaning == "standard deviation over time of dimension 7 of hidden state 2"
    assert (row.occurrence, row.source) == ("some sound", "wav2vec2 Wav2Vec2-Tiny.v1")
    assert "arXiv:2006.11477" in row.paper


def test_names_are_known_without_loading_tensorflow(folder):
    script = (
        "import sys, vocalbio as vb; names = vb.Embedding(sys.argv[1], layer='all').names;"
        "print(len(names), sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    assert found.stdout.split(maxsplit=1) == ["64", "[]\n"]


# Numbers


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("Wav2Vec2-Tiny.v1", 1),
        ("Wav2Vec2-Tiny.v1", "all"),
        ("hubert", "last"),
        ("hubert", "mean"),
        ("whisper-tiny", "last"),
        ("whisper-tiny", [2, 0]),
    ],
)
def test_numbers_are_states_pooled_over_the_recording(folders, name, layer):
    samples = voice(1.2)
    family = Embedding(folders[name], layer=layer, pooling="mean+std")
    [measured] = family.extract_many([Recording(samples, RATE)])
    every = states(family.load().encoder, samples)
    chosen = {
        "last": every[-1:],
        "mean": [np.mean(every, axis=0)],
        "all": every,
        "1": every[1:2],
        "[2, 0]": [every[2], every[0]],
    }[str(layer)]
    expected = [part for state in chosen for part in (state.mean(axis=0), state.std(axis=0))]
    assert_states(np.split(measured.values, len(expected)), expected)
    assert len(measured.values) == len(family.names)
    assert family.extract(Recording(samples, RATE)).values == pytest.approx(measured.values, abs=1e-4)
    means = Embedding(folders[name], layer=layer).extract(Recording(samples, RATE)).values
    assert_states(np.split(means, len(chosen)), expected[::2])


def test_padded_whisper_gives_other_numbers(folders):
    plain, padded = (Embedding(folders["whisper-tiny"], padded=padded) for padded in (False, True))
    recording = Recording(voice(0.8), RATE)
    assert np.abs(plain.extract(recording).values - padded.extract(recording).values).max() > 1e-3
    assert plain.name != padded.name


def test_frames_hold_the_states_of_every_layer_asked(folder):
    samples = voice(1.2)
    family = Embedding(folder, layer=[1, 3], pooling="mean+std")
    found = vb.extract_frames(Recording(samples, RATE), family)
    every = states(family.load().encoder, samples)
    assert_states([found.values], [np.concatenate([every[1], every[3]], axis=1)])
    assert found.names == tuple(f"L{layer}_{i:02d}" for layer in (1, 3) for i in range(16))
    np.testing.assert_allclose(np.diff(found.times_s), 0.02)


# What is refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pooling": "max"}, r"pooling is 'max'; expected one of 'mean', 'mean\+std'"),
        ({"pooling": ["mean"]}, r"pooling is \['mean'\]; expected one of"),
        ({"layer": "first"}, "layer is 'first'; expected a number, several, 'last', 'mean' or 'all'"),
        ({"layer": 1.5}, r"layer is 1\.5; expected a number"),
        ({"layer": True}, "layer is True; expected a number"),
        ({"layer": None}, "layer is None; expected a number"),
        ({"layer": ["1", "x"]}, r"layer is \('1', 'x'\); expected a number, several"),
        ({"layer": [True, 2]}, r"layer is \(True, 2\); expected a number, several"),
        ({"layer": np.zeros((2, 2), int)}, "expected a number, several"),
        ({"layer": [0.5, 1]}, r"layer is \(0\.5, 1\); expected a number, several"),
    ],
)
def test_wrong_settings_are_refused_at_once(folder, settings, words):
    with pytest.raises(ParameterError, match=words):
        Embedding(folder, **settings)


@pytest.mark.parametrize("encoder", [None, 3, b"bytes"])
def test_an_encoder_is_a_folder_or_a_name(encoder):
    with pytest.raises(ParameterError, match="expected a folder or a name on the Hub"):
        Embedding(encoder)


@pytest.mark.parametrize("layer", [4, -1, [0, 4], [1, 1], []])
def test_layers_that_are_not_there_are_refused_before_anything_is_read(folder, sounds, layer):
    with pytest.raises(ParameterError, match=r"has 0 to 3, each once"):
        extract_features(["nowhere.wav"], [Embedding(folder, layer=layer)])


def test_padding_is_for_whisper(folder):
    with pytest.raises(ParameterError, match="padded=True, which is for Whisper"):
        extract_features(["nowhere.wav"], ["voice", Embedding(folder, padded=True)])


def test_an_encoder_that_is_not_there_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(ModelUnavailableError, match=r"there is no folder .*nowhere"):
        extract_features(["nowhere.wav"], [Level(), Embedding(tmp_path / "nowhere")])


def test_the_family_needs_an_encoder_by_name():
    with pytest.raises(ParameterError, match="family 'embedding' needs an encoder"):
        FeatureExtractor(["embedding"]).to_dict()


def test_other_weights_than_those_of_before_are_refused(folder, tmp_path):
    trained = Embedding(folder, layer=1).settings()
    assert trained["weights"].startswith("sha256:")
    shutil.copytree(folder, tmp_path / "same")
    same = Embedding(**{**trained, "encoder": str(tmp_path / "same")})
    assert same.extract(Recording(voice(0.6), RATE)).values.shape == (16,)
    write_another(tmp_path / "same")
    with pytest.raises(ModelFileError, match=rf"has weights sha256:\w+; expected {trained['weights']}"):
        same.extract(Recording(voice(0.6), RATE))
    with pytest.raises(ModelFileError, match="another checkpoint of the same name"):
        extract_features(["nowhere.wav"], [same])
    # without insisting, the new ones are used, not those that were loaded before
    fresh = Embedding(tmp_path / "same", layer=1).extract(Recording(voice(0.6), RATE)).values
    assert np.abs(fresh - Embedding(folder, layer=1).extract(Recording(voice(0.6), RATE)).values).max() > 1e-3


# Settings


@pytest.mark.parametrize("layer", [2, "mean", [3, 1]])
def test_settings_make_the_same_extractor(folder, layer):
    extractor = FeatureExtractor([Level(), Embedding(folder, layer=layer, pooling="mean+std")][1:], window_s=1.0)
    settings = json.loads(json.dumps(extractor.to_dict()))
    [entry] = settings["families"]
    assert (entry["family"], entry["encoder"], entry["layer"]) == ("embedding", folder, layer)
    again = FeatureExtractor.from_dict(settings)
    assert again.to_dict() == settings
    assert list(again.get_feature_names_out()) == list(extractor.get_feature_names_out())


def test_the_table_tells_which_weights_made_it(folder):
    family = Embedding(folder)
    X = extract_features([Recording(voice(0.6), RATE)], [family])
    found = read_settings(X)
    assert found["extractor"]["families"][0]["weights"] == family.settings()["weights"]
    assert {"keras", "transformers"} <= set(found["tools"])


def test_pickled_and_cloned_it_carries_no_weights(folder):
    family = Embedding(folder, layer=[1, 2])
    family.extract(Recording(voice(0.6), RATE))
    assert len(pickle.dumps(family)) < 1_000
    assert pickle.loads(pickle.dumps(family)) == family
    extractor = FeatureExtractor([family])
    assert clone(extractor).families == [family]
    assert len(pickle.dumps(extractor)) < 2_000


def test_weights_are_loaded_once_for_all_families_of_an_encoder(folder):
    families = [Embedding(folder, layer=layer) for layer in (1, "mean", "all")]
    assert len({id(family.load().encoder) for family in families}) == 1
    assert families[0].load() is Embedding(folder, layer=1).load()
    assert _inference.cache_info().currsize <= _inference.cache_info().maxsize


# In a table


def test_rows_stay_in_order_and_keep_their_reasons(sounds, folder):
    asked = list(sounds.values())
    X = extract_features(asked, ["voice", Embedding(folder, layer=1)])
    assert list(X.index.get_level_values("file")) == asked
    good = [name in ("one", "two", "three") for name in sounds]
    found = numbers(X, "wav2vec2_tiny_v1_L1__")
    assert np.isfinite(found[good]).all()
    assert np.isnan(found[~np.array(good)]).all()
    assert (X.quality__ok == good).all()
    model = Embedding(folder).load().encoder
    for row, name in zip(found, sounds, strict=True):
        if name in ("one", "two", "three"):
            samples, _ = soundfile.read(sounds[name], dtype="float32")
            assert_states([row], [states(model, samples)[1].mean(axis=0)])
    failed = vb.errors(X)
    told = dict(zip(failed.index.get_level_values("file"), failed.reason, strict=True))
    assert list(told) == [sounds[name] for name in ("broken", "silent", "short")]
    for name, words in (("broken", "decoded"), ("silent", "silence"), ("short", "lasts 0.30 s")):
        assert words in told[sounds[name]]
    alone = extract_features(asked, ["voice"])
    voiced = X.loc[:, X.columns.str.startswith("voice__")]
    pd.testing.assert_frame_equal(voiced, alone[voiced.columns], check_exact=True, check_flags=False)


def test_a_row_alone_is_the_row_in_a_batch(sounds, folders):
    families = [Embedding(folders["hubert"], layer="all"), Embedding(folders["whisper-tiny"])]
    X = extract_features(list(sounds.values()), families)
    for number, file in enumerate(sounds.values()):
        alone = extract_features([file], families)
        for prefix, parts in (("hubert", 4), ("whisper", 1)):
            row, other = numbers(X, prefix)[number], numbers(alone, prefix)[0]
            assert np.isnan(row).all() == np.isnan(other).all()
            if not np.isnan(row).any():
                assert_states(np.split(row, parts), np.split(other, parts))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_columns_stand_where_the_family_stands(sounds, folder, folders, place):
    families: list[Any] = [Level(), "voice"]
    families[place:place] = [Embedding(folder, layer=1), Embedding(folders["hubert"])]
    files = [sounds["one"], sounds["broken"], sounds["three"]]
    X = extract_features(files, families)
    assert list(X.columns) == list(FeatureExtractor(families).get_feature_names_out())
    for family in families:
        own = extract_features(files, [family])
        pd.testing.assert_frame_equal(X[own.columns], own, check_flags=False, rtol=0, atol=1e-4)


def test_windows_are_recordings_of_their_own(tmp_path, folder):
    samples = voice(3.2)
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    family = Embedding(folder, layer=2)
    X = extract_features([str(tmp_path / "long.wav"), "nowhere.wav"], [Level(), family], window_s=1.0, hop_s=0.5)
    starts = X.index.get_level_values("start").total_seconds()
    assert list(starts)[:-1] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    for start, row in zip(list(starts)[:-1], numbers(X, family.name), strict=False):
        part = samples[round(start * RATE) :][:RATE]
        assert_states([row], [states(family.load().encoder, part)[2].mean(axis=0)])
    assert np.isnan(numbers(X, family.name)[-1]).all()


def test_spans_of_an_index_in_any_order(sounds, folder):
    file, other = sounds["two"], sounds["broken"]
    spans = [(file, 1.0, 2.0), (other, 0.0, 1.0), (file, 0.0, 0.8), (file, 0.2, 0.4), (sounds["one"], 0.0, np.nan)]
    files, starts, ends = zip(*spans, strict=True)
    index = pd.MultiIndex.from_arrays(
        [files, pd.to_timedelta(starts, unit="s"), pd.to_timedelta(ends, unit="s")], names=["file", "start", "end"]
    )
    family = Embedding(folder, layer=1)
    X = extract_features(index, [family, Level()])
    assert list(X.index.get_level_values("file")) == list(files)
    assert np.isnan(numbers(X, family.name)).all(axis=1).tolist() == [False, True, False, True, False]
    for row, (name, start, end) in zip(numbers(X, family.name), spans, strict=True):
        if np.isfinite(row).all():
            samples, _ = soundfile.read(name, dtype="float32")
            part = samples[round(start * RATE) : None if np.isnan(end) else round(end * RATE)]
            assert_states([row], [states(family.load().encoder, part)[1].mean(axis=0)])


def test_pauses_can_be_left_out(folder):
    speech = np.concatenate([voice(1.0), 1e-4 * voice(1.5, 90.0), voice(1.0, 180.0)])
    family = Embedding(folder, layer=1)
    recording = Recording(speech, RATE)
    X = extract_features([recording], [Level(), family], speech_only=True)
    from vocalbio.segments import speech_only

    cut = speech_only(recording).samples
    assert len(cut) == X["level__n_samples"].item() < len(speech)
    assert_states(numbers(X, family.name), [states(family.load().encoder, cut)[1].mean(axis=0)])


def test_too_little_speech_is_told_once_a_family(folder):
    """A click in silence: there is a recording, but nothing is left of it."""
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE : RATE + 1_600] = voice(0.1)
    X = extract_features([Recording(samples, RATE)], [Level(), Embedding(folder)], speech_only=True)
    assert numbers(X, "level").shape == (1, 2)
    assert np.isnan(X.filter(regex="level|wav2vec2").to_numpy()).all()
    told = vb.errors(X, partial=True)
    assert told.stage.tolist() == ["level", "wav2vec2_tiny_v1_L3"]
    assert told.reason.str.contains("of speech; 0.5 s are needed").all()


def test_file_objects_are_read_for_every_family(sounds, folder):
    content = Path(sounds["one"]).read_bytes()
    opened = io.BytesIO(content)
    opened.seek(100)
    X = extract_features([opened, io.BytesIO(b"no sound"), Path(sounds["one"])], [Level(), Embedding(folder)])
    assert list(X.quality__ok) == [1, 0, 1]
    found = numbers(X, "wav2vec2")
    assert_states([found[0]], [found[2]])


def test_more_than_the_buffer_holds_is_measured_in_turns(monkeypatch, sounds, folder):
    """The audio held at once is bounded; rows do not notice."""
    files = [sounds[name] for name in ("one", "broken", "two", "three", "one", "two")]
    whole = extract_features(files, [Embedding(folder), Level()])
    monkeypatch.setattr("vocalbio.extract.rows.BUFFER_S", 2.0)
    pd.testing.assert_frame_equal(extract_features(files, [Embedding(folder), Level()]), whole, rtol=0, atol=1e-4)


def test_workers_load_no_tensorflow_and_change_no_number(sounds, folder):
    files = [file for name, file in sounds.items() if name in ("one", "two", "three")] * 2
    families = [Workers(), Embedding(folder, layer="all"), Level()]
    parallel = extract_features(files, families, n_jobs=2)
    assert not (parallel.workers__pid == os.getpid()).any()
    assert (parallel.workers__tensorflow == 0).all()
    single = extract_features(files, families)
    assert (single.workers__pid == os.getpid()).all()
    own = [column for column in single if not column.startswith("workers")]
    pd.testing.assert_frame_equal(parallel[own], single[own], check_exact=True, check_flags=False)


def test_no_recording_is_an_empty_table(folder):
    assert extract_features([], [Embedding(folder), Level()]).shape == (0, 16 + 2 + 8)


def test_progress_is_shown_for_the_encoder_too(sounds, folder, capsys, monkeypatch):
    import tqdm.auto

    shown: list[tuple[str, int, int]] = []

    class Bar(tqdm.auto.tqdm):
        def close(self) -> None:
            if self.desc:
                shown.append((self.desc.rstrip(": "), self.n, self.total))
                self.desc = ""
            super().close()

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    extract_features(list(sounds.values()), [Level(), Embedding(folder)], progress=True)
    assert shown == [("Extracting features", 6, 6), ("Encoding wav2vec2_tiny_v1_L3", 6, 6)]


# In a model


def test_a_risk_model_on_a_fused_table_is_saved_and_hears_recordings(folder, tmp_path):
    recordings = [Recording(voice(0.8, 100 + 40 * (n % 2) + n), RATE, file=f"{n}.wav") for n in range(12)]
    shutil.copytree(folder, tmp_path / "Wav2Vec2-Tiny.v1")
    families = ["voice", Embedding(tmp_path / "Wav2Vec2-Tiny.v1", layer=2, pooling="mean+std")]
    X = extract_features(recordings, families)
    y = np.arange(12) % 2
    model = RiskModel("depression", preset="small", epochs=2, interval_folds=0, least_voiced_s=0.0, random_state=0).fit(
        X, y, groups=np.arange(12) // 2
    )
    model.save(tmp_path / "model.vocalbio")
    again = RiskModel.load(tmp_path / "model.vocalbio")
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-6)
    [answer] = again.score_audio(recordings[3:4])
    assert list(answer.probability.values()) == pytest.approx(model.predict_proba(X)[3].tolist(), abs=1e-3)
    # the model insists on the weights that it was trained with
    write_another(tmp_path / "Wav2Vec2-Tiny.v1")
    with pytest.raises(ModelFileError, match="another checkpoint of the same name"):
        again.score_audio(recordings[3])
