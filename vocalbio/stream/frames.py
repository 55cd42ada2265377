"""
What a second of sound is reduced to: band levels twenty times a second, periodicity, clipping, drop-outs.

A row depends on its own second and nothing else, so that a night can be measured in pieces of any size, kept on
disk and taken up again, and everything that adapts (noise floor, breaths, events) is computed from the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BANDS_HZ", "FRAMES_PER_S", "N_COLUMNS", "SAMPLING_RATE_HZ", "Second", "measure_seconds"]

SAMPLING_RATE_HZ = 16_000
FRAMES_PER_S = 20
# The lowest holds rumble, steps and bumps; breathing is 300 Hz to 4 kHz, snoring begins at 60 Hz.
BANDS_HZ = (60, 150, 300, 600, 1000, 1700, 2700, 4200, 7400)
_N_BANDS = len(BANDS_HZ) - 1
_FRAME = SAMPLING_RATE_HZ // FRAMES_PER_S
_PERIODIC_PER_S = 4
_PITCH_HZ = (25, 300)  # snores pulse slowly
_SILENT_DB = -120.0  # below the last bit of 16
_CLIPPED = 0.985
_LOST_SHARE = 0.5
N_COLUMNS = FRAMES_PER_S * _N_BANDS + _PERIODIC_PER_S + 4


class Second:
    """
    One row, unpacked.

    Attributes
    ----------
    bands_db : array of float32, shape (20, 8)
        Power of each band (`BANDS_HZ`) in each 50 ms, in dB of full scale; NaN where the sound was cut out.
    periodicity : array of float32, shape (4,)
        Highest correlation of each quarter with itself 3 to 40 ms later: near 1 for snores and voices, near 0 for
        breath and noise.
    level_db : float
        RMS of the second in dB of full scale.
    clipped, dropped : float
        Share of the samples at full scale, share of the 50 ms frames that are digital silence.
    present : bool
        False: no sound was recorded (a gap between files).

    Parameters
    ----------
    row : array of float32, shape (N_COLUMNS,)
        Of `measure_seconds`.
    """

    __slots__ = ("bands_db", "clipped", "dropped", "level_db", "periodicity", "present")

    def __init__(self, row: NDArray[np.float32]) -> None:
        n = FRAMES_PER_S * _N_BANDS
        self.bands_db = row[:n].reshape(FRAMES_PER_S, _N_BANDS)
        self.periodicity = row[n : n + _PERIODIC_PER_S]
        self.level_db, self.clipped, self.dropped = (float(value) for value in row[n + _PERIODIC_PER_S :][:3])
        self.present = bool(row[-1])

    @property
    def lost(self) -> bool:
        """Nothing was recorded, or most of it is digital silence."""
        return not self.present or self.dropped > _LOST_SHARE


def measure_seconds(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Reduce whole seconds of sound to rows.

    Parameters
    ----------
    samples : array of float32, shape (n_seconds * 16000,)
        At 16 kHz. NaN where nothing was recorded: such a second is absent.

    Returns
    -------
    array of float32, shape (n_seconds, N_COLUMNS)
        The same for a second whatever stands beside it.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.stream.frames import Second, measure_seconds
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype("float32")
    >>> round(Second(measure_seconds(tone)[0]).level_db)
    -23
    """
    seconds = samples.reshape(-1, SAMPLING_RATE_HZ)
    present = np.asarray(~np.isnan(seconds).any(axis=1))
    seconds = np.where(present[:, None], seconds, np.float32(0))
    frames = seconds.reshape(-1, _FRAME)
    dropped: NDArray[np.bool_] = frames.max(axis=1) == frames.min(axis=1)
    bands_db = _band_levels_db(frames)
    bands_db[dropped] = np.nan
    n_seconds = len(seconds)
    columns = [
        bands_db.reshape(n_seconds, -1),
        _periodicity(seconds.reshape(-1, SAMPLING_RATE_HZ // _PERIODIC_PER_S)).reshape(n_seconds, -1),
        _decibels(np.square(seconds, dtype=np.float64).mean(axis=1))[:, None],
        (np.abs(seconds) >= _CLIPPED).mean(axis=1)[:, None],
        dropped.reshape(n_seconds, -1).mean(axis=1)[:, None],
        present[:, None],
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _band_levels_db(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    spectra = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
    edges = np.searchsorted(np.fft.rfftfreq(_FRAME, 1 / SAMPLING_RATE_HZ), BANDS_HZ)
    powers = np.add.reduceat(spectra, edges, axis=1)[:, :-1]
    return _decibels(powers * (2.0 / (_FRAME * np.square(window, dtype=np.float64).sum()))).astype(np.float32)


def _periodicity(quarters: NDArray[np.float32]) -> NDArray[np.float64]:
    """Highest normalised autocorrelation at the periods of a snore, after taking out what lies above 1 kHz."""
    length = quarters.shape[1]
    spectrum = np.fft.rfft(quarters, n=2 * length, axis=1)
    frequencies = np.fft.rfftfreq(2 * length, 1 / SAMPLING_RATE_HZ)
    spectrum[:, (frequencies < _PITCH_HZ[0]) | (frequencies > 1000)] = 0
    correlation = np.fft.irfft(np.square(np.abs(spectrum)), axis=1)
    lags = np.arange(SAMPLING_RATE_HZ // _PITCH_HZ[1], SAMPLING_RATE_HZ // _PITCH_HZ[0])
    # a shorter overlap at longer lags is made up for, or slow pulses would count less
    expected = correlation[:, :1] * (1 - lags / length)
    found = np.divide(correlation[:, lags], expected, out=np.zeros_like(expected), where=expected > 1e-12)
    # a peak only: noise below 1 kHz is alike at the shortest lags, without one
    inner = found[:, 1:-1]
    peaks = np.where((inner >= found[:, :-2]) & (inner >= found[:, 2:]), inner, 0.0)
    return np.clip(peaks.max(axis=1), 0.0, 1.0)


def _decibels(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(powers, 10 ** (_SILENT_DB / 10)))
    return levels
