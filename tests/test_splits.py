"""Nobody is on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest

from vocalbio.datasets import check_disjoint, speaker_folds
from vocalbio.datasets.splits import checked_folds, official_folds
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


def test_an_official_split_is_trained_on_train_and_dev_and_tested_on_test() -> None:
    people = np.array(list("aabbccdd"))
    ((train, test),) = official_folds(["Train", "train", "dev", "dev", "test", "test", "training", "training"], people)
    assert people[train].tolist() == list("aabbdd")
    assert people[test].tolist() == list("cc")
    ((train, test),) = official_folds(["train"] * 6 + ["devel"] * 2, people)
    assert people[test].tolist() == list("dd")  # without a test part the dev part is judged


def test_other_names_of_an_official_split_are_folds_that_take_turns() -> None:
    folds = official_folds(np.repeat(["one", "two", "three"], 20), SPEAKERS)
    assert [np.unique(SPEAKERS[test]).tolist() for _, test in folds] == [
        ["S00", "S01", "S02", "S03"],
        ["S04", "S05", "S06", "S07"],
        ["S08", "S09", "S10", "S11"],
    ]
    assert all(len(train) == 40 for train, _ in folds)


def test_a_mask_is_a_side_of_a_fold_too() -> None:
    ((train, test),) = checked_folds([(SPEAKERS < "S06", SPEAKERS >= "S06")], SPEAKERS)
    assert train.tolist() == list(range(30))
    assert test.tolist() == list(range(30, 60))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (["train", "test"], r"the split has shape \(2,\) and groups \(3,\)"),
        (["train", None, "test"], r"missing \(NaN or None\) for 1 rows"),
        (["train", "train", "train"], "fold 1 has 0 rows to train on|fold 1 has 3 rows to train on and 0 to test"),
        (["only", "only", "only"], "fold 1 has 0 rows to train on and 3 to test"),
    ],
)
def test_an_official_split_that_cannot_be_used_is_refused_in_words(split: list[str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        official_folds(split, ["a", "b", "c"])


def test_an_official_split_that_leaks_is_refused() -> None:
    with pytest.raises(LeakageError, match="at once: b"):
        official_folds(["train", "train", "test"], ["a", "b", "b"])


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "the split has no fold"),
        ([([0], [1]), ([2], [1])], "1 rows are tested more than once"),
        ([([0], [7])], "fold 1 is no pair of positions of the 3 rows"),
        ([5], "fold 1 is no pair"),
        ([([], [1])], "fold 1 is no pair|fold 1 has 0 rows"),
    ],
)
def test_folds_that_are_none_are_refused_in_words(folds: list[object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        checked_folds(folds, ["a", "b", "c"])
