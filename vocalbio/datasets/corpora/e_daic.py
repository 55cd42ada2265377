"""E-DAIC: 275 interviews with an interviewer driven by a person or by a program, as given out for AVEC 2019."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.layout import a_folder, by_name, files_below, is_apple_double, no_such_corpus
from vocalbio.datasets.corpora.questionnaire import ITEMS, as_number, by_participant, read_phq8
from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.segments import merge_turns, read_transcript

__all__ = ["read_e_daic"]

SOURCE = Source(
    "E-DAIC",
    "academic, non-commercial research under a signed agreement; no redistribution",
    "applied for at https://dcapswoz.ict.usc.edu",
    "Ringeval F et al. AVEC 2019 workshop and challenge. AVEC 2019;3-12. doi:10.1145/3347320.3357688",
)
SPLITS = {"train": ("train_split.csv", 163), "dev": ("dev_split.csv", 56), "test": ("test_split.csv", 56)}
ANSWERS = "Detailed_PHQ8_Labels.csv"
FIRST_AUTONOMOUS = 600


def read_e_daic(folder: str | os.PathLike[str]) -> Corpus:
    """
    Read E-DAIC in the layout of AVEC 2019: a row for each stretch of transcribed speech.

    Its transcripts were made by a program and name no speaker. The interviewer's words were taken out of them, but
    nobody checked: treat the rows as mostly the participant's speech. Utterances less than 1 s apart are joined, and
    those of 1 s or more kept. Interviews 300-492 were led by a hidden person, those from 600 on by a program, and
    the test part holds the latter alone: ``agent`` tells them apart.

    Parameters
    ----------
    folder : path-like
        With ``train_split.csv``, ``dev_split.csv``, ``test_split.csv``, where given ``Detailed_PHQ8_Labels.csv``, and
        ``300_P/300_AUDIO.wav``, ``300_P/300_Transcript.csv``, in whatever subfolders. Sessions also in DAIC-WOZ have
        the same numbers there: the same people.

    Returns
    -------
    Corpus
        ``label``: PHQ-8 of 10 or more; ``phq8``, its items ``phq8_sleep`` and so on; ``ptsd`` (PCL-C class),
        ``ptsd_severity``; ``agent`` (``person``, ``program``); ``split``: train, dev, test; ``sex``.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Ringeval F et al. AVEC 2019 workshop and challenge: state-of-mind, detecting depression with AI, and
       cross-cultural affect recognition. AVEC 2019;3-12. doi:10.1145/3347320.3357688

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_e_daic
    >>> print(read_e_daic("E-DAIC"))  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    tables = by_name(files_below(folder, (".csv",)))
    if not any(name in tables for name, _ in SPLITS.values()):
        raise no_such_corpus(folder, SOURCE, "train_split.csv, dev_split.csv and test_split.csv in it")
    recordings = by_name(files_below(folder, (".wav",)))
    answers = by_participant(tables.get(ANSWERS.lower()))
    problems: list[tuple[str, str]] = []
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for split, (name, expected) in SPLITS.items():
        people = by_participant(tables.get(name))
        if len(people) != expected:
            problems.append((name, f"{len(people)} participants; the published table has {expected}"))
        for number, row in people.items():
            if number in seen:
                problems.append((number, f"is in several parts: left out of {split}"))
                continue
            seen.add(number)
            found: list[str] = []
            person = _person(number, split, row, answers.get(number, {}), found)
            rows += [{**stretch, **person} for stretch in _stretches(number, recordings, tables, found)]
            problems += [(number, problem) for problem in found]
    if not rows:
        raise no_such_corpus(folder, SOURCE, "300_P/300_AUDIO.wav and 300_P/300_Transcript.csv of one session at least")
    return make_corpus("e_daic", rows, problems, SOURCE)


def _person(
    number: str, split: str, row: dict[str, Any], answers: dict[str, Any], problems: list[str]
) -> dict[str, Any]:
    items = {item: answers[column] for item in ITEMS if (column := f"phq_8{item.replace('_', '')}") in answers}
    ptsd = str(row.get("pcl-c (ptsd)")).split(".")[0]
    return {
        "speaker": number,
        "sex": {"male": "male", "female": "female", "0": "male", "1": "female"}.get(str(row.get("gender")).lower()),
        **read_phq8(row.get("phq_score"), row.get("phq_binary"), items, problems.append),
        "ptsd": {"0": False, "1": True}.get(ptsd),
        "ptsd_severity": as_number(row.get("ptsd severity")),
        "agent": "program" if number.isdigit() and int(number) >= FIRST_AUTONOMOUS else "person",
        "split": split,
    }


def _stretches(
    number: str, recordings: dict[str, Path], tables: dict[str, Path], problems: list[str]
) -> list[dict[str, Any]]:
    audio, transcript = recordings.get(f"{number}_audio.wav"), tables.get(f"{number}_transcript.csv")
    if audio is None or transcript is None or is_apple_double(transcript):
        missing = [f"{number}_AUDIO.wav"] * (audio is None) + [f"{number}_Transcript.csv"] * (transcript is None)
        problems.append(f"{' and '.join(missing) or 'its transcript'} missing or damaged: left out")
        return []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VocalbioWarning)
            turns = merge_turns(read_transcript(transcript, speaker=number))
    except ParameterError as error:
        problems.append(f"left out: {error}")
        return []
    problems += [str(warning.message) for warning in caught]
    if turns.empty:
        problems.append("no stretch of transcribed speech lasts 1 s: left out")
    return [{"file": audio, "start_s": row.start_s, "end_s": row.end_s} for row in turns.itertuples()]
