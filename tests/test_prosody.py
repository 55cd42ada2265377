"""The prosody family against openSMILE itself, and against what is known to have occurred."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import opensmile
import pandas as pd
import pytest
from numpy.typing import NDArray

from vocalbio import (
    ParameterError,
    Prosody,
    Recording,
    describe_columns,
    extract_features,
    extract_frames,
    load_audio,
)
from vocalbio.features.prosody import OCCURRENCE, occurrence

RATE = 16_000
LARGEST = 32767 / 32768


@cache
def smile(feature_set: str = "eGeMAPSv02") -> opensmile.Smile:
    return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)


def by_opensmile(samples: NDArray[np.float32], feature_set: str = "eGeMAPSv02") -> pd.Series:
    return smile(feature_set).process_signal(samples.astype(np.float32), RATE).iloc[0].astype(float)


def prosody(samples: NDArray[np.float64], feature_set: str = "eGeMAPSv02") -> pd.Series:
    row = extract_features(Recording(samples, RATE), [Prosody(feature_set)]).iloc[0]
    row = row[row.index.str.startswith("prosody__")]
    return row.rename(lambda name: name.removeprefix("prosody__"))


def assert_opensmile_or_nan(row: pd.Series, reference: pd.Series) -> None:
    assert list(row.index) == list(reference.index)
    there = row.notna()
    np.testing.assert_allclose(row[there], reference[there], rtol=1e-6)


def noise(duration_s: float = 2.0, level: float = 0.05) -> NDArray[np.float64]:
    return level * np.random.default_rng(7).standard_normal(round(duration_s * RATE))


def vowel(duration_s: float = 2.0, f0_hz: float = 117.0) -> NDArray[np.float64]:
    """Forty harmonics that fall by 6 dB an octave, under a slow tremor."""
    phase = 2 * np.pi * f0_hz * np.arange(round(duration_s * RATE)) / RATE
    phase += 1.5 * np.sin(phase / 20)
    return 0.2 * sum(np.sin(k * phase) / k for k in range(1, 41))


def utterances(data: Path, count: int = 6) -> list[Path]:
    files = sorted(data.glob("ravdess/Actor_*/*.flac"))
    return files[:: len(files) // count][:count]


# --- openSMILE's own numbers -----------------------------------------------------------------------------------


def test_every_number_of_speech_is_opensmiles(data: Path) -> None:
    for file in utterances(data):
        row = extract_features(file, "prosody").filter(like="prosody__").iloc[0]
        row = row.rename(lambda name: name.removeprefix("prosody__"))
        reference = by_opensmile(np.clip(load_audio(file).samples, -1, LARGEST))
        assert_opensmile_or_nan(row, reference)
        missing = row.index[row.isna()]
        assert all(name.endswith("Slope") or name.startswith("Stddev") for name in missing), (file, missing)


@pytest.mark.parametrize(
    "samples",
    [noise(), vowel(), 0.3 * np.sin(0.05 * np.arange(20_000)), vowel(0.5), noise(61.0)],
    ids=["noise", "vowel", "tone", "half a second", "a minute"],
)
def test_every_number_of_a_made_up_sound_is_opensmiles(samples: NDArray[np.float64]) -> None:
    assert_opensmile_or_nan(prosody(samples), by_opensmile(samples))


def test_stereo_at_44_kHz_is_measured_as_its_mean_at_16_kHz(tmp_path: Path) -> None:
    import soundfile
    import soxr

    left, right = vowel(2 * 44.1 / 16, 117 * 16 / 44.1), noise(2 * 44.1 / 16, 0.01)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 44_100, subtype="FLOAT")
    recording = load_audio(tmp_path / "stereo.wav")
    mean = ((left + right) / 2).astype(np.float32)
    np.testing.assert_allclose(recording.samples, soxr.resample(mean, 44_100, RATE, quality="VHQ"), atol=1e-4)
    row = extract_features(tmp_path / "stereo.wav", "prosody").filter(like="prosody__").iloc[0]
    assert_opensmile_or_nan(row.rename(lambda name: name.removeprefix("prosody__")), by_opensmile(recording.samples))


def test_full_scale_does_not_wrap_around() -> None:
    loud = np.clip(1.3 * vowel() / np.abs(vowel()).max(), -1, 1)
    assert (loud == 1).sum() > 10
    assert_opensmile_or_nan(prosody(loud), by_opensmile(np.clip(loud, -1, LARGEST)))
    wrapped = by_opensmile(loud)["loudness_sma3_amean"]  # what openSMILE does with 1.0
    assert abs(prosody(loud)["loudness_sma3_amean"] / wrapped - 1) > 0.01


def test_gain_shifts_the_level_by_its_decibels_and_leaves_pitch() -> None:
    loud, soft = prosody(vowel()), prosody(vowel() / 10)
    assert loud["equivalentSoundLevel_dBp"] - soft["equivalentSoundLevel_dBp"] == pytest.approx(20, abs=0.01)
    pitch = "F0semitoneFrom27.5Hz_sma3nz_amean"
    assert soft[pitch] == pytest.approx(loud[pitch], abs=0.01)
    assert loud[pitch] == pytest.approx(12 * np.log2(117 / 27.5), abs=0.1)


# --- what must have occurred ------------------------------------------------------------------------------------


def test_every_functional_has_its_place_in_the_table_of_occurrence() -> None:
    names = list(smile().feature_names)
    table = describe_columns(["prosody"]).query("family == 'prosody'")
    assert list(table.index) == [f"prosody__{name}" for name in names]
    assert table.occurrence.tolist() == [OCCURRENCE[occurrence(name)] for name in names]
    assert Counter(map(occurrence, names)) == {
        "voiced": 53,
        "sound": 17,
        "unvoiced": 6,
        "voiced slopes": 4,
        "slopes": 4,
        "always": 2,
        "two voiced segments": 1,
        "two unvoiced segments": 1,
    }
    assert {name for name in names if occurrence(name) == "unvoiced"} == {
        "alphaRatioUV_sma3nz_amean",
        "hammarbergIndexUV_sma3nz_amean",
        "slopeUV0-500_sma3nz_amean",
        "slopeUV500-1500_sma3nz_amean",
        "spectralFluxUV_sma3nz_amean",
        "MeanUnvoicedSegmentLength",
    }


def test_units_and_meanings_are_told_for_every_gemaps_column() -> None:
    table = describe_columns(["prosody"])
    assert (table.meaning.str.len() > 10).sum() >= 88
    assert table.loc["prosody__F0semitoneFrom27.5Hz_sma3nz_amean", "unit"] == "st"
    assert table.loc["prosody__F0semitoneFrom27.5Hz_sma3nz_stddevNorm", "unit"] == ""
    assert table.loc["prosody__F2bandwidth_sma3nz_amean", "unit"] == "Hz"
    assert "unvoiced" in table.loc["prosody__slopeUV0-500_sma3nz_amean", "meaning"]
    assert "in voiced" in table.loc["prosody__slopeV0-500_sma3nz_amean", "meaning"]


def test_no_zero_stands_for_what_did_not_occur(data: Path) -> None:
    speech = load_audio(utterances(data)[0]).samples
    sounds = {"noise": noise(), "vowel": vowel(), "speech": speech, "silence": np.zeros(2 * RATE)}
    counts = [name for name in smile().feature_names if occurrence(name) == "always"]
    assert counts == ["loudnessPeaksPerSec", "VoicedSegmentsPerSec"]
    for sound, samples in sounds.items():
        row = prosody(samples)
        assert row[counts].notna().all(), sound
        suspicious = row[(row == 0) | np.isclose(row, -201, atol=0.1)].drop(counts, errors="ignore")
        assert suspicious.empty, (sound, suspicious)


def test_silence_has_no_prosody_but_its_counts() -> None:
    row = prosody(np.zeros(2 * RATE))
    assert row.dropna().to_dict() == {"loudnessPeaksPerSec": 0, "VoicedSegmentsPerSec": 0}


def test_noise_has_no_voice_and_a_vowel_no_unvoiced_part() -> None:
    groups = pd.Series({name: occurrence(name) for name in smile().feature_names})
    of_noise, of_vowel = prosody(noise()), prosody(vowel())
    assert of_noise[groups.str.contains("voiced") & ~groups.str.contains("unvoiced")].isna().all()
    assert of_noise[groups.isin(["sound", "unvoiced"])].notna().all()
    assert of_vowel[groups.str.contains("unvoiced")].isna().all()
    assert of_vowel[groups.isin(["sound", "voiced"])].notna().all()


def test_a_true_zero_stays_a_number() -> None:
    """A click in silence: four fifths of the frames have the same loudness, so the range of percentiles is 0."""
    click = np.zeros(2 * RATE)
    click[RATE] = 0.5
    assert prosody(click)["loudness_sma3_pctlrange0-2"] == 0 == by_opensmile(click)["loudness_sma3_pctlrange0-2"]


def test_reasons_name_what_is_missing() -> None:
    import vocalbio as vb

    X = extract_features([Recording(noise(), RATE), Recording(vowel(), RATE)], "prosody")
    first, second = vb.errors(X, partial=True).reason
    assert "no voiced frames" in first
    assert "no unvoiced segments" in second
    assert vb.errors(X).empty
    assert (X.quality__ok == 1).all()


# --- other sets of openSMILE ------------------------------------------------------------------------------------


@pytest.mark.parametrize("feature_set", ["ComParE_2016", "emobase", "IS09", "IS10", "IS11", "IS12", "GeMAPSv01b"])
def test_other_sets_tell_voice_from_none(feature_set: str, data: Path) -> None:
    speech = load_audio(utterances(data)[2]).samples
    of_speech, of_noise = prosody(speech, feature_set), prosody(noise(1.0), feature_set)
    assert_opensmile_or_nan(of_speech, by_opensmile(np.clip(speech, -1, LARGEST), feature_set))
    assert_opensmile_or_nan(of_noise, by_opensmile(noise(1.0), feature_set))
    assert of_speech.notna().mean() > 0.95

    names = of_noise.index
    voice = names.str.match("F0|jitter|shimmer|logHNR|HNR")
    counts = names.str.contains("duration$|nnz$|numOnsets$")  # lengths, shares and counts exist without a voice
    assert voice.sum() >= 16
    assert of_noise[voice & ~counts].isna().all()
    assert of_noise[counts].notna().all()
    assert of_noise[names.str.match("pcm|mfcc|loudness")].notna().mean() > 0.9


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"'eGeMAPS99'; expected one of .*eGeMAPSv02"):
        extract_features([], [Prosody("eGeMAPS99")])
    with pytest.raises(ParameterError, match="'eGeMAPS99'; expected one of"):
        extract_frames(Recording(noise(), RATE), Prosody("eGeMAPS99"))
    with pytest.raises(ParameterError, match="feature_set is 3; expected the name"):
        Prosody(3)  # type: ignore[arg-type]


# --- over time --------------------------------------------------------------------------------------------------


def test_frames_tell_when_there_is_a_voice() -> None:
    samples = 0.002 * noise(3.0)
    samples[RATE : 2 * RATE] += vowel(1.0)
    frames = extract_frames(Recording(samples, RATE), "prosody")
    assert len(frames.names) == 25
    assert frames.values.shape == ((3 * RATE - 960) // 160 + 2, 25)
    assert np.allclose(np.diff(frames.times_s), 0.01)

    pitch = frames.values[:, frames.names.index("F0semitoneFrom27.5Hz_sma3nz")]
    voiced_s = frames.times_s[np.isfinite(pitch)]
    assert voiced_s[0] == pytest.approx(1.0, abs=0.02)
    assert voiced_s[-1] == pytest.approx(2.0, abs=0.02)
    assert np.nanmedian(pitch) == pytest.approx(12 * np.log2(117 / 27.5), abs=0.1)

    unvoiced = np.isnan(pitch)
    for name, values in zip(frames.names, frames.values.T, strict=True):
        voice = name.startswith(("F0", "F1", "F2", "F3", "jitter", "shimmer", "HNR", "logRelF0"))
        assert np.isnan(values[unvoiced]).all() == voice, name
        assert np.isfinite(values[~unvoiced]).all(), name

    loud = frames.values[:, frames.names.index("Loudness_sma3")]
    edges_s = frames.times_s[np.flatnonzero(loud > loud.max() / 2)[[0, -1]]]
    np.testing.assert_allclose(edges_s, [1.02, 2.02], atol=0.02)  # the 20 ms that the docstring tells of


@pytest.mark.parametrize("feature_set", ["ComParE_2016", "emobase", "IS10"])
def test_frames_of_other_sets_have_no_pitch_where_opensmile_has_none(feature_set: str) -> None:
    samples = np.concatenate([noise(1.0, 0.01), vowel(1.0), noise(1.0, 0.01)]).astype(np.float32)
    frames = extract_frames(Recording(samples, RATE), Prosody(feature_set))
    level = opensmile.FeatureLevel.LowLevelDescriptors
    reference = opensmile.Smile(opensmile.FeatureSet[feature_set], level).process_signal(samples, RATE)
    assert list(frames.names) == list(reference.columns)
    voiced = reference.filter(regex="F0(final)?_sma$").iloc[:, 0].to_numpy() > 0
    assert 0.1 < voiced.mean() < 0.5
    assert not voiced[(frames.times_s < 0.9) | (frames.times_s > 2.1)].any()
    for name, values in zip(frames.names, frames.values.T, strict=True):
        there = voiced if name.startswith(("F0", "jitter", "shimmer", "logHNR")) else np.full(len(voiced), True)
        np.testing.assert_array_equal(values, np.where(there, reference[name], np.nan), name)
