# NOTICE (lead, 06:21): helper-3 ("networks, Sequences, splits, RiskModel") owns networks/, risk/, datasets/, evaluation.py and their tests,
# and is writing them now: its files win. The helper with the task "tests of risk, networks, sequences": stop, delete what you
# made, report at once. helper-3: replace this file as you planned; keep the tf.function training loop of risk/training.py (16x
# faster than model.fit on small cohorts), class_weight=None|"balanced", and finish within 15 minutes.
"""Evaluation: every recording judged by a model that never heard its speaker."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.datasets import Sequences, check_disjoint, speaker_folds
from vocalbio.errors import ParameterError
from vocalbio.extract.table import QUALITY_PREFIX, is_feature

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
        Cloned for each fold. Anything but a `RiskModel` gets the feature columns only.
    X : pandas.DataFrame or Sequences
        One sample a recording.
    y, groups : array_like
        Label and speaker of each sample.
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
        Class probabilities, one column a class, one row a sample (index of `X`, or keys of sequences); NaN where a
        recording could not be used.

    Raises
    ------
    LeakageError
        If a fold shares a speaker.
    ParameterError
        If lengths differ.

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
    from tqdm.auto import tqdm

    y, groups = np.asarray(y), np.asarray(groups)
    if not len(X) == len(y) == len(groups):
        raise ParameterError(f"X, y and groups have {len(X)}, {len(y)} and {len(groups)} samples; expected the same")
    takes_groups = "groups" in inspect.signature(model.fit).parameters
    usable = np.ones(len(y), bool)
    if isinstance(X, Sequences):
        index: Any = X.keys
        usable = np.array([len(values) > 0 for values in X.values])
    else:
        index = X.index
        features = X[[column for column in X.columns if is_feature(column)]]
        usable = ~features.isna().all(axis=1).to_numpy()
        if QUALITY_PREFIX + "ok" in X:
            usable &= X[QUALITY_PREFIX + "ok"].to_numpy() != 0
        if not takes_groups:
            X = features
    classes = np.unique(y)
    result = pd.DataFrame(np.nan, index=index, columns=classes)
    for train, test in tqdm(speaker_folds(y, groups, n_splits, seed), desc=label, disable=not progress):
        train, test = train[usable[train]], test[usable[test]]
        check_disjoint(groups[train], groups[test])
        if not len(test):
            continue
        fitted = clone(model)
        if takes_groups:
            fitted.fit(_choose(X, train), y[train], groups=groups[train])
        else:
            fitted.fit(_choose(X, train), y[train])
        columns = [result.columns.get_loc(name) for name in fitted.classes_]
        result.iloc[test, columns] = fitted.predict_proba(_choose(X, test))
    return result


def _choose(X: Any, rows: Any) -> Any:
    return X[rows] if isinstance(X, Sequences) else X.iloc[rows]
