from __future__ import annotations

import io
import os
import pickle
import sys
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from vocalbio.audio import Recording, cut_audio, load_audio, stream_audio, window_audio
from vocalbio.errors import AudioError, MissingPackageError, ParameterError

COMPRESSED = {
    "mp3": "pydub/test/data/test1.mp3",
    "m4a": "audiofile/tests/assets/gs-16b-1c-44100hz.m4a",
    "aac": "audiofile/tests/assets/gs-16b-1c-44100hz.aac",
    "opus": "audiofile/tests/assets/gs-16b-1c-16000hz.opus",
}


def tone(frequency_hz: float, duration_s: float, rate: float, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate)) / rate)


def as_file(samples: np.ndarray, rate: int, format: str = "WAV", subtype: str | None = None) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file


@pytest.fixture
def stereo_wav(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Seven seconds at 44.1 kHz, so that no block length in use divides it."""
    path = tmp_path / "stereo.wav"
    soundfile.write(path, 0.2 * rng.standard_normal((44_100 * 7 + 123, 2)), 44_100)
    return path


@pytest.fixture
def half_damaged_flac(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Twenty seconds of noise; from the middle of the file on its bytes are random."""
    path = tmp_path / "damaged.flac"
    soundfile.write(path, 0.1 * rng.standard_normal(16_000 * 20), 16_000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + rng.bytes(len(content) // 2))
    return path


class TestRecording:
    def test_keeps_float32_without_copying(self):
        samples = np.zeros(8, np.float32)
        assert Recording(samples, 16_000).samples is samples

    def test_converts_other_floats_and_lists(self):
        for samples in ([0.0, 0.5], np.array([0.0, 0.5]), np.array([0.0, 9.0, 0.5, 9.0])[::2]):
            kept = Recording(samples, 8_000).samples
            assert kept.dtype == np.float32
            assert kept.flags.c_contiguous
            assert kept.tolist() == [0.0, 0.5]

    def test_refuses_integers_and_says_what_to_divide_by(self):
        with pytest.raises(ParameterError, match=r"int16.*divide by 2\*\*15"):
            Recording(np.zeros(4, np.int16), 16_000)

    def test_refuses_what_is_no_array(self):
        with pytest.raises(ParameterError, match=r"samples are no array: .*expected shape \(n_samples,\)"):
            Recording([[0.1], [0.1, 0.2]], 16_000)

    @pytest.mark.parametrize(("shape", "axis"), [((2, 100), 0), ((100, 2), 1)])
    def test_refuses_channels_and_says_which_axis_to_average(self, shape, axis):
        with pytest.raises(ParameterError, match=rf"mean\(axis={axis}\)"):
            Recording(np.zeros(shape), 16_000)

    @pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf, None, "16000", True])
    def test_refuses_a_rate_that_is_none(self, rate):
        with pytest.raises(ParameterError, match=r"sampling_rate_hz is .* expected a positive number"):
            Recording(np.zeros(4), rate)

    def test_tells_times(self):
        recording = Recording(np.zeros(8_000), 16_000, start_s=2.0)
        assert (recording.duration_s, recording.start_s, recording.end_s) == (0.5, 2.0, 2.5)
        assert recording.source_rate_hz == 16_000

    def test_repr_is_short_and_without_samples(self):
        recording = Recording(np.zeros(160_000), 16_000, file="a.wav", start_s=3.0)
        assert repr(recording) == "Recording('a.wav', 10.00 s at 16000 Hz, from 3.00 s)"

    def test_survives_pickling(self, rng):
        recording = Recording(rng.uniform(-1, 1, 100), 8_000, "a.wav", 1.5, 44_100, np.array([1.501, 1.502]))
        again = pickle.loads(pickle.dumps(recording))
        np.testing.assert_array_equal(again.samples, recording.samples)
        assert (again.file, again.start_s, again.source_rate_hz) == ("a.wav", 1.5, 44_100)
        assert again.clipped_fraction == recording.clipped_fraction > 0

    def test_check_accepts_sound_and_silence(self):
        Recording(np.zeros(10), 16_000).check()
        Recording(tone(100, 1, 16_000, amplitude=1.2), 16_000).check()

    @pytest.mark.parametrize(
        ("samples", "words"),
        [
            ([], "a.wav holds no samples"),
            ([0.0] * 800 + [np.nan, 0.0, np.inf], "2 of the 803 samples from 0.00 s on are NaN or infinite"),
            ([0.0, 12_000.0, -8_000.0], r"peak of 12000, .*integers stored as floats \(divide by .*2\*\*15"),
        ],
    )
    def test_check_refuses_what_has_no_features(self, samples, words):
        recording = Recording(np.array(samples), 16_000, file="a.wav")
        with pytest.raises(AudioError, match=words):
            recording.check()

    @pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 48_000])
    def test_resampled_tone_is_the_tone_made_at_the_new_rate(self, rate):
        resampled = Recording(tone(1_000, 1, 44_100), 44_100).resample(rate)
        expected = tone(1_000, 1, rate)
        assert resampled.sampling_rate_hz == rate
        assert resampled.source_rate_hz == 44_100
        assert len(resampled.samples) == len(expected)
        inside = slice(rate // 20, -rate // 20)
        np.testing.assert_allclose(resampled.samples[inside], expected[inside], atol=1e-5)

    def test_resampling_removes_what_the_new_rate_cannot_hold(self):
        resampled = Recording(tone(9_000, 1, 44_100), 44_100).resample(16_000)
        assert np.abs(resampled.samples[800:-800]).max() < 1e-5

    def test_resampling_to_the_present_rate_is_the_recording_itself(self):
        recording = Recording([0.1, 0.2], 16_000)
        assert recording.resample(16_000) is recording

    def test_resampling_refuses_what_check_refuses(self):
        with pytest.raises(AudioError, match="NaN or infinite"):
            Recording([0.0, np.nan], 16_000).resample(8_000)
        with pytest.raises(AudioError, match="no samples"):
            Recording([0.1], 48_000).resample(8_000)

    def test_cut_counts_from_the_beginning_of_the_file(self):
        samples = np.arange(1_000) / 1_000
        recording = Recording(samples, 100, start_s=20.0)
        part = recording.cut(21.004, 22.996)
        np.testing.assert_array_equal(part.samples, samples[100:300].astype(np.float32))
        assert (part.start_s, part.end_s) == (21.0, 23.0)
        np.testing.assert_array_equal(part.cut(22.0).samples, samples[200:300].astype(np.float32))

    def test_cut_forgives_an_end_rounded_in_a_table(self):
        recording = Recording(np.zeros(16_777), 16_000)
        assert recording.cut(0, round(recording.duration_s, 2)).duration_s == recording.duration_s == 16_777 / 16_000

    @pytest.mark.parametrize(
        ("start", "end", "words"),
        [
            (0.0, 1.1, "from 0.000 to 1.100 s .* the sound ends at 1.000 s"),
            (1.0, None, "from 1.000 to the end s .* the sound ends at 1.000 s"),
            (0.6, 0.5, "0 <= start < end"),
            (0.5, 0.5, "0 <= start < end"),
            (-0.1, 0.5, "0 <= start < end"),
            (np.nan, 0.5, "0 <= start < end"),
            (0.1, np.nan, "0 <= start < end"),
            ("a", 0.5, "0 <= start < end"),
            (0.50001, 0.50002, "shorter than a sample"),
        ],
    )
    def test_cut_refuses_what_is_not_there(self, start, end, words):
        with pytest.raises(AudioError, match=words):
            Recording(np.zeros(16_000), 16_000).cut(start, end)

    def test_cut_refuses_what_is_before_its_beginning(self):
        with pytest.raises(AudioError, match=r"from 3\.000 s was asked for, but the recording begins at 4.000 s"):
            Recording(np.zeros(16_000), 16_000, start_s=4.0).cut(3.0, 4.5)


class TestClipping:
    @pytest.mark.parametrize("gain", [1.5, 3.0, 10.0])
    def test_fraction_of_a_clipped_sine_follows_the_formula(self, gain):
        """|gain sin| >= 1 for the share 1 - 2/pi asin(1/gain) of a period."""
        samples = np.clip(tone(10.37, 20, 44_100, amplitude=gain), -1, 1)
        recording = load_audio(as_file(samples, 44_100))
        assert recording.clipped_fraction == pytest.approx(1 - 2 / np.pi * np.arcsin(1 / gain), abs=0.002)

    def test_a_sine_normalised_to_its_peak_is_not_clipped(self):
        recording = load_audio(as_file(tone(103.7, 5, 44_100, amplitude=1.0), 44_100))
        assert recording.clipped_fraction < 0.001

    def test_floats_beyond_full_scale_are_clipped_frames(self):
        samples = np.zeros(1_000)
        samples[100:110] = np.linspace(1.1, 1.9, 10)
        recording = load_audio(as_file(samples, 16_000, subtype="FLOAT"))
        assert recording.clipped_fraction == 0.01
        assert recording.samples.max() == 1.0

    def test_one_clipped_channel_is_enough(self):
        loud = np.clip(tone(50, 1, 16_000, amplitude=2.0), -1, 1)
        both = load_audio(as_file(np.stack([0.1 * loud, loud], axis=1), 16_000))
        assert both.clipped_fraction == load_audio(as_file(loud, 16_000)).clipped_fraction > 0.5

    def test_is_measured_before_resampling(self):
        samples = np.clip(tone(50, 1, 48_000, amplitude=2.0), -1, 1)
        stored = load_audio(as_file(samples, 48_000), None).clipped_fraction
        assert load_audio(as_file(samples, 48_000), 8_000).clipped_fraction == stored > 0.5

    def test_of_an_array_survives_resampling(self):
        samples = np.clip(tone(50, 1, 48_000, amplitude=2.0), -1, 1)
        recording = Recording(samples, 48_000, start_s=3.0)
        assert recording.resample(8_000).clipped_fraction == recording.clipped_fraction > 0.5

    def test_a_plateau_is_found_wherever_it_lies(self):
        """Even across the border between two decoded chunks."""
        for length in (2**14, 2**16):
            for shift in range(6):
                samples = tone(50, 5, 16_000, amplitude=0.5)
                samples[length - 4 + shift : length - 1 + shift] = 0.99
                recording = load_audio(as_file(samples, 16_000))
                assert len(recording.clipped_s) == 3

    def test_two_equal_samples_and_low_plateaus_are_no_clipping(self):
        samples = np.zeros(1_000)
        samples[100:102] = 0.99
        samples[200:210] = 0.98
        assert load_audio(as_file(samples, 16_000)).clipped_fraction == 0

    def test_every_part_has_its_own_fraction(self):
        quiet, loud = tone(50, 1, 44_100, 0.5), np.clip(tone(50, 1, 44_100, 4.0), -1, 1)
        file = as_file(np.concatenate([quiet, loud, quiet]), 44_100)
        expected = [0, 1 - 2 / np.pi * np.arcsin(1 / 4), 0]
        for parts in (
            stream_audio(file, block_s=1),
            window_audio(file, 1, 1),
            [result for _, result in cut_audio(file, [(0, 1), (1, 2), (2, 3)])],
            [load_audio(file).cut(start, start + 1) for start in range(3)],
        ):
            assert [part.clipped_fraction for part in parts] == pytest.approx(expected, abs=0.002)

    def test_an_array_is_judged_by_its_samples(self):
        assert Recording([0.0, 1.0, 1.0, 1.0, 0.0], 16_000).clipped_fraction == 0.6
        assert np.isnan(Recording([], 16_000).clipped_fraction)


class TestLoadAudio:
    def test_reads_pcm_as_the_standard_library_does(self, data):
        path = data / "formats/opensauce/test/data/helpers/wav-formats/pcm-16bit.wav"
        with wave.open(str(path)) as file:
            expected = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15
        recording = load_audio(path, None)
        np.testing.assert_array_equal(recording.samples, expected.astype(np.float32))
        assert recording.sampling_rate_hz == recording.source_rate_hz == 44_100
        assert recording.file == str(path)

    @pytest.mark.parametrize(
        ("format", "subtype", "step"),
        [
            ("WAV", "PCM_U8", 2**-7),
            ("WAV", "PCM_24", 2**-23),
            ("WAV", "PCM_32", 2**-24),
            ("WAV", "DOUBLE", 2**-24),
            ("WAV", "ULAW", 2**-5),
            ("RF64", "PCM_16", 2**-15),
            ("FLAC", "PCM_16", 2**-15),
        ],
    )
    def test_reads_what_was_written(self, format, subtype, step):
        samples = tone(440, 0.5, 16_000)
        recording = load_audio(as_file(samples, 16_000, format, subtype))
        np.testing.assert_allclose(recording.samples, samples, atol=step)

    @pytest.mark.parametrize("bits", [36, 45, 53, 64])
    def test_reads_wav_of_more_than_32_bits(self, data, bits):
        recording = load_audio(data / f"formats/scipy/test-8000Hz-le-3ch-5S-{bits}bit.wav", None)
        reference = load_audio(data / "formats/scipy/test-8000Hz-le-3ch-5S-24bit.wav", None)
        np.testing.assert_allclose(recording.samples, reference.samples, atol=2**-22)

    def test_averages_all_channels(self, rng):
        channels = rng.uniform(-1, 1, (1_000, 3)).astype(np.float32)
        recording = load_audio(as_file(channels, 16_000, subtype="FLOAT"))
        np.testing.assert_allclose(recording.samples, channels.mean(axis=1), atol=1e-7)

    def test_resamples_to_16_khz_and_keeps_the_stored_rate_in_mind(self):
        recording = load_audio(as_file(tone(1_000, 1, 44_100), 44_100))
        assert (recording.sampling_rate_hz, recording.source_rate_hz) == (16_000, 44_100)
        np.testing.assert_allclose(recording.samples[800:-800], tone(1_000, 1, 16_000)[800:-800], atol=1e-4)

    def test_resampling_while_or_after_reading_is_the_same(self, stereo_wav):
        at_once, later = load_audio(stereo_wav), load_audio(stereo_wav, None).resample(16_000)
        np.testing.assert_array_equal(at_once.samples, later.samples)

    def test_overshoot_is_clipped_to_full_scale(self):
        square = np.sign(tone(441, 1, 44_100, amplitude=1.0) + 1e-9)
        assert np.abs(load_audio(as_file(square, 44_100)).samples).max() == 1.0

    def test_the_two_channels_of_a_ravdess_original_are_averaged(self, data):
        path = data / "formats/ravdess_native/03-01-02-01-01-02-01.flac"
        channels, rate = soundfile.read(path, dtype="float32")
        recording = load_audio(path, None)
        assert channels.shape[1] == 2
        np.testing.assert_allclose(recording.samples, channels.mean(axis=1), atol=1e-7)
        assert load_audio(path).duration_s == pytest.approx(len(channels) / rate, abs=1e-4)

    @pytest.mark.parametrize("suffix", [".wav", ".raw", ".mp3", ".txt", ""])
    def test_the_content_decides_not_the_name(self, data, tmp_path, suffix):
        for kind in ("auditok/tests/data/test_16KHZ_mono_400Hz.wav", *COMPRESSED.values()):
            original = data / "formats" / kind
            renamed = tmp_path / f"renamed{suffix}"
            renamed.write_bytes(original.read_bytes())
            np.testing.assert_array_equal(load_audio(renamed).samples, load_audio(original).samples)

    def test_reads_file_objects_from_their_beginning(self, stereo_wav):
        expected = load_audio(stereo_wav).samples
        content = io.BytesIO(stereo_wav.read_bytes())
        content.seek(1_000)
        assert load_audio(content).file is None
        np.testing.assert_array_equal(load_audio(content).samples, expected)
        with open(stereo_wav, "rb") as file:
            recording = load_audio(file)
            assert not file.closed
        np.testing.assert_array_equal(recording.samples, expected)
        assert recording.file == str(stereo_wav)

    def test_every_awkward_file_is_read_or_refused_in_words(self, data):
        manifest = pd.read_csv(data / "formats/manifest.csv").set_index("file")
        files = [path for path in sorted((data / "formats").rglob("*")) if path.is_file() and path.suffix != ".csv"]
        refused = set()
        for path in files:
            name = path.relative_to(data / "formats").as_posix()
            ((_, recording),) = cut_audio(path, [(0, None)])
            if isinstance(recording, AudioError):
                assert str(recording).startswith(str(path))
                refused.add(path.name)
                continue
            np.testing.assert_array_equal(recording.samples, load_audio(path).samples)
            assert recording.sampling_rate_hz == 16_000
            assert recording.samples.dtype == np.float32
            assert np.isfinite(recording.samples).all()
            assert np.abs(recording.samples).max() <= 1
            if name in manifest.index and manifest.seconds[name] > 0:
                # the manifest holds what an mp3's header estimates
                tolerance = 0.35 if path.suffix == ".mp3" else 0.001
                assert recording.duration_s == pytest.approx(manifest.seconds[name], abs=tolerance), name
                assert recording.source_rate_hz == manifest.sampling_rate_hz[name]
        assert len(files) >= 79
        assert refused == {
            "video.mp4",  # pictures only
            "test1_empty.wav",
            "test-44100Hz-le-1ch-4bytes-early-eof-no-data.wav",
            "test-44100Hz-le-1ch-4bytes-incomplete-chunk.wav",
            "test_16KHZ_3channel_400-800-1600Hz.raw",
            "test_16KHZ_mono_400Hz.raw",
            "test_split_10HZ_mono.raw",
            "test_split_10HZ_stereo.raw",
            "mono.raw",
        }

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("notes.wav", b"These are notes, not sound.\n" * 50, "no sound that can be decoded. Check that"),
            ("pcm.raw", bytes(3_200), "headerless PCM.*convert it to wav with the known"),
            ("zero.wav", b"", "has 0 bytes"),
            (
                "list.m3u8",
                b"#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
                "no sound that can be decoded",
            ),
            ("list.ffconcat", b"ffconcat version 1.0\nfile other.wav\n", "no sound that can be decoded"),
        ],
    )
    def test_says_what_is_wrong_with_a_file(self, tmp_path, monkeypatch, name, content, words):
        monkeypatch.chdir(tmp_path)
        soundfile.write("other.wav", np.zeros(16_000), 16_000)  # a playlist must not lead here
        Path(name).write_bytes(content)
        with pytest.raises(AudioError, match=words) as caught:
            load_audio(name)
        assert str(caught.value).startswith(name)

    def test_says_what_is_wrong_with_a_path(self, tmp_path):
        with pytest.raises(AudioError, match=r"gone.wav does not exist; check the path"):
            load_audio(tmp_path / "gone.wav")
        with pytest.raises(AudioError, match="is a folder, expected an audio file"):
            load_audio(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are files on POSIX systems only")
    def test_does_not_wait_for_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(AudioError, match="is a device or pipe"):
            load_audio(tmp_path / "pipe.wav")

    def test_says_how_to_read_what_cannot_be_searched(self):
        reader, writer = os.pipe()
        os.close(writer)
        with open(reader, "rb") as stream, pytest.raises(AudioError, match=r"read it into an io\.BytesIO"):
            load_audio(stream)

    def test_says_when_there_are_no_samples(self):
        with pytest.raises(AudioError, match="holds no samples"):
            load_audio(as_file(np.zeros(0), 16_000))
        with pytest.raises(AudioError, match="holds no samples"):
            load_audio(as_file(np.zeros(1), 192_000))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_says_where_samples_are_not_finite(self, bad):
        samples = np.zeros((16_000, 2))
        samples[12_000, 1] = bad
        with pytest.raises(AudioError, match=r"NaN or infinite, the first at 0\.750 s"):
            load_audio(as_file(samples, 16_000, subtype="FLOAT"))

    def test_says_when_floats_are_unscaled_integers(self):
        with pytest.raises(AudioError, match="integers stored as floats"):
            load_audio(as_file(tone(100, 1, 16_000, amplitude=9_000.0), 16_000, subtype="FLOAT"))

    def test_says_when_the_header_is_damaged(self):
        content = bytearray(as_file(np.zeros(1_000), 16_000).getvalue())
        content[24:28] = (7).to_bytes(4, "little")
        with pytest.raises(AudioError, match="sampling rate of 7 Hz, expected 1000 to 1000000"):
            load_audio(io.BytesIO(content))

    @pytest.mark.parametrize(
        ("audio", "words"),
        [
            (np.zeros(100), r"ndarray; expected a path .* Recording\(samples"),
            (io.StringIO("text"), "mode 'rb'"),
        ],
    )
    def test_refuses_what_is_no_file(self, audio, words):
        with pytest.raises(ParameterError, match=words):
            load_audio(audio)

    def test_refuses_an_impossible_rate(self, stereo_wav):
        with pytest.raises(ParameterError, match="sampling_rate_hz is 0"):
            load_audio(stereo_wav, 0)

    def test_a_file_that_ends_early_gives_what_it_holds(self, stereo_wav):
        whole = load_audio(stereo_wav, None).samples
        content = stereo_wav.read_bytes()
        part = load_audio(io.BytesIO(content[: len(content) // 2]), None).samples
        assert len(part) == pytest.approx(len(whole) / 2, abs=50)
        np.testing.assert_array_equal(part, whole[: len(part)])

    def test_damage_on_the_way_is_refused_with_its_place(self, half_damaged_flac):
        with pytest.raises(AudioError, match=r"is damaged: its sound cannot be decoded beyond 9\.\d\d s"):
            load_audio(half_damaged_flac)

    def test_ffmpeg_reports_damage_in_the_error_and_not_on_the_terminal(self, data, rng, capfd):
        content = bytearray((data / "formats" / COMPRESSED["m4a"]).read_bytes())
        half = len(content) // 2
        content[half : half + 3_000] = rng.bytes(3_000)
        with pytest.raises(AudioError, match=r"is damaged: its sound cannot be decoded beyond \d+\.\d\d s"):
            load_audio(io.BytesIO(content))
        assert capfd.readouterr().err == ""

    def test_without_pyav_the_message_holds_the_pip_line(self, data, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(MissingPackageError, match=r"m4a.*pip install 'av'"):
            load_audio(data / "formats" / COMPRESSED["m4a"])


class TestStreamAudio:
    @pytest.mark.parametrize("block_s", [0.37, 1.0, 5.5, 60.0])
    @pytest.mark.parametrize("kind", ["wav", *COMPRESSED])
    def test_blocks_join_to_the_whole_bit_for_bit(self, data, stereo_wav, kind, block_s):
        path = stereo_wav if kind == "wav" else data / "formats" / COMPRESSED[kind]
        whole = load_audio(path)
        blocks = list(stream_audio(path, block_s=block_s))
        np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), whole.samples)
        assert {block.duration_s for block in blocks[:-1]} <= {block_s}
        assert [block.start_s for block in blocks] == pytest.approx(block_s * np.arange(len(blocks)))
        np.testing.assert_array_equal(np.concatenate([block.clipped_s for block in blocks]), whole.clipped_s)

    def test_damage_is_found_when_it_is_reached(self, half_damaged_flac):
        blocks = stream_audio(half_damaged_flac, block_s=1)
        assert next(blocks).duration_s == 1
        with pytest.raises(AudioError, match="is damaged"):
            list(blocks)

    def test_checks_its_arguments_at_once(self, stereo_wav):
        with pytest.raises(ParameterError, match="block_s is 0; expected a positive number of seconds"):
            stream_audio(stereo_wav, block_s=0)

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed on Linux only")
    def test_lets_go_of_the_file_when_abandoned(self, data, stereo_wav):
        for path in (stereo_wav, data / "formats" / COMPRESSED["m4a"]):
            before = len(list(Path("/proc/self/fd").iterdir()))
            blocks = stream_audio(path, block_s=1)
            next(blocks)
            assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
            blocks.close()
            assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_half_an_hour_is_read_in_the_memory_of_a_minute(tmp_path):
    path = tmp_path / "night.wav"
    block = (0.1 * np.random.default_rng(0).standard_normal(8_000 * 60)).astype(np.float32)
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for _ in range(30):
            file.write(block)
    tracemalloc.start()
    try:
        n_blocks = sum(1 for _ in stream_audio(path))
        n_windows = sum(1 for _ in window_audio(path, 5, 300))
        found = [result.duration_s for _, result in cut_audio(path, [(1_799, None), (1_000, 1_001), (0, 1)])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (n_blocks, n_windows, found) == (60, 6, [1, 1, 1])
    assert peak < 10e6  # the whole would take 115 MB


class TestCutAudio:
    SPANS = ((3.0, 4.5), (0.1, 6.9), (0.0, None), (3.3, 3.4), (6.5, None), (0.1, 0.2), (3.3, 3.4))

    def test_spans_equal_cuts_of_the_whole(self, stereo_wav):
        whole = load_audio(stereo_wav)
        results = dict(cut_audio(stereo_wav, self.SPANS))
        assert sorted(results) == list(range(len(self.SPANS)))
        for index, (start, end) in enumerate(self.SPANS):
            expected = whole.cut(start, end)
            np.testing.assert_array_equal(results[index].samples, expected.samples)
            np.testing.assert_array_equal(results[index].clipped_s, expected.clipped_s)
            assert (results[index].start_s, results[index].file) == (expected.start_s, expected.file)
            assert results[index].source_rate_hz == 44_100

    def test_a_recording_gives_what_its_file_gives(self, stereo_wav):
        for rate in (16_000, None):
            from_file = dict(cut_audio(stereo_wav, self.SPANS, rate))
            from_recording = dict(cut_audio(load_audio(stereo_wav, None), self.SPANS, rate))
            for index, recording in from_file.items():
                np.testing.assert_array_equal(recording.samples, from_recording[index].samples)
                assert recording.clipped_fraction == from_recording[index].clipped_fraction

    def test_each_comes_as_soon_as_it_has_been_read(self, stereo_wav):
        assert [index for index, _ in cut_audio(stereo_wav, [(0, None), (5, 6), (0, 1)])] == [2, 1, 0]

    def test_impossible_spans_get_words_and_the_others_go_on(self, stereo_wav):
        spans = [(0, 1), (5, 8), (8, None), (-1, 1), (2, 1), (np.nan, 1), (0, np.nan), (1, 1), (6, 7)]
        results = dict(cut_audio(stereo_wav, spans))
        assert [index for index, result in results.items() if isinstance(result, Recording)] == [0, 8]
        assert all(isinstance(results[index], AudioError) for index in range(1, 8))
        assert "from 5.000 to 8.000 s was asked for, but the sound ends at 7.003 s" in str(results[1])
        assert "0 <= start < end" in str(results[3])

    def test_a_file_that_cannot_be_opened_fails_every_span(self, tmp_path):
        results = list(cut_audio(tmp_path / "gone.wav", [(0, 1), (1, 2)]))
        assert [index for index, _ in results] == [0, 1]
        assert all("gone.wav does not exist" in str(error) for _, error in results)

    def test_damage_fails_the_spans_that_are_still_open(self, half_damaged_flac):
        results = dict(cut_audio(half_damaged_flac, [(0, 19), (1, 2), (15, 16), (18, None)]))
        assert isinstance(results[1], Recording)
        assert all("is damaged" in str(results[index]) for index in (0, 2, 3))

    def test_what_lies_after_the_last_span_is_not_read(self, half_damaged_flac):
        ((_, recording),) = cut_audio(half_damaged_flac, [(1, 2)])
        assert recording.duration_s == 1

    def test_a_recording_that_is_not_finite_fails_every_span(self):
        results = dict(cut_audio(Recording([0.0, np.nan] * 100, 100), [(0, 1), (1, 2)]))
        assert all("NaN or infinite" in str(error) for error in results.values())

    def test_refuses_what_is_no_list_of_pairs(self, stereo_wav):
        with pytest.raises(ParameterError, match=r"pairs \(start_s, end_s\)"):
            cut_audio(stereo_wav, [1.0, 2.0])


class TestWindowAudio:
    @pytest.mark.parametrize(
        ("duration_s", "window_s", "hop_s", "expected"),
        [
            (10.0, 5.0, 5.0, [(0, 5), (5, 10)]),
            (10.0, 4.0, 4.0, [(0, 4), (4, 8), (8, 10)]),  # exactly half a window is left
            (9.9, 4.0, 4.0, [(0, 4), (4, 8)]),  # less
            (7.0, 3.0, 2.0, [(0, 3), (2, 5), (4, 7)]),  # the last full window covers the end
            (7.5, 3.0, 2.0, [(0, 3), (2, 5), (4, 7), (6, 7.5)]),
            (2.0, 5.0, 2.5, [(0, 2)]),  # shorter than a window
            (0.01, 5.0, 2.5, [(0, 0.01)]),
            (12.0, 2.0, 5.0, [(0, 2), (5, 7), (10, 12)]),  # gaps between windows
            (11.5, 2.0, 5.0, [(0, 2), (5, 7), (10, 11.5)]),
            (9.0, 2.0, 5.0, [(0, 2), (5, 7)]),  # ends in a gap
        ],
    )
    def test_windows_follow_the_rule(self, duration_s, window_s, hop_s, expected):
        recording = Recording(np.zeros(round(duration_s * 16_000)), 16_000)
        windows = [(window.start_s, window.end_s) for window in window_audio(recording, window_s, hop_s)]
        assert windows == [pytest.approx(pair) for pair in expected]

    @pytest.mark.parametrize(("window_s", "hop_s"), [(1.0, 1.0), (2.0, 0.33), (0.5, 1.7), (30.0, 10.0)])
    def test_windows_equal_cuts_of_the_whole_and_of_its_recording(self, stereo_wav, window_s, hop_s):
        whole = load_audio(stereo_wav)
        from_file = list(window_audio(stereo_wav, window_s, hop_s))
        from_recording = list(window_audio(load_audio(stereo_wav, None), window_s, hop_s))
        assert len(from_file) == len(from_recording)
        for one, other in zip(from_file, from_recording, strict=True):
            np.testing.assert_array_equal(one.samples, whole.cut(one.start_s, one.end_s).samples)
            np.testing.assert_array_equal(one.samples, other.samples)
            assert one.start_s == other.start_s
            assert one.clipped_fraction == other.clipped_fraction

    def test_the_place_in_the_file_is_kept(self):
        recording = Recording(np.zeros(200), 100, start_s=30.0)
        assert [window.start_s for window in window_audio(recording, 1, 1, None)] == [30, 31]

    def test_a_missing_file_is_told(self, tmp_path):
        with pytest.raises(AudioError, match="does not exist"):
            next(window_audio(tmp_path / "gone.wav", 1, 1))

    @pytest.mark.parametrize(("window_s", "hop_s", "name"), [(0, 1, "window_s"), (1, -1, "hop_s"), (1, None, "hop_s")])
    def test_checks_its_arguments_at_once(self, stereo_wav, window_s, hop_s, name):
        with pytest.raises(ParameterError, match=f"{name} is .*; expected a positive number of seconds"):
            window_audio(stereo_wav, window_s, hop_s)
