"""A corpus on disk: recordings with labels and speakers, told by a table or by folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.cli.recordings import is_recording
from vocalbio.conditions import Condition, get_condition
from vocalbio.errors import ParameterError

__all__ = ["Corpus", "read_corpus"]

PERSON = ("sex", "gender", "age", "device")
"""Columns that describe a speaker; whatever else stands in a table is left alone."""
DECISIONS = {"0": False, "false": False, "1": True, "true": True}
LAYOUTS = (
    "expected manifest.csv in it (columns file, label, speaker), or one folder a class with recordings in it: "
    "CLASS/SPEAKER/file.wav, or CLASS/file.wav"
)


@dataclass(frozen=True, eq=False)
class Corpus:
    """
    Recordings with labels and speakers.

    Attributes
    ----------
    audio : list of str or pandas.MultiIndex
        Files; (file, start, end) where spans were given.
    labels : numpy.ndarray
        Shape (n,): classes of the condition, or True and False.
    speakers : numpy.ndarray or None
        Shape (n,); None: not known.
    person : pandas.DataFrame or None
        Sex, age, device, one line a recording; None: not known.
    """

    audio: list[str] | pd.MultiIndex
    labels: NDArray[Any]
    speakers: NDArray[Any] | None
    person: pd.DataFrame | None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def files(self) -> list[str]:
        """File of each row."""
        return [entry if isinstance(entry, str) else str(entry[0]) for entry in self.audio]


def read_corpus(
    data: Path,
    condition: str,
    *,
    label_column: str | None = None,
    labels: str | None = None,
    speaker_pattern: str | None = None,
) -> Corpus:
    """
    Read a corpus.

    Parameters
    ----------
    data : Path
        A CSV file, a folder with ``manifest.csv``, or a folder with one folder a class. A table has the columns file
        (relative to the table), a label, and where known speaker, start and end (seconds), sex, age, device.
    condition : str
        Decides which labels there may be. With two classes they are 0 and 1 (or false, true), or the score of the
        questionnaire: the column ``phq8``.
    label_column : str, optional
        ``"label"``, or else ``"phq8"``, unless given.
    labels : str, optional
        Labels to use, others are left out: ``"neutral,sad,fearful=anxious"``; ``OLD=NEW`` renames.
    speaker_pattern : str, optional
        Regular expression that finds the speaker in the file's path below the folder: its first group, or else all
        that it matches.

    Returns
    -------
    Corpus

    Raises
    ------
    ParameterError
        If something is missing or not of the right kind; the text says which.
    """
    facts = get_condition(condition)
    data = Path(data)
    if data.is_file():
        table, base = _read_table(data), data.parent
    elif (data / "manifest.csv").is_file():
        table, base = _read_table(data / "manifest.csv"), data
    elif data.is_dir():
        table, base = _read_folders(data), data
    else:
        raise ParameterError(f"{data} does not exist; expected a CSV file or a folder")
    column = _choose_label_column(table, label_column, facts)
    table = table[table[column].notna()] if labels else table
    blank = table[column].isna()
    if blank.any():
        raise ParameterError(
            f"column {column!r} is empty for {blank.sum()} of {len(table)} files, such as "
            f"{table['file'][blank].iloc[0]}; leave those out"
        )
    table, found = _choose_labels(table, table[column], labels)
    if not len(table):
        raise ParameterError(f"{data} holds no recording with one of these labels: {labels or 'any'}")
    person = table[[name for name in PERSON if name in table]].reset_index(drop=True)
    return Corpus(
        _audio(table, base),
        _read_labels(found, column, facts),
        _speakers(table, speaker_pattern),
        None if person.empty else person,
    )


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"cannot read {path} ({error}); expected a CSV file with the columns file, label, speaker"
        ) from error
    table.columns = [str(name).strip().lower() for name in table.columns]
    if "file" not in table:
        raise ParameterError(f"{path} has the columns {', '.join(table.columns)}; expected file, label, speaker")
    if table["file"].isna().any():
        raise ParameterError(f"{path} has {table['file'].isna().sum()} rows without a file; expected one in each")
    if table.empty:
        raise ParameterError(f"{path} has no rows; expected one for each recording")
    return table


def _read_folders(folder: Path) -> pd.DataFrame:
    """One folder a class; speakers are the folders in them, if all recordings stand in one."""
    found = sorted(path.relative_to(folder) for path in folder.rglob("*") if is_recording(path))
    inside = [path for path in found if len(path.parts) > 1]
    if not inside:
        raise ParameterError(f"{folder} holds no recordings by class; {LAYOUTS}")
    table = pd.DataFrame({"file": [path.as_posix() for path in inside], "label": [path.parts[0] for path in inside]})
    if all(len(path.parts) > 2 for path in inside):
        table["speaker"] = [path.parts[1] for path in inside]
    return table


def _choose_label_column(table: pd.DataFrame, wanted: str | None, condition: Condition) -> str:
    score = _score_column(condition)
    usual = ["label"] if score is None else ["label", score]
    names = [name for name in usual if name in table] if wanted is None else [wanted.strip().lower()]
    if not names or names[0] not in table:
        raise ParameterError(
            f"there is no column {' or '.join(map(repr, names or usual))}; columns are {', '.join(table.columns)}: "
            "name one with --label-column"
        )
    return names[0]


def _score_column(condition: Condition) -> str | None:
    """Column that holds the score of a questionnaire, which is cut at the condition's cut-off: ``phq8``."""
    if condition.classes is not None or condition.severity is None:
        return None
    return condition.severity.name.replace("-", "").lower()


