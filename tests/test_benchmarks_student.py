"""The scripts behind the compact encoder: no speaker on both sides, and what is made is what it says."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    """A script by its name: benchmarks are no package."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


def test_the_halves_share_no_speaker_and_leave_none_out(script: Any, data: Path) -> None:
    distil = script("distil_student")
    for corpus in ("ravdess", "nemo"):
        index = pd.read_csv(data / corpus / "manifest.csv")[["speaker"]]
        material = distil.Material(index, np.zeros(0), np.zeros((0, 1)), np.zeros((0, 1)))
        a, b, everybody = (set(material.of(half, corpus).index.speaker) for half in ("A", "B", "all"))
        assert not a & b
        assert a | b == everybody == set(index.speaker)
        assert len(a) == len(b)


def test_what_is_tested_is_judged_with_the_student_that_never_heard_it(script: Any) -> None:
    training, distil = script("train_stress_model"), script("distil_student")
    columns = ["prosody__x", "compact_A__000", "compact_B__000", "quality__ok"]
    X = pd.DataFrame(np.arange(4.0)[None], columns=columns)
    for tested in training.ACTORS:
        model = training.network(training.UnheardModel)
        model.student_ = model.student_for(set(training.ACTORS) - {tested})
        assert model.student_ == ("B" if tested in distil.HALF_A else "A")
        own = model.own(X)
        assert own.columns.tolist() == ["prosody__x", "compact_L6__000", "quality__ok"]
        assert own["compact_L6__000"].item() == (2.0 if model.student_ == "B" else 1.0)
    for left in ({"A01", "A16"}, set()):
        with pytest.raises(ValueError, match="expected speakers of one half, whom a student never heard"):
            model.student_for(set(training.ACTORS) - left)


def test_the_evidence_asks_each_half_of_the_other_s_student(script: Any) -> None:
    a, b = pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": [2.0]})
    asked = script("student_evidence").unheard({"A": a, "B": b})
    assert asked["A"] is b
    assert asked["B"] is a


def test_students_that_were_made_differently_are_no_evidence(script: Any, tmp_path: Path) -> None:
    distil = script("distil_student")
    recipe = {"steps": 2, "rate": 1e-3, "without": [], "wider": True, "start": None}
    for half in "AB":
        (tmp_path / half).mkdir()
    (tmp_path / "A" / "done.json").write_text(json.dumps(recipe))
    with pytest.raises(SystemExit, match="B is not there, or not trained to the end"):
        distil.finished(tmp_path)
    (tmp_path / "B" / "done.json").write_text(json.dumps(recipe | {"steps": 3}))
    with pytest.raises(SystemExit, match="not made in the same way"):
        distil.finished(tmp_path)
    (tmp_path / "B" / "done.json").write_text(json.dumps(recipe | {"hours": 3.0}))
    assert distil.finished(tmp_path)["B"] == tmp_path / "B" / "student"
    with pytest.raises(SystemExit, match="would have heard the other half"):
        distil.train("B-2", "A", 1, tmp_path, tmp_path, 1e-3, [], False)


def test_made_sounds_are_sounds_and_the_same_every_time(script: Any) -> None:
    distil = script("distil_student")
    for kind in distil.SOUNDS:
        sound = distil.made_sound(kind, np.random.default_rng(3))
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() == pytest.approx(1.0)
        assert len(sound) > 0.1 * distil.RATE
    once, again = ([clip for _, clip in distil.made_sounds(3)] for _ in range(2))
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.sqrt(np.mean(one**2)) > 1e-4


def test_a_disturbed_piece_is_as_the_encoder_wants_it(script: Any) -> None:
    distil = script("distil_student")
    pieces = distil.Pieces([(None, 1.0)], [np.random.default_rng(1).normal(size=16_000)], seed=0)
    tone = 0.1 * np.sin(np.arange(32_000) * 0.05)
    for _ in range(20):
        found = pieces.disturbed(tone)
        assert found.shape == tone.shape
        assert abs(found.mean()) < 1e-3
        assert found.std() == pytest.approx(1.0, abs=1e-2)
