"""IEMOCAP: ten actors in five sessions of two, scripted and improvised, 10,039 judged utterances."""

from __future__ import annotations

import os
import re
from typing import Any

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.emotions import Labels, label_rows
from vocalbio.datasets.corpora.layout import a_folder, by_name, files_below, no_such_corpus

__all__ = ["read_iemocap"]

SOURCE = Source(
    "IEMOCAP",
    "academic research under a signed agreement; no redistribution",
    "applied for at https://sail.usc.edu/iemocap/iemocap_release.htm",
    "Busso C et al. IEMOCAP: interactive emotional dyadic motion capture database. Lang Resour Eval 2008;42:335-359. "
    "doi:10.1007/s10579-008-9076-6",
)
LINE = re.compile(
    r"\[(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\]\s+(?P<name>(?P<session>Ses0(?P<number>\d))[MF]_(?P<kind>impro|script)"
    r"\w*_(?P<sex>[MF])\w+)\s+(?P<emotion>\w+)\s+\[(?P<ratings>[^\]]*)\]"
)
EMOTIONS = {
    "neu": "neutral",
    "hap": "happy",
    "sad": "sad",
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
    "fea": "fearful",
    "sur": "surprised",
    "dis": "disgust",
    "oth": "other",
    "xxx": None,
}
EXPECTED = 10_039


def read_iemocap(folder: str | os.PathLike[str], labels: Labels = "emotion") -> Corpus:
    """
    Read the judged utterances of IEMOCAP.

    Parameters
    ----------
    folder : path-like
        With ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`` and
        ``Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``, up to ``Session5``.
    labels : {"emotion", "stress"}
        ``"stress"``: neutral, sad, and fearful as anxious (`STRESS_OF_EMOTION`); other utterances are left out. Only 40
        are fearful, and the judges saw the actors.

    Returns
    -------
    Corpus
        ``emotion`` (what most judges said; missing where they did not agree), ``valence``, ``arousal`` and
        ``dominance`` (means of 1 to 5), ``kind`` (improvised, scripted); speakers ``Ses01_F`` and so on, ``sex``;
        ``split``: ``session1`` to ``session5``, the usual five folds. The two of a session talk to each other:
        folds of speakers put a room and a dialogue on both sides, folds of sessions do not.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Busso C et al. IEMOCAP: interactive emotional dyadic motion capture database. Lang Resour Eval
       2008;42:335-359. doi:10.1007/s10579-008-9076-6

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_iemocap
    >>> corpus = read_iemocap("IEMOCAP_full_release", labels="stress")  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    sheets = [path for path in files_below(folder, (".txt",)) if path.parent.name == "EmoEvaluation"]
    if not sheets:
        raise no_such_corpus(folder, SOURCE, "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt in it")
    recordings = by_name([path for path in files_below(folder, (".wav",)) if "sentences" in path.parts])
    rows: list[dict[str, Any]] = []
    problems: list[tuple[str, str]] = []
    for sheet in sheets:
        for match in LINE.finditer(sheet.read_text("utf-8", errors="replace")):
            audio = recordings.get(f"{match['name']}.wav".lower())
            if audio is None:
                problems.append((match["name"], "is judged, and its recording is missing: left out"))
                continue
            rows.append({"file": audio, **_facts(match)})
    if not rows:
        raise no_such_corpus(folder, SOURCE, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav in it")
    if len(rows) != EXPECTED:
        problems.append((folder.name, f"{len(rows)} judged utterances; the published corpus has {EXPECTED}"))
    strange = sorted({row["emotion"] for row in rows} - set(EMOTIONS))
    if strange:
        problems.append(("EmoEvaluation", f"unknown emotions {', '.join(strange)}: taken as missing"))
    for row in rows:
        row["emotion"] = EMOTIONS.get(row["emotion"])
    return make_corpus("iemocap", label_rows(rows, labels), problems, SOURCE)


def _facts(match: re.Match[str]) -> dict[str, Any]:
    ratings = [float(part) if part.strip() else None for part in match["ratings"].split(",")]
    return {
        "speaker": f"{match['session']}_{match['sex']}",
        "sex": {"F": "female", "M": "male"}[match["sex"]],
        "emotion": match["emotion"],
        **dict(zip(("valence", "arousal", "dominance"), ratings, strict=False)),
        "kind": {"impro": "improvised", "script": "scripted"}[match["kind"]],
        "split": f"session{match['number']}",
    }
