"""What a feature family is: names, and one recording in, as many numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from vocalbio.audio import Recording

__all__ = ["Column", "Family", "FamilyLike", "Frames", "Measured"]

SAMPLING_RATE_HZ = 16_000
"""What every family is given, whatever the file was stored at."""


@dataclass(frozen=True)
class Column:
    """
    What a feature is and when it exists.

    Attributes
    ----------
    name : str
        Name within the family, such as ``"jitter_local"``.
    unit : str
        Unit, or ``""`` for a plain ratio.
    meaning : str
        One line in words.
    occurrence : str
        What must have occurred in the recording for this to be a number; ``"always"`` for counts and ratios.
    source : str
        The tool and call that measures it.
    paper : str
        Where it is defined.
    """

    name: str
    unit: str
    meaning: str
    occurrence: str
    source: str
    paper: str


@dataclass(frozen=True)
class Measured:
    """
    The numbers of one family for one recording, and why some are missing.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (n_features,), NaN where the thing did not occur.
    reasons : tuple of str
        Why columns are NaN, in words a person can act on; empty when nothing is missing.
    """

    values: np.ndarray
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Frames:
    """
    Features over time.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (n_frames, n_features), NaN where the thing does not exist in that frame (F0 of an unvoiced one).
    times_s : numpy.ndarray
        Shape (n_frames,), seconds from the start of the recording to the centre of each frame.
    names : tuple of str
        One name a feature.
    """

    values: np.ndarray
    times_s: np.ndarray
    names: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        """Shape and span, not the numbers."""
        span = f"{self.times_s[0]:.2f}-{self.times_s[-1]:.2f} s" if len(self.times_s) else "no frames"
        return f"Frames({self.values.shape[0]} frames x {self.values.shape[1]} features, {span})"


@runtime_checkable
class FamilyLike(Protocol):
    """The least that a family of your own has to offer; see `Family`."""

    @property
    def names(self) -> Sequence[str]:
        """Feature names, without the family prefix."""
        ...

    def extract(self, recording: Recording) -> Sequence[float] | np.ndarray | Measured:
        """As many numbers as there are names, NaN where there is nothing to measure."""
        ...


class Family:
    """
    Base of the families that ship with vocalbio; a family of your own needs only ``names`` and ``extract``.

    Every recording handed to `extract` is mono, float32, 16 kHz, clipped to [-1, 32767/32768], finite, at least
    half a second long and not digitally silent: those cases are dealt with before a family is asked.

    Examples
    --------
    A family of one's own, used beside the built-in ones:

    >>> import numpy as np
    >>> from vocalbio import FeatureExtractor
    >>> class Level:
    ...     name = "level"
    ...     names = ("rms_db",)
    ...     def extract(self, recording):
    ...         return [10 * np.log10(np.mean(np.square(recording.samples, dtype=float)))]
    >>> FeatureExtractor(families=["voice", Level()], quality=False).get_feature_names_out()[-1]
    'level__rms_db'
    """

    name: ClassVar[str]
    measures_timing: ClassVar[bool] = False
    """True: pauses are part of what is measured, so `speech_only` does not apply."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each feature is, in the order of the values."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names, without the family prefix."""
        return tuple(column.name for column in self.columns)

    def extract(self, recording: Recording) -> Measured:
        """
        Measure one recording.

        Parameters
        ----------
        recording : Recording
            16 kHz, prepared as the class says.

        Returns
        -------
        Measured
            Values of shape (n_features,) and the reasons for what is NaN.
        """
        raise NotImplementedError

    def frames(self, recording: Recording) -> Frames:
        """
        Measure one recording over time.

        Parameters
        ----------
        recording : Recording
            16 kHz, prepared as the class says.

        Returns
        -------
        Frames
            Values of shape (n_frames, n_features).
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Settings that decide the numbers, as plain JSON types."""
        return asdict(self) if is_dataclass(self) and not isinstance(self, type) else {}

    def versions(self) -> dict[str, str]:
        """Versions of the tools that compute the numbers."""
        return {}
