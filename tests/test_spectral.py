"""The spectral family against librosa called directly, and against tones and noise of known spectrum."""

from __future__ import annotations

import librosa
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from vocalbio import ParameterError, Recording, Spectral, extract_features, extract_frames

RATE = 16_000


def spectral(samples: NDArray[np.float64], family: Spectral | None = None) -> pd.Series:
    row = extract_features(Recording(samples, RATE), [family or Spectral()]).filter(like="spectral__").iloc[0]
    return row.rename(lambda name: name.removeprefix("spectral__"))


def tone(frequency_hz: float, duration_s: float = 1.0) -> NDArray[np.float64]:
    return 0.1 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * RATE)) / RATE)


@pytest.mark.parametrize(("n_mfcc", "n_mels"), [(13, 40), (20, 64)])
def test_every_number_is_librosas(n_mfcc: int, n_mels: int, rng: np.random.Generator) -> None:
    samples = (0.05 * rng.standard_normal(2 * RATE) + tone(440, 2.0)).astype(np.float32)
    row = spectral(samples, Spectral(n_mfcc, n_mels))
    power = librosa.feature.melspectrogram(
        y=samples.astype(float),
        sr=RATE,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=False,
        n_mels=n_mels,
        fmin=20,
        fmax=8000,
    )
    level_db = 10 * np.log10(np.maximum(power, 1e-10))
    mfcc = librosa.feature.mfcc(S=level_db, n_mfcc=n_mfcc)
    for name, frames in (("mfcc", mfcc), ("logmel", level_db)):
        means = row[row.index.str.match(rf"{name}\d+_mean")]
        deviations = row[row.index.str.match(rf"{name}\d+_sd")]
        np.testing.assert_allclose(means, frames.mean(axis=1), rtol=1e-9)
        np.testing.assert_allclose(deviations, frames.std(axis=1, ddof=1), rtol=1e-9)
    assert len(row) == 2 * (n_mfcc + n_mels)


@pytest.mark.parametrize("frequency_hz", [200, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_its_own_mel_band(frequency_hz: float) -> None:
    means = spectral(tone(frequency_hz)).filter(regex=r"logmel\d+_mean")
    loudest = int(np.argmax(means))
    edges_hz = librosa.mel_frequencies(42, fmin=20, fmax=8000)  # a band lies between its neighbours' centres
    assert edges_hz[loudest] < frequency_hz < edges_hz[loudest + 2]


def test_ten_times_the_amplitude_is_twenty_decibels() -> None:
    soft, loud = spectral(tone(1000)), spectral(10 * tone(1000) * 0.99)
    rise_db = (loud - soft)[soft.index.str.match(r"logmel\d+_mean")]
    assert rise_db.max() == pytest.approx(20 + 20 * np.log10(0.99), abs=0.05)


def test_frames_lie_inside_the_recording(rng: np.random.Generator) -> None:
    for n_samples in (8000, 16_000, 16_159, 16_161):
        frames = extract_frames(Recording(0.1 * rng.standard_normal(n_samples), RATE), "spectral")
        n_frames = 1 + (n_samples - 512) // 160
        assert frames.values.shape == (n_frames, 53)
        assert frames.times_s[0] == 256 / RATE  # librosa centres the window of 400 samples in the 512 of its FFT
        np.testing.assert_allclose(np.diff(frames.times_s), 0.01)
        assert frames.times_s[-1] <= n_samples / RATE - 0.0125


def test_no_padding_leaks_into_the_edges(rng: np.random.Generator) -> None:
    values = extract_frames(Recording(0.1 * rng.standard_normal(5 * RATE), RATE), "spectral").values[:, 13:]
    level_db = values.mean(axis=1)
    spread_db = level_db[5:-5].std()
    for edge_db in (level_db[0], level_db[-1]):  # a frame half full of zeros would lie 3 dB lower
        assert abs(edge_db - level_db[5:-5].mean()) < 4 * spread_db < 2.5


def test_a_burst_is_found_at_its_time() -> None:
    samples = np.zeros(3 * RATE)
    samples[RATE : 2 * RATE] = tone(1000)
    frames = extract_frames(Recording(samples, RATE), "spectral")
    band = frames.values[:, 13 + int(np.argmax(frames.values[150, 13:]))]
    loud_s = frames.times_s[band > band.max() - 6]  # half the amplitude: half the frame
    np.testing.assert_allclose(loud_s[[0, -1]], [1.0, 2.0], atol=0.01)
    np.testing.assert_allclose(loud_s[[0, -1]].mean(), 1.5, atol=0.0015)


def test_pauses_cut_out_leave_the_sound(rng: np.random.Generator) -> None:
    sound = 0.1 * rng.standard_normal(RATE)
    X = extract_features(
        [Recording(np.concatenate([sound, np.zeros(2 * RATE), sound]), RATE)], ["spectral"], speech_only=True
    )
    whole = spectral(np.concatenate([sound, sound]))
    got = X["spectral__logmel20_mean"].item()
    assert got == pytest.approx(whole["logmel20_mean"], abs=2.0)
    assert spectral(np.concatenate([sound, np.zeros(2 * RATE), sound]))["logmel20_mean"] < got - 20


@pytest.mark.parametrize(("n_mfcc", "n_mels"), [(0, 40), (41, 40), (13, 129)])
def test_impossible_sizes_are_refused(n_mfcc: int, n_mels: int) -> None:
    with pytest.raises(ParameterError, match=f"n_mfcc is {n_mfcc} and n_mels {n_mels}; expected 1 <= n_mfcc"):
        Spectral(n_mfcc, n_mels)
