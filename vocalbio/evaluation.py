"""Evaluation: every recording judged by a model that never heard its speaker."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.datasets import Sequences, check_disjoint, speaker_folds
from vocalbio.errors import ParameterError
from vocalbio.extract.table import is_feature
from vocalbio.risk.inputs import align, read_inputs

__all__ = ["out_of_fold"]


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
        Cloned for each fold; a `RiskModel` without its intervals, which nobody sees here. Whatever it is, it gets
        the feature columns of usable samples only. Speakers are handed on where ``fit`` takes ``groups``.
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
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
    from tqdm.auto import tqdm

    if not hasattr(model, "predict_proba"):
        raise ParameterError(
            f"{type(model).__name__} has no predict_proba; expected a classifier that gives probabilities, "
            "such as one wrapped in CalibratedClassifierCV"
        )
    usable = read_inputs(X, isinstance(X, Sequences)).usable
    y, groups = align(y, X, len(usable), "y"), align(groups, X, len(usable), "groups")
    if isinstance(X, Sequences):
        index = pd.Index(X.keys)
    elif isinstance(X, pd.DataFrame):
        index, X = X.index, X[[column for column in X.columns if is_feature(column)]]
    else:
        X = np.asarray(X)
        index = pd.RangeIndex(len(X))
    # a search over settings splits by speaker too, if its splitter can
    takes_groups = "groups" in inspect.signature(model.fit).parameters or isinstance(
        model, (GridSearchCV, RandomizedSearchCV)
    )
    if "interval_folds" in model.get_params():
        model = clone(model).set_params(interval_folds=0)

    folds = []
    for train, test in tqdm(speaker_folds(y, groups, n_splits, seed), desc=label, disable=not progress):
        train, test = train[usable[train]], test[usable[test]]
        check_disjoint(groups[train], groups[test])
        if not len(test):
            continue
        speakers = {"groups": groups[train]} if takes_groups else {}
        fitted = clone(model).fit(_choose(X, train), y[train], **speakers)
        found = fitted.predict_proba(_choose(X, test))
        folds.append(pd.DataFrame(found, index=test, columns=fitted.classes_))
    if not folds:
        raise ParameterError("no sample of X is usable; see vocalbio.errors(X)")
    # a class that a fold did not hear of in training has probability 0 there
    result = pd.concat(folds).fillna(0.0).reindex(range(len(y)))
    result.index = index
    return result


def _choose(X: Any, rows: Any) -> Any:
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]
