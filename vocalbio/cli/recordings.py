"""Which recordings were meant: files as given, and those in folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["find_recordings", "is_recording", "unlike_names"]

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".webm", ".mp4", ".aif", ".aiff"}


def is_recording(path: Path) -> bool:
    """Tell by the name whether a file may be a recording."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find_recordings(paths: Iterable[Path]) -> list[Path]:
    """
    Files as given; a folder stands for the recordings in it, in the order of their names.

    Parameters
    ----------
    paths : iterable of Path

    Returns
    -------
    list of Path
        A folder without any stands for itself, and reading it will tell.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if is_recording(p)) if path.is_dir() else []
        found += inside or [path]
    return found


def unlike_names(paths: Sequence[Path]) -> list[str]:
    """
    Name what is written about files: their names without suffix, numbered where several are called alike.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    list of str
        No two are equal, also where letters' case counts not.

    Examples
    --------
    >>> from vocalbio.cli.recordings import unlike_names
    >>> unlike_names([Path("a/memo.wav"), Path("b/memo.wav"), Path("memo-2.wav")])
    ['memo', 'memo-2', 'memo-2-2']
    """
    names: list[str] = []
    for path in paths:
        name, count = path.stem, 1
        while name.casefold() in {other.casefold() for other in names}:
            count += 1
            name = f"{path.stem}-{count}"
        names.append(name)
    return names
