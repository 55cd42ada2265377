"""Questions: what is asked of which model, of whom, and by which folds."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.conditions import CONDITIONS
from vocalbio.datasets import speaker_folds
from vocalbio.datasets.splits import checked_folds, official_folds
from vocalbio.errors import ParameterError
from vocalbio.evaluation.cohort import Cohort, join
from vocalbio.evaluation.models import is_regression, strata
from vocalbio.evaluation.scores import Task, levels_of

__all__ = [
    "bar",
    "check_threshold",
    "make_folds",
    "model_name",
    "read_candidates",
    "read_level",
    "read_settings",
    "read_task",
]


def read_candidates(model: Any) -> Any:
    """A list of candidates as a dict, by name."""
    if isinstance(model, (list, tuple)):
        names = [type(candidate).__name__ for candidate in model]
        model = {
            name if names.count(name) == 1 else f"{place + 1}: {name}": candidate
            for place, (name, candidate) in enumerate(zip(names, model, strict=True))
        }
    candidates = list(model.values()) if isinstance(model, Mapping) else [model]
    if not candidates:
        raise ParameterError("model holds no candidate; expected at least one estimator")
    for candidate in candidates:
        if isinstance(candidate, type) or not hasattr(candidate, "fit") or not hasattr(candidate, "get_params"):
            raise ParameterError(
                f"model is {candidate!r}; expected an estimator like scikit-learn's, with fit and get_params"
            )
    if len({is_regression(candidate) for candidate in candidates}) > 1:
        raise ParameterError("model mixes classifiers and regressors; expected candidates for one question")
    return model


def read_task(model: Any, cohort: Cohort) -> Task:
    """What kind of answer is asked for, and the classes in their order."""
    y = cohort.y[cohort.usable]
    if is_regression(model):
        try:
            y.astype(float)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"y holds {y[0]!r}, and {model_name(model)} has neither predict_proba nor decision_function: expected "
                "numbers for a regressor, or a classifier"
            ) from error
        return Task("regression")
    try:
        classes = sorted(set(y.tolist()))
    except TypeError as error:
        raise ParameterError(f"y mixes kinds of labels ({error}); expected all strings or all numbers") from error
    if len(classes) < 2:
        raise ParameterError(f"y holds {len(classes)} class among usable rows; expected at least two")
    if all(isinstance(name, float) for name in classes) and any(name != round(name) for name in classes):
        raise ParameterError(f"y holds {classes[0]!r}: expected classes for a classifier, not a continuous value")
    ordered = getattr(_condition(model), "classes", None)
    if ordered and set(classes) <= set(ordered):
        classes = list(ordered)
    return Task("binary" if len(classes) == 2 else "multiclass", tuple(classes))


def _condition(model: Any) -> Any:
    model = next(iter(model.values())) if isinstance(model, Mapping) else model
    return CONDITIONS.get(str(getattr(model, "condition", "")))


def read_level(level: str | None, cohort: Cohort, rows: NDArray[Any]) -> tuple[str, list[str], dict[str, str]]:
    """
    Tell at which levels these rows can be scored.

    Returns
    -------
    level : str
        The one asked for, or the coarsest.
    levels : list of str
    reasons : dict of str to str
        Why another one has none.

    Raises
    ------
    ParameterError
        If the one asked for is not among them.
    """
    names = {"speaker": cohort.speakers[rows].astype(str), "recording": cohort.recordings[rows], "y": cohort.y[rows]}
    levels, reasons = levels_of(pd.DataFrame(names))
    if level is not None and level not in levels:
        raise ParameterError(
            f"level is {level!r}; expected one of those at which this cohort has one label each: {', '.join(levels)}"
            + "".join(f"; none by {name}: {reason}" for name, reason in reasons.items())
        )
    return level or levels[-1], levels, reasons


def check_threshold(threshold: Any, task: Task) -> None:
    """Refuse a cut-off that is none, or that nothing is cut by."""
    if threshold is not None and (task.kind != "binary" or not isinstance(threshold, (int, float))):
        raise ParameterError(
            f"threshold is {threshold!r} for a {task.kind} task; expected a number, and two classes to tell apart"
        )


def make_folds(
    cv: Any, cohort: Cohort, task: Task, seeds: Sequence[int]
) -> tuple[dict[int, list[tuple[NDArray[np.intp], NDArray[np.intp]]]], str]:
    """
    Read `cv`: folds for each seed, and the split in words.

    Raises
    ------
    LeakageError
        If a fold shares a speaker.
    """
    speakers = cohort.speakers
    who = "row" if cohort.row_is_person else "speaker"
    n_speakers = len(set(speakers.tolist()))
    n_splits = int(cv) if isinstance(cv, (int, np.integer)) and cv > 0 else n_speakers
    balanced = strata(cohort.y, task.kind == "regression", n_splits)
    if cv is None:
        folds = speaker_folds(balanced, speakers)
        return dict.fromkeys(seeds, folds), f"leave one {who} out, {len(folds)} folds"
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        text = f"{cv} folds of {who}s ({n_speakers}), balanced for {'level' if not task.classes else 'class'}"
        text += ", dealt anew for each seed" if len(seeds) > 1 else ""
        return {seed: speaker_folds(balanced, speakers, int(cv), seed) for seed in seeds}, text
    if hasattr(cv, "split"):
        with warnings.catch_warnings():  # that a splitter has no use for speakers: they are checked below
            warnings.simplefilter("ignore", UserWarning)
            found = checked_folds(cv.split(np.zeros(len(cohort)), cohort.y, speakers), speakers)
        return dict.fromkeys(seeds, found), f"{type(cv).__name__}, {len(found)} folds, as given"
    if not isinstance(cv, (pd.Series, np.ndarray)):
        try:
            cv = list(cv)
        except TypeError as error:
            raise ParameterError(f"cv is {cv!r}; expected None, a number, a split or pairs of positions") from error
    if isinstance(cv, list) and (not cv or isinstance(cv[0], (tuple, list))):
        found = checked_folds(cv, speakers)
        return dict.fromkeys(seeds, found), f"{len(found)} folds, as given"
    found = official_folds(join(cv, pd.DataFrame(index=cohort.index), len(cohort), "cv", speakers), speakers)
    return dict.fromkeys(seeds, found), f"an official split, {len(found)} fold{'s' * (len(found) > 1)}"


def read_settings(seeds: Any, n_resamples: Any, interval_level: Any) -> dict[str, Any]:
    """Seeds and resampling, checked."""
    try:
        numbers = [int(seed) for seed in seeds]
    except (TypeError, ValueError) as error:
        raise ParameterError(f"seeds is {seeds!r}; expected whole numbers, such as (0, 1, 2)") from error
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise ParameterError(f"seeds is {seeds!r}; expected different whole numbers from 0 on")
    if not isinstance(n_resamples, (int, np.integer)) or n_resamples < 1:
        raise ParameterError(f"n_resamples is {n_resamples!r}; expected a whole number from 1 on, such as 1000")
    if not 0 < interval_level < 1:
        raise ParameterError(f"interval_level is {interval_level!r}; expected a fraction between 0 and 1, such as 0.95")
    return {"seeds": numbers, "interval": {"n_resamples": int(n_resamples), "level": float(interval_level),
                                           "method": "percentile bootstrap over speakers"}}  # fmt: skip


def model_name(model: Any) -> str:
    """What a model is called in tables."""
    if isinstance(model, Mapping):
        return f"the best of {len(model)} candidates"
    steps = getattr(model, "steps", None)
    return type(model).__name__ if not steps else f"{type(steps[-1][1]).__name__} (pipeline)"


def bar(progress: bool | None) -> bool:
    """Whether to show a bar."""
    return (sys.stderr.isatty() or "ipykernel" in sys.modules) if progress is None else progress
