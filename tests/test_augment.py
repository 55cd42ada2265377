"""Augmented copies: what was asked for is what is in them, and they are of nobody who is tested."""

from __future__ import annotations

import inspect
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.base import BaseEstimator, ClassifierMixin

from vocalbio import FeatureExtractor, Recording, cross_validate, errors, extract_features
from vocalbio.augment import (
    Augmentation,
    Bandwidth,
    Codec,
    Gain,
    Noise,
    PitchShift,
    Room,
    TimeStretch,
    copies,
    mask_frames,
    through_codec,
)
from vocalbio.augment.codec import CODECS
from vocalbio.datasets import speaker_folds
from vocalbio.errors import AudioError, LeakageError, MissingPackageError, ParameterError

RATE = 16_000


def tone(frequency_hz: float = 150.0, duration_s: float = 1.0, file: str | None = None) -> Recording:
    times_s = np.arange(int(RATE * duration_s)) / RATE
    return Recording(0.1 * np.sin(2 * np.pi * frequency_hz * times_s), RATE, file)


def hum(rng: np.random.Generator, duration_s: float = 1.0) -> Recording:
    """Noise below 1 kHz: in every codec's band, and unlike itself at any other time."""
    spectrum = np.fft.rfft(rng.standard_normal(int(RATE * duration_s)))
    spectrum[np.abs(np.fft.rfftfreq(int(RATE * duration_s), 1 / RATE) - 700) > 300] = 0
    return Recording(0.3 * np.fft.irfft(spectrum), RATE)


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=float))))


def band_db(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(10 * np.log10(spectrum[(frequencies_hz >= low_hz) & (frequencies_hz < high_hz)].sum() + 1e-12))


def loudest_hz(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * RATE))) / 8)


# Transforms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["white", "pink", [tone(900, 0.3), tone(1700, 0.2)]], ids=["white", "pink", "given"])
@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_noise_is_as_far_below_the_recording_as_asked(kind: Any, snr_db: float) -> None:
    voice = tone()
    noisy = Augmentation([Noise(snr_db, kind)])(voice)
    assert power_db(voice.samples) - power_db(noisy.samples - voice.samples) == pytest.approx(snr_db, abs=0.05)


def test_pink_noise_has_equal_power_in_every_octave_and_white_noise_three_db_more_in_each_higher_one() -> None:
    voice = tone(duration_s=20)
    for kind, step_db in (("pink", 0.0), ("white", 3.01)):
        noise = Augmentation([Noise(0, kind)])(voice).samples - voice.samples
        octaves = [band_db(noise, low, 2 * low) for low in (250, 500, 1000, 2000, 4000)]
        assert np.diff(octaves) == pytest.approx(step_db, abs=0.4)


def test_noise_leaves_silence_silent() -> None:
    silence = Recording(np.zeros(RATE), RATE)
    assert not Augmentation([Noise(0)])(silence).samples.any()


def test_gain_scales_and_clips_as_a_recorder() -> None:
    assert Augmentation([Gain(6.0206)])(Recording([0.1, -0.7], RATE)).samples == pytest.approx([0.2, -1.0], abs=1e-5)


def test_bandwidth_takes_away_what_is_above_and_nothing_below(rng: np.random.Generator) -> None:
    wide = Recording(0.1 * rng.standard_normal(4 * RATE), RATE)
    narrow = Augmentation([Bandwidth(4000)])(wide).samples
    assert len(narrow) == len(wide.samples)
    assert band_db(narrow, 100, 3500) == pytest.approx(band_db(wide.samples, 100, 3500), abs=0.1)
    assert band_db(narrow, 4200, 8000) < band_db(wide.samples, 4200, 8000) - 60
    np.testing.assert_array_equal(Augmentation([Bandwidth(8000)])(wide).samples, wide.samples)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_a_stretched_voice_is_longer_by_the_rate_and_of_the_same_pitch(rate: float) -> None:
    pytest.importorskip("audiomentations")
    found = Augmentation([TimeStretch(rate)])(tone(220, 2))
    assert found.duration_s == pytest.approx(2 / rate, abs=0.01)
    assert loudest_hz(found.samples) == pytest.approx(220, rel=0.01)


