"""Splits by speaker: nobody is on both sides."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.errors import LeakageError, ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["check_disjoint", "checked_folds", "official_folds", "speaker_folds"]


def speaker_folds(
    y: ArrayLike, groups: ArrayLike, n_splits: int | None = None, seed: int | None = 0
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """
    Cut rows into training and test parts that share no speaker.

    Parameters
    ----------
    y : array-like of shape (n,)
        Classes, which the folds are balanced for as far as whole speakers allow.
    groups : array-like of shape (n,)
        Speaker of each row.
    n_splits : int, optional
        Number of folds; None: leave one speaker out, a fold for each.
    seed : int or None, default 0
        Which speakers come together; without meaning when one is left out.

    Returns
    -------
    list of (train, test)
        Positions of rows, two integer arrays a fold. Every row is tested once.

    Raises
    ------
    ParameterError
        If lengths differ, a speaker is missing, or there are too few speakers or rows of a class for so many
        folds.

    Examples
    --------
    >>> from vocalbio.datasets import speaker_folds
    >>> for train, test in speaker_folds([0, 1, 1, 0], ["Ann", "Ann", "Bob", "Bob"]):
    ...     print(train, test)
    [2 3] [0 1]
    [0 1] [2 3]
    """
    labels, speakers = np.asarray(y), np.asarray(groups, object)
    if labels.ndim != 1 or speakers.shape != labels.shape:
        raise ParameterError(
            f"y has shape {labels.shape} and groups {speakers.shape}; expected one class and one speaker a row"
        )
    speaker_of_row, names = pd.factorize(speakers)
    if (speaker_of_row < 0).any():
        raise ParameterError(f"groups is missing (NaN or None) for {(speaker_of_row < 0).sum()} rows")
    if n_splits is None:
        n_splits = max(2, len(names))
    if isinstance(n_splits, bool) or not isinstance(n_splits, (int, np.integer)) or n_splits < 2:
        raise ParameterError(f"n_splits is {n_splits!r}; expected a whole number, at least 2")
    if len(names) < n_splits:
        raise ParameterError(f"groups holds {len(names)} speakers; {n_splits} folds need at least {n_splits} of them")
    rows = np.arange(len(labels))
    if n_splits == len(names):
        tests = [rows[speaker_of_row == speaker] for speaker in range(len(names))]
    else:
        tests = _stratified(labels, speaker_of_row, n_splits, seed)
    folds = [(np.setdiff1d(rows, test), test) for test in tests if len(test)]
    for train, test in folds:
        check_disjoint(speakers[train], speakers[test])
    return folds


def _stratified(labels: Any, speakers: Any, n_splits: int, seed: int | None) -> list[NDArray[np.intp]]:
    from sklearn.model_selection import StratifiedGroupKFold

    # speakers of like labels are taken in the order of their numbers; we deal these out ourselves, since the splitter's
    # own shuffle did nothing in scikit-learn 1.7 and before
    dealt = np.random.default_rng(seed).permutation(speakers.max() + 1)[speakers]
    splitter = StratifiedGroupKFold(n_splits)
    with warnings.catch_warnings():  # that a class has fewer rows than there are folds
        warnings.simplefilter("ignore", UserWarning)
        try:
            return [test for _, test in splitter.split(dealt, labels, dealt)]
        except ValueError as error:
            raise ParameterError(f"y cannot be cut into {n_splits} folds: {error}") from error


_TRAIN, _DEV, _TEST = {"train", "training"}, {"dev", "devel", "development", "val", "valid", "validation"}, {"test"}


def official_folds(split: ArrayLike, groups: ArrayLike) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """
    Read the split that came with a corpus: one name a row.

    Parameters
    ----------
    split : array-like of shape (n,)
        ``"train"``, ``"dev"`` and ``"test"`` (also devel, val, validation): one fold, trained on train and dev and
        tested on test; without test, trained on train and tested on dev. Any other values name folds, and each is
        tested once by what was trained on all the others.
    groups : array-like of shape (n,)
        Speaker of each row.

    Returns
    -------
    list of (train, test)
        Positions of rows, two integer arrays a fold.

    Raises
    ------
    LeakageError
        If the split puts a speaker on both sides.
    ParameterError
        If lengths differ, a row has no name, or nothing is left to train or test on.

    Examples
    --------
    >>> from vocalbio.datasets.splits import official_folds
    >>> [(train.tolist(), test.tolist()) for train, test in official_folds(["train", "dev", "test"], "abc")]
    [([0, 1], [2])]
    >>> [(train.tolist(), test.tolist()) for train, test in official_folds([1, 2, 2], "abc")]
    [([1, 2], [0]), ([0], [1, 2])]
    """
    parts = np.asarray(split, object)
    speakers = np.asarray(list(groups) if isinstance(groups, str) else groups, object)
    if parts.ndim != 1 or speakers.shape != parts.shape:
        raise ParameterError(
            f"the split has shape {parts.shape} and groups {speakers.shape}; expected one name and one speaker a row"
        )
    if pd.isna(parts).any():
        raise ParameterError(f"the split is missing (NaN or None) for {pd.isna(parts).sum()} rows; leave those out")
    names = np.array([str(part).strip().lower() for part in parts])
    if set(names) <= _TRAIN | _DEV | _TEST:
        tested = _TEST if np.isin(names, list(_TEST)).any() else _DEV
        test = np.isin(names, list(tested))
        folds = [(np.flatnonzero(~test), np.flatnonzero(test))]
    else:
        folds = [(np.flatnonzero(parts != part), np.flatnonzero(parts == part)) for part in dict.fromkeys(parts)]
    return checked_folds(folds, speakers)


def checked_folds(folds: Iterable[Any], groups: ArrayLike) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """
    Make sure that folds made elsewhere are fit for use.

    Parameters
    ----------
    folds : iterable of (train, test)
        Positions of rows, as a splitter of scikit-learn gives them.
    groups : array-like of shape (n,)
        Speaker of each row.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    LeakageError
        If a speaker is on both sides of a fold.
    ParameterError
        If a fold is no pair of positions, has an empty side, or a row is tested twice.

    Examples
    --------
    >>> from vocalbio.datasets.splits import checked_folds
    >>> len(checked_folds([([0], [1]), ([1], [0])], ["Ann", "Bob"]))
    2
    """
    speakers = np.asarray(groups, object)
    checked, tested = [], np.zeros(len(speakers), int)
    for number, fold in enumerate(folds, 1):
        try:
            train, test = (np.asarray(side) for side in fold)
            train, test = (np.arange(len(speakers))[side] for side in (train, test))
        except (TypeError, ValueError, IndexError) as error:
            raise ParameterError(
                f"fold {number} is no pair of positions of the {len(speakers)} rows ({error}); expected (train, test)"
            ) from error
        if not len(train) or not len(test):
            raise ParameterError(f"fold {number} has {len(train)} rows to train on and {len(test)} to test; need both")
        check_disjoint(speakers[train], speakers[test])
        np.add.at(tested, test, 1)
        checked.append((train, test))
    if not checked:
        raise ParameterError("the split has no fold")
    if tested.max() > 1:
        raise ParameterError(
            f"{(tested > 1).sum()} rows are tested more than once; expected each once. To repeat a split with other "
            "folds, give their number and several seeds"
        )
    return checked


def check_disjoint(groups_train: ArrayLike, groups_test: ArrayLike) -> None:
    """
    Make sure that no speaker is on both sides of a split.

    Parameters
    ----------
    groups_train, groups_test : array-like
        Speaker of each row.

    Raises
    ------
    LeakageError
        If somebody is; names up to five.

    Examples
    --------
    >>> from vocalbio.datasets import check_disjoint
    >>> check_disjoint(["Ann", "Bob"], ["Cem"])
    """
    train = dict.fromkeys(np.asarray(groups_train, object).ravel())
    shared = [speaker for speaker in dict.fromkeys(np.asarray(groups_test, object).ravel()) if speaker in train]
    if shared:
        named = ", ".join(map(str, shared[:5])) + (", …" if len(shared) > 5 else "")
        raise LeakageError(
            f"in training and in test at once: {named} (speakers: {len(shared)}). Split by speaker, "
            "as vocalbio.datasets.speaker_folds does"
        )
