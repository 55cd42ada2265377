"""The main job: what a newcomer gets from `vocalbio demo`, and from the README and the examples."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import vocalbio as vb
import vocalbio.demo as demo
from vocalbio import ParameterError
from vocalbio.datasets.voices import make_cohort

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Six made-up voices as files with a manifest, laid out like the acted emotions."""
    folder = tmp_path_factory.mktemp("corpus")
    recordings, truth = make_cohort(6, 3, seed=2, duration_s=3.5)
    for recording in recordings:
        soundfile.write(folder / f"{recording.file}.wav", recording.samples, 16_000)
    manifest = pd.DataFrame(
        {
            "file": truth["file"] + ".wav",
            "speaker": truth["speaker"],
            "emotion": truth["label"].replace({"anxious": "fearful"}),
        }
    )
    extra = pd.DataFrame({"file": ["gone.wav", "x.wav"], "speaker": "S01", "emotion": ["sad", "happy"]})
    pd.concat([manifest, extra]).to_csv(folder / "manifest.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def ran(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "vocalbio-demo"
    lines: list[str] = []
    return demo.run_demo(corpus, output, n_jobs=1, echo=lines.append), output, "\n".join(lines)


def test_everything_lands_in_one_folder(ran):
    _, output, _ = ran
    names = {"report.html", "results.json", "features.parquet", "windows.parquet", "stress.vocalbio"}
    assert {path.name for path in output.iterdir()} == names
    assert {path.name for path in output.parent.iterdir()} == {"vocalbio-demo"}


def test_no_system_is_shown_without_an_interval(ran):
    results, _, told = ran
    assert len(results["results"]) == 3
    for name, row in results["results"].items():
        assert row["low"] <= row["estimate"] <= row["high"]
        assert f"{name:<38}{row['UAR']}" in told


def test_a_missing_file_keeps_its_row_and_its_reason(ran):
    results, output, _ = ran
    assert results["unusable"] == 1
    X = pd.read_parquet(output / "features.parquet")
    assert len(X) == results["recordings"] == 19
    assert "does not exist" in vb.errors(X)["reason"].item()


def test_the_saved_model_answers_as_the_page_says(ran, corpus):
    results, output, _ = ran
    model = vb.RiskModel.load(output / "stress.vocalbio")
    answer = model.score_audio(results["answer"]["file"])
    assert answer.to_dict() == results["answer"]
    assert str(answer) in (output / "report.html").read_text("utf-8").replace("&#39;", "'").replace("&#34;", '"')


def test_the_page_says_what_the_numbers_are_not(ran):
    _, output, _ = ran
    page = (output / "report.html").read_text("utf-8")
    assert page.count("Acted emotion is not clinical stress") == 2
    assert page.count('src="data:image/png;base64,') == 4
    assert "Not a diagnosis" in page
    assert not re.search(r'(?:src|href)="http', page)


def test_made_up_voices_are_called_made_up():
    made = demo.make_corpus()
    assert "made-up" in made.name
    assert "They say nothing about people" in made.notice
    assert len(set(made.speakers)) == 12


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (None, "cannot read .*manifest.csv"),
        ("file,who\na,b\n", "has no column emotion, speaker"),
        ("file,speaker,emotion\na,b,neutral\n", "1 speakers with neutral; expected neutral, sad and fearful"),
    ],
)
def test_a_folder_of_another_layout_is_refused_in_words(tmp_path, manifest, words):
    if manifest is not None:
        (tmp_path / "manifest.csv").write_text(manifest)
    with pytest.raises(ParameterError, match=words):
        demo.read_corpus(tmp_path)


def test_real_recordings_are_read_in_the_layout_of_ravdess(data):
    corpus = demo.read_corpus(data / "ravdess")
    assert len(corpus.audio) == 320
    assert dict(zip(*np.unique(corpus.labels, return_counts=True), strict=True)) == {
        "anxious": 128,
        "neutral": 64,
        "sad": 128,
    }


def test_the_readme_s_example_runs_as_printed(tmp_path, monkeypatch, capsys):
    code = re.search(r"<!-- example -->\n```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "trained on 21 recordings of 7 speakers" in capsys.readouterr().out
    assert (tmp_path / "stress.vocalbio").exists()


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
