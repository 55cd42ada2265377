"""Every recording judged by a model that never heard its speaker."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from vocalbio.datasets import Sequences
from vocalbio.errors import ParameterError
from vocalbio.evaluation import out_of_fold
from vocalbio.evaluation.models import without_intervals
from vocalbio.metrics import uar
from vocalbio.risk import RiskModel

STRESS = np.array(["neutral", "sad", "anxious"])
SPEAKERS = np.repeat([f"S{i}" for i in range(8)], 9)
Y = np.arange(72) % 3


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was fitted on, and knows no better than shares of classes."""

    seen: list[Any] = []  # noqa: RUF012 - shared by all clones

    def fit(self, X: Any, y: Any, groups: Any = None) -> Recorder:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        self.seen.append((X, groups))
        return self

    def predict_proba(self, X: Any) -> Any:
        self.seen[-1] += (X,)
        return np.tile(self.shares_, (len(X), 1))


@pytest.fixture
def table(rng: np.random.Generator) -> pd.DataFrame:
    """Loudness tells class 1, jitter class 2; rows 0 and 1 are unusable."""
    values = rng.normal(size=(72, 3))
    values[:, 0] += 5 * (Y == 1)
    values[:, 1] += 5 * (Y == 2)
    X = pd.DataFrame(values, columns=["prosody__loudness", "voice__jitter", "voice__f0"])
    X.index = pd.MultiIndex.from_arrays(
        [[f"{i}.wav" for i in range(72)], pd.to_timedelta([0] * 72), pd.to_timedelta([1] * 72)],
        names=["file", "start", "end"],
    )
    X["quality__ok"], X["quality__snr_db"] = 1.0, 30.0 * Y
    X.iloc[0, :3] = np.nan
    X.iloc[1, X.columns.get_loc("quality__ok")] = 0
    return X


def model(**settings: Any) -> RiskModel:
    defaults = {"preset": "small", "epochs": 25, "batch_size": 16, "random_state": 0}
    return RiskModel("stress", **(defaults | settings))


def test_a_risk_model_finds_the_states_of_speakers_left_out(table: pd.DataFrame) -> None:
    found = out_of_fold(model(), table, STRESS[Y], SPEAKERS, n_splits=4)
    assert found.index.equals(table.index)
    assert found.columns.tolist() == STRESS.tolist()  # the order of the condition
    assert found.iloc[:2].isna().all(axis=None)
    assert found.iloc[2:].notna().all(axis=None)
    assert uar(STRESS[Y][2:], found.columns.to_numpy()[found.to_numpy()[2:].argmax(axis=1)]) > 0.9


def test_intervals_that_nobody_sees_are_not_made_and_change_no_probability(table: pd.DataFrame) -> None:
    settings = {"n_splits": 2}
    plain = model(epochs=3, interval_folds=3, calibration=None)
    without = out_of_fold(model(epochs=3, interval_folds=0, calibration=None), table, STRESS[Y], SPEAKERS, **settings)
    pd.testing.assert_frame_equal(out_of_fold(plain, table, STRESS[Y], SPEAKERS, **settings), without)
    assert without_intervals(plain).interval_folds == 0
    assert without_intervals(make_pipeline(plain)).get_params()["riskmodel__interval_folds"] == 0


@pytest.mark.parametrize("needed", [{"calibration": "temperature"}, {"calibration": None, "threshold": "youden"}])
def test_folds_that_calibration_or_threshold_need_are_kept(needed: dict[str, Any]) -> None:
    assert without_intervals(RiskModel("depression", interval_folds=3, **needed)).interval_folds == 3


def test_no_fold_hears_a_speaker_that_it_judges_and_quality_is_no_feature(table: pd.DataFrame) -> None:
    Recorder.seen = []
    found = out_of_fold(Recorder(), table, STRESS[Y], SPEAKERS)
    assert len(Recorder.seen) == 8
    speaker_of = pd.Series(SPEAKERS, index=table.index)
    for trained, groups, judged in Recorder.seen:
        assert list(trained.columns) == ["prosody__loudness", "voice__jitter", "voice__f0"]
        assert not set(speaker_of[trained.index]) & set(speaker_of[judged.index])
        assert groups.tolist() == speaker_of[trained.index].tolist()
        assert table.index[0] not in trained.index.append(judged.index)
    assert found.columns.tolist() == sorted(STRESS)


def test_a_feature_that_names_the_speaker_is_worth_nothing() -> None:
    ill = np.repeat(np.random.default_rng(3).permutation(np.arange(20) % 2), 6)
    speakers = np.repeat(np.arange(20), 6)
    X = np.random.default_rng(4).normal(size=(20, 3))[speakers]
    nearest = KNeighborsClassifier(1)
    assert uar(ill, nearest.fit(X, ill).predict(X)) == 1.0
    found = out_of_fold(nearest, X, ill, speakers)
    assert abs(uar(ill, found.to_numpy().argmax(axis=1)) - 0.5) < 0.25


def test_pipelines_and_searches_of_scikit_learn_are_judged_alike(table: pd.DataFrame) -> None:
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=GroupKFold(2))
    for classifier in (pipeline, search):  # the search's splitter would fail without speakers
        found = out_of_fold(classifier, table, STRESS[Y], SPEAKERS, n_splits=4)
        assert found.columns.tolist() == ["anxious", "neutral", "sad"]
        labels = found.columns.to_numpy()[found.to_numpy()[2:].argmax(axis=1)]
        assert uar(STRESS[Y][2:], labels) > 0.9


def test_labels_and_speakers_are_joined_by_file(table: pd.DataFrame) -> None:
    files = table.index.get_level_values("file")
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression())
    y = pd.Series(STRESS[Y], index=files).sample(frac=1, random_state=0)
    groups = pd.Series(SPEAKERS, index=files).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        out_of_fold(pipeline, table, y, groups), out_of_fold(pipeline, table, STRESS[Y], SPEAKERS)
    )


def test_sequences_are_judged_by_their_keys(rng: np.random.Generator) -> None:
    y = np.arange(24) % 2
    values = [rng.normal(size=(n % 3, 2)).astype("float32") + 3 * y[n] for n in range(24)]
    sequences = Sequences([f"{n}.wav" for n in range(24)], values, ["voice__a", "voice__b"])
    bilstm = RiskModel("depression", "bilstm", preset="small", epochs=5, random_state=0)
    found = out_of_fold(bilstm, sequences, y, np.arange(24) // 4, n_splits=2)
    assert found.index.tolist() == sequences.keys
    assert found.isna().any(axis=1).tolist() == [n % 3 == 0 for n in range(24)]


def test_a_class_that_a_fold_never_heard_of_has_probability_zero() -> None:
    found = out_of_fold(
        LogisticRegression(),
        np.arange(8.0)[:, None],
        list("aabbbbcc"),
        ["x", "y", "x", "y", "x", "y", "z", "z"],
    )
    assert found["c"].tolist()[6:] == [0.0, 0.0]
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_what_cannot_be_judged_is_refused_in_words(table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="LinearSVC has no predict_proba"):
        out_of_fold(LinearSVC(), table, STRESS[Y], SPEAKERS)
    with pytest.raises(ParameterError, match=r"groups has shape \(71,\); expected \(72,\)"):
        out_of_fold(LogisticRegression(), table, STRESS[Y], SPEAKERS[1:])
    with pytest.raises(ParameterError, match="no sample of X is usable"):
        out_of_fold(LogisticRegression(), table.assign(quality__ok=0), STRESS[Y], SPEAKERS)
