"""`vocalbio predict`, `train` and `evaluate`, on made-up voices in files: what they do, refuse and say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

import vocalbio as vb
from vocalbio.cli.app import app, plain_warnings
from vocalbio.cli.corpus import read_corpus
from vocalbio.datasets.voices import make_cohort
from vocalbio.errors import ModelUnavailableError, ParameterError, VocalbioWarning
from vocalbio.evaluation import cross_validate
from vocalbio.risk import RiskModel, SeverityModel, load_shipped

QUICK = ["--preset", "small", "--epochs", "2", "--family", "voice"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Six made-up speakers, three recordings each, in folders by class and speaker, with a manifest."""
    folder = tmp_path_factory.mktemp("cohort")
    recordings, truth = make_cohort(n_speakers=6, n_recordings=3, duration_s=3.5)
    files = []
    for recording, label, speaker in zip(recordings, truth["label"], truth["speaker"], strict=True):
        path = folder / label / speaker / f"{recording.file}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, recording.samples, recording.sampling_rate_hz)
        files.append(path.relative_to(folder).as_posix())
    table = truth[["speaker", "label"]].assign(file=files, sex=["male", "female", "male"] * 6)
    table["phq8"] = [3, 12, 21] * 6
    table.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def features(cohort):
    """What Python measures on the cohort, in the order of its table."""
    return vb.extract_features(read_corpus(cohort / "table.csv", "stress").audio, ["voice"])


