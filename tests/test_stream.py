"""Breathing made by formula: where it stops is known, and that is what the monitor must say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from vocalbio import AlarmPolicy, Monitor
from vocalbio.audio import Recording
from vocalbio.augment import Room
from vocalbio.errors import AudioError, ParameterError
from vocalbio.stream import Rule
from vocalbio.stream.breaths import BurstTracker
from vocalbio.stream.events import EventMachine
from vocalbio.stream.frames import N_COLUMNS, Second, measure_seconds

RATE = 16_000


def breathing(
    seconds: float,
    pauses: Sequence[tuple[float, float]] = (),
    *,
    period_s: float = 4.0,
    snr_db: float = 30.0,
    soft: Sequence[tuple[float, float]] = (),
    seed: int = 0,
) -> np.ndarray:
    """Inhaling and a quieter exhaling, of filtered noise; none in `pauses`, a quarter of the amplitude in `soft`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    cycle = np.sin(2 * np.pi * time / period_s)
    loudness = np.abs(cycle) * np.where(cycle > 0, 1.0, 0.35)
    for start, end in pauses:
        loudness[(time > start) & (time < end)] = 0
    for start, end in soft:
        loudness[(time > start) & (time < end)] *= 0.25
    noise = np.convolve(rng.standard_normal(len(time)), np.ones(4) / 2, "same")
    room = rng.standard_normal(len(time)) * 10 ** (-snr_db / 20)
    return (0.03 * (loudness * noise + room)).astype(np.float32)


def events_of(samples: np.ndarray, rate: int = RATE, block: int = RATE, **settings) -> pd.DataFrame:
    monitor = Monitor(rate, **settings)
    for start in range(0, len(samples), block):
        monitor.push(samples[start : start + block])
    return monitor.finish().events


def test_a_display_need_not_wait_for_what_is_settled():
    monitor = Monitor(RATE)
    monitor.push(breathing(200))
    now = monitor.preliminary(10.0)
    assert len(now) == monitor.heard_s - 10 > len(monitor.evidence)
    np.testing.assert_array_equal(now[: len(monitor.evidence) - 10], monitor.evidence.to_numpy()[10:])


@pytest.mark.parametrize("snr_db", [30.0, 10.0])
@pytest.mark.parametrize("period_s", [3.0, 4.0, 6.0])
def test_a_pause_in_regular_breathing_is_an_apnea_of_that_length(period_s, snr_db):
    pauses = [(120.0, 132.0), (216.0, 246.0), (300.0, 360.0)]
    found = events_of(breathing(420, pauses, period_s=period_s, snr_db=snr_db))
    assert found["kind"].tolist() == ["apnea"] * 3
    # a breath may end up to its own length before the pause begins or begin as long after it ended
    np.testing.assert_allclose(found[["start_s", "end_s"]], pauses, atol=period_s / 2 + 1)
    assert (found["confidence"] > 0.6).all()


@pytest.mark.parametrize("period_s", [2.5, 4.0, 7.0])
def test_regular_breathing_has_no_events(period_s):
    assert events_of(breathing(600, period_s=period_s, snr_db=15)).empty


def test_a_pause_shorter_than_ten_seconds_is_none():
    assert events_of(breathing(300, [(120.0, 128.0), (200.0, 207.0)])).empty


def test_silence_noise_and_a_room_that_was_left_are_none():
    rng = np.random.default_rng(0)
    room = (1e-3 * rng.standard_normal(300 * RATE)).astype(np.float32)
    assert events_of(room).empty
    assert events_of(np.zeros(300 * RATE, np.float32)).empty
    left = np.concatenate([breathing(100), 0.001 * room, breathing(100, seed=1)])
    assert events_of(left).empty  # five minutes without a breath are no apnea


def test_drop_outs_are_no_pauses_and_not_usable():
    sound = breathing(300)
    sound[120 * RATE : 145 * RATE] = 0
    monitor = Monitor(RATE)
    monitor.push(sound)
    report = monitor.finish()
    assert report.events.empty
    assert (report.evidence.loc[121.0:143.0, "usable"] == 0).all()
    assert report.evidence["usable"].mean() > 0.9


def test_sound_that_was_lost_keeps_its_time():
    sound = breathing(300, [(220.0, 250.0)])
    whole = events_of(sound)
    monitor = Monitor(RATE)
    monitor.push(sound[: 100 * RATE])
    monitor.skip(20)
    monitor.push(sound[120 * RATE :])
    report = monitor.finish()
    assert report.events.equals(whole)
    assert report.evidence.loc[100.0:119.0, "breath"].isna().all()
    assert report.evidence.loc[100.0:119.0, "usable"].eq(0).all()


