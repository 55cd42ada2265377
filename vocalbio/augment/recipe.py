"""Recipe: transforms one after the other, from one seed; and masks for frames of features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Augmentation", "mask_frames"]


@dataclass(frozen=True)
class Augmentation:
    """
    Transforms in a row: a function of a recording and a seed, and of nothing else.

    What is drawn depends on the sound and the seed, not on the recording's name, its place in a list, or what was
    drawn before.

    Parameters
    ----------
    transforms : sequence of callable
        `Noise`, `Room`, `TimeStretch`, `PitchShift`, `Gain`, `Codec`, `Bandwidth`, or functions of your own,
        ``(recording, rng) -> Recording``. In the order in which sound meets them: the voice first (tempo, pitch), then
        the room, noise, microphone and at last the line.
    probability : float
        Of each to be applied, independently.

    Raises
    ------
    ParameterError
        If there is nothing to apply, or `probability` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, Codec, Gain, Noise
    >>> recipe = Augmentation([Noise((5, 30), "pink"), Gain((-10, 10)), Codec(["telephone", "opus"])])
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> bool(np.array_equal(recipe(tone, seed=1).samples, recipe(tone, seed=1).samples))
    True
    """

    transforms: Sequence[Callable[[Recording, np.random.Generator], Recording]]
    probability: float = 1.0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "transforms", tuple(self.transforms))
        except TypeError:
            object.__setattr__(self, "transforms", ())
        if not self.transforms or any(isinstance(step, type) or not callable(step) for step in self.transforms):
            raise ParameterError("transforms holds none, or something else; expected a list such as [Noise(10)]")
        if not isinstance(self.probability, Real) or not 0 <= self.probability <= 1:
            raise ParameterError(f"probability is {self.probability!r}; expected a number from 0 to 1")

    def __call__(self, recording: Recording, seed: int | Sequence[int] = 0) -> Recording:
        """
        Apply the transforms.

        Parameters
        ----------
        recording : Recording
        seed : int or sequence of int
            Whole numbers from 0 on.

        Returns
        -------
        Recording
            Of the same name, start and rate; a new one, in [-1, 1].

        Raises
        ------
        AudioError
            If the recording is empty or not finite.
        ParameterError
            If a seed is negative or no whole number.
        """
        words = [seed] if isinstance(seed, (int, np.integer)) else list(seed)
        if not words or not all(isinstance(word, (int, np.integer)) and word >= 0 for word in words):
            raise ParameterError(f"seed is {seed!r}; expected a whole number from 0 on, or several")
        recording.check()
        content = hashlib.sha256(recording.samples.tobytes()).digest()
        rng = np.random.default_rng([*map(int, words), int.from_bytes(content[:8], "big")])
        for transform in self.transforms:
            applied, own = rng.random() < self.probability, rng.spawn(1)[0]
            if applied:
                recording = transform(recording, own)
        return recording


def mask_frames(
    values: NDArray[Any],
    *,
    n_times: int = 2,
    longest: float = 0.1,
    n_bands: int = 0,
    widest: float = 0.1,
    seed: int = 0,
) -> NDArray[Any]:
    """
    SpecAugment: hide stretches of time, and bands of features, behind each feature's mean.

    Parameters
    ----------
    values : array of shape (n_frames, n_features)
        Frames, or segments, of one recording; NaN stays NaN outside of masks.
    n_times, n_bands : int
        Number of masks over time, and over neighbouring features. Bands make sense where neighbours resemble each
        other, as in a log-mel spectrogram.
    longest, widest : float
        Greatest share of the frames, or features, that one mask hides; drawn from 0 up to it.
    seed : int

    Returns
    -------
    numpy.ndarray
        A copy, shape (n_frames, n_features).

    Raises
    ------
    ParameterError
        If an argument is of the wrong shape or range.

    References
    ----------
    Park DS et al. SpecAugment: a simple data augmentation method for automatic speech recognition. Interspeech 2019.
    doi:10.21437/Interspeech.2019-2680

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.augment import mask_frames
    >>> values = np.arange(200.0).reshape(100, 2)
    >>> masked = mask_frames(values, n_times=1, longest=0.2)
    >>> bool((masked != values).any(axis=1).sum() <= 20)
    True
    """
    values = np.array(values)
    if values.ndim != 2 or not len(values) or not np.issubdtype(values.dtype, np.floating):
        raise ParameterError(
            f"values is {values.dtype} of shape {values.shape}; expected floats of shape (n_frames, n_features)"
        )
    for name, share in (("longest", longest), ("widest", widest)):
        if not isinstance(share, Real) or not 0 <= share <= 1:
            raise ParameterError(f"{name} is {share!r}; expected a share from 0 to 1")
    for name, number in (("n_times", n_times), ("n_bands", n_bands)):
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise ParameterError(f"{name} is {number!r}; expected a whole number from 0 on")
    rng = np.random.default_rng(seed)
    counts = np.isfinite(values).sum(axis=0)
    means = np.where(counts, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
    hidden = np.zeros(values.shape, bool)
    for axis, number, share in ((0, n_times, longest), (1, n_bands, widest)):
        for _ in range(number):
            size = int(rng.integers(int(share * values.shape[axis]) + 1))
            start = int(rng.integers(values.shape[axis] - size + 1))
            hidden[(slice(None),) * axis + (slice(start, start + size),)] = True
    return np.where(hidden, means, values).astype(values.dtype)
