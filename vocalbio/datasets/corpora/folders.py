"""A folder for each class, as many small corpora are kept."""

from __future__ import annotations

import os

from vocalbio.datasets.corpora.corpus import Corpus, make_corpus
from vocalbio.datasets.corpora.layout import RECORDINGS, a_folder, files_below
from vocalbio.errors import ParameterError

__all__ = ["read_folders"]


def read_folders(folder: str | os.PathLike[str]) -> Corpus:
    """
    Read recordings that stand in a folder for each class.

    Parameters
    ----------
    folder : path-like
        With ``CLASS/SPEAKER/file.wav``, or ``CLASS/file.wav`` where speakers are not known.

    Returns
    -------
    Corpus
        ``label`` and, if all recordings stand in a folder of their own speaker, ``speaker``.

    Raises
    ------
    ParameterError
        If there is no recording in such a folder.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vocalbio.datasets.corpora import read_folders
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "snore").mkdir()
    >>> (folder / "snore" / "1.wav").touch()
    >>> read_folders(folder).labels.tolist()
    ['snore']
    """
    folder = a_folder(folder)
    found = {path: path.relative_to(folder).parts for path in files_below(folder, RECORDINGS)}
    inside = {path: parts for path, parts in found.items() if len(parts) > 1}
    if not inside:
        raise ParameterError(
            f"{folder} holds no recordings by class; expected CLASS/SPEAKER/file.wav or CLASS/file.wav"
        )
    by_speaker = all(len(parts) > 2 for parts in inside.values())
    rows = [
        {"file": path, "label": parts[0], "speaker": parts[1] if by_speaker else None} for path, parts in inside.items()
    ]
    loose = [path.name for path in found if path not in inside]
    problems = [(name, "stands in no folder of a class: left out") for name in loose]
    if not by_speaker:
        problems.append((folder.name, "recordings do not stand in folders of speakers: speakers are not known"))
    return make_corpus("folders", rows, problems)
