"""A RiskModel on made cohorts whose truth is known: what it learns, refuses, keeps and says."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from vocalbio.audio import Recording
from vocalbio.datasets import Sequences
from vocalbio.errors import LeakageError, ModelFileError, ParameterError, VocalbioWarning
from vocalbio.extract import FeatureExtractor
from vocalbio.metrics import uar
from vocalbio.risk import Answer, RiskModel, SeverityModel, answer_schema, training
from vocalbio.risk.answer import doubts
from vocalbio.risk.cohort import Likeness
from vocalbio.risk.inputs import Inputs, compare_settings
from vocalbio.risk.intervals import score_bounds, venn_abers
from vocalbio.risk.scaling import Scaling

STRESS = np.array(["neutral", "sad", "anxious"])
COLUMNS = ["prosody__loudness", "prosody__slope", "voice__f0", "voice__jitter"]
SETTINGS = {
    "families": [{"family": "prosody", "feature_set": "eGeMAPSv02"}, {"family": "voice"}],
    "window_s": None,
    "hop_s": None,
    "speech_only": False,
}


def make_cohort(
    n_speakers: int = 20, per_speaker: int = 6, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Table, class number (0, 1, 2) and speaker; loudness tells class 1, jitter class 2."""
    rng = np.random.default_rng(seed)
    n = n_speakers * per_speaker
    y, speakers = np.arange(n) % 3, np.repeat([f"S{i:02}" for i in range(n_speakers)], per_speaker)
    values = rng.normal(size=(n, 4)) * [1, 100, 1, 0.01] + [0, 500, 200, 0.03]
    values[:, 0] += 4 * (y == 1)
    values[:, 3] += 0.04 * (y == 2)
    start = pd.to_timedelta(np.zeros(n), unit="s")
    index = pd.MultiIndex.from_arrays(
        [[f"{i}.wav" for i in range(n)], start, start + pd.Timedelta(seconds=3)],
        names=["file", "start", "end"],
    )
    X = pd.DataFrame(values, index=index, columns=COLUMNS)
    X["quality__ok"], X["quality__snr_db"] = 1.0, rng.normal(30, 5, n)
    X.attrs["vocalbio"] = json.dumps({"version": "0.1.0", "extractor": SETTINGS})
    return X, y, speakers


def quick(condition: str = "stress", **settings: Any) -> RiskModel:
    defaults = {"preset": "small", "epochs": 30, "batch_size": 16, "interval_folds": 0, "random_state": 0}
    return RiskModel(condition, **(defaults | settings))


@pytest.fixture(scope="module")
def cohort() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    return make_cohort()


@pytest.fixture(scope="module")
def fitted(cohort: Any) -> RiskModel:
    X, y, speakers = cohort
    return quick(interval_folds=4).fit(X, STRESS[y], groups=speakers)


# What it learns ------------------------------------------------------------------------------------------


def test_it_finds_three_states_in_speakers_that_it_never_heard(fitted: RiskModel) -> None:
    X, y, _ = make_cohort(seed=1)
    assert uar(STRESS[y], fitted.predict(X)) > 0.9
    assert fitted.classes_.tolist() == STRESS.tolist()
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("labels", [[False, True], [0, 1], ["control", "depressed"]])
def test_two_classes_may_be_called_anything_and_the_last_is_the_positive_one(cohort: Any, labels: list[Any]) -> None:
    X, y, speakers = cohort
    rows = y < 2
    truth = np.array(labels)[y[rows]]
    model = quick("depression").fit(X[rows], truth, groups=speakers[rows])
    new, y_new, _ = make_cohort(seed=1)
    new = new[y_new < 2]
    positive = model.predict_proba(new)[:, 1]
    assert uar(y_new[y_new < 2], (positive >= 0.5).astype(int)) > 0.9
    said = model.predict(new)
    assert said.dtype == truth.dtype
    np.testing.assert_array_equal(said, np.array(labels)[(positive >= 0.5).astype(int)])


def test_a_label_that_only_the_quality_columns_carry_cannot_be_learnt(cohort: Any) -> None:
    X, _, speakers = cohort
    y = np.random.default_rng(5).permutation(np.arange(len(X)) % 2)
    leaky = X.assign(quality__snr_db=30.0 * y, quality__bandwidth_hz=8000.0 - 4000 * y)
    test = np.isin(speakers, [f"S{i:02}" for i in range(10)])
    model = quick("depression").fit(leaky[~test], y[~test], groups=speakers[~test])
    assert abs(uar(y[test], model.predict(leaky[test])) - 0.5) < 0.2
    assert model.feature_names_in_.tolist() == COLUMNS
    np.testing.assert_array_equal(model.predict_proba(leaky), model.predict_proba(X))


def test_a_rare_class_weighs_as_much_as_the_others_if_balanced() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(400) % 10 == 0
    X = rng.normal(size=(400, 4)) + 1.0 * y[:, None] * [1, 0, 0, 0]
    speakers = np.arange(400) // 10
    found = {
        weight: quick("depression", class_weight=weight).fit(X, y, groups=speakers).predict(X)[y].mean()
        for weight in (None, "balanced")
    }
    assert found["balanced"] > found[None] + 0.3


def test_segments_of_a_recording_are_learnt_as_a_sequence() -> None:
    rng = np.random.default_rng(0)
    y, lengths = np.arange(60) % 2, rng.integers(1, 6, 60)
    values = [rng.normal(size=(n, 4)).astype("float32") + 2 * c for n, c in zip(lengths, y, strict=True)]
    sequences = Sequences(list(range(60)), values, COLUMNS)
    model = quick("depression", network="bilstm", epochs=15).fit(sequences[:40], y[:40], groups=np.arange(40) // 2)
    probabilities = model.predict_proba(sequences[40:])
    assert uar(y[40:], model.predict(sequences[40:])) > 0.9
    alone = np.concatenate([model.predict_proba(sequences[i]) for i in range(40, 60)])
    np.testing.assert_allclose(alone, probabilities, atol=1e-6)  # neighbours and their padding do not matter


# What it stands on: scaling -------------------------------------------------------------------------------


def test_gaps_become_training_medians_and_are_told() -> None:
    rows = np.array([[1.0, 5.0], [2.0, np.nan], [9.0, 7.0]])
    scaling = Scaling.fit(rows, ["voice__a", "voice__b"])
    assert scaling.medians.tolist() == [2.0, 6.0]
    assert scaling.indicated.tolist() == [False, True]
    inputs = scaling.transform(rows)
    assert inputs.shape == (3, 3)
    assert inputs[1, 1] == pytest.approx(0.0)  # the median is the mean here
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.std(axis=0), 1, atol=1e-6)


def test_what_was_learnt_does_not_depend_on_rows_to_predict(cohort: Any, fitted: RiskModel) -> None:
    X, _, _ = cohort
    before = {name: array.copy() for name, array in fitted.scaling_.arrays().items()}
    alone = fitted.predict_proba(X.iloc[:1])
    changed = X.copy()
    changed.iloc[1:, :4] = 1e6
    np.testing.assert_allclose(fitted.predict_proba(changed)[:1], alone, atol=1e-6)
    for name, array in fitted.scaling_.arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_families_weigh_alike_however_many_columns_they_have() -> None:
    rng = np.random.default_rng(0)
    inputs = Scaling.fit(rng.normal(size=(500, 12)), ["voice__x"] * 3 + ["prosody__x"] * 9)
    variance = inputs.transform(rng.normal(size=(5000, 12))).var(axis=0)
    assert variance[:3].sum() == pytest.approx(variance[3:].sum(), rel=0.1)
    assert variance.mean() == pytest.approx(1, rel=0.1)


