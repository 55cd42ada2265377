"""Models as evaluation sees them: any estimator of scikit-learn's kind, fitted on some rows and asked about others."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.errors import ParameterError

__all__ = [
    "Fold",
    "describe_model",
    "fit_arguments",
    "is_regression",
    "is_search",
    "predict_rows",
    "seeded",
    "strata",
    "without_intervals",
]


@dataclass(frozen=True)
class Fold:
    """
    What one fitted model says of rows.

    Attributes
    ----------
    scores : list of list of float
        A row of scores each: one a class, or one value for a regressor.
    kind : {"probability", "decision", "value"}
    classes : list
        Of the columns; empty for a regressor.
    threshold : float
        Cut-off of two classes, for a score of the second.
    chosen : dict
        Which candidate was taken, if there was a choice; empty otherwise.
    """

    scores: list[list[float]]
    kind: str
    classes: list[Any]
    threshold: float
    chosen: dict[str, Any]


def is_search(model: Any) -> bool:
    """Tell a search over settings, such as GridSearchCV."""
    from sklearn.model_selection._search import BaseSearchCV

    return isinstance(model, BaseSearchCV)


def is_regression(model: Any) -> bool:
    """Tell a regressor by what it answers: values, neither probabilities nor a decision function."""
    if isinstance(model, Mapping):
        model = next(iter(model.values()))
    return not hasattr(model, "predict_proba") and not hasattr(model, "decision_function")


def seeded(model: Any, seed: int) -> Any:
    """A fresh copy with every ``random_state`` set, and without intervals that nobody sees."""
    if isinstance(model, Mapping):
        return {name: seeded(candidate, seed) for name, candidate in model.items()}
    copy = without_intervals(model)
    return copy.set_params(**{name: seed for name in copy.get_params() if name.rsplit("__", 1)[-1] == "random_state"})


def without_intervals(model: Any) -> Any:
    """A fresh copy that makes no intervals, which cost fits of their own, where these change no prediction."""
    from sklearn.base import clone

    copy = clone(model)
    settings = copy.get_params()
    for name in [name for name in settings if name.rsplit("__", 1)[-1] == "interval_folds"]:
        owner = name.removesuffix("interval_folds")  # calibration and a rule for the threshold need the same folds
        rule = settings.get(f"{owner}threshold")
        if settings.get(f"{owner}calibration") is None and not isinstance(rule, (str, tuple)):
            copy.set_params(**{name: 0})
    return copy


def describe_model(model: Any) -> dict[str, Any]:
    """Type and parameters, as plain text: the same for equal settings."""
    if isinstance(model, Mapping):
        return {name: describe_model(candidate) for name, candidate in model.items()}
    settings = {name: re.sub(r" at 0x\w+", "", repr(value)) for name, value in sorted(model.get_params().items())}
    return {"type": f"{type(model).__module__}.{type(model).__qualname__}", **settings}


def strata(y: NDArray[Any], regression: bool, n_splits: int = 1) -> NDArray[Any]:
    """What folds are balanced for: classes, or quarters of a value (halves, or nothing, where there are few rows)."""
    if not regression:
        return y
    n_parts = max(1, min(4, len(y) // n_splits))
    return np.ceil(pd.Series(y.astype(float)).rank(method="dense", pct=True).to_numpy() * n_parts).astype(int)


def fit_arguments(model: Any, speakers: NDArray[Any]) -> dict[str, Any]:
    """Speakers, under the name by which the model's fit takes them, if it does."""
    steps = getattr(model, "steps", None)
    if steps and "groups" in inspect.signature(steps[-1][1].fit).parameters:
        return {f"{steps[-1][0]}__groups": speakers}
    return {"groups": speakers} if "groups" in inspect.signature(model.fit).parameters else {}


def predict_rows(fitted: Any, X: Any, threshold: float | None = None) -> Fold:
    """
    Ask a fitted model.

    Parameters
    ----------
    fitted : estimator
    X : table, array or Sequences
    threshold : float, optional
        None: the model's own ``threshold_``, or else 0.5 for probabilities and 0 for a decision function.

    Returns
    -------
    Fold
    """
    classes = [getattr(name, "item", lambda name=name: name)() for name in getattr(fitted, "classes_", [])]
    if hasattr(fitted, "predict_proba"):
        kind, scores = "probability", np.asarray(fitted.predict_proba(X), float)
    elif hasattr(fitted, "decision_function"):
        kind, scores = "decision", np.asarray(fitted.decision_function(X), float)
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
        if scores.shape[1] != len(classes):
            raise ParameterError(
                f"{type(fitted).__name__} has {scores.shape[1]} decision values for {len(classes)} classes; expected "
                "one a class: decision_function_shape='ovr'"
            )
    else:
        kind, scores, classes = "value", np.asarray(fitted.predict(X), float).reshape(len(X), -1), []
    if kind == "value" and scores.shape[1] != 1:
        raise ParameterError(f"{type(fitted).__name__} predicts {scores.shape[1]} values a row; expected one")
    if not np.isfinite(scores).all():
        n_missing = int((~np.isfinite(scores)).any(axis=1).sum())
        raise ParameterError(f"{type(fitted).__name__} gave no number for {n_missing} of {len(scores)} usable rows")
    if threshold is None:
        inner = getattr(fitted, "best_estimator_", fitted)
        inner = inner.steps[-1][1] if hasattr(inner, "steps") else inner
        own = getattr(inner, "threshold_", None)
        threshold = float(own) if own is not None and len(classes) == 2 else 0.5 if kind == "probability" else 0.0
    return Fold(scores.tolist(), kind, classes, threshold, {})
