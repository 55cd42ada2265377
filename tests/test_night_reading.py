"""A night of files: the same samples however it is read, gaps kept, damage survived, confusion refused."""

from __future__ import annotations

import tracemalloc
import warnings
from datetime import datetime

import edfio
import numpy as np
import pytest
import soundfile

from vocalbio import Recording, load_audio
from vocalbio.errors import AudioError, ParameterError
from vocalbio.night import Night
from vocalbio.night.edf import is_edf, open_channel

RATE = 16_000


def whole(night: Night, from_s: float = 0.0) -> np.ndarray:
    return np.concatenate(list(night.blocks(from_s)))


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * rate)).astype(np.float32)


@pytest.fixture
def files(tmp_path):
    """Write named pieces of noise; give their paths."""

    def write(**seconds: float) -> list:
        paths = []
        for number, (name, length) in enumerate(seconds.items()):
            paths.append(tmp_path / f"{name}.wav")
            soundfile.write(paths[-1], noise(length, number), RATE)
        return paths

    return write


def edf_file(path, signals, *, start=datetime(2026, 1, 31, 23, 5), annotations=None, kind=edfio.Edf):
    recording = edfio.Recording(startdate=start.date())
    made = kind(signals, recording=recording, starttime=start.time(), data_record_duration=1, annotations=annotations)
    made.write(path)
    return path


def slow(label="Flow", seconds=20):
    return edfio.EdfSignal(np.zeros(seconds * 32), 32, label=label, physical_range=(-1, 1))


def sound(label="Mic", seconds=20, rate=8000, physical=(-250.0, 250.0)):
    digital = np.round(noise(seconds, 5, rate) * 32768).astype(np.int16)
    return edfio.EdfSignal.from_digital(
        digital, rate, label=label, physical_range=physical, digital_range=(-32768, 32767)
    ), digital


# Reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_a_night_s_samples_are_the_recording_s(tmp_path, ending):
    path = tmp_path / f"night.{ending}"
    with soundfile.SoundFile(path, "w", 44_100, 1) as file:
        for piece in np.split(noise(75, rate=44_100), 75):  # libsndfile crashes on long pieces of ogg
            file.write(piece)
    np.testing.assert_array_equal(whole(Night(path)), load_audio(path).samples)


@pytest.mark.parametrize("from_s", [0.0, 12.0, 30.0, 30.5, 61.0])
def test_a_resumed_read_gives_the_same_bits(tmp_path, from_s):
    path = tmp_path / "night.flac"
    soundfile.write(path, noise(62, rate=44_100), 44_100)
    np.testing.assert_array_equal(whole(Night(path), from_s), load_audio(path).samples[round(from_s * RATE) :])


def test_a_night_is_read_in_the_memory_of_a_minute(tmp_path):
    path = tmp_path / "night.wav"
    minute = noise(60)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(40):
            file.write(minute)
    tracemalloc.start()
    for _ in Night(path).blocks():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * minute.nbytes  # the whole is 40 of them


def test_files_follow_each_other_in_the_order_given(files):
    b, a = files(b=3.25, a=2.5)
    night = Night([b, a])
    np.testing.assert_array_equal(whole(night), np.concatenate([load_audio(b).samples, load_audio(a).samples]))
    assert night.duration_s == 5.75
    assert [(file["file"], file["start_s"], file["end_s"]) for file in night.files] == [
        ("b.wav", 0.0, 3.25),
        ("a.wav", 3.25, 5.75),
    ]


def test_files_that_tell_their_time_stand_at_it_and_the_gap_is_missing_sound(tmp_path):
    late, early = tmp_path / "2026-01-31_23-05-50.wav", tmp_path / "2026-01-31_23-05-00.wav"
    soundfile.write(early, noise(40, 1), RATE)
    soundfile.write(late, noise(5, 2), RATE)
    night = Night([late, early])
    samples = whole(night)
    assert night.started == datetime(2026, 1, 31, 23, 5)
    assert night.duration_s == 55
    np.testing.assert_array_equal(samples[: 40 * RATE], load_audio(early).samples)
    assert np.isnan(samples[40 * RATE : 50 * RATE]).all()
    np.testing.assert_array_equal(samples[50 * RATE :], load_audio(late).samples)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("20260131_230501", datetime(2026, 1, 31, 23, 5, 1)),
        ("20260131230501", datetime(2026, 1, 31, 23, 5, 1)),
        ("2026-01-31 at 23.05.01", datetime(2026, 1, 31, 23, 5, 1)),
        ("rec_2026-01-31T23-05", datetime(2026, 1, 31, 23, 5)),
        ("ZOOM0012", None),
        ("2026-13-31_23-05-00", None),
        ("patient-20260131", None),
    ],
)
def test_names_tell_the_time_as_recorders_write_it(tmp_path, name, moment):
    soundfile.write(tmp_path / f"{name}.wav", noise(1), RATE)
    assert Night(tmp_path / f"{name}.wav").started == moment


