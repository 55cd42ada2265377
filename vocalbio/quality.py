"""How good a recording is: voicing, speech, noise, clipping, bandwidth. For people, never for models."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.audio import Recording
from vocalbio.errors import required_for
from vocalbio.segments import SHORTEST_S, SILENT_PEAK, sounding_intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["QUALITY_COLUMNS", "measure_quality"]

QUALITY_COLUMNS: list[tuple[str, str, str]] = [
    ("duration_s", "s", "length of the recording"),
    ("voiced_fraction", "1", "voiced frames / frames (Praat autocorrelation, 75-600 Hz)"),
    ("speech_fraction", "1", "share of the recording in sounding stretches that hold voiced frames"),
    ("snr_db", "dB", "power of speech, less that of pauses, re that of pauses; missing without a pause"),
    ("clipped_fraction", "1", "share of source frames in a plateau at full scale, or beyond full scale"),
    ("source_rate_hz", "Hz", "sampling rate of the file before resampling"),
    ("bandwidth_hz", "Hz", "highest frequency that carries signal, at most 8000"),
]
"""Name, unit and meaning of what `measure_quality` returns, in its order."""

_RATE_HZ = 16_000
_STEP_S = 0.01
_VOICED_S = 0.05  # less voicing than this in a sounding stretch is a chance find
_ABOVE_NOISE_DB = 4.0  # more than steady noise varies; tried on acted speech with noise added
_SHORTEST_PAUSES_S = 0.1  # in total
_ROUNDING_POWER = 2.0**-30 / 12  # of 16-bit samples

_FRAME = 512
_FLOOR_DB = 10.0  # above the rounding noise of 16 bits, which dither raises by 5 dB
_DYNAMIC_RANGE_DB = 80.0
_CLIFF_DB = 40.0
_SKIRT_DB_PER_OCTAVE = 30.0  # steeper than any voice, less steep than a filter of the sixth order


def measure_quality(recording: Recording) -> dict[str, float]:
    """
    Measure what makes a recording more or less fit for analysis.

    Parameters
    ----------
    recording : Recording
        At 16 kHz; at another rate it is resampled first. Silence and the shortest recordings are welcome.

    Returns
    -------
    dict of str to float
        The names of `QUALITY_COLUMNS` in their order. What does not exist is NaN: everything that needs
        voicing or intensity below 0.13 s, `bandwidth_hz` of silence or below 0.04 s, and `snr_db` as told in
        the notes. A silent recording has 0 voiced and 0 speech.

    Raises
    ------
    AudioError
        If ``recording.check()`` fails.
    MissingPackageError
        If parselmouth is not installed.

    Notes
    -----
    Sounding stretches are those of `vocalbio.segments.speech_intervals`, but in noise, where those 25 dB do
    not fit in, the threshold is 4 dB above the 0.05 quantile of the intensity. A stretch below it that is
    mostly voiced counts as sounding. What is voiced is taken for speech, so that music, a hum or a snore may
    be as well.

    `snr_db` compares speech with the pauses of the same recording and assumes the same noise in both. It is
    NaN without speech or with less than 0.1 s of pauses. It reads too high where a noise gate or an editor
    has emptied the pauses (the rounding noise of 16 bits is taken for the least that there is, so some 100
    dB at most) and where noise hides the weak parts of speech (below 10 dB). It reads too low where
    somebody speaks in the background, a room rings, or an utterance is cut so tightly that its weakest part
    is taken for a pause.

    `bandwidth_hz` is where the long-term spectrum ends: it sinks below the rounding noise of 16 bits or 80 dB
    below its peak, or falls off a cliff of 40 dB. Where it ends in a slope that only a filter has (30 dB per
    octave and more), the beginning of that slope is given. A gentler filter reads higher than its corner.

    References
    ----------
    .. [1] Boersma P. Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
       ratio of a sampled sound. IFA Proceedings 1993;17:97-110.
    .. [2] de Jong NH, Wempe T. Praat script to detect syllable nuclei and measure speech rate automatically.
       Behav Res Methods 2009;41:385-390. doi:10.3758/BRM.41.2.385

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording
    >>> from vocalbio.quality import measure_quality
    >>> quality = measure_quality(Recording(np.zeros(16_000), 16_000))
    >>> quality["duration_s"], quality["speech_fraction"], quality["snr_db"]
    (1.0, 0.0, nan)
    """
    recording.check()
    recording = recording.resample(_RATE_HZ)
    samples = recording.samples.astype(np.float64)
    samples -= samples.mean()
    silent = np.abs(samples).max() < SILENT_PEAK
    if recording.duration_s < SHORTEST_S:
        voiced_fraction = speech_fraction = snr_db = math.nan
    elif silent:
        voiced_fraction, speech_fraction, snr_db = 0.0, 0.0, math.nan
    else:
        voiced_fraction, speech_fraction, snr_db = _measure_speech(samples)
    return {
        "duration_s": recording.duration_s,
        "voiced_fraction": voiced_fraction,
        "speech_fraction": speech_fraction,
        "snr_db": snr_db,
        "clipped_fraction": recording.clipped_fraction,
        "source_rate_hz": float(recording.source_rate_hz),
        "bandwidth_hz": math.nan if silent or len(samples) < _FRAME else _measure_bandwidth(samples),
    }


def _measure_speech(samples: NDArray[np.float64]) -> tuple[float, float, float]:
    """Voiced fraction, speech fraction and signal-to-noise ratio in dB."""
    with required_for("measuring quality", "praat-parselmouth"):
        import parselmouth

    sound = parselmouth.Sound(samples, _RATE_HZ)
    pitch = sound.to_pitch_ac(time_step=_STEP_S, pitch_floor=75.0, pitch_ceiling=600.0)
    is_voiced = pitch.selected_array["frequency"] > 0
    voiced_s = pitch.xs()[is_voiced]

    speech = np.zeros(len(samples), bool)
    pauses = np.zeros(len(samples), bool)
    for start_s, end_s, sounding in _stretches(sound):
        share = slice(round(start_s * _RATE_HZ), round(end_s * _RATE_HZ))
        n_voiced = np.searchsorted(voiced_s, end_s) - np.searchsorted(voiced_s, start_s)
        if n_voiced * _STEP_S >= (_VOICED_S if sounding else 0.5 * (end_s - start_s)):
            speech[share] = True
        elif not sounding:
            pauses[share] = True
    return float(is_voiced.mean()), float(speech.mean()), _snr_db(samples, speech, pauses)


def _stretches(sound: Any) -> list[tuple[float, float, bool]]:
    """Cut a sound into (start_s, end_s, whether it is sounding)."""
    from parselmouth.praat import call

    intensity = sound.to_intensity(50.0, 0.016, True)
    quiet, loud = (call(intensity, "Get quantile", 0, 0, share) for share in (0.05, 0.99))
    threshold_db = quiet - loud + min(_ABOVE_NOISE_DB, (loud - quiet) / 2)
    sounding = sounding_intervals(sound, intensity, threshold_db=min(max(-25.0, threshold_db), -1.0))
    edges = [0.0, *sounding.ravel(), sound.xmax]
    return [(start, end, number % 2 == 1) for number, (start, end) in enumerate(pairwise(edges)) if end > start]


def _snr_db(samples: NDArray[np.float64], speech: NDArray[np.bool_], pauses: NDArray[np.bool_]) -> float:
    if not speech.any() or pauses.sum() < _SHORTEST_PAUSES_S * _RATE_HZ:
        return math.nan
    noise = max(float(np.mean(samples[pauses] ** 2)), _ROUNDING_POWER)
    ratio = float(np.mean(samples[speech] ** 2)) / noise - 1
    return 10 * math.log10(ratio) if ratio > 0 else math.nan


def _measure_bandwidth(samples: NDArray[np.float64]) -> float:
    """Upper end of the long-term spectrum in Hz; NaN where all of it is below the floor."""
    from scipy.ndimage import grey_closing, uniform_filter1d
    from scipy.signal.windows import blackmanharris

    window = blackmanharris(_FRAME, sym=False)  # side lobes 92 dB down
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[:: _FRAME // 2]
    power = np.zeros(_FRAME // 2 + 1)
    for start in range(0, len(frames), 4096):  # in blocks, for the sake of memory
        power += np.sum(np.abs(np.fft.rfft(frames[start : start + 4096] * window)) ** 2, axis=0)
    power *= 2 / (len(frames) * np.sum(window**2) * _RATE_HZ)
    # Closing bridges the valleys between harmonics up to 500 Hz apart and leaves edges where they are.
    level_db = grey_closing(10 * np.log10(np.maximum(uniform_filter1d(power, 3), 0) + 1e-30), 17)
    frequencies_hz = np.fft.rfftfreq(_FRAME, 1 / _RATE_HZ)

    floor_db = 10 * math.log10(_ROUNDING_POWER / (_RATE_HZ / 2)) + _FLOOR_DB
    carried = np.flatnonzero(level_db > max(floor_db, level_db.max() - _DYNAMIC_RANGE_DB))
    if not len(carried):
        return math.nan
    end = int(carried[-1])

    loudest_above = np.maximum.accumulate(level_db[::-1])[::-1]
    bins = np.arange(len(level_db))
    beyond = np.maximum(np.ceil(1.12 * bins).astype(int), bins + 8)  # a sixth of an octave or 250 Hz up
    inside = beyond < len(level_db)
    cliffs = np.flatnonzero(level_db[inside] - loudest_above[beyond[inside]] >= _CLIFF_DB)
    if len(cliffs):
        end = min(end, int(cliffs[-1]))

    while end > 2:  # back up the skirt of a filter
        frequency = frequencies_hz[end]
        lower = max(min(frequency / 2**0.125, frequency - 350), frequencies_hz[2])
        rise_db = np.interp(lower, frequencies_hz, level_db) - level_db[end]
        if rise_db < _SKIRT_DB_PER_OCTAVE * math.log2(frequency / lower):
            break
        end -= 1
    return float(frequencies_hz[end])
