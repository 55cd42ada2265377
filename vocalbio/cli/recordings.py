"""Which recordings were meant: files as given, and those in folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["find_recordings", "is_recording"]

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
