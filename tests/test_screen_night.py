"""Screening a night: the monitor's answer, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from datetime import datetime

import joblib
import numpy as np
import pytest
import soundfile

from vocalbio import Recording, load_audio
from vocalbio.datasets.nights import NightClips, simulate_night
from vocalbio.errors import AudioError, ParameterError, VocalbioWarning
from vocalbio.night import Night, screen_night, screen_nights
from vocalbio.stream.monitor import Monitor
from vocalbio.stream.report import NightReport

RATE = 16_000


@pytest.fixture(scope="module")
def simulated():
    return simulate_night(NightClips(), duration_s=600.0, apneas_per_hour=24, disturbances=False, seed=3)


@pytest.fixture(scope="module")
def path(simulated, tmp_path_factory):
    path = tmp_path_factory.mktemp("night") / "2026-01-31_23-05-00.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for block in simulated.blocks():
            file.write(block.samples)
    return path


@pytest.fixture(scope="module")
def report(path):
    return screen_night(path)


def test_a_file_gives_what_the_live_monitor_gives(path, report):
    monitor = Monitor(RATE, started=datetime(2026, 1, 31, 23, 5))
    samples = load_audio(path).samples
    for start in range(0, len(samples), 7777):
        monitor.push(samples[start : start + 7777])
    live = monitor.finish()
    assert live.events.equals(report.events)
    assert live.evidence.equals(report.evidence)
    assert live.started == report.started


def test_apneas_of_a_simulated_night_are_found(simulated, report):
    truth = simulated.events[simulated.events["kind"] == "apnea"]
    found = report.events
    hit = [
        ((found["start_s"] < end) & (found["end_s"] > start)).any() for start, end in truth[["start_s", "end_s"]].values
    ]
    assert np.mean(hit) >= 0.5
    assert len(found) <= 2 * len(simulated.events)


def test_a_gap_between_files_is_not_analysed(path, tmp_path):
    half = load_audio(path).samples[: 120 * RATE]
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", half, RATE)
    report = screen_night([tmp_path / "a.wav", tmp_path / "b.wav"], starts=[0.0, 200.0])
    assert report.recorded_h * 3600 == 320
    assert report.analysed_h * 3600 == 240
    assert report.unusable_by_reason == {"nothing recorded": 80 / 3600}
    inside = report.events["start_s"].between(125, 195)
    assert not inside.any()


def test_a_damaged_file_is_told_and_what_comes_before_is_kept(path, tmp_path):
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 50_000] = bytes(50_000)
    (tmp_path / "a.flac").write_bytes(raw)
    with pytest.warns(VocalbioWarning, match=r"a\.flac.*What comes before is kept"):
        report = screen_night(tmp_path / "a.flac")
    assert 200 < report.recorded_h * 3600 < 400
    assert "a.flac" in report.notes[0]


KILLED = """
import sys, time
import vocalbio.night.screening as screening
screening._FLUSH_S = 0.0
push = screening.Monitor.push
def slow(self, samples):
    time.sleep(0.1)
    return push(self, samples)
