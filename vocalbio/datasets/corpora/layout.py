"""Folders as corpora are unpacked: what lies where, and what to say when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from vocalbio.datasets.corpora.corpus import Source
from vocalbio.errors import ParameterError

__all__ = ["RECORDINGS", "a_folder", "by_name", "files_below", "is_apple_double", "no_such_corpus", "read_csv"]

RECORDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".webm", ".mp4", ".aif", ".aiff")
APPLE_DOUBLE = b"\x00\x05\x16\x07"


def a_folder(path: str | os.PathLike[str], source: Source | None = None) -> Path:
    """
    Make sure that there is a folder.

    Parameters
    ----------
    path : path-like
    source : Source, optional
        The corpus that should be in it, for the message.

    Returns
    -------
    Path

    Raises
    ------
    ParameterError
        If there is none.
    """
    folder = Path(os.fsdecode(path)).expanduser()
    if not folder.is_dir():
        got = f"{folder} is a file" if folder.exists() else f"{folder} does not exist"
        what = f"the unpacked folder of {source.title} ({source.access})" if source else "a folder"
        raise ParameterError(f"{got}; expected {what}")
    return folder


def no_such_corpus(folder: Path, source: Source, expected: str) -> ParameterError:
    """
    Say that a folder holds something else.

    Parameters
    ----------
    folder : Path
    source : Source
    expected : str
        What should have been where.

    Returns
    -------
    ParameterError
        To be raised.
    """
    return ParameterError(f"{folder} is no {source.title}: expected {expected}. {source.title}: {source.access}")


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """
    Files of a kind in a folder and the folders in it, without what macOS and zip leave beside them.

    Parameters
    ----------
    folder : Path
    suffixes : tuple of str
        In small letters; files are found whatever the case of theirs.

    Returns
    -------
    list of Path
        Sorted.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vocalbio.datasets.corpora.layout import files_below
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("a.WAV", "._a.wav", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in files_below(folder, (".wav",))]
    ['a.WAV']
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and "__MACOSX" not in path.parts
    )


def by_name(paths: list[Path]) -> dict[str, Path]:
    """
    Paths by the file's name in small letters; of two with one name the first.

    Parameters
    ----------
    paths : list of Path

    Returns
    -------
    dict of str to Path
    """
    named: dict[str, Path] = {}
    for path in paths:
        named.setdefault(path.name.lower(), path)
    return named


def is_apple_double(path: Path) -> bool:
    """
    Tell whether a file holds what macOS keeps about a file, in place of the file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
    """
    with open(path, "rb") as file:
        return file.read(4) == APPLE_DOUBLE


def read_csv(path: Path) -> pd.DataFrame:
    """
    Read a table of a corpus as text: names without blanks around them, no row that is empty.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pandas.DataFrame
        Of str, missing where empty.

    Raises
    ------
    ParameterError
        If it cannot be read.
    """
    try:
        table = pd.read_csv(path, dtype=str, skipinitialspace=True, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ParameterError(f"cannot read {path} ({error}); expected a table with commas between columns") from error
    table.columns = [str(name).strip() for name in table.columns]
    return table.dropna(how="all").reset_index(drop=True)