def talking() -> np.ndarray:
    """Syllables of changing vowels, as in speech, with silence between the sentences."""
    rng = np.random.default_rng(3)
    pieces = []
    for _ in range(30):
        for _ in range(rng.integers(6, 14)):
            length = round(rng.uniform(0.12, 0.25) * RATE)
            time = np.arange(length) / RATE
            source = np.sign(np.sin(2 * np.pi * rng.uniform(100, 200) * time))
            formant = rng.uniform(300, 3000)
            kernel = np.sin(2 * np.pi * formant * np.arange(400) / RATE) * np.exp(-np.arange(400) / 80)
            pieces.append(np.convolve(source, kernel, "same") * np.hanning(length))
        pieces.append(np.zeros(round(rng.uniform(4, 16) * RATE)))
    sound = np.concatenate(pieces)
    sound = 0.2 * sound / np.abs(sound).max() + 3e-4 * rng.standard_normal(len(sound))
    return sound.astype(np.float32)


def test_voices_with_pauses_are_no_breathing():
    assert events_of(talking()).empty


def test_voices_with_pauses_across_the_room_are_no_breathing():
    pytest.importorskip("pyroomacoustics")
    far = Room(rt60_s=0.5, distance_m=2.0)(Recording(talking(), RATE), np.random.default_rng(0))
    assert events_of(far.samples).empty


