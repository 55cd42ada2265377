"""
Breaths: bursts of sound above a noise floor that is tracked, one second after the other.

Everything here is causal and its memory is bounded: what it says of a second depends on the seconds before it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocalbio.stream.frames import FRAMES_PER_S, Second

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    _Frame = tuple[NDArray[np.float64], float, float]  # excess of each band, of the frame, power

__all__ = ["Burst", "BurstTracker"]

_FRAME_S = 1 / FRAMES_PER_S
_SMOOTHED = 4  # frames averaged, 0.2 s: noise settles, a breath does not drown
_FLOOR_S = 16  # three slow breaths: somewhere in them is a pause
_FLOOR_QUANTILE = 0.1
_FLOOR_BIAS_DB = 1.2  # the tenth of smoothed noise that is quietest lies this far below its mean
_LOWEST_FLOOR_DB = -92.0  # of one band: microphones that gate noise out leave less, where nothing can be heard
_BREATH_BANDS = slice(1, 8)  # 150 Hz to 7.4 kHz
_LOUDEST = 3  # bands that speak for a frame: breath is narrow in some noses, broad in others
_ON_DB, _OFF_DB = 5.0, 2.5
_OFF_SHARE = 0.35  # of its own excess: snores in a room that echoes, or over another sleeper, do not reach the floor
_RISE_DB = 6.0  # out of such a valley
_LONGEST_BREATH_S = 5.0
_HEARD_DB = 25.0  # what lies further below the loudest band does not make a sound's character
_OFF_FRAMES = 4  # so long must it be quiet to have ended


@dataclass(frozen=True, eq=False)
class Burst:
    """
    A stretch of sound that stands out: a breath, a snore, a cough, a word.

    Attributes
    ----------
    start_s, end_s : float
        In seconds from the beginning, to 50 ms.
    excess_db : float
        How far its loudest part stands above the noise floor, in the bands in which it does most.
    level_db : float
        Mean power of its louder half between 150 Hz and 7.4 kHz, in dB of full scale.
    shape_db : array of float, shape (8,)
        Mean excess of each band over the floor, in dB.
    periodicity : float
        0 to 1, highest in it: snores and voices pulse, breath does not.
    wander_db : float
        How much its spectrum changes its shape on the way: little in a breath or snore, much in speech.
    """

    start_s: float
    end_s: float
    excess_db: float
    level_db: float
    shape_db: NDArray[np.float64]
    periodicity: float
    wander_db: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    @property
    def is_breath_like(self) -> bool:
        """Neither a click nor a hum: as long as a breath can be."""
        return 0.2 <= self.duration_s <= _LONGEST_BREATH_S

    @property
    def snore(self) -> float:
        """
        How much like a snore, 0 to 1: strong below 600 Hz, and pulsing.

        Half way where it stands 12 dB above the floor there and correlates by 0.5 with itself a pulse later.
        """
        low_db = float(np.sort(self.shape_db[:3])[-2:].mean())
        loudness = 1 / (1 + np.exp(-(low_db - 12.0) / 2.5))
        pulse = 1 / (1 + np.exp(-(self.periodicity - 0.5) / 0.08))
        return float(loudness * pulse) if self.is_breath_like else 0.0


class BurstTracker:
    """
    Turn rows into bursts.

    Parameters
    ----------
    net : bool, default False
        Subtract the noise floor's power, band by band, from the level of a burst (spectral subtraction [1]_).

    References
    ----------
    .. [1] Boll S. Suppression of acoustic noise in speech using spectral subtraction. IEEE Trans Acoust Speech Signal
       Process 1979;27:113-120. doi:10.1109/TASSP.1979.1163209

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.stream.breaths import BurstTracker
    >>> from vocalbio.stream.frames import Second, measure_seconds
    >>> noise = np.random.default_rng(0).standard_normal(16_000 * 10).astype("float32") * 1e-3
    >>> noise[16_000 * 6 : 16_000 * 7] *= 30
    >>> tracker = BurstTracker()
    >>> for row in measure_seconds(noise):
    ...     tracker.update(Second(row))
    >>> [(burst.start_s, burst.end_s) for burst in tracker.take()]
    [(6.0, 7.0)]
    """

    def __init__(self, *, net: bool = False) -> None:
        self.net = net
        self.now_s = 0
        self.floor_db = np.full(8, np.nan)
        self.excess_db = np.full(FRAMES_PER_S, np.nan)  # of the last second
        self._powers: deque[NDArray[np.float64]] = deque(maxlen=_SMOOTHED)
        self._recent: deque[NDArray[np.float64]] = deque(maxlen=_FLOOR_S)
        self._done: list[Burst] = []
        self._frames: list[_Frame] = []  # of the open one
        self._quiet = 0
        self._start = 0
        self._loudest = 0.0
        self._valley_db = -np.inf  # lowest excess since the last burst, while it stays above _OFF_DB
        self._periodicity: deque[float] = deque(maxlen=4 * 8)

    def take(self) -> list[Burst]:
        """
        Hand over the bursts that have ended since the last call.

        Returns
        -------
        list of Burst
        """
        done, self._done = self._done, []
        return done

    @property
    def floor_level_db(self) -> float:
        """The noise floor of all bands together, in dB of full scale; NaN before any sound."""
        return float(10 * np.log10(np.power(10.0, self.floor_db / 10).sum()))

    @property
    def open_since_s(self) -> float | None:
        """When the burst began that is still going on, in seconds; None in a pause."""
        return self._start * _FRAME_S if self._frames else None

    def update(self, second: Second) -> None:
        """
        Hear one second more.

        Parameters
        ----------
        second : Second
        """
        smoothed = self._smooth(second.bands_db)
        self._follow_floor(smoothed)
        self._periodicity.extend(second.periodicity.tolist())
        over = smoothed - self.floor_db
        strongest = np.sort(over[:, _BREATH_BANDS], axis=1)[:, -_LOUDEST:]
        self.excess_db = strongest.mean(axis=1)
        powers = np.power(10.0, second.bands_db[:, _BREATH_BANDS].astype(float) / 10)
        if self.net:
            powers = np.maximum(powers - np.power(10.0, self.floor_db[_BREATH_BANDS] / 10), 0.05 * powers)
        power = powers.sum(axis=1)
        first = self.now_s * FRAMES_PER_S
        for number in range(FRAMES_PER_S):
            self._hear(first + number, over[number], float(self.excess_db[number]), float(power[number]))
        self.now_s += 1

    def finish(self) -> None:
        """End the burst that is going on: no more sound will come."""
        self._end()

    def _smooth(self, bands_db: NDArray[np.float32]) -> NDArray[np.float64]:
        smoothed = np.empty(bands_db.shape)
        for number, powers in enumerate(np.power(10.0, bands_db.astype(float) / 10)):
            if np.isnan(powers[0]):
                self._powers.clear()
                smoothed[number] = np.nan
                continue
            self._powers.append(powers)
            smoothed[number] = 10 * np.log10(sum(self._powers) / len(self._powers))
        return smoothed

    def _follow_floor(self, smoothed: NDArray[np.float64]) -> None:
        heard = smoothed[~np.isnan(smoothed[:, 0])]
        if len(heard):
            self._recent.append(heard)
            recent = np.concatenate(self._recent)
            place = int(_FLOOR_QUANTILE * len(recent))
            floor = np.partition(recent, place, axis=0)[place] + _FLOOR_BIAS_DB
            self.floor_db = np.maximum(floor, _LOWEST_FLOOR_DB)

    def _hear(self, frame: int, over: NDArray[np.float64], excess: float, power: float) -> None:
        if not self._frames:
            self._valley_db = -np.inf if not excess > _OFF_DB else min(self._valley_db, excess)
            if excess >= max(_ON_DB, self._valley_db + _RISE_DB):
                self._start, self._quiet, self._loudest = frame, 0, excess
                self._frames = [(over, excess, power)]
            return
        if np.isnan(excess):
            self._end()
            return
        self._frames.append((over, excess, power))
        self._loudest = max(self._loudest, excess)
        self._quiet = 0 if excess >= max(_OFF_DB, _OFF_SHARE * self._loudest) else self._quiet + 1
        if self._quiet == _OFF_FRAMES:
            self._end()
            self._valley_db = excess

    def _end(self) -> None:
        frames = self._frames[: len(self._frames) - self._quiet] if self._quiet else self._frames
        self._frames = []
        for first, part in _split(frames):
            # smoothing makes a sound end later by its own length, but for the first frame
            last = first + len(part) == len(frames)
            length = max(1, len(part) - (_SMOOTHED - 1)) if last else len(part)
            if len(part) >= 3:
                self._done.append(self._burst(self._start + first, length, part))

    def _burst(self, start: int, length: int, frames: list[_Frame]) -> Burst:
        over = np.array([item[0] for item in frames])
        excess = np.array([item[1] for item in frames])
        power = np.sort([item[2] for item in frames])
        loud = over[excess >= 0.5 * excess.max()][:, _BREATH_BANDS]
        loud = np.maximum(loud, loud.max(axis=1, keepdims=True) - _HEARD_DB)
        begun = self.now_s - start * _FRAME_S  # seconds ago
        quarters = list(self._periodicity)[-4 * math.ceil(begun + 1) :]
        return Burst(
            start_s=start * _FRAME_S,
            end_s=(start + length) * _FRAME_S,
            excess_db=float(np.quantile(excess, 0.9)),
            level_db=float(10 * np.log10(power[len(power) // 2 :].mean() + 1e-12)),
            shape_db=over.mean(axis=0),
            periodicity=float(max(quarters[: math.ceil(length * _FRAME_S * 4) + 8], default=0.0)),
            wander_db=float((loud - loud.mean(axis=1, keepdims=True)).std(axis=0).mean()),
        )


def _split(frames: list[_Frame], first: int = 0) -> Iterator[tuple[int, list[_Frame]]]:
    """Part what is too long for a breath where it is quietest, if that is a valley."""
    excess = np.array([item[1] for item in frames])
    if len(frames) > _LONGEST_BREATH_S * FRAMES_PER_S:
        inner = excess[_SMOOTHED:-_SMOOTHED]
        lowest = int(np.argmin(inner)) + _SMOOTHED
        if min(excess[:lowest].max(), excess[lowest:].max()) - excess[lowest] >= _RISE_DB:
            yield from _split(frames[:lowest], first)
            yield from _split(frames[lowest:], first + lowest)
            return
    yield first, frames
