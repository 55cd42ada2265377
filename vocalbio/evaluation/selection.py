"""The choice among candidates, made inside the training part by folds of its speakers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocalbio.datasets import speaker_folds
from vocalbio.errors import ParameterError, VocalbioError
from vocalbio.evaluation.cohort import choose_rows
from vocalbio.evaluation.models import fit_arguments, is_regression, is_search, predict_rows, strata
from vocalbio.metrics import auroc, ccc, uar

__all__ = ["INNER_FOLDS", "fit_chosen", "selection_rule"]

INNER_FOLDS = 5


def selection_rule(model: Any, regression: bool, n_classes: int) -> str | None:
    """How the choice is made, in words; None where there is none."""
    if isinstance(model, Mapping):
        metric = "CCC" if regression else "AUROC" if n_classes == 2 else "UAR"
        rule = f"the candidate with the highest {metric} of held-out rows; the first named, if equal"
    elif is_search(model):
        rule = f"{type(model).__name__}'s own scoring, the mean over folds"
    else:
        return None
    return (
        f"{rule}; by up to {INNER_FOLDS} speaker-disjoint folds of the training part alone, then refitted on all of it"
    )


def fit_chosen(model: Any, X: Any, y: NDArray[Any], speakers: NDArray[Any], seed: int) -> tuple[Any, dict[str, Any]]:
    """
    Fit a model, or the best of several.

    Parameters
    ----------
    model : estimator, search over settings, or dict of candidates
    X : table, array or Sequences
        The training part.
    y, speakers : numpy.ndarray
        Shape (n,).
    seed : int
        Of the inner folds.

    Returns
    -------
    fitted : estimator
    chosen : dict
        What was taken, and how every candidate did; empty if there was no choice.

    Raises
    ------
    ParameterError
        If a model cannot be fitted on this part.
    """
    from sklearn.base import clone

    if isinstance(model, Mapping):
        scores = {name: _inner_score(candidate, X, y, speakers, seed) for name, candidate in model.items()}
        best = max(scores, key=lambda name: -np.inf if np.isnan(scores[name]) else scores[name])
        fitted, _ = fit_chosen(model[best], X, y, speakers, seed)
        return fitted, {"chosen": best, "inner_scores": scores}
    if is_search(model):
        search = _fit_search(clone(model), X, y, speakers, seed)
        if np.isnan(search.best_score_):
            raise ParameterError(
                f"{type(search).__name__} could not score any candidate on held-out speakers; see the "
                "warnings, or set error_score='raise'"
            )
        return search, {"chosen": {k: str(v) for k, v in search.best_params_.items()},
                        "inner_scores": {"best": float(search.best_score_)}}  # fmt: skip
    return _fit(clone(model), X, y, speakers), {}


def _fit(model: Any, X: Any, y: NDArray[Any], speakers: NDArray[Any]) -> Any:
    if not len(y):
        raise ParameterError("the training part of a fold holds no usable row; see vocalbio.errors(X)")
    if not is_regression(model) and len(set(y.tolist())) < 2:
        raise ParameterError(
            f"the training part of a fold holds one class, {y.tolist()[0]!r}, from {len(set(speakers.tolist()))} "
            "speakers; two are needed: fewer folds, or more speakers of the rarer class"
        )
    try:
        return model.fit(X, y, **fit_arguments(model, speakers))
    except VocalbioError:
        raise
    except ValueError as error:  # bad input, in a dependency's words
        who = f"{len(y)} rows of {len(set(speakers.tolist()))} speakers"
        raise ParameterError(f"{type(model).__name__} cannot be fitted on {who}: {error}") from error


def _inner_folds(model: Any, y: NDArray[Any], speakers: NDArray[Any], n: int, seed: int) -> list[Any]:
    regression = is_regression(model)
    who = len(set(speakers.tolist()))
    if not regression:  # a fold more than a class has speakers could not be tested on it
        who = min(who, *(len(set(speakers[y == label].tolist())) for label in set(y.tolist())))
    if who < 2:
        raise ParameterError(
            "the training part of a fold has one speaker (of a class) only, so that no choice can be made by speakers; "
            "two or more are needed"
        )
    return speaker_folds(strata(y, regression, min(n, who)), speakers, min(n, who), seed)


def _inner_score(model: Any, X: Any, y: NDArray[Any], speakers: NDArray[Any], seed: int) -> float:
    folds = _inner_folds(model, y, speakers, INNER_FOLDS, seed)
    classes = sorted(set(y.tolist()))
    regression = is_regression(model)
    scores = np.zeros((len(y), 1 if regression else len(classes)))
    for train, test in folds:
        fitted, _ = fit_chosen(model, choose_rows(X, train), y[train], speakers[train], seed)
        found = predict_rows(fitted, choose_rows(X, test))
        columns = [0] if regression else [classes.index(label) for label in found.classes]
        scores[np.ix_(test, columns)] = found.scores
    if regression:
        return ccc(y.astype(float), scores[:, 0])
    if len(classes) == 2:
        return auroc(y == classes[1], scores[:, 1])
    return uar([classes.index(label) for label in y.tolist()], scores.argmax(axis=1))


def _fit_search(search: Any, X: Any, y: NDArray[Any], speakers: NDArray[Any], seed: int) -> Any:
    """Fit a search whose folds are of speakers; its estimator gets them too where it can use them."""
    from sklearn import config_context
    from sklearn.model_selection import (
        GroupKFold,
        GroupShuffleSplit,
        LeaveOneGroupOut,
        LeavePGroupsOut,
        StratifiedGroupKFold,
    )

    by_speaker = (GroupKFold, GroupShuffleSplit, LeaveOneGroupOut, LeavePGroupsOut, StratifiedGroupKFold)
    if isinstance(search.cv, by_speaker):
        folds = list(search.cv.split(np.zeros(len(y)), y, speakers))
    else:
        n_splits = search.cv if isinstance(search.cv, int) else INNER_FOLDS
        folds = _inner_folds(search.estimator, y, speakers, n_splits, seed)
    search.set_params(cv=folds)
    if fit_arguments(search.estimator, speakers):
        inner = search.estimator.steps[-1][1] if hasattr(search.estimator, "steps") else search.estimator
        with config_context(enable_metadata_routing=True):
            inner.set_fit_request(groups=True)
            return search.fit(X, y, groups=speakers)
    return _fit(search, X, y, speakers)
