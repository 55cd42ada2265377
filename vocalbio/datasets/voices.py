"""Made-up voices of known pitch, jitter, shimmer, syllables and pauses: for trying the chain, and as truth in tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError

__all__ = ["SyntheticVoice", "VoiceParameters", "make_cohort", "synthesize_voice"]

RATE_HZ = 16_000
OVERSAMPLING = 6
MARGIN_S = 0.15
MEAN_OF_DIFFERENCE = 2 / np.sqrt(np.pi)  # of two normal numbers of standard deviation 1, absolute
VOWELS_HZ = np.array(
    [  # first four formants of a long vocal tract
        (730, 1090, 2440, 3400),
        (530, 1840, 2480, 3500),
        (270, 2290, 3010, 3600),
        (570, 840, 2410, 3300),
        (300, 870, 2240, 3250),
        (440, 1020, 2240, 3300),
    ],
    float,
)
BANDWIDTHS_HZ = np.array([80.0, 100.0, 140.0, 200.0])


@dataclass(frozen=True)
class VoiceParameters:
    """
    What a made-up voice is like.

    Attributes
    ----------
    f0_hz : float
        Median pitch.
    f0_sd_st : float
        Standard deviation of the pitch contour in semitones.
    jitter, shimmer : float
        Expected mean absolute difference of consecutive periods (peak amplitudes) over their mean.
    hnr_db : float
        Power of the periodic part over that of aspiration noise.
    tract : float
        Factor on all formants; about 1 for a long and 1.17 for a short vocal tract.
    syllables_per_s : float
        While speaking; 0 for a sustained vowel.
    pause_count : int
    pause_s : float
        Mean length of a pause; each is within 20 % of it.
    level_db : float
        Of the voice, re full scale (RMS while sounding).
    snr_db : float
        Level of the voice over that of white room noise.

    Raises
    ------
    ParameterError
        If one is not a number, or out of range.

    Notes
    -----
    In a steady vowel Praat reads `jitter` and `shimmer` within about 25 % up to 200 Hz. Above, harmonics are so far
    apart that jitter carries them up and down the slopes of the formants: at 300 Hz shimmer may be read as twice
    what was asked for.

    Examples
    --------
    >>> from vocalbio.datasets.voices import VoiceParameters
    >>> VoiceParameters(f0_hz=210, tract=1.17).f0_hz
    210
    """

    f0_hz: float = 120.0
    f0_sd_st: float = 2.0
    jitter: float = 0.008
    shimmer: float = 0.04
    hnr_db: float = 20.0
    tract: float = 1.0
    syllables_per_s: float = 4.5
    pause_count: int = 1
    pause_s: float = 0.5
    level_db: float = -22.0
    snr_db: float = 45.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("f0_hz", 50, 500),
            ("f0_sd_st", 0, 8),
            ("jitter", 0, 0.1),
            ("shimmer", 0, 0.3),
            ("hnr_db", -20, 80),
            ("tract", 0.7, 1.5),
            ("syllables_per_s", 0, 8),
            ("pause_count", 0, 100),
            ("pause_s", 0.35, 10),
            ("level_db", -60, -10),
            ("snr_db", 0, 100),
        ):
            value = getattr(self, name)
            if not isinstance(value, Real) or not low <= float(value) <= high:
                raise ParameterError(f"{name} is {value!r}; expected a number from {low} to {high}")
        if not isinstance(self.pause_count, Integral):
            raise ParameterError(f"pause_count is {self.pause_count!r}; expected a whole number")


@dataclass(frozen=True, eq=False)
class SyntheticVoice:
    """
    A made-up recording and what is true of it.

    Attributes
    ----------
    recording : Recording
        16 kHz.
    parameters : VoiceParameters
    period_times_s : numpy.ndarray
        Shape (n_pulses,), when each glottal pulse was fired.
    f0_hz : numpy.ndarray
        Shape (n_pulses,), the pitch contour at these times, without jitter. High pitch has more pulses: the median
        of these lies above that over time, which is what `VoiceParameters.f0_hz` sets.
    pauses_s : numpy.ndarray
        Shape (n_pauses, 2), start and end.
    syllable_count : int
    """

    recording: Recording
    parameters: VoiceParameters
    period_times_s: NDArray[np.float64]
    f0_hz: NDArray[np.float64]
    pauses_s: NDArray[np.float64]
    syllable_count: int


def synthesize_voice(
    parameters: VoiceParameters | None = None, duration_s: float = 4.0, *, seed: Any = 0, file: str | None = None
) -> SyntheticVoice:
    """
    Make a voice: glottal pulses through moving formants, in syllables, with pauses.

    A source-filter model after Klatt: pulses at exactly known times (placed between samples at 96 kHz) with a source
    spectrum that falls by 12 dB an octave, four formant resonators that glide from vowel to vowel, aspiration noise,
    some voiceless onsets, and room noise. It speaks no language and stands for no person.

    Parameters
    ----------
    parameters : VoiceParameters, optional
    duration_s : float
        With 0.15 s of room noise at either end.
    seed : int or numpy.random.SeedSequence
        The same seed gives the same samples to the last bit on one machine.
    file : str, optional
        What to call the recording.

    Returns
    -------
    SyntheticVoice

    Raises
    ------
    ParameterError
        If the pauses leave no time to speak, or duration or seed are none.

    References
    ----------
    Klatt DH, Klatt LC. Analysis, synthesis, and perception of voice quality variations among female and male talkers.
    J Acoust Soc Am 1990;87:820-857. doi:10.1121/1.398894

    Examples
    --------
    >>> from vocalbio.datasets.voices import VoiceParameters, synthesize_voice
    >>> voice = synthesize_voice(VoiceParameters(f0_hz=200, pause_count=2), seed=1)
    >>> voice.recording, len(voice.pauses_s)
    (Recording(4.00 s at 16000 Hz), 2)
    """
    given = parameters or VoiceParameters()
    if not isinstance(duration_s, Real) or not isfinite(duration_s):
        raise ParameterError(f"duration_s is {duration_s!r}; expected seconds, such as 4.0")
    try:
        rng = np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"seed is {seed!r}; expected a whole number from 0 up or a SeedSequence") from error
    syllables, pauses = _timing(given, duration_s, rng)
    time = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    gain, voiceless = _envelope(time, syllables, given.syllables_per_s == 0, rng)
    sounding = gain > 0
    contour_hz = _contour(given, time, syllables, sounding, rng)
    times, amplitudes = _pulses(given, duration_s, contour_hz, rng)
    voiced = sounding & ~voiceless
    fired = voiced[np.minimum((times * RATE_HZ).astype(int), len(time) - 1)]
    times, amplitudes = times[fired], amplitudes[fired]

    source = _source(times, amplitudes, len(time))
    aspiration = rng.normal(size=len(time))
    aspiration *= np.sqrt(np.mean(source[voiced] ** 2) / 10 ** (given.hnr_db / 10))
    vowels = VOWELS_HZ[rng.integers(len(VOWELS_HZ), size=len(syllables))] * given.tract
    vocalic = _resonate(source + np.where(voiced, aspiration, 0.0), time, syllables, vowels)
    hiss = np.diff(rng.normal(size=len(time) + 1))  # falls towards low frequencies, as a voiceless fricative does
    sound = gain * np.where(voiceless, 0.0, vocalic)
    level = 10 ** (given.level_db / 20)
    sound *= level / np.sqrt(np.mean(sound[sounding] ** 2))
    sound += gain * voiceless * hiss * 0.15 * level
    sound += rng.normal(size=len(time)) * level / 10 ** (given.snr_db / 20)
    samples = np.clip(sound, -1, 1).astype(np.float32)
    places = np.minimum((times * RATE_HZ).astype(int), len(time) - 1)
    n_syllables = 0 if given.syllables_per_s == 0 else len(syllables)
    return SyntheticVoice(Recording(samples, RATE_HZ, file), given, times, contour_hz[places], pauses, n_syllables)


def _timing(
    given: VoiceParameters, duration_s: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start and end of each syllable, and of each pause."""
    lengths = given.pause_s * rng.uniform(0.8, 1.2, given.pause_count)
    speaking_s = duration_s - 2 * MARGIN_S - lengths.sum()
    lacking_s = 0.3 * (given.pause_count + 1) - speaking_s
    if lacking_s > 0:
        raise ParameterError(
            f"{given.pause_count} pauses of {given.pause_s:.2f} s leave {max(speaking_s, 0):.1f} of {duration_s} s "
            f"to speak; expected a duration_s of {duration_s + lacking_s + 0.05:.1f} or more, or fewer pauses"
        )
    count = max(given.pause_count + 1, round(given.syllables_per_s * speaking_s))
    weights = rng.uniform(0.8, 1.2, count)
    lasting = speaking_s * weights / weights.sum()
    # a pause comes after each of these syllables
    breaks = np.round(np.arange(1, given.pause_count + 1) * count / (given.pause_count + 1)).astype(int)
    gaps = np.zeros(count)
    gaps[breaks - 1] = lengths
    starts = MARGIN_S + np.concatenate([[0.0], np.cumsum(lasting + gaps)[:-1]])
    ends = starts + lasting
    return np.column_stack([starts, ends]), np.column_stack([ends[breaks - 1], ends[breaks - 1] + lengths])


