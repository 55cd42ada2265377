"""RAVDESS: 24 actors, two sentences, eight emotions in two intensities, 1,440 spoken recordings."""

from __future__ import annotations

import os
import re

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.emotions import Labels, label_rows
from vocalbio.datasets.corpora.layout import RECORDINGS, a_folder, files_below, no_such_corpus

__all__ = ["read_ravdess"]

SOURCE = Source(
    "RAVDESS",
    "CC BY-NC-SA 4.0",
    "downloaded from https://doi.org/10.5281/zenodo.1188976",
    "Livingstone SR, Russo FA. The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
    "PLoS One 2018;13:e0196391. doi:10.1371/journal.pone.0196391",
)
NAME = re.compile(r"03-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d{2})")
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
EXPECTED = 1440


def read_ravdess(folder: str | os.PathLike[str], labels: Labels = "emotion") -> Corpus:
    """
    Read the spoken recordings of RAVDESS; sung ones are left out.

    Neutral was recorded at normal intensity only, all other emotions also at strong: loudness alone tells much of them
    apart. Report results at ``intensity == "normal"`` beside any other.

    Parameters
    ----------
    folder : path-like
        With recordings such as ``Actor_01/03-01-01-01-01-01-01.wav``, in whatever subfolders and format.
    labels : {"emotion", "stress"}
        ``"stress"``: neutral, sad, and fearful as anxious (`STRESS_OF_EMOTION`); other recordings, calm ones among
        them, are left out.

    Returns
    -------
    Corpus
        ``emotion``, ``intensity`` (normal, strong), ``sentence`` (1, 2), ``repetition`` (1, 2); speakers ``A01`` to
        ``A24``, ``sex``.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Livingstone SR, Russo FA. The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). PLoS One
       2018;13:e0196391. doi:10.1371/journal.pone.0196391

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_ravdess
    >>> corpus = read_ravdess("RAVDESS", labels="stress")  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    rows, sung, seen, problems = [], 0, set(), []
    for path in files_below(folder, RECORDINGS):
        match = NAME.fullmatch(path.stem)
        if match is None:
            continue
        channel, emotion, intensity, sentence, repetition, actor = match.groups()
        if channel == "02":
            sung += 1
            continue
        if path.stem in seen:  # the archive of all actors holds some folders twice in circulating copies
            problems.append((path.name, "is there twice: the second one is left out"))
            continue
        seen.add(path.stem)
        rows.append(
            {
                "file": path,
                "speaker": f"A{actor}",
                "sex": "male" if int(actor) % 2 else "female",
                "emotion": EMOTIONS[int(emotion) - 1],
                "intensity": "strong" if intensity == "02" else "normal",
                "sentence": int(sentence),
                "repetition": int(repetition),
            }
        )
    if not rows:
        raise no_such_corpus(folder, SOURCE, "recordings such as Actor_01/03-01-01-01-01-01-01.wav in it")
    if sung:
        problems.append((folder.name, f"{sung} sung recordings are left out"))
    if len(rows) != EXPECTED:
        problems.append((folder.name, f"{len(rows)} spoken recordings; the published corpus has {EXPECTED}"))
    return make_corpus("ravdess", label_rows(rows, labels), problems, SOURCE)
