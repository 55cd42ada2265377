"""The voice family against Praat called directly, against formulas, and against a published table."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import parselmouth
import pytest
from numpy.typing import NDArray
from parselmouth.praat import call
from scipy.signal import lfilter
from scipy.stats import spearmanr

import vocalbio as vb
from vocalbio import ParameterError, Recording, Voice, extract_features, extract_frames, load_audio

RATE = 16_000
ODD = ("03-01-06-02-02-01-04", "03-01-05-01-02-01-06", "03-01-08-01-02-01-06")
NEEDS_A_VOICE = re.compile(r"f0_|jitter_|shimmer_|hnr_|cpps_|f[1-4]_|creak_|period_")


def voice(source: Recording | Path, family: Voice | None = None) -> dict[str, float]:
    row = extract_features(source, [family or Voice()]).filter(like="voice__").iloc[0]
    return row.rename(lambda name: name.removeprefix("voice__")).to_dict()


def signs(count: int) -> NDArray[np.float64]:
    """+1 and -1 at random: had they alternated, two periods would be one period of a voice an octave down."""
    return np.random.default_rng(11).choice([-1.0, 1.0], count)


def pulses(
    duration_s: float = 3.0, period_s: float = 0.008, jitter: float = 0.0, shimmer: float = 0.0
) -> NDArray[np.float64]:
    """A voice by formula: a damped wave a period; periods are T (1 +- jitter), amplitudes A (1 +- shimmer)."""
    sign = signs(math.ceil(duration_s / period_s))
    starts_s = np.cumsum(period_s * (1 + jitter * sign))
    time_s = np.arange(round(duration_s * RATE)) / RATE
    samples = np.zeros(len(time_s))
    for start_s, amplitude in zip(starts_s, 0.3 * (1 + shimmer * sign), strict=True):
        here = slice(math.ceil(start_s * RATE), math.ceil((start_s + 0.03) * RATE))
        since_s = time_s[here] - start_s
        samples[here] += amplitude * np.exp(-np.pi * 300 * since_s) * np.sin(2 * np.pi * 700 * since_s)
    return samples


def made_up(**settings: float) -> dict[str, float]:
    return voice(Recording(pulses(**settings), RATE))


def perturbation(values: NDArray[np.float64], width: int) -> float:
    """By definition: mean distance of a value from the mean of the `width` around it, over the mean of all."""
    around = np.convolve(values, np.ones(width) / width, "valid")
    return float(np.abs(values[width // 2 : len(values) - width // 2] - around).mean() / values.mean())


# --- Praat called directly ---------------------------------------------------------------------------------------


def by_praat(recording: Recording) -> dict[str, float]:
    """The calls of Praat's manual and of the papers, written down once more."""
    x = np.clip(recording.samples, -1, 32767 / 32768).astype(float)
    sound = parselmouth.Sound(x - x.mean(), RATE)
    duration_s = call(sound, "Get total duration")

    def to_pitch(floor: float, ceiling: float, voicing: float = 0.45) -> parselmouth.Pitch:
        return call(sound, "To Pitch (ac)", 0.01, floor, 15, "no", 0.03, voicing, 0.01, 0.35, 0.14, ceiling)

    first = to_pitch(60, 750).selected_array["frequency"]
    q1, q3 = np.percentile(first[first > 0], [25, 75])
    floor, ceiling = max(40, 10 * round(0.075 * q1)), 10 * round(0.15 * q3)
    pitch = to_pitch(floor, ceiling)
    track = pitch.selected_array["frequency"]
    f0, times = track[track > 0], pitch.xs()[track > 0]
    st = 12 * np.log2(f0 / np.median(f0))
    steps = [abs(b - a) for a, b, s, t in zip(st, st[1:], times, times[1:], strict=False) if round((t - s) / 0.01) == 1]
    values = {
        "f0_mean_hz": call(pitch, "Get mean", 0, 0, "Hertz"),
        "f0_median_hz": call(pitch, "Get quantile", 0, 0, 0.5, "Hertz"),
        "f0_sd_hz": call(pitch, "Get standard deviation", 0, 0, "Hertz"),
        "f0_p5_hz": np.percentile(f0, 5),
        "f0_p95_hz": np.percentile(f0, 95),
        "f0_sd_st": call(pitch, "Get standard deviation", 0, 0, "semitones"),
        "f0_range_st": 12 * math.log2(np.percentile(f0, 95) / np.percentile(f0, 5)),
        "f0_slope_st_per_s": np.cov(times, st)[0, 1] / np.var(times, ddof=1),
        "f0_change_st_per_s": sum(steps) / len(steps) / 0.01,
        "pitch_range_adapted": 1,
        "voiced_fraction": call(pitch, "Count voiced frames") / call(pitch, "Get number of frames"),
    }

    points = call([sound, pitch], "To PointProcess (cc)")
    longest = max(0.02, 1 / floor)
    for name in ("local", "local, absolute", "rap", "ppq5", "ddp"):
        key = "local_absolute_s" if "abs" in name else name
        values[f"jitter_{key}"] = call(points, f"Get jitter ({name})", 0, 0, 0.0001, longest, 1.3)
    for name in ("local", "local_dB", "apq3", "apq5", "apq11", "dda"):
        values[f"shimmer_{name.lower()}"] = call(
            [sound, points], f"Get shimmer ({name})", 0, 0, 0.0001, longest, 1.3, 1.6
        )
    harmonicity = call(sound, "To Harmonicity (cc)", 0.01, floor, 0.1, 1.0)
    values["hnr_db"] = call(harmonicity, "Get mean", 0, 0)
    cepstrogram = call(sound, "To PowerCepstrogram", 60, 0.01, 5000, 50)
    fit = ("Parabolic", 0.001, 0, "Straight", "Robust")
    values["cpps_db"] = call(cepstrogram, "Get CPPS", "no", 0.02, 0.0005, 60, 330, 0.05, *fit)

    formant = call(sound, "To Formant (burg)", 0.01, 5, 5500, 0.025, 50)
    for n in (1, 2, 3, 4):
        centre = [call(formant, "Get value at time", n, t, "hertz", "Linear") for t in times]
        width = [call(formant, "Get bandwidth at time", n, t, "hertz", "Linear") for t in times]
        values[f"f{n}_median_hz"] = np.nanmedian(centre)
        values[f"f{n}_sd_hz"] = np.nanstd(centre, ddof=1)
        values[f"f{n}_bandwidth_hz"] = np.nanmedian(width)

    # de Jong & Wempe's script
    intensity = call(sound, "To Intensity", 50, 0.016, "yes")
    q99 = call(intensity, "Get quantile", 0, 0, 0.99)
    highest = call(intensity, "Get maximum", 0, 0, "Parabolic")
    lowest = call(intensity, "Get minimum", 0, 0, "Parabolic")
    grid = call(intensity, "To TextGrid (silences)", -25 - (highest - q99), 0.3, 0.1, "silent", "sounding")
    intervals = [
        (call(grid, "Get start time of interval", 1, n), call(grid, "Get end time of interval", 1, n))
        for n in range(1, call(grid, "Get number of intervals", 1) + 1)
        if call(grid, "Get label of interval", 1, n) == "sounding"
    ]
    pauses = [b[0] - a[1] for a, b in pairwise(intervals)]
    phonation = sum(end - start for start, end in intervals)

    def sounding(t: float) -> bool:
        return any(start <= t < end for start, end in intervals)

    levels = [call(intensity, "Get value in frame", n + 1) for n in range(intensity.n_frames)]
    loud = [level for level, t in zip(levels, intensity.xs(), strict=True) if sounding(t)]
    peaks = [n for n in range(1, len(levels) - 1) if levels[n - 1] < levels[n] >= levels[n + 1]]
    peaks = [n for n in peaks if levels[n] > max(q99 - 25, lowest)]
    voicing = call(sound, "To Pitch (ac)", 0.02, 30, 4, "no", 0.03, 0.25, 0.01, 0.35, 0.25, 450)
    syllables = 0
    for peak, following in zip(peaks, [*peaks[1:], len(levels) - 1], strict=True):
        t = intensity.xs()[peak]
        dip = levels[peak] - min(levels[peak : following + 1])
        syllables += (
            dip > 2 and sounding(t) and not math.isnan(call(voicing, "Get value at time", t, "hertz", "linear"))
        )
    in_sound = np.array([sounding(t) for t in pitch.xs()])
    values |= {
        "intensity_sd_db": np.std(loud, ddof=1),
        "intensity_range_db": np.percentile(loud, 95) - np.percentile(loud, 5),
        "voiced_sounding_fraction": (track[in_sound] > 0).mean(),
        "syllable_count": syllables,
        "speech_rate_per_s": syllables / duration_s,
    }
    if q99 - lowest >= 25:
        values |= {
            "pause_count": len(pauses),
            "pause_rate_per_min": len(pauses) / duration_s * 60,
            "pause_mean_s": np.mean(pauses) if pauses else math.nan,
            "pause_sd_s": np.std(pauses, ddof=1) if len(pauses) > 1 else math.nan,
            "pause_longest_s": max(pauses, default=math.nan),
            "pause_fraction": sum(pauses) / (intervals[-1][1] - intervals[0][0]),
            "phonation_time_s": phonation,
            "articulation_rate_per_s": syllables / phonation,
            "syllable_mean_s": phonation / syllables if syllables else math.nan,
        }

    low = to_pitch(30, ceiling, voicing=0.35).selected_array["frequency"]
    values["creak_proxy"] = (low[low > 0] < 0.6 * np.median(f0)).mean()
    values["creak_low_fraction"] = (low[low > 0] < 70).mean()
    return values


