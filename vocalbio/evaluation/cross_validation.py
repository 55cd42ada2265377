"""Cross-validation: models refitted on some speakers and judged on others, beside what is trivial."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.errors import ParameterError
from vocalbio.evaluation.assembly import assemble, choose_attributes, join_person, tabulate
from vocalbio.evaluation.baselines import Baseline, constant_baselines, trained_baselines
from vocalbio.evaluation.cohort import Cohort, add_copies, read_cohort
from vocalbio.evaluation.held_out import judged
from vocalbio.evaluation.models import seeded
from vocalbio.evaluation.questions import (
    bar,
    check_threshold,
    make_folds,
    model_name,
    read_candidates,
    read_level,
    read_settings,
    read_task,
)
from vocalbio.evaluation.result import Evaluation
from vocalbio.evaluation.scores import Task
from vocalbio.evaluation.selection import selection_rule
from vocalbio.evaluation.store import Store
from vocalbio.evaluation.twins import check_twins, contents

__all__ = ["cross_validate"]


def cross_validate(
    model: Any,
    X: Any,
    y: Any,
    *,
    groups: Any,
    cv: Any = None,
    seeds: Sequence[int] = (0,),
    baselines: bool | Mapping[str, Any] = True,
    person: pd.DataFrame | None = None,
    level: str | None = None,
    metrics: Sequence[str] | None = None,
    breakdown: Sequence[str] | Mapping[str, Any] | None = None,
    threshold: float | None = None,
    check_audio: bool = True,
    augmented: tuple[pd.DataFrame, Any] | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    interval_level: float = 0.95,
    progress: bool | None = None,
) -> Evaluation:
    """
    Refit a model on some speakers, judge it on the others, and set it beside what is trivial.

    Parameters
    ----------
    model : RiskModel, scikit-learn estimator, search over settings, or list or dict of candidates
        Cloned for each fold. Of a GridSearchCV, a RandomizedSearchCV or several candidates one is chosen in each fold,
        by speaker-disjoint folds of its training part alone.
    X : pandas.DataFrame, array_like of shape (n_rows, n_features), or Sequences
        Recordings, or windows of them. Quality columns are no inputs; unusable rows are in no number.
    y : array_like or pandas.Series
        Classes, or values for a regressor; a Series is joined by row, by file or key, or by speaker. Of two classes the
        second in sorting order (True, 1) is the positive one.
    groups : array_like, pandas.Series or "row"
        Speaker of each row; ``"row"`` says that each row is a person of its own.
    cv : None, int, array_like, splitter or iterable of (train, test)
        None: leave one speaker out. A number: so many folds of speakers, balanced for class. One value a row: an
        official split, see `vocalbio.datasets.splits.official_folds`. Also a splitter of scikit-learn, or pairs of
        row positions.
    seeds : sequence of int
        Each sets every ``random_state`` of the model and, where `cv` is a number, deals the speakers anew.
    baselines : bool or mapping of str to estimator
        Have majority, always positive, sex and age, loudness, duration, and linear models on eGeMAPS in the table; a
        mapping adds estimators of your own on all features.
    person : pandas.DataFrame, optional
        Sex, age, device and the like, one line a row, file or speaker: the columns ``sex`` and ``age`` make a baseline,
        all may serve `breakdown`.
    level : {"window", "recording", "speaker"}, optional
        What is reported first; by default the coarsest at which each has one label. Every level is scored.
    metrics : sequence of str, optional
        All that fit by default.
    breakdown : sequence of str, or mapping of str to sequence of float, optional
        Columns of `person` or quality columns (``"snr_db"``) by which the model is reported; a mapping gives limits
        of bins. By default sex, age and device where `person` has them, SNR and duration where `X` has. Numbers
        are cut into thirds. An empty list: none.
    threshold : float, optional
        Cut-off of two classes, stated beforehand. None: each fitted model's own ``threshold_``, or else 0.5.
    check_audio : bool
        Refuse a split that has the same audio in training and test under two names: equal features bit for bit,
        or, where the index names files, equal samples.
    augmented : (pandas.DataFrame, array_like of int), optional
        Features of augmented copies, and the row of `X` that each is a copy of (`vocalbio.augment.copies`). In each
        fold the model, and baselines of your own, are fitted on the copies of the training rows as well; nobody is
        tested on a copy, and no copy of a tested speaker is trained on.
    work_dir : path-like, optional
        Keeps every finished fold, so that a second call goes on where the first one stopped.
    n_resamples : int
        Draws of speakers for the intervals.
    interval_level : float
        Between 0 and 1.
    progress : bool, optional
        Show a bar; None: on a terminal or in a notebook.

    Returns
    -------
    Evaluation

    Raises
    ------
    LeakageError
        If a fold shares a speaker, the same audio under two names, or a copy that is not of the row it names.
    ParameterError
        If arguments do not fit together; the text says how.

    References
    ----------
    Varoquaux G, Cheplygina V. Machine learning for medical imaging: methodological failures and recommendations for
    the future. NPJ Digit Med 2022;5:48. doi:10.1038/s41746-022-00592-y

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import cross_validate
    >>> rng = np.random.default_rng(0)
    >>> speakers, y = np.repeat(np.arange(12), 4), np.tile([0, 1], 24)
    >>> X = rng.normal(size=(48, 3)) + 2 * y[:, None]
    >>> result = cross_validate(LogisticRegression(), X, y, groups=speakers, cv=4, n_resamples=100)
    >>> result.interval("auroc").estimate > 0.9
    True
    """
    from tqdm.auto import tqdm

    model = read_candidates(model)
    cohort = read_cohort(X, y, groups)
    cohort = cohort if augmented is None else add_copies(cohort, augmented)
    task = read_task(model, cohort)
    settings = read_settings(seeds, n_resamples, interval_level)
    person = None if person is None else join_person(person, X, cohort)
    task.metrics(metrics)  # refused before anything is fitted, as all below
    check_threshold(threshold, task)
    attributes = choose_attributes(breakdown, person, cohort)
    folds, split = make_folds(cv, cohort, task, settings["seeds"])
    tested = np.sort(np.concatenate([test[cohort.usable[test]] for _, test in folds[settings["seeds"][0]]]))
    if not len(tested):
        raise ParameterError("no row that is tested is usable; see vocalbio.errors(X)")
    levels_found = read_level(level, cohort, tested)
    same_audio = "not checked"
    if check_audio:
        hashes, looked_at = contents(cohort, bar(progress))
        for part in folds.values():
            check_twins(cohort, hashes, part)
        same_audio = f"none across training and test ({looked_at})"

    name = model_name(model)
    systems = [Baseline(name, model, cohort)]
    if baselines:
        own = baselines if isinstance(baselines, Mapping) else {}
        read_candidates([model, *own.values()] if own else model)
        systems += trained_baselines(task, cohort, person, own)
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        twice = next(other for other in names if names.count(other) > 1)
        raise ParameterError(f"two systems are called {twice!r}; give the entry of baselines another name")
    dealt = len(settings["seeds"]) > 1 and isinstance(cv, (int, np.integer))
    # unless speakers are dealt anew, our linear baselines are the same for every seed
    plans = [
        (system.name, system.model, system.cohort, seed)
        for system in systems
        for seed in settings["seeds"]
        if system.cohort is not None and (system.cohort is cohort or dealt or seed == settings["seeds"][0])
    ]
    predictions, chosen = [], []
    store = Store(work_dir)
    with tqdm(total=sum(len(folds[plan[-1]]) for plan in plans), unit="fold", disable=not bar(progress)) as shown:
        for title, estimator, seen, seed in plans:
            shown.set_description(f"{title}, seed {seed}")
            found = judged(seeded(estimator, seed), seen, folds[seed], seed=seed, threshold=threshold, store=store)
            for number, (rows, fold) in enumerate(found):
                shown.update()
                if len(rows):
                    predictions.append(tabulate(cohort, task, fold, rows, system=title, seed=seed, fold=number))
                if fold.chosen:
                    chosen.append({"system": title, "seed": seed, "fold": number, **fold.chosen})
    if baselines:
        n_own = sum(part["system"].iloc[0] == name for part in predictions)
        predictions[n_own:n_own] = _constants(task, cohort, tested)
    return assemble(
        pd.concat(predictions, ignore_index=True),
        cohort,
        task,
        model=name,
        title=f"Cross-validation of {name}",
        levels_found=levels_found,
        metrics=metrics,
        not_made={system.name: system.reason for system in systems if system.model is None},
        attributes=attributes,
        bins=breakdown if isinstance(breakdown, Mapping) else {},
        chosen=pd.DataFrame(chosen, columns=["system", "seed", "fold", "chosen", "inner_scores"]),
        settings=settings | {
            "split": split, "same_audio": same_audio, "speaker_disjoint": _disjoint(cohort),
            "threshold": "each model's own, or else 0.5" if threshold is None else threshold,
            "n_copies": 0 if cohort.copies is None else len(cohort.copies[1]),
            "selection": selection_rule(model, task.kind == "regression", len(task.classes)),
        },
        progress=progress,
    )  # fmt: skip


def _constants(task: Task, cohort: Cohort, rows: NDArray[Any]) -> list[pd.DataFrame]:
    return [
        tabulate(cohort, task, replace(fold, scores=fold.scores * len(rows)), rows, system=name, seed=0, fold=0)
        for name, fold in constant_baselines(task, cohort.y[rows]).items()
    ]


def _disjoint(cohort: Cohort) -> str:
    if cohort.row_is_person:
        return "each row was said to be a person of its own, which cannot be checked"
    return "checked in every fold"