@pytest.fixture(scope="module")
def trained(cohort, tmp_path_factory):
    """A depression model of the cohort, trained by the program."""
    path = tmp_path_factory.mktemp("models") / "depression.vocalbio"
    command = ["train", "--data", cohort / "table.csv", "--condition", "depression", "--label-column", "phq8",
               "--save-path", path, *QUICK, "--licence", "made up", "--json"]  # fmt: skip
    done = CliRunner().invoke(app, list(map(str, command)), catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return path, json.loads(done.stdout)


# Corpus ---------------------------------------------------------------------------------------------------------


def test_a_table_and_folders_by_class_and_speaker_are_the_same_corpus(cohort):
    table, folders = read_corpus(cohort / "table.csv", "stress"), read_corpus(cohort, "stress")
    told = {file: (label, who) for file, label, who in zip(table.files, table.labels, table.speakers, strict=True)}
    assert len(folders) == len(table) == 18
    for file, label, who in zip(folders.files, folders.labels, folders.speakers, strict=True):
        assert told[file] == (label, who)
    assert table.person["sex"].tolist() == ["male", "female", "male"] * 6
    assert folders.person is None


def test_a_folder_with_a_manifest_is_its_manifest(cohort, tmp_path):
    (tmp_path / "manifest.csv").write_text("file,label,speaker\na.wav,neutral,A\n")
    corpus = read_corpus(tmp_path, "stress")
    assert corpus.files == [str(tmp_path / "a.wav")]


def test_phq8_is_cut_at_10(tmp_path):
    (tmp_path / "t.csv").write_text("file,phq8,speaker\na.wav,9,A\nb.wav,10,B\nc.wav,24,C\n")
    assert read_corpus(tmp_path / "t.csv", "depression").labels.tolist() == [False, True, True]


def test_labels_are_chosen_and_renamed(tmp_path):
    (tmp_path / "t.csv").write_text("file,emotion,speaker\na.wav,calm,A\nb.wav,fearful,B\nc.wav,angry,C\n")
    corpus = read_corpus(tmp_path / "t.csv", "stress", label_column="emotion", labels="calm=neutral,fearful=anxious")
    assert corpus.labels.tolist() == ["neutral", "anxious"]
    assert corpus.speakers.tolist() == ["A", "B"]


def test_speakers_are_found_in_paths(tmp_path):
    (tmp_path / "t.csv").write_text("file,label\nActor_01/x.wav,sad\nActor_02/x.wav,sad\n")
    assert read_corpus(tmp_path / "t.csv", "stress").speakers is None
    for pattern, expected in (("Actor_([0-9]+)", ["01", "02"]), ("^[^/]+", ["Actor_01", "Actor_02"])):
        corpus = read_corpus(tmp_path / "t.csv", "stress", speaker_pattern=pattern)
        assert corpus.speakers.tolist() == expected


def test_spans_are_seconds(tmp_path):
    (tmp_path / "t.csv").write_text("file,label,speaker,start,end\na.wav,sad,A,1.5,3\na.wav,sad,A,3,\n")
    audio = read_corpus(tmp_path / "t.csv", "stress").audio
    assert audio.get_level_values("start").total_seconds().tolist() == [1.5, 3.0]
    assert audio.get_level_values("end")[0].total_seconds() == 3.0
    assert pd.isna(audio.get_level_values("end")[1])


@pytest.mark.parametrize(
    ("text", "condition", "words"),
    [
        ("path,label\na.wav,sad\n", "stress", "expected file, label, speaker"),
        ("file,label\n", "stress", "has no rows"),
        ("file,label\n,sad\n", "stress", "rows without a file"),
        ("file,mood\na.wav,sad\n", "stress", "there is no column 'label'; columns are file, mood"),
        ("file,label\na.wav,\nb.wav,sad\n", "stress", "column 'label' is empty for 1 of 2 files, such as a.wav"),
        ("file,label\na.wav,afraid\n", "stress", "stress takes 'neutral', 'sad', 'anxious'"),
        ("file,label\na.wav,healthy\nb.wav,ill\n", "depression", "--labels healthy=0,ill=1"),
        ("file,phq8\na.wav,25\n", "depression", "'25' is none; expected numbers from 0 to 24"),
        ("file,phq8\na.wav,many\n", "depression", "'many' is none"),
        ("file,label,speaker\na.wav,sad,A\nb.wav,sad,\n", "stress", "column 'speaker' is empty for 1 of 2"),
        ("file,label,start\na.wav,sad,-1\n", "stress", "column 'start' holds '-1'"),
        ("file,label,end\na.wav,sad,late\n", "stress", "column 'end' holds 'late'"),
        ("file,label,start,end\na.wav,sad,2,1\n", "stress", "whose end is not after its start"),
        ("", "stress", "expected a CSV file"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_words(tmp_path, text, condition, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ParameterError, match=words.replace("(", r"\(")):
        read_corpus(tmp_path / "t.csv", condition)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"labels": "sad,gone"}, "--labels names 'gone'; the labels are 'anxious', 'neutral', 'sad'"),
        ({"speaker_pattern": "("}, "is no regular expression"),
        ({"speaker_pattern": "Actor"}, "finds nobody in"),
        ({"label_column": "mood"}, "there is no column 'mood'"),
    ],
)
def test_options_that_do_not_fit_the_corpus_are_told(cohort, settings, words):
    with pytest.raises(ParameterError, match=words):
        read_corpus(cohort / "table.csv", "stress", **settings)


def test_folders_without_recordings_are_told(tmp_path):
    with pytest.raises(ParameterError, match="does not exist"):
        read_corpus(tmp_path / "gone", "stress")
    with pytest.raises(ParameterError, match="CLASS/SPEAKER/file"):
        read_corpus(tmp_path, "stress")
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "a.wav").touch()
    assert read_corpus(tmp_path, "stress").speakers is None


# Train ----------------------------------------------------------------------------------------------------------


def test_a_trained_model_is_what_python_would_fit(cohort, features, trained):
    path, summary = trained
    corpus = read_corpus(cohort / "table.csv", "depression", label_column="phq8")
    own = RiskModel("depression", preset="small", epochs=2, random_state=0)
    own.fit(features, corpus.labels, groups=corpus.speakers)
    np.testing.assert_allclose(RiskModel.load(path).predict_proba(features), own.predict_proba(features), atol=1e-5)
    assert summary["classes"] == {"False": 6, "True": 12}
    assert (summary["n_recordings"], summary["n_speakers"], summary["epochs"]) == (18, 6, 2)
    assert summary["calibrated"]
    assert summary["failed"] == []


