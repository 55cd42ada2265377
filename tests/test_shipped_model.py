"""The stress model in the wheel: small, honest about what it is, and deaf to a microphone's gain."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import vocalbio as vb
from vocalbio.datasets.voices import make_cohort
from vocalbio.errors import ParameterError
from vocalbio.risk import RiskModel, load_shipped

SHIPPED = Path(vb.__file__).parent / "risk" / "shipped"
LICENCE = "CC BY-NC-SA 4.0"


@pytest.fixture(scope="module")
def model():
    return load_shipped("stress")


@pytest.fixture(scope="module")
def clips(data):
    """One clip a speaker and class in turn, and which class it is."""
    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    labels = manifest["emotion"].replace({"fearful": "anxious"})
    classes = ["neutral", "sad", "anxious"]
    rows = [
        manifest.index[(manifest["speaker"] == speaker) & (labels == classes[number % 3])][number % 4]
        for number, speaker in enumerate(manifest["speaker"].unique())
    ]
    return [vb.load_audio(data / "ravdess" / manifest["file"][row]) for row in rows], labels[rows].to_numpy(str)


def test_the_file_is_small_and_of_the_public_kind(model):
    assert (SHIPPED / "stress.vocalbio").stat().st_size < 1e6
    assert model.classes_.tolist() == ["neutral", "sad", "anxious"]
    assert model.threshold_ == 70
    assert model.calibration_ is not None
    assert RiskModel.load(SHIPPED / "stress.vocalbio").manifest_ == model.manifest_
    with pytest.raises(ParameterError, match="expected one of 'depression', 'stress', 'apnea'"):
        load_shipped("insomnia")


def test_terms_and_evidence_stand_in_the_file_and_on_its_card(model):
    training, metrics = model.manifest_["training"], model.manifest_["metrics"]
    assert training["licence"].startswith(LICENCE)
    assert "openSMILE" in training["licence"]
    assert (training["n_speakers"], training["speaker_disjoint"]) == (16, "by groups")
    card = (SHIPPED / "stress.md").read_text(encoding="utf-8")
    assert card == (Path(__file__).parents[1] / "docs" / "stress_model.md").read_text(encoding="utf-8")
    assert LICENCE in card
    assert "Acted emotion is not clinical stress" in card
    assert f"{metrics['uar']:.2f} [{metrics['uar_low']:.2f}, {metrics['uar_high']:.2f}]" in card
    assert metrics["uar_low"] > 1 / 3
    # it says itself that it does not carry over to another corpus, in words that follow from what was measured
    uar, low, high = (f"{metrics[name]:.2f}" for name in ("nemo_uar", "nemo_uar_low", "nemo_uar_high"))
    nemo = f"(UAR {uar} [{low}, {high}], guessing 0.33)"
    words = "did no better than guessing" if metrics["nemo_uar_low"] <= 1 / 3 else "did much worse than on its own"
    assert f"{words} {nemo}" in training["notice"]
    assert training["notice"] in card
    assert metrics["nemo_uar"] < metrics["uar_low"]
    assert metrics["ece"] <= 0.08
    assert all(shift < 5 for shift in metrics["median_score_shift"].values())


def test_nothing_that_is_a_level_is_an_input(model):
    names = set(model.manifest_["columns"])
    for name in (
        "prosody__loudness_sma3_amean",
        "prosody__equivalentSoundLevel_dBp",
        "prosody__spectralFlux_sma3_amean",
        "spectral__mfcc00_mean",
        "spectral__logmel10_mean",
    ):
        assert name not in names


def test_an_answer_tells_licence_and_that_emotions_were_acted(model):
    [recording], _ = make_cohort(n_speakers=1, n_recordings=1)
    answer = model.score_audio(recording)
    assert 0 <= answer.score_interval[0] <= answer.score <= answer.score_interval[1] <= 100
    assert answer.score == pytest.approx(100 * (0.5 * answer.probability["sad"] + answer.probability["anxious"]))
    assert answer.training["licence"].startswith(LICENCE)
    assert "Acted emotion is not clinical stress" in str(answer)
    assert LICENCE in str(answer)


def test_breath_without_voice_is_given_no_number(model):
    """Noise that swells and fades like breathing is measured well and says nothing of a voice."""
    rng = np.random.default_rng(4)
    swell = np.clip(np.sin(2 * np.pi * 0.3 * np.arange(12 * 16_000) / 16_000), 0, 1)
    answer = model.score_audio(vb.Recording((0.1 * swell * rng.standard_normal(len(swell))).astype("float32"), 16_000))
    assert (answer.label, answer.probability, answer.score) == ("indeterminate", None, None)
    assert "0.0 s of voice are too little for a label; 0.3 s are the least" in answer.reasons


def test_a_gain_of_10_db_moves_the_score_by_less_than_5_points_on_median(model, clips):
    recordings, labels = clips
    scores = {}
    for gain_db in (0, -10, 10):
        factor = 10 ** (gain_db / 20)
        louder = [replace(recording, samples=recording.samples * np.float32(factor)) for recording in recordings]
        fits = np.array([np.abs(recording.samples).max() < 1 for recording in louder])
        scores[gain_db] = np.where(fits, model.predict_score(model.measure(louder)), np.nan)
    for gain_db in (-10, 10):
        moved = np.abs(scores[gain_db] - scores[0])
        assert np.isfinite(moved).sum() >= 10
        assert np.nanmedian(moved) < 5
    # and it is no constant: these are its own training clips
    assert scores[0][labels == "anxious"].mean() - scores[0][labels == "neutral"].mean() > 40


def test_the_program_answers_out_of_the_box(tmp_path):
    [recording], _ = make_cohort(n_speakers=1, n_recordings=1, seed=3)
    soundfile.write(tmp_path / "memo.wav", recording.samples, recording.sampling_rate_hz)
    command = [sys.executable, "-m", "vocalbio", "predict", "stress", str(tmp_path / "memo.wav"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["label"] in ("High", "Normal", "indeterminate")
    assert "Acted emotion is not clinical stress" in answer["training"]["notice"]
