from __future__ import annotations

import io
import sys
import time
import warnings

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, firwin, lfilter, sosfiltfilt

from vocalbio.audio import Recording, load_audio
from vocalbio.errors import AudioError, MissingPackageError
from vocalbio.quality import QUALITY_COLUMNS, measure_quality

RATE = 16_000
BURSTS = ((0.6, 1.8), (2.4, 4.0), (4.5, 5.2), (6.0, 7.3))  # of the made-up voice, in 8 seconds


def made_up_voice() -> tuple[np.ndarray, np.ndarray]:
    """Samples of a voice at 120 Hz, and where it speaks."""
    times_s = np.arange(8 * RATE) / RATE
    speaks = np.any([(times_s >= start) & (times_s < end) for start, end in BURSTS], axis=0)
    buzz = sum(np.sin(2 * np.pi * 120 * k * times_s) / k for k in range(1, 30))
    return np.where(speaks, buzz, 0.0), speaks


def in_noise(samples: np.ndarray, speaks: np.ndarray, snr_db: float, rng: np.random.Generator) -> Recording:
    noise = rng.standard_normal(len(samples))
    noise *= np.sqrt(np.mean(samples[speaks] ** 2) / 10 ** (snr_db / 10))
    return Recording(0.5 * (samples + noise) / np.abs(samples + noise).max(), RATE)


def pulses(f0_hz: float) -> np.ndarray:
    samples = np.zeros(3 * RATE)
    samples[(np.arange(3 * f0_hz) * RATE / f0_hz).astype(int)] = 0.8
    return samples


def broadband(kind: str, rng: np.random.Generator) -> np.ndarray:
    return 0.1 * rng.standard_normal(3 * RATE) if kind == "noise" else pulses(float(kind))


def through_16_bits(samples: np.ndarray) -> Recording:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return load_audio(file)


