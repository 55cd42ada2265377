"""Databases in audEERING's audformat."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from vocalbio.datasets.corpora.corpus import Corpus, make_corpus
from vocalbio.datasets.corpora.layout import a_folder
from vocalbio.errors import ParameterError, required_for

__all__ = ["read_audformat"]

SEXES = {"f": "female", "m": "male", "female": "female", "male": "male"}


def read_audformat(folder: str | os.PathLike[str], table: str, label: str, speaker: str = "speaker") -> Corpus:
    """
    Read one table of an audformat database.

    Parameters
    ----------
    folder : path-like
        With ``db.yaml`` and the tables beside it.
    table : str
        Name of the table: one of files or of segments.
    label : str
        Its column that holds the label.
    speaker : str
        Column with the speaker, in that table or in another one of the database. What the database knows of speakers
        (``gender`` or ``sex``, ``age``) comes along.

    Returns
    -------
    Corpus
        With the table's other columns.

    Raises
    ------
    ParameterError
        If there is no such database, table or column; the text names those there are.
    MissingPackageError
        If audformat is not installed.

    References
    ----------
    .. [1] audEERING. audformat: the format that stores media data. https://audeering.github.io/audformat/

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_audformat
    >>> corpus = read_audformat("emodb", "emotion", "emotion")  # doctest: +SKIP
    """
    with required_for("reading an audformat database", "vocalbio[audformat]"):
        import audformat  # type: ignore[import-untyped,unused-ignore]

    folder = a_folder(folder)
    if not (folder / "db.yaml").is_file():
        raise ParameterError(f"{folder} is no audformat database: expected db.yaml in it")
    database = audformat.Database.load(str(folder))
    if table not in database.tables:
        raise ParameterError(f"table is {table!r}; {folder} has {', '.join(map(repr, database.tables))}")
    if label not in database[table].columns:
        raise ParameterError(f"label is {label!r}; table {table!r} has {', '.join(map(repr, database[table].columns))}")
    frame = database[table].get()
    frame.index = audformat.utils.to_segmented_index(frame.index)
    frame = frame.rename(columns={label: "label"}).astype(object)
    column = _speaker_column(database, table, speaker)
    problems = [] if column is not None else [(table, f"no column {speaker!r} of files: speakers are not known")]
    if column is not None and speaker not in frame:
        told = column.get()
        frame[speaker] = frame.index.get_level_values("file").map(dict(zip(told.index, told, strict=True)))
    facts = {} if column is None else _facts(database, column)
    rows: list[dict[str, Any]] = []
    for (file, start, end), values in zip(frame.index, frame.to_dict("records"), strict=True):
        path = folder / file
        if not path.is_file():
            problems.append((file, "missing: left out"))
            continue
        who = values.pop(speaker, None)
        person = facts.get(str(who), {})
        rows.append(
            {
                **values,
                "file": path,
                "start_s": start.total_seconds(),
                "end_s": None if pd.isna(end) else end.total_seconds(),
                "speaker": None if pd.isna(who) else str(who),
                "sex": SEXES.get(str(person.get("gender", person.get("sex"))).lower()),
                **({"age": person["age"]} if "age" in person else {}),
            }
        )
    if not rows:
        raise ParameterError(f"none of the files of table {table!r} is below {folder}; expected the audio there")
    return make_corpus(str(database.name), rows, problems)


def _speaker_column(database: Any, table: str, speaker: str) -> Any:
    """The table's own column, or else that of a table of whole files."""
    tables = [database[table], *(other for other in database.tables.values() if other.type == "filewise")]
    return next((found.columns[speaker] for found in tables if speaker in found.columns), None)


def _facts(database: Any, column: Any) -> dict[str, dict[str, Any]]:
    """What the scheme of the speakers says of each: in the scheme itself, or in a table that it names."""
    labels = None if column.scheme is None else column.scheme.labels
    if isinstance(labels, str):
        labels = database[labels].get().astype(object).to_dict("index")
    named = labels.items() if isinstance(labels, dict) else ()
    return {str(name): facts for name, facts in named if isinstance(facts, dict)}