@pytest.mark.parametrize("block", [RATE * 400, RATE // 2 + 1, 4_801])
def test_the_size_of_the_blocks_changes_nothing(block):
    sound = breathing(330, [(120.0, 145.0), (200.0, 215.0)])
    whole, pieces = Monitor(RATE), Monitor(RATE)
    whole.push(sound)
    for start in range(0, len(sound), block):
        pieces.push(sound[start : start + block])
    pieces.push(sound[:0])
    one, other = whole.finish(), pieces.finish()
    pd.testing.assert_frame_equal(one.events, other.events)
    pd.testing.assert_frame_equal(one.evidence, other.evidence)
    assert len(one.evidence) == 330


@pytest.mark.parametrize("rate", [44_100, 48_000, 8_000])
def test_other_sampling_rates_give_the_same_events(rate):
    import soxr

    sound = breathing(260, [(120.0, 145.0)])
    found = events_of(soxr.resample(sound, RATE, rate), rate, block=rate * 3)
    assert len(found) == 1
    np.testing.assert_allclose(found[["start_s", "end_s"]], [[120, 145]], atol=3)


def test_a_night_taken_up_again_is_the_same_night():
    sound = breathing(400, [(120.0, 145.0), (250.0, 280.0)])
    whole = Monitor(RATE)
    whole.push(sound)
    interrupted = Monitor(RATE)
    interrupted.push(sound[: 260 * RATE + 1234])
    again = Monitor(RATE)
    again.restore(interrupted.measured)
    assert again.position_s == 260.0
    again.push(sound[260 * RATE :])
    one, other = whole.finish(), again.finish()
    pd.testing.assert_frame_equal(one.events, other.events)
    pd.testing.assert_frame_equal(one.evidence, other.evidence)
    with pytest.raises(ParameterError, match="heard something already"):
        interrupted.restore(interrupted.measured)
    with pytest.raises(ParameterError, match=f"float32 of shape .n_seconds, {N_COLUMNS}."):
        Monitor(RATE).restore(np.zeros((3, 5), np.float32))


def test_an_event_is_told_while_it_goes_on_when_it_ends_and_when_it_is_settled():
    sound = breathing(420, [(120.0, 145.0)])
    monitor = Monitor(RATE)
    told = []
    for start in range(0, len(sound), RATE):
        told += [(start / RATE + 1, event) for event in monitor.push(sound[start : start + RATE])]
    when, first = told[0]
    assert first.open
    assert 10 <= when - first.start_s <= 13
    growing = [event.end_s for now, event in told if now < 145]
    assert growing == sorted(growing)
    assert len(growing) > 8
    last = told[-1][1]
    assert (last.open, last.withdrawn) == (False, False)
    assert last.end_s == pytest.approx(145, abs=2)
    assert {event.number for _, event in told} == {1}


def test_an_open_event_that_does_not_stand_is_withdrawn():
    """Breathing that stops for good: nothing follows that would make it an apnea."""
    sound = np.concatenate([breathing(120), 0.02 * breathing(300, [(0, 300)])])
    monitor = Monitor(RATE)
    told = [event for start in range(0, len(sound), RATE) for event in monitor.push(sound[start : start + RATE])]
    assert told[0].open
    assert told[-1].withdrawn
    assert monitor.finish().events.empty


def test_alarms_keep_their_distance():
    pauses = [(120.0 + 80 * k, 155.0 + 80 * k) for k in range(6)]
    monitor = Monitor(RATE, alarm=AlarmPolicy(pause_s=20, refractory_s=200))
    sound = breathing(620, pauses)
    for start in range(0, len(sound), RATE):
        monitor.push(sound[start : start + RATE])
    times = [alarm.time_s for alarm in monitor.alarms]
    assert 140 <= times[0] <= 145
    assert len(times) == 2  # the pauses between were within the refractory time
    assert np.diff(times).min() >= 200
    assert "no breathing heard for 2" in monitor.alarms[0].reason


def test_an_alarm_by_the_hour():
    monitor = Monitor(RATE, alarm=AlarmPolicy(pause_s=None, per_hour=3))
    pauses = [(120.0 + 80 * k, 135.0 + 80 * k) for k in range(4)]
    sound = breathing(480, pauses)
    for start in range(0, len(sound), RATE):
        monitor.push(sound[start : start + RATE])
    assert [alarm.reason for alarm in monitor.alarms] == ["3 events within the last hour"]


def test_snores_are_seconds_of_a_rhythm_and_one_word_is_none():
    rng = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    pulses = sum(np.sin(2 * np.pi * 60 * k * time) for k in range(1, 9)) * np.hanning(RATE)
    quiet = 3e-4 * rng.standard_normal(60 * RATE)
    snoring, once = quiet.copy(), quiet.copy()
    for start in range(5, 55, 4):
        snoring[start * RATE : (start + 1) * RATE] += 0.02 * pulses
    once[30 * RATE : 31 * RATE] += 0.02 * pulses
    loud, alone = Monitor(RATE), Monitor(RATE)
    loud.push(snoring)
    alone.push(once)
    seconds = loud.finish().evidence["snore"]
    assert set(seconds.index[seconds > 0.5]) == set(map(float, range(5, 55, 4)))
    assert alone.finish().evidence["snore"].max() == 0


def test_the_floor_follows_a_fan():
    sound = np.random.default_rng(1).standard_normal(240 * RATE) * np.repeat([1e-3, 1e-2], 120 * RATE)
    monitor = Monitor(RATE)
    monitor.push(sound)
    evidence = monitor.finish().evidence
    assert evidence["floor_db"].loc[60:110].median() == pytest.approx(-60, abs=2)
    assert evidence["floor_db"].loc[150:].median() == pytest.approx(-40, abs=2)


class Listening:
    """A trained model's stand-in: calls loud seconds snore, digital silence apnea, and tells what it was given."""

    context_s = 2
    manifest = {"validation": None}  # noqa: RUF012

    def predict_seconds(self, samples: np.ndarray) -> np.ndarray:
        assert len(samples) % RATE == 0
        seconds = samples.reshape(-1, RATE)[self.context_s : -self.context_s]
        level = np.nanmean(np.abs(seconds), axis=1)
        said = np.column_stack([level < 2, level > 0.01, level < 1e-3]).astype(np.float32)
        return said / said.sum(axis=1, keepdims=True)


def test_a_trained_model_takes_the_detectors_place():
    sound = 0.005 * np.sign(np.random.default_rng(0).standard_normal(200 * RATE)).astype(np.float32)
    sound[50 * RATE : 80 * RATE] *= 10
    sound[100 * RATE : 130 * RATE] *= 1e-2
    rule = Rule(on=0.45, off=0.4)
    whole = Monitor(RATE, model=Listening(), rule=rule)
    whole.push(sound)
    report = whole.finish()
    assert report.events[["start_s", "end_s", "kind"]].to_numpy().tolist() == [[100.0, 130.0, "apnea"]]
    assert report.evidence["snore"].loc[50:79].eq(0.5).all()
    first = Monitor(RATE, model=Listening(), rule=rule)
    first.push(sound[: 90 * RATE])
    assert first.heard_s == 88.0  # its context has not come yet
    again = Monitor(RATE, model=Listening(), rule=rule)
    again.restore(first.measured)
    assert again.position_s == 86.0
    again.push(sound[86 * RATE :])
    resumed = again.finish()
    pd.testing.assert_frame_equal(resumed.evidence, report.evidence)
    pd.testing.assert_frame_equal(resumed.events, report.events)


def test_rows_of_a_second_do_not_depend_on_their_neighbours():
    sound = breathing(20)
    rows = measure_seconds(sound)
    for second in (0, 7, 19):
        np.testing.assert_array_equal(measure_seconds(sound[second * RATE : (second + 1) * RATE])[0], rows[second])
    tone = (0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    read = Second(measure_seconds(tone)[0])
    assert read.level_db == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.01)
    assert np.argmax(read.bands_db.mean(axis=0)) == 2  # 300 to 600 Hz
    assert read.bands_db[:, 2].max() == pytest.approx(-23, abs=0.3)


def test_bursts_begin_and_end_where_the_sound_does():
    rng = np.random.default_rng(0)
    sound = 1e-3 * rng.standard_normal(40 * RATE)
    spans = [(10.0, 11.5), (14.0, 15.0), (20.5, 24.0)]
    for start, end in spans:
        sound[round(start * RATE) : round(end * RATE)] *= 20
    tracker = BurstTracker()
    for row in measure_seconds(sound.astype(np.float32)):
        tracker.update(Second(row))
    bursts = tracker.take()
    np.testing.assert_allclose([(b.start_s, b.end_s) for b in bursts], spans, atol=0.11)
    assert [b.excess_db for b in bursts] == pytest.approx([20 * np.log10(20)] * 3, abs=1.5)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([(20, 28)], []),
        ([(20, 32)], [(20, 32)]),
        ([(20, 32), (34, 40)], [(20, 40)]),  # bridged
        ([(20, 32), (39, 52)], [(20, 32), (39, 52)]),
        ([(20, 150)], []),  # too long for any breath-hold
    ],
)
def test_the_state_machine_keeps_its_rule(evidence, expected):
    machine = EventMachine(Rule(min_s=11))
    for second in range(200):
        machine.update(0.9 if any(a <= second < b for a, b in evidence) else 0.1, 0.0)
    machine.finish()
    assert [(e.start_s, e.end_s) for e in machine.take()] == expected


