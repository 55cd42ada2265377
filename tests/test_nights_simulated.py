"""Simulated nights: the sound does what the tables say, at the SNR asked for, and the same from block to block."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from vocalbio.audio import Recording
from vocalbio.datasets.nights import DISTURBANCES, NightClips, simulate_night
from vocalbio.errors import AudioError, ParameterError

RATE = 16_000
BREATHING = ["breath", "snore", "gasp", "effort"]
PLAIN = {"apneas_per_hour": 0, "hypopneas_per_hour": 0, "disturbances": False}


def level_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(samples.astype(float) ** 2) + 1e-15)


def heard(night, samples, row, margin_s=0.0) -> float:
    """Level of the interval of a table's row, in dBFS."""
    return level_db(samples[round((row.start_s + margin_s) * RATE) : round((row.end_s - margin_s) * RATE)])


def overlaps(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    starts, ends = one["start_s"].to_numpy()[:, None], one["end_s"].to_numpy()[:, None]
    return bool(((starts < other["end_s"].to_numpy() - 1e-6) & (ends > other["start_s"].to_numpy() + 1e-6)).any())


@pytest.fixture(scope="module")
def busy():
    """Half an hour with something of everything, and its sound."""
    rates = dict.fromkeys(DISTURBANCES, 5.0) | {"quiet": 2.0, "bed_exit": 2.0}
    rng = np.random.default_rng(1)
    clips = NightClips(noises={"other": [Recording(0.1 * rng.normal(size=RATE).clip(-3, 3), RATE)]})
    night = simulate_night(
        clips, duration_s=1800, snr_db=20, apneas_per_hour=8, hypopneas_per_hour=4, disturbances=rates, seed=4
    )
    return night, night.recording().samples


@pytest.mark.parametrize("block_s", [0.37, 61.0])
def test_blocks_of_any_length_are_the_same_sound(block_s):
    clips = NightClips()
    whole = simulate_night(clips, duration_s=180, seed=3).recording()
    blocks = list(simulate_night(clips, duration_s=180, seed=3).blocks(block_s))
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), whole.samples)
    assert whole.duration_s == 180
    np.testing.assert_allclose([block.start_s for block in blocks[1:]], [block.end_s for block in blocks[:-1]])


def test_other_seeds_are_other_sleepers():
    one, other = (simulate_night(NightClips(), duration_s=300, seed=seed) for seed in (1, 2))
    assert one.description["breaths_per_min"] != other.description["breaths_per_min"]
    assert not np.array_equal(one.recording().samples, other.recording().samples)


@pytest.mark.parametrize("seed", range(4))
def test_events_last_ten_seconds_and_keep_clear_of_each_other(seed):
    night = simulate_night(
        NightClips(), duration_s=3 * 3600, apneas_per_hour=15, hypopneas_per_hour=10, seed=seed, snr_db=5
    )
    events, timeline = night.events, night.timeline
    assert events["kind"].value_counts().to_dict() == {"apnea": 45, "hypopnea": 30}
    assert (events["end_s"] - events["start_s"] >= 10).all()
    assert (events["start_s"].to_numpy()[1:] > events["end_s"].to_numpy()[:-1] + 2).all()
    assert events["end_s"].max() < night.duration_s - 5
    hiding = timeline[timeline["what"].isin(["bed_exit", "quiet", "gap", "dropout", "clipping", "cough", "position"])]
    assert len(hiding)
    assert not overlaps(events, hiding)
    apneas = events[events["kind"] == "apnea"]
    assert not overlaps(apneas, timeline[timeline["what"].isin(["breath", "snore", "gasp"])])
    clustered = events[events["clustered"]]
    apart = np.diff(clustered["start_s"])
    assert np.mean((apart > 16) & (apart < 100)) > 0.7
    assert 0 < len(clustered) < len(events)


def test_breathing_stops_in_silent_apneas_and_the_snr_is_what_was_asked_for():
    asked = {"apneas_per_hour": 40, "hypopneas_per_hour": 0, "disturbances": False, "snr_db": 18}
    night = simulate_night(NightClips(), duration_s=900, seed=5, **asked)
    samples = night.recording().samples
    silent = night.events[night.events["reduction"] == 1]
    assert len(silent) >= 5
    # the echo of a small room dies away within half a second
    inside = [heard(night, samples, row, 0.5) for row in silent.itertuples()]
    assert np.allclose(inside, night.description["noise_dbfs"], atol=0.5)
    before = [level_db(samples[int((start - 15) * RATE) : int(start * RATE)]) for start in silent["start_s"]]
    assert np.mean(np.array(before) - inside) > 10
    efforts = night.timeline[night.timeline["what"] == "effort"]
    assert overlaps(efforts, night.events[night.events["reduction"] < 1])
    assert not overlaps(efforts, silent)


