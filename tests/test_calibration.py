"""What a probability means: calibration, thresholds and intervals against formulas and second implementations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_curve

from vocalbio.errors import ModelFileError, ParameterError
from vocalbio.metrics import ece
from vocalbio.risk import RiskModel
from vocalbio.risk.calibration import Isotonic, Temperature, choose_threshold
from vocalbio.risk.files import read_model, write_model
from vocalbio.risk.intervals import class_bounds, conformal_radius, score_bounds, venn_abers


def softmax(logits: np.ndarray) -> np.ndarray:
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


def draw(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (probabilities.cumsum(axis=1) < rng.random(len(probabilities))[:, None]).sum(axis=1)


def overconfident(n_classes: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True probabilities, classes drawn from them, and what a network says that is thrice too sure and biased."""
    logits = rng.normal(size=(n, n_classes))
    truth = softmax(logits)
    return truth, draw(truth, rng), softmax(3 * logits + np.linspace(-0.5, 0.5, n_classes))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_temperature_finds_the_scale_and_the_bias_of_a_network_that_is_too_sure(
    n_classes: int, rng: np.random.Generator
) -> None:
    truth, codes, said = overconfident(n_classes, 20_000, rng)
    fitted = Temperature.fit(said, codes, np.ones(len(codes)))
    assert fitted.scale[0] == pytest.approx(1 / 3, rel=0.05)
    np.testing.assert_allclose(fitted.bias, -np.linspace(-0.5, 0.5, n_classes) / 3, atol=0.03)
    np.testing.assert_allclose(fitted.transform(said), truth, atol=0.03)


def test_for_two_classes_it_is_a_logistic_regression_on_the_log_odds(rng: np.random.Generator) -> None:
    _, codes, said = overconfident(2, 3000, rng)
    said = np.clip(said, 1e-5, 1 - 1e-5)
    odds = np.log(said[:, 1] / said[:, 0])[:, None]
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(odds, codes).predict_proba(odds)
    np.testing.assert_allclose(Temperature.fit(said, codes, np.ones(3000)).transform(said), expected, atol=2e-3)


def test_calibrated_rows_add_up_to_one_and_keep_the_order_of_two_classes(rng: np.random.Generator) -> None:
    for n_classes in (2, 3):
        _, codes, said = overconfident(n_classes, 500, rng)
        for kind in (Temperature, Isotonic):
            found = kind.fit(said, codes, np.ones(500)).transform(said)
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
            assert ((found >= 0) & (found <= 1)).all()
            if n_classes == 2:
                assert (np.diff(found[np.argsort(said[:, 1]), 1]) >= 0).all()


def test_isotonic_calibration_of_two_classes_is_isotonic_regression(rng: np.random.Generator) -> None:
    _, codes, said = overconfident(2, 400, rng)
    weights = rng.random(400) + 0.5
    regression = IsotonicRegression(out_of_bounds="clip").fit(said[:, 1], codes, weights)
    new = rng.random(50)
    found = Isotonic.fit(said, codes, weights).transform(np.column_stack([1 - new, new]))
    np.testing.assert_allclose(found[:, 1], regression.predict(new), atol=1e-9)


@pytest.mark.parametrize("kind", [Temperature, Isotonic])
def test_weights_turn_probabilities_to_classes_of_equal_size(kind: Any, rng: np.random.Generator) -> None:
    """Bayes' rule: classes 1 and 0 at 1:4; weighed alike, the odds are four times as high."""
    codes = (rng.random(40_000) < 0.2).astype(int)
    feature = rng.normal(size=40_000) + 1.5 * codes
    odds = np.exp(1.5 * feature - 1.5**2 / 2)  # of a feature under both classes
    said = np.column_stack([1 / (1 + odds / 4), 1 - 1 / (1 + odds / 4)])
    weights = np.where(codes == 1, 0.5 / 0.2, 0.5 / 0.8)
    found = kind.fit(said, codes, weights).transform(said)[:, 1]
    middle = (feature > -0.5) & (feature < 2)
    errors = np.abs(found - odds / (1 + odds))[middle]
    assert errors.mean() < 0.015
    assert errors.max() < 0.08


def test_classes_that_are_all_apart_do_not_make_it_certain(rng: np.random.Generator) -> None:
    codes = np.arange(20) % 2
    said = np.where(codes[:, None] == [0, 1], 0.9, 0.1)
    found = Temperature.fit(said, codes, np.ones(20)).transform(said)
    assert found.max() == pytest.approx(11 / 12, abs=1e-3)  # Platt's target for ten rows of a class


# Thresholds -----------------------------------------------------------------------------------------------


def test_youdens_threshold_is_the_best_of_the_roc_curve(rng: np.random.Generator) -> None:
    for _ in range(20):
        ill = rng.random(60) < 0.4
        scores = np.round(np.clip(rng.normal(0.4 + 0.15 * ill, 0.2), 0, 1), 2)
        threshold, found, spared = choose_threshold(scores, ill)
        false, true, _ = roc_curve(ill, scores)
        assert found + spared - 1 == pytest.approx((true - false).max())
        assert (scores[ill] >= threshold).mean() == pytest.approx(found)
        assert (scores[~ill] < threshold).mean() == pytest.approx(spared)