def test_hysteresis_goes_on_below_the_threshold_that_began_it_and_the_kind_is_that_of_most():
    machine = EventMachine(Rule(smooth_s=1))
    for second in range(60):
        machine.update(0.7 if 10 <= second < 14 else 0.0, 0.45 if 14 <= second < 30 else 0.0)
    (event,) = machine.take()
    assert (event.start_s, event.end_s, event.kind) == (10, 30, "hypopnea")
    assert event.confidence == pytest.approx((4 * 0.7 + 16 * 0.45) / 20)
    weak = EventMachine(Rule(smooth_s=1))
    for _ in range(60):
        weak.update(0.5, 0.0)  # never above 0.6
    weak.finish()
    assert weak.take() == []


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Monitor(0), "sampling_rate_hz is 0; expected a rate in Hz"),
        (lambda: Monitor("16k"), "expected a rate in Hz"),
        (lambda: Rule(on=0.3, off=0.5), "0 < off <= on <= 1"),
        (lambda: Rule(smooth_s=4), "odd"),
        (lambda: Rule(min_s=200), "min_s < max_s"),
        (lambda: AlarmPolicy(pause_s=None), "both None"),
        (lambda: AlarmPolicy(pause_s=-1), "more than 0"),
        (lambda: AlarmPolicy(refractory_s=-1), "0 or more seconds"),
        (lambda: Monitor(RATE).push(np.zeros((2, 5))), r"shape \(2, 5\)"),
        (lambda: Monitor(RATE).push(np.zeros(5, np.int16)), "int16; expected floats"),
        (lambda: Monitor(RATE).skip(-1), "expected 0 or more"),
    ],
)
def test_bad_settings_and_samples_are_told(make, match):
    with pytest.raises(ParameterError, match=match):
        make()


def test_bad_sound_and_a_finished_monitor_are_told():
    with pytest.raises(AudioError, match=r"call skip\(seconds\)"):
        Monitor(48_000).push(np.full(10, np.nan))
    with pytest.raises(AudioError, match="NaN or infinite"):
        Monitor(RATE).push(np.full(10, np.inf))
    with pytest.raises(AudioError, match="nothing was heard"):
        Monitor(RATE).finish()
    monitor = Monitor(RATE)
    monitor.push(np.zeros(2 * RATE))
    monitor.finish()
    with pytest.raises(ParameterError, match="has finished"):
        monitor.push(np.zeros(5))