@pytest.mark.parametrize("snr_db", [-3, 25])
def test_median_breath_over_room_noise_is_the_snr(snr_db):
    alone = simulate_night(NightClips(), duration_s=400, seed=6, **PLAIN)
    breathing = alone.recording().samples
    noisy = simulate_night(NightClips(), duration_s=400, seed=6, snr_db=snr_db, **PLAIN).recording().samples
    room_db = 10 * np.log10(np.mean((noisy - breathing).astype(float) ** 2) - 10**-7.5)  # less the microphone's floor
    sounds = alone.timeline[alone.timeline["what"].isin(BREATHING)]
    median_db = np.median([heard(alone, breathing, row) for row in sounds.itertuples()])
    assert median_db - room_db == pytest.approx(snr_db, abs=0.4)
    assert median_db == pytest.approx(alone.description["breathing_dbfs"], abs=0.3)


def test_without_an_snr_there_is_only_the_microphone():
    night = simulate_night(NightClips(), duration_s=600, seed=5, apneas_per_hour=40, disturbances=False)
    samples = night.recording().samples
    silent = night.events[(night.events["kind"] == "apnea") & (night.events["reduction"] == 1)]
    assert [heard(night, samples, row, 0.5) for row in silent.itertuples()] == pytest.approx([-75] * len(silent), abs=1)


def test_hypopneas_are_reduced_by_what_is_said():
    night = simulate_night(
        NightClips(), duration_s=2700, seed=10, apneas_per_hour=0, hypopneas_per_hour=30, disturbances=False
    )
    samples = night.recording().samples
    snores = night.timeline[night.timeline["what"] == "snore"]
    levels = np.array([heard(night, samples, row) for row in snores.itertuples()])
    starts = snores["start_s"].to_numpy()
    within = [(starts >= row.start_s - 0.01) & (starts < row.end_s) for row in night.events.itertuples()]
    usual_db = np.median(levels[~np.any(within, axis=0)])
    asked, got = [], []
    for row, inside in zip(night.events.itertuples(), within, strict=True):
        if inside.sum() >= 2:
            asked.append(20 * np.log10(1 - row.reduction))
            got.append(np.median(levels[inside]) - usual_db)
    assert night.events["reduction"].between(0.3, 0.9).all()
    assert len(asked) > 12
    assert np.median(np.subtract(got, asked)) == pytest.approx(0, abs=3)  # level drifts by 3 dB and more
    assert np.corrcoef(asked, got)[0, 1] > 0.6


def test_every_disturbance_comes_when_asked_for_and_none_otherwise(busy):
    night, _ = busy
    assert set(DISTURBANCES) <= set(night.timeline["what"])
    plain = simulate_night(NightClips(), duration_s=1200, seed=1, **PLAIN)
    assert set(plain.timeline["what"]) <= {"breath", "snore"}
    assert len(plain.events) == 0
    assert list(plain.events.columns) == list(night.events.columns)


def test_a_night_without_events_may_hold_every_disturbance():
    rates = dict.fromkeys(DISTURBANCES, 6.0) | {"quiet": 1.0, "bed_exit": 1.0}
    night = simulate_night(
        NightClips(), duration_s=3600, apneas_per_hour=0, hypopneas_per_hour=0, disturbances=rates, seed=2
    )
    assert len(night.events) == 0
    assert set(DISTURBANCES) - {"other"} <= set(night.timeline["what"])  # no clips of others were given