@pytest.mark.parametrize("semitones", [-2, 3])
def test_a_shifted_voice_is_higher_by_the_semitones_and_as_long(semitones: int) -> None:
    pytest.importorskip("audiomentations")
    found = Augmentation([PitchShift(semitones)])(tone(220, 2))
    assert len(found.samples) == 2 * RATE
    assert loudest_hz(found.samples) == pytest.approx(220 * 2 ** (semitones / 12), rel=0.01)


def test_a_room_of_ones_own_is_the_convolution_with_its_response_at_the_same_level(rng: np.random.Generator) -> None:
    voice = hum(rng)
    response = np.array([0.0, 0.0, 1.0, 0.0, -0.4])
    found = Augmentation([Room(responses=[Recording(response, RATE)])])(voice).samples
    expected = np.convolve(voice.samples, [1, 0, -0.4])[: len(voice.samples)]
    expected *= voice.samples.std() / expected.std()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_larger_reverberation_time_decays_for_longer_and_sound_stays_where_it_was() -> None:
    pytest.importorskip("pyroomacoustics")

    def decay_s(response: np.ndarray) -> float:
        """From -5 to -25 dB of Schroeder's backward integral, times three."""
        left = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2))
        return 3 * (np.argmax(left < -25) - np.argmax(left < -5)) / RATE

    rooms = [Room(rt60_s, 1.0) for rt60_s in (0.2, 0.3, 0.5)]
    decays = [decay_s(room.response(RATE, np.random.default_rng(0))) for room in rooms]
    assert decays == pytest.approx([0.2, 0.3, 0.5], rel=0.5)
    assert decays == sorted(decays)
    click = Recording(0.5 * np.eye(1, RATE, 5000)[0], RATE)
    found = Augmentation(rooms[:1])(click).samples
    assert np.argmax(np.abs(found)) == 5000
    assert np.abs(found[:4900]).max() < 1e-3


@pytest.mark.parametrize("name", list(CODECS))
def test_a_codec_keeps_time_length_and_most_of_the_sound(name: str, rng: np.random.Generator) -> None:
    voice = hum(rng, 1.234)
    sent = through_codec(voice, name).samples
    assert len(sent) == len(voice.samples)
    lags = np.arange(-800, 801)
    alike = [np.dot(np.roll(sent, lag), voice.samples) for lag in lags]
    assert abs(lags[np.argmax(alike)]) <= 2  # an eighth of a millisecond
    if name != "mobile":  # a codec of a speech model hears no speech here
        assert np.corrcoef(sent, voice.samples)[0, 1] > 0.9
    assert not np.array_equal(sent, voice.samples)


@pytest.mark.parametrize("name", ["telephone", "mobile"])
def test_a_telephone_has_nothing_above_four_khz(name: str, rng: np.random.Generator) -> None:
    wide = Recording(0.1 * rng.standard_normal(RATE), RATE)
    sent = through_codec(wide, name).samples
    assert band_db(sent, 4200, 8000) < band_db(sent, 500, 3000) - 40


def test_the_landline_is_as_noisy_as_g711() -> None:
    voice = tone(1000)
    error = through_codec(voice, "telephone").samples - voice.samples
    assert 30 < power_db(voice.samples[1000:-1000]) - power_db(error[1000:-1000]) < 42  # theory: about 38 dB


def test_more_bits_lose_less(rng: np.random.Generator) -> None:
    voice = hum(rng, 2)
    lost = [
        power_db(through_codec(voice, "opus", bit_rate=bits).samples - voice.samples)
        for bits in (8_000, 16_000, 48_000)
    ]
    assert lost == sorted(lost, reverse=True)


# Recipes -------------------------------------------------------------------------------------------------


def test_a_copy_depends_on_the_sound_and_the_seed_alone() -> None:
    recipe = Augmentation([Noise((0, 30), "pink"), Gain(), Codec(("opus", "telephone"))], probability=0.7)
    voice, other = tone(file="a.wav"), tone(190, file="b.wav")
    first = recipe(voice, seed=3).samples
    recipe(other, seed=3)
    np.testing.assert_array_equal(recipe(Recording(voice.samples, RATE, "renamed.wav"), seed=3).samples, first)
    assert not np.array_equal(recipe(voice, seed=4).samples, first)
    # two recordings do not get one and the same noise
    white = Augmentation([Noise(0)])
    noises = [white(clip).samples - clip.samples for clip in (voice, other)]
    assert abs(np.corrcoef(*noises)[0, 1]) < 0.05


