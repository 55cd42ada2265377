"""``vocalbio night``: a folder that holds everything, and exit codes that a script can trust."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from vocalbio.cli.night import night
from vocalbio.errors import AudioError, ParameterError
from vocalbio.night import screen_night
from vocalbio.stream.report import NightReport

pytest.importorskip("vocalbio.datasets.annotations")
RATE = 16_000
app = typer.Typer()
app.command()(night)


def breathing(seconds: float, pause: tuple[float, float]) -> np.ndarray:
    """Breaths every four seconds, but not in the pause."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    breath = np.maximum(np.sin(2 * np.pi * time / 4), 0) * ~((time > pause[0]) & (time < pause[1]))
    return rng.normal(0, 1, len(time)) * (2e-4 + 0.03 * breath)


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("night") / "bedroom.wav"
    soundfile.write(path, breathing(240, (100, 125)), RATE)
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_the_folder_holds_the_report_in_every_form(recording, tmp_path):
    done = run(recording, "-o", tmp_path / "out", "--started", "2026-01-31 23:05", "--lights-out", "23:05:30")
    assert done.exit_code == 0, done.output
    report = NightReport.from_json(tmp_path / "out" / "night.json")
    assert report == screen_night(recording, started="2026-01-31 23:05", lights_out=30)
    assert len(report.events) == 1  # the pause
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "events",
        "events.csv",
        "events.edf",
        "index.html",
        "labels.txt",
        "night.json",
        "night.png",
    ]
    assert [p.name for p in (tmp_path / "out" / "events").iterdir()] == ["001.png"]
    assert len(pd.read_csv(tmp_path / "out" / "events.csv")) == 1
    page = (tmp_path / "out" / "index.html").read_text()
    assert report.clock(report.events["start_s"].item()) in page
    assert "Audio event index" in page
    assert "Not a diagnosis" in page
    assert str(recording.parent) not in page
    assert "Audio event index" in done.output


def test_pictures_of_an_earlier_run_do_not_stay(recording, tmp_path):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "007.png").write_bytes(b"old")
    assert run(recording, "-o", tmp_path, "--close-ups", 0).exit_code == 0
    assert list((tmp_path / "events").iterdir()) == []


def test_json_is_one_object(recording, tmp_path):
    done = run(recording, "-o", tmp_path, "--json", "--work-dir", tmp_path / "work")
    told = json.loads(done.stdout)
    assert told["summary"]["n_events"] == 1
    assert told["output"] == str(tmp_path)
    assert (tmp_path / "work" / "report.json").exists()


def test_several_files_are_one_night_and_with_each_several(recording, tmp_path):
    other = tmp_path / "other.wav"
    soundfile.write(other, breathing(30, (0, 0)), RATE)
    (tmp_path / "more").mkdir()
    soundfile.write(tmp_path / "more" / "other.wav", breathing(10, (0, 0)), RATE)
    one = json.loads(run(recording, other, "-o", tmp_path / "one", "--json").stdout)
    assert one["summary"]["recorded_h"] == pytest.approx(270 / 3600)
    (tmp_path / "broken.wav").write_bytes(b"x")
    done = run(
        recording, tmp_path / "broken.wav", other, tmp_path / "more", "--each", "-o", tmp_path / "each", "--json"
    )
    assert done.exit_code == 1
    nights = json.loads(done.stdout)["nights"]
    assert [night["night"] for night in nights] == ["bedroom", "broken", "other", "other-2"]
    assert "no sound" in nights[1]["reason"]
    assert (tmp_path / "each" / "other-2" / "index.html").exists()


def test_a_damaged_file_gives_exit_code_1_and_the_rest_is_done(recording, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"broken\.wav"):
        done = run(recording, tmp_path / "broken.wav", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "broken.wav" in done.output
    assert (tmp_path / "out" / "index.html").exists()


def test_where_nothing_can_be_done_the_reason_is_told(recording, tmp_path):
    for arguments, kind, words in (
        ([tmp_path / "gone.wav"], AudioError, "does not exist"),
        ([recording, "--lights-out", "23:15"], ParameterError, "give started"),
        ([recording, "--each", "--started", "2026-01-31 23:05"], ParameterError, "belong to one night"),
    ):
        done = run(*arguments, "-o", tmp_path / "out")
        assert isinstance(done.exception, kind)
        assert words in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_events_are_compared_with_a_reference(recording, tmp_path):
    pytest.importorskip("vocalbio.evaluation.nights")
    reference = tmp_path / "scored.csv"
    pd.DataFrame({"start_s": [100.0], "end_s": [126.0], "kind": ["apnea"]}).to_csv(reference, index=False)
    done = run(recording, "-o", tmp_path / "out", "--compare", reference)
    assert done.exit_code == 0, done.output
    assert "recall" in done.output.casefold()


def test_every_option_has_help_and_stands_in_the_docs():
    from typer.main import get_command

    docs = (Path(__file__).parents[1] / "docs" / "cli.md").read_text()
    for parameter in get_command(app).params:
        option = parameter.opts[0]
        if option.startswith("--") and "completion" not in option:
            assert parameter.help, option
            assert f"`{option}`" in docs, option