def test_exploding_ratios_are_clipped_and_columns_that_never_varied_say_nothing() -> None:
    rows = np.array([[0.0, 3.0, np.nan], [1.0, 3.0, np.nan]])
    scaling = Scaling.fit(rows, ["voice__x"] * 3)
    inputs = scaling.transform(np.array([[1e9, 4.0, 8.0]]))
    assert inputs[0].tolist() == [5.0, 0.0, 0.0]


def test_inputs_are_what_the_formula_says(rng: np.random.Generator) -> None:
    rows = rng.normal(10, 3, (30, 4))
    rows[:5, 1] = np.nan
    rows[:, 3] = np.nan  # never a number in training
    inputs = Scaling.fit(rows[:20], COLUMNS).transform(rows[20:])
    gap = np.isnan(rows).astype(float)
    filled = np.where(np.isnan(rows), [0, np.median(rows[5:20, 1]), 0, 0], rows)
    # two prosody columns with an indicator for the second, two voice columns: 5 inputs of two families
    columns = [(filled[:, 0], 3), (filled[:, 1], 3), (filled[:, 2], 2), (filled[:, 3], 2), (gap[:, 1], 3)]
    for place, (column, size) in enumerate(columns):
        train, test = column[:20], column[20:]
        standardised = (test - train.mean()) / train.std() if place != 3 else np.zeros(10)
        np.testing.assert_allclose(inputs[:, place], standardised * np.sqrt(5 / (2 * size)), rtol=1e-5, atol=1e-6)


# Labels, speakers, rows ----------------------------------------------------------------------------------


def test_labels_and_speakers_are_joined_by_index(cohort: Any) -> None:
    X, y, speakers = cohort
    expected = quick().fit(X, STRESS[y], groups=speakers).predict_proba(X)
    files = X.index.get_level_values("file")
    by_file = pd.Series(STRESS[y], index=files).sample(frac=1, random_state=0)
    by_row = pd.Series(speakers, index=X.index).sample(frac=1, random_state=1)
    by_place = pd.Series(STRESS[y], index=np.arange(len(y)) + 1000)  # as a splitter leaves it
    for labels, groups in ((by_file, by_row), (by_place, speakers)):
        model = quick().fit(X, labels, groups=groups)
        np.testing.assert_array_equal(model.predict_proba(X), expected)
    column = by_file.to_frame("label")
    np.testing.assert_array_equal(quick().fit(X, column, groups=speakers).predict_proba(X), expected)
    with pytest.raises(ParameterError, match=r"index of y does not match X.* 1 of 120 have none"):
        quick().fit(X, by_file.drop("7.wav"), groups=speakers)


@pytest.mark.parametrize(
    ("condition", "labels", "message"),
    [
        (
            "stress",
            lambda y: np.where(y == 1, "angry", STRESS[y]),
            "'angry'; stress takes 'neutral', 'sad', 'anxious'",
        ),
        ("stress", lambda y: STRESS[y % 2], "holds no 'anxious'"),
        ("depression", lambda y: y, "holds 3 class"),
        ("depression", lambda y: np.zeros(len(y)), "holds 1 class"),
        ("depression", lambda y: y + 0.5, "continuous"),
        ("depression", lambda y: np.array(["ill" if k else 0 for k in y], object), "mixes kinds of labels"),
        ("depression", lambda y: np.where(y, 1.0, np.nan), "NaN or None for 40 of 120"),
        ("depression", lambda y: y[:-1], r"y has shape \(119,\); expected \(120,\)"),
        ("mania", lambda y: y, "condition is 'mania'"),
        (["stress"], lambda y: y, r"condition is \[.stress.\]; expected one of"),
    ],
)
def test_labels_that_do_not_fit_the_condition_are_refused(
    cohort: Any, condition: str, labels: Callable[[Any], Any], message: str
) -> None:
    X, y, speakers = cohort
    with pytest.raises(ParameterError, match=message):
        quick(condition).fit(X, labels(y), groups=speakers)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "forest"}, "network is 'forest'; expected one of dense, hybrid, bilstm, tcn, transformer, cnn"),
        ({"preset": "big"}, "preset is 'big'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": True}, "epochs is True"),
        ({"network": ["dense"]}, r"network is \['dense'\]"),
        ({"random_state": "dice"}, "random_state is 'dice'; expected None or a whole number"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"interval_folds": 1}, "interval_folds is 1"),
        ({"class_weight": "even"}, "class_weight is 'even'; expected None, 'balanced' or a dict"),
        ({"class_weight": {"sad": 0.0}}, r"class_weight holds 0\.0; expected numbers above 0"),
        ({"class_weight": {"angry": 2.0}}, "class_weight names 'angry'; the classes are 'neutral', 'sad', 'anxious'"),
        ({"schedule": "steps"}, "schedule is 'steps'; expected one of constant, cosine"),
        ({"patience": 0}, "patience is 0"),
        ({"n_networks": 0}, "n_networks is 0"),
        ({"least_voiced_s": -1}, "least_voiced_s is -1; expected None or seconds"),
        ({"calibration": "platt"}, "calibration is 'platt'; expected None, 'temperature', 'isotonic'"),
        ({"threshold": "youden"}, "stress has no two classes"),
        ({"extractor": "prosody"}, "extractor is of type str"),
        ({"network": "bilstm"}, r"Sequences\.from_table"),
    ],
)
def test_settings_are_checked_when_fitting(cohort: Any, settings: dict[str, Any], message: str) -> None:
    X, y, speakers = cohort
    with pytest.raises(ParameterError, match=message):
        quick(**settings).fit(X, STRESS[y], groups=speakers)


def test_fitting_without_speakers_warns_and_every_answer_can_tell(cohort: Any) -> None:
    X, y, speakers = cohort
    with pytest.warns(VocalbioWarning, match="without groups"):
        model = quick(epochs=1).fit(X, STRESS[y])
    assert model.manifest_["training"]["speaker_disjoint"] == "unknown"
    with warnings.catch_warnings():
        warnings.simplefilter("error", VocalbioWarning)
        known = quick(epochs=1).fit(X, STRESS[y], groups=speakers)
    assert known.manifest_["training"]["n_speakers"] == 20


@pytest.mark.parametrize("condition", ["stress", "depression"])
def test_unusable_rows_are_left_out_of_training_and_get_no_answer(cohort: Any, condition: str) -> None:
    X, y, speakers = cohort
    X, labels = X.copy(), STRESS[y] if condition == "stress" else y == 1
    X.iloc[3, :4] = np.nan
    X.iloc[4, X.columns.get_loc("quality__ok")] = 0
    usable = np.arange(len(X)) >= 5
    usable[:3] = True
    with pytest.warns(VocalbioWarning, match="2 of 120 samples have no usable features and are left out"):
        model = quick(condition, epochs=3).fit(X, labels, groups=speakers)
    same = quick(condition, epochs=3).fit(X[usable], labels[usable], groups=speakers[usable])
    probabilities = model.predict_proba(X)
    assert np.isnan(probabilities[3:5]).all()
    assert np.isfinite(probabilities[usable]).all()
    np.testing.assert_array_equal(probabilities[usable], same.predict_proba(X[usable]))
    with pytest.warns(VocalbioWarning, match="2 of 120"):
        said = model.predict(X)
    if condition == "stress":
        assert said[3:5].tolist() == ["indeterminate"] * 2
    else:
        assert np.isnan(said[3:5]).all()
        assert set(said[usable]) <= {0.0, 1.0}


