"""A SeverityModel on made cohorts whose truth is known."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from vocalbio.audio import Recording
from vocalbio.datasets import Sequences
from vocalbio.errors import LeakageError, ModelFileError, ParameterError, VocalbioWarning
from vocalbio.extract import FeatureExtractor
from vocalbio.metrics import ccc
from vocalbio.risk import RiskModel, SeverityModel

COLUMNS = ["voice__a", "voice__b", "voice__c", "voice__d"]


def make_cohort(n_speakers: int = 30, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """PHQ-8 totals that two columns tell, but for an error that a speaker's recordings share."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(n_speakers), 4)
    X = rng.normal(size=(len(speakers), 4))
    phq8 = 10 + 4 * X[:, 0] - 3 * X[:, 1] + 2 * rng.normal(size=n_speakers)[speakers]
    return pd.DataFrame(X, columns=COLUMNS), np.clip(phq8, 0, 24), np.array([f"S{seed}-{i}" for i in speakers])


def quick(condition: str = "depression", **settings: Any) -> SeverityModel:
    defaults = {"preset": "small", "epochs": 80, "batch_size": 16, "interval_folds": 0, "random_state": 0}
    return SeverityModel(condition, **(defaults | settings))


@pytest.fixture(scope="module")
def cohort() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    return make_cohort()


@pytest.fixture(scope="module")
def fitted(cohort: Any) -> SeverityModel:
    X, y, speakers = cohort
    return quick(interval_folds=5).fit(X, y, groups=speakers)


def test_it_finds_the_severity_of_speakers_that_it_never_heard(fitted: SeverityModel) -> None:
    X, y, _ = make_cohort(seed=1)
    found = fitted.predict(X)
    assert ccc(y, found) > 0.8
    assert np.abs(y - found).mean() < 0.6 * np.abs(y - y.mean()).mean()


def test_a_severity_stays_on_its_scale(fitted: SeverityModel, cohort: Any) -> None:
    X, y, speakers = cohort
    extreme = pd.DataFrame([[9.0, -9, 0, 0], [-9, 9, 0, 0]], columns=COLUMNS)
    assert fitted.predict(extreme).tolist() == [24.0, 0.0]
    bounds = fitted.predict_interval(extreme)
    assert bounds[0, 1] == 24
    assert bounds[1, 0] == 0
    stress = quick("stress", epochs=5).fit(X, 4 * y, groups=speakers)
    assert (stress.threshold_, stress.predict(100 * extreme).max() <= 100) == (70, True)


def test_concordance_as_loss_keeps_the_spread_that_squared_error_gives_up() -> None:
    rng = np.random.default_rng(0)
    X, speakers = rng.normal(size=(400, 4)), np.arange(400) // 8
    y = np.clip(12 + 2 * X[:, 0] + 4 * rng.normal(size=400), 0, 24)  # little of it can be told
    new = rng.normal(size=(400, 4))
    spread = {
        loss: quick(loss=loss, epochs=60, batch_size=50).fit(X, y, groups=speakers).predict(new).std()
        for loss in ("mse", "ccc")
    }
    assert spread["ccc"] > 1.25 * spread["mse"]


def test_intervals_hold_about_as_many_new_speakers_as_promised(fitted: SeverityModel) -> None:
    X, y, _ = make_cohort(300, seed=1)
    bounds = fitted.predict_interval(X)
    held = ((bounds[:, 0] <= y) & (y <= bounds[:, 1])).mean()
    assert 0.84 < held < 0.97
    half = quick(interval_folds=5, interval_level=0.5).fit(*make_cohort()[:2], groups=make_cohort()[2])
    assert 0.4 < ((half.predict_interval(X)[:, 0] <= y) & (y <= half.predict_interval(X)[:, 1])).mean() < 0.62