def _envelope(
    time: NDArray[np.float64], syllables: NDArray[np.float64], sustained: bool, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Gain, with a dip between syllables and 0 in pauses; and where a syllable begins without voice."""
    gain, voiceless = np.zeros(len(time)), np.zeros(len(time), bool)
    for start, end in syllables:
        inside = (time >= start) & (time < end)
        phase = (time[inside] - start) / (end - start)
        gain[inside] = (
            np.minimum(1, 20 * np.minimum(phase, 1 - phase)) if sustained else 0.15 + np.sin(np.pi * phase) ** 2
        )
        if not sustained and rng.random() < 0.3:
            voiceless[inside] = time[inside] < start + min(0.07, 0.4 * (end - start))
    return gain, voiceless


def _contour(
    given: VoiceParameters,
    time: NDArray[np.float64],
    syllables: NDArray[np.float64],
    sounding: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Pitch over time: an accent on every syllable and a slow fall, of just the spread that was asked for."""
    centres = syllables.mean(axis=1)
    accents = rng.normal(size=len(syllables)) - 1.2 * (centres - centres[0]) / time[-1]
    semitones = np.interp(time, centres, accents) if len(syllables) > 1 else np.zeros(len(time))
    spread = semitones[sounding].std()
    if spread > 0:
        semitones = (semitones - np.median(semitones[sounding])) * given.f0_sd_st / spread
    return given.f0_hz * 2 ** (np.clip(semitones, -12, 12) / 12)


def _pulses(
    given: VoiceParameters, duration_s: float, contour_hz: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When pulses are fired, and how strongly."""
    most = int(duration_s * contour_hz.max() * 1.5) + 10
    jitter = 1 + rng.normal(size=most) * given.jitter / MEAN_OF_DIFFERENCE
    shimmer = 1 + rng.normal(size=most) * given.shimmer / MEAN_OF_DIFFERENCE
    times = []
    now = 0.0
    for factor in jitter:
        times.append(now)
        now += factor / contour_hz[int(now * RATE_HZ)]
        if now >= duration_s - 1 / RATE_HZ:
            break
    return np.array(times), shimmer[: len(times)]


def _source(times: NDArray[np.float64], amplitudes: NDArray[np.float64], n_samples: int) -> NDArray[np.float64]:
    """Pulses between samples at six times the rate, with a falling spectrum, radiated and brought to 16 kHz."""
    from scipy.signal import lfilter, resample_poly

    place = times * RATE_HZ * OVERSAMPLING
    whole = place.astype(int)
    part = place - whole
    train = np.zeros(n_samples * OVERSAMPLING + 1)
    np.add.at(train, whole, amplitudes * (1 - part))
    np.add.at(train, whole + 1, amplitudes * part)
    pole = np.exp(-2 * np.pi * 100 / (RATE_HZ * OVERSAMPLING))
    flow = lfilter([1.0], [1.0, -2 * pole, pole**2], train[:-1])  # -12 dB an octave above 100 Hz
    return resample_poly(np.diff(flow, prepend=0.0), 1, OVERSAMPLING)


def _resonate(
    source: NDArray[np.float64],
    time: NDArray[np.float64],
    syllables: NDArray[np.float64],
    vowels_hz: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Four resonators in a row, gliding from vowel to vowel in steps of 5 ms."""
    from scipy.signal import lfilter

    step = RATE_HZ // 200
    centres = syllables.mean(axis=1)
    sound = source.copy()
    for number in range(vowels_hz.shape[1]):
        track_hz = np.interp(time[::step], centres, vowels_hz[:, number])
        radius = np.exp(-np.pi * BANDWIDTHS_HZ[number] / RATE_HZ)
        state = np.zeros(2)
        for block, frequency in enumerate(track_hz):
            share = slice(block * step, (block + 1) * step)
            poles = [1.0, -2 * radius * np.cos(2 * np.pi * frequency / RATE_HZ), radius**2]
            sound[share], state = lfilter([sum(poles)], poles, sound[share], zi=state)
    return sound


EFFECTS: dict[str, dict[str, float]] = {
    "neutral": {},
    "sad": {"f0_sd_st": 0.7, "syllables_per_s": 0.85, "pause_s": 1.4, "level_db": -3.0},
    "anxious": {"f0_hz": 1.12, "syllables_per_s": 1.15, "jitter": 1.5, "f0_sd_st": 1.1},
}
"""Made-up effects of a class: factors, and dB added to the level. They say nothing about people."""


def make_cohort(
    n_speakers: int = 12,
    n_recordings: int = 9,
    *,
    classes: Sequence[str] = ("neutral", "sad", "anxious"),
    seed: int = 0,
    duration_s: float = 4.0,
) -> tuple[list[Recording], pd.DataFrame]:
    """
    Make recordings of a cohort whose speakers differ more from each other than its classes do.

    The differences between classes are made up (`EFFECTS`): sad voices are flatter, slower, softer and pause longer,
    anxious ones are higher, faster and rougher. They say nothing about people.

    Parameters
    ----------
    n_speakers : int
        Half with a long, half with a short vocal tract.
    n_recordings : int
        Of each speaker; classes take turns.
    classes : sequence of str
        Some of ``"neutral"``, ``"sad"``, ``"anxious"``.
    seed : int
        A recording depends on the seed, its speaker and its number alone.
    duration_s : float
        Of each recording.

    Returns
    -------
    recordings : list of Recording
        Named ``synthetic-S01-01`` and so on.
    truth : pandas.DataFrame
        One row a recording: file, speaker, tract (factor on the formants), label, f0_hz, f0_sd_st, jitter, shimmer,
        syllables_per_s, syllable_count, pause_count, pause_s (mean of those made).

    Raises
    ------
    ParameterError
        If a class is unknown, a number is not positive, or `duration_s` is too short for the pauses (3.5 never is).

    Examples
    --------
    >>> from vocalbio.datasets.voices import make_cohort
    >>> recordings, truth = make_cohort(n_speakers=2, n_recordings=3)
    >>> truth["label"].tolist()
    ['neutral', 'sad', 'anxious', 'neutral', 'sad', 'anxious']
    """
    a_list = isinstance(classes, Sequence) and not isinstance(classes, str)
    if not a_list or not classes or any(name not in tuple(EFFECTS) for name in classes):
        raise ParameterError(f"classes are {classes!r}; expected a list of some of {', '.join(EFFECTS)}")
    for what, count, least in (("n_speakers", n_speakers, 1), ("n_recordings", n_recordings, 1), ("seed", seed, 0)):
        if not isinstance(count, Integral) or count < least:
            raise ParameterError(f"{what} is {count!r}; expected a whole number of at least {least}")
    recordings, rows = [], []
    for speaker in range(n_speakers):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(speaker,)))
        short = speaker % 2
        own = VoiceParameters(
            f0_hz=(195.0 if short else 115.0) * 2 ** (rng.normal() * 2.0 / 12),
            f0_sd_st=float(np.clip(rng.normal(2.3, 0.35), 1.4, 3.5)),
            jitter=0.008 * 2 ** (rng.normal() * 0.35),
            shimmer=0.04 * 2 ** (rng.normal() * 0.35),
            hnr_db=rng.normal(20, 3),
            tract=(1.15 if short else 1.0) * 2 ** (rng.normal() * 0.05),
            syllables_per_s=float(np.clip(rng.normal(4.5, 0.4), 3.5, 5.5)),
            pause_s=float(np.clip(rng.normal(0.5, 0.06), 0.4, 0.65)),
            level_db=rng.normal(-24, 1.5),
        )
        for number in range(n_recordings):
            label = classes[number % len(classes)]
            name = f"synthetic-S{speaker + 1:02d}-{number + 1:02d}"
            # a key, not [seed, speaker, number]: numpy pads lists with zeros, so number 0 would repeat the speaker's
            chances, sounds = np.random.SeedSequence(seed, spawn_key=(speaker, number)).spawn(2)
            chance = np.random.default_rng(chances)
            changed = {
                key: getattr(own, key) * EFFECTS[label].get(key, 1.0) * 2 ** (chance.normal() * spread)
                for key, spread in (
                    ("f0_hz", 0.05),
                    ("f0_sd_st", 0.15),
                    ("jitter", 0.2),
                    ("shimmer", 0.2),
                    ("syllables_per_s", 0.07),
                    ("pause_s", 0.1),
                )
            }
            changed["pause_s"] = float(np.clip(changed["pause_s"], 0.36, 0.9))
            changed["level_db"] = own.level_db + EFFECTS[label].get("level_db", 0.0) + chance.normal()
            parameters = replace(own, pause_count=int(chance.integers(1, 3)), **changed)
            voice = synthesize_voice(parameters, duration_s, seed=sounds, file=name)
            recordings.append(voice.recording)
            rows.append(
                {
                    "file": name,
                    "speaker": f"S{speaker + 1:02d}",
                    "tract": parameters.tract,
                    "label": label,
                    "f0_hz": parameters.f0_hz,
                    "f0_sd_st": parameters.f0_sd_st,
                    "jitter": parameters.jitter,
                    "shimmer": parameters.shimmer,
                    "syllables_per_s": parameters.syllables_per_s,
                    "syllable_count": voice.syllable_count,
                    "pause_count": len(voice.pauses_s),
                    "pause_s": float(np.mean(voice.pauses_s[:, 1] - voice.pauses_s[:, 0])),
                }
            )
    return recordings, pd.DataFrame(rows)
