"""`vocalbio train` and `evaluate` on corpora in their published layouts: from the folder to a page."""

from __future__ import annotations

import json
import re

import corpus_trees as trees
import numpy as np
import pandas as pd
import pytest
import soundfile

from vocalbio.cli.corpus import read_published
from vocalbio.datasets.corpora import READERS, read_daic_woz
from vocalbio.datasets.voices import VoiceParameters, synthesize_voice
from vocalbio.errors import ParameterError
from vocalbio.risk import RiskModel

QUICK = ["--preset", "small", "--epochs", "2", "--family", "spectral"]
PARTS = {"train": range(303, 309), "dev": range(310, 314), "test": range(322, 326)}
SCORE = {number: 15 if number % 2 else 3 for part in PARTS.values() for number in part}


def daic_woz(root, voices=True):
    """Fourteen made-up participants; those of odd numbers are positive and speak lower."""
    sessions = {
        part: {k: trees.phq8_line(k, SCORE[k], k // 2 % 2) if part != "test" else f"{k},{k // 2 % 2}" for k in numbers}
        for part, numbers in PARTS.items()
    }
    trees.daic_woz(root, sessions, {k: SCORE[k] for k in PARTS["test"]})
    for number in SCORE if voices else ():
        person = VoiceParameters(f0_hz=(110 if number % 2 else 180) + number % 7, pause_count=3)
        voice = synthesize_voice(person, 15.0, seed=number).recording
        soundfile.write(root / f"{number}_P" / f"{number}_AUDIO.wav", voice.samples, voice.sampling_rate_hz)
    return root


@pytest.fixture(scope="module")
def interviews(tmp_path_factory):
    return daic_woz(tmp_path_factory.mktemp("DAIC-WOZ"))


def test_from_a_folder_of_daic_woz_to_a_page(vocalbio, interviews, tmp_path):
    page = tmp_path / "out.html"
    options = ["--data", interviews, "--corpus", "daic_woz", "--condition", "depression", "--draws", "20", *QUICK]
    code, out, err = vocalbio("evaluate", *options, "--report", page, "-o", tmp_path / "all.json")
    assert code == 0, err
    assert "official split: train and dev (10 speakers) to train, test (4) to test" in err
    assert "train_split_Depression_AVEC2017.csv: 6 participants; the published table has 107" in err
    assert "4 speakers tested" in out
    found = json.loads((tmp_path / "all.json").read_text())
    assert {str(line["speaker"]) for line in found["predictions"]} == {str(number) for number in PARTS["test"]}
    html = page.read_text(encoding="utf-8")
    for words in ("AUROC", "TRIPOD+AI", "Methods", "Not a diagnosis", "data:image/", "official"):
        assert words in html, words
    assert str(interviews) not in html


def test_test_people_are_kept_out_of_training_and_a_model_is_judged_on_them(vocalbio, interviews, tmp_path):
    path = tmp_path / "m.vocalbio"
    options = ["--data", interviews, "--corpus", "daic_woz"]
    code, out, err = vocalbio("train", *options, "--condition", "depression", *QUICK, "--save-path", path, "--json")
    assert code == 0, err
    corpus = read_daic_woz(interviews)
    trained_on = corpus.table[corpus.table["split"] != "test"]
    summary = json.loads(out)
    assert (summary["n_speakers"], summary["n_recordings"]) == (10, len(trained_on))
    assert RiskModel.load(path).manifest_["training"]["corpus"] == "DAIC-WOZ"
    code, out, err = vocalbio("evaluate", *options, "--model", path, "--draws", "20")
    assert code == 0, err
    assert "4 speakers tested" in out


def test_sequences_are_whole_interviews(vocalbio, interviews):
    options = ["--data", interviews, "--corpus", "daic_woz", "--condition", "depression", "--network", "bilstm"]
    code, out, err = vocalbio("evaluate", *options, "--window-s", "1", "--draws", "20", *QUICK, "--json")
    assert code == 0, err
    settings = json.loads(out.splitlines()[0])
    cohort = settings["cohort"]
    assert (cohort["n_speakers_tested"], cohort["n_recordings_tested"]) == (4, 4)
    assert "extracting features of 28 stretches of 14 recordings" in err


def test_without_scores_of_the_test_part_the_dev_part_is_tested(tmp_path):
    daic_woz(tmp_path, voices=False)
    (tmp_path / "full_test_split.csv").unlink()
    corpus = read_published(tmp_path, "daic_woz", "depression")
    train, test, words = corpus.official_parts()
    assert set(corpus.speakers[test]) == {str(number) for number in PARTS["dev"]}
    assert set(corpus.speakers[train]) == {str(number) for number in PARTS["train"]}
    assert words == "train (6 speakers) to train, dev (4) to test"
    assert corpus.problems[-1] == "8 of 28 rows have no label: left out"


def test_labels_of_a_corpus_are_those_of_python(interviews):
    corpus, expected = read_published(interviews, "daic_woz", "depression"), read_daic_woz(interviews)
    assert corpus.labels.tolist() == expected.table["label"].tolist()
    pd.testing.assert_index_equal(corpus.audio, expected.index)
    assert corpus.person["sex"].tolist() == expected.table["sex"].tolist()
    by_score = read_published(interviews, "daic_woz", "depression", label_column="phq8")
    assert by_score.labels.tolist() == corpus.labels.tolist()


@pytest.mark.parametrize(("name", "make"), [("emodb", trees.emodb), ("ravdess", trees.ravdess),
                                            ("crema_d", trees.crema_d), ("iemocap", trees.iemocap)])  # fmt: skip
def test_acted_emotions_give_the_classes_of_stress(tmp_path, name, make):
    corpus = read_published(make(tmp_path), name, "stress")
    expected = READERS[name](tmp_path, labels="stress").table.dropna(subset="label")
    assert corpus.labels.tolist() == expected["label"].tolist()
    assert set(corpus.labels) <= {"neutral", "sad", "anxious"}
    assert corpus.speakers.tolist() == expected["speaker"].tolist()


def test_labels_of_a_corpus_are_chosen_and_renamed(tmp_path):
    corpus = read_published(trees.ravdess(tmp_path), "ravdess", "stress", labels="calm=neutral,sad,fearful=anxious")
    assert sorted(set(corpus.labels.tolist())) == ["anxious", "neutral", "sad"]
    assert len(corpus) == 6
    snores = read_published(trees.khan_snoring(tmp_path / "khan"), "khan_snoring", "apnea", labels="snore,other=normal")
    assert set(snores.labels.tolist()) == {"snore", "normal"}


def test_official_folds_are_no_parts(tmp_path):
    corpus = read_published(trees.androids(tmp_path), "androids", "depression")
    assert len(set(corpus.splits.tolist())) == len(set(corpus.speakers.tolist())) == 5
    assert corpus.official_parts() is None


def test_a_file_of_several_labels_makes_no_sequence(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "file,label,speaker,start,end\na.wav,sad,A,0,1\na.wav,neutral,A,1,2\n", encoding="utf-8"
    )
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    corpus = read_published(tmp_path, "table", "stress")
    assert corpus.size == "2 stretches of 1 recordings"
    with pytest.raises(ParameterError, match=r"a\.wav has stretches of several labels"):
        corpus.by_file()


def test_a_row_is_taken_with_all_that_is_known_of_it(interviews):
    corpus = read_published(interviews, "daic_woz", "depression")
    places = np.array([5, 2])
    part = corpus.take(places)
    assert part.files == [corpus.files[5], corpus.files[2]]
    for name in ("labels", "speakers", "splits"):
        assert getattr(part, name).tolist() == getattr(corpus, name)[places].tolist()
    assert part.person["sex"].tolist() == corpus.person["sex"].iloc[places].tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--corpus", "daic"], "there is no reader 'daic'"),
        (["--corpus", "emodb"], "EmoDB"),
        (["--corpus", "daic_woz", "--speaker-pattern", ".*"], "--speaker-pattern and --corpus are both given"),
        (["--corpus", "daic_woz", "--label-column", "mood"], "there is no column 'mood'"),
        (["--corpus", "daic_woz", "--report", "page.pdf"], "expected a name that ends in .html or .json"),
        (["--corpus", "daic_woz", "--report", "nowhere/page.html"], "does not exist; make it first"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_extracted(vocalbio, interviews, options, words):
    code, out, err = vocalbio("evaluate", "--data", interviews, "--condition", "depression", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert "extracting" not in err


def test_help_names_the_corpora():
    from typer.main import get_command

    from vocalbio.cli.app import app

    for command in ("train", "evaluate"):
        option = next(p for p in get_command(app).commands[command].params if "--corpus" in p.opts)
        named = set(re.findall(r"[a-z_]+", option.help))
        assert set(READERS) - {"audformat", "psg_audio"} <= named  # one needs settings, one has no labels
