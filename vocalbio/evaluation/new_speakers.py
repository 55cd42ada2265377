"""New speakers: a model that is fitted already, judged on people whom it never heard."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.errors import LeakageError, ParameterError, VocalbioWarning
from vocalbio.evaluation.assembly import assemble, choose_attributes, join_person, tabulate
from vocalbio.evaluation.baselines import constant_baselines, trained_baselines
from vocalbio.evaluation.cohort import Cohort, choose_rows, read_cohort
from vocalbio.evaluation.models import is_regression, predict_rows
from vocalbio.evaluation.questions import check_threshold, model_name, read_level, read_settings, read_task
from vocalbio.evaluation.result import Evaluation
from vocalbio.evaluation.scores import Task
from vocalbio.risk.cohort import speaker_keys

__all__ = ["evaluate"]

NOT_TRAINED = "there is no training part here to learn it from; cross_validate has it"


def evaluate(
    model: Any,
    X: Any,
    y: Any,
    *,
    groups: Any,
    person: pd.DataFrame | None = None,
    level: str | None = None,
    metrics: Sequence[str] | None = None,
    breakdown: Sequence[str] | Mapping[str, Any] | None = None,
    threshold: float | None = None,
    n_resamples: int = 1000,
    interval_level: float = 0.95,
    progress: bool | None = None,
) -> Evaluation:
    """
    Judge a fitted model on new speakers.

    Parameters
    ----------
    model : fitted RiskModel or scikit-learn estimator
        Is not fitted again.
    X, y, groups, person, level, metrics, breakdown, threshold, n_resamples, interval_level, progress
        As for `cross_validate`. A threshold chosen on these speakers would flatter: state it beforehand.

    Returns
    -------
    Evaluation
        Beside the model stand the baselines that need no training.

    Raises
    ------
    LeakageError
        If the model remembers its training speakers and one of them is here.
    ParameterError
        If the model is not fitted, or arguments do not fit together.

    Notes
    -----
    A `RiskModel` remembers its training speakers, as hashes. Others do not, and the result then says
    "speaker-disjoint: unknown".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import evaluate
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0, 1], 24)
    >>> X = rng.normal(size=(48, 3)) + 2 * y[:, None]
    >>> model = LogisticRegression().fit(X[:24], y[:24])
    >>> result = evaluate(model, X[24:], y[24:], groups=np.repeat(np.arange(6), 4), n_resamples=100)
    >>> result.settings["speaker_disjoint"][:7]
    'unknown'
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    cohort = read_cohort(X, y, groups)
    settings = read_settings((0,), n_resamples, interval_level)
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError) as error:
        raise ParameterError(f"evaluate takes a fitted model; cross_validate fits by itself ({error})") from error
    disjoint = _check_speakers(model, cohort)
    task = _task(model, cohort)
    task.metrics(metrics)
    check_threshold(threshold, task)
    person = None if person is None else join_person(person, X, cohort)
    rows = np.flatnonzero(cohort.usable)
    if not len(rows):
        raise ParameterError("no row of X is usable; see vocalbio.errors(X)")
    name = model_name(model)
    answers = {name: predict_rows(model, choose_rows(cohort.X, rows), threshold)}
    for title, fold in constant_baselines(task, cohort.y[rows]).items():
        answers[title] = replace(fold, scores=fold.scores * len(rows))
    return assemble(
        pd.concat(
            [tabulate(cohort, task, fold, rows, system=system, seed=0, fold=0) for system, fold in answers.items()],
            ignore_index=True,
        ),
        cohort,
        task,
        model=name,
        title=f"Evaluation of {name} on new speakers",
        levels_found=read_level(level, cohort, rows),
        metrics=metrics,
        not_made={baseline.name: NOT_TRAINED for baseline in trained_baselines(task, cohort, person, None)},
        attributes=choose_attributes(breakdown, person, cohort),
        bins=breakdown if isinstance(breakdown, Mapping) else {},
        chosen=pd.DataFrame(columns=["system", "seed", "fold", "chosen", "inner_scores"]),
        settings=settings | {
            "split": "none: the model was fitted before", "same_audio": "not known: the training audio is not here",
            "speaker_disjoint": disjoint, "selection": None,
            "threshold": answers[name].threshold,
        },
        progress=progress,
    )  # fmt: skip


def _task(model: Any, cohort: Cohort) -> Task:
    """The classes of training: here one of them may be absent."""
    if is_regression(model) or not hasattr(model, "classes_"):
        return read_task(model, cohort)
    classes = tuple(np.asarray(model.classes_).tolist())
    strange = [label for label in dict.fromkeys(cohort.y[cohort.usable].tolist()) if label not in classes]
    if strange:
        raise ParameterError(f"y holds {strange[0]!r}, which the model was not trained on: {list(classes)}")
    return Task("binary" if len(classes) == 2 else "multiclass", classes)


def _check_speakers(model: Any, cohort: Cohort) -> str:
    inner = getattr(model, "best_estimator_", model)
    inner = inner.steps[-1][1] if hasattr(inner, "steps") else inner
    trained = getattr(inner, "manifest_", {}).get("training", {}).get("speakers")
    if not trained:
        return "unknown: the model does not remember its training speakers"
    if cohort.row_is_person:
        return "unknown: the speakers of these rows were not given"
    speakers = dict.fromkeys(map(str, cohort.speakers))
    shared = [who for who in speakers if speaker_keys([who])[0] in trained]
    if shared:
        raise LeakageError(
            f"the model was trained on {', '.join(shared[:5])}{', …' if len(shared) > 5 else ''} (speakers: "
            f"{len(shared)} of {len(speakers)}). Leave them out, or use cross_validate"
        )
    if all(who.isdigit() for who in speakers):
        warnings.warn(
            "speakers are told apart by name, and these are plain numbers: the same number may be another person in "
            "another corpus, and the same person another number",
            VocalbioWarning,
            stacklevel=3,
        )
    return f"checked: none of the {len(trained)} training speakers has the name of one of these"
