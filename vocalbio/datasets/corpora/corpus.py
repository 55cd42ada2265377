"""What every reader gives: one table of recordings, speakers and labels, and what is wrong with the copy at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vocalbio.errors import ParameterError

__all__ = ["Corpus", "Source", "make_corpus"]

FIRST = ("file", "start", "end", "speaker", "sex", "label")
"""Columns that every table has, in this order; the corpus' own come after them."""
SHOWN = 8


@dataclass(frozen=True)
class Source:
    """
    Where a corpus comes from.

    Attributes
    ----------
    title : str
    licence : str
        The terms in a few words; what counts is the text that comes with the corpus.
    access : str
        Where it is applied for or downloaded.
    citation : str
    """

    title: str
    licence: str
    access: str
    citation: str


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """
    Recordings with labels and speakers, read from a folder or a table.

    Attributes
    ----------
    name : str
        Of its reader, such as ``"daic_woz"``.
    table : pandas.DataFrame
        One row a recording, or a stretch of one: ``file`` (path), ``start`` and ``end`` (Timedelta; 0 and NaT for a
        whole file, as in audformat), ``speaker``, ``sex`` (``"female"``, ``"male"``), ``label``, then the columns of
        the corpus, such as ``phq8`` or ``split``. What is not known is missing.
    problems : pandas.DataFrame
        One row each, ``where`` (file, participant or table) and ``problem``: what is missing or contradicts itself, and
        what was done about it.
    source : Source or None
        Licence, where it is applied for, citation; None for folders and tables of your own.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vocalbio.datasets.corpora import read_folders
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("calm/ann/1.wav", "tense/ann/2.wav", "calm/bob/1.wav"):
    ...     (folder / name).parent.mkdir(parents=True, exist_ok=True)
    ...     _ = (folder / name).write_bytes(b"RIFF")
    >>> corpus = read_folders(folder)
    >>> corpus
    Corpus('folders', 3 rows of 3 files, 2 speakers)
    >>> corpus.labels.tolist(), corpus.groups.tolist()
    (['calm', 'calm', 'tense'], ['ann', 'bob', 'ann'])
    """

    name: str
    table: pd.DataFrame
    problems: pd.DataFrame
    source: Source | None = None

    @property
    def index(self) -> pd.MultiIndex:
        """(file, start, end) of each row, as `vocalbio.extract_features` takes it."""
        return pd.MultiIndex.from_frame(self.table[["file", "start", "end"]])

    @property
    def labels(self) -> NDArray[Any]:
        """Label of each row, shape (n_rows,): bool, str or numbers; object with None where one is missing."""
        return _values(self.table["label"])

    @property
    def groups(self) -> NDArray[Any] | None:
        """What must stay together in a split, shape (n_rows,): ``group`` where there is one, or else the speaker."""
        return _known(self.table, "group" if "group" in self.table else "speaker")

    @property
    def splits(self) -> NDArray[Any] | None:
        """Part of the official split or name of the fold, shape (n_rows,); None where the corpus has none."""
        return _known(self.table, "split")

    def select(self, rows: ArrayLike) -> Corpus:
        """
        Keep some rows.

        Parameters
        ----------
        rows : array-like of bool, shape (n_rows,)
            Such as ``corpus.table["label"].notna()``.

        Returns
        -------
        Corpus
            With the same problems.

        Raises
        ------
        ParameterError
            If it is no bool a row.
        """
        kept = np.asarray(rows)
        if kept.dtype != bool or kept.shape != (len(self),):
            raise ParameterError(
                f"rows is an array of {kept.dtype} with shape {kept.shape}; expected True or False for each of the "
                f"{len(self)} rows"
            )
        return replace(self, table=self.table[kept].reset_index(drop=True))

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        speakers = self.table["speaker"].nunique()
        return (
            f"Corpus({self.name!r}, {len(self)} rows of {self.table['file'].nunique()} files, "
            f"{speakers or 'unknown'} speakers)"
        )

    def __str__(self) -> str:
        lines = [self.source.title if self.source else self.name, _size(self.table), _people(self.table)]
        lines += [_counts(self.table, column) for column in ("label", "split") if column in self.table]
        if len(self.problems):
            more = f", the first {SHOWN} of them" if len(self.problems) > SHOWN else ""
            lines.append(f"problems  {len(self.problems)} (corpus.problems){more}:")
            lines += [f"  {row.where}: {row.problem}" for row in self.problems.head(SHOWN).itertuples()]
        else:
            lines.append("problems  none found")
        if self.source:
            lines += [f"licence   {self.source.licence}", f"cite      {self.source.citation}"]
        return "\n".join(lines)