class TestSpeech:
    @pytest.mark.parametrize("snr_db", [0, 3, 6, 10, 15, 20, 25, 30])
    def test_signal_to_noise_ratio_is_the_one_that_was_made(self, rng, snr_db):
        quality = measure_quality(in_noise(*made_up_voice(), snr_db, rng))
        assert quality["snr_db"] == pytest.approx(snr_db, abs=1.5)

    @pytest.mark.parametrize("snr_db", [3, 10, 20, 30, 60])
    def test_voiced_and_speech_fractions_are_the_share_of_the_bursts(self, rng, snr_db):
        samples, speaks = made_up_voice()
        quality = measure_quality(in_noise(samples, speaks, snr_db, rng))
        assert quality["voiced_fraction"] == pytest.approx(speaks.mean(), abs=0.02)
        assert quality["speech_fraction"] == pytest.approx(speaks.mean(), abs=0.06)

    @pytest.mark.parametrize("snr_db", [10, 20])
    def test_ratio_holds_for_real_speech_with_noise_added(self, data, rng, snr_db):
        for path in sorted((data / "ravdess").rglob("*.flac"))[100:900:100]:
            recording = load_audio(path)
            level = np.convolve(recording.samples.astype(float) ** 2, np.ones(800) / 800, "same")
            speaks = level > level.max() / 10**2.5
            noisy = in_noise(recording.samples.astype(float), speaks, snr_db, rng)
            assert measure_quality(noisy)["snr_db"] == pytest.approx(snr_db, abs=2.5)

    def test_a_gated_recording_has_a_high_but_finite_ratio(self):
        samples, _ = made_up_voice()
        assert 60 < measure_quality(Recording(0.3 * samples, RATE))["snr_db"] < 110

    def test_there_is_no_ratio_without_speech(self, rng):
        noise = Recording(0.1 * rng.standard_normal(3 * RATE), RATE)
        quality = measure_quality(noise)
        assert np.isnan(quality["snr_db"])
        assert quality["voiced_fraction"] < 0.02
        assert quality["speech_fraction"] == 0

    def test_there_is_no_ratio_without_pauses(self, data):
        for path in sorted((data / "vowels").glob("*_a.flac"))[:5]:
            quality = measure_quality(load_audio(path))
            assert np.isnan(quality["snr_db"])
            assert quality["speech_fraction"] > 0.95

    def test_level_and_offset_do_not_matter(self, rng):
        recording = in_noise(*made_up_voice(), 20, rng)
        changed = measure_quality(Recording(0.1 * recording.samples + 0.3, RATE))
        for name, value in measure_quality(recording).items():
            assert changed[name] == pytest.approx(value, rel=0.01, abs=0.01)

    def test_a_clap_is_no_speech(self, rng):
        samples, speaks = made_up_voice()
        clap = rng.standard_normal(RATE // 10) * np.hanning(RATE // 10)
        samples[: len(clap)] += clap
        quality = measure_quality(in_noise(samples, speaks, 40, rng))
        assert quality["speech_fraction"] == pytest.approx(speaks.mean(), abs=0.06)

    def test_rates_and_clipping_are_those_of_the_source(self):
        samples = np.clip(2.0 * np.sin(2 * np.pi * 150 * np.arange(44_100) / 44_100), -1, 1)
        file = io.BytesIO()
        soundfile.write(file, samples, 44_100, format="WAV")
        quality = measure_quality(load_audio(file))
        assert quality["source_rate_hz"] == 44_100
        assert quality["clipped_fraction"] == pytest.approx(1 - 2 / np.pi * np.arcsin(1 / 2), abs=0.01)
        assert quality["duration_s"] == pytest.approx(1.0)


class TestBandwidth:
    @pytest.mark.parametrize("cutoff_hz", [1_000, 2_000, 3_400, 4_000, 7_000])
    @pytest.mark.parametrize("kind", ["noise", "100", "220"])
    @pytest.mark.parametrize("bits", [16, 32])
    def test_is_where_a_low_pass_filter_ends_it(self, rng, kind, cutoff_hz, bits):
        samples = lfilter(firwin(513, cutoff_hz, fs=RATE), 1, broadband(kind, rng))
        recording = through_16_bits(samples) if bits == 16 else Recording(samples, RATE)
        assert measure_quality(recording)["bandwidth_hz"] == pytest.approx(cutoff_hz, rel=0.1)

    @pytest.mark.parametrize("cutoff_hz", [2_000, 3_400, 4_000, 7_000])
    def test_does_not_depend_on_the_kind_of_steep_filter(self, rng, cutoff_hz):
        steep = butter(10, cutoff_hz, fs=RATE, output="sos")
        recording = Recording(sosfiltfilt(steep, broadband("noise", rng)), RATE)
        assert measure_quality(recording)["bandwidth_hz"] == pytest.approx(cutoff_hz, rel=0.1)

    @pytest.mark.parametrize("kind", ["noise", "100", "220"])
    def test_is_full_where_nothing_was_removed(self, rng, kind):
        assert measure_quality(Recording(broadband(kind, rng), RATE))["bandwidth_hz"] == pytest.approx(8_000, rel=0.01)

    def test_tells_telephone_speech_from_speech(self, data):
        for path in sorted((data / "ravdess").rglob("*.flac"))[::80]:
            recording = load_audio(path)
            telephone = recording.resample(8_000).resample(RATE)
            assert measure_quality(recording)["bandwidth_hz"] > 6_500
            for version in (telephone, through_16_bits(telephone.samples)):
                assert 3_000 < measure_quality(version)["bandwidth_hz"] <= 4_000

    def test_finds_a_telephone_recording_stored_at_16_khz(self, data):
        """Its spectrum ends at 4 kHz, below the dither."""
        path = next((data / "long_speech").rglob("sample.wav"))
        assert 3_400 < measure_quality(load_audio(path))["bandwidth_hz"] <= 4_000

    def test_of_a_whistle_is_its_pitch(self):
        whistle = 0.5 * np.sin(2 * np.pi * 1_500 * np.arange(RATE) / RATE)
        assert measure_quality(Recording(whistle, RATE))["bandwidth_hz"] == pytest.approx(1_500, rel=0.1)

    def test_a_single_bit_of_noise_is_no_signal(self, rng):
        assert np.isnan(measure_quality(through_16_bits(rng.uniform(-0.5, 0.5, RATE) / 2**15))["bandwidth_hz"])


class TestAnyRecording:
    def test_the_columns_are_described_in_their_order(self):
        quality = measure_quality(Recording(np.zeros(RATE), RATE))
        assert list(quality) == [name for name, _, _ in QUALITY_COLUMNS]
        assert list(quality) == [
            "duration_s",
            "voiced_fraction",
            "speech_fraction",
            "snr_db",
            "clipped_fraction",
            "source_rate_hz",
            "bandwidth_hz",
        ]
        assert all(unit in ("s", "1", "dB", "Hz") and meaning for _, unit, meaning in QUALITY_COLUMNS)

    @pytest.mark.parametrize("value", [0.0, 0.4])
    def test_silence_has_no_speech_and_nothing_to_compare(self, value):
        quality = measure_quality(Recording(np.full(RATE, value), RATE))
        assert (quality["duration_s"], quality["voiced_fraction"], quality["speech_fraction"]) == (1, 0, 0)
        assert (quality["clipped_fraction"], quality["source_rate_hz"]) == (0, RATE)
        assert np.isnan(quality["snr_db"])
        assert np.isnan(quality["bandwidth_hz"])

    @pytest.mark.parametrize("kind", ["noise", "tone", "click", "silence"])
    def test_no_length_is_too_short(self, rng, kind):
        for n_samples in (
            1,
            2,
            3,
            100,
            511,
            512,
            513,
            1_599,
            1_600,
            1_601,
            2_047,
            2_048,
            2_049,
            2_500,
            4_000,
        ):
            samples = {
                "noise": 0.1 * rng.standard_normal(n_samples),
                "tone": np.sin(2 * np.pi * 150 * np.arange(n_samples) / RATE),
                "click": np.eye(1, n_samples, n_samples // 2)[0],
                "silence": np.zeros(n_samples),
            }[kind]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                quality = measure_quality(Recording(samples, RATE))
            assert quality["duration_s"] == n_samples / RATE
            assert quality["source_rate_hz"] == RATE
            assert 0 <= quality["clipped_fraction"] <= 1
            if n_samples < 2_048:
                assert np.isnan([quality["voiced_fraction"], quality["speech_fraction"], quality["snr_db"]]).all()
            else:
                assert 0 <= quality["voiced_fraction"] <= 1
                assert 0 <= quality["speech_fraction"] <= 1
            assert not any(np.isinf(value) for value in quality.values())

    def test_another_rate_is_resampled_first(self):
        samples, _ = made_up_voice()
        recording = Recording(0.3 * samples, RATE).resample(44_100)
        reference = measure_quality(recording.resample(RATE))
        assert measure_quality(recording) == reference

    def test_what_cannot_be_used_is_refused(self):
        with pytest.raises(AudioError, match="NaN or infinite"):
            measure_quality(Recording([0.0, np.nan], RATE))
        with pytest.raises(AudioError, match="no samples"):
            measure_quality(Recording([], RATE))

    def test_without_parselmouth_the_message_holds_the_pip_line(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "parselmouth", None)
        with pytest.raises(MissingPackageError, match="pip install 'praat-parselmouth'"):
            measure_quality(Recording(made_up_voice()[0] / 4, RATE))

    def test_costs_little_beside_the_features(self, rng):
        """Some 4 ms of computing for a second of sound; the bound leaves room for a busy machine."""
        recording = in_noise(*made_up_voice(), 20, rng)
        measure_quality(recording)
        started = time.process_time()
        measure_quality(recording)
        assert time.process_time() - started < 0.025 * recording.duration_s