def test_the_threshold_for_a_sensitivity_is_the_highest_that_reaches_it(rng: np.random.Generator) -> None:
    ill = rng.random(200) < 0.3
    scores = np.clip(rng.normal(0.4 + 0.15 * ill, 0.2), 0.01, 0.99)
    threshold, found, _ = choose_threshold(scores, ill, 0.9)
    assert found >= 0.9
    higher = scores[scores > threshold].min() + 1e-9
    assert (scores[ill] >= higher).mean() < 0.9 or (scores[ill] >= higher).mean() == found
    every, found, _ = choose_threshold(scores, ill, 1.0)
    assert found == 1
    assert every <= scores[ill].min()


# Intervals ------------------------------------------------------------------------------------------------


def test_a_weight_of_two_is_as_good_as_two_rows(rng: np.random.Generator) -> None:
    scores = np.round(rng.random(40), 2)
    labels = rng.random(40) < scores
    new = np.array([0.1, 0.5, scores[3], 0.95])
    weighted = venn_abers(scores, labels, new, weights=np.where(labels, 2.0, 1.0))
    for score, (low, high) in zip(new, weighted, strict=True):
        known = np.concatenate([scores, scores[labels]])
        truth = np.concatenate([labels, labels[labels]])
        for label, found in ((0, low), (1, high)):
            n = 1 + label
            curve = IsotonicRegression().fit(np.append(known, [score] * n), np.append(truth, [label] * n))
            assert found == pytest.approx(curve.predict([score])[0])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_probability_lies_in_its_interval_and_a_score_in_its_own(n_classes: int, rng: np.random.Generator) -> None:
    _, codes, said = overconfident(n_classes, 60, rng)
    new = softmax(4 * rng.normal(size=(200, n_classes)))  # surer than the data allow
    bounds = class_bounds(said, codes, np.ones(60), new)
    assert ((bounds[..., 0] <= new) & (new <= bounds[..., 1])).all()
    for code in range(n_classes):
        low, high = venn_abers(said[:, code], codes == code, new[:, code]).T
        assert (bounds[:, code, 0] <= low).all()
        assert (bounds[:, code, 1] >= high).all()
    weights = np.linspace(0, 100, n_classes)
    for one, box in zip(new, bounds, strict=True):
        low, high = score_bounds(weights, box)
        assert low - 1e-9 <= one @ weights <= high + 1e-9


def test_with_one_recording_each_the_conformal_radius_is_the_usual_quantile(rng: np.random.Generator) -> None:
    residuals = rng.normal(size=57)
    expected = np.sort(np.abs(residuals))[int(np.ceil(0.8 * 58)) - 1]
    assert conformal_radius(residuals, np.arange(57), 0.8) == expected
    repeated = conformal_radius(np.repeat(residuals, 3), np.repeat(np.arange(57), 3), 0.8)
    assert repeated == expected  # the same errors thrice tell nothing new


def test_too_few_speakers_promise_nothing(rng: np.random.Generator) -> None:
    residuals = rng.normal(size=900)
    assert conformal_radius(residuals, np.arange(900) % 8, 0.9) == np.inf
    assert np.isfinite(conformal_radius(residuals, np.arange(900) % 9, 0.9))


