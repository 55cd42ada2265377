"""EmoDB: ten actors, ten German sentences, seven emotions, 535 recordings."""

from __future__ import annotations

import os
import re

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.emotions import Labels, label_rows
from vocalbio.datasets.corpora.layout import RECORDINGS, a_folder, files_below, no_such_corpus

__all__ = ["read_emodb"]

SOURCE = Source(
    "EmoDB",
    "none stated at its origin; the copy on Zenodo is CC0",
    "downloaded from https://doi.org/10.5281/zenodo.7447302 or http://emodb.bilderbar.info",
    "Burkhardt F et al. A database of German emotional speech. Interspeech 2005;1517-1520. "
    "doi:10.21437/Interspeech.2005-446",
)
NAME = re.compile(r"(\d{2})([ab]\d{2})([WLEAFTN])([a-z])")
EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
ACTORS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
EXPECTED = 535


def read_emodb(folder: str | os.PathLike[str], labels: Labels = "emotion") -> Corpus:
    """
    Read EmoDB.

    Parameters
    ----------
    folder : path-like
        With recordings such as ``wav/03a01Fa.wav``, in whatever subfolder.
    labels : {"emotion", "stress"}
        ``"stress"``: neutral, sad, and fearful as anxious (`STRESS_OF_EMOTION`); other recordings are left out.

    Returns
    -------
    Corpus
        ``emotion`` (angry, bored, disgust, fearful, happy, neutral, sad), ``sentence``, ``sex``, ``age``. Copies are
        about whose recordings were cut or resampled; their lengths tell, their names do not.

    Raises
    ------
    ParameterError
        If the folder is not that corpus.

    References
    ----------
    .. [1] Burkhardt F et al. A database of German emotional speech. Interspeech 2005;1517-1520.
       doi:10.21437/Interspeech.2005-446

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_emodb
    >>> corpus = read_emodb("EmoDB", labels="stress")  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    rows = []
    for path in files_below(folder, RECORDINGS):
        match = NAME.fullmatch(path.stem)
        if match is None:
            continue
        actor, sentence, emotion, _ = match.groups()
        sex, age = ACTORS.get(actor, (None, None))
        rows.append(
            {"file": path, "speaker": actor, "sex": sex, "age": age, "emotion": EMOTIONS[emotion], "sentence": sentence}
        )
    if not rows:
        raise no_such_corpus(folder, SOURCE, "recordings such as wav/03a01Fa.wav in it")
    problems = []
    if len(rows) != EXPECTED:
        problems.append((folder.name, f"{len(rows)} recordings; the published corpus has {EXPECTED}"))
    return make_corpus("emodb", label_rows(rows, labels), problems, SOURCE)
