"""A corpus on disk: recordings with labels and speakers, told by a table, by folders, or by the reader of a corpus."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vocalbio.cli.recordings import is_recording
from vocalbio.conditions import Condition, get_condition
from vocalbio.datasets.splits import official_folds
from vocalbio.errors import ParameterError

__all__ = ["Corpus", "read_corpus", "read_published"]

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
    splits : numpy.ndarray or None
        Shape (n,): part or fold of the official split; None: there is none.
    problems : tuple of str
        What the reader of a published corpus found, and what of it is left out.
    title : str or None
        Of a published corpus.
    """

    audio: list[str] | pd.MultiIndex
    labels: NDArray[Any]
    speakers: NDArray[Any] | None
    person: pd.DataFrame | None
    splits: NDArray[Any] | None = None
    problems: tuple[str, ...] = ()
    title: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def files(self) -> list[str]:
        """File of each row."""
        return [entry if isinstance(entry, str) else str(entry[0]) for entry in self.audio]

    @property
    def size(self) -> str:
        """How much there is, in words: ``"12 recordings"``, or ``"40 stretches of 12 recordings"``."""
        n_files = len(set(self.files))
        return f"{len(self)} recordings" if n_files == len(self) else f"{len(self)} stretches of {n_files} recordings"

    def take(self, rows: ArrayLike) -> Corpus:
        """Keep rows, by position."""
        places = np.asarray(rows, int)
        return replace(
            self,
            audio=self.audio[places] if isinstance(self.audio, pd.MultiIndex) else [self.audio[k] for k in places],
            labels=self.labels[places],
            speakers=None if self.speakers is None else self.speakers[places],
            person=None if self.person is None else self.person.iloc[places].reset_index(drop=True),
            splits=None if self.splits is None else self.splits[places],
        )

    def by_file(self) -> Corpus:
        """Keep the first row of each file, for what is told of whole files."""
        told = pd.DataFrame({"file": self.files, "label": self.labels, "speaker": self.speakers})
        mixed = told.groupby("file", sort=False)[["label", "speaker"]].nunique().max(axis=1) > 1
        if mixed.any():
            raise ParameterError(
                f"{mixed.idxmax()} has stretches of several labels or speakers, and a sequence is made of each file; "
                "expected one label and one speaker a file, or --network dense"
            )
        return self.take(np.flatnonzero(~told["file"].duplicated()))

    def official_parts(self) -> tuple[NDArray[np.intp], NDArray[np.intp], str] | None:
        """
        Read the parts that were published: training rows, test rows, and which they are.

        Returns
        -------
        tuple or None
            None where there are no parts but folds, or nothing.

        Raises
        ------
        LeakageError, ParameterError
            If the parts share a speaker, or nothing is left to train or test on.
        """
        if self.splits is None or self.speakers is None:
            return None
        folds = official_folds(self.splits, self.speakers)
        if len(folds) > 1:
            return None
        train, test = folds[0]
        names = [" and ".join(dict.fromkeys(map(str, self.splits[part]))) for part in (train, test)]
        counts = [len(set(self.speakers[part].tolist())) for part in (train, test)]
        return train, test, f"{names[0]} ({counts[0]} speakers) to train, {names[1]} ({counts[1]}) to test"


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


def read_published(
    data: Path, name: str, condition: str, *, label_column: str | None = None, labels: str | None = None
) -> Corpus:
    """
    Read a corpus with the reader made for it.

    Parameters
    ----------
    data : Path
        Its folder.
    name : str
        One of `vocalbio.datasets.corpora.READERS`.
    condition : str
        Decides which labels there may be. For stress the corpora of acted emotion give their classes of stress, unless
        `label_column` or `labels` says what is meant.
    label_column : str, optional
        Column of the reader's table; ``"label"`` unless given.
    labels : str, optional
        As in `read_corpus`.

    Returns
    -------
    Corpus
        Rows with a label, and with a part of the official split where there is one.

    Raises
    ------
    ParameterError
        If there is no such reader, the folder is not that corpus, or no row has a label that the condition takes.
    """
    from vocalbio.datasets.corpora import READERS
    from vocalbio.datasets.corpora import read_corpus as read

    facts = get_condition(condition)
    options = {}
    if facts.name == "stress" and labels is None and label_column is None and name in READERS:
        options = {"labels": "stress"} if "labels" in inspect.signature(READERS[name]).parameters else {}
    corpus = read(name, data, **options)
    column = _choose_label_column(corpus.table, label_column, facts)
    problems = [f"{row.where}: {row.problem}" for row in corpus.problems.itertuples()]
    for needed in (column, "split") if corpus.splits is not None else (column,):
        missing = corpus.table[needed].isna().to_numpy()
        if missing.any():
            problems.append(f"{missing.sum()} of {len(corpus)} rows have no {needed}: left out")
            corpus = corpus.select(~missing)
    if not len(corpus):
        raise ParameterError(f"no row of {name} in {data} has a {column!r}; {'; '.join(problems[-2:])}")
    numbered, found = _choose_labels(corpus.table, corpus.table[column].astype(object).map(str), labels)
    corpus = corpus.select(corpus.table.index.isin(numbered.index))
    person = corpus.table[[key for key in PERSON if key in corpus.table and corpus.table[key].notna().any()]]
    return Corpus(
        corpus.index,
        _read_labels(found, column, facts),
        corpus.groups,
        None if person.empty else person,
        corpus.splits,
        tuple(problems),
        None if corpus.source is None else corpus.source.title,
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