screening.Monitor.push = slow
screening.screen_night(sys.argv[1], work_dir=sys.argv[2])
"""


def test_a_killed_run_goes_on_and_gives_the_same_report(path, report, tmp_path, monkeypatch):
    rows = tmp_path / "work" / "rows.f32"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(tmp_path / "work")])
    deadline = time.monotonic() + 60
    width = Monitor(RATE).measured.shape[1] * 4
    while not (rows.exists() and rows.stat().st_size > 200 * width):
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = rows.stat().st_size // width
    assert 200 <= kept < 580
    with open(rows, "ab") as file:
        file.write(b"torn")
    begun = []
    blocks = Night.blocks
    monkeypatch.setattr(Night, "blocks", lambda self, from_s=0.0: begun.append(from_s) or blocks(self, from_s))
    resumed = screen_night(path, work_dir=tmp_path / "work")
    assert begun == [kept]
    assert resumed == report
    assert resumed.evidence.equals(report.evidence)


def test_a_finished_work_dir_answers_at_once_and_lights_may_change(path, report, tmp_path, monkeypatch):
    assert screen_night(path, work_dir=tmp_path) == report
    monkeypatch.setattr(Night, "blocks", lambda *_: pytest.fail("the night was read again"))
    assert screen_night(path, work_dir=tmp_path) == report
    later = screen_night(path, work_dir=tmp_path, lights_out="23:10")
    assert later.lights_out_s == 300
    assert later.analysed_h < report.analysed_h


def test_a_work_dir_of_something_else_is_refused(path, tmp_path):
    quiet = Recording(np.random.default_rng(0).normal(0, 1e-3, 20 * RATE).astype(np.float32), RATE)
    work = tmp_path / "work"
    screen_night(quiet, work_dir=work)
    with pytest.raises(ParameterError, match="holds another night"):
        screen_night(path, work_dir=work)
    with pytest.raises(ParameterError, match="other settings"):
        screen_night(quiet, work_dir=work, noise_reduction=True)
    header = json.loads((work / "night.json").read_text())
    (work / "night.json").write_text(json.dumps(header | {"vocalbio": "0.0"}))
    with pytest.raises(ParameterError, match="another version of vocalbio"):
        screen_night(quiet, work_dir=work)
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(ParameterError, match="holds something else"):
        screen_night(quiet, work_dir=tmp_path)
    (work / "night.json").write_text("{")
    with pytest.raises(ParameterError, match="no night of vocalbio"):
        screen_night(quiet, work_dir=work)


class _SnoresAlways:
    """A window model that hears two seconds around each."""

    context_s = 2

    @property
    def manifest(self):
        return {"name": "always", "validation": {"against": "polysomnography"}}

    def predict_seconds(self, samples):
        count = len(samples) // RATE - 2 * self.context_s
        return np.tile(np.float32([0.1, 0.8, 0.1]), (count, 1))


def test_a_window_model_listens_and_is_taken_up_again(path, tmp_path):
    half = Recording(load_audio(path).samples[: 100 * RATE + 5000], RATE)
    work = tmp_path / "work"
    first = screen_night(half, model=_SnoresAlways(), work_dir=work)
    assert first.snoring_share == 1
    assert first.validation == {"against": "polysomnography"}
    (work / "report.json").unlink()
    rows = (work / "rows.f32").read_bytes()
    (work / "rows.f32").write_bytes(rows[: len(rows) // 2])
    assert screen_night(half, model=_SnoresAlways(), work_dir=work) == first


def test_times_given_twice_are_refused():
    night = Night(Recording(np.zeros(RATE, np.float32), RATE))
    with pytest.raises(ParameterError, match="give them to Night"):
        screen_night(night, lights_out=3)


# Many nights --------------------------------------------------------------------------------------------


def quiet(seed):
    return Recording(
        np.random.default_rng(seed).normal(0, 1e-3, 30 * RATE).astype(np.float32), RATE, file=f"{seed}.wav"
    )


def test_a_batch_has_a_row_a_night_and_never_dies_of_one(path, report, tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    table = screen_nights([path, tmp_path / "empty.wav", quiet(1)])
    assert table.index.tolist() == [path.name, "empty.wav", "1.wav"]
    assert table["index"].iloc[0] == pytest.approx(report.index)
    assert "0 bytes" in table["reason"].iloc[1]
    assert np.isnan(table["index"].iloc[1])
    assert table["reason"].iloc[[0, 2]].tolist() == ["", ""]
    with pytest.raises(AudioError, match="0 bytes"):
        screen_nights([tmp_path / "empty.wav"], on_error="raise")


def test_workers_and_folders_change_nothing(tmp_path):
    nights = [quiet(1), quiet(2), quiet(1)]
    alone = screen_nights(nights, work_dir=tmp_path)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        together = screen_nights(nights)
    assert alone.equals(together)
    assert len(list(tmp_path.iterdir())) == 2  # the same night twice needs one folder
    [one, _] = sorted(tmp_path.glob("*/report.json"))
    assert isinstance(NightReport.from_json(one), NightReport)


@pytest.mark.parametrize(
    ("audio", "settings", "words"),
    [
        ("night.wav", {}, "one night; expected a list"),
        ([], {}, "holds no night"),
        (["night.wav"], {"on_error": "ignore"}, "expected 'record' or 'raise'"),
    ],
)
def test_wrong_batches_are_refused(audio, settings, words):
    with pytest.raises(ParameterError, match=words):
        screen_nights(audio, **settings)


def test_no_warning_without_a_reason(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        screen_night(Recording(load_audio(path).samples[: 60 * RATE], RATE))
