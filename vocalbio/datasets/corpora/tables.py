"""A table of recordings: one line a recording, or a stretch of one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from vocalbio.datasets.corpora.corpus import Corpus, make_corpus
from vocalbio.datasets.corpora.layout import read_csv
from vocalbio.errors import ParameterError

__all__ = ["read_table"]

TIMES = ("start", "end")


def read_table(path: str | os.PathLike[str], label: str = "label") -> Corpus:
    r"""
    Read a table of recordings.

    Parameters
    ----------
    path : path-like
        A CSV file, or a folder with ``manifest.csv``. Column ``file``: path, relative to the table; where known
        ``speaker``, ``sex``, ``group``, ``split``, ``start`` and ``end`` (seconds); whatever else it has is kept.
        Case of the column names is ignored.
    label : str
        Column that holds the label.

    Returns
    -------
    Corpus
        Labels of ``true`` and ``false``, and numbers, are such; others are text.

    Raises
    ------
    ParameterError
        If the table cannot be read, lacks a column, or none of its files is there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vocalbio.datasets.corpora import read_table
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "a.wav").touch()
    >>> _ = (folder / "memos.csv").write_text("file,speaker,phq8\na.wav,ann,7\ngone.wav,bob,3\n")
    >>> corpus = read_table(folder / "memos.csv", label="phq8")
    >>> corpus.labels.tolist(), corpus.problems.loc[0, "where"]
    ([7], 'gone.wav')
    """
    path = Path(os.fsdecode(path)).expanduser()
    path = path / "manifest.csv" if path.is_dir() else path
    table = read_csv(path)
    table.columns = table.columns.str.lower()
    wanted = label.strip().lower()
    for column in ("file", wanted):
        if column not in table:
            raise ParameterError(
                f"{path} has the columns {', '.join(table.columns)}; there is no {column!r} among them"
            )
    problems: list[tuple[str, str]] = []
    if table["file"].isna().any():
        problems.append((path.name, f"{table['file'].isna().sum()} lines without a file: left out"))
        table = table[table["file"].notna()]
    names = table["file"].str.strip()
    files = [str(path.parent / name) for name in names]
    there = np.array([os.path.isfile(file) for file in files], bool)
    if not there.any():
        raise ParameterError(f"none of the {len(table)} files of {path} is there; expected paths relative to the table")
    problems += [(name, "missing: left out") for name in names[~there]]
    table = table.assign(file=files, **{name: _seconds(table, name, path) for name in TIMES})[there]
    backwards = table["end"] <= table["start"].fillna(0.0)
    problems += [(Path(file).name, "ends before it starts: left out") for file in table["file"][backwards]]
    table = table[~backwards].rename(columns={"start": "start_s", "end": "end_s"})
    label_of_row = table.pop(wanted) if wanted != "label" else table["label"]
    kept = table.drop(columns="label", errors="ignore").assign(label=_typed(label_of_row))
    rows = [{str(name): value for name, value in row.items()} for row in kept.to_dict("records")]
    return make_corpus(path.parent.name if path.name == "manifest.csv" else path.stem, rows, problems)


def _seconds(table: pd.DataFrame, name: str, path: Path) -> pd.Series:
    if name not in table:
        return pd.Series(np.nan, table.index)
    seconds = pd.to_numeric(table[name], errors="coerce")
    wrong = (seconds.isna() & table[name].notna()) | (seconds < 0)
    if wrong.any():
        raise ParameterError(
            f"{path}: column {name!r} holds {table[name][wrong].iloc[0]!r}; expected seconds from 0 on"
        )
    return seconds


def _typed(column: pd.Series) -> pd.Series:
    """Truth values and numbers as such, where all of a column are."""
    text = column.str.strip().str.lower()
    if text.dropna().isin(["true", "false"]).all():
        return text.map({"true": True, "false": False}).astype(object)
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().equals(column.notna()) else column.str.strip()