def test_the_generators_of_the_process_are_not_touched() -> None:
    pytest.importorskip("audiomentations")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the shared generator is what is tested
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    voice = tone()
    one = Augmentation([TimeStretch(), PitchShift(), Noise()])(voice).samples
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    random.seed(2)
    np.testing.assert_array_equal(Augmentation([TimeStretch(), PitchShift(), Noise()])(voice).samples, one)


def test_probability_is_the_share_of_copies_that_a_transform_is_in() -> None:
    voice = tone(duration_s=0.05)
    recipe = Augmentation([Gain(-6)], probability=0.3)
    changed = [recipe(voice, seed).samples.max() < 0.09 for seed in range(400)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.07)


def test_a_function_of_ones_own_is_a_transform() -> None:
    def reversed_(recording: Recording, rng: np.random.Generator) -> Recording:
        return Recording(recording.samples[::-1], recording.sampling_rate_hz, recording.file)

    voice = tone(duration_s=0.1, file="a.wav")
    np.testing.assert_array_equal(Augmentation([reversed_])(voice).samples, voice.samples[::-1])


def test_the_original_is_not_changed_and_its_name_and_start_stay() -> None:
    voice = tone(file="a.wav").cut(0.25, 0.75)
    before = voice.samples.copy()
    found = Augmentation([Noise(0)])(voice)
    np.testing.assert_array_equal(voice.samples, before)
    assert (found.file, found.start_s, found.sampling_rate_hz) == ("a.wav", 0.25, RATE)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Noise("loud"), "snr_db is 'loud'; expected a number, or"),
        (lambda: Noise((30, 5)), r"snr_db is \(30, 5\)"),
        (lambda: Noise(10, "brown"), "kind is 'brown'; expected 'white', 'pink'"),
        (lambda: Gain(100), "gain_db is 100.*between -60 and 60"),
        (lambda: Bandwidth(10), "bandwidth_hz is 10"),
        (lambda: TimeStretch(0), "rate is 0"),
        (lambda: PitchShift((-20, 20)), "semitones is"),
        (lambda: Room(rt60_s=9), "rt60_s is 9"),
        (lambda: Room(size_m=(4.0, 3.0)), "size_m is .*length, width and height"),
        (lambda: Room(distance_m=4.5), "distance_m is 4.5"),
        (lambda: Room(responses=["a.wav"]), "responses holds something else"),
        (lambda: Codec(("gsm",)), "names is .*expected a list of some of mp3"),
        (lambda: Codec("mp3"), "names is 'mp3'; expected a list"),
        (lambda: through_codec(tone(), "wax"), "codec 'wax' is unknown"),
        (lambda: through_codec(tone(), "telephone", bit_rate=1), "has one only"),
        (lambda: through_codec(tone(), "mp3", bit_rate="32k"), "bit_rate is '32k'; expected bits a second"),
        (lambda: Augmentation([Noise()])(tone(), seed=-1), "seed is -1"),
        (lambda: Augmentation([Noise()])(tone(), seed="a"), "seed is 'a'"),
        (lambda: Augmentation([]), "transforms holds none"),
        (lambda: Augmentation([Noise]), "transforms holds none, or something else"),
        (lambda: Augmentation([Noise()], probability=2), "probability is 2"),
        (lambda: copies([tone()], Noise()), "recipe is a Noise; expected an Augmentation"),
        (lambda: copies([tone()], Augmentation([Noise()]), n=0), "n is 0"),
        (lambda: copies([tone()], Augmentation([Noise()]), seed=-1), "seed is -1"),
        (lambda: copies([], Augmentation([Noise()])), "audio is empty"),
        (lambda: copies([3], Augmentation([Noise()])), "audio holds a int"),
        (lambda: mask_frames(np.zeros(3)), r"values is float64 of shape \(3,\)"),
        (lambda: mask_frames(np.zeros((3, 2)), longest=2), "longest is 2"),
        (lambda: mask_frames(np.zeros((3, 2)), n_times=-1), "n_times is -1"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_at_once(make: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        make()


def test_what_cannot_be_heard_is_refused() -> None:
    with pytest.raises(AudioError):
        Augmentation([Noise()])(Recording(np.zeros(0), RATE))


@pytest.mark.parametrize(
    ("package", "transform"), [("audiomentations", TimeStretch()), ("pyroomacoustics", Room()), ("av", Codec(("mp3",)))]
)
def test_without_its_package_the_pip_line_is_named(
    package: str, transform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    from vocalbio.augment import codec

    codec._delay.cache_clear()
    with pytest.raises(MissingPackageError, match=r"pip install '(vocalbio\[augment\]|av)'"):
        Augmentation([transform])(tone())


# Masks ---------------------------------------------------------------------------------------------------


def test_masks_hide_stretches_behind_the_mean_of_each_feature(rng: np.random.Generator) -> None:
    values = rng.normal(size=(200, 12)).astype(np.float32)
    values[5, 3] = np.nan
    masked = mask_frames(values, n_times=3, longest=0.2, n_bands=1, widest=0.5, seed=4)
    hidden = (masked != values) & ~(np.isnan(masked) & np.isnan(values))
    assert hidden.any()
    means = np.broadcast_to(np.nanmean(values, axis=0), values.shape)
    np.testing.assert_allclose(masked[hidden], means[hidden], atol=1e-6)
    whole_rows, whole_columns = hidden.all(axis=1), hidden.all(axis=0)
    assert whole_rows.sum() <= 3 * 40
    assert whole_columns.sum() <= 6
    assert not hidden[~whole_rows][:, ~whole_columns].any()
    np.testing.assert_array_equal(masked, mask_frames(values, n_times=3, longest=0.2, n_bands=1, widest=0.5, seed=4))
    np.testing.assert_array_equal(mask_frames(values, n_times=0), values)


# Copies --------------------------------------------------------------------------------------------------

RECIPE = Augmentation([Noise((5, 30)), Gain((-6, 6))])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.wav" for number in range(3)]
    for number, path in enumerate(paths):
        soundfile.write(path, tone(120 + 40 * number, 0.8).samples, RATE)
    return paths


def test_copies_know_their_rows_and_are_the_same_in_any_company(files: list[Path]) -> None:
    made = copies(files, RECIPE, n=2, seed=5)
    assert made.rows.tolist() == [0, 1, 2, 0, 1, 2]
    assert len(made) == 6
    assert [Path(str(copy.file)).name for copy in made] == [f"{n}.wav#copy{k}" for k in (1, 2) for n in range(3)]
    alone = copies(files[2], RECIPE, n=2, seed=5)
    np.testing.assert_array_equal(alone[1].samples, made[5].samples)
    assert not np.array_equal(made[2].samples, made[5].samples)
    assert not np.array_equal(copies(files, RECIPE, seed=6)[2].samples, made[2].samples)
    with pytest.raises(IndexError):
        made[6]


def test_measured_copies_are_the_features_of_the_copies_however_many_at_once(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, extractor = copies(files, RECIPE, n=2), FeatureExtractor(["voice"])
    whole = made.measure(extractor)
    monkeypatch.setattr("vocalbio.augment.augmented.BLOCK", 4)
    pd.testing.assert_frame_equal(made.measure(extractor), whole)
    pd.testing.assert_frame_equal(extractor.transform(list(made)), whole)
    assert whole.attrs["vocalbio"] == extract_features(files, ["voice"]).attrs["vocalbio"]


def test_a_recording_that_cannot_be_copied_keeps_its_rows_and_its_reason(files: list[Path]) -> None:
    made = copies([files[0], "nowhere.wav"], RECIPE, n=2)  # nothing is read before it is asked for
    X = made.measure(FeatureExtractor(["voice"]))
    assert X["quality__ok"].tolist() == [1, 0, 1, 0]
    assert errors(X)["stage"].tolist() == ["audio", "audio"]
    assert errors(X)["reason"].str.contains("nowhere.wav").all()


def test_windows_are_copied_by_their_index(files: list[Path]) -> None:
    windows = extract_features(files[:1], ["voice"], window_s=0.5, hop_s=0.2)
    made = copies(windows.index, Augmentation([Gain(-6)]))
    X = made.measure(FeatureExtractor(["voice"]))
    assert X.index.get_level_values("start").tolist() == windows.index.get_level_values("start").tolist()
    np.testing.assert_allclose(X["voice__f0_median_hz"], windows["voice__f0_median_hz"], rtol=1e-3)
    with pytest.raises(ParameterError, match="pass copies"):
        made.measure(FeatureExtractor(["voice"], window_s=0.5))
    with pytest.raises(ParameterError, match="expected file, start, end"):
        copies(windows.index.droplevel("end"), RECIPE)


# Training folds ------------------------------------------------------------------------------------------


class Listening(ClassifierMixin, BaseEstimator):
    """Remembers which rows it was fitted on: the features hold speaker and row."""

    heard: list[Any] = []  # noqa: RUF012 - shared by all clones

    def fit(self, X: Any, y: Any, groups: Any = None) -> Listening:
        self.classes_ = np.unique(y)
        self.heard.append((X[["a__speaker", "a__row", "a__copy"]].to_numpy(int), np.asarray(y), np.asarray(groups)))
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), 0.5)


def cohort(n_copies: int = 2) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, pd.DataFrame, np.ndarray]:
    """Six speakers of four rows each, and copies of all rows."""
    speakers = np.repeat(np.arange(6), 4)
    rows = np.arange(24)

    def table(rows: np.ndarray, copy: np.ndarray, names: list[str]) -> pd.DataFrame:
        zero = pd.to_timedelta(np.zeros(len(rows)), unit="s")
        index = pd.MultiIndex.from_arrays([names, zero, zero], names=["file", "start", "end"])
        return (
            pd.DataFrame({"a__speaker": speakers[rows], "a__row": rows, "a__copy": copy}).set_index(index).astype(float)
        )

    originals = np.tile(rows, n_copies)
    numbers = np.repeat(np.arange(1, n_copies + 1), 24)
    names = [f"{row}.wav#copy{number}" for row, number in zip(originals, numbers, strict=True)]
    X = table(rows, np.zeros(24), [f"{row}.wav" for row in rows])
    return X, np.tile([0, 1], 12), speakers, table(originals, numbers, names), originals


def test_in_plain_folds_copies_follow_their_rows_and_no_copy_is_of_a_tested_speaker() -> None:
    _, y, speakers, X_copies, originals = cohort()
    for train, test in speaker_folds(y, speakers, 3):
        own = np.flatnonzero(np.isin(originals, train))
        assert len(own) == 2 * len(train)
        assert not set(X_copies["a__speaker"].iloc[own]) & set(speakers[test])
        assert set(X_copies["a__row"].iloc[own]) == set(train.tolist())


augments = pytest.mark.skipif(
    "augmented" not in inspect.signature(cross_validate).parameters, reason="cross_validate takes no copies yet"
)


@augments
def test_cross_validation_trains_on_copies_of_training_rows_and_tests_on_originals_alone() -> None:
    X, y, speakers, X_copies, originals = cohort()
    Listening.heard.clear()
    result = cross_validate(Listening(), X, y, groups=speakers, cv=3, augmented=(X_copies, originals),
                            baselines=False, n_resamples=20)  # fmt: skip
    assert len(Listening.heard) == 3
    for heard, labels, groups in Listening.heard:
        spoken, rows, copied = heard.T
        tested = result.predictions[~result.predictions["row"].isin(rows)]
        assert len(tested) == 8
        assert not set(spoken) & set(speakers[tested["row"]])
        assert sorted(zip(rows, copied, strict=True)) == [(row, k) for row in np.unique(rows) for k in range(3)]
        np.testing.assert_array_equal(labels, y[rows])
        np.testing.assert_array_equal(groups, speakers[rows])
    assert sorted(result.predictions["row"]) == list(range(24))


@augments
def test_copies_said_to_be_of_other_rows_are_a_leak() -> None:
    X, y, speakers, X_copies, originals = cohort()
    with pytest.raises(LeakageError, match=r"a copy of 0\.wav is said to be one of row 5, which is 5\.wav"):
        cross_validate(Listening(), X, y, groups=speakers, cv=3, augmented=(X_copies, (originals + 5) % 24))


@augments
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X, rows: X, "augmented is something else"),
        (lambda X, rows: (X, rows[:-1]), "one row of X, from 0 to 23, for each of 48 copies"),
        (lambda X, rows: (X, rows + 0.5), "one row of X"),
        (lambda X, rows: (X.iloc[:, :1], rows), "other features than X"),
    ],
)
def test_copies_that_do_not_fit_are_refused(change: Any, match: str) -> None:
    X, y, speakers, X_copies, originals = cohort()
    with pytest.raises(ParameterError, match=match):
        cross_validate(Listening(), X, y, groups=speakers, cv=3, augmented=change(X_copies, originals))
