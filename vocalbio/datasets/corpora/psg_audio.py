"""PSG-Audio: nights of polysomnography with two microphones; EDF files of an hour, events in an .rml file a night."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.layout import a_folder, files_below, no_such_corpus

__all__ = ["read_psg_audio"]

SOURCE = Source(
    "PSG-Audio",
    "CC BY 4.0",
    "downloaded from https://doi.org/10.11922/sciencedb.00345",
    "Korompili G et al. PSG-Audio, a scored polysomnography dataset with simultaneous audio recordings for sleep apnea "
    "studies. Sci Data 2021;8:197. doi:10.1038/s41597-021-00977-w",
)
NAME = re.compile(r"(\d{8})-(\d{6})[\[\-_](\d{3})\]?")


def read_psg_audio(folder: str | os.PathLike[str]) -> Corpus:
    """
    Find the nights of PSG-Audio: a row for each EDF file, with the file that holds the night's events.

    The recordings are channels of an EDF file (``Mic`` about a metre above the bed, ``Tracheal``, both 48 kHz), which
    `vocalbio.load_audio` does not read, so rows cannot be given to ``extract_features`` before those channels
    were written to audio files. Events are per night, in seconds from its beginning.

    Parameters
    ----------
    folder : path-like
        With ``APNEA_EDF/00000995-100507/00000995-100507[001].edf`` and
        ``APNEA_RML/00000995-100507/00000995-100507.rml``, in whatever subfolders.

    Returns
    -------
    Corpus
        ``night`` (number of patient and study), ``part`` (1, 2, ...), ``night_start_s`` (when the part begins, from the
        beginning of the night, by the headers of the EDF files), ``duration_s``, ``annotation`` (path of the .rml
        file). There is no label: events are in `annotation`.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Korompili G et al. PSG-Audio, a scored polysomnography dataset with simultaneous audio recordings for sleep
       apnea studies. Sci Data 2021;8:197. doi:10.1038/s41597-021-00977-w

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_psg_audio
    >>> for night, parts in read_psg_audio("PSG-Audio").table.groupby("night"):  # doctest: +SKIP
    ...     print(night, parts["annotation"].iloc[0], parts["file"].tolist())
    """
    folder = a_folder(folder, SOURCE)
    annotations = {path.stem: path for path in files_below(folder, (".rml",))}
    found = {path: match for path in files_below(folder, (".edf",)) if (match := NAME.fullmatch(path.stem))}
    if not found:
        raise no_such_corpus(folder, SOURCE, "APNEA_EDF/00000995-100507/00000995-100507[001].edf in it")
    problems: list[tuple[str, str]] = []
    nights: dict[str, list[dict[str, Any]]] = {}
    for path, match in found.items():
        night = f"{match[1]}-{match[2]}"
        begin, duration_s = _edf_times(path)
        if begin is None:
            problems.append((path.name, "has no header of EDF: kept, its time in the night is not known"))
        nights.setdefault(night, []).append(
            {"file": path, "speaker": match[1], "night": night, "part": int(match[3]), "begin": begin,
             "duration_s": duration_s, "annotation": str(annotations[night]) if night in annotations else None}
        )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for night, parts in nights.items():
        parts.sort(key=lambda part: part["part"])
        numbers = [part["part"] for part in parts]
        absent = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
        if absent:
            problems.append((night, f"part {', '.join(map(str, absent))} missing: the night has a hole"))
        if parts[0]["annotation"] is None:
            problems.append((night, f"{night}.rml missing: its events are not known"))
        first = parts[0]["begin"] if numbers[0] == 1 else None
        for part in parts:
            begin = part.pop("begin")
            known = first is not None and begin is not None
            rows.append({**part, "night_start_s": (begin - first).total_seconds() if known else None})
    for night in sorted(set(annotations) - set(nights)):
        problems.append((night, "has events and no EDF file: left out"))
    return make_corpus("psg_audio", rows, problems, SOURCE)


def _edf_times(path: Path) -> tuple[datetime | None, float | None]:
    """When a file begins and how long it is, by the fixed part of its header."""
    with open(path, "rb") as file:
        header = file.read(256).decode("ascii", errors="replace")
    try:
        begin = datetime.strptime(header[168:184], "%d.%m.%y%H.%M.%S")
        return begin, int(header[236:244]) * float(header[244:252])
    except ValueError:
        return None, None
