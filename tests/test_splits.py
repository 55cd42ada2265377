"""Nobody is on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest

from vocalbio.datasets import check_disjoint, speaker_folds
from vocalbio.errors import LeakageError, ParameterError

SPEAKERS = np.repeat([f"S{number:02}" for number in range(12)], 5)
LABELS = np.tile([0, 1, 1, 0, 1], 12)


@pytest.mark.parametrize(("n_splits", "n_folds"), [(None, 12), (12, 12), (4, 4), (2, 2)])
def test_every_row_is_tested_once_by_folds_that_share_no_speaker(n_splits: int | None, n_folds: int) -> None:
    folds = speaker_folds(LABELS, SPEAKERS, n_splits)
    assert len(folds) == n_folds
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    for train, test in folds:
        assert len(train) + len(test) == 60
        assert not set(SPEAKERS[train]) & set(SPEAKERS[test])


def test_without_a_number_of_folds_one_speaker_is_left_out_at_a_time() -> None:
    assert [list(np.unique(SPEAKERS[test])) for _, test in speaker_folds(LABELS, SPEAKERS)] == [
        [name] for name in np.unique(SPEAKERS)
    ]


def test_folds_hold_as_much_of_a_class_as_whole_speakers_allow() -> None:
    ill = np.repeat(np.arange(12) < 4, 5)  # four ill speakers of twelve: one a fold
    assert [ill[test].mean() for _, test in speaker_folds(ill, SPEAKERS, 4)] == pytest.approx([1 / 3] * 4)


def test_a_seed_decides_who_comes_together() -> None:
    def parts(seed: int) -> list[list[int]]:
        return [test.tolist() for _, test in speaker_folds(LABELS, SPEAKERS, 3, seed)]

    assert parts(1) == parts(1)
    assert parts(1) != parts(2)


@pytest.mark.parametrize(
    ("y", "groups", "n_splits", "message"),
    [
        ([0, 1], ["a"], None, "one class and one speaker a row"),
        ([0, 1], ["a", None], None, "missing \\(NaN or None\\) for 1 rows"),
        ([0, 1], ["a", "a"], None, "holds 1 speakers; 2 folds need at least 2"),
        ([0, 1, 0, 1], list("abcd"), 5, "holds 4 speakers; 5 folds need"),
        ([0, 1], ["a", "b"], 1, "n_splits is 1; expected a whole number, at least 2"),
        ([0, 1, 2, 3, 4], list("abcde"), 3, "cannot be cut into 3 folds"),
    ],
)
def test_impossible_folds_are_refused_in_words(
    y: list[int], groups: list[str], n_splits: int | None, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        speaker_folds(y, groups, n_splits)


def test_a_leak_names_the_speakers_but_a_few() -> None:
    check_disjoint(["Ann", "Bob"], ["Cem"])
    with pytest.raises(LeakageError, match=r"at once: Bob \(speakers: 1\)"):
        check_disjoint(["Ann", "Bob"], ["Bob", "Bob", "Cem"])
    with pytest.raises(LeakageError, match=r"S00, S01, S02, S03, S04, … \(speakers: 12\)"):
        check_disjoint(SPEAKERS, SPEAKERS)