def recordings(data: Path) -> list[Path]:
    speech = sorted(data.glob("ravdess/Actor_*/*.flac"))
    return [*speech[7::331][:3], data / "vowels" / "ALS_020_a.flac", data / "vowels" / "HC_129_i.flac"]


@pytest.mark.filterwarnings("ignore:The loudest and softest part")
def test_every_number_is_praats(data: Path) -> None:
    for path in recordings(data):
        recording = load_audio(path)
        got, truth = voice(path), by_praat(recording)
        pauses = [name for name in got if name.startswith("pause_") or "phonation" in name]
        missing = dict.fromkeys([*pauses, "articulation_rate_per_s", "syllable_mean_s"], math.nan)
        breaks = {"voice_breaks_per_s", "voice_breaks_degree", "period_irregularity"}  # tests of their own
        assert set(got) - breaks == set(missing | truth)
        for name, value in (missing | truth).items():
            assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), (path.name, name)


def test_voice_breaks_agree_with_praats_voice_report(data: Path) -> None:
    from vocalbio.features.voice import _Analysis

    # a lone pulse within a break, and a break before the last pulse: Praat has its own way with both
    odd = [data / "ravdess" / f"Actor_{name[-2:]}" / f"{name}.flac" for name in ODD]
    for path in [*recordings(data), *odd]:
        recording = load_audio(path)
        praat = _Analysis(recording, Voice())
        objects = [praat.sound, praat.pitch, praat.pulses]
        report = call(objects, "Voice report", 0, 0, praat.floor_hz, praat.ceiling_hz, 1.3, 1.6, 0.03, 0.45)
        count = re.search(r"Number of voice breaks: (\d+)", report)
        degree = re.search(r"Degree of voice breaks: ([\d.]+)%?", report)
        assert count
        assert degree
        got = voice(path)
        assert got["voice_breaks_per_s"] * recording.duration_s == pytest.approx(int(count[1]))
        assert 100 * got["voice_breaks_degree"] == pytest.approx(float(degree[1]), abs=6e-4)