def test_with_few_speakers_an_interval_is_the_whole_scale_and_says_so(tmp_path: Path) -> None:
    X, y, speakers = make_cohort(8)
    model = quick(interval_folds=4, epochs=2).fit(X, y, groups=speakers)
    assert np.unique(model.predict_interval(X), axis=0).tolist() == [[0, 24]]
    verdict = model._verdict(np.array([12.0]))
    assert "too few speakers in training to promise less" in verdict.reasons[0]
    assert verdict.undecided is not None
    model.save(tmp_path / "model.vocalbio")
    assert SeverityModel.load(tmp_path / "model.vocalbio").predict_interval(X[:1]).tolist() == [[0, 24]]
    with pytest.raises(ParameterError, match="no interval: there is one speaker only"):
        quick(interval_folds=4, epochs=1).fit(X, y, groups=np.zeros(len(y))).predict_interval(X)
    with pytest.raises(ParameterError, match="no interval: the model was fitted with interval_folds=0"):
        quick(epochs=1).fit(X, y, groups=speakers).predict_interval(X)


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({}, [0, 27], "y goes from 0 to 27; PHQ-8 goes from 0 to 24. For another scale pass scale="),
        ({"scale": (5, 1)}, [0, 20], r"scale is \(5, 1\); expected None or \(lowest, highest\)"),
        ({"scale": 24}, [0, 20], "scale is 24"),
        ({"loss": "mae"}, [0, 20], "loss is 'mae'; expected one of 'mse', 'ccc'"),
        ({"interval_level": 90}, [0, 20], "interval_level is 90; expected a number between 0 and 1"),
        ({"condition": "apnea"}, [0, 20], "condition is 'apnea'; a severity is known for 'depression', 'stress'"),
        ({}, ["mild", "severe"], "y is not numeric"),
        ({}, [0, np.inf], "y holds infinity"),
    ],
)
def test_settings_and_severities_that_do_not_fit_are_refused(settings: dict[str, Any], y: Any, message: str) -> None:
    X, _, speakers = make_cohort(5)
    with pytest.raises(ParameterError, match=message):
        quick(**settings).fit(X, np.resize(np.array(y), len(X)), groups=speakers)


def test_another_scale_may_be_given(cohort: Any) -> None:
    X, y, speakers = cohort
    model = quick(scale=(0, 27), epochs=2).fit(X, y + 3, groups=speakers)
    assert model.predict(1000 * X).max() <= 27
    assert model._verdict(np.array([12.0])).scale == {"name": "PHQ-8", "low": 0.0, "high": 27.0}


def test_unusable_rows_get_no_severity(cohort: Any, fitted: SeverityModel) -> None:
    X, y, speakers = cohort
    X = X.copy()
    X.iloc[2] = np.nan
    assert np.isnan(fitted.predict(X)).nonzero()[0].tolist() == [2]
    assert np.isnan(fitted.predict_interval(X)[2]).all()
    with pytest.warns(VocalbioWarning, match="1 of 120 samples have no usable features"):
        quick(epochs=1).fit(X, y, groups=speakers)