def test_conformal_intervals_hold_new_speakers_as_often_as_promised() -> None:
    """Errors of a speaker are alike, and some speakers have many recordings: rows alone would promise too much."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(600):
        n_of = rng.choice([1, 30], size=12)
        units = np.repeat(np.arange(12), n_of)
        errors = rng.normal(size=12)[units] * 2 + rng.normal(size=len(units)) * 0.3
        radius = conformal_radius(errors, units, 0.8)
        held.append(abs(rng.normal() * 2 + rng.normal() * 0.3) <= radius)
    assert 0.8 - 0.04 < np.mean(held) < 0.95


# In a model -----------------------------------------------------------------------------------------------


def cohort(n_speakers: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classes that overlap, speakers that differ, and so many columns that a network becomes too sure."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(n_speakers), 6)
    y = rng.random(len(speakers)) < 0.4
    X = rng.normal(size=(len(y), 60)) + 0.7 * rng.normal(size=(n_speakers, 60))[speakers]
    X[:, :3] += 0.8 * y[:, None]
    return X, y, speakers


def model(**settings: Any) -> RiskModel:
    defaults = {"preset": "small", "epochs": 120, "interval_folds": 3, "random_state": 0}
    return RiskModel("depression", **(defaults | settings))


@pytest.fixture(scope="module")
def models() -> dict[Any, RiskModel]:
    X, y, speakers = cohort(40, 1)
    return {
        kind: model(calibration=kind).fit(X, y, groups=speakers + 100) for kind in (None, "temperature", "isotonic")
    }


def test_calibrated_models_are_less_wrong_about_new_speakers(models: dict[Any, RiskModel]) -> None:
    X, y, _ = cohort(200, 51)
    found = {kind: fitted.predict_proba(X)[:, 1] for kind, fitted in models.items()}
    loss = {kind: log_loss(y, np.clip(p, 1e-3, 1 - 1e-3)) for kind, p in found.items()}
    assert loss["temperature"] < loss[None] - 0.05
    assert loss["isotonic"] < loss[None]
    assert ece(y, found["temperature"]) < 0.7 * ece(y, found[None])
    # one rising curve: nobody is overtaken
    assert (np.diff(found["temperature"][np.argsort(found[None])]) >= 0).all()


@pytest.mark.parametrize("kind", [None, "temperature", "isotonic"])
def test_every_probability_lies_in_its_interval(models: dict[Any, RiskModel], kind: str | None) -> None:
    X, _, _ = cohort(30, 2)
    p, bounds = models[kind].predict_proba(X), models[kind].predict_interval(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert ((bounds[..., 0] <= p) & (p <= bounds[..., 1])).all()


@pytest.mark.parametrize("kind", [None, "temperature", "isotonic"])
def test_a_calibration_is_saved_with_its_model(models: dict[Any, RiskModel], kind: str | None, tmp_path: Path) -> None:
    X, _, _ = cohort(30, 2)
    models[kind].save(tmp_path / "model.vocalbio")
    loaded = RiskModel.load(tmp_path / "model.vocalbio")
    np.testing.assert_array_equal(loaded.predict_proba(X), models[kind].predict_proba(X))
    np.testing.assert_array_equal(loaded.predict_interval(X), models[kind].predict_interval(X))
    if kind is not None:
        manifest, network, arrays = read_model(tmp_path / "model.vocalbio")
        name = {"temperature": "bias", "isotonic": "steps"}[kind]
        write_model(tmp_path / "bad.vocalbio", manifest, network, arrays | {name: arrays[name][:1]})
        if kind == "temperature":
            with pytest.raises(ModelFileError, match="calibration: not of the same model"):
                RiskModel.load(tmp_path / "bad.vocalbio")


def test_a_chosen_threshold_is_that_of_the_held_out_scores_and_is_kept(tmp_path: Path) -> None:
    X, y, speakers = cohort(40, 1)
    fitted = model(threshold=("sensitivity", 0.9)).fit(X, y, groups=speakers)
    scores, ill = fitted.held_out_scores_[:, 1], fitted.held_out_codes_ == 1
    assert (scores[ill] >= fitted.threshold_).mean() >= 0.9
    assert fitted.manifest_["threshold_choice"]["rule"] == "sensitivity"
    new, y_new, _ = cohort(200, 51)
    assert np.mean(fitted.predict(new)[y_new]) == pytest.approx(0.9, abs=0.08)  # on speakers not heard, too
    fitted.save(tmp_path / "model.vocalbio")
    loaded = RiskModel.load(tmp_path / "model.vocalbio")
    assert loaded.threshold_ == fitted.threshold_
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(loaded.predict(new), fitted.predict(new))
    youden = model(threshold="youden").fit(X, y, groups=speakers)
    assert youden.threshold_ == choose_threshold(scores, ill)[0]
    given = model(threshold=0.25, interval_folds=0).fit(X, y, groups=speakers)
    np.testing.assert_array_equal(given.predict(new), given.predict_proba(new)[:, 1] >= 0.25)
    json.dumps(youden.manifest_)


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("best", "threshold is 'best'; expected None, a probability"),
        (1.5, r"threshold is 1\.5"),
        (("sensitivity", 1.5), "threshold is .'sensitivity', 1.5."),
        (("specificity", 0.9), "threshold is .'specificity', 0.9."),
        (True, "threshold is True"),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(threshold: Any, message: str) -> None:
    X, y, speakers = cohort(6, 0)
    with pytest.raises(ParameterError, match=message):
        model(threshold=threshold).fit(X, y, groups=speakers)


def test_a_threshold_cannot_be_chosen_without_speakers_to_choose_it_on() -> None:
    X, y, speakers = cohort(6, 0)
    with pytest.raises(ParameterError, match="chosen on held-out speakers, and interval_folds is 0"):
        model(threshold="youden", interval_folds=0).fit(X, y, groups=speakers)
    with pytest.raises(ParameterError, match="cannot be chosen: a class has one speaker only"):
        model(threshold="youden", epochs=1).fit(X, y, groups=np.zeros(len(y)))


def test_a_model_without_held_out_speakers_is_not_calibrated_and_says_why() -> None:
    X, y, speakers = cohort(6, 0)
    fitted = model(interval_folds=0, epochs=1).fit(X, y, groups=speakers)
    assert fitted.calibration_ is None
    assert fitted._verdict(np.array([0.5, 0.5])).reasons == [
        "no interval and no calibration: the model was fitted with interval_folds=0"
    ]