# --- formulas ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f0_hz", [70.0, 125.0, 210.0, 380.0])
def test_pitch_of_a_known_voice(f0_hz: float) -> None:
    got = made_up(period_s=1 / f0_hz)
    for name in ("f0_mean_hz", "f0_median_hz", "f0_p5_hz", "f0_p95_hz"):
        assert got[name] == pytest.approx(f0_hz, rel=0.005)
    assert got["f0_sd_st"] < 0.05
    assert got["pitch_range_adapted"] == 1
    assert got["jitter_local"] < 0.002
    assert got["shimmer_local"] < 0.02


def test_pitch_that_falls_by_two_semitones_a_second() -> None:
    time_s = np.arange(3 * RATE) / RATE
    f0 = 160 * 2 ** (-2 * time_s / 12)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    got = voice(Recording(0.1 * sum(np.sin(k * phase) / k for k in range(1, 30)), RATE))
    assert got["f0_slope_st_per_s"] == pytest.approx(-2, abs=0.03)
    assert got["f0_change_st_per_s"] == pytest.approx(2, abs=0.1)
    assert got["f0_range_st"] == pytest.approx(0.9 * 2 * 3, abs=0.2)


@pytest.mark.parametrize("jitter", [0.003, 0.006, 0.012])
def test_known_jitter(jitter: float) -> None:
    got = made_up(jitter=jitter)
    periods_s = 0.008 * (1 + jitter * signs(375))
    local = np.abs(np.diff(periods_s)).mean() / periods_s.mean()  # about `jitter`: every other step is of two
    assert got["jitter_local"] == pytest.approx(local, rel=0.05)
    assert got["jitter_local_absolute_s"] == pytest.approx(local * periods_s.mean(), rel=0.05)
    assert got["jitter_rap"] == pytest.approx(perturbation(periods_s, 3), rel=0.05)
    assert got["jitter_ppq5"] == pytest.approx(perturbation(periods_s, 5), rel=0.05)
    assert got["jitter_ddp"] == pytest.approx(3 * got["jitter_rap"])