def test_training_without_speakers_warns_and_the_model_says_so(vocalbio, cohort, tmp_path):
    table = pd.read_csv(cohort / "table.csv").drop(columns="speaker")
    table["file"] = [str(cohort / file) for file in table["file"]]
    table.loc[0, "file"] = "gone.wav"
    table.to_csv(tmp_path / "t.csv", index=False)
    options = ["--data", tmp_path / "t.csv", "--condition", "stress", "--save-path", tmp_path / "m.vocalbio"]
    with pytest.warns(VocalbioWarning, match="fitted without groups"):
        code, out, err = vocalbio("train", *options, *QUICK)
    assert "an unknown number of speakers" in out
    assert RiskModel.load(tmp_path / "m.vocalbio").manifest_["training"]["speaker_disjoint"] == "unknown"
    # the recording that is not there is told, the rest is done
    assert code == 1
    assert "gone.wav [audio]" in err


def test_warnings_are_lines_for_people():
    with plain_warnings():
        assert warnings.formatwarning("Beware", VocalbioWarning, "x.py", 1) == "vocalbio: warning: Beware\n"
        assert "x.py:1: UserWarning" in warnings.formatwarning("Beware", UserWarning, "x.py", 1)


def test_sequences_are_trained_and_asked(vocalbio, cohort, tmp_path):
    path = tmp_path / "sequence.vocalbio"
    options = ["--data", cohort, "--condition", "stress", "--network", "bilstm", "--balanced", *QUICK]
    code, out, err = vocalbio("train", *options, "--save-path", path, "--window-s", "2", "--batch-size", "9")
    assert code == 0, err
    assert "18 recordings (anxious 6, neutral 6, sad 6) of 6 speakers" in out
    model = RiskModel.load(path)
    assert (model.network, model.batch_size, model.class_weight) == ("bilstm", 9, "balanced")
    assert model.manifest_["extractor"]["window_s"] == 2.0
    assert model.manifest_["extractor"]["hop_s"] == 1.0
    code, out, _ = vocalbio("predict", "stress", cohort / "sad" / "S01", "--model", path)
    assert code == 0
    assert "stress score" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--save-path", "nowhere/m.vocalbio"], "does not exist; make it first"),
        (["--save-path", "m.vocalbio", "--window-s", "1"], "are for --network bilstm"),
        (["--save-path", "m.vocalbio", "--family", "prosodie"], "family 'prosodie' is unknown"),
        (["--save-path", "m.vocalbio", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["--save-path", "m.vocalbio", "--network", "forest"], "Invalid value for '--network'"),
        (["--save-path", "m.vocalbio", "--network", "bilstm"], "bilstm makes one sequence of each file"),
        ([], "Missing option '--save-path'"),
    ],
)
def test_wrong_usage_of_train_gives_exit_code_2_before_anything_is_extracted(vocalbio, tmp_path, options, words):
    (tmp_path / "t.csv").write_text("file,label,speaker,start,end\na.wav,sad,A,0,1\na.wav,sad,A,1,2\n")
    code, out, err = vocalbio("train", "--data", tmp_path / "t.csv", "--condition", "stress", *options)
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())
    assert out == ""
    assert "extracting" not in err


# Evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_prints_what_cross_validate_finds(vocalbio, cohort, features, tmp_path):
    options = ["--data", cohort / "table.csv", "--condition", "stress", "--folds", "3", "--draws", "20", *QUICK]
    code, out, err = vocalbio("evaluate", *options, "--json", "-o", tmp_path / "all.json")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["kind"] == "settings"
    assert lines[0]["split"].startswith("3 folds of speakers (6)")
    corpus = read_corpus(cohort / "table.csv", "stress")
    model = RiskModel("stress", preset="small", epochs=2, random_state=0)
    expected = cross_validate(
        model, features, corpus.labels, groups=corpus.speakers, cv=3, baselines=False, breakdown=[], n_resamples=2
    )
    found = {(line["level"], line["system"], line["metric"]): line["estimate"] for line in lines[1:]
             if line["kind"] == "metric"}  # fmt: skip
    assert set(found) > set(expected.table.index)
    assert found["recording", "RiskModel", "uar"] == pytest.approx(
        expected.interval("uar", level="recording").estimate, abs=0.05
    )
    assert found["recording", "majority", "uar"] == pytest.approx(1 / 3)
    assert "sex only" in {system for _, system, _ in found}
    assert json.loads((tmp_path / "all.json").read_text())["predictions"]


