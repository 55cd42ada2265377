"""From requests to a table: one row each, in order, pure, with its settings and its reasons."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal

import vocalbio as vb
from vocalbio import (
    AudioError,
    FeatureExtractor,
    MissingPackageError,
    ParameterError,
    Recording,
    extract_features,
)
from vocalbio.extract import read_settings

RATE = 16_000


class Level:
    """A family as a user would write one: fast, and its truth is a formula."""

    name = "level"
    names = ("rms_db", "n_samples")

    def extract(self, recording: Recording) -> list[float]:
        power = np.mean(np.square(recording.samples, dtype=float))
        return [10 * np.log10(power), len(recording.samples)]


class Pid:
    """Tells which process measured."""

    names = ("number",)

    def extract(self, recording: Recording) -> list[float]:
        return [float(os.getpid())]


class Fussy(Level):
    """Fails on what it does not like."""

    name = "fussy"

    def extract(self, recording: Recording) -> list[float]:
        if recording.duration_s < 1:
            raise RuntimeError("this needs a second")
        return super().extract(recording)


def buzz(duration_s: float = 0.8, f0_hz: float = 120.0, seed: int = 0) -> NDArray[np.float32]:
    """A voice of a kind, different for every seed."""
    phase = 2 * np.pi * f0_hz * (1 + 0.05 * seed) * np.arange(round(duration_s * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(phase))
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 20)) + 0.002 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Twenty recordings of eight tenths of a second."""
    folder = tmp_path_factory.mktemp("good")
    paths = [str(folder / f"{seed:02d}.wav") for seed in range(20)]
    for seed, path in enumerate(paths):
        soundfile.write(path, buzz(seed=seed), RATE)
    return paths


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ten recordings that are none, and what must be said of each."""
    folder = tmp_path_factory.mktemp("broken")

    def write(name: str, content: bytes) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    def write_wav(name: str, samples: NDArray[Any], subtype: str = "FLOAT") -> str:
        soundfile.write(folder / name, samples, RATE, subtype=subtype)
        return str(folder / name)

    (folder / "folder.wav").mkdir()
    random = np.random.default_rng(3).bytes(20_000)
    whole = Path(write_wav("whole.wav", buzz())).read_bytes()
    return {
        str(folder / "missing.wav"): "does not exist; check the path",
        write("empty.wav", b""): "has 0 bytes",
        write("text.wav", b"this is no sound at all\n" * 50): "no sound that can be decoded",
        write("header.wav", whole[:20]): "no sound|no samples",
        str(folder / "folder.wav"): "is a folder",
        write_wav("nan.wav", np.where(np.arange(RATE) == 99, np.nan, 0.1)): "NaN or infinite, the first at 0.006 s",
        write_wav("nothing.wav", np.zeros(0)): "holds no samples",
        write_wav("short.wav", buzz(0.3)): r"lasts 0.30 s; at least 0.5 s are needed",
        write("garbage.mp3", random): "no sound that can be decoded",
        write("headerless.raw", random): "headerless PCM",
    }


def features(X: pd.DataFrame) -> pd.DataFrame:
    return X.loc[:, ~X.columns.str.startswith("quality__")]


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """To the last bit, index included."""
    assert_frame_equal(left, right, check_exact=True, check_flags=False)


# --- one row a request, in the order asked ---------------------------------------------------------------------


def test_broken_files_keep_their_rows_among_good_ones(good: list[str], broken: dict[str, str]) -> None:
    asked = [*good, *broken]
    np.random.default_rng(0).shuffle(asked)
    X = extract_features(asked, ["prosody", "spectral"])
    assert list(X.index.get_level_values("file")) == asked
    is_good = np.isin(asked, good)
    assert (X.quality__ok == is_good).all()
    assert features(X)[~is_good].isna().all(axis=None)
    assert X[is_good].filter(like="spectral__").notna().all(axis=None)

    failed = vb.errors(X)
    files = failed.index.get_level_values("file")
    assert list(files) == [file for file in asked if file in broken]
    for file, reason in zip(files, failed.reason, strict=True):
        assert pd.Series(reason).str.contains(broken[file]).item(), reason
        assert "Traceback" not in reason
    stages = dict(zip(files, failed.stage, strict=True))
    assert [stages[file] for file in broken] == ["audio"] * 7 + ["signal"] + ["audio"] * 2


def test_the_same_request_twice_has_two_rows(good: list[str], broken: dict[str, str]) -> None:
    missing = next(iter(broken))
    X = extract_features([good[1], missing, good[0], good[1], missing], [Level()])
    assert list(X.index.get_level_values("file")) == [good[1], missing, good[0], good[1], missing]
    assert_same(X.iloc[[0]], X.iloc[[3]])
    assert len(vb.errors(X)) == 2


def test_nothing_asked_is_an_empty_table() -> None:
    X = extract_features([], [Level()])
    assert X.shape == (0, 2 + 8)
    assert list(X.index.names) == ["file", "start", "end"]
    assert vb.errors(X).empty


def test_raising_stops_at_the_first_file_that_cannot_be_read(good: list[str], broken: dict[str, str]) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav does not exist"):
        extract_features([good[0], *broken], [Level()], on_error="raise")


def test_short_and_silent_recordings_are_no_error(broken: dict[str, str]) -> None:
    short = next(file for file in broken if file.endswith("short.wav"))
    X = extract_features([short, Recording(np.zeros(RATE), RATE)], ["prosody"], on_error="raise")
    assert list(X.quality__ok) == [0, 0]
    assert list(X.quality__duration_s) == [pytest.approx(0.3), 1]
    assert vb.errors(X).stage.tolist() == ["signal", "signal"]
    assert "muted?" in vb.errors(X).reason.iloc[1]
    assert features(X).iloc[0].isna().all()
    assert set(features(X).iloc[1].dropna()) == {0.0}


def test_a_row_of_too_many_hours_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vocalbio.extract.rows.LONGEST_S", 1.0)  # one second for an hour, to be quick
    X = extract_features([Recording(buzz(length_s), RATE) for length_s in (1.0, 1.1)], [Level()])
    assert list(X.quality__ok) == [1, 0]
    assert "h at most; pass window_s, or (file, start, end)" in vb.errors(X).reason.item()


def test_a_failing_family_of_ones_own_leaves_the_others(good: list[str]) -> None:
    long = Recording(buzz(1.2), RATE, file="long")
    X = extract_features([good[0], long], [Level(), Fussy()])
    assert X["level__rms_db"].notna().all()
    assert X["fussy__rms_db"].isna().tolist() == [True, False]
    assert list(X.quality__ok) == [0, 1]
    failed = vb.errors(X)
    assert failed.values.tolist() == [["fussy", "RuntimeError: this needs a second"]]
    with pytest.raises(RuntimeError, match="needs a second"):
        extract_features([good[0]], [Fussy()], on_error="raise")


# --- purity ----------------------------------------------------------------------------------------------------


def test_a_row_depends_on_its_recording_alone(good: list[str], broken: dict[str, str]) -> None:
    families = ["prosody", "voice", "spectral"]
    asked = good[:3]
    batch = extract_features(asked, families)
    assert features(batch).notna().to_numpy().mean() > 0.8
    assert_same(pd.concat([extract_features(file, families) for file in asked]), batch)
    other_order = extract_features([asked[2], next(iter(broken)), *asked[::-1]], families)
    assert_same(other_order.iloc[2:].iloc[::-1], batch)
    assert_same(extract_features(asked, families, n_jobs=2), batch)
    same_families_other_company = extract_features(asked, ["spectral"])
    assert_same(features(same_families_other_company), batch.filter(like="spectral__"))


def test_windows_are_recordings_of_their_own(tmp_path: Path) -> None:
    samples = np.concatenate([buzz(2.0, seed=1), 0.1 * buzz(1.7, seed=2)])
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    families = ["prosody", "voice", "spectral"]
    X = extract_features(tmp_path / "long.wav", families, window_s=1.0, hop_s=0.5)
    starts_s = X.index.get_level_values("start").total_seconds()
    ends_s = X.index.get_level_values("end").total_seconds()
    np.testing.assert_allclose(starts_s, np.arange(7) * 0.5)
    np.testing.assert_allclose(ends_s, [*(np.arange(6) * 0.5 + 1), 3.7])  # the rest is over half a window
    whole = vb.load_audio(tmp_path / "long.wav")
    by_hand = extract_features([whole.cut(start, end) for start, end in zip(starts_s, ends_s, strict=True)], families)
    assert_same(X, by_hand)
    assert_same(X, extract_features(whole, families, window_s=1.0, hop_s=0.5))


def test_spans_of_an_index_in_any_order(good: list[str], broken: dict[str, str]) -> None:
    missing = next(iter(broken))
    spans = [(good[1], 0.1, 0.7), (missing, 0, 1), (good[0], 0, None), (good[1], 0, 0.6), (good[0], 0.2, 9.0)]
    index = pd.MultiIndex.from_tuples(
        [
            (file, pd.Timedelta(start, "s"), pd.NaT if end is None else pd.Timedelta(end, "s"))
            for file, start, end in spans
        ],
        names=["file", "start", "end"],
    )
    X = extract_features(index, [Level()])
    assert list(X.index.get_level_values("file")) == [file for file, _, _ in spans]
    np.testing.assert_allclose(X.index.get_level_values("start").total_seconds(), [0.1, 0, 0, 0, 0.2])
    np.testing.assert_allclose(X.index.get_level_values("end").total_seconds(), [0.7, 1, 0.8, 0.6, 9.0])
    assert X["level__n_samples"].tolist()[::2][:2] == [0.6 * RATE, 0.8 * RATE]
    assert list(X.quality__ok) == [1, 0, 1, 1, 0]
    assert "the sound ends at 0.800 s" in vb.errors(X).reason.iloc[1]
    recording = vb.load_audio(good[1])
    assert_same(X.iloc[[0, 3]], extract_features([recording.cut(0.1, 0.7), recording.cut(0, 0.6)], [Level()]))


def test_windows_within_spans(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", buzz(4.0), RATE)
    file = str(tmp_path / "x.wav")
    index = pd.MultiIndex.from_arrays(
        [[file, file], pd.to_timedelta([1.0, 0.0], unit="s"), pd.to_timedelta([3.0, 1.0], unit="s")],
        names=["file", "start", "end"],
    )
    X = extract_features(index, [Level()], window_s=1.0)
    assert list(X.index.get_level_values("start").total_seconds()) == [1, 2, 0]
    recording = vb.load_audio(file)
    assert_same(X, extract_features([recording.cut(a, a + 1) for a in (1, 2, 0)], [Level()]))


def test_damage_on_the_way_keeps_the_windows_before_it(good: list[str]) -> None:
    samples = buzz(3.0)
    samples[40_000] = np.nan
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="FLOAT")
    X = extract_features([file, good[0]], [Level()], window_s=0.8)
    assert X.quality__ok.iloc[0] == 1
    assert X.quality__ok.tolist()[-2:] == [0, 1]
    assert "NaN or infinite, the first at 2.500 s" in vb.errors(X).reason.item()


def test_a_long_file_is_windowed_in_the_memory_of_a_short_one(tmp_path: Path) -> None:
    """Twenty minutes are 77 MB as float32; a process of its own tells how much was held."""
    program = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_extract import Level
import vocalbio as vb
def peak(path):
    X = vb.extract_features(path, ["spectral", Level()], window_s=30)
    assert X.quality__ok.all()
    return len(X), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(*peak("short.wav"), *peak("long.wav"))
"""
    rng = np.random.default_rng(0)
    minute = (3000 * rng.standard_normal(60 * 8000)).astype(np.int16)
    for name, minutes in (("short.wav", 2), ("long.wav", 20)):
        with soundfile.SoundFile(tmp_path / name, "w", 8000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    n_short, short_kb, n_long, long_kb = map(int, done.stdout.split())
    assert (n_short, n_long) == (4, 40)
    assert long_kb - short_kb < 15_000


# --- what audio may be -----------------------------------------------------------------------------------------


def test_every_way_to_name_the_same_recording(good: list[str]) -> None:
    path = good[0]
    whole = extract_features(path, [Level()])
    for audio in (
        Path(path),
        [path],
        (path,),
        pd.Index([path]),
        pd.Series([path]),
        np.array([path]),
        iter([path]),
    ):
        assert_same(extract_features(audio, [Level()]), whole)
    assert_same(extract_features(pd.DataFrame({"file": [path]}), [Level()]), whole)
    assert_same(extract_features(vb.load_audio(path), [Level()]), whole)


def test_file_objects_are_read_from_their_beginning(good: list[str]) -> None:
    content = io.BytesIO(Path(good[0]).read_bytes())
    content.seek(0, io.SEEK_END)
    X = extract_features([content, content, io.BytesIO(b"none")], [Level()])
    assert list(X.quality__ok) == [1, 1, 0]
    assert list(X.index.get_level_values("file")) == ["file_object_0", "file_object_1", "file_object_2"]
    assert_same(features(extract_features(content, [Level()])), features(X.iloc[[0]]))
    assert_same(extract_features([content], [Level()], n_jobs=2), X.iloc[[0]])
    with open(good[0], "rb") as file:
        assert extract_features(file, [Level()]).index[0][0] == good[0]
    with pytest.raises(ParameterError, match="opened as text; open it with mode 'rb'"):
        extract_features(io.StringIO("text"), [Level()])


def test_recordings_of_one_name_do_not_share_their_failure() -> None:
    noise = 0.05 * np.random.default_rng(1).standard_normal(RATE)
    X = extract_features([Recording(samples, RATE, file="memo") for samples in (noise, np.zeros(RATE))], "prosody")
    assert list(X.quality__ok) == [1, 0]
    assert len(vb.errors(X)) == 1
    assert "digital silence" in vb.errors(X).reason.item()
    assert vb.errors(X, partial=True).stage.tolist() == ["prosody", "signal"]


@pytest.mark.parametrize(
    ("audio", "match"),
    [
        (np.zeros(RATE), r"array of float64 with shape \(16000,\).*Recording\(samples, sampling_rate_hz\)"),
        (3.0, "audio is of type float; expected a path"),
        (b"bytes", "audio is of type bytes"),
        ({"a": 1}, "audio is of type dict"),
        (["a.wav", None], "entry 1 of audio is of type NoneType"),
        (pd.DataFrame({"file": ["a"], "label": [1]}), "table with 2 columns; .* pass its file column"),
        (
            pd.MultiIndex.from_tuples([("a", 1)], names=["file", "start"]),
            r"levels \['file', 'start'\]; expected file, start",
        ),
        (
            pd.MultiIndex.from_tuples([("a", 0.0, 1.0)], names=["file", "start", "end"]),
            "level 'start' of the index is float64; expected Timedelta: pd.to_timedelta",
        ),
    ],
)
def test_other_audio_is_refused(audio: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        extract_features(audio, [Level()])


@pytest.mark.parametrize(
    ("samples", "match"),
    [
        (
            np.zeros(RATE, np.int16),
            r"samples are int16; expected floats in \[-1, 1\]. For 16-bit integers divide by 2",
        ),
        (np.zeros((2, RATE)), r"samples have shape \(2, 16000\); expected \(n_samples,\), one channel"),
    ],
)
def test_arrays_that_are_no_signal_are_refused(samples: NDArray[Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        Recording(samples, RATE)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (
            {"families": ["prosodie"]},
            "family 'prosodie' is unknown; expected one of prosody, voice, spectral",
        ),
        ({"families": []}, "expected at least one, and each once"),
        ({"families": ["voice", "voice"]}, r"families are \['voice', 'voice'\]; expected"),
        ({"families": 7}, "families is 7; expected names or families"),
        ({"families": [object()]}, r"has no names or extract\(recording\)"),
        ({"families": [Level]}, r"has no names or extract\(recording\)"),
        ({"on_error": "ignore"}, "on_error is 'ignore'; expected 'record' or 'raise'"),
        ({"hop_s": 1.0}, "hop_s is 1.0 without window_s"),
        ({"window_s": 0.1}, "window_s is 0.1; expected a number of seconds, at least 0.5"),
        ({"window_s": "5"}, "window_s is '5'"),
        ({"window_s": 5.0, "hop_s": 0}, "hop_s is 0; expected a number of seconds, at least 0.01"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_read(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        extract_features(["nowhere.wav"], **{"families": [Level()], **settings})
    with pytest.raises(ParameterError, match=match):
        FeatureExtractor(**{"families": [Level()], **settings}).fit(["nowhere.wav"])


def test_a_family_must_return_a_number_a_name(good: list[str]) -> None:
    class Talkative(Level):
        names = ("one", "two", "three")

    with pytest.raises(ParameterError, match=r"family 'level' returned shape \(2,\); expected \(3,\), one a name"):
        extract_features(good[0], [Talkative()])


def test_infinite_values_become_missing(good: list[str]) -> None:
    class Infinite(Level):
        def extract(self, recording: Recording) -> list[float]:
            return [np.inf, 1.0]

    X = extract_features(good[0], [Infinite()])
    assert X["level__rms_db"].isna().item()
    assert vb.errors(X, partial=True).reason.item() == "infinite values were made NaN"


@pytest.mark.parametrize(
    ("family", "module", "package"),
    [
        ("prosody", "opensmile", "opensmile"),
        ("voice", "parselmouth", "praat-parselmouth"),
        ("spectral", "librosa", "librosa"),
    ],
)
def test_a_missing_package_is_told_with_its_pip_line(
    family: str, module: str, package: str, good: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vocalbio.features import prosody

    prosody._smile.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingPackageError, match=f"(the {family} family|measuring quality) needs .*pip install '{package}'"
    ):
        extract_features(good[0], [family])


# --- the table: names, notes, settings ---------------------------------------------------------------------------


def test_columns_are_described_in_their_order(good: list[str]) -> None:
    families = ["prosody", "voice", "spectral"]
    X = extract_features(good[0], families)
    table = vb.describe_columns(families)
    assert list(table.index) == list(X.columns)
    assert list(X.columns) == list(FeatureExtractor(families).get_feature_names_out())
    assert list(table.columns) == ["family", "unit", "meaning", "occurrence", "source", "paper"]
    for column in ("family", "occurrence", "source"):
        assert (table[column].str.len() > 3).all(), column
    assert (table.meaning.str.len() > 3)[table.index != "quality__ok"].all()
    assert (table.paper.str.len() > 10)[table.family != "quality"].all()
    assert (X.dtypes == np.float64).all()
    assert table.family.value_counts().to_dict() == {
        "prosody": 88,
        "voice": 55,
        "spectral": 106,
        "quality": 8,
    }


def test_reasons_travel_with_slices_and_parquet(good: list[str], broken: dict[str, str], tmp_path: Path) -> None:
    X = extract_features([*good[:2], *broken], [Level()])
    expected = vb.errors(X)
    assert_frame_equal(vb.errors(X.iloc[5:9]), expected.iloc[3:7])
    assert_frame_equal(vb.errors(X[X.quality__ok == 0][["quality__ok"]]), expected)
    assert_frame_equal(vb.errors(X[["level__rms_db"]]), expected)

    X.to_parquet(tmp_path / "X.parquet")
    back = pd.read_parquet(tmp_path / "X.parquet")
    assert_same(back, X)
    assert back.attrs == X.attrs
    assert_frame_equal(vb.errors(back), expected)
    assert read_settings(back) == read_settings(X)


def test_tables_can_be_joined(good: list[str], broken: dict[str, str]) -> None:
    first = extract_features(good[:2], [Level()])
    second = extract_features([*broken], [Level()])
    both = pd.concat([first, second])
    assert len(both) == 12
    failed = vb.errors(both)  # pandas drops attrs that differ
    assert list(failed.stage) == ["unknown"] * 10
    assert failed.reason.str.contains("lost with X.attrs; extract this file again").all()
    assert pd.concat([vb.errors(first), vb.errors(second)]).reason.tolist() == vb.errors(second).reason.tolist()


def test_partial_reasons_are_listed_on_demand() -> None:
    noise = 0.05 * np.random.default_rng(1).standard_normal(RATE)
    X = extract_features([Recording(noise, RATE), Recording(np.zeros(RATE), RATE)], ["prosody", "voice"])
    assert vb.errors(X).stage.tolist() == ["signal"]
    partial = vb.errors(X, partial=True)
    assert partial.stage.tolist() == ["prosody", "voice", "voice", "signal"]
    assert partial.reason.str.contains("no voiced frames by (?:openSMILE|Praat)").tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_errors_of_something_else_are_refused() -> None:
    with pytest.raises(ParameterError, match="not a table from extract_features"):
        vb.errors(pd.DataFrame({"a": [1]}))


def test_settings_stand_in_the_table_and_make_the_same_extractor(good: list[str]) -> None:
    families = ["prosody", vb.Voice(ceiling_factor=2.5), vb.Spectral(n_mfcc=5)]
    X = extract_features(good[0], families, window_s=0.5, hop_s=0.25)
    settings = read_settings(X)
    assert settings is not None
    assert settings["version"] == vb.__version__
    assert set(settings["tools"]) == {"opensmile", "parselmouth", "praat", "librosa"}
    assert settings["extractor"]["families"][1] == {
        "family": "voice",
        "ceiling_factor": 2.5,
        "formant_ceiling_hz": 5500.0,
    }
    again = FeatureExtractor.from_dict(json.loads(json.dumps(settings["extractor"])))
    assert again.to_dict() == settings["extractor"]
    assert_same(again.transform(good[0]), X)
    assert read_settings(pd.DataFrame()) is None


def test_a_family_of_ones_own_is_named_but_never_loaded_by_name() -> None:
    settings = FeatureExtractor([Level()]).to_dict()
    assert settings["families"] == [{"family": "level", "class": "test_extract.Level"}]
    with pytest.raises(
        ParameterError, match=r"'level' \(test_extract\.Level\) is not one of vocalbio's, and code is not"
    ):
        FeatureExtractor.from_dict(settings)


@pytest.mark.parametrize(
    "settings", [{}, {"families": 3}, {"families": ["voice"]}, {"families": [{"family": "voice", "x": 1}]}]
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="these are not the settings of an extractor"):
        FeatureExtractor.from_dict(settings)


# --- scikit-learn ------------------------------------------------------------------------------------------------
# scikit-learn's own parametrize_with_checks feeds numeric arrays to every estimator; this one takes recordings and
# refuses numbers, so what those checks are about is tested here.


def test_the_extractor_can_be_cloned_set_and_pickled(good: list[str]) -> None:
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    extractor = FeatureExtractor(["spectral", Level()], window_s=0.5, quality=False)
    twin = clone(extractor)
    assert twin is not extractor
    assert list(twin.get_params()) == list(extractor.get_params())
    assert twin.to_dict() == extractor.to_dict()
    assert twin.set_params(window_s=None, n_jobs=1).window_s is None
    assert extractor.window_s == 0.5
    loaded = pickle.loads(pickle.dumps(extractor))
    assert_same(loaded.transform(good[:2]), extractor.transform(good[:2]))
    try:
        check_is_fitted(FeatureExtractor())
    except NotFittedError:  # pragma: no cover
        pytest.fail("there is nothing to fit")


def test_set_output_keeps_names_and_index(good: list[str]) -> None:
    extractor = FeatureExtractor([Level()], quality=False).set_output(transform="pandas")
    X = extractor.fit_transform(good[:3])
    assert list(X.columns) == ["level__rms_db", "level__n_samples"]
    assert list(X.index.names) == ["file", "start", "end"]
    assert_same(X, extract_features(good[:3], [Level()]).iloc[:, :2])
    assert vb.errors(X).empty


def test_families_can_be_searched_over_within_a_pipeline(good: list[str]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline

    steps = make_pipeline(FeatureExtractor([Level()], quality=False), LogisticRegression())
    grid = {"featureextractor__families": [[Level()], ["spectral"]]}
    y, groups = np.arange(12) >= 6, np.tile(np.arange(3), 4)
    search = GridSearchCV(steps, grid, cv=GroupKFold(3), error_score="raise").fit(good[:12], y, groups=groups)
    assert search.best_params_["featureextractor__families"] == ["spectral"]
    assert search.best_estimator_.predict_proba(good[:2]).shape == (2, 2)


def test_workers_follow_joblibs_configuration(good: list[str]) -> None:
    import joblib

    here = extract_features(good[:4], [Pid()])
    assert set(here["pid__number"]) == {float(os.getpid())}
    with joblib.parallel_config(n_jobs=2):
        there = extract_features(good[:4], [Pid()])
    assert float(os.getpid()) not in set(there["pid__number"])
    with joblib.parallel_config("threading", n_jobs=2):
        threads = extract_features(good[:4], [Pid()])
    assert_same(threads, here)


# --- over time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "n_names"), [("prosody", 25), ("voice", 5), ("spectral", 53)])
def test_frames_of_every_family(family: str, n_names: int, good: list[str]) -> None:
    frames = vb.extract_frames(good[0], family)
    assert frames.values.shape == (len(frames.times_s), n_names)
    assert len(frames.names) == n_names
    assert 0 < frames.times_s[0] < 0.05
    assert 0.75 < frames.times_s[-1] <= 0.8
    assert repr(frames).startswith(f"Frames({len(frames.times_s)} frames x {n_names} features, 0.0")
    again = vb.extract_frames(vb.load_audio(good[0]), family)
    np.testing.assert_array_equal(again.values, frames.values)


def test_frames_need_frames_and_sound(good: list[str], broken: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match=r"family 'level' has no frames\(recording\)"):
        vb.extract_frames(good[0], Level())
    with pytest.raises(AudioError, match=r"lasts 0\.30 s; frames need at least 0.5 s"):
        vb.extract_frames(next(file for file in broken if file.endswith("short.wav")), "voice")
    with pytest.raises(AudioError, match="does not exist"):
        vb.extract_frames("nowhere.wav", "voice")


def test_a_very_quiet_recording_is_measured_and_doubted():
    time = np.arange(RATE) / RATE
    loud, quiet = (Recording(peak * np.sin(2 * np.pi * 150 * time), RATE, file=f"{peak}.wav") for peak in (0.2, 0.004))
    X = extract_features([loud, quiet], ["spectral"])
    assert X["quality__ok"].tolist() == [1, 1]
    doubted = vb.errors(X, partial=True)
    assert doubted.index.get_level_values("file").tolist() == ["0.004.wav"]
    assert "its peak is -48 dB" in doubted["reason"].item()