@pytest.mark.parametrize("shimmer", [0.02, 0.05, 0.1])
def test_known_shimmer(shimmer: float) -> None:
    got = made_up(shimmer=shimmer)
    amplitudes = 1 + shimmer * signs(375)
    steps = np.abs(np.diff(amplitudes)).mean()
    assert got["shimmer_local"] == pytest.approx(steps / amplitudes.mean(), rel=0.05)
    assert got["shimmer_local_db"] == pytest.approx(20 * np.abs(np.diff(np.log10(amplitudes))).mean(), rel=0.05)
    for width in (3, 5, 11):
        assert got[f"shimmer_apq{width}"] == pytest.approx(perturbation(amplitudes, width), rel=0.05)
    assert got["shimmer_dda"] == pytest.approx(3 * got["shimmer_apq3"])


def test_irregular_periods_are_counted() -> None:
    assert made_up()["period_irregularity"] == 0
    assert made_up(jitter=0.02)["period_irregularity"] < 0.03  # 1.02 / 0.98 = 1.04, and 1.2 is the bound
    assert made_up(jitter=0.12)["period_irregularity"] > 0.2  # 1.12 / 0.88 = 1.27


def test_formants_of_known_resonances() -> None:
    samples = np.zeros(2 * RATE)
    samples[::128] = 0.01
    resonances_hz = (625.0, 1500.0, 2500.0, 3500.0, 4500.0)
    for frequency_hz in resonances_hz:
        pole = np.exp((-np.pi * 80 + 2j * np.pi * frequency_hz) / RATE)
        samples = lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], samples)
    got = voice(Recording(samples / np.abs(samples).max(), RATE))
    for number, frequency_hz in enumerate(resonances_hz[:4], start=1):
        assert got[f"f{number}_median_hz"] == pytest.approx(frequency_hz, rel=0.1)
        assert got[f"f{number}_bandwidth_hz"] == pytest.approx(80, abs=60)


@pytest.mark.parametrize("lengths_s", [(0.5,), (0.4, 0.7), (0.45, 0.6, 0.8, 1.0)])
def test_known_pauses(lengths_s: tuple[float, ...]) -> None:
    talk = pulses(0.8)
    parts = [talk]
    for length_s in lengths_s:
        parts += [np.zeros(round(length_s * RATE)), talk]
    samples = np.concatenate(parts)
    got = voice(Recording(samples, RATE))
    duration_s = len(samples) / RATE
    assert got["pause_count"] == len(lengths_s)
    assert got["pause_rate_per_min"] == pytest.approx(60 * len(lengths_s) / duration_s)
    # Praat's intensity looks 32 ms around, so that sound reaches into a pause at both ends
    reach_s = 0.05
    assert got["pause_mean_s"] == pytest.approx(np.mean(lengths_s) - reach_s, abs=0.03)
    assert got["pause_longest_s"] == pytest.approx(max(lengths_s) - reach_s, abs=0.03)
    assert got["pause_fraction"] == pytest.approx((sum(lengths_s) - reach_s * len(lengths_s)) / duration_s, abs=0.03)
    assert got["phonation_time_s"] == pytest.approx(duration_s - sum(lengths_s) + reach_s * len(lengths_s), abs=0.1)
    assert math.isnan(got["pause_sd_s"]) == (len(lengths_s) == 1)
    assert got["voice_breaks_per_s"] * duration_s == pytest.approx(len(lengths_s))