def test_disturbances_sound_like_what_they_are(busy):
    night, samples = busy
    noise_db = night.description["noise_dbfs"]
    of = dict(iter(night.timeline.groupby("what")))
    for row in of["dropout"].itertuples():
        assert not samples[round(row.start_s * RATE) : round(row.end_s * RATE)].any()
    silent = ~samples.astype(bool)
    assert silent.mean() == pytest.approx((of["dropout"]["end_s"] - of["dropout"]["start_s"]).sum() / 1800, rel=0.05)
    for row in of["clipping"].itertuples():
        part = Recording(samples[round(row.start_s * RATE) : round(row.end_s * RATE)], RATE)
        assert part.clipped_fraction > 0.003
    breaths = night.timeline[night.timeline["what"].isin(BREATHING)]
    for what in ("bed_exit", "gap", "quiet"):
        assert not overlaps(of[what], breaths[breaths["what"] != "effort"]), what
    for what in ("speech", "cough", "alarm", "handling", "other"):
        assert np.mean([heard(night, samples, row) for row in of[what].itertuples()]) > noise_db + 6, what
    # fans raise the floor: the quietest tenth of 50 ms frames
    frames = samples[: len(samples) // 800 * 800].reshape(-1, 800)
    levels = 10 * np.log10(np.mean(frames.astype(float) ** 2, axis=1) + 1e-15)
    times = np.arange(len(levels)) * 0.05
    fans = np.zeros(len(levels), bool)
    for row in of["fan"].itertuples():
        fans |= (times > row.start_s + 2) & (times < row.end_s - 2)
    sound = levels > -100
    assert np.quantile(levels[fans & sound], 0.1) > np.quantile(levels[~fans & sound], 0.1) + 2


def test_gaps_of_apnea_length_fade_instead_of_stopping():
    rates = {"gap": 30.0}
    night = simulate_night(NightClips(), duration_s=1500, **(PLAIN | {"disturbances": rates}), seed=1)
    samples = night.recording().samples
    gaps = night.timeline[night.timeline["what"] == "gap"]
    long = gaps[gaps["end_s"] - gaps["start_s"] >= 10]
    assert 2 <= len(long) < len(gaps)
    falls, apart = [], []
    for row in long.itertuples():
        far, near = (
            level_db(samples[int((row.start_s - t) * RATE) : int((row.start_s - t + 15) * RATE)]) for t in (45, 15)
        )
        falls.append(far - near)
        apart.append(row.end_s - row.start_s)
    assert np.mean(falls) > 4
    assert max(apart) < 70


def test_splices_are_inserted_whole_and_unaltered_up_to_gain(rng):
    time_s = np.arange(12 * RATE) / RATE
    clip = Recording((0.3 * np.sin(3 * time_s) ** 8 + 0.005) * rng.normal(size=len(time_s)).clip(-3, 3), RATE)
    night = simulate_night(NightClips(), duration_s=300, splices=[(clip, "hypopnea")], seed=3, **PLAIN)
    (event,) = night.events.itertuples()
    assert (event.kind, event.spliced) == ("hypopnea", True)
    assert event.end_s - event.start_s == pytest.approx(12)
    start = round(event.start_s * RATE)
    found = night.recording().samples[start : start + len(clip.samples)].astype(float)
    gain = found @ clip.samples / (clip.samples.astype(float) @ clip.samples)
    assert level_db(found - gain * clip.samples) < level_db(found) - 20
    breathing = clip.samples[np.sin(3 * time_s) ** 8 > 0.3]
    assert level_db(gain * breathing) - night.description["breathing_dbfs"] == pytest.approx(-6, abs=3)


def test_memory_does_not_grow_with_the_night():
    night = simulate_night(NightClips(), duration_s=1200, seed=1)
    tracemalloc.start()
    n_samples = sum(len(block.samples) for block in night.blocks(30))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == 1200 * RATE
    assert peak < n_samples * 4 / 3


def test_planning_and_rendering_are_fast():
    start = time.perf_counter()
    night = simulate_night(NightClips(), duration_s=8 * 3600, seed=1)
    assert time.perf_counter() - start < 5
    start = time.perf_counter()
    for block in night.blocks(60):
        if block.end_s >= 600:
            break
    assert time.perf_counter() - start < 2.5  # an hour in 15 s


def test_clips_come_from_a_table(tmp_path, rng):
    kinds = ["snore", "inhale", "exhale", "gasp", "cough"]
    rows = []
    for number, kind in enumerate(kinds):
        tone = 0.2 * np.sin(np.arange(2 * 8000) * 0.2 * (number + 1))
        soundfile.write(tmp_path / f"{kind}.wav", tone, 8000)
        rows.append({"file": str(tmp_path / f"{kind}.wav"), "kind": kind, "source": "somebody"})
    rows.append(rows[0] | {"start_s": 0.5, "end_s": 1.25})
    clips = NightClips.from_table(pd.DataFrame(rows))
    assert [round(clip.duration_s, 2) for clip in clips.snores["somebody"]] == [2.0, 0.75]
    assert len(clips.gasps) == 1
    night = simulate_night(clips, duration_s=200, seed=0)
    assert night.description["sources"]["patient snore"] == "somebody"
    assert night.description["sources"]["cough"] == "clips"


def test_a_written_night_lies_beside_its_truth_and_says_that_it_is_simulated(tmp_path):
    night = simulate_night(NightClips(), duration_s=300, apneas_per_hour=24, seed=9)
    night.write(tmp_path / "simulated.flac")
    samples, rate = soundfile.read(tmp_path / "simulated.flac")
    assert rate == RATE
    np.testing.assert_allclose(samples, night.recording().samples, atol=2 / 32768)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "simulated.events.csv"), night.events, check_dtype=False)
    assert len(pd.read_csv(tmp_path / "simulated.timeline.csv")) == len(night.timeline)
    assert json.loads((tmp_path / "simulated.json").read_text())["simulated"] is True
    with soundfile.SoundFile(tmp_path / "simulated.flac") as sound:
        assert "simulated" in sound.comment
    with pytest.raises(ParameterError, match=r"\.wav or \.flac"):
        night.write(tmp_path / "simulated.mp3")
    with pytest.raises(ParameterError, match="cannot be written"):
        night.write(tmp_path / "nowhere" / "simulated.wav")


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"duration_s": 30}, "duration_s is 30; expected"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"snr_db": "loud"}, "snr_db is 'loud'"),
        ({"apneas_per_hour": -1}, "apneas_per_hour is -1"),
        ({"apneas_per_hour": 120, "hypopneas_per_hour": 120}, "the night has room for"),
        ({"disturbances": {"earthquake": 1}}, "earthquake; expected some of gap"),
        ({"disturbances": {"gap": -1}}, r"disturbances\['gap'\] is -1"),
        ({"disturbances": 3}, "expected True, False or a dict"),
        ({"splices": [Recording(np.ones(RATE), RATE)]}, r"splices\[0\].*expected \(Recording"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
    ],
)
def test_bad_settings_are_refused(bad, match):
    with pytest.raises(ParameterError, match=match):
        simulate_night(NightClips(), **bad)


