"""All readers by name, and the one that finds out."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vocalbio.datasets.corpora.androids import read_androids
from vocalbio.datasets.corpora.corpus import Corpus
from vocalbio.datasets.corpora.crema_d import read_crema_d
from vocalbio.datasets.corpora.daic_woz import read_daic_woz
from vocalbio.datasets.corpora.database import read_audformat
from vocalbio.datasets.corpora.e_daic import read_e_daic
from vocalbio.datasets.corpora.emodb import read_emodb
from vocalbio.datasets.corpora.folders import read_folders
from vocalbio.datasets.corpora.iemocap import read_iemocap
from vocalbio.datasets.corpora.khan_snoring import read_khan_snoring
from vocalbio.datasets.corpora.psg_audio import read_psg_audio
from vocalbio.datasets.corpora.ravdess import read_ravdess
from vocalbio.datasets.corpora.tables import read_table
from vocalbio.errors import ParameterError

__all__ = ["READERS", "read_corpus"]

READERS: dict[str, Callable[..., Corpus]] = {
    "androids": read_androids,
    "audformat": read_audformat,
    "crema_d": read_crema_d,
    "daic_woz": read_daic_woz,
    "e_daic": read_e_daic,
    "emodb": read_emodb,
    "folders": read_folders,
    "iemocap": read_iemocap,
    "khan_snoring": read_khan_snoring,
    "psg_audio": read_psg_audio,
    "ravdess": read_ravdess,
    "table": read_table,
}
"""Readers by the name that `read_corpus` takes."""

MARKS = {
    "daic_woz": ("train_split_Depression_AVEC2017.csv", "*/train_split_Depression_AVEC2017.csv"),
    "e_daic": ("train_split.csv", "labels/train_split.csv"),
    "androids": ("fold-lists.csv", "fold-list.csv"),
    "iemocap": ("Session1/dialog/EmoEvaluation",),
    "crema_d": ("AudioWAV/1001_*.wav",),
    "ravdess": ("Actor_01/03-0*", "*/Actor_01/03-0*"),
    "emodb": ("wav/03a01*",),
    "khan_snoring": ("1/1_0.wav", "*/1/1_0.wav"),
    "psg_audio": ("APNEA_EDF",),
    "audformat": ("db.yaml",),
    "table": ("manifest.csv",),
}
"""What a folder is known by, in the order in which it is looked for."""


def read_corpus(
    name_or_path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None, **options: Any
) -> Corpus:
    """
    Read a corpus: by name and folder, or by folder alone.

    Parameters
    ----------
    name_or_path : str or path-like
        With `folder`, one of `READERS`: ``"daic_woz"``, ``"ravdess"``, ``"table"``, ... Without, a path: a CSV file is
        read by `read_table`, a folder by the reader of the corpus whose files it has; with ``manifest.csv`` by
        `read_table`, or else by `read_folders`.
    folder : path-like, optional
    **options
        For the reader, such as ``labels="stress"``.

    Returns
    -------
    Corpus

    Raises
    ------
    ParameterError
        If there is no such reader or path, the reader takes no such option, or the folder is not that corpus.

    Examples
    --------
    >>> from vocalbio.datasets.corpora import read_corpus
    >>> corpus = read_corpus("daic_woz", "/corpora/DAIC-WOZ")  # doctest: +SKIP
    >>> corpus = read_corpus("/corpora/RAVDESS", labels="stress")  # doctest: +SKIP
    """
    if folder is None:
        path = Path(os.fsdecode(name_or_path)).expanduser()
        if not path.exists():
            named = str(name_or_path) in READERS
            raise ParameterError(
                f"{path} does not exist; expected a folder or a CSV file"
                + (f", or the folder after the name: read_corpus({str(name_or_path)!r}, folder)" if named else "")
            )
        name = "table" if path.is_file() else _recognised(path)
    else:
        name, path = str(name_or_path), Path(os.fsdecode(folder))
    if name not in READERS:
        raise ParameterError(f"there is no reader {name!r}; expected one of {', '.join(map(repr, READERS))}")
    reader = READERS[name]
    try:
        inspect.signature(reader).bind(path, **options)
    except TypeError as error:
        _, *wanted = inspect.signature(reader).parameters
        raise ParameterError(
            f"the reader of {name!r} takes {', '.join(map(repr, wanted)) or 'no options'}: {error}"
        ) from error
    return reader(path, **options)


def _recognised(folder: Path) -> str:
    for name, marks in MARKS.items():
        if any(next(iter(folder.glob(mark)), None) is not None for mark in marks):
            return name
    return "folders"