def test_segments_of_a_recording_are_taken_as_a_sequence() -> None:
    rng = np.random.default_rng(0)
    y, lengths = rng.uniform(0, 24, 60), rng.integers(1, 6, 60)
    values = [
        (rng.normal(size=(n, 3)) + (severity - 12) / 4).astype("float32")
        for n, severity in zip(lengths, y, strict=True)
    ]
    sequences = Sequences(list(range(60)), values, COLUMNS[:3])
    model = quick(network="bilstm", epochs=30).fit(sequences[:40], y[:40], groups=np.arange(40) // 2)
    assert ccc(y[40:], model.predict(sequences[40:])) > 0.8


def test_saved_pickled_and_averaged_it_says_the_same(cohort: Any, tmp_path: Path) -> None:
    X, y, speakers = cohort
    model = quick(interval_folds=3, epochs=3, n_networks=2, scale=(0, 24), patience=2).fit(X, y, groups=speakers)
    model.save(tmp_path / "model.vocalbio", licence="research only")
    loaded = SeverityModel.load(tmp_path / "model.vocalbio")
    for again in (loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        np.testing.assert_array_equal(again.predict_interval(X), model.predict_interval(X))
    assert loaded.get_params() == model.get_params()
    assert loaded.manifest_["training"]["severity"]["mean"] == pytest.approx(y.mean())
    assert loaded.manifest_["training"]["licence"] == "research only"
    with pytest.raises(ModelFileError, match=r"holds a SeverityModel; load it with SeverityModel\.load"):
        RiskModel.load(tmp_path / "model.vocalbio")


def test_training_goes_on_with_new_speakers_only(cohort: Any) -> None:
    X, y, speakers = cohort
    new, y_new, new_speakers = make_cohort(seed=1)
    test, y_test, _ = make_cohort(seed=2)
    model = quick(epochs=80, interval_folds=3).fit(X, y, groups=speakers)
    turned = 24 - y_new  # in the new cohort everything is the other way round
    assert ccc(24 - y_test, model.predict(test)) < 0
    model.fit_more(new, turned, groups=new_speakers)
    assert ccc(24 - y_test, model.predict(test)) > 0.5
    assert model.manifest_["training"]["n_speakers"] == 60
    with pytest.raises(LeakageError, match=r"heard in training already: S1-0"):
        model.fit_more(new, turned, groups=new_speakers)


def test_it_works_inside_scikit_learn(cohort: Any) -> None:
    X, y, _ = cohort
    with pytest.warns(VocalbioWarning, match="without groups"):
        found = cross_val_predict(quick(), X, y, cv=2)
    assert ccc(y, found) > 0.7


@parametrize_with_checks(
    [SeverityModel(preset="small", epochs=40, batch_size=8, interval_folds=0, scale=(-1e4, 1e4), random_state=0)],
    expected_failed_checks=lambda _: {
        "check_dtype_object": "it asks for a TypeError; ours is a ParameterError, a ValueError",
        "check_supervised_y_2d": "one column of a table is as good as a Series; there is nothing to warn of",
        "check_methods_sample_order_invariance": "asks for nine digits of networks that count in float32",
        "check_methods_subset_invariance": "asks for it too, and on some machines gets it",
    },
)
@pytest.mark.filterwarnings("ignore::vocalbio.errors.VocalbioWarning")  # the checks know of no speakers
def test_it_keeps_the_law_of_scikit_learn(estimator: SeverityModel, check: Callable[[Any], None]) -> None:
    check(estimator)


# Answers --------------------------------------------------------------------------------------------------


def voice(f0_hz: float, seconds: float = 2.0) -> Recording:
    t = np.arange(int(16_000 * seconds)) / 16_000
    wave = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 20))
    return Recording(0.1 * wave * (1 + 0.2 * np.sin(2 * np.pi * 3 * t)), 16_000, file=f"{f0_hz:.0f}.wav")


@pytest.fixture(scope="module")
def by_pitch() -> SeverityModel:
    """Higher voices are more severe: 100 Hz is 0, 340 Hz is 24."""
    f0 = np.linspace(100, 340, 40)
    X = FeatureExtractor(["voice"]).transform([voice(f) for f in f0])
    X = X[[c for c in X if c.startswith("quality__")] + ["voice__f0_mean_hz", "voice__f0_median_hz"]]
    y, speakers = (f0 - 100) / 10, np.arange(40) % 20
    return quick(interval_folds=4, epochs=150, least_voiced_s=0).fit(X, y, groups=speakers)


def test_an_answer_tells_severity_interval_and_scale(by_pitch: SeverityModel) -> None:
    high, low = by_pitch.score_audio([voice(300), voice(120)])
    assert high.score == pytest.approx(20, abs=3)
    assert low.score == pytest.approx(2, abs=3)
    assert (high.label, low.label, high.threshold) == ("High Risk", "Low Risk", 10)
    assert high.score_interval[0] <= high.score <= high.score_interval[1]
    assert high.probability is high.interval is None
    assert high.scale == {"name": "PHQ-8", "low": 0, "high": 24}
    assert f"PHQ-8 {high.score:.1f} of 24 [" in str(high)
    assert json.loads(high.to_json()) == high.to_dict()
    edge = by_pitch.score_audio(voice(200))
    assert edge.label == ("High Risk" if edge.score >= 10 else "Low Risk")
    short = pickle.loads(pickle.dumps(by_pitch)).set_params(least_voiced_s=None).score_audio(voice(300))
    assert (short.label, short.score) == ("indeterminate", high.score)
    assert "10 s are the least" in short.reasons[0]


def test_severities_of_windows_are_averaged(by_pitch: SeverityModel) -> None:
    windows = FeatureExtractor(["voice"], window_s=1.0)
    table = windows.transform([voice(100 + 20 * i, 2.0) for i in range(8)])
    model = quick(epochs=20, least_voiced_s=0).fit(
        table, np.repeat(np.arange(8.0), 2), groups=np.repeat(np.arange(8), 2)
    )
    answer = model.score_audio(voice(150, 3.0))
    assert answer.score == pytest.approx(model.predict(windows.transform([voice(150, 3.0)])).mean(), rel=1e-5)
