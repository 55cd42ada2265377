"""Voice: Praat's markers of pitch, perturbation, noise, resonance, pauses and rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError, required_for
from vocalbio.features.family import SAMPLING_RATE_HZ, Column, Family, Frames, Measured
from vocalbio.segments import sounding_intervals

if TYPE_CHECKING:
    import parselmouth
    from numpy.typing import NDArray

__all__ = ["Voice"]

BOERSMA = "Boersma P. Accurate short-term analysis of the fundamental frequency. IFA Proceedings 1993;17:97-110"
TWO_PASS = (
    "De Looze C, Hirst D. Detecting changes in key and range for the automatic modelling and coding of "
    "intonation. Speech Prosody 2008"
)
MDVP = (
    "Boersma P. Should jitter be measured by peak picking or by waveform matching? "
    "Folia Phoniatr Logop 2009;61:305-308. doi:10.1159/000245159"
)
MARYN = (
    "Maryn Y, Weenink D. Objective dysphonia measures in the program Praat. J Voice 2015;29:35-43. "
    "doi:10.1016/j.jvoice.2014.06.015"
)
DE_JONG = (
    "de Jong NH, Wempe T. Praat script to detect syllable nuclei and measure speech rate automatically. "
    "Behav Res Methods 2009;41:385-390. doi:10.3758/BRM.41.2.385"
)
KEATING = "Keating P, Garellek M, Kreiman J. Acoustic properties of different kinds of creaky voice. ICPhS 2015"

FIRST_PASS_HZ = (60.0, 750.0)
DEFAULT_RANGE_HZ = (75.0, 600.0)
FEWEST_VOICED_FRAMES = 10
LEAST_DYNAMIC_RANGE_DB = 25.0
STEP_S = 0.01
SHORTEST_PERIOD_S, LONGEST_PERIOD_S, LARGEST_FACTOR, LARGEST_AMPLITUDE_FACTOR = 0.0001, 0.02, 1.3, 1.6

JITTER = {"local": "local", "local_absolute": "local, absolute", "rap": "rap", "ppq5": "ppq5", "ddp": "ddp"}
SHIMMER = {
    "local": "local",
    "local_db": "local_dB",
    "apq3": "apq3",
    "apq5": "apq5",
    "apq11": "apq11",
    "dda": "dda",
}


def _columns() -> Iterator[Column]:
    pitch = "Praat To Pitch (ac), two passes"
    voiced = "voiced frames"
    for name, unit, meaning in (
        ("f0_mean_hz", "Hz", "mean pitch"),
        ("f0_median_hz", "Hz", "median pitch"),
        ("f0_sd_hz", "Hz", "standard deviation of pitch"),
        ("f0_p5_hz", "Hz", "5th percentile of pitch"),
        ("f0_p95_hz", "Hz", "95th percentile of pitch"),
        ("f0_sd_st", "st", "standard deviation of pitch re the speaker's median: pitch variability"),
        ("f0_range_st", "st", "5th to 95th percentile of pitch"),
        ("f0_slope_st_per_s", "st/s", "slope of a straight line through the pitch of the whole recording"),
        ("f0_change_st_per_s", "st/s", "mean absolute change of pitch between neighbouring voiced frames"),
    ):
        needs = "two or more voiced frames" if "sd" in name or "slope" in name or "change" in name else voiced
        yield Column(name, unit, meaning, needs, pitch, TWO_PASS)
    yield Column(
        "pitch_range_adapted",
        "",
        "1: pitch range fitted to the speaker; 0: fewer than 10 voiced frames, 75-600 Hz kept",
        "always a number",
        pitch,
        TWO_PASS,
    )
    for key, praat in JITTER.items():
        name, unit = ("jitter_local_absolute_s", "s") if key == "local_absolute" else (f"jitter_{key}", "")
        yield Column(
            name,
            unit,
            f"jitter ({praat}): how much consecutive periods differ",
            "enough consecutive glottal pulses: 3 (local, absolute), 4 (rap, ddp), 6 (ppq5)",
            f"Praat Get jitter ({praat})",
            MDVP,
        )
    for key, praat in SHIMMER.items():
        yield Column(
            f"shimmer_{key}",
            "dB" if key == "local_db" else "",
            f"shimmer ({praat}): how much the peaks of consecutive periods differ",
            "enough consecutive glottal pulses: 3 (local), 4 (apq3, dda), 6 (apq5), 12 (apq11)",
            f"Praat Get shimmer ({praat})",
            MDVP,
        )
    yield Column("hnr_db", "dB", "harmonics-to-noise ratio", voiced, "Praat To Harmonicity (cc)", BOERSMA)
    yield Column("cpps_db", "dB", "smoothed cepstral peak prominence", voiced, "Praat Get CPPS", MARYN)
    for number in (1, 2, 3, 4):
        for name, meaning in (
            ("median_hz", "median frequency"),
            ("sd_hz", "standard deviation"),
            ("bandwidth_hz", "median bandwidth"),
        ):
            yield Column(
                f"f{number}_{name}",
                "Hz",
                f"{meaning} of formant {number} in voiced frames",
                "voiced frames in which this formant was found"
                + ("; a source of more than 11 kHz" if number == 4 else ""),
                "Praat To Formant (burg)",
                "Childers DG. Modern spectrum analysis. IEEE Press 1978",
            )
    loudness = "Praat To Intensity"
    yield Column("intensity_sd_db", "dB", "standard deviation of the level while sounding", "sounding frames",
                 loudness, "Boersma P, Weenink D. Praat: doing phonetics by computer")  # fmt: skip
    yield Column("intensity_range_db", "dB", "5th to 95th percentile of the level while sounding",
                 "sounding frames", loudness, "Boersma P, Weenink D. Praat: doing phonetics by computer")  # fmt: skip
    always = "always a number: 0 means none"
    yield Column("voiced_fraction", "", "share of frames that are voiced", always, pitch, BOERSMA)
    yield Column(
        "voiced_sounding_fraction", "", "share of sounding frames that are voiced", "sounding frames", pitch,
        BOERSMA,
    )  # fmt: skip
    breaks = "Praat pulses more than 1.25 / pitch floor apart"
    yield Column("voice_breaks_per_s", "1/s", "voice breaks a second (in connected speech also voiceless "
                 "sounds and pauses)", always, breaks, BOERSMA)  # fmt: skip
    yield Column("voice_breaks_degree", "", "share of the recording inside voice breaks", always, breaks,
                 BOERSMA)  # fmt: skip
    pauses = "Praat To TextGrid (silences), -25 dB, pauses of at least 0.3 s"
    wide = "at least 25 dB between loudest and softest part, else pauses cannot be told from sound"
    for name, unit, meaning, needs in (
        ("pause_count", "", "pauses between sounding stretches", wide),
        ("pause_rate_per_min", "1/min", "pauses a minute", wide),
        ("pause_mean_s", "s", "mean pause", "a pause"),
        ("pause_sd_s", "s", "standard deviation of pauses", "two pauses"),
        ("pause_longest_s", "s", "longest pause", "a pause"),
        ("pause_fraction", "", "share of pauses between the first and the last sound", wide),
        ("phonation_time_s", "s", "time sounding", wide),
    ):
        yield Column(name, unit, meaning, needs, pauses, DE_JONG)
    nuclei = "peaks of Praat intensity, voiced, 2 dB above the dip that follows"
    yield Column("syllable_count", "", "syllable nuclei", always, nuclei, DE_JONG)
    yield Column("speech_rate_per_s", "1/s", "syllable nuclei over duration", always, nuclei, DE_JONG)
    yield Column("articulation_rate_per_s", "1/s", "syllable nuclei over phonation time",
                 wide + "; a sounding stretch", nuclei, DE_JONG)  # fmt: skip
    yield Column("syllable_mean_s", "s", "phonation time over syllable nuclei", wide + "; a syllable nucleus",
                 nuclei, DE_JONG)  # fmt: skip
    creak = "Praat To Pitch (ac) from 30 Hz, voicing threshold 0.35"
    yield Column("creak_proxy", "", "share of voiced frames below 0.6 of the median pitch (a proxy, no detector "
                 "of vocal fry)", voiced, creak, KEATING)  # fmt: skip
    yield Column("creak_low_fraction", "", "share of voiced frames below 70 Hz (biased towards low voices)",
                 voiced, creak, KEATING)  # fmt: skip
    yield Column("period_irregularity", "", "share of consecutive periods that differ by more than 1.2 times",
                 "three or more consecutive glottal pulses", "Praat To PointProcess (cc)", KEATING)  # fmt: skip


COLUMNS = tuple(_columns())


@dataclass(frozen=True)
class Voice(Family):
    """
    Praat's markers of voice and speech: pitch, jitter, shimmer, HNR, CPPS, formants, breaks, pauses, rate, creak.

    The pitch range is fitted to the speaker in two passes: a first one from 60 to 750 Hz, a second one from 0.75
    times its first to `ceiling_factor` times its third quartile, rounded to 10 Hz. With fewer than ten voiced frames
    75-600 Hz is kept (`pitch_range_adapted` is 0). What did not occur is NaN. Jitter and shimmer of connected speech
    are several times those of a sustained vowel: norms for vowels do not apply. Levels are relative: no microphone
    here is calibrated. A pause reads some 50 ms short, since in Praat's intensity sound reaches 32 ms into it. Praat
    and parselmouth are under the GPL, version 3.

    Parameters
    ----------
    ceiling_factor : float
        Pitch ceiling over the third quartile of the first pass: 1.5, or 2.5 for very expressive speech.
    formant_ceiling_hz : float
        Where the formant analysis ends: 5500 Hz, or 5000 Hz for a low voice. Sources below 11 kHz get four formants
        up to 3800 Hz, and the fourth is NaN.

    References
    ----------
    Boersma P, Weenink D. Praat: doing phonetics by computer. https://praat.org
    Jadoul Y, Thompson B, de Boer B. Introducing Parselmouth. J Phon 2018;71:1-15. doi:10.1016/j.wocn.2018.07.001
    De Looze C, Hirst D. Speech Prosody 2008 (pitch range).
    de Jong NH, Wempe T. Behav Res Methods 2009;41:385-390 (pauses, syllables).

    Examples
    --------
    >>> from vocalbio import Voice
    >>> Voice().names[:3]
    ('f0_mean_hz', 'f0_median_hz', 'f0_sd_hz')
    """

    ceiling_factor: float = 1.5
    formant_ceiling_hz: float = 5500.0

    name: ClassVar[str] = "voice"
    measures_timing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1.0 < self.ceiling_factor <= 5.0:
            raise ParameterError(f"ceiling_factor is {self.ceiling_factor!r}; expected 1.5 (or 2.5 if expressive)")
        if not 3000.0 <= self.formant_ceiling_hz <= SAMPLING_RATE_HZ / 2:
            raise ParameterError(
                f"formant_ceiling_hz is {self.formant_ceiling_hz!r}; expected 3000 to 8000, such as 5500"
            )

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each marker is, and what must have occurred for it to be a number."""
        return COLUMNS

    def extract(self, recording: Recording) -> Measured:
        """Markers of shape (n_features,); NaN for what did not occur."""
        analysis = _Analysis(recording, self)
        values: dict[str, float] = {}
        for measure in (_pitch, _pulses, _noise, _formants, _level, _breaks, _pauses, _creak):
            values |= measure(analysis)
        return Measured(np.array([values[column.name] for column in COLUMNS]), tuple(analysis.reasons))

    def frames(self, recording: Recording) -> Frames:
        """F0 (NaN where unvoiced), level and the first three formants every 10 ms."""
        analysis = _Analysis(recording, self)
        times_s = analysis.pitch.xs()
        f0 = np.where(analysis.is_voiced, analysis.frequency, np.nan)
        level = analysis.intensity
        level_db = np.interp(times_s, level.xs(), level.values[0])
        formants = [[analysis.formant.get_value_at_time(number, time) for time in times_s] for number in (1, 2, 3)]
        values = np.column_stack([f0, level_db, *np.array(formants)])
        return Frames(values, times_s, ("f0_hz", "intensity_db", "f1_hz", "f2_hz", "f3_hz"))

    def versions(self) -> dict[str, str]:
        """The Praat that computes the numbers."""
        with required_for("the voice family", "praat-parselmouth"):
            import parselmouth
        return {"parselmouth": parselmouth.__version__, "praat": parselmouth.PRAAT_VERSION}


