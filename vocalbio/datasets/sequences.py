"""Sequences: the segments of one recording, or of one speaker, as one sample."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.errors import ParameterError
from vocalbio.extract.table import is_feature, read_settings, usable_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocalbio.features.family import Frames

__all__ = ["Sequences"]


@dataclass(frozen=True, eq=False, repr=False)
class Sequences:
    """
    Samples of many segments each: what a recurrent network is trained on.

    Made by `from_table`. Slices, masks and integer arrays give Sequences again, so that scikit-learn's
    splitters, ``cross_val_predict`` and ``GridSearchCV`` take them like rows of a table.

    Attributes
    ----------
    keys : list
        What each sample is: a file, or a speaker.
    values : list of ndarray of float32
        One a key, shape (n_segments, n_features), NaN where a feature is missing. A key without any usable
        segment has shape (0, n_features).
    names : list of str
        Columns of `values`.
    attrs : dict
        What the table carried in its ``attrs``: settings, and reasons for what is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.datasets import Sequences
    >>> index = pd.MultiIndex.from_tuples(
    ...     [("a.wav", 0, 5), ("a.wav", 5, 10), ("b.wav", 0, 5)], names=["file", "start", "end"])
    >>> sequences = Sequences.from_table(pd.DataFrame({"voice__f0_mean_hz": [110.0, 120.0, 210.0]}, index))
    >>> sequences
    Sequences(2 of 1-2 segments x 1 features)
    >>> sequences[1].keys
    ['b.wav']
    """

    keys: list[Hashable]
    values: list[NDArray[np.float32]]
    names: list[str]
    attrs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_table(cls, X: pd.DataFrame, by: Any = "file") -> Sequences:
        """
        Put the rows of a feature table together.

        Parameters
        ----------
        X : pandas.DataFrame
            From `vocalbio.extract_features` with `window_s`, or with one row a segment of an index. Quality
            columns are left out, and so are unusable rows (``quality__ok`` 0, or every feature missing).
        by : str or array-like of shape (n_rows,), default "file"
            What belongs together: a level of the index, or a key for each row, such as its speaker.

        Returns
        -------
        Sequences
            Keys in the order in which they first occur; files of a key likewise, and the rows of a file in
            order of ``start``.

        Raises
        ------
        ParameterError
            If `X` is not a table of numbers, or `by` does not fit it.
        """
        if not isinstance(X, pd.DataFrame):
            raise ParameterError(f"X is of type {type(X).__name__}; expected a table from extract_features")
        names = [str(column) for column in X.columns if is_feature(column)]
        try:
            values = X[[column for column in X.columns if is_feature(column)]].to_numpy(np.float32)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"X holds something else than numbers ({error})") from error
        key_of_row, keys = pd.factorize(_row_keys(X, by))
        if (key_of_row < 0).any():
            raise ParameterError(f"by is missing (NaN or None) for {(key_of_row < 0).sum()} rows of X")
        order = _order_of_time(X)
        order = order[usable_rows(X)[order]]
        order = order[np.argsort(key_of_row[order], kind="stable")]
        ends = np.cumsum(np.bincount(key_of_row[order], minlength=len(keys)))
        segments = np.split(values[order], ends[:-1]) if len(keys) else []
        return cls(list(keys), segments, names, {str(name): value for name, value in X.attrs.items()})

    @classmethod
    def from_frames(
        cls, frames: Mapping[Hashable, Frames | None], family: str, *, hop_s: float | None = None
    ) -> Sequences:
        """
        Put frames over time into sequences, such as an encoder's hidden states.

        Parameters
        ----------
        frames : mapping of key to Frames or None
            From `vocalbio.extract_frames`, by file or whatever a sample is; None where a recording could not be read.
        family : str
            Prefix of the names: ``family__name``.
        hop_s : float, optional
            Replace every so many seconds of frames by their mean (of those that are numbers): hidden states come fifty
            times a second, which makes long sequences.

        Returns
        -------
        Sequences
            Keys in the order given. How the frames were extracted is not known, so a model of such sequences answers
            to Sequences, not to recordings.

        Raises
        ------
        ParameterError
            If frames differ in their names, none is given, or `hop_s` is shorter than a frame.

        Examples
        --------
        >>> import numpy as np
        >>> from vocalbio import Frames
        >>> from vocalbio.datasets import Sequences
        >>> states = Frames(np.ones((100, 4)), np.arange(100) * 0.02 + 0.01, ("0", "1", "2", "3"))
        >>> Sequences.from_frames({"a.wav": states, "broken.wav": None}, "tiny_L1", hop_s=0.5)
        Sequences(2 of 0-4 segments x 4 features)
        """
        given = [entry for entry in frames.values() if entry is not None]
        if not given:
            raise ParameterError("frames holds no Frames; expected one at least, from extract_frames")
        names = given[0].names
        if any(entry.names != names for entry in given):
            raise ParameterError("frames differ in their names; expected all of them from one family")
        empty = np.empty((0, len(names)), np.float32)
        values = [empty if entry is None else _means(entry, hop_s) for entry in frames.values()]
        return cls(list(frames), values, [f"{family}__{name}" for name in names])

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Whether there is a usable segment, shape (n,)."""
        return np.array([len(values) > 0 for values in self.values], bool)

    @property
    def settings(self) -> dict[str, Any] | None:
        """Settings of the extractor that made the table; None where it does not tell."""
        return (read_settings(self) or {}).get("extractor")

    @property
    def shape(self) -> tuple[int]:
        """Number of sequences, as the shape of an array of them: scikit-learn then indexes us like one."""
        return (len(self.keys),)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        lengths = [len(values) for values in self.values] or [0]
        return f"Sequences({len(self)} of {min(lengths)}-{max(lengths)} segments x {len(self.names)} features)"

    def __getitem__(self, key: Any) -> Sequences:
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # how scikit-learn writes "these rows"
        try:
            if isinstance(key, list):
                key = np.asarray(key, None if key else int)
            places = np.atleast_1d(np.arange(len(self))[key])
        except IndexError as error:
            raise IndexError(f"{error}; there are {len(self)} sequences") from error
        return replace(self, keys=[self.keys[i] for i in places], values=[self.values[i] for i in places])

    def padded(self, length: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """
        All sequences in one array, padded on the right.

        Parameters
        ----------
        length : int, optional
            Segments to pad to; the longest sequence's by default.

        Returns
        -------
        values : ndarray of float32, shape (n, length, n_features)
            0 after the end of a sequence.
        mask : ndarray of bool, shape (n, length)
            True where there is a segment.

        Raises
        ------
        ParameterError
            If a sequence is longer than `length`.

        Examples
        --------
        >>> import numpy as np
        >>> from vocalbio.datasets import Sequences
        >>> short, long = np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)
        >>> values, mask = Sequences(["a", "b"], [short, long], ["voice__x", "voice__y"]).padded()
        >>> values.shape, mask.sum(axis=1).tolist()
        ((2, 3, 2), [1, 3])
        """
        lengths = np.array([len(values) for values in self.values], int)
        longest = int(lengths.max(initial=0))
        if length is None:
            length = longest
        elif length < longest:
            raise ParameterError(f"length is {length!r}; the longest sequence has {longest} segments")
        mask = np.arange(length) < lengths[:, None]
        padded = np.zeros((len(self), length, len(self.names)), np.float32)
        if mask.any():
            padded[mask] = np.concatenate(self.values)
        return padded, mask


def _row_keys(X: pd.DataFrame, by: Any) -> Any:
    if isinstance(by, str):
        if by not in X.index.names:
            raise ParameterError(
                f"by is {by!r}, and the index of X has the levels {list(X.index.names)}; expected one of them, or an "
                "array with a key for each row"
            )
        return X.index.get_level_values(by)
    keys = np.asarray(by, object)
    if keys.shape != (len(X),):
        raise ParameterError(f"by has shape {keys.shape}; expected a key for each of the {len(X)} rows of X")
    if isinstance(by, pd.Series) and not isinstance(by.index, pd.RangeIndex) and not by.index.equals(X.index):
        raise ParameterError("by has another index than X; expected the same rows in the same order")
    return keys


def _means(frames: Frames, hop_s: float | None) -> NDArray[np.float32]:
    """Means of the frames of every `hop_s` seconds; NaN where none of them is a number."""
    values = np.asarray(frames.values, np.float32)
    if hop_s is None or not len(values):
        return values
    step_s = float(np.median(np.diff(frames.times_s))) if len(values) > 1 else 0.0
    if not hop_s >= step_s:
        raise ParameterError(f"hop_s is {hop_s!r}; expected {step_s:.3f} or more, the time from frame to frame")
    place = ((frames.times_s - frames.times_s[0]) / hop_s + 1e-6).astype(int)  # 0.3 / 0.1 is not quite 3
    number = np.isfinite(values)
    sums, counts = (np.zeros((place[-1] + 1, values.shape[1])) for _ in range(2))
    np.add.at(sums, place, np.where(number, values, 0.0))
    np.add.at(counts, place, number)
    with np.errstate(invalid="ignore"):
        return (sums / counts).astype(np.float32)[np.bincount(place) > 0]


def _order_of_time(X: pd.DataFrame) -> NDArray[np.intp]:
    """Rows by file, in order of first occurrence, and by start."""
    order = np.arange(len(X))
    for level in ("start", "file"):  # the sort is stable: the last one comes first
        if level in X.index.names:
            ranks, _ = pd.factorize(X.index.get_level_values(level), sort=level == "start")
            order = order[np.argsort(ranks[order], kind="stable")]
    return order