def test_a_saved_model_is_judged_on_new_speakers_only(vocalbio, cohort, features, trained, tmp_path):
    path, _ = trained
    code, _, err = vocalbio("evaluate", "--data", cohort / "table.csv", "--model", path, "--label-column", "phq8")
    assert code == 2
    assert "the model was trained on S01" in err
    table = pd.read_csv(cohort / "table.csv")
    table = table.assign(speaker="new" + table["speaker"], file=[str(cohort / file) for file in table["file"]])
    table.drop(columns="sex").to_csv(tmp_path / "t.csv", index=False)
    options = ["--model", path, "--label-column", "phq8", "--draws", "20"]
    code, out, err = vocalbio("evaluate", "--data", tmp_path / "t.csv", *options)
    assert code == 0, err
    assert "20 draws of speakers" in out
    assert "# Evaluation of RiskModel on new speakers" in out
    assert "6 speakers tested, 18 recordings" in out
    auroc = vb.metrics.auroc((table["phq8"] >= 10).to_numpy(), RiskModel.load(path).predict_proba(features)[:, 1])
    assert re.search(rf"^\| RiskModel +\| {auroc:.2f} \[", out, re.MULTILINE)


def test_evaluation_without_speakers_is_refused(vocalbio, cohort, tmp_path):
    (tmp_path / "t.csv").write_text("file,label\na.wav,sad\nb.wav,neutral\nc.wav,anxious\n")
    code, out, err = vocalbio("evaluate", "--data", tmp_path / "t.csv", "--condition", "stress")
    assert (code, out) == (2, "")
    assert "--speaker-pattern ('.*' if every recording is of another person)" in err
    code, _, err = vocalbio("evaluate", "--data", tmp_path / "t.csv")
    assert code == 2
    assert "neither --model nor --condition" in err


# Predict --------------------------------------------------------------------------------------------------------


def test_json_lines_are_the_answers_of_python(vocalbio, cohort, trained):
    path, _ = trained
    files = sorted((cohort / "sad" / "S01").iterdir()) + sorted((cohort / "anxious" / "S02").iterdir())
    code, out, err = vocalbio("predict", "depression", *files, "--model", path, "--json")
    assert code == 0, err
    model = RiskModel.load(path)
    assert [json.loads(line) for line in out.splitlines()] == [model.score_audio(str(file)).to_dict() for file in files]
    assert all(json.loads(line)["training"]["licence"] == "made up" for line in out.splitlines())


def test_a_broken_file_does_not_stop_the_rest(vocalbio, cohort, trained, tmp_path):
    path, _ = trained
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing else")
    good = next((cohort / "sad" / "S01").iterdir())
    code, out, _ = vocalbio("predict", "depression", tmp_path / "broken.wav", good, "--model", path, "--json")
    assert code == 1
    broken, fine = (json.loads(line) for line in out.splitlines())
    assert (broken["label"], broken["probability"]) == ("indeterminate", None)
    assert broken["reasons"]
    assert 0 < fine["probability"]["True"] < 1
    for nothing in (tmp_path / "broken.wav", tmp_path / "gone.wav"):
        code, out, _ = vocalbio("predict", "depression", nothing, "--model", path)
        assert code == 2
        assert "doubt:" in out


def test_a_severity_model_is_asked_too(vocalbio, cohort, features, tmp_path):
    corpus = read_corpus(cohort / "table.csv", "depression", label_column="phq8")
    model = SeverityModel("depression", preset="small", epochs=1, interval_folds=0, random_state=0)
    model.fit(features, pd.read_csv(cohort / "table.csv")["phq8"].to_numpy(), groups=corpus.speakers)
    model.save(tmp_path / "m.vocalbio")
    code, out, _ = vocalbio("predict", "depression", corpus.files[0], "--model", tmp_path / "m.vocalbio")
    assert code == 0
    assert "PHQ-8" in out
    code, _, err = vocalbio("evaluate", "--data", cohort / "table.csv", "--model", tmp_path / "m.vocalbio")
    assert code == 2
    assert "holds a SeverityModel; evaluate it in Python" in err


