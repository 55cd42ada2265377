"""The command line: help on everything, exit codes that a script can trust, JSON where asked."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

import vocalbio as vb
from vocalbio.cli.app import app
from vocalbio.cli.doctor import examine, to_text
from vocalbio.cli.recordings import unlike_names

RATE = 16_000


@pytest.fixture
def voice(tmp_path):
    """A steady buzz of 120 Hz, as a file."""
    time = np.arange(RATE) / RATE
    samples = 0.1 * sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    soundfile.write(tmp_path / "voice.wav", samples, RATE)
    return tmp_path / "voice.wav"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As a person would, through the interpreter."""
    return subprocess.run(
        [sys.executable, "-m", "vocalbio", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["extract", "predict", "train", "evaluate", "night", "serve", "demo", "doctor"])
def test_every_command_and_every_option_has_help(command):
    from typer.main import get_command

    described = get_command(app).commands[command]
    assert described.help
    for parameter in described.params:
        if getattr(parameter, "opts", [""])[0].startswith("-"):
            assert parameter.help, f"{command} {parameter.opts}"


def test_help_tells_defaults_that_are_found_out_later():
    told = " ".join(CliRunner().invoke(app, ["train", "--help"]).output.split())
    assert "[default: 120, with --preset small 80]" in told


def test_the_version_is_the_package_s():
    assert CliRunner().invoke(app, ["--version"]).output.strip() == f"vocalbio {vb.__version__}"


def test_a_table_on_disk_holds_what_python_gets(voice, tmp_path):
    done = run("extract", voice, "-f", "voice", "-o", tmp_path / "x.parquet")
    assert done.returncode == 0, done.stderr
    written = pd.read_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(written, vb.extract_features([voice], ["voice"]), check_exact=True)
    assert vb.errors(written).empty


def test_an_encoder_adds_its_embedding(voice, tmp_path):
    from vocalbio.encoders import TFWhisperEncoder

    sizes = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    TFWhisperEncoder(sizes).save_pretrained(tmp_path / "tiny")
    table = tmp_path / "table.parquet"
    arguments = [str(voice), "-o", str(table), "-f", "spectral", "--encoder", str(tmp_path / "tiny"), "--layer", "1"]
    assert CliRunner().invoke(app, ["extract", *arguments]).exit_code == 0
    columns = pd.read_parquet(table).columns
    assert columns.str.startswith("tiny_L1__").sum() == 16


def test_some_failed_inputs_give_exit_code_1_and_the_rest_is_done(voice, tmp_path):
    output = tmp_path / "x.csv"
    done = run("extract", voice, tmp_path / "gone.wav", "-f", "spectral", "-o", output, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["rows"] == 2
    assert [entry["stage"] for entry in told["failed"]] == ["audio"]
    assert "does not exist" in told["failed"][0]["reason"]
    assert pd.read_csv(output)["quality__ok"].tolist() == [1, 0]


def test_a_folder_stands_for_its_recordings(voice):
    output = str(voice.parent / "x.csv")
    result = CliRunner().invoke(app, ["extract", str(voice.parent), "-f", "spectral", "-o", output])
    assert "1 rows" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x.txt"], "expected a name that ends in .parquet or .csv"),
        (["--window-s", "0.1"], "window_s is 0.1"),
        (["-f", "prosodie"], "family 'prosodie' is unknown"),
        (["-o", "nowhere/x.csv"], "does not exist; make it first"),
        (["--jobs"], "requires an argument"),
    ],
)
def test_wrong_usage_gives_exit_code_2_and_one_line_of_advice(voice, arguments, words):
    done = run("extract", voice, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_done_gives_exit_code_2(tmp_path):
    assert run("extract", tmp_path / "gone.wav", "-o", tmp_path / "x.csv").returncode == 2


def test_the_doctor_names_missing_packages_and_their_cure(monkeypatch):
    import vocalbio.cli.doctor as doctor

    def version(name: str) -> str:
        if name == "opensmile":
            raise doctor.PackageNotFoundError(name)
        return "0.0.1" if name == "av" else "999"

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "_accelerators", list)
    found = examine()
    missing = {package["name"]: package for package in found["packages"] if not package["installed"]}
    assert set(missing) == {"opensmile", "av"}
    assert missing["opensmile"]["cure"].startswith("pip install 'opensmile>=")
    assert "too old: 0.0.1" in to_text(found)
    assert all("extra" not in package["name"] for package in found["packages"])


def test_the_doctor_tells_which_extras_are_not_complete(monkeypatch):
    import vocalbio.cli.doctor as doctor

    def version(name: str) -> str:
        if name == "fastapi":
            raise doctor.PackageNotFoundError(name)
        return "999"

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "_accelerators", list)
    extras = {extra["name"]: extra for extra in examine()["extras"]}
    asked = importlib.metadata.metadata("vocalbio").get_all("Provides-Extra")
    assert set(extras) == set(asked) - {"all", "docs", "test"}
    assert {name for name, extra in extras.items() if extra["missing"]} == {"serve"}
    assert extras["serve"]["missing"] == ["fastapi"]
    assert "pip install 'vocalbio[serve]'" in to_text(examine())


def test_the_doctor_lists_encoders_in_the_local_cache(monkeypatch):
    import vocalbio.cli.doctor as doctor

    monkeypatch.setattr(doctor, "_accelerators", list)
    monkeypatch.setattr(doctor, "_weights", lambda: ["facebook/wav2vec2-base-960h"])
    assert "  facebook/wav2vec2-base-960h" in to_text(examine())


def test_every_network_is_in_the_docs():
    from vocalbio.cli.options import NetworkName

    page = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
    told = next(line for line in page.splitlines() if line.startswith("| `--network`"))
    assert [name for name in NetworkName if name not in told] == []
    assert len(NetworkName) == 6


def test_names_of_pages_are_unlike():
    paths = [Path("a/memo.wav"), Path("b/memo.wav"), Path("memo-2.wav"), Path("Memo.flac")]
    names = unlike_names(paths)
    assert names == ["memo", "memo-2", "memo-2-2", "Memo-3"]


def test_every_command_and_every_option_is_in_the_docs():
    from typer.main import get_command

    page = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
    chapters = {part.split("\n", 1)[0]: part for part in page.split("\n## ")[1:]}
    commands = get_command(app).commands
    assert set(commands) == set(chapters)
    shared = chapters["train"]  # evaluate takes the same
    for name, command in commands.items():
        text = chapters[name] + (shared if name == "evaluate" else "")
        for parameter in command.params:
            option = getattr(parameter, "opts", [""])[0]
            if option.startswith("-"):
                assert f"{option}" in text, f"{name} {option}"