class _Analysis:
    """Praat's objects for one recording, each made once and only when a measure asks for it."""

    def __init__(self, recording: Recording, settings: Voice) -> None:
        with required_for("the voice family", "praat-parselmouth"):
            import parselmouth
            from parselmouth.praat import call
        self.call: Callable[..., Any] = call
        self.praat_error: type[Exception] = parselmouth.PraatError
        self.recording = recording
        self.settings = settings
        self.reasons: list[str] = []
        samples = recording.samples.astype(np.float64)
        self.sound = parselmouth.Sound(samples - samples.mean(), SAMPLING_RATE_HZ)
        self.floor_hz, self.ceiling_hz, self.adapted = self._range()
        if not self.is_voiced.any():
            self.reasons.append("no voiced frames by Praat: pitch, jitter, shimmer, HNR, CPPS and formants are NaN")

    def to_pitch(
        self, floor_hz: float, ceiling_hz: float, voicing: float = 0.45, step_s: float = STEP_S
    ) -> parselmouth.Pitch:
        return self.call(
            self.sound,
            "To Pitch (ac)",
            step_s,
            floor_hz,
            15,
            "no",
            0.03,
            voicing,
            0.01,
            0.35,
            0.14,
            ceiling_hz,
        )

    def _range(self) -> tuple[float, float, bool]:
        frequency = self.to_pitch(*FIRST_PASS_HZ).selected_array["frequency"]
        voiced = frequency[frequency > 0]
        if len(voiced) < FEWEST_VOICED_FRAMES:
            return (*DEFAULT_RANGE_HZ, False)
        lower, upper = np.quantile(voiced, [0.25, 0.75])
        floor = 10 * math.floor(0.75 * lower / 10 + 0.5)
        ceiling = 10 * math.floor(self.settings.ceiling_factor * upper / 10 + 0.5)
        return float(floor), float(min(ceiling, SAMPLING_RATE_HZ / 2)), True

    @cached_property
    def pitch(self) -> parselmouth.Pitch:
        return self.to_pitch(self.floor_hz, self.ceiling_hz)

    @cached_property
    def frequency(self) -> NDArray[np.float64]:
        return self.pitch.selected_array["frequency"]

    @cached_property
    def is_voiced(self) -> NDArray[np.bool_]:
        return self.frequency > 0

    @cached_property
    def pulses(self) -> Any:
        return self.call([self.sound, self.pitch], "To PointProcess (cc)")

    @cached_property
    def pulse_times_s(self) -> NDArray[np.float64]:
        if self.call(self.pulses, "Get number of points") == 0:
            return np.empty(0)  # Praat refuses to convert an empty PointProcess
        return np.sort(self.call(self.pulses, "To Matrix").values[0])

    @cached_property
    def intensity(self) -> parselmouth.Intensity:
        return self.sound.to_intensity(50.0, 0.016, True)

    @cached_property
    def sounding_s(self) -> NDArray[np.float64]:
        return sounding_intervals(self.sound, self.intensity)

    @cached_property
    def dynamic_range_db(self) -> float:
        loudest = self.call(self.intensity, "Get quantile", 0, 0, 0.99)
        return loudest - self.call(self.intensity, "Get minimum", 0, 0, "parabolic")

    @cached_property
    def formant(self) -> parselmouth.Formant:
        narrow = self.recording.source_rate_hz < 2 * self.settings.formant_ceiling_hz
        number, ceiling = (4, 3800.0) if narrow else (5, self.settings.formant_ceiling_hz)
        return self.call(self.sound, "To Formant (burg)", STEP_S, number, ceiling, 0.025, 50)

    def is_sounding(self, times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        if not len(self.sounding_s):
            return np.zeros(len(times_s), bool)
        place = np.searchsorted(self.sounding_s[:, 0], times_s, side="right") - 1
        return (place >= 0) & (times_s < self.sounding_s[np.maximum(place, 0), 1])

    @contextmanager
    def or_nan(self, what: str) -> Iterator[None]:
        """Praat refuses some signals; then the number stays NaN and the reason is kept."""
        try:
            yield
        except self.praat_error as error:
            self.reasons.append(f"{what} is NaN: Praat says {str(error).strip().splitlines()[0]}")


def _pitch(analysis: _Analysis) -> dict[str, float]:
    names = [c.name for c in COLUMNS if c.name.startswith("f0_")]
    values = dict.fromkeys(names, math.nan)
    values["pitch_range_adapted"] = float(analysis.adapted)
    f0 = analysis.frequency[analysis.is_voiced]
    if not len(f0):
        return values
    median = float(np.median(f0))
    semitones = 12 * np.log2(f0 / median)
    low, high = np.quantile(f0, [0.05, 0.95])
    values |= {
        "f0_mean_hz": float(f0.mean()),
        "f0_median_hz": median,
        "f0_p5_hz": float(low),
        "f0_p95_hz": float(high),
        "f0_range_st": float(12 * np.log2(high / low)),
    }
    if len(f0) > 1:
        times = analysis.pitch.xs()[analysis.is_voiced]
        values["f0_sd_hz"] = float(f0.std(ddof=1))
        values["f0_sd_st"] = float(semitones.std(ddof=1))
        values["f0_slope_st_per_s"] = float(np.polyfit(times - times.mean(), semitones, 1)[0])
        neighbours = np.diff(times) < 1.5 * STEP_S
        if neighbours.any():
            values["f0_change_st_per_s"] = float(np.abs(np.diff(semitones)[neighbours]).mean() / STEP_S)
    return values


def _pulses(analysis: _Analysis) -> dict[str, float]:
    common = (0, 0, SHORTEST_PERIOD_S, LONGEST_PERIOD_S, LARGEST_FACTOR)
    values = {}
    for key, praat in JITTER.items():
        name = "jitter_local_absolute_s" if key == "local_absolute" else f"jitter_{key}"
        values[name] = analysis.call(analysis.pulses, f"Get jitter ({praat})", *common)
    both = [analysis.sound, analysis.pulses]
    for key, praat in SHIMMER.items():
        values[f"shimmer_{key}"] = analysis.call(both, f"Get shimmer ({praat})", *common, LARGEST_AMPLITUDE_FACTOR)
    return values


def _noise(analysis: _Analysis) -> dict[str, float]:
    values = {"hnr_db": math.nan, "cpps_db": math.nan}
    if not analysis.is_voiced.any():
        return values  # Praat gives -5.8 dB for noise and 0 or 2.5 dB of CPPS: no voice, no number
    call, sound = analysis.call, analysis.sound
    with analysis.or_nan("hnr_db"):
        harmonicity = call(sound, "To Harmonicity (cc)", STEP_S, analysis.floor_hz, 0.1, 1.0)
        values["hnr_db"] = call(harmonicity, "Get mean", 0, 0)
    with analysis.or_nan("cpps_db"):
        # every 10 ms, smoothed over 20 ms: within 0.25 dB of the published settings at a quarter of the time
        cepstrogram = call(sound, "To PowerCepstrogram", 60, STEP_S, 5000, 50)
        values["cpps_db"] = call(cepstrogram, "Get CPPS", "no", 0.02, 0.0005, 60, 330, 0.05, "Parabolic", 0.001,
                                 0, "Straight", "Robust")  # fmt: skip
    return values


def _formants(analysis: _Analysis) -> dict[str, float]:
    values = {c.name: math.nan for c in COLUMNS if c.name[0] == "f" and c.name[1] in "1234"}
    times = analysis.pitch.xs()[analysis.is_voiced]
    if not len(times):
        return values
    # below 11 kHz the fourth formant has no room
    numbers = (
        (1, 2, 3) if analysis.recording.source_rate_hz < 2 * analysis.settings.formant_ceiling_hz else (1, 2, 3, 4)
    )
    for number in numbers:
        frequency = np.array([analysis.formant.get_value_at_time(number, time) for time in times])
        bandwidth = np.array([analysis.formant.get_bandwidth_at_time(number, time) for time in times])
        found = np.isfinite(frequency)
        if found.any():
            values[f"f{number}_median_hz"] = float(np.median(frequency[found]))
            values[f"f{number}_bandwidth_hz"] = float(np.median(bandwidth[found]))
        if found.sum() > 1:
            values[f"f{number}_sd_hz"] = float(frequency[found].std(ddof=1))
    return values


def _level(analysis: _Analysis) -> dict[str, float]:
    level_db = analysis.intensity.values[0][analysis.is_sounding(analysis.intensity.xs())]
    if len(level_db) < 2:
        return {"intensity_sd_db": math.nan, "intensity_range_db": math.nan}
    low, high = np.quantile(level_db, [0.05, 0.95])
    return {"intensity_sd_db": float(level_db.std(ddof=1)), "intensity_range_db": float(high - low)}


def _breaks(analysis: _Analysis) -> dict[str, float]:
    duration_s = analysis.sound.xmax
    # as Praat's voice report counts: a lone pulse does not end a break, and the last gap is not looked at
    gaps = np.diff(analysis.pulse_times_s)[:-1]
    is_break = gaps > 1.25 / analysis.floor_hz
    n_breaks = int(np.sum(np.diff(is_break, prepend=False) & is_break))
    sounding = analysis.is_sounding(analysis.pitch.xs())
    return {
        "voiced_fraction": float(analysis.is_voiced.mean()),
        "voiced_sounding_fraction": float(analysis.is_voiced[sounding].mean()) if sounding.any() else math.nan,
        "voice_breaks_per_s": n_breaks / duration_s,
        "voice_breaks_degree": float(gaps[is_break].sum()) / duration_s,
    }


def _pauses(analysis: _Analysis) -> dict[str, float]:
    duration_s = analysis.sound.xmax
    syllables = _count_syllables(analysis)
    values = {c.name: math.nan for c in COLUMNS if c.name.startswith("pause_")}
    values |= {
        "phonation_time_s": math.nan,
        "syllable_count": float(syllables),
        "speech_rate_per_s": syllables / duration_s,
        "articulation_rate_per_s": math.nan,
        "syllable_mean_s": math.nan,
    }
    if analysis.dynamic_range_db < LEAST_DYNAMIC_RANGE_DB:
        analysis.reasons.append(
            f"pauses are NaN: loudest and softest part differ by {analysis.dynamic_range_db:.0f} dB, and below "
            f"{LEAST_DYNAMIC_RANGE_DB:.0f} dB a pause cannot be told from sound"
        )
        return values
    intervals = analysis.sounding_s
    lengths = intervals[1:, 0] - intervals[:-1, 1]
    phonation_s = float(np.sum(intervals[:, 1] - intervals[:, 0]))
    values["pause_count"] = float(len(lengths))
    values["pause_rate_per_min"] = 60 * len(lengths) / duration_s
    values["phonation_time_s"] = phonation_s
    if len(intervals):
        values["pause_fraction"] = float(lengths.sum()) / float(intervals[-1, 1] - intervals[0, 0])
        values["articulation_rate_per_s"] = syllables / phonation_s
    if len(lengths):
        values["pause_mean_s"] = float(lengths.mean())
        values["pause_longest_s"] = float(lengths.max())
    if len(lengths) > 1:
        values["pause_sd_s"] = float(lengths.std(ddof=1))
    if syllables:
        values["syllable_mean_s"] = phonation_s / syllables
    return values


def _count_syllables(analysis: _Analysis) -> int:
    """Peaks of intensity above the threshold, followed by a dip of 2 dB, voiced and sounding."""
    call, intensity = analysis.call, analysis.intensity
    loudest = call(intensity, "Get quantile", 0, 0, 0.99)
    threshold = max(loudest - 25, call(intensity, "Get minimum", 0, 0, "parabolic"))
    level, times = intensity.values[0], intensity.xs()
    rising = np.diff(level) > 0
    peaks = np.flatnonzero(rising[:-1] & ~rising[1:]) + 1
    peaks = peaks[level[peaks] > threshold]
    if not len(peaks):
        return 0
    kept = []
    for peak, following in zip(peaks, [*peaks[1:], len(level) - 1], strict=True):
        if level[peak] - level[peak : following + 1].min() > 2:
            kept.append(peak)
    nuclei_s = times[np.array(kept, int)]
    nuclei_s = nuclei_s[analysis.is_sounding(nuclei_s)]
    pitch = analysis.call(analysis.sound, "To Pitch (ac)", 0.02, 30, 4, "no", 0.03, 0.25, 0.01, 0.35, 0.25, 450)
    return sum(not math.isnan(pitch.get_value_at_time(time)) for time in nuclei_s)


def _creak(analysis: _Analysis) -> dict[str, float]:
    frequency = analysis.to_pitch(30.0, analysis.ceiling_hz, voicing=0.35).selected_array["frequency"]
    voiced = frequency[frequency > 0]
    values = {"creak_proxy": math.nan, "creak_low_fraction": math.nan, "period_irregularity": math.nan}
    if len(voiced) and analysis.is_voiced.any():
        median = np.median(analysis.frequency[analysis.is_voiced])
        values["creak_proxy"] = float(np.mean(voiced < 0.6 * median))
        values["creak_low_fraction"] = float(np.mean(voiced < 70))
    periods = np.diff(analysis.pulse_times_s)
    within = periods <= LONGEST_PERIOD_S
    pairs = within[1:] & within[:-1]
    if pairs.any():
        ratio = periods[1:][pairs] / periods[:-1][pairs]
        values["period_irregularity"] = float(np.mean(np.maximum(ratio, 1 / ratio) > 1.2))
    return values
