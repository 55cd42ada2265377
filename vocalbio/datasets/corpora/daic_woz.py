"""DAIC-WOZ: 189 interviews with a virtual interviewer, PHQ-8, the split of AVEC 2017, and its published errors."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.layout import a_folder, by_name, files_below, is_apple_double, no_such_corpus
from vocalbio.datasets.corpora.questionnaire import ITEMS, by_participant, read_phq8
from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.segments import merge_turns, read_transcript

__all__ = ["read_daic_woz"]

SOURCE = Source(
    "DAIC-WOZ",
    "academic, non-commercial research under a signed agreement; no redistribution",
    "applied for at https://dcapswoz.ict.usc.edu",
    "Gratch J et al. The Distress Analysis Interview Corpus of human and computer interviews. LREC 2014;3123-3128.",
)
SPLITS = {
    "train": ("train_split_Depression_AVEC2017.csv", 107),
    "dev": ("dev_split_Depression_AVEC2017.csv", 35),
    "test": ("test_split_Depression_AVEC2017.csv", 47),
}
TEST_SCORES = "full_test_split.csv"
INTERRUPTIONS_S = {"373": (395.0, 428.0), "444": (286.0, 387.0)}
LATER_IN_AUDIO_S = {"318": 34.319917, "321": 3.8379167, "341": 6.1892, "362": 16.8582}
"""Seconds that are added to the transcript's times of a session to get those of its audio."""
SYNC = re.compile(r"[<\[]\s*synch?(ing)?\s*\.?\s*[>\]]?", re.IGNORECASE)
GAP_S, SHORTEST_S = 1.0, 1.0
TOLERANCE_S = 0.05
Report = Callable[[str, str], None]