def test_starts_are_taken_as_given(files):
    a, b = files(a=2, b=2)
    samples = whole(Night([b, a], starts=[5.0, 0.0]))
    assert len(samples) == 7 * RATE
    assert np.isnan(samples[2 * RATE : 5 * RATE]).all()


def test_files_a_moment_too_early_follow_directly(files):
    a, b = files(a=10, b=10)
    assert len(whole(Night([a, b], starts=[0.0, 8.0]))) == 20 * RATE


def test_overlapping_files_are_refused_in_words(files):
    a, b = files(a=20, b=2)
    with pytest.raises(ParameterError, match=r"b\.wav begins 10 s before a\.wav ends"):
        Night([a, b], starts=[0.0, 10.0])


def test_files_of_several_nights_are_refused_in_words(files):
    a, b = files(a=2, b=2)
    with pytest.raises(ParameterError, match="these are several nights"):
        Night([a, b], starts=[datetime(2026, 1, 31, 23), datetime(2026, 2, 1, 23)])


# Damage ------------------------------------------------------------------------------------------------


def test_of_a_damaged_file_the_beginning_is_kept_and_the_rest_is_missing(tmp_path):
    first, last = tmp_path / "1.flac", tmp_path / "3.wav"
    soundfile.write(first, noise(40), RATE)
    soundfile.write(last, noise(2, 3), RATE)
    intact = load_audio(first).samples
    raw = bytearray(first.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 20_000] = bytes(20_000)
    first.write_bytes(raw)
    night = Night([first, last])
    samples = whole(night)
    assert len(samples) == 42 * RATE  # the second file stands where it would have stood
    missing = np.isnan(samples)
    kept = int(np.argmax(missing))
    assert 15 * RATE < kept < 21 * RATE
    assert missing[kept : 40 * RATE].all()
    np.testing.assert_array_equal(samples[:kept], intact[:kept])
    np.testing.assert_array_equal(samples[40 * RATE :], load_audio(last).samples)
    assert "1.flac" in night.files[0]["reason"]
    assert str(tmp_path) not in night.files[0]["reason"]


def test_a_file_that_cannot_be_read_at_all_leaves_the_others(files, tmp_path):
    a, c = files(a=2, c=2)
    (tmp_path / "b.wav").write_bytes(b"")
    night = Night([a, tmp_path / "b.wav", c])
    assert len(whole(night)) == 4 * RATE
    assert [bool(file["reason"]) for file in night.files] == [False, True, False]


def test_an_edf_file_that_cannot_be_read_leaves_the_others(files, tmp_path):
    [a] = files(a=2)
    path = edf_file(tmp_path / "b.edf", [slow()])
    night = Night([a, path])
    assert len(whole(night)) == 2 * RATE
    assert night.files[1]["reason"].startswith("b.edf: it is not clear which channel")


def test_where_nothing_can_be_read_there_is_no_night(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound" * 99)
    with pytest.raises(AudioError, match="holds no sound that can be decoded"):
        Night(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="does not exist"):
        Night(tmp_path / "gone.wav")


def test_audio_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match="expected a recording's path"):
        Night(3)
    with pytest.raises(ParameterError, match="audio holds a int"):
        Night([3])


# EDF ----------------------------------------------------------------------------------------------------


def test_sound_in_edf_is_the_sound_of_a_wav_of_the_same_integers(tmp_path):
    signal, digital = sound()
    path = edf_file(tmp_path / "night.edf", [slow(), signal, slow("Pulse")])
    soundfile.write(tmp_path / "same.wav", digital, 8000, subtype="PCM_16")
    night = Night(path)
    assert night.started == datetime(2026, 1, 31, 23, 5)
    assert night.duration_s == 20
    np.testing.assert_allclose(whole(night), load_audio(tmp_path / "same.wav").samples, atol=1e-6)


def test_bdf_has_24_bits(tmp_path):
    digital = np.round(noise(10, 2, 8000) * 2**23).astype(np.int32)
    signal = edfio.BdfSignal.from_digital(digital, 8000, label="Sound")
    path = edf_file(tmp_path / "night.bdf", [signal], kind=edfio.Bdf)
    found = open_channel(path)
    samples = np.concatenate([piece for _, piece in found.pieces()])
    np.testing.assert_array_equal(samples, (digital / 2**23).astype(np.float32))


def test_the_microphone_is_found_among_fast_channels(tmp_path):
    other, _ = sound("EMG")
    mic, _ = sound("Snoring")
    path = edf_file(tmp_path / "night.edf", [other, mic])
    assert open_channel(path).label == "Snoring"
    assert open_channel(path, "emg").label == "EMG"
    assert is_edf(path)