def _choose_labels(table: pd.DataFrame, found: pd.Series, labels: str | None) -> tuple[pd.DataFrame, pd.Series]:
    if labels is None:
        return table, found.str.strip()
    renamed = {}
    for part in labels.split(","):
        old, _, new = part.partition("=")
        renamed[old.strip()] = new.strip() or old.strip()
    found = found.str.strip()
    absent = [name for name in renamed if name not in set(found)]
    if absent:
        raise ParameterError(
            f"--labels names {', '.join(map(repr, absent))}; the labels are "
            f"{', '.join(map(repr, sorted(found.dropna().unique())[:12]))}"
        )
    kept = found.isin(list(renamed))
    return table[kept], found[kept].map(renamed)


def _read_labels(found: pd.Series, column: str, condition: Condition) -> NDArray[Any]:
    if condition.classes is not None:
        strange = sorted(set(found) - set(condition.classes))
        if strange:
            raise ParameterError(
                f"column {column!r} holds {', '.join(map(repr, strange[:6]))}; {condition.name} takes "
                f"{', '.join(map(repr, condition.classes))}. Choose and rename: --labels "
                f"{','.join([*condition.classes[:-1], f'{strange[0]}={condition.classes[-1]}'])}"
            )
        return found.to_numpy(str)
    if column == _score_column(condition):
        return _cut(found, condition)
    strange = sorted({value for value in found if value.lower() not in DECISIONS})
    if strange:
        raise ParameterError(
            f"column {column!r} holds {', '.join(map(repr, strange[:6]))}; {condition.name} takes 1 "
            f"({condition.positive}) and 0, or a column {_score_column(condition)!r}. Rename: --labels "
            f"{strange[0]}=0,{strange[-1]}=1"
        )
    return np.array([DECISIONS[value.lower()] for value in found])


def _cut(found: pd.Series, condition: Condition) -> NDArray[np.bool_]:
    scale = condition.severity
    if scale is None:
        raise ParameterError(f"{condition.name} has no score to cut")
    values = pd.to_numeric(found, errors="coerce").to_numpy(float)
    wrong = ~((values >= scale.low) & (values <= scale.high))
    if wrong.any():
        raise ParameterError(
            f"the {scale.name} score {found[wrong].iloc[0]!r} is none; expected numbers from {scale.low:g} to "
            f"{scale.high:g}"
        )
    return values >= scale.cutoff


def _speakers(table: pd.DataFrame, pattern: str | None) -> NDArray[Any] | None:
    if pattern is not None:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ParameterError(f"--speaker-pattern {pattern!r} is no regular expression: {error}") from error
        matches = [compiled.search(Path(file).as_posix()) for file in table["file"]]
        names = [None if match is None else match[min(1, compiled.groups)] for match in matches]
        if None in names:
            raise ParameterError(
                f"--speaker-pattern {pattern!r} finds nobody in {table['file'].iloc[names.index(None)]!r}; expected a "
                "speaker in every path, such as 'Actor_([0-9]+)'"
            )
        return np.array(names)
    if "speaker" not in table or table["speaker"].isna().all():
        return None
    if table["speaker"].isna().any():
        raise ParameterError(
            f"column 'speaker' is empty for {table['speaker'].isna().sum()} of {len(table)} files; name all speakers, "
            "or leave those files out"
        )
    return table["speaker"].str.strip().to_numpy(str)


def _audio(table: pd.DataFrame, base: Path) -> list[str] | pd.MultiIndex:
    files = [str(base / file.strip()) for file in table["file"]]
    if not {"start", "end"} & set(table.columns):
        return files
    spans = {}
    for name in ("start", "end"):
        given = table[name] if name in table else pd.Series(np.nan, table.index)
        seconds = pd.to_numeric(given, errors="coerce")
        wrong = (seconds.isna() & given.notna()) | (seconds < 0)
        if wrong.any():
            raise ParameterError(f"column {name!r} holds {given[wrong].iloc[0]!r}; expected seconds from 0 on")
        spans[name] = seconds
    start = spans["start"].fillna(0.0)
    backwards = spans["end"] <= start
    if backwards.any():
        raise ParameterError(f"{table['file'][backwards].iloc[0]} has a span whose end is not after its start")
    return pd.MultiIndex.from_arrays(
        [files, *(pd.to_timedelta(seconds.to_numpy(float), unit="s") for seconds in (start, spans["end"]))],
        names=["file", "start", "end"],
    )