def test_known_syllables() -> None:
    """Ten swells of the voice a phrase, three phrases: thirty syllables."""
    swell = np.abs(np.sin(np.pi * np.arange(2 * RATE) / RATE * 5)) + 0.05
    phrase = pulses(2.0) * swell
    samples = np.concatenate([phrase, np.zeros(RATE // 2), phrase, np.zeros(RATE // 2), phrase])
    got = voice(Recording(samples, RATE))
    assert got["syllable_count"] == pytest.approx(30, abs=1)
    assert got["speech_rate_per_s"] == pytest.approx(30 / 7, abs=0.2)
    assert got["articulation_rate_per_s"] == pytest.approx(30 / 6, abs=0.4)


def test_pauses_in_noise_are_missing_with_the_reason() -> None:
    rng = np.random.default_rng(1)
    samples = np.concatenate([pulses(1.0), np.zeros(RATE), pulses(1.0)]) + 0.01 * rng.standard_normal(3 * RATE)
    X = extract_features(Recording(samples, RATE), "voice")
    pauses = X.filter(regex="voice__(pause_|phonation|articulation|syllable_mean)")
    assert pauses.shape[1] == 9
    assert pauses.isna().all(axis=None)
    assert X["voice__syllable_count"].item() >= 0
    assert "pauses are NaN" in vb.errors(X, partial=True).reason.item()


def test_a_third_of_low_voice_is_a_third_of_creak() -> None:
    samples = np.concatenate(
        [pulses(1.0, period_s=1 / 120), pulses(1.0, period_s=1 / 67), pulses(1.0, period_s=1 / 120)]
    )
    got = voice(Recording(samples, RATE))
    assert got["f0_median_hz"] == pytest.approx(120, rel=0.005)
    assert got["creak_proxy"] == pytest.approx(1 / 3, abs=0.03)  # 67 Hz is 0.56 of the median
    assert got["creak_low_fraction"] == pytest.approx(1 / 3, abs=0.03)
    slightly_low = np.concatenate([pulses(2.0, period_s=1 / 120), pulses(1.0, period_s=1 / 76)])
    assert voice(Recording(slightly_low, RATE))["creak_proxy"] < 0.03  # 76 Hz is 0.63 of it


# --- the pitch range ---------------------------------------------------------------------------------------------


def test_the_pitch_range_follows_the_quartiles_of_the_first_pass() -> None:
    from vocalbio.features.voice import _Analysis

    steady = Recording(pulses(period_s=1 / 127), RATE)
    low = _Analysis(steady, Voice())
    assert (low.floor_hz, low.ceiling_hz) == (
        100,
        190,
    )  # .75 * 127 = 95.25; 1.5 * 127 = 190.5, to the next ten
    assert _Analysis(steady, Voice(ceiling_factor=2.5)).ceiling_hz == 320
    assert _Analysis(Recording(pulses(period_s=1 / 62), RATE), Voice()).floor_hz == 50


def test_the_second_pass_removes_octave_errors() -> None:
    """A voice at 100 Hz, of which 75-600 Hz hears stretches two octaves up: only the fourth harmonic is left."""
    low = pulses(0.6, period_s=1 / 100)
    up = 0.25 * np.sin(2 * np.pi * 400 * np.arange(round(0.15 * RATE)) / RATE)
    samples = np.concatenate([low, up, low, up, low, up, low])
    x = parselmouth.Sound(samples - samples.mean(), RATE)
    fixed = x.to_pitch_ac(0.01, 75, pitch_ceiling=600).selected_array["frequency"]
    got = voice(Recording(samples, RATE))
    assert fixed[fixed > 0].std() > 80
    assert got["f0_sd_hz"] < 15
    assert got["f0_median_hz"] == pytest.approx(100, rel=0.005)


def test_too_little_voice_keeps_the_wide_range() -> None:
    samples = 1e-4 * np.random.default_rng(3).standard_normal(RATE)
    samples[8000:8800] += pulses(0.05)
    got = voice(Recording(samples, RATE))
    assert got["pitch_range_adapted"] == 0
    assert got["voiced_fraction"] < 0.1


# --- what changes nothing, and what is missing -------------------------------------------------------------------


def test_an_offset_changes_nothing(data: Path) -> None:
    recording = load_audio(recordings(data)[0])
    half = 0.5 * recording.samples.astype(float)
    plain, shifted = (voice(Recording(half + offset, RATE)) for offset in (0.0, 0.3))
    for name in plain:
        assert shifted[name] == pytest.approx(plain[name], rel=1e-9, abs=1e-12, nan_ok=True), name


def test_loudness_changes_nothing(data: Path) -> None:
    recording = load_audio(recordings(data)[1])
    loud, soft = (voice(Recording(recording.samples * gain, RATE)) for gain in (np.float32(1), np.float32(0.1)))
    for name in loud:
        assert soft[name] == pytest.approx(loud[name], rel=1e-6, abs=1e-9, nan_ok=True), name


def test_noise_has_no_voice() -> None:
    got = voice(Recording(0.05 * np.random.default_rng(5).standard_normal(3 * RATE), RATE))
    needing = [name for name in got if NEEDS_A_VOICE.match(name)]
    assert len(needing) == 9 + 5 + 6 + 2 + 12 + 3
    assert {name for name in needing if not math.isnan(got[name])} == set()
    assert got["pitch_range_adapted"] == got["voiced_fraction"] == got["voice_breaks_per_s"] == 0


def test_silence_has_counts_only() -> None:
    X = extract_features(Recording(np.zeros(2 * RATE), RATE), "voice")
    there = X.filter(like="voice__").iloc[0].dropna()
    assert (there == 0).all()
    assert set(there.index) == {
        f"voice__{name}"
        for name in (
            "pitch_range_adapted",
            "voiced_fraction",
            "voice_breaks_per_s",
            "voice_breaks_degree",
            "syllable_count",
            "speech_rate_per_s",
        )
    }
    assert X.quality__ok.item() == 0


def test_a_telephone_has_no_fourth_formant(data: Path) -> None:
    full = load_audio(recordings(data)[3])
    narrow = full.resample(8000)
    telephone = Recording(narrow.samples, 8000)
    wide_row, row = voice(full), voice(telephone)
    assert [name for name in row if name.startswith("f4") and math.isnan(row[name])] == [
        "f4_median_hz",
        "f4_sd_hz",
        "f4_bandwidth_hz",
    ]
    assert row["f1_median_hz"] == pytest.approx(wide_row["f1_median_hz"], rel=0.1)
    assert row["f0_median_hz"] == pytest.approx(wide_row["f0_median_hz"], rel=0.005)


def test_praat_survives_the_shortest_recordings() -> None:
    """Praat ends the whole process on two samples; a process of its own tells whether it was asked."""
    program = """
import numpy as np, vocalbio as vb
lengths = [1, 2, 3, 10, 100, 400, 800, 1599, 1601, 2047, 2049, 3000]
noise = np.random.default_rng(0).standard_normal(3000) * 0.1
X = vb.extract_features([vb.Recording(noise[:n], 16_000) for n in lengths], ["voice"])
assert X.filter(like="voice__").isna().all(axis=None) and (X.quality__ok == 0).all()
print(vb.errors(X).reason.iloc[0])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "at least 0.5 s are needed" in done.stdout


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"ceiling_factor": 1.0}, "ceiling_factor is 1.0; expected 1.5"),
        ({"ceiling_factor": 15}, "ceiling_factor is 15"),
        ({"formant_ceiling_hz": 9000}, "formant_ceiling_hz is 9000; expected 3000 to 8000"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        Voice(**settings)


def test_frames_over_time() -> None:
    samples = np.concatenate([np.zeros(RATE), pulses(1.0), np.zeros(RATE)])
    frames = extract_frames(Recording(samples, RATE), "voice")
    assert frames.names == ("f0_hz", "intensity_db", "f1_hz", "f2_hz", "f3_hz")
    voiced = np.isfinite(frames.values[:, 0])
    assert frames.times_s[voiced][0] == pytest.approx(1.0, abs=0.02)
    assert frames.times_s[voiced][-1] == pytest.approx(2.0, abs=0.02)
    assert np.median(frames.values[voiced, 0]) == pytest.approx(125, rel=0.005)


# --- a published table -------------------------------------------------------------------------------------------


def test_jitter_and_shimmer_rank_vowels_as_published(data: Path) -> None:
    """Another laboratory's software on the same recordings: Vashkevich & Rushkevich 2021, arXiv 2012.07347."""
    published = pd.read_csv(data / "vowels" / "reference_features.csv").set_index(["ALS", "ID"])
    rows = []
    for file in sorted((data / "vowels").glob("*.flac")):
        group, number, vowel = file.stem.split("_")
        there = published.loc[(int(group == "ALS"), int(number))]
        recording = load_audio(file)
        measured = Voice().extract(recording.cut(0, min(3.0, recording.duration_s)))
        got = dict(zip(Voice().names, measured.values, strict=True))
        rows.append([there[f"J1_{vowel}"], got["jitter_local"], there[f"S1_{vowel}"], got["shimmer_local"]])
    table = np.array(rows)
    assert len(table) == 66
    assert spearmanr(table[:, 0], table[:, 1]).statistic >= 0.95
    assert spearmanr(table[:, 2], table[:, 3]).statistic >= 0.92
