"""Learning curves draw whole speakers; labels that mean nothing teach nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vocalbio as vb
from vocalbio.errors import ParameterError
from vocalbio.evaluation import learning_curve, permutation_test
from vocalbio.figures import plot_intervals

SPEAKERS = np.repeat([f"S{number:02}" for number in range(16)], 6)
ILL = np.tile([0, 1], 48)


@pytest.fixture
def X(rng: np.random.Generator) -> Any:
    """Forty weak features, which few speakers do not suffice for."""
    return rng.normal(size=(96, 40)) + 0.35 * ILL[:, None]


class Fitted(LogisticRegression):
    """Remembers the speakers that it was fitted on."""

    seen: list[set[str]] = []  # noqa: RUF012 - shared by all clones

    def fit(self, X: Any, y: Any, groups: Any = None) -> Fitted:
        self.seen.append(set(groups))
        return super().fit(X, y)


class Cheat(ClassifierMixin, BaseEstimator):
    """Knows the label of every row from elsewhere."""

    def fit(self, X: Any, y: Any) -> Cheat:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        known = X[:, -1]
        return np.column_stack([1 - known, known])


def test_more_speakers_teach_more(X: Any) -> None:
    Fitted.seen = []
    curve = learning_curve(
        Fitted(C=0.01), X, ILL, groups=SPEAKERS, n_speakers=(12, 2, 6), repeats=2, cv=4, n_resamples=50
    )
    assert curve.index.tolist() == [2, 6, 12]
    assert [len(seen) for seen in Fitted.seen] == [2] * 8 + [6] * 8 + [12] * 8
    assert curve.loc[12, "estimate"] > curve.loc[2, "estimate"] + 0.05
    assert (curve["low"] < curve["estimate"]).all()
    assert (curve["estimate"] < curve["high"]).all()
    assert (curve["n_repeats"] == 2).all()
    plot_intervals(curve, chance=0.5, x_label="AUROC")  # it has the columns for it


def test_a_curve_that_cannot_be_drawn_is_refused_in_words(X: Any) -> None:
    with pytest.raises(ParameterError, match="n_speakers asks for 14, and a fold has 12 usable speakers"):
        learning_curve(LogisticRegression(), X, ILL, groups=SPEAKERS, n_speakers=[14], cv=4)
    ill = np.repeat(np.arange(16) % 2, 6)
    with pytest.raises(ParameterError, match="n_speakers asks for 1, and 100 draws of so many never had every class"):
        learning_curve(LogisticRegression(), X, ill, groups=SPEAKERS, n_speakers=[1], cv=4)
    with pytest.raises(ParameterError, match="repeats is \\[0\\]; expected whole numbers"):
        learning_curve(LogisticRegression(), X, ILL, groups=SPEAKERS, repeats=0)


@pytest.mark.parametrize("ill", [ILL, np.repeat(np.arange(16) % 2, 6)])
def test_shuffled_labels_teach_nothing(rng: np.random.Generator, ill: Any) -> None:
    X = rng.normal(size=(96, 3)) + 1.5 * ill[:, None]
    found = permutation_test(LogisticRegression(), X, ill, groups=SPEAKERS, cv=4, n_permutations=19)
    assert (found["observed"] > 0.85).all()
    assert (found["p"] == 0.05).all()
    assert (found["chance"] == 0.5).all()
    assert ((found["null_mean"] - 0.5).abs() < 3 * found["null_sd"]).all()
    assert len(found.attrs["null"]["auroc"]) == 19


def test_a_model_that_knows_the_labels_from_elsewhere_is_seen(X: Any) -> None:
    X = np.column_stack([X, ILL])
    found = permutation_test(Cheat(), X, ILL, groups=SPEAKERS, cv=4, n_permutations=4)
    assert (found["null_mean"] == 1).all()
    assert (found["p"] == 1).all()


@pytest.mark.slow
def test_permuted_labels_fall_to_chance_on_real_voices(data: Path) -> None:
    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    chosen = manifest[manifest["emotion"].isin(["neutral", "sad", "fearful"]) & (manifest["repetition"] == 1)]
    X = vb.extract_features([data / "ravdess" / file for file in chosen["file"]], families=["prosody"])
    model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(max_iter=2000))
    found = permutation_test(
        model, X, chosen["emotion"].to_numpy(), groups=chosen["speaker"].to_numpy(), n_permutations=19
    )
    standard_error = found["null_sd"] / np.sqrt(19)
    assert (found["observed"] > found["chance"] + 5 * found["null_sd"]).all()
    assert ((found["null_mean"] - found["chance"]).abs() < 3 * standard_error).all()
