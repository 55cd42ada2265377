"""Khan's snoring set: 500 clips of snoring and 500 of other bedroom sounds, 1 s each, and its traps."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from vocalbio.datasets.corpora.corpus import Corpus, Source, make_corpus
from vocalbio.datasets.corpora.layout import RECORDINGS, a_folder, files_below, no_such_corpus

__all__ = ["read_khan_snoring"]

SOURCE = Source(
    "Khan's snoring set",
    "none stated",
    "downloaded from https://www.kaggle.com/datasets/tareqkhanemu/snoring",
    "Khan T. A deep learning model for snoring detection and vibration notification using a smart wearable gadget. "
    "Electronics 2019;8:987. doi:10.3390/electronics8090987",
)
NAME = re.compile(r"(?:[01]_)?([01])_(\d{1,3})")
KINDS = (
    "baby_crying",
    "clock",
    "door",
    "silence_or_vibration",
    "toilet_flush",
    "siren",
    "rain_thunder",
    "street",
    "people_talking",
    "television",
)
"""Of the clips that are no snoring, fifty in a row each, in the order of the paper."""
EXPECTED = 1000
NEIGHBOURS = 25
SILENT_PEAK, FULL_SCALE = 1e-3, 0.999


def read_khan_snoring(folder: str | os.PathLike[str]) -> Corpus:
    """
    Read Khan's snoring set, and listen to every clip for what is known to be wrong with it.

    Clips were cut from recordings found on the web, several from one, and nobody noted which: random splits share
    sources and look better than they are. ``group`` puts 25 clips with neighbouring numbers together, which lessens
    that and does not cure it. The originals differ in sampling rate and channels between the classes: bring all to one
    rate and mono, as vocalbio does, before looking at anything but features.

    Parameters
    ----------
    folder : path-like
        With ``1/1_0.wav`` (snoring) and ``0/0_0.wav`` (none), in whatever subfolders and format; a name may have the
        folder's number before it.

    Returns
    -------
    Corpus
        ``label``: ``snore`` or ``other``; ``kind`` of sound where it is no snoring; ``group``; ``duplicate_of`` (the
        first file with the same samples, or missing), ``silent`` (peak below -60 dBFS), ``full_scale`` (reaches the
        limits of the format). Speakers are not known.

    Raises
    ------
    ParameterError
        If the folder is not that set.

    References
    ----------
    .. [1] Khan T. A deep learning model for snoring detection and vibration notification using a smart wearable gadget.
       Electronics 2019;8:987. doi:10.3390/electronics8090987

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_khan_snoring
    >>> corpus = read_khan_snoring("Snoring Dataset")  # doctest: +SKIP
    >>> corpus = corpus.select(~corpus.table["silent"] & corpus.table["duplicate_of"].isna())  # doctest: +SKIP
    """
    folder = a_folder(folder, SOURCE)
    found = {path: match for path in files_below(folder, RECORDINGS) if (match := NAME.fullmatch(path.stem))}
    if not found:
        raise no_such_corpus(folder, SOURCE, "clips such as 1/1_0.wav and 0/0_0.wav in it")
    problems: list[tuple[str, str]] = []
    if len(found) != EXPECTED:
        problems.append((folder.name, f"{len(found)} clips; the published set has {EXPECTED}"))
    rows: list[dict[str, Any]] = []
    first: dict[bytes, str] = {}
    for path, match in found.items():
        snoring, number = match[1] == "1", int(match[2])
        heard = _listen(path, first, problems)
        if heard is None:
            continue
        rows.append(
            {
                "file": path,
                "label": "snore" if snoring else "other",
                "kind": None if snoring else KINDS[min(number // 50, len(KINDS) - 1)],
                "group": f"{'snore' if snoring else 'other'}_{number // NEIGHBOURS:02d}",
                **heard,
            }
        )
    if not rows:
        raise no_such_corpus(folder, SOURCE, "clips that can be read")
    for column, words in (("duplicate_of", "have the samples of another"), ("silent", "are silent"),
                          ("full_scale", "reach full scale")):  # fmt: skip
        count = sum(bool(row[column]) for row in rows)
        if count:
            problems.append((column, f"{count} clips {words}: kept, see the column"))
    return make_corpus("khan_snoring", rows, problems, SOURCE)


def _listen(path: Path, first: dict[bytes, str], problems: list[tuple[str, str]]) -> dict[str, Any] | None:
    import soundfile

    try:
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        problems.append((path.name, f"cannot be read ({error}): left out"))
        return None
    peak = float(np.abs(samples).max(initial=0.0))
    content = samples.tobytes()
    earlier = first.setdefault(content, str(path))
    return {
        "duplicate_of": None if earlier == str(path) else earlier,
        "silent": peak < SILENT_PEAK,
        "full_scale": peak >= FULL_SCALE,
    }