def make_corpus(
    name: str,
    rows: Iterable[Mapping[str, Any]],
    problems: Iterable[tuple[Any, str]],
    source: Source | None = None,
) -> Corpus:
    """
    Put rows and problems of a reader together.

    Parameters
    ----------
    name : str
    rows : iterable of mapping
        ``file``, and where known ``start_s`` and ``end_s`` (seconds, both from the beginning of the file), ``speaker``,
        ``sex``, ``label`` and columns of the corpus.
    problems : iterable of (where, problem)
    source : Source, optional

    Returns
    -------
    Corpus
        Its columns hold str, numbers, or bool (nullable where some are missing).

    Examples
    --------
    >>> from vocalbio.datasets.corpora.corpus import make_corpus
    >>> make_corpus("mine", [{"file": "a.wav", "speaker": "ann", "label": True}], []).table.loc[0, "start"]
    Timedelta('0 days 00:00:00')
    """
    table = pd.DataFrame(list(rows))
    for column in (*FIRST, "start_s", "end_s"):
        if column not in table:
            table[column] = None
    table["file"] = table["file"].map(str)
    starts = pd.to_numeric(table.pop("start_s")).astype(float).fillna(0.0)
    ends = pd.to_numeric(table.pop("end_s")).astype(float)
    table["start"] = pd.to_timedelta(starts, unit="s").astype("timedelta64[ns]")
    table["end"] = pd.to_timedelta(ends, unit="s").astype("timedelta64[ns]")
    table = table[[*FIRST, *(column for column in table if column not in FIRST)]].infer_objects()
    for column in table.columns:
        if table[column].dtype == object and table[column].dropna().map(lambda value: isinstance(value, bool)).all():
            table[column] = table[column].astype("boolean" if table[column].notna().any() else object)
    found = pd.DataFrame([(str(where), problem) for where, problem in problems], columns=["where", "problem"])
    return Corpus(name, table, found, source)


def _values(column: pd.Series) -> NDArray[Any]:
    if column.isna().any():
        return np.array([None if pd.isna(value) else value for value in column], object)
    return np.array(column.tolist())


def _known(table: pd.DataFrame, column: str) -> NDArray[Any] | None:
    return None if column not in table or table[column].isna().all() else _values(table[column])


def _size(table: pd.DataFrame) -> str:
    hours = (table["end"] - table["start"]).dt.total_seconds().sum() / 3600
    lasting = "length not known before they are read" if table["end"].isna().any() else f"{hours:.2f} hours"
    rows = f"{len(table)} stretches of " if table["end"].notna().any() else ""
    return f"audio     {rows}{table['file'].nunique()} files, {lasting}"


def _people(table: pd.DataFrame) -> str:
    people = table.drop_duplicates("speaker")
    if people["speaker"].isna().all():
        return "speakers  not known"
    sexes = people["sex"].value_counts()
    told = ", ".join(f"{count} {sex}" for sex, count in sorted(sexes.items()))
    return f"speakers  {people['speaker'].nunique()}" + (f" ({told})" if told else "")


def _counts(table: pd.DataFrame, column: str) -> str:
    parts = []
    several = table["speaker"].nunique() < len(table)
    for value, rows in table.groupby(table[column].astype(object).fillna("missing"), sort=False):
        speakers = rows["speaker"].nunique()
        parts.append(f"{value} {len(rows)}" + (f" ({speakers} speakers)" if several and speakers else ""))
    return f"{column:<10}" + ", ".join(sorted(parts, key=lambda part: part.startswith("missing")))