def read_daic_woz(folder: str | os.PathLike[str]) -> Corpus:
    """
    Read DAIC-WOZ: a row for each turn of a participant, none in which the interviewer is heard to speak.

    A classifier can read the label from the interviewer's prompts alone [2]_, so her turns are cut out: of each session
    the participant's transcript rows less than 1 s apart are joined, what overlaps a row of hers is removed, and pieces
    of 1 s or more are kept. Rows before her first, and the rows that synchronise the devices, are dropped. Published
    errors [3]_ are mended: the class of 409 follows its score; interruptions in 373 and 444 are cut out; in 318,
    321, 341 and 362 the audio is later than the transcript, and the times are moved accordingly. In 451, 458 and 480
    the interviewer has no rows, so nothing can be cut out: they are listed in the problems.

    Parameters
    ----------
    folder : path-like
        With ``train_split_Depression_AVEC2017.csv``, ``dev_split_...``, ``test_split_...``, ``full_test_split.csv``
        and the sessions, ``300_P/300_AUDIO.wav`` and ``300_P/300_TRANSCRIPT.csv``, in whatever subfolders.

    Returns
    -------
    Corpus
        ``label``: PHQ-8 of 10 or more; ``phq8``, its items ``phq8_sleep`` and so on (not published for the
        test part); ``split``: train, dev, test; ``sex``. Items are labels: never give them to a model as features.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Gratch J et al. The Distress Analysis Interview Corpus of human and computer interviews. LREC 2014;3123-3128.
    .. [2] Burdisso S et al. DAIC-WOZ: on the validity of using the therapist's prompts in automatic depression
       detection from clinical interviews. ClinicalNLP 2024. arXiv:2404.14463
    .. [3] Bailey A, Plumbley MD. Gender bias in depression detection using audio features. EUSIPCO 2021.
       arXiv:2010.15120, and the code published with it.

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_daic_woz
    >>> corpus = read_daic_woz("DAIC-WOZ")  # doctest: +SKIP
    >>> cross_validate(model, X, corpus.labels, groups=corpus.groups, cv=corpus.splits)  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    tables = by_name(files_below(folder, (".csv",)))
    problems: list[tuple[str, str]] = []

    def report(where: str, problem: str) -> None:
        problems.append((where, problem))

    people = _people(folder, tables, report)
    recordings = by_name(files_below(folder, (".wav",)))
    rows: list[dict[str, Any]] = []
    overlapping = 0
    for person in people:
        number = person["speaker"]
        audio, transcript = recordings.get(f"{number}_audio.wav"), tables.get(f"{number}_transcript.csv")
        if audio is None or transcript is None:
            missing = [f"{number}_AUDIO.wav"] * (audio is None) + [f"{number}_TRANSCRIPT.csv"] * (transcript is None)
            report(number, f"{' and '.join(missing)} missing: left out")
            continue
        turns, overlaps = _turns(number, audio, transcript, report)
        overlapping += overlaps
        rows += [{"file": audio, "start_s": start_s, "end_s": end_s, **person} for start_s, end_s in turns]
    if overlapping:
        report("transcripts", f"the interviewer's turns overlap the participant's in {overlapping} sessions: cut out")
    unknown = {name.split("_")[0] for name in recordings if name.endswith("_audio.wav")}
    for number in sorted(unknown - {person["speaker"] for person in people}):
        report(number, "is in no split: left out")
    if not rows:
        raise no_such_corpus(folder, SOURCE, "300_P/300_AUDIO.wav and 300_P/300_TRANSCRIPT.csv of one session at least")
    return make_corpus("daic_woz", rows, problems, SOURCE)


def _people(folder: Path, tables: dict[str, Path], report: Report) -> list[dict[str, Any]]:
    """Speaker, sex, label, score, items and split of everybody in the tables of the split."""
    if not any(name.lower() in tables for name, _ in SPLITS.values()):
        raise no_such_corpus(folder, SOURCE, f"{SPLITS['train'][0]} and the tables of the other parts in it")
    scores = by_participant(tables.get(TEST_SCORES))
    if not scores:
        report(TEST_SCORES, "missing or empty: the test part has no labels")
    people: dict[str, dict[str, Any]] = {}
    for split, (name, expected) in SPLITS.items():
        found = by_participant(tables.get(name.lower()))
        if len(found) != expected:
            report(name, f"{len(found)} participants; the published table has {expected}")
        for number, row in found.items():
            if number in people:
                report(number, f"is in {people[number]['split']} and in {split}: left out of {split}")
                continue
            row = {**row, **scores.get(number, {})} if split == "test" else row
            answers = {item: row[column] for item in ITEMS if (column := f"phq8_{item.replace('_', '')}") in row}
            score, binary = (row.get(f"phq8_{key}", row.get(f"phq_{key}")) for key in ("score", "binary"))
            people[number] = {
                "speaker": number,
                "sex": {"0": "male", "1": "female"}.get(str(row.get("gender")).split(".")[0]),
                **read_phq8(score, binary, answers, partial(report, number)),
                "split": split,
            }
    return list(people.values())


def _turns(number: str, audio: Path, transcript: Path, report: Report) -> tuple[list[tuple[float, float]], bool]:
    """Stretches of the participant alone, and whether the interviewer talks into them."""
    import soundfile

    if is_apple_double(transcript):
        report(
            number,
            f"{transcript.name} holds what macOS keeps about a file, not the transcript: left out; unpack it from the "
            "original archive again",
        )
        return [], False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VocalbioWarning)
            talk = read_transcript(transcript)
        duration_s = soundfile.info(audio).duration
    except (ParameterError, soundfile.SoundFileError) as error:
        report(number, f"left out: {error}")
        return [], False
    for warning in caught:
        report(number, str(warning.message))
    talk[["start_s", "end_s"]] += LATER_IN_AUDIO_S.get(number, 0.0)
    talk = talk[[SYNC.fullmatch(text) is None for text in talk["text"]]]
    who = talk["speaker"].str.lower()
    hers = talk[who == "ellie"]
    if hers.empty:
        report(number, "the interviewer has no rows: her voice, and talk before the interview, may be in the turns")
    his = talk[(who == "participant") & (talk["start_s"] >= hers["start_s"].min() if len(hers) else True)]
    beyond_s = his["end_s"].max() - duration_s
    if beyond_s > 1.0:
        report(number, f"the transcript goes on for {beyond_s:.1f} s after the end of the audio: cut there")
    cuts = [
        *_spans(hers),
        *([INTERRUPTIONS_S[number]] if number in INTERRUPTIONS_S else []),
        (duration_s, float("inf")),
    ]
    overlaps = any(_shared_s(turn, other) > TOLERANCE_S for turn in _spans(his) for other in _spans(hers))
    joined = _spans(merge_turns(his.assign(speaker=number), GAP_S, 0.0)) if len(his) else []
    turns = [(start, end) for start, end in _without(joined, cuts) if end - start >= SHORTEST_S - 1e-9]
    if not turns:
        report(number, f"no turn of the participant lasts {SHORTEST_S:g} s: left out")
    return turns, overlaps


def _spans(turns: pd.DataFrame) -> list[tuple[float, float]]:
    return list(zip(turns["start_s"].tolist(), turns["end_s"].tolist(), strict=True))


def _shared_s(one: tuple[float, float], other: tuple[float, float]) -> float:
    return min(one[1], other[1]) - max(one[0], other[0])


def _without(spans: list[tuple[float, float]], cuts: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of spans after cutting."""
    for begin, stop in cuts:
        if stop <= begin:
            continue
        pieces = [((start, min(end, begin)), (max(start, stop), end)) for start, end in spans]
        spans = [piece for both in pieces for piece in both if piece[1] > piece[0]]
    return spans
