"""The cohort that a model is judged on: rows with their labels, speakers and recordings."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.datasets import Sequences
from vocalbio.errors import LeakageError, ParameterError, VocalbioWarning
from vocalbio.extract.table import is_feature
from vocalbio.features.embedding import COMPACT_HEARD
from vocalbio.risk.inputs import align, read_inputs

__all__ = ["Cohort", "add_copies", "choose_rows", "join", "read_cohort", "training_part"]


@dataclass(frozen=True, eq=False)
class Cohort:
    """
    Rows of a table, an array or sequences, each with its label, speaker and recording.

    Attributes
    ----------
    X : pandas.DataFrame, numpy.ndarray or Sequences
        What models see: features only.
    quality : pandas.DataFrame
        Quality columns, without their prefix; no columns where `X` had none.
    index : pandas.Index
        What each row is.
    y, speakers, recordings : numpy.ndarray
        Shape (n,); recordings as text, the file where the index names one.
    usable : numpy.ndarray of bool
        Shape (n,). False where there is nothing to go by.
    row_is_person : bool
        Speakers were not told apart: each row was said to be a person of its own.
    copies : (pandas.DataFrame, numpy.ndarray of int), optional
        Features of augmented copies, and the row that each is a copy of. For training only.
    """

    X: Any
    quality: pd.DataFrame
    index: pd.Index
    y: NDArray[Any]
    speakers: NDArray[Any]
    recordings: NDArray[Any]
    usable: NDArray[np.bool_]
    row_is_person: bool
    copies: tuple[pd.DataFrame, NDArray[np.intp]] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def fingerprint(self) -> str:
        """A hash of everything that a prediction depends on."""
        if isinstance(self.X, Sequences):
            parts = [np.concatenate([np.empty((0, len(self.X.names))), *self.X.values]), self.X.names]
            parts.append([len(values) for values in self.X.values])
        elif isinstance(self.X, pd.DataFrame):
            parts = [self.X.to_numpy(float), list(self.X.columns)]
        else:
            parts = [self.X]
        found = hashlib.sha256()
        if self.copies is not None:
            parts += [self.copies[0].to_numpy(float), self.copies[1].tolist()]
        for part in [*parts, list(map(str, self.y)), list(map(str, self.speakers)), self.recordings.tolist()]:
            found.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        return found.hexdigest()


def read_cohort(X: Any, y: Any, groups: Any) -> Cohort:
    """
    Join labels and speakers to rows.

    Parameters
    ----------
    X : pandas.DataFrame, array_like of shape (n, n_features), or Sequences
    y : array_like or pandas.Series
        Labels; a Series is joined by row, file or key, or by speaker.
    groups : array_like, pandas.Series or "row"
        Speakers; ``"row"``: each row is a person of its own.

    Returns
    -------
    Cohort

    Raises
    ------
    ParameterError
        If there are no speakers, lengths differ, or an index matches some rows only.
    """
    usable = read_inputs(X, isinstance(X, Sequences)).usable
    quality = pd.DataFrame(index=pd.RangeIndex(len(usable)))
    if isinstance(X, Sequences):
        index = pd.Index(X.keys, tupleize_cols=False)
    elif isinstance(X, pd.DataFrame):
        index = X.index
        described = X[[column for column in X.columns if not is_feature(column)]]
        quality = described.reset_index(drop=True).rename(columns=lambda name: str(name).removeprefix("quality__"))
        X = X[[column for column in X.columns if is_feature(column)]]
    else:
        X = np.asarray(X)
        index = pd.RangeIndex(len(X))
    if groups is None:
        raise ParameterError(
            "groups is None; expected the speaker of each row. Recordings of one person resemble each other, so a "
            "result is about new people only where nobody is in training and test at once. If each row is a person of "
            "its own, say groups='row'"
        )
    row_is_person = isinstance(groups, str)
    if row_is_person and groups != "row":
        raise ParameterError(f"groups is {groups!r}; expected the speaker of each row, or 'row'")
    speakers = np.arange(len(index)) if row_is_person else align(groups, X, len(index), "groups")
    files = index.get_level_values("file") if "file" in index.names else index
    if row_is_person and files.has_duplicates and "file" in index.names:
        raise ParameterError(
            f"groups is 'row', but {files[files.duplicated()][0]!r} has several rows: they are of one person. Pass the "
            "speaker of each row"
        )
    recordings = [str(i) for i in range(len(index))] if "file" not in index.names and not index.is_unique else files
    _tell_heard(getattr(X, "names", getattr(X, "columns", ())), recordings)
    return Cohort(
        X, quality, index, join(y, X, len(index), "y", speakers), speakers, np.array([str(r) for r in recordings]),
        usable, row_is_person,
    )  # fmt: skip


def _tell_heard(columns: Any, recordings: Any) -> None:
    """Warn where the encoder in the wheel was made with the very recordings that are judged."""
    if not any(str(name).startswith("compact_L") for name in columns):
        return
    n = sum(bool(COMPACT_HEARD.search(str(name))) for name in recordings)
    if n:
        warnings.warn(
            f"{n} of {len(recordings)} rows are of recordings that the compact encoder was made with (RAVDESS, actors "
            "1 to 16, or nEMO; without their emotions): results with its columns may flatter. "
            "families=('prosody', 'voice') leaves them out",
            VocalbioWarning,
            stacklevel=4,
        )


def join(values: Any, X: Any, n: int, what: str, speakers: NDArray[Any]) -> NDArray[Any]:
    """
    Join values to rows as `vocalbio.risk.inputs.align` does, and by speaker where the index names speakers.

    Parameters
    ----------
    values : array_like or pandas.Series
    X : table, array or Sequences
    n : int
        Number of rows.
    what : str
        Name of the argument, for messages.
    speakers : numpy.ndarray
        Shape (n,).

    Returns
    -------
    numpy.ndarray
        Shape (n,).

    Raises
    ------
    ParameterError
        If lengths differ, or the index matches some rows only.
    """
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    by_position = isinstance(getattr(values, "index", None), pd.RangeIndex) and len(values) == n
    if isinstance(values, pd.Series) and not by_position and not values.index.equals(getattr(X, "index", None)):
        known = pd.Index(speakers).isin(values.index)
        if known.all() and values.index.is_unique:
            return align(values.reindex(speakers).to_numpy(), X, n, what)
        if known.any():
            lacking = list(dict.fromkeys(str(speaker) for speaker in speakers[~known]))
            raise ParameterError(
                f"{what} is indexed by speaker; expected one entry for each speaker of groups, once. "
                f"Without any: {', '.join(lacking[:5]) or 'none, but some stand there twice'}"
            )
    return align(values, X, n, what)


def add_copies(cohort: Cohort, augmented: Any) -> Cohort:
    """
    Give a cohort augmented copies of its rows.

    Parameters
    ----------
    cohort : Cohort
    augmented : (pandas.DataFrame, array_like of int)
        Features of the copies, and the row of `cohort` that each is a copy of; unusable ones are left out.

    Returns
    -------
    Cohort

    Raises
    ------
    LeakageError
        If a copy is named after another recording than that of its row.
    ParameterError
        If copies and rows do not fit together.
    """
    try:
        table, rows = augmented
        rows = np.asarray(rows)
        names = [name for name in table.columns if is_feature(name)]
    except (AttributeError, TypeError, ValueError) as error:
        raise ParameterError(
            "augmented is something else than (table of copies, row of the original of each); expected what "
            "vocalbio.augment.copies gives: (made.measure(extractor), made.rows)"
        ) from error
    if not isinstance(cohort.X, pd.DataFrame) or names != list(cohort.X.columns):
        raise ParameterError("the copies have other features than X; expected tables measured by one extractor")
    whole = rows.dtype.kind in "iu" and rows.shape == (len(table),)
    if not whole or (len(rows) and not 0 <= rows.min() <= rows.max() < len(cohort)):
        raise ParameterError(
            f"the rows of the copies have shape {rows.shape} and kind {rows.dtype}; expected one row of X, from 0 to "
            f"{len(cohort) - 1}, for each of {len(table)} copies"
        )
    if "file" in table.index.names:
        for name, row in zip(table.index.get_level_values("file"), rows.tolist(), strict=True):
            original = str(name).rpartition("#copy")[0]
            if original and original != cohort.recordings[row]:
                raise LeakageError(
                    f"a copy of {original} is said to be one of row {row}, which is {cohort.recordings[row]}: it would "
                    "be trained on while its speaker is tested. Pass the rows that came with the copies"
                )
    usable = read_inputs(table, False).usable
    return replace(cohort, copies=(table.loc[usable, names], rows[usable].astype(np.intp)))


def training_part(cohort: Cohort, train: NDArray[Any]) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    """Rows to train on with their labels and speakers; behind them the copies of these rows, and of no others."""
    X, rows = choose_rows(cohort.X, train), train
    if cohort.copies is not None:
        table, originals = cohort.copies
        own = np.flatnonzero(np.isin(originals, train))
        joined = pd.concat([X, table.iloc[own]])
        joined.attrs = dict(X.attrs)
        X, rows = joined, np.concatenate([train, originals[own]])
    return X, cohort.y[rows], cohort.speakers[rows]


def choose_rows(X: Any, rows: NDArray[Any]) -> Any:
    """Rows of a table, an array or sequences, by position."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]