def test_bad_clips_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="expected NightClips"):
        simulate_night([])
    with pytest.raises(ParameterError, match=r"snores is a list; expected a dict"):
        NightClips(snores=[])
    with pytest.raises(ParameterError, match=r"snores\['a'\]\[0\] is a str"):
        NightClips(snores={"a": ["file.wav"]})
    with pytest.raises(AudioError, match="silent or shorter"):
        NightClips(gasps=[Recording(np.zeros(RATE), RATE)])
    with pytest.raises(ParameterError, match="kind thunder; expected some of alarm"):
        NightClips(noises={"thunder": [Recording(np.ones(RATE), RATE)]})
    with pytest.raises(ParameterError, match="lacks kind, source"):
        NightClips.from_table(pd.DataFrame({"file": []}))
    soundfile.write(tmp_path / "x.wav", np.full(RATE, 0.1), RATE)
    table = pd.DataFrame({"file": [str(tmp_path / "x.wav")], "kind": ["hum"], "source": ["a"]})
    with pytest.raises(ParameterError, match="kind is 'hum'; expected one of snore"):
        NightClips.from_table(table)
    with pytest.raises(AudioError, match="lasts 2"):
        simulate_night(NightClips(), splices=[(Recording(np.full(2 * RATE, 0.1), RATE), "apnea")])
    with pytest.raises(ParameterError, match="block_s is 0"):
        simulate_night(NightClips(), duration_s=200).blocks(0)


def test_train_and_test_clips_share_no_recording(data):
    path = Path(__file__).parents[1] / "benchmarks" / "night_clips.py"
    spec = importlib.util.spec_from_file_location("night_clips", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["night_clips"] = module
    spec.loader.exec_module(module)
    files = []
    for clips in (module.train_clips(data), module.test_clips(data)):
        groups = [*clips.snores.values(), *clips.inhales.values(), *clips.exhales.values(), *clips.noises.values()]
        files.append({clip.file for group in groups for clip in group})
        assert all(clips.snores.values())
        night = simulate_night(clips, duration_s=400, snr_db=10, apneas_per_hour=30, seed=0)
        assert np.isfinite(night.recording().samples).all()
    assert files[0]
    assert not files[0] & files[1]
    kinds = [kind for _, kind in module.apnea_event_clips(data)]
    assert (kinds.count("apnea"), kinds.count("hypopnea")) == (10, 12)
