"""Augmented recordings: copies, made when asked for, each knowing the row that it is a copy of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.audio import Recording, load_audio
from vocalbio.augment.recipe import Augmentation
from vocalbio.errors import AudioError, ParameterError

__all__ = ["Copies", "copies"]

BLOCK = 64
"""Copies in memory at once while they are measured."""


class Copies:
    """
    Augmented copies of recordings; each is made anew whenever it is asked for.

    Made by `copies`.

    Attributes
    ----------
    rows : numpy.ndarray of int
        Shape (n_copies,): the position of each copy's original in what was given. All first copies come first.
    """

    def __init__(self, sources: list[tuple[Any, float, float | None]], recipe: Augmentation, n: int, seed: int) -> None:
        self._sources, self._recipe, self._seed = sources, recipe, seed
        self.rows: NDArray[np.intp] = np.tile(np.arange(len(sources)), n)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Recording]:
        return (self[position] for position in range(len(self)))

    def __getitem__(self, position: int) -> Recording:
        """
        Make one copy.

        Parameters
        ----------
        position : int

        Returns
        -------
        Recording
            Called as its original is, with ``#copy1`` and so on behind.

        Raises
        ------
        AudioError
            If the original cannot be read.
        """
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        number, row = divmod(position % len(self), len(self._sources))
        source, start_s, end_s = self._sources[row]
        recording = source if isinstance(source, Recording) else load_audio(source)
        if start_s or end_s is not None:
            recording = recording.cut(start_s, end_s)
        made = self._recipe(recording, seed=[self._seed, number])
        return replace(made, file=f"{recording.file or f'recording_{row}'}#copy{number + 1}")

    def measure(self, extractor: Any) -> pd.DataFrame:
        """
        Extract the features of every copy, a few recordings in memory at a time.

        Parameters
        ----------
        extractor : vocalbio.FeatureExtractor
            Of the settings that measured the originals; without windows.

        Returns
        -------
        pandas.DataFrame
            One row a copy, in the order of `rows`, with the settings in ``attrs``. A copy that cannot be made has a
            row of NaN, and `vocalbio.errors` tells why.

        Raises
        ------
        ParameterError
            If the extractor cuts windows: pass the index of the table of windows to `copies` instead.
        """
        if getattr(extractor, "window_s", None) is not None:
            raise ParameterError(
                f"the extractor cuts windows of {extractor.window_s} s, so that a copy would have several rows. "
                "Extract the windows of the originals first, and pass copies(X.index, ...) to an extractor without any"
            )
        tables = []
        for start in range(0, len(self), BLOCK):
            block = range(start, min(start + BLOCK, len(self)))
            tables.append(extractor.transform([self._or_source(position) for position in block]))
        joined = pd.concat(tables)
        joined.attrs = _join_attrs([table.attrs for table in tables])
        return joined

    def _or_source(self, position: int) -> Any:
        """A copy; where it cannot be made, what will tell the extractor why."""
        try:
            return self[position]
        except AudioError:
            return self._sources[self.rows[position]][0]


def _join_attrs(attrs: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings are the same in every block; reasons are lists, and add up."""
    joined = dict(attrs[0])
    for key, text in joined.items():
        if isinstance(text, str) and text.startswith("["):
            joined[key] = json.dumps([entry for part in attrs for entry in json.loads(part[key])])
    return joined


def copies(audio: Any, recipe: Augmentation, n: int = 1, seed: int = 0) -> Copies:
    """
    Plan augmented copies of recordings, for training folds only.

    Parameters
    ----------
    audio : path, Recording, list of either, or pandas index
        An index holds files, or (file, start, end) as that of `vocalbio.extract_features`.
    recipe : Augmentation
    n : int
        Copies of each recording.
    seed : int
        From 0 on.

    Returns
    -------
    Copies
        Nothing is read until a copy is asked for.

    Raises
    ------
    ParameterError
        If an argument is of the wrong kind.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import FeatureExtractor, Recording
    >>> from vocalbio.augment import Augmentation, Noise, copies
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000, file="a.wav")
    >>> made = copies([tone], Augmentation([Noise((5, 30))]), n=2)
    >>> made.rows.tolist(), made[1]
    ([0, 0], Recording('a.wav#copy2', 1.00 s at 16000 Hz))
    >>> made.measure(FeatureExtractor(["voice"])).shape
    (2, 63)
    """
    if not isinstance(recipe, Augmentation):
        raise ParameterError(f"recipe is a {type(recipe).__name__}; expected an Augmentation of transforms")
    for name, value, least in (("n", n, 1), ("seed", seed, 0)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ParameterError(f"{name} is {value!r}; expected a whole number of at least {least}")
    sources = _sources(audio)
    if not sources:
        raise ParameterError("audio is empty; expected recordings to copy")
    return Copies(sources, recipe, int(n), int(seed))


def _sources(audio: Any) -> list[tuple[Any, float, float | None]]:
    """What to read, and from when to when."""
    if isinstance(audio, pd.MultiIndex):
        if list(audio.names) != ["file", "start", "end"]:
            raise ParameterError(f"audio is an index with levels {list(audio.names)}; expected file, start, end")
        return [
            (file, 0.0 if pd.isna(start) else start.total_seconds(), None if pd.isna(end) else end.total_seconds())
            for file, start, end in audio
        ]
    items = [audio] if isinstance(audio, (str, os.PathLike, Recording)) else list(audio)
    for item in items:
        if not isinstance(item, (str, os.PathLike, Recording)):
            raise ParameterError(f"audio holds a {type(item).__name__}; expected paths, Recordings or a pandas index")
    return [(item, 0.0, None) for item in items]
