"""Made-up voices: what was asked for is what Praat, which knows nothing of it, reads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from vocalbio import ParameterError, Voice
from vocalbio.datasets import voices
from vocalbio.datasets.voices import VoiceParameters, make_cohort, synthesize_voice

SUSTAINED = {"syllables_per_s": 0, "pause_count": 0, "f0_sd_st": 0, "hnr_db": 40, "shimmer": 0.01, "jitter": 0.002}


def read(duration_s: float = 3.0, seed: int = 0, **asked: float):
    voice = synthesize_voice(VoiceParameters(**asked), duration_s, seed=seed)
    return voice, dict(zip(Voice().names, Voice().extract(voice.recording).values, strict=True))


@pytest.mark.parametrize("f0_hz", [80, 120, 210, 300])
def test_pitch_is_what_was_asked_for(f0_hz):
    _, heard = read(**{**SUSTAINED, "f0_hz": f0_hz})
    assert heard["f0_median_hz"] == pytest.approx(f0_hz, rel=0.005)


@pytest.mark.parametrize("jitter", [0.005, 0.01, 0.02])
def test_jitter_is_what_was_asked_for(jitter):
    _, heard = read(6.0, **{**SUSTAINED, "jitter": jitter})
    assert heard["jitter_local"] == pytest.approx(jitter, rel=0.25)


@pytest.mark.parametrize("shimmer", [0.03, 0.06])
def test_shimmer_is_what_was_asked_for(shimmer):
    _, heard = read(6.0, **{**SUSTAINED, "shimmer": shimmer})
    assert heard["shimmer_local"] == pytest.approx(shimmer, rel=0.25)


def test_breathier_voices_have_less_harmonic_power():
    heard = [read(**{**SUSTAINED, "hnr_db": hnr})[1]["hnr_db"] for hnr in (5, 12, 20, 30)]
    assert np.all(np.diff(heard) > 3)


@pytest.mark.parametrize("pause_count", [0, 1, 3])
def test_pauses_are_found_and_measured(pause_count):
    voice, heard = read(6.0, seed=pause_count, pause_count=pause_count, pause_s=0.6)
    assert len(voice.pauses_s) == pause_count
    assert heard["pause_count"] == pause_count
    if pause_count:
        assert heard["pause_mean_s"] == pytest.approx(np.diff(voice.pauses_s).mean(), abs=0.06)


def test_syllables_and_intonation_of_running_voices():
    voice, heard = read(8.0, f0_sd_st=2.5, syllables_per_s=4.5, pause_count=2)
    assert heard["syllable_count"] == pytest.approx(voice.syllable_count, abs=2)
    assert heard["f0_sd_st"] == pytest.approx(2.5, rel=0.25)
    assert heard["f0_median_hz"] == pytest.approx(120, rel=0.03)


def test_a_short_tract_has_higher_formants():
    long, short = (read(6.0, tract=tract)[1] for tract in (1.0, 1.2))
    assert short["f1_median_hz"] / long["f1_median_hz"] == pytest.approx(1.2, abs=0.1)
    assert short["f3_median_hz"] / long["f3_median_hz"] == pytest.approx(1.2, abs=0.1)


def test_level_is_what_was_asked_for():
    voice, _ = read(**{**SUSTAINED, "level_db": -30})
    vowel = voice.recording.samples[8_000:-8_000]
    assert 10 * np.log10(np.mean(vowel**2)) == pytest.approx(-30, abs=1.5)


def test_room_noise_fills_the_pauses():
    voice, _ = read(level_db=-20, snr_db=45)
    start, end = (voice.pauses_s[0] * 16_000).astype(int)
    room = voice.recording.samples[start + 100 : end - 100]
    assert 10 * np.log10(np.mean(room**2)) == pytest.approx(-65, abs=0.5)


def test_the_pulses_tell_the_jitter_by_its_formula():
    voice, _ = read(30.0, **{**SUSTAINED, "jitter": 0.01})
    periods = np.diff(voice.period_times_s)
    assert np.abs(np.diff(periods)).mean() / periods.mean() == pytest.approx(0.01, rel=0.05)


def test_a_seed_makes_the_same_samples_and_another_does_not():
    one, same, other = (synthesize_voice(seed=seed).recording.samples for seed in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_recording_of_a_cohort_does_not_depend_on_how_many_are_made():
    small, truth = make_cohort(2, 3, seed=7)
    large, _ = make_cohort(3, 4, seed=7)
    assert [r.file for r in small] == truth["file"].tolist()
    by_name = {r.file: r.samples for r in large}
    assert all(np.array_equal(r.samples, by_name[r.file]) for r in small)


def test_the_first_recording_of_a_speaker_has_chances_of_its_own(monkeypatch):
    # a speaker's pitch is a draw, and so is what each recording adds to it: the two must not be the same draw
    silent = SimpleNamespace(recording=None, syllable_count=0, pauses_s=np.zeros((1, 2)))
    monkeypatch.setattr(voices, "synthesize_voice", lambda *_, **__: silent)
    _, truth = make_cohort(100, 9, classes=["neutral"], seed=3)
    pitch = np.log2(truth["f0_hz"].to_numpy()).reshape(100, 9)
    usual = pitch[:, 1:].mean(axis=1)
    for tract in (slice(0, None, 2), slice(1, None, 2)):  # each has a middle of its own
        assert abs(np.corrcoef(usual[tract], (pitch[:, 0] - usual)[tract])[0, 1]) < 0.5


def test_speakers_differ_more_than_classes_do():
    _, truth = make_cohort(12, 6, seed=0)
    log_f0 = np.log(truth["f0_hz"])
    between_speakers = log_f0.groupby(truth["speaker"]).mean().std()
    between_classes = log_f0.groupby(truth["label"]).mean().std()
    assert between_speakers > 3 * between_classes


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VoiceParameters(f0_hz=5), "f0_hz is 5; expected a number from 50 to 500"),
        (lambda: VoiceParameters(f0_hz="low"), "f0_hz is 'low'; expected a number"),
        (lambda: VoiceParameters(hnr_db=float("nan")), "hnr_db is nan; expected a number"),
        (lambda: VoiceParameters(snr_db=float("nan")), "snr_db is nan; expected a number"),
        (lambda: VoiceParameters(pause_count=1.5), "pause_count is 1.5; expected a whole number"),
        (lambda: synthesize_voice(VoiceParameters(pause_count=9), 2.0), "9 pauses of 0.50 s leave"),
        (lambda: synthesize_voice(duration_s=float("nan")), "duration_s is nan; expected seconds"),
        (lambda: synthesize_voice(seed="mine"), "seed is 'mine'; expected a whole number"),
        (lambda: make_cohort(classes=["bored"]), "expected a list of some of neutral, sad, anxious"),
        (lambda: make_cohort(classes="sad"), "classes are 'sad'; expected a list"),
        (lambda: make_cohort(0), "n_speakers is 0; expected a whole number of at least 1"),
        (lambda: make_cohort(seed=-1), "seed is -1; expected a whole number of at least 0"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(call, words):
    with pytest.raises(ParameterError, match=words):
        call()


def test_a_recording_too_short_for_its_pauses_is_told_how_long_it_must_be():
    asked = VoiceParameters(pause_count=4)
    with pytest.raises(ParameterError, match="expected a duration_s of ") as refused:
        synthesize_voice(asked, 2.0, seed=8)
    enough_s = float(str(refused.value).split("duration_s of ")[1].split()[0])
    assert len(synthesize_voice(asked, enough_s, seed=8).pauses_s) == 4
