"""Twins: the same audio under two names, which puts a speaker on both sides of a split unseen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.audio import load_audio
from vocalbio.datasets import Sequences
from vocalbio.errors import AudioError, LeakageError
from vocalbio.evaluation.cohort import Cohort

__all__ = ["check_twins", "contents"]

FEWEST_VALUES = 8


def contents(cohort: Cohort, progress: bool = False) -> tuple[list[pd.Series], str]:
    """
    What tells the audio of a row from any other.

    Parameters
    ----------
    cohort : Cohort
    progress : bool
        Show a bar while files are decoded.

    Returns
    -------
    list of pandas.Series
        One entry a row, None where nothing is known: a hash of the features; a hash of the decoded samples.
    text : str
        What was looked at.
    """
    rows = pd.Series(_row_hashes(cohort.X), dtype=object).where(cohort.usable, None)
    files, n_files = _file_hashes(cohort, progress)
    return [rows, files], f"features of {rows.notna().sum()} rows, samples of {n_files} files"


def check_twins(cohort: Cohort, hashes: list[pd.Series], folds: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    """
    Make sure that no recording is in training and, under another name, in test.

    Parameters
    ----------
    cohort : Cohort
    hashes : list of pandas.Series
        From `contents`.
    folds : iterable of (train, test)

    Raises
    ------
    LeakageError
        If one is; names up to three pairs.
    """
    rows_alike, files_alike = hashes
    groups = [np.asarray(rows) for rows in rows_alike.groupby(rows_alike).groups.values()]
    # a file of its own name may hold several speakers, whose segments are told apart by their times
    for rows in map(np.asarray, files_alike.groupby(files_alike).groups.values()):
        groups += [rows] if len(set(cohort.recordings[rows])) > 1 else []
    groups = [rows for rows in groups if len(set(cohort.speakers[rows])) > 1]
    pairs: dict[tuple[str, ...], None] = {}
    for train, test in folds if groups else ():
        for rows in groups:
            trained, tested = rows[np.isin(rows, train)], rows[np.isin(rows, test)]
            if len(trained) and len(tested):
                pairs[tuple(sorted(_name(cohort, row) for row in (trained[0], tested[0])))] = None
    if pairs:
        named = "; ".join(f"{one} and {other}" for one, other in list(pairs)[:3]) + ("; …" if len(pairs) > 3 else "")
        raise LeakageError(
            f"the same audio stands in training and in test under two names: {named} (pairs: {len(pairs)}). Leave one "
            "of each pair out, or give both the same speaker; check_audio=False goes on regardless"
        )


def _name(cohort: Cohort, row: int) -> str:
    return f"{cohort.recordings[row]} (speaker {cohort.speakers[row]})"


def _row_hashes(X: Any) -> list[str | None]:
    """A hash of each row's numbers; None where there are too few of them to be anybody's own."""
    values = X.values if isinstance(X, Sequences) else np.ascontiguousarray(X, dtype=float)
    found = []
    for row in values:
        fractions = np.unique(row[~np.isnan(row) & (row != np.round(row))])
        telling = len(fractions) >= FEWEST_VALUES
        found.append(hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() if telling else None)
    return found


def _file_hashes(cohort: Cohort, progress: bool) -> tuple[pd.Series, int]:
    """A hash of each file's samples as stored; files of a length of their own need not be decoded."""
    from tqdm.auto import tqdm

    files = pd.Series(cohort.recordings)
    one_each = files.is_unique
    readable = [file for file in files.unique() if os.path.isfile(file)]
    if one_each and "duration_s" in cohort.quality:
        duration = dict(zip(files, cohort.quality["duration_s"].round(3), strict=True))
        alike = pd.Series([duration[file] for file in readable]).duplicated(keep=False)
        decoded = [file for file, twin in zip(readable, alike, strict=True) if twin]
    else:
        decoded = readable
    known: dict[str, str | None] = {}
    for file in tqdm(decoded, desc="Same audio twice?", unit="file", disable=not progress, delay=1.0):
        try:
            known[file] = hashlib.sha256(load_audio(file, None).samples.tobytes()).hexdigest()
        except AudioError:
            known[file] = None
    return files.map(known).astype(object).where(lambda found: found.notna(), None), len(readable)