# Columns and settings ------------------------------------------------------------------------------------


def test_columns_go_by_name_and_others_are_refused_by_name(cohort: Any, fitted: RiskModel) -> None:
    X, _, _ = cohort
    np.testing.assert_array_equal(fitted.predict_proba(X[COLUMNS[::-1]]), fitted.predict_proba(X))
    with pytest.raises(ParameterError, match=r"1 missing \(voice__f0\) and 1 never seen in training \(voice__f1\)"):
        fitted.predict_proba(X.rename(columns={"voice__f0": "voice__f1"}))
    with pytest.raises(ParameterError, match="has 3 features, but RiskModel is expecting 4"):
        fitted.predict_proba(X[COLUMNS[:3]].to_numpy())
    with pytest.raises(ParameterError, match="infinity"):
        fitted.predict_proba(X.assign(voice__f0=np.inf))
    with pytest.raises(ParameterError, match="of the same name"):
        fitted.predict_proba(X[[*COLUMNS, "voice__f0"]])
    with pytest.raises(ParameterError, match=r"1 never seen in training \(voice__new\)"):
        fitted.predict_proba(X.assign(voice__new=1.0))


def test_features_measured_in_another_way_are_refused_and_lost_settings_accepted(
    cohort: Any, fitted: RiskModel
) -> None:
    X, _, _ = cohort
    other = X.copy()
    other.attrs["vocalbio"] = json.dumps({"version": "0.1.0", "extractor": SETTINGS | {"window_s": 5.0}})
    with pytest.raises(ParameterError, match=r"window_s: trained with None, got 5\.0"):
        fitted.predict_proba(other)
    other.attrs = {}
    np.testing.assert_array_equal(fitted.predict_proba(other), fitted.predict_proba(X))


def test_the_same_weights_in_another_folder_are_no_difference() -> None:
    one = {"families": [{"family": "embedding", "encoder": "/home/a/base", "weights": "abc", "layer": 7}]}
    moved = {"families": [{"family": "embedding", "encoder": "/mnt/b/base", "weights": "abc", "layer": 7}]}
    other = {"families": [{"family": "embedding", "encoder": "/mnt/b/base", "weights": "xyz", "layer": 7}]}
    assert compare_settings(one, moved) == []
    assert len(compare_settings(one, other)) == 2
    unnamed = {"encoder": "a", "weights": None}
    assert compare_settings(unnamed, unnamed | {"encoder": "b"}) == ["encoder: trained with 'a', got 'b'"]


def test_an_extractor_that_did_not_make_the_table_is_refused(cohort: Any) -> None:
    X, y, speakers = cohort
    with pytest.raises(ParameterError, match=r"made by another extractor.*window_s: trained with 4\.0, got None"):
        quick(extractor=FeatureExtractor(window_s=4.0)).fit(X, STRESS[y], groups=speakers)


# Repeatable, and a good neighbour -------------------------------------------------------------------------


def test_a_seed_repeats_a_fit_exactly_and_the_callers_generators_stay_as_they_are(
    cohort: Any, fitted: RiskModel
) -> None:
    X, y, speakers = cohort
    python, legacy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = quick(interval_folds=4).fit(X, STRESS[y], groups=speakers)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(again.predict_interval(X), fitted.predict_interval(X))
    raw = quick(interval_folds=4, calibration=None).fit(X, STRESS[y], groups=speakers)
    alone = quick().fit(X, STRESS[y], groups=speakers)
    np.testing.assert_array_equal(raw.predict_proba(X), alone.predict_proba(X))  # with and without intervals
    other = quick(random_state=1).fit(X, STRESS[y], groups=speakers)
    assert not np.array_equal(other.predict_proba(X), fitted.predict_proba(X))
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


def test_it_works_inside_scikit_learn(cohort: Any) -> None:
    X, y, _ = cohort
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VocalbioWarning)  # scikit-learn hands no speakers on
        found = cross_val_predict(quick(), X, STRESS[y], cv=2)
        search = GridSearchCV(quick(), {"epochs": [1, 30]}, scoring="balanced_accuracy", cv=2)
        search.fit(X, pd.Series(STRESS[y]))
    assert uar(STRESS[y], found) > 0.8
    assert search.best_params_ == {"epochs": 30}
    copy = clone(quick(extractor=FeatureExtractor(["voice"])))
    assert copy.get_params()["extractor__families"] == ["voice"]


