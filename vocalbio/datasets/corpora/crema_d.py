"""CREMA-D: 91 actors, twelve sentences, six emotions, 7,442 recordings."""

from __future__ import annotations

import os
import re

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.emotions import Labels, label_rows
from vocalbio.datasets.corpora.layout import a_folder, by_name, files_below, no_such_corpus, read_csv

__all__ = ["read_crema_d"]

SOURCE = Source(
    "CREMA-D",
    "Open Database License, contents under the Database Contents License",
    "downloaded from https://github.com/CheyneyComputerScience/CREMA-D (git lfs pull)",
    "Cao H et al. CREMA-D: crowd-sourced emotional multimodal actors dataset. IEEE Trans Affect Comput 2014;5:377-390. "
    "doi:10.1109/TAFFC.2014.2336244",
)
NAME = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|X{1,2})")
EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}
UNUSABLE = {
    "1076_MTI_NEU_XX": "next to nothing is recorded",
    "1076_MTI_SAD_XX": "has no sound",
    "1064_TIE_SAD_XX": "next to nothing is recorded",
    "1064_IEO_DIS_MD": "holds the sentence in all emotions",
}
"""Recordings that the corpus' own page names, and what is wrong with them."""
EXPECTED = 7442
POINTER_BYTES = 200  # a pointer of git lfs is about 130 bytes of text


def read_crema_d(folder: str | os.PathLike[str], labels: Labels = "emotion") -> Corpus:
    """
    Read CREMA-D.

    The label is the emotion that the actor was asked for; listeners heard it in fewer than half of the recordings by
    voice alone [1]_. Four recordings that the corpus' page names as unusable are left out.

    Parameters
    ----------
    folder : path-like
        With ``AudioWAV/1001_DFA_ANG_XX.wav`` and so on, and ``VideoDemographics.csv``.
    labels : {"emotion", "stress"}
        ``"stress"``: neutral, sad, and fearful as anxious (`STRESS_OF_EMOTION`); other recordings are left out.

    Returns
    -------
    Corpus
        ``emotion``, ``intensity`` (low, medium, high, or missing), ``sentence``; ``sex`` and ``age`` where the table
        of demographics is there.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Cao H et al. CREMA-D: crowd-sourced emotional multimodal actors dataset. IEEE Trans Affect Comput
       2014;5:377-390. doi:10.1109/TAFFC.2014.2336244

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_crema_d
    >>> corpus = read_crema_d("CREMA-D", labels="stress")  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    found = {path: match for path in files_below(folder, (".wav",)) if (match := NAME.fullmatch(path.stem))}
    if not found:
        raise no_such_corpus(folder, SOURCE, "recordings such as AudioWAV/1001_DFA_ANG_XX.wav in it")
    problems: list[tuple[str, str]] = []
    people = {}
    demographics = by_name(files_below(folder, (".csv",))).get("videodemographics.csv")
    if demographics is None:
        problems.append(("VideoDemographics.csv", "missing: sex and age are not known"))
    else:
        people = {str(row["ActorID"]): row for row in read_csv(demographics).to_dict("records") if "ActorID" in row}
    if len(found) != EXPECTED:
        problems.append((folder.name, f"{len(found)} recordings; the published corpus has {EXPECTED}"))
    rows, pointers = [], 0
    for path, match in found.items():
        actor, sentence, emotion, intensity = match.groups()
        if path.stem in UNUSABLE:
            problems.append((path.name, f"{UNUSABLE[path.stem]}: left out"))
            continue
        if path.stat().st_size < POINTER_BYTES:
            pointers += 1
            continue
        person = people.get(actor, {})
        rows.append(
            {
                "file": path,
                "speaker": actor,
                "sex": {"male": "male", "female": "female"}.get(str(person.get("Sex")).lower()),
                "age": None if not str(person.get("Age")).isdigit() else int(person["Age"]),
                "emotion": EMOTIONS[emotion],
                "intensity": INTENSITIES.get(intensity),
                "sentence": sentence,
            }
        )
    if not rows:
        raise no_such_corpus(folder, SOURCE, "recordings, and not the pointers to them: run git lfs pull in it")
    if pointers:
        problems.append((folder.name, f"{pointers} files are pointers of git lfs, not recordings: run git lfs pull"))
    return make_corpus("crema_d", label_rows(rows, labels), problems, SOURCE)