@pytest.mark.parametrize(
    ("signals", "channel", "words"),
    [
        ([slow()], None, "not clear which channel is the microphone.*'Flow' 32 Hz"),
        ([slow(), sound("A")[0], sound("B")[0]], None, "'A' 8000 Hz, 'B' 8000 Hz"),
        ([slow(), sound()[0]], "Flow", "32 Hz, which is no sound"),
        ([slow(), sound()[0]], "Tracheal", "no channel 'Tracheal'"),
    ],
)
def test_an_unclear_channel_is_asked_for_by_listing_them(tmp_path, signals, channel, words):
    path = edf_file(tmp_path / "night.edf", signals)
    with pytest.raises(AudioError, match=words):
        Night(path, channel=channel)


def test_interrupted_edf_keeps_its_gaps(tmp_path):
    signal, _ = sound(seconds=6)
    path = edf_file(tmp_path / "night.edf", [signal], annotations=[])
    continuous = whole(Night(path))
    raw = path.read_bytes().replace(b"EDF+C", b"EDF+D", 1)
    for second in (5, 4, 3):  # the second half began four seconds later
        raw = raw.replace(b"+%d\x14\x14" % second, b"+%d\x14\x14" % (second + 4))
    path.write_bytes(raw)
    night = Night(path)
    samples = whole(night)
    assert night.duration_s == 10
    assert len(samples) == 10 * RATE
    assert np.isnan(samples[3 * RATE : 7 * RATE]).all()
    np.testing.assert_allclose(samples[RATE : 2 * RATE], continuous[RATE : 2 * RATE], atol=1e-6)
    np.testing.assert_allclose(samples[-RATE:], continuous[-RATE:], atol=1e-6)


def test_edf_that_ends_early_gives_what_it_holds(tmp_path):
    signal, _ = sound()
    path = edf_file(tmp_path / "night.edf", [signal])
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[: len(whole_file) // 2])
    night = Night(path)
    assert 9 * RATE <= len(whole(night)) <= 10 * RATE
    assert "header promises 20 s" in night.files[0]["reason"]


def test_a_damaged_edf_header_is_told(tmp_path):
    signal, _ = sound()
    path = edf_file(tmp_path / "night.edf", [signal])
    raw = bytearray(path.read_bytes())
    raw[244:252] = b"nonsense"
    path.write_bytes(raw)
    with pytest.raises(AudioError, match="header that is damaged"):
        Night(path)


# Time ---------------------------------------------------------------------------------------------------


def test_lights_are_clock_times_next_to_the_recording():
    recording = Recording(np.zeros(4 * 3600, np.float32), 1.0)  # a night at 1 Hz: nobody decodes it here
    night = Night(recording, started="2026-01-31 23:05", lights_out="23:15", lights_on="02:05")
    assert (night.lights_out_s, night.lights_on_s) == (600, 3 * 3600)
    before = Night(recording, started="2026-01-31 23:05", lights_out="22:50", lights_on=7200)
    assert (before.lights_out_s, before.lights_on_s) == (-900, 7200)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lights_out": "23:15"}, "give started"),
        ({"lights_out": "quarter past"}, "expected a clock time"),
        ({"lights_out": -5}, "seconds of 0 or more"),
        ({"lights_out": 7, "lights_on": 3}, "lights out before lights on"),
        ({"lights_out": 90}, "both while it ran"),
        ({"started": "tonight"}, "expected date and time"),
        ({"starts": [1.0, 2.0]}, "expected one for each of the 1 files"),
        ({"starts": [-1.0]}, "seconds of 0 or more"),
    ],
)
def test_times_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ParameterError, match=words):
        Night(Recording(noise(10), RATE), **settings)


# Cutting and telling apart --------------------------------------------------------------------------------


def test_cuts_are_the_samples_of_the_whole(files):
    paths = files(a=40, b=35)
    night = Night(paths, starts=[0.0, 45.0])
    samples = whole(night)
    spans = [(70.0, 75.0), (0.5, 1.5), (39.0, 46.0), (0.0, 80.0)]
    cut = dict(night.cuts(spans))
    assert set(cut) == {0, 1, 2, 3}
    for index, (start, end) in enumerate(spans):
        assert cut[index].start_s == start
        np.testing.assert_array_equal(cut[index].samples, samples[round(start * RATE) : round(end * RATE)])
    np.testing.assert_array_equal(night.cut(3.0, 4.0).samples, samples[3 * RATE : 4 * RATE])


def test_cuts_outside_the_night_are_refused(files):
    night = Night(files(a=5))
    with pytest.raises(AudioError, match=r"the night ends at 5\.0 s"):
        night.cut(7, 9)
    with pytest.raises(ParameterError, match="0 <= start < end"):
        night.cut(3, 2)


def test_fingerprints_tell_nights_apart_and_survive_copying(files, tmp_path):
    a, b = files(a=2, b=2)
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / "a.wav"
    copy.write_bytes(a.read_bytes())
    assert Night(a).fingerprint() == Night(copy).fingerprint()
    assert Night(a).fingerprint() != Night(b).fingerprint()
    assert Night([a, b]).fingerprint() != Night([a, b], starts=[0.0, 60.0]).fingerprint()


def test_reading_makes_no_noise(files):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole(Night(files(a=2)))