@parametrize_with_checks(
    [RiskModel("depression", preset="small", epochs=2, interval_folds=0)],
    expected_failed_checks=lambda _: {
        "check_dtype_object": "it asks for a TypeError; ours is a ParameterError, a ValueError",
        "check_supervised_y_2d": "one column of a table is as good as a Series; there is nothing to warn of",
        "check_class_weight_classifiers": "asks for convergence within two epochs",
        "check_methods_sample_order_invariance": "asks for nine digits of networks that count in float32",
        "check_methods_subset_invariance": "asks for it too, and on some machines gets it",
    },
)
@pytest.mark.filterwarnings("ignore::vocalbio.errors.VocalbioWarning")  # the checks know of no speakers
def test_it_keeps_the_law_of_scikit_learn(estimator: RiskModel, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_memory_does_not_grow_with_every_fit(cohort: Any) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("reads its memory from /proc")

    def megabytes() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    X, y, speakers = cohort
    for number in range(35):
        rows = slice(0, 60 + number)  # cohorts of different sizes, as folds are
        quick(epochs=1).fit(X[rows], STRESS[y[rows]], groups=speakers[rows]).predict_proba(X)
        if number == 4:
            before = megabytes()
    assert (megabytes() - before) / 30 < 2  # a new graph for every fit costs 4


def test_making_and_cloning_one_costs_no_tensorflow() -> None:
    program = (
        "import sys; from sklearn.base import clone; from vocalbio.risk import RiskModel; "
        "clone(RiskModel('stress')).get_params(); assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_pickled_model_says_the_same(cohort: Any, fitted: RiskModel) -> None:
    X, _, _ = cohort
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(again.predict_interval(X), fitted.predict_interval(X))


# Intervals -----------------------------------------------------------------------------------------------


def test_venn_abers_is_isotonic_regression_with_the_new_score_added_both_ways(
    rng: np.random.Generator,
) -> None:
    scores = np.round(rng.random(80), 2)  # with ties
    labels = rng.random(80) < scores
    new = np.array([0.0, 0.31, 0.5, scores[7], 1.0])
    for score, found in zip(new, venn_abers(scores, labels, new), strict=True):
        for label in (0, 1):
            regression = IsotonicRegression().fit(np.append(scores, score), np.append(labels, label))
            assert found[label] == pytest.approx(regression.predict([score])[0])


def test_venn_abers_holds_what_it_promises_for_a_network_that_is_too_sure(rng: np.random.Generator) -> None:
    truth = rng.random(6000)
    labels = rng.random(6000) < truth
    sure = 1 / (1 + np.exp(-4 * np.log(truth / (1 - truth))))  # same order, far too extreme
    low, high = venn_abers(sure[:1000], labels[:1000], sure[1000:]).T
    assert (low <= high).all()
    new, raw = labels[1000:], sure[1000:]
    for part in (raw < 0.02, (raw > 0.02) & (raw < 0.98), raw > 0.98):
        assert low[part].mean() - 0.03 < new[part].mean() < high[part].mean() + 0.03
    wrong = raw > 0.98
    assert abs(raw[wrong].mean() - new[wrong].mean()) > 0.08  # which the raw score does not


def test_intervals_of_two_classes_are_each_others_complement(cohort: Any) -> None:
    X, y, speakers = cohort
    rows = y < 2
    model = quick("depression", interval_folds=3).fit(X[rows], y[rows], groups=speakers[rows])
    intervals = model.predict_interval(X[:10])
    assert intervals.shape == (10, 2, 2)
    np.testing.assert_allclose(intervals[:, 0], 1 - intervals[:, 1, ::-1], atol=1e-9)
    assert ((intervals >= 0) & (intervals <= 1)).all()


def test_calibration_scores_come_from_networks_that_never_heard_the_speaker() -> None:
    """Labels by coin, and a feature that names the speaker: held out it tells nothing."""
    rng = np.random.default_rng(0)
    ill = rng.permutation(np.arange(20) % 2 == 0)
    speakers, y = np.repeat(np.arange(20), 6), np.repeat(ill, 6)
    X = np.eye(20)[speakers] * 5
    model = quick("depression", interval_folds=4).fit(X, y, groups=speakers)
    assert uar(y, model.predict(X)) == 1.0
    low, high = model.predict_interval(X)[:, 1].T
    assert not ((low > 0.8) | (high < 0.2)).any()


def test_a_score_interval_is_the_extreme_over_all_probabilities_allowed(rng: np.random.Generator) -> None:
    weights = np.array([0.0, 50.0, 100.0])
    cube = rng.dirichlet(np.ones(3), 200_000)
    for _ in range(5):
        centre = rng.dirichlet(np.ones(3))
        bounds = np.stack([np.clip(centre - 0.2, 0, 1), np.clip(centre + 0.15, 0, 1)], axis=1)
        allowed = cube[((cube >= bounds[:, 0]) & (cube <= bounds[:, 1])).all(axis=1)] @ weights
        low, high = score_bounds(weights, bounds)
        assert low <= allowed.min() + 1e-9
        assert high >= allowed.max() - 1e-9
        assert (low, high) == pytest.approx((allowed.min(), allowed.max()), abs=2)


def test_without_enough_speakers_there_is_no_interval_but_a_reason(cohort: Any, fitted: RiskModel) -> None:
    X, y, speakers = cohort
    few = np.isin(speakers, ["S00", "S01", "S02"])
    model = quick(epochs=1, interval_folds=5).fit(X[few], STRESS[y[few]], groups=speakers[few])
    assert not np.isnan(model.predict_interval(X[few])).any()  # of three folds, for want of more speakers
    one = speakers == "S00"
    model = quick(epochs=1, interval_folds=5).fit(X[one], STRESS[y[one]], groups=speakers[one])
    with pytest.raises(ParameterError, match="no interval: a class has one speaker only; two or more are needed"):
        model.predict_interval(X)
    with pytest.raises(ParameterError, match="interval_folds=0"):
        quick(epochs=1).fit(X, STRESS[y], groups=speakers).predict_interval(X)


def test_the_stress_score_weighs_the_probabilities(cohort: Any, fitted: RiskModel) -> None:
    X, y, speakers = cohort
    p = fitted.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_score(X), 50 * p[:, 1] + 100 * p[:, 2])
    model = quick("depression", epochs=1).fit(X, y == 1, groups=speakers)
    with pytest.raises(ParameterError, match="has no 0-100 score"):
        model.predict_score(X)


# Training: early end, schedule, several networks, more data ------------------------------------------------


def noise_cohort(n_speakers: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Little to learn and much to remember: held-out loss rises soon."""
    rng = np.random.default_rng(3)
    y = np.arange(n_speakers * 6) % 2
    return rng.normal(size=(len(y), 40)) + 0.3 * y[:, None] * (np.arange(40) < 3), y, np.arange(len(y)) // 6


def test_training_ends_when_speakers_set_aside_are_told_no_better() -> None:
    X, y, speakers = noise_cohort()
    model = quick("depression", epochs=200, patience=5).fit(X, y, groups=speakers)
    watched = model.history_["val_loss"]
    best = int(np.argmin(watched))
    assert len(watched) == len(model.history_["loss"]) == best + 6 < 200
    assert len(model.history_["refit_loss"]) == best + 1  # on all speakers, as long as was best
    as_long = quick("depression", epochs=best + 1).fit(X, y, groups=speakers)
    np.testing.assert_array_equal(model.predict_proba(X), as_long.predict_proba(X))


def test_who_is_set_aside_or_held_out_is_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column names the speaker, so that every training can be asked whom it heard."""
    speakers = np.repeat(np.arange(10), 4)
    y, X = np.arange(40) % 2, np.column_stack([speakers * 1.0, np.arange(40) % 2])
    heard: list[tuple[set[float], set[float]]] = []
    original = training.train

    def spy(plan: Any, material: Any, *arguments: Any, watched: Any = None, **more: Any) -> Any:
        who = [set() if m is None else set(m.rows[:, 0].round(4).tolist()) for m in (material, watched)]
        heard.append((who[0], who[1]))
        return original(plan, material, *arguments, watched=watched, **more)

    monkeypatch.setattr(training, "train", spy)
    quick("depression", epochs=2, patience=1, interval_folds=5, threshold="youden").fit(X, y, groups=speakers)
    # with and without speakers set aside: for all, and for each fold; nothing is fitted twice for calibration
    assert len(heard) == 2 * (1 + 5)
    assert [len(trained) for trained, _ in heard] == [8, 10] + [6, 8] * 5
    assert [len(watched) for _, watched in heard] == [2, 0] + [2, 0] * 5
    assert all(not trained & watched for trained, watched in heard)


def test_with_too_few_speakers_training_goes_on_to_its_end() -> None:
    X, y, _ = noise_cohort()
    with pytest.warns(VocalbioWarning, match="too few speakers to set some aside"):
        model = quick("depression", epochs=7, patience=2).fit(X, y, groups=np.zeros(len(y)))
    assert len(model.history_["loss"]) == 7
    assert "val_loss" not in model.history_


def test_a_falling_learning_rate_moves_weights_less_and_less(cohort: Any) -> None:
    X, y, speakers = cohort

    settings = {"preset": "published", "epochs": 2}
    plain, falling = (
        quick(**settings, schedule=schedule).fit(X, STRESS[y], groups=speakers) for schedule in ("constant", "cosine")
    )
    first = quick(preset="published", epochs=1).fit(X, STRESS[y], groups=speakers)
    assert plain.history_["loss"][0] == falling.history_["loss"][0]
    # in the second of two epochs the rate is half: weights move about half as far
    moved = [
        np.abs(model.network_.get_weights()[0] - first.network_.get_weights()[0]).mean() for model in (plain, falling)
    ]
    assert moved[1] / moved[0] == pytest.approx(0.5, abs=0.1)


def test_several_networks_answer_with_their_mean_and_are_saved_as_one(cohort: Any, tmp_path: Path) -> None:
    X, y, speakers = cohort
    model = quick(n_networks=3, epochs=3).fit(X, STRESS[y], groups=speakers)
    inputs = model.scaling_.transform(X[COLUMNS].to_numpy())
    each = [training.predict(network, inputs, None) for network in training.members(model.network_)]
    assert len(each) == 3
    assert np.abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(model.predict_proba(X), np.mean(each, axis=0), atol=1e-6)
    alone = quick(epochs=3).fit(X, STRESS[y], groups=speakers)
    np.testing.assert_allclose(alone.predict_proba(X), each[0], atol=1e-6)
    model.save(tmp_path / "model.vocalbio")
    again = RiskModel.load(tmp_path / "model.vocalbio")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert len(training.members(again.network_)) == 3


@pytest.mark.parametrize("networks", [1, 2])
def test_training_goes_on_with_new_speakers(networks: int, tmp_path: Path) -> None:
    X, y, speakers = make_cohort()
    new, y_new, new_speakers = make_cohort(seed=1)
    new_speakers = np.char.replace(new_speakers, "S", "N")
    new["voice__jitter"] = 0.06 - new["voice__jitter"]  # another microphone: what told class 2 is turned round
    model = quick(interval_folds=3, n_networks=networks).fit(X, STRESS[y], groups=speakers)
    model.save(tmp_path / "first.vocalbio", licence="research only")
    first, model = model, RiskModel.load(tmp_path / "first.vocalbio")
    test, y_test, _ = make_cohort(seed=2)
    test["voice__jitter"] = 0.06 - test["voice__jitter"]
    before = uar(STRESS[y_test], model.predict(test))
    assert model.fit_more(new, STRESS[y_new], groups=new_speakers) is model
    assert uar(STRESS[y_test], model.predict(test)) > before + 0.1
    assert model.scaling_.arrays()["centre"].tolist() == first.scaling_.arrays()["centre"].tolist()
    assert len(model.held_out_codes_) == len(new)  # of the new cohort alone
    cohort = model.manifest_["training"]
    assert (cohort["n_recordings"], cohort["n_speakers"], cohort["licence"]) == (240, 40, "research only")
    assert [part["n_speakers"] for part in cohort["cohorts"]] == [20, 20]
    assert cohort["classes"] == dict.fromkeys(sorted(STRESS), 80)
    model.save(tmp_path / "second.vocalbio")
    again = RiskModel.load(tmp_path / "second.vocalbio")
    np.testing.assert_array_equal(again.predict_interval(test), model.predict_interval(test))
    with pytest.raises(LeakageError, match=r"heard in training already: N00, N01.*\(speakers: 20\)"):
        again.fit_more(new, STRESS[y_new], groups=new_speakers)


def test_going_on_with_a_plain_array_keeps_what_is_known_of_columns(cohort: Any, tmp_path: Path) -> None:
    X, y, speakers = cohort
    model = quick(epochs=1).fit(X, STRESS[y], groups=speakers)
    model.fit_more(X[COLUMNS].to_numpy(), STRESS[y], groups=np.char.replace(speakers, "S", "N"))
    assert (model.manifest_["columns"], model.manifest_["extractor"]) == (COLUMNS, SETTINGS)
    model.save(tmp_path / "model.vocalbio")
    np.testing.assert_array_equal(
        RiskModel.load(tmp_path / "model.vocalbio").predict_proba(X[COLUMNS[::-1]]), model.predict_proba(X)
    )


def test_going_on_starts_where_training_ended(cohort: Any) -> None:
    X, y, speakers = cohort
    new, y_new, _ = make_cohort(4, seed=1)
    model = quick().fit(X, STRESS[y], groups=speakers)
    before = [weight.copy() for weight in model.network_.get_weights()]
    model.fit_more(new, STRESS[y_new], groups=["N" + str(k // 6) for k in range(24)], epochs=1)
    fresh = quick(epochs=1).fit(new, STRESS[y_new], groups=np.arange(24) // 6)
    moved = np.abs(model.network_.get_weights()[0] - before[0]).max()
    assert 0 < moved < 0.02  # two steps of Adam at 1e-3
    assert np.abs(fresh.network_.get_weights()[0] - before[0]).max() > 0.1


def test_going_on_needs_new_speakers_known_columns_and_the_same_classes(cohort: Any) -> None:
    X, y, speakers = cohort
    others = np.char.replace(speakers, "S", "N")
    model = quick(epochs=1).fit(X, STRESS[y], groups=speakers)
    probabilities = model.predict_proba(X)
    with pytest.raises(ParameterError, match="groups is None; going on with training takes speakers"):
        model.fit_more(X, STRESS[y], groups=None)
    with pytest.raises(LeakageError, match=r"heard in training already: S00 \(speakers: 1\)"):
        model.fit_more(X, STRESS[y], groups=np.where(speakers == "S00", speakers, others))
    with pytest.raises(ParameterError, match="1 missing"):
        model.fit_more(X.drop(columns="voice__f0"), STRESS[y], groups=others)
    with pytest.raises(ParameterError, match="holds no 'anxious'"):
        model.fit_more(X[y < 2], STRESS[y[y < 2]], groups=others[y < 2])
    two = quick("depression", epochs=1).fit(X, y == 1, groups=speakers)
    with pytest.raises(ParameterError, match="y holds 'ill', 'well'; the model was fitted on False, True"):
        two.fit_more(X, np.where(y == 1, "ill", "well"), groups=others)
    with pytest.raises(ParameterError, match="epochs is 0"):
        model.fit_more(X, STRESS[y], groups=others, epochs=0)
    np.testing.assert_array_equal(model.predict_proba(X), probabilities)
    with pytest.warns(VocalbioWarning, match="without groups"):
        unknown = quick(epochs=1).fit(X, STRESS[y])
    with pytest.raises(ParameterError, match="the model was fitted without groups"):
        unknown.fit_more(X, STRESS[y], groups=others)


def test_class_weights_may_be_given_by_label() -> None:
    rng = np.random.default_rng(0)
    y = np.where(np.arange(400) % 10 == 0, "ill", "well")
    X = rng.normal(size=(400, 4)) + 1.0 * (y == "ill")[:, None] * [1, 0, 0, 0]
    speakers = np.arange(400) // 10
    named = quick("depression", class_weight={"ill": 5.0, "well": 5 / 9}).fit(X, y, groups=speakers)
    balanced = quick("depression", class_weight="balanced").fit(X, y, groups=speakers)
    np.testing.assert_allclose(named.predict_proba(X), balanced.predict_proba(X), atol=1e-4)
    halfway = quick("depression", class_weight={"ill": 2.0}).fit(X, y, groups=speakers)
    plain = quick("depression").fit(X, y, groups=speakers)
    shares = [(model.predict(X) == "ill").mean() for model in (plain, halfway, balanced)]
    assert shares == sorted(shares)
    assert shares[0] < shares[2]


# The cohort -----------------------------------------------------------------------------------------------


def test_speakers_are_kept_as_hashes_for_those_who_check_for_leaks(cohort: Any) -> None:
    X, y, speakers = cohort
    kept = quick(epochs=1).fit(X, STRESS[y], groups=speakers).manifest_["training"]["speakers"]
    assert kept == sorted(hashlib.sha256(name.encode()).hexdigest()[:16] for name in set(speakers))
    assert quick(epochs=1).fit(X, STRESS[y], groups=np.arange(120) // 6).manifest_["training"]["speakers"] == sorted(
        hashlib.sha256(str(number).encode()).hexdigest()[:16] for number in range(20)
    )


def test_few_of_the_cohorts_kind_and_all_of_another_are_called_unlike_it() -> None:
    rng = np.random.default_rng(0)
    rows, speakers = rng.normal(size=(300, 30)), np.repeat(np.arange(30), 10)
    rows += rng.normal(size=(30, 30))[speakers]  # speakers differ, and so do their recordings
    names = [f"voice__{number}" for number in range(30)]
    inputs = Inputs(rows, None, np.ones(300, bool), names, None)
    scaling = Scaling.fit(rows, names)
    likeness = Likeness.fit(inputs, scaling, speakers)
    new = rng.normal(size=(500, 30)) + rng.normal(size=(500, 30))
    flagged = [likeness.doubt(row[None], names, scaling) is not None for row in new]
    assert np.mean(flagged) < 0.04
    new[:, 7] += 40
    reasons = [likeness.doubt(row[None] + 1.5, names, scaling) for row in new[:50]]
    assert all(reason is not None and "most of all voice__7 (5.0 SD)" in reason for reason in reasons)


def test_a_training_recording_is_measured_against_the_other_speakers_alone(rng: np.random.Generator) -> None:
    rows, speakers = rng.normal(size=(12, 3)), np.repeat(["a", "b", "c"], 4)
    names = ["voice__x", "voice__y", "voice__z"]
    inputs = Inputs(rows, None, np.ones(12, bool), names, None)
    found = Likeness.fit(inputs, Scaling.fit(rows, names), speakers).distances
    expected = []
    for row, speaker in zip(rows, speakers, strict=True):
        others = rows[speakers != speaker]
        z = np.clip((row - others.mean(axis=0)) / others.std(axis=0), -5, 5)
        expected.append(np.sqrt(np.mean(z**2)))
    np.testing.assert_allclose(found, np.sort(expected))


# Files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [False, True])
def test_a_loaded_model_says_exactly_the_same(cohort: Any, fitted: RiskModel, tmp_path: Path, folder: bool) -> None:
    X, _, _ = cohort
    path = f"{tmp_path}/model/" if folder else f"{tmp_path}/model.vocalbio"
    fitted.save(path, licence="research only")
    fitted.save(path)  # over itself
    loaded = RiskModel.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict_interval(X), fitted.predict_interval(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.get_params() == fitted.get_params()
    assert loaded.manifest_["training"]["licence"] == "research only"
    assert loaded.manifest_["columns"] == COLUMNS
    assert [entry.name for entry in tmp_path.iterdir()] == [Path(path).name]  # nothing half-written stays


def test_settings_and_labels_of_numpy_and_pandas_are_saved(cohort: Any, tmp_path: Path) -> None:
    X, y, speakers = cohort
    labels = pd.Series(np.where(y == 1, "ill", "well"), dtype=object)
    model = quick("depression", epochs=np.int64(1), random_state=np.int64(3)).fit(X, labels, groups=speakers)
    model.save(tmp_path / "model.vocalbio")
    loaded = RiskModel.load(tmp_path / "model.vocalbio")
    assert loaded.get_params() == model.get_params()
    assert loaded.predict(X).dtype == model.predict(X).dtype == object


def test_a_save_that_fails_leaves_the_old_model_whole(
    cohort: Any, fitted: RiskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, speakers = cohort
    fitted.save(tmp_path / "model.vocalbio")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ParameterError, match="No space left on device"):
        quick(epochs=1).fit(X, STRESS[y], groups=speakers).save(tmp_path / "model.vocalbio")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.vocalbio"]
    again = RiskModel.load(tmp_path / "model.vocalbio")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def members(fitted: RiskModel, folder: Path) -> dict[str, bytes]:
    fitted.save(folder / "whole.vocalbio")
    with zipfile.ZipFile(folder / "whole.vocalbio") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_a_saved_model_holds_no_pickle(fitted: RiskModel, tmp_path: Path) -> None:
    contents = members(fitted, tmp_path)
    assert set(contents) == {"manifest.json", "model.keras", "arrays.npz"}
    with np.load(io.BytesIO(contents["arrays.npz"]), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fbi" for name in arrays.files)


def test_a_saved_model_says_nothing_that_older_keras_refuses(fitted: RiskModel, tmp_path: Path) -> None:
    # Keras 3.9 raises at settings of layers that came later, though they say None
    fitted.save(tmp_path / "model.vocalbio")
    with zipfile.ZipFile(tmp_path / "model.vocalbio") as archive:
        network = io.BytesIO(archive.read("model.keras"))
    config = zipfile.ZipFile(network).read("config.json").decode()
    assert '"units"' in config
    assert not re.search(r'"(quantization_config|input_axes|output_axes)": null', config)


def test_files_that_are_not_a_model_are_refused_in_words(fitted: RiskModel, tmp_path: Path) -> None:
    contents = members(fitted, tmp_path)
    whole = (tmp_path / "whole.vocalbio").read_bytes()
    with pytest.raises(ModelFileError, match="does not exist"):
        RiskModel.load(tmp_path / "nowhere.vocalbio")
    for name, content in (("text", b"hello"), ("cut", whole[: len(whole) // 2]), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match="not a model saved by vocalbio, or it is damaged"):
            RiskModel.load(tmp_path / name)
    for name in contents:
        with pytest.raises(ModelFileError, match="damaged"):
            RiskModel.load(pack(tmp_path / "lacking", {k: v for k, v in contents.items() if k != name}))
    manifest = json.loads(contents["manifest.json"])
    for change, message in (
        ({"format": 1}, "of vocalbio 0.1, whose probabilities were not calibrated.*Fit the model anew"),
        ({"model": "SeverityModel"}, "holds a SeverityModel; load it with SeverityModel.load"),
        ({"calibrated": False}, "garbles an entry"),
        ({"format": 99}, "has format 99; this vocalbio reads format 2: pip install"),
        ({"condition": "mania"}, "garbles an entry"),
        ({"parameters": {"colour": 1}}, "garbles an entry"),
        ({"parameters": "x"}, "garbles an entry"),
        ({"classes": None}, "garbles an entry"),
        ({"classes": ["sad", "neutral", "anxious"]}, "classes: not of the same model"),
        ({"columns": COLUMNS[:3]}, "columns: not of the same model"),
        ({"n_features": 5}, "not of the same model"),
        ({"threshold": "high"}, "threshold: not of the same model"),
        ({"training": None}, "training: not of the same model"),
    ):
        changed = contents | {"manifest.json": json.dumps(manifest | change).encode()}
        with pytest.raises(ModelFileError, match=message):
            RiskModel.load(pack(tmp_path / "changed", changed))


@pytest.mark.parametrize("place", [0.2, 0.4, 0.6, 0.8])
def test_a_damaged_byte_never_ends_in_a_traceback_of_a_dependency(
    fitted: RiskModel, tmp_path: Path, place: float
) -> None:
    fitted.save(tmp_path / "model.vocalbio")
    content = bytearray((tmp_path / "model.vocalbio").read_bytes())
    content[int(place * len(content))] ^= 0xFF
    (tmp_path / "model.vocalbio").write_bytes(content)
    with pytest.raises(ModelFileError):
        RiskModel.load(tmp_path / "model.vocalbio")


def test_arrays_with_objects_are_refused(fitted: RiskModel, tmp_path: Path) -> None:
    contents = members(fitted, tmp_path)
    packed = io.BytesIO()
    np.savez(packed, medians=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelFileError, match="damaged"):
        RiskModel.load(pack(tmp_path / "objects", contents | {"arrays.npz": packed.getvalue()}))


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Lambda", "module": "keras.layers"},
        {"class_name": "function", "module": "builtins", "registered_name": "eval"},
        {"class_name": "Popen", "module": "subprocess"},
        {"class_name": "Dense", "module": "evil.layers"},
        {"class_name": "__lambda__", "config": {"value": "AAAA"}},
    ],
)
def test_a_network_with_code_of_its_own_is_refused(fitted: RiskModel, tmp_path: Path, layer: dict[str, Any]) -> None:
    contents = members(fitted, tmp_path)
    with zipfile.ZipFile(io.BytesIO(contents["model.keras"])) as archive:
        network = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(network["config.json"])
    config["config"]["layers"][1]["config"]["noise_shape"] = layer
    packed = pack(tmp_path / "network", network | {"config.json": json.dumps(config).encode()}).read_bytes()
    with pytest.raises(ModelFileError, match=f"{layer['class_name']} is not a part of our networks"):
        RiskModel.load(pack(tmp_path / "evil", contents | {"model.keras": packed}))


def test_a_network_that_keras_saved_with_a_lambda_is_refused(cohort: Any, fitted: RiskModel, tmp_path: Path) -> None:
    import keras

    evil = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x[:, :3])])
    evil.save(tmp_path / "network.keras")
    contents = members(fitted, tmp_path) | {"model.keras": (tmp_path / "network.keras").read_bytes()}
    with pytest.raises(ModelFileError, match="is not a part of our networks"):
        RiskModel.load(pack(tmp_path / "evil", contents))


def test_a_network_of_another_model_is_refused(cohort: Any, fitted: RiskModel, tmp_path: Path) -> None:
    X, y, speakers = cohort
    (tmp_path / "two").mkdir()
    other = members(quick(epochs=1).fit(X[COLUMNS[:2]], STRESS[y], groups=speakers), tmp_path / "two")
    contents = members(fitted, tmp_path) | {"model.keras": other["model.keras"]}
    with pytest.raises(ModelFileError, match="network's input: not of the same model"):
        RiskModel.load(pack(tmp_path / "mixed", contents))


def test_it_says_where_it_cannot_be_written(fitted: RiskModel, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="choose a folder that exists"):
        fitted.save(tmp_path / "nowhere" / "model.vocalbio")


# Answers -------------------------------------------------------------------------------------------------


def voice(f0_hz: float, seconds: float = 2.0) -> Recording:
    t = np.arange(int(16_000 * seconds)) / 16_000
    wave = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 20))
    return Recording(0.1 * wave * (1 + 0.2 * np.sin(2 * np.pi * 3 * t)), 16_000, file=f"{f0_hz:.0f}.wav")


@pytest.fixture(scope="module")
def by_pitch() -> RiskModel:
    """Calls low voices neutral, middle ones sad, high ones anxious."""
    y, speakers = np.repeat(np.arange(3), 8), np.tile(np.arange(8), 3)
    recordings = [voice(100 + 80 * c + 2 * i) for i, c in enumerate(y)]
    X = FeatureExtractor(["voice"]).transform(recordings)
    X = X[[c for c in X if c.startswith("quality__")] + ["voice__f0_mean_hz", "voice__f0_median_hz"]]
    return quick(interval_folds=3, epochs=60).fit(X, STRESS[y], groups=speakers)


def test_an_answer_says_how_sure_it_is_and_what_makes_it_doubtful(by_pitch: RiskModel) -> None:
    answer = by_pitch.score_audio(voice(290))
    assert isinstance(answer, Answer)
    assert max(answer.probability, key=answer.probability.get) == "anxious"
    weighed = 100 * (0.5 * answer.probability["sad"] + answer.probability["anxious"])
    assert answer.score == pytest.approx(weighed)
    assert answer.label == ("High" if answer.score > 70 else "Normal")
    assert answer.score_interval[0] <= answer.score_interval[1]
    assert all(0 <= low <= high <= 1 for low, high in answer.interval.values())
    assert any("s of voice; 10 s or more are advised" in reason for reason in answer.reasons)
    assert answer.training["n_speakers"] == 8
    assert "Not a diagnosis" in answer.disclaimer
    assert json.loads(answer.to_json()) == answer.to_dict()
    for text in ("stress:", "P(anxious)", "8 speakers", "Not a diagnosis"):
        assert text in str(answer)


def problems(value: Any, schema: dict[str, Any], path: str = "answer") -> list[str]:
    """What of `value` breaks the schema, for the keywords that ours uses; any other keyword is a problem itself."""
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "null": type(None)}
    told = {"$schema", "title", "description"}
    known = told | {"type", "enum", "properties", "additionalProperties", "required", "items", "minItems", "maxItems"}
    found = [f"{path}: keyword {key}" for key in schema.keys() - known - {"minimum", "maximum", "minLength"}]
    if "type" in schema:
        allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if isinstance(value, bool) or not any(isinstance(value, kinds[kind]) for kind in allowed):
            return [*found, f"{path}: {value!r} is no {allowed}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} is none of {schema['enum']}")
    if isinstance(value, dict):
        found += [f"{path}: no {key}" for key in schema.get("required", []) if key not in value]
        for key, entry in value.items():
            rule = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            found += [f"{path}: {key} is unknown"] if rule is False else problems(entry, rule, f"{path}.{key}")
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{path}: {len(value)} items")
        for entry in value:
            found += problems(entry, schema.get("items", {}), f"{path}[]")
    elif isinstance(value, str):
        found += [f"{path}: too short"] if len(value) < schema.get("minLength", 0) else []
    elif value is not None and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{path}: {value} out of bounds")
    return found


def test_answers_keep_the_published_schema(by_pitch: RiskModel) -> None:
    audio = FeatureExtractor(["voice"]).transform([voice(100 + 20 * i) for i in range(8)])
    silence = Recording(np.zeros(16_000), 16_000, file="silence.wav")
    answers = by_pitch.score_audio([voice(190), silence])
    with pytest.warns(VocalbioWarning, match="without groups"):
        answers += quick("depression", epochs=1).fit(audio, np.arange(8) > 3).score_audio([voice(120)])
    apnea = np.array(["normal", "snore", "apnea"])[np.arange(8) % 3]
    answers += quick("apnea", epochs=1).fit(audio, apnea, groups=np.arange(8)).score_audio([voice(120)])
    answers += (
        SeverityModel(preset="small", epochs=1)
        .fit(audio, np.arange(8.0), groups=np.arange(8))
        .score_audio([voice(120), silence])
    )
    for answer in answers:
        assert problems(answer.to_dict(), answer_schema()) == []
    broken = answers[0].to_dict()
    broken["probability"]["sad"] = 1.5
    del broken["label"]
    assert len(problems(broken | {"diagnosis": "ill"}, answer_schema())) == 3


def test_stress_is_high_above_the_threshold_and_not_on_it(by_pitch: RiskModel) -> None:
    model = pickle.loads(pickle.dumps(by_pitch))
    assert model.threshold_ == 70
    model.threshold_ = score = model.score_audio(voice(290)).score
    assert model.score_audio(voice(290)).label == "Normal"
    model.threshold_ = np.nextafter(score, 0)
    assert model.score_audio(voice(290)).label == "High"


def test_depression_is_high_risk_from_the_threshold_up(monkeypatch: pytest.MonkeyPatch) -> None:
    X = FeatureExtractor(["spectral"]).transform([voice(100 + 20 * i) for i in range(6)])
    model = quick("depression", epochs=1, least_voiced_s=0.0).fit(X, np.arange(6) > 2, groups=np.arange(6))
    for p, label, predicted in ((0.5, "High Risk", True), (np.nextafter(0.5, 0), "Low Risk", False)):
        proba = np.array([[1 - p, p]])
        monkeypatch.setattr(model, "_find", lambda _, proba=proba: proba)
        answer = model.score_audio(voice(110))
        assert (answer.label, answer.threshold) == (label, 0.5)
        assert model.predict(X[:1]).tolist() == [predicted]


@pytest.mark.parametrize(
    ("bounds", "label"),
    [((0.2, 0.8), "indeterminate"), ((0.3, 0.7), "High Risk"), ((0.51, 1.0), "High Risk"), ((0.0, 0.45), "Low Risk")],
)
def test_an_interval_that_is_wide_and_holds_the_threshold_says_nothing(
    cohort: Any, monkeypatch: pytest.MonkeyPatch, bounds: tuple[float, float], label: str
) -> None:
    X, y, speakers = cohort
    model = quick("depression", epochs=1, interval_folds=2).fit(X, y == 1, groups=speakers)
    low, high = bounds
    monkeypatch.setattr(model, "_bounds", lambda _: np.array([[(1 - high, 1 - low), (low, high)]]))
    p = (low + high) / 2
    verdict = model._verdict(np.array([1 - p, p + 1e-9]))
    assert ("indeterminate" if verdict.undecided else verdict.label) == label
    if verdict.undecided:
        assert "P(True) may be anything from 0.20 to 0.80: the threshold of 0.5 lies between" in verdict.undecided


def test_too_little_voice_gives_numbers_but_no_label(by_pitch: RiskModel) -> None:
    model = pickle.loads(pickle.dumps(by_pitch)).set_params(least_voiced_s=5.0)
    answer, before = model.score_audio(voice(290)), by_pitch.score_audio(voice(290))
    assert before.label != "indeterminate"
    assert (answer.label, answer.probability) == ("indeterminate", before.probability)
    assert re.match(r"\d\.\d s of voice are too little for a label; 5 s are the least", answer.reasons[0])
    assert RiskModel("depression").least_voiced_s is None


def test_windows_of_a_recording_are_joined_by_their_mean_log_odds() -> None:
    y = np.repeat([False, True], 4)
    extractor = FeatureExtractor(["spectral"], window_s=1.0)
    X = extractor.transform([voice(110 + 60 * c + 2 * i, 3.0) for i, c in enumerate(y)])
    model = quick("depression", epochs=5).fit(X, np.repeat(y, 3), groups=np.repeat(np.arange(8) % 4, 3))
    answers = model.score_audio([voice(120, 3.0), voice(150, 3.0)])
    for answer, f0 in zip(answers, (120, 150), strict=True):
        windows = model.predict_proba(extractor.transform([voice(f0, 3.0)]))[:, 1]
        odds = np.exp(np.mean(np.log(windows / (1 - windows))))
        assert answer.probability["True"] == pytest.approx(odds / (1 + odds), rel=1e-4)


def test_a_voice_unlike_all_of_training_is_doubted_by_name(by_pitch: RiskModel) -> None:
    familiar, strange = by_pitch.score_audio([voice(190), voice(500)])
    assert not any("unlike the training cohort" in reason for reason in familiar.reasons)
    [doubt] = [reason for reason in strange.reasons if "unlike the training cohort" in reason]
    assert "voice__f0_m" in doubt
    assert "SD)" in doubt


def test_voice_in_overlapping_windows_is_counted_once() -> None:
    y = np.repeat([False, True], 4)
    extractor = FeatureExtractor(["spectral"], window_s=2.0, hop_s=0.5)
    X = Sequences.from_table(extractor.transform([voice(110 + 120 * c + 2 * i) for i, c in enumerate(y)]))
    model = quick("depression", network="bilstm", epochs=1).fit(X, y, groups=np.arange(8) % 4)
    [heard] = [reason for reason in model.score_audio(voice(115, 8.0)).reasons if "are advised" in reason]
    assert 7 < float(heard.split()[1]) <= 8


def test_a_recording_that_cannot_be_used_gets_no_score(by_pitch: RiskModel, tmp_path: Path) -> None:
    silence = Recording(np.zeros(16_000), 16_000, file="silence.wav")
    answers = by_pitch.score_audio([silence, str(tmp_path / "nowhere.wav"), voice(110)])
    assert isinstance(answers, list)
    for answer, reason in zip(answers[:2], ("silence", "nowhere.wav"), strict=True):
        assert answer.label == "indeterminate"
        assert answer.probability is answer.score is answer.interval is None
        assert any(reason in text for text in answer.reasons)
        assert "indeterminate" in str(answer)
    assert answers[2].label == "Normal"


def test_quality_is_described_even_if_the_extractor_leaves_it_out(by_pitch: RiskModel) -> None:
    model = pickle.loads(pickle.dumps(by_pitch))
    model.extractor = FeatureExtractor(["voice"], quality=False)
    assert model.score_audio(voice(110)).reasons == by_pitch.score_audio(voice(110)).reasons


def test_a_sequence_model_answers_for_a_recording(tmp_path: Path) -> None:
    y = np.repeat([False, True], 8)
    extractor = FeatureExtractor(["voice"], window_s=1.0)
    X = extractor.transform([voice(110 + 120 * c + 2 * i) for i, c in enumerate(y)])
    columns = [c for c in X if c.startswith("quality__")] + ["voice__f0_mean_hz", "voice__f0_median_hz"]
    model = quick("depression", network="bilstm", least_voiced_s=0).fit(
        Sequences.from_table(X[columns]), y, groups=np.arange(16) % 8
    )
    model.save(tmp_path / "model.vocalbio")
    answers = RiskModel.load(tmp_path / "model.vocalbio").score_audio([voice(115, 3.0), voice(245)])
    assert [answer.label for answer in answers] == ["Low Risk", "High Risk"]


def test_a_table_that_does_not_tell_how_it_was_made_cannot_score_audio(cohort: Any) -> None:
    X, y, speakers = cohort
    model = quick(epochs=1).fit(X.to_numpy()[:, :4], STRESS[y], groups=speakers)
    with pytest.raises(ParameterError, match="pass extractor=FeatureExtractor"):
        model.score_audio("memo.wav")


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        ({"voiced_fraction": 0.2, "duration_s": 30.0}, "only 6.0 s of voice"),
        ({"snr_db": 4.0}, "noisy: voice is 4 dB above"),
        ({"clipped_fraction": 0.03}, "clipped: 3.0%"),
        ({"bandwidth_hz": 3400.0}, "narrow: nothing above 3400 Hz"),
    ],
)
def test_every_flaw_of_a_recording_is_a_reason_for_doubt(quality: dict[str, float], words: str) -> None:
    good = {
        "voiced_fraction": 0.6,
        "duration_s": 30.0,
        "snr_db": 30.0,
        "clipped_fraction": 0.0,
        "bandwidth_hz": 8e3,
    }
    assert doubts(good) == []
    [reason] = doubts(good | quality)
    assert words in reason


def test_a_silent_file_gets_no_score_even_where_the_quality_columns_were_left_out():
    time = np.arange(16_000) / 16_000
    recordings = [Recording(0.1 * np.sin(2 * np.pi * (100 + 40 * k) * time), 16_000, file=f"{k}.wav") for k in range(6)]
    recordings.append(Recording(np.zeros(16_000), 16_000, file="silence.wav"))
    X = FeatureExtractor(["voice"], quality=False).transform(recordings)
    assert X.loc["silence.wav", "voice__syllable_count"].item() == 0  # nothing occurred, and that is known
    with pytest.warns(VocalbioWarning, match="1 of 7 samples have no usable features"):
        model = RiskModel("depression", preset="small", epochs=1, interval_folds=0).fit(
            X, [0, 1, 0, 1, 0, 1, 1], groups=np.arange(7)
        )
    probabilities = model.predict_proba(X)
    assert np.isnan(probabilities[-1]).all()
    assert not np.isnan(probabilities[:-1]).any()