def test_a_model_that_answers_another_question_is_refused(vocalbio, trained, tmp_path):
    path, _ = trained
    code, _, err = vocalbio("predict", "stress", "memo.wav", "--model", path)
    assert code == 2
    assert "is a model of depression; stress was asked for" in err
    (tmp_path / "no.vocalbio").write_text("not a model")
    code, _, err = vocalbio("predict", "stress", "memo.wav", "--model", tmp_path / "no.vocalbio")
    assert code == 2
    assert "is not a model saved by vocalbio" in err


@pytest.mark.parametrize("condition", ["depression", "apnea"])
def test_where_no_honest_model_exists_the_way_to_one_is_told(vocalbio, condition):
    code, out, err = vocalbio("predict", condition, "memo.wav")
    assert (code, out) == (2, "")
    assert f"no {condition} model comes with vocalbio" in err
    assert f"vocalbio train --data recordings.csv --condition {condition} --save-path {condition}.vocalbio" in err
    with pytest.raises(ModelUnavailableError, match="would not be honest"):
        load_shipped(condition)


def test_help_and_usage_errors_do_not_wait_for_tensorflow():
    program = (
        "import sys; sys.argv[1:] = ['predict', '--help']; from vocalbio.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print([name for name in "
        "('tensorflow', 'keras', 'sklearn', 'librosa', 'opensmile', 'parselmouth') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_stands_for_the_recordings_in_it(vocalbio, cohort, trained):
    path, _ = trained
    code, out, _ = vocalbio("predict", "depression", cohort / "sad" / "S01", "--model", path, "--json")
    assert code == 0
    assert [Path(json.loads(line)["file"]).parent for line in out.splitlines()] == [cohort / "sad" / "S01"]


def test_answers_are_written_as_pages(vocalbio, cohort, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing else")
    good = next((cohort / "sad" / "S01").iterdir())
    folder = tmp_path / "pages"
    code, _, err = vocalbio("predict", "stress", tmp_path / "broken.wav", good, good, "--report", folder)
    assert code == 1, err
    assert {page.name for page in folder.iterdir()} == {"broken.html", f"{good.stem}.html", f"{good.stem}-2.html"}
    fine, broken = ((folder / f"{name}.html").read_text(encoding="utf-8") for name in (good.stem, "broken"))
    assert "What moved" in fine
    assert fine.count("data:image/") > broken.count("data:image/")
    assert "What moved" not in broken
    assert "indeterminate" in broken.casefold()
    assert str(good.parent) not in fine


def test_one_answer_is_written_as_facts_with_what_moved_it(vocalbio, cohort, tmp_path):
    good, facts = next((cohort / "sad" / "S01").iterdir()), tmp_path / "answer.json"
    code, _, err = vocalbio("predict", "stress", good, "--report", facts)
    assert code == 0, err
    model, told = load_shipped("stress"), json.loads(facts.read_text(encoding="utf-8"))
    assert told.pop("explanation") == json.loads(json.dumps(model.explain(str(good)).to_dict()))
    assert told == json.loads(json.dumps(model.score_audio(str(good)).to_dict()))


def test_an_indeterminate_answer_is_not_explained(vocalbio, cohort, trained, tmp_path):
    path, _ = trained  # two epochs: its intervals hold the threshold
    good, facts = next((cohort / "sad" / "S01").iterdir()), tmp_path / "answer.json"
    code, _, err = vocalbio("predict", "depression", good, "--model", path, "--report", facts)
    assert code == 0, err
    told = json.loads(facts.read_text(encoding="utf-8"))
    assert told["label"] == "indeterminate"
    assert "explanation" not in told


@pytest.mark.parametrize(
    ("report", "files", "words"),
    [
        ("page.html", ["a.wav", "b.wav"], "for 2 recordings; expected a folder"),
        ("nowhere/page.html", ["a.wav"], "does not exist; make it first"),
        ("taken", ["a.wav"], "no folder can be made there"),
    ],
)
def test_a_page_that_cannot_be_written_is_told_beforehand(vocalbio, tmp_path, monkeypatch, report, files, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    code, out, err = vocalbio("predict", "stress", *files, "--report", report)
    assert (code, out) == (2, "")
    assert words in err
