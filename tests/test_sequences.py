"""Segments of one recording, or of one speaker, as one sample."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold
from sklearn.utils import _safe_indexing

from vocalbio.datasets import Sequences
from vocalbio.errors import ParameterError
from vocalbio.features.family import Frames

ROWS = [  # file, start, feature x, ok: out of order on purpose
    ("b.wav", 5, 21.0, 1),
    ("a.wav", 5, 11.0, 1),
    ("b.wav", 0, 20.0, 1),
    ("c.wav", 0, np.nan, 0),
    ("a.wav", 0, 10.0, 1),
    ("a.wav", 10, 12.0, 0),
]


@pytest.fixture
def table() -> pd.DataFrame:
    files, starts, x, ok = zip(*ROWS, strict=True)
    start = pd.to_timedelta(starts, unit="s")
    index = pd.MultiIndex.from_arrays(
        [files, start, start + pd.to_timedelta(5, unit="s")], names=["file", "start", "end"]
    )
    X = pd.DataFrame({"voice__x": x, "voice__y": np.multiply(x, 2), "quality__ok": ok}, index=index)
    X.attrs["vocalbio"] = json.dumps({"version": "0.1.0", "extractor": {"window_s": 5.0}})
    return X


def test_rows_of_a_file_come_in_order_of_time_and_files_in_order_of_appearance(table: pd.DataFrame) -> None:
    sequences = Sequences.from_table(table)
    assert sequences.keys == ["b.wav", "a.wav", "c.wav"]
    assert [values[:, 0].tolist() for values in sequences.values] == [[20.0, 21.0], [10.0, 11.0], []]
    assert sequences.values[0].dtype == np.float32
    assert sequences.names == ["voice__x", "voice__y"]


def test_unusable_rows_are_dropped_and_a_key_without_any_keeps_its_place(table: pd.DataFrame) -> None:
    sequences = Sequences.from_table(table)
    assert sequences.ok.tolist() == [True, True, False]
    assert sequences.values[2].shape == (0, 2)
    assert len(sequences) == 3


def test_files_of_a_speaker_follow_each_other_unmixed(table: pd.DataFrame) -> None:
    sequences = Sequences.from_table(table, by=["Ann"] * 5 + ["Bob"])
    assert sequences.keys == ["Ann", "Bob"]
    assert sequences.values[0][:, 0].tolist() == [20.0, 21.0, 10.0, 11.0]
    assert not sequences.ok[1]


def test_settings_of_the_extractor_travel_along(table: pd.DataFrame) -> None:
    assert Sequences.from_table(table)[:1].settings == {"window_s": 5.0}
    table.attrs = {}
    assert Sequences.from_table(table).settings is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (1, ["a.wav"]),
        (-1, ["c.wav"]),
        (slice(1, None), ["a.wav", "c.wav"]),
        ([True, False, True], ["b.wav", "c.wav"]),
        (np.array([2, 0]), ["c.wav", "b.wav"]),
        ([2, 0, 0], ["c.wav", "b.wav", "b.wav"]),
        ([], []),
    ],
)
def test_they_are_indexed_like_an_array(table: pd.DataFrame, key: object, expected: list[str]) -> None:
    assert Sequences.from_table(table)[key].keys == expected


def test_scikit_learn_takes_them_for_samples(table: pd.DataFrame) -> None:
    sequences = Sequences.from_table(table)
    [(train, _), *_] = GroupKFold(3).split(sequences, groups=["x", "y", "z"])
    assert isinstance(_safe_indexing(sequences, train), Sequences)
    assert len(_safe_indexing(sequences, train)) == 2
    assert _safe_indexing(sequences, np.array([False, True, False])).keys == ["a.wav"]
    assert len(pickle.loads(pickle.dumps(sequences))) == 3


def test_a_key_that_is_not_there_is_an_index_error(table: pd.DataFrame) -> None:
    with pytest.raises(IndexError, match="there are 3 sequences"):
        Sequences.from_table(table)[7]


def test_padding_is_zero_on_the_right_and_the_mask_tells(table: pd.DataFrame) -> None:
    sequences = Sequences.from_table(table)
    values, mask = sequences.padded(4)
    assert values.shape == (3, 4, 2)
    assert mask.sum(axis=1).tolist() == [2, 2, 0]
    np.testing.assert_array_equal(values[mask], np.concatenate(sequences.values))
    assert not values[~mask].any()
    assert sequences.padded()[0].shape == (3, 2, 2)


def test_padding_never_cuts_a_sequence(table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="length is 1; the longest sequence has 2 segments"):
        Sequences.from_table(table).padded(1)


def test_keys_that_do_not_fit_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="levels \\['file', 'start', 'end'\\]"):
        Sequences.from_table(table, by="speaker")
    with pytest.raises(ParameterError, match="a key for each of the 6 rows"):
        Sequences.from_table(table, by=["Ann"])
    with pytest.raises(ParameterError, match="missing \\(NaN or None\\) for 1 rows"):
        Sequences.from_table(table, by=["Ann"] * 5 + [None])
    with pytest.raises(ParameterError, match="another index than X"):
        Sequences.from_table(table, by=pd.Series(["Ann"] * 6, index=list("abcdef")))
    with pytest.raises(ParameterError, match="of type list; expected a table"):
        Sequences.from_table([[1.0]])  # type: ignore[arg-type]


def test_frames_become_sequences_and_broken_recordings_keep_their_place() -> None:
    states = Frames(np.arange(100.0).reshape(50, 2), np.arange(50) * 0.02 + 0.01, ("0", "1"))
    sequences = Sequences.from_frames({"a": states, "broken": None}, "whisper_L4")
    assert sequences.keys == ["a", "broken"]
    assert sequences.names == ["whisper_L4__0", "whisper_L4__1"]
    assert sequences.ok.tolist() == [True, False]
    np.testing.assert_array_equal(sequences.values[0], states.values)


def test_frames_are_averaged_over_what_is_a_number() -> None:
    pitch = np.array([[100.0], [np.nan], [np.nan], [np.nan], [200.0]])
    frames = Frames(pitch, np.arange(5) * 0.01, ("f0_hz",))
    found = Sequences.from_frames({"a": frames}, "voice", hop_s=0.02).values[0]
    np.testing.assert_array_equal(found, [[100.0], [np.nan], [200.0]])


def test_frames_that_do_not_fit_are_refused() -> None:
    one, other = (Frames(np.zeros((3, 1)), np.arange(3) * 0.02, (name,)) for name in ("x", "y"))
    with pytest.raises(ParameterError, match="differ in their names"):
        Sequences.from_frames({"a": one, "b": other}, "voice")
    with pytest.raises(ParameterError, match="holds no Frames"):
        Sequences.from_frames({"a": None}, "voice")
    with pytest.raises(ParameterError, match=r"hop_s is 0\.01; expected 0\.020 or more"):
        Sequences.from_frames({"a": one}, "voice", hop_s=0.01)
