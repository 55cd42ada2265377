"""Androids: Italian patients with depression and controls, reading a fable and in an interview; five official folds."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Any, Literal

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.layout import a_folder, by_name, files_below, no_such_corpus
from vocalbio.errors import ParameterError

__all__ = ["read_androids"]

SOURCE = Source(
    "Androids corpus",
    "academic, non-commercial research; no redistribution",
    "downloaded from https://github.com/androidscorpus/data",
    "Tao F, Esposito A, Vinciarelli A. The Androids Corpus: a new publicly available benchmark for speech based "
    "depression detection. Interspeech 2023;4149-4153. doi:10.21437/Interspeech.2023-894",
)
NAME = re.compile(r"(\d{1,3})_([PC])([MF])(\d{2})_([1-4X])", re.IGNORECASE)
FOLDS = {"reading": range(5), "interview": range(7, 12)}
"""Columns of the official folds in fold-lists.csv."""
EXPECTED = {"reading": 112, "interview": 116}


def read_androids(folder: str | os.PathLike[str], task: Literal["reading", "interview"] = "reading") -> Corpus:
    """
    Read one task of the Androids corpus.

    Labels are diagnoses by psychiatrists, no scores. The official folds differ between the tasks and most people did
    both, so the tasks are read one at a time: put together, their folds share speakers.

    Parameters
    ----------
    folder : path-like
        With ``Reading-Task``, ``Interview-Task``, ``fold-lists.csv`` and ``interview_timedata.csv``.
    task : {"reading", "interview"}
        ``"reading"``: a row a recording. ``"interview"``: a row for each turn of the participant, by
        ``interview_timedata.csv``; from ``Interview-Task/audio_clip``, which holds the turns as files, where the
        whole interviews are missing.

    Returns
    -------
    Corpus
        ``label``: True for patients; ``speaker``: number and condition, such as ``"27_P"`` (the number alone stands for
        two people); ``sex``, ``age``, ``education`` (1 to 4), ``task``; ``split``: ``fold1`` to ``fold5``.

    Raises
    ------
    ParameterError
        If the folder is not that corpus, or there is no such task.

    References
    ----------
    .. [1] Tao F, Esposito A, Vinciarelli A. The Androids Corpus: a new publicly available benchmark for speech based
       depression detection. Interspeech 2023;4149-4153. doi:10.21437/Interspeech.2023-894

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_androids
    >>> corpus = read_androids("Androids-Corpus", task="interview")  # doctest: +SKIP
    """
    if task not in FOLDS:
        raise ParameterError(f"task is {task!r}; expected 'reading' or 'interview'")
    folder = a_folder(folder, SOURCE)
    found = [path for path in files_below(folder, (".wav",)) if NAME.match(path.stem)]
    inside = [path for path in found if f"{task}-task" in {part.lower() for part in path.parts}]
    clips = [path for path in inside if "audio_clip" in path.parts]
    whole = [path for path in inside if "audio_clip" not in path.parts]
    if not inside:
        raise no_such_corpus(folder, SOURCE, f"recordings such as {task.title()}-Task/audio/HC/01_CF56_1.wav in it")
    problems: list[tuple[str, str]] = []
    tables = by_name(files_below(folder, (".csv",)))
    fold_of = _folds(tables.get("fold-lists.csv") or tables.get("fold-list.csv"), task)
    if not fold_of:
        problems.append(("fold-lists.csv", "missing or empty: no official folds"))
    rows: list[dict[str, Any]] = []
    if task == "interview" and whole:
        times = _times_s(tables.get("interview_timedata.csv"), problems)
        for path in whole:
            spans = times.get(_key(path.stem), [])
            if not spans:
                problems.append((path.name, "no turns in interview_timedata.csv: left out, since it holds two voices"))
            rows += [{"file": path, "start_s": start, "end_s": end} for start, end in spans]
    else:
        rows = [{"file": path} for path in whole or clips]
    rows = [{**row, **_person(row["file"].stem), "task": task} for row in rows]
    for row in rows:
        row["split"] = fold_of.get(_key(row["file"].stem))
    lost = sorted({row["file"].name for row in rows if row["split"] is None})
    if fold_of and lost:
        problems.append(("fold-lists.csv", f"has no fold for {', '.join(lost[:5])} ({len(lost)} in all)"))
    speakers = {row["speaker"] for row in rows}
    if len(speakers) != EXPECTED[task]:
        problems.append((f"{task} task", f"{len(speakers)} speakers; the published corpus has {EXPECTED[task]}"))
    if not rows:
        raise no_such_corpus(folder, SOURCE, "interview_timedata.csv in it, with the turns of the interviews")
    return make_corpus("androids", rows, problems, SOURCE)


def _key(name: str) -> str:
    """Number, condition, sex, age and education, without what numbers the clip: the same in all tables."""
    match = NAME.match(name.strip().strip("'\""))
    return "" if match is None else f"{int(match[1])}_{match[2]}{match[3]}{match[4]}_{match[5]}".upper()


def _person(name: str) -> dict[str, Any]:
    match = NAME.match(name)
    if match is None:
        raise ParameterError(f"{name} is no name of the Androids corpus; expected nn_XGmm_t")
    number, condition, sex, age, education = match.groups()
    return {
        "speaker": f"{int(number):02d}_{condition.upper()}",
        "sex": {"M": "male", "F": "female"}[sex.upper()],
        "label": condition.upper() == "P",
        "age": int(age),
        "education": None if education.upper() == "X" else int(education),
    }


def _folds(path: Path | None, task: str) -> dict[str, str]:
    if path is None:
        return {}
    folds: dict[str, str] = {}
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        for cells in csv.reader(file):
            for number, place in enumerate(FOLDS[task], 1):
                if place < len(cells) and _key(cells[place]):
                    folds[_key(cells[place])] = f"fold{number}"
    return folds


def _times_s(path: Path | None, problems: list[tuple[str, str]]) -> dict[str, list[tuple[float, float]]]:
    """Turns of the participants: each line has a name, then start and end of one turn after the other."""
    if path is None:
        return {}
    turns: dict[str, list[tuple[float, float]]] = {}
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        for line in csv.reader(file):
            if not line or not _key(line[0]):
                continue
            name, *cells = line
            try:
                seconds = [float(cell) for cell in cells if cell.strip()]
            except ValueError:
                seconds = [0.0]
            spans = list(zip(seconds[::2], seconds[1::2], strict=False))
            if len(seconds) % 2 or any(end <= start for start, end in spans):
                problems.append((name, "times in interview_timedata.csv are no pairs of start and end: left out"))
                continue
            turns[_key(name)] = spans
    return turns
