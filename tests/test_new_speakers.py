"""A fitted model on new speakers: the numbers of metrics, and no speaker of its training among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from vocalbio.errors import LeakageError, ParameterError, VocalbioWarning
from vocalbio.evaluation import evaluate
from vocalbio.metrics import bootstrap, mae
from vocalbio.risk import RiskModel

SPEAKERS = np.repeat([f"S{number:02}" for number in range(12)], 6)
ILL = np.tile([0, 1], 36)
OLD = np.isin(SPEAKERS, [f"S{number:02}" for number in range(6)])


@pytest.fixture
def X(rng: np.random.Generator) -> Any:
    return rng.normal(size=(72, 4)) + ILL[:, None]


def fitted(X: Any, speakers: Any = SPEAKERS) -> RiskModel:
    model = RiskModel("depression", preset="small", epochs=3, interval_folds=0, random_state=0)
    return model.fit(X[OLD], ILL[OLD], groups=speakers[OLD])


def test_numbers_are_those_of_metrics(X: Any) -> None:
    model = LogisticRegression().fit(X[OLD], ILL[OLD])
    result = evaluate(model, X[~OLD], ILL[~OLD], groups=SPEAKERS[~OLD], n_resamples=50)
    p = model.predict_proba(X[~OLD])[:, 1]
    truth, found = bootstrap("auroc", ILL[~OLD], p, SPEAKERS[~OLD], n_resamples=50), result.interval("auroc")
    np.testing.assert_allclose([found.estimate, found.low, found.high], [truth.estimate, truth.low, truth.high])
    assert result.interval("auroc", "majority").estimate == 0.5
    assert "cross_validate has it" in result.settings["not_made"]["loudness only"]
    assert "speaker-disjoint: unknown: the model does not remember" in str(result)


def test_a_model_that_remembers_its_speakers_refuses_them(X: Any) -> None:
    model = fitted(X)
    result = evaluate(model, X[~OLD], ILL[~OLD], groups=SPEAKERS[~OLD], n_resamples=50)
    assert result.settings["speaker_disjoint"].startswith("checked: none of the 6 training speakers")
    with pytest.raises(LeakageError, match=r"was trained on S00, S01, S02, S03, S04, … \(speakers: 6 of 12\)"):
        evaluate(model, X, ILL, groups=SPEAKERS)
    assert evaluate(model, X[~OLD], ILL[~OLD], groups="row").settings["speaker_disjoint"].startswith("unknown")


def test_numbers_as_names_of_speakers_are_doubted(X: Any) -> None:
    numbers = np.arange(72) // 6
    with pytest.warns(VocalbioWarning, match="the same number may be another person in another corpus"):
        evaluate(fitted(X, numbers), X[~OLD], ILL[~OLD], groups=numbers[~OLD], n_resamples=50)


def test_a_class_that_is_absent_here_keeps_its_place(X: Any) -> None:
    state = np.arange(72) % 3
    model = RandomForestClassifier(20, random_state=0).fit(X[OLD], state[OLD])
    kept = ~OLD & (state < 2)
    result = evaluate(model, X[kept], state[kept], groups=SPEAKERS[kept], n_resamples=50)
    assert result.task.classes == (0, 1, 2)
    line = result.table.loc[("recording", result.model, "recall_2")]
    assert np.isnan(line["estimate"])
    assert "a class does not occur" in line["note"]


def test_a_cohort_of_healthy_people_has_a_specificity_and_nothing_that_needs_the_ill(X: Any) -> None:
    model = LogisticRegression().fit(X[OLD], ILL[OLD])
    healthy = ~OLD & (ILL == 0)
    result = evaluate(model, X[healthy], ILL[healthy], groups=SPEAKERS[healthy], level="recording", n_resamples=50)
    spared = (model.predict(X[healthy]) == 0).mean()
    assert result.interval("specificity").estimate == pytest.approx(spared)
    assert np.isnan(result.interval("auroc").estimate)
    assert str(result)


def test_a_regressor_is_judged_by_its_error(X: Any) -> None:
    severity = X @ [1.0, 2.0, 3.0, 4.0]
    model = LinearRegression().fit(X[OLD], severity[OLD] + 1)
    result = evaluate(model, X[~OLD], severity[~OLD], groups=SPEAKERS[~OLD], n_resamples=50)
    assert result.interval("mae").estimate == pytest.approx(1)
    truth = mae(severity[~OLD], np.full(36, severity[~OLD].mean()))
    assert result.interval("mae", "mean of the cohort").estimate == pytest.approx(truth)


def test_what_cannot_be_judged_is_refused_in_words(X: Any) -> None:
    with pytest.raises(ParameterError, match="evaluate takes a fitted model; cross_validate fits by itself"):
        evaluate(LogisticRegression(), X, ILL, groups=SPEAKERS)
    model = LogisticRegression().fit(X, ILL)
    with pytest.raises(ParameterError, match=r"y holds 2, which the model was not trained on: \[0, 1\]"):
        evaluate(model, X, np.arange(72) % 3, groups=SPEAKERS)
    with pytest.raises(ParameterError, match="no row of X is usable"):
        evaluate(model, np.full((72, 4), np.nan), ILL, groups=SPEAKERS)
