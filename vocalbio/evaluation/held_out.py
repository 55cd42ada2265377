"""Held-out predictions: every row judged by a model that never heard its speaker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from vocalbio import __version__
from vocalbio.datasets import check_disjoint, speaker_folds
from vocalbio.errors import ParameterError
from vocalbio.evaluation.cohort import Cohort, choose_rows, read_cohort, training_part
from vocalbio.evaluation.models import Fold, describe_model, predict_rows, without_intervals
from vocalbio.evaluation.selection import fit_chosen
from vocalbio.evaluation.store import Store

__all__ = ["judge", "judged", "out_of_fold"]


def judge(
    model: Any, cohort: Cohort, train: NDArray[Any], test: NDArray[Any], *, seed: int, threshold: float | None = None
) -> Fold:
    """
    Fit on some rows and judge others; a choice among candidates is made on the training rows alone.

    Parameters
    ----------
    model : estimator, search over settings, or dict of candidates
    cohort : Cohort
    train, test : numpy.ndarray of int
        Usable rows.
    seed : int
        Of the inner folds.
    threshold : float, optional
        As for `predict_rows`.

    Returns
    -------
    Fold

    Raises
    ------
    LeakageError
        If a speaker is on both sides.
    """
    X, y, speakers = training_part(cohort, train)
    check_disjoint(speakers, cohort.speakers[test])
    fitted, chosen = fit_chosen(model, X, y, speakers, seed)
    found = predict_rows(fitted, choose_rows(cohort.X, test), threshold)
    return Fold(found.scores, found.kind, found.classes, found.threshold, chosen)


def judged(
    model: Any,
    cohort: Cohort,
    folds: list[Any],
    *,
    seed: int,
    threshold: float | None = None,
    store: Store | None = None,
) -> Iterator[tuple[NDArray[Any], Fold]]:
    """Judge fold by fold the usable rows; finished folds are read from the store."""
    store = store or Store(None)
    settings = [__version__, describe_model(model), cohort.fingerprint(), seed, threshold] if store.folder else []
    for train, test in folds:
        train, test = train[cohort.usable[train]], test[cohort.usable[test]]
        path = store.path(*settings, train.tolist(), test.tolist())
        fold = store.read(path)
        if fold is None and len(test):
            fold = judge(model, cohort, train, test, seed=seed, threshold=threshold)
            store.write(path, fold)
        yield test, fold or Fold([], "", [], 0.5, {})


def out_of_fold(
    model: Any,
    X: Any,
    y: Any,
    groups: Any,
    *,
    n_splits: int | None = None,
    seed: int = 0,
    progress: bool = False,
    label: str = "Folds",
) -> pd.DataFrame:
    """
    Refit a model fold by fold and predict the speakers left out.

    Parameters
    ----------
    model : RiskModel or scikit-learn classifier
        Cloned for each fold; a `RiskModel` that needs no folds for calibration or threshold makes no intervals, which
        nobody sees here. Whatever it is, it gets the feature columns of usable samples only. Speakers are handed on
        where ``fit`` takes ``groups``.
    X : pandas.DataFrame, array_like of shape (n_samples, n_features), or Sequences
        One sample a recording.
    y, groups : array_like or pandas.Series
        Label and speaker of each sample; a Series is joined as in `RiskModel.fit`.
    n_splits : int, optional
        Folds of speakers; None: leave one speaker out.
    seed : int
        Decides which speakers share a fold.
    progress : bool
        Show a bar.
    label : str
        What the bar is called.

    Returns
    -------
    pandas.DataFrame
        Class probabilities, one column a class (in the order of the condition for a `RiskModel`, sorted otherwise),
        one row a sample (index of `X`, or keys of sequences); NaN where a recording could not be used.

    Raises
    ------
    LeakageError
        If a fold shares a speaker.
    ParameterError
        If lengths differ, there are too few speakers, or the model gives no probabilities.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import out_of_fold
    >>> X = pd.DataFrame({"voice__f0_mean_hz": [1.0, 5.0, 2.0, 6.0]})
    >>> out_of_fold(LogisticRegression(), X, [0, 1, 0, 1], ["a", "a", "b", "b"]).shape
    (4, 2)
    """
    from tqdm.auto import tqdm

    if not hasattr(model, "predict_proba"):
        raise ParameterError(
            f"{type(model).__name__} has no predict_proba; expected a classifier that gives probabilities, "
            "such as one wrapped in CalibratedClassifierCV"
        )
    cohort = read_cohort(X, y, groups)
    model = without_intervals(model)
    folds = speaker_folds(cohort.y, cohort.speakers, n_splits, seed)
    tables = [
        pd.DataFrame(fold.scores, index=test, columns=fold.classes)
        for test, fold in tqdm(
            judged(model, cohort, folds, seed=seed), total=len(folds), desc=label, disable=not progress
        )
        if len(test)
    ]
    if not tables:
        raise ParameterError("no sample of X is usable; see vocalbio.errors(X)")
    # a class that a fold did not hear of in training has probability 0 there
    result = pd.concat(tables).fillna(0.0).reindex(range(len(cohort)))
    result.index = cohort.index
    return result
