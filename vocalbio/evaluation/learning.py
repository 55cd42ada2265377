"""Learning curve and permutation test: is there more to learn with more speakers, and is there anything to learn?"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.errors import ParameterError
from vocalbio.evaluation.assembly import tabulate
from vocalbio.evaluation.cohort import Cohort, read_cohort
from vocalbio.evaluation.held_out import judged
from vocalbio.evaluation.models import seeded
from vocalbio.evaluation.questions import bar, make_folds, read_candidates, read_level, read_task
from vocalbio.evaluation.scores import ERRORS, Bootstrap, Task, runs_at
from vocalbio.evaluation.store import Store
from vocalbio.evaluation.tables import measured

__all__ = ["learning_curve", "permutation_test"]


def learning_curve(
    model: Any,
    X: Any,
    y: Any,
    *,
    groups: Any,
    n_speakers: Sequence[int] = (4, 8, 12),
    repeats: int = 3,
    cv: Any = None,
    metric: str | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    interval_level: float = 0.95,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Train on few speakers, then on more, and judge the same others each time.

    Parameters
    ----------
    model, X, y, groups, cv, work_dir, n_resamples, interval_level, progress
        As for `cross_validate`.
    n_speakers : sequence of int
        Numbers of training speakers.
    repeats : int
        Draws of the training speakers in each fold; each also sets ``random_state``.
    metric : str, optional
        By default the AUROC of two classes, the UAR of more, the CCC of a regressor.

    Returns
    -------
    pandas.DataFrame
        Index n_speakers; columns estimate (mean over repeats), low, high (over the tested speakers), sd (over
        repeats), n_repeats. `vocalbio.figures.plot_intervals` draws it.

    Raises
    ------
    ParameterError
        If a fold has fewer training speakers than asked for, or no draw of them has every class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import learning_curve
    >>> rng = np.random.default_rng(0)
    >>> speakers, y = np.repeat(np.arange(12), 4), np.tile([0, 1], 24)
    >>> X = rng.normal(size=(48, 3)) + y[:, None]
    >>> curve = learning_curve(LogisticRegression(), X, y, groups=speakers, n_speakers=(2, 8), cv=4, n_resamples=100)
    >>> curve.index.tolist()
    [2, 8]
    """
    model, cohort, task, measure = _question(model, X, y, groups, metric)
    for name, numbers in (("n_speakers", n_speakers), ("repeats", [repeats])):
        if not all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers) or not len(numbers):
            raise ParameterError(f"{name} is {numbers!r}; expected whole numbers from 1 on")
    folds, _ = make_folds(cv, cohort, task, range(repeats))
    from tqdm.auto import tqdm

    store, lines = Store(work_dir), {}
    plans = [(number, repeat) for number in sorted(set(n_speakers)) for repeat in range(repeats)]
    answers: dict[int, list[pd.DataFrame]] = {}
    for number, repeat in tqdm(plans, desc="Learning curve", disable=not bar(progress)):
        rng = np.random.default_rng([repeat, number])
        small = [(_draw(cohort, task, train, number, rng), test) for train, test in folds[repeat]]
        answers.setdefault(number, []).append(_answers(model, cohort, task, small, repeat, store))
    for number, tables in answers.items():
        predictions = pd.concat(tables)
        level, _, _ = read_level(None, cohort, predictions["row"].unique())
        units, runs = runs_at(predictions, level, task)
        bootstrap = Bootstrap(units.index.get_level_values("speaker"), n_resamples, interval_level)
        truth = task.encode(units["y"])
        interval = bootstrap.interval(bootstrap.values(measure, truth, runs)[next(iter(measure))])
        each = [measured(next(iter(measure.values())), truth, run) for run in runs]
        lines[number] = {
            "estimate": interval.estimate, "low": interval.low, "high": interval.high,
            "sd": float(np.std(each, ddof=1)) if repeats > 1 else math.nan, "n_repeats": repeats,
        }  # fmt: skip
    table = pd.DataFrame.from_dict(lines, orient="index").astype({"n_repeats": int}).rename_axis("n_speakers")
    table.attrs["metric"] = next(iter(measure))
    return table


def permutation_test(
    model: Any,
    X: Any,
    y: Any,
    *,
    groups: Any,
    n_permutations: int = 20,
    cv: Any = None,
    metrics: Sequence[str] | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Train on labels that mean nothing: whatever is left above chance leaks from somewhere.

    In each fold the labels of the training part are shuffled: among speakers where each has one label, among recordings
    otherwise. The test labels stay. So the null shows what this model, split and cohort give without anything to learn.

    Parameters
    ----------
    model, X, y, groups, cv, work_dir, progress
        As for `cross_validate`.
    n_permutations : int
        Number of shuffles; the smallest p value is 1 / (1 + n_permutations).
    metrics : sequence of str, optional
        AUROC and UAR, or CCC, by default.

    Returns
    -------
    pandas.DataFrame
        Index metric; columns observed, null_mean, null_sd, chance (NaN where it depends on the cohort), p (share of
        shuffles that do as well as the model, by Phipson and Smyth's count). Its ``attrs["null"]`` holds every shuffle.

    Raises
    ------
    ParameterError
        As `cross_validate`.

    References
    ----------
    Ojala M, Garriga GC. Permutation tests for studying classifier performance. J Mach Learn Res 2010;11:1833-1863.

    Phipson B, Smyth GK. Permutation P-values should never be zero. Stat Appl Genet Mol Biol 2010;9:39.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import permutation_test
    >>> rng = np.random.default_rng(0)
    >>> speakers, y = np.repeat(np.arange(12), 4), np.tile([0, 1], 24)
    >>> X = rng.normal(size=(48, 3)) + 2 * y[:, None]
    >>> found = permutation_test(LogisticRegression(), X, y, groups=speakers, cv=4, n_permutations=19)
    >>> float(found.loc["auroc", "p"])
    0.05
    """
    model, cohort, task, measures = _question(model, X, y, groups, metrics)
    if not isinstance(n_permutations, (int, np.integer)) or n_permutations < 2:
        raise ParameterError(f"n_permutations is {n_permutations!r}; expected a whole number from 2 on")
    folds, _ = make_folds(cv, cohort, task, [0])
    from tqdm.auto import tqdm

    store, found = Store(work_dir), []
    for number in tqdm(range(n_permutations + 1), desc="Permutations", disable=not bar(progress)):
        tables = []
        for place, (train, test) in enumerate(folds[0]):
            labels = cohort.y.copy()
            if number:
                labels[train] = _shuffled(cohort, train, np.random.default_rng([number, place]))
            told = Cohort(**{**vars(cohort), "y": labels})
            tables.append(_answers(model, told, task, [(train, test)], 0, store))
        predictions = pd.concat(tables)
        level, _, _ = read_level(None, cohort, predictions["row"].to_numpy())
        units, runs = runs_at(predictions, level, task)
        truth = task.encode(units["y"])
        found.append({name: measured(measure, truth, runs[0]) for name, measure in measures.items()})
    observed, null = pd.Series(found[0]), pd.DataFrame(found[1:])
    better = pd.DataFrame({name: null[name] <= value if name in ERRORS else null[name] >= value
                           for name, value in observed.items()})  # fmt: skip
    chance = {"uar": 1 / max(1, len(task.classes)), "auroc": 0.5, "ccc": 0.0}
    table = pd.DataFrame(
        {
            "observed": observed, "null_mean": null.mean(), "null_sd": null.std(ddof=1),
            "chance": pd.Series({name: chance.get(name, math.nan) for name in measures}),
            "p": (1 + better.sum()) / (1 + n_permutations),
        }
    ).rename_axis("metric")  # fmt: skip
    table.attrs["null"] = {name: values.tolist() for name, values in null.items()}
    return table


def _question(model: Any, X: Any, y: Any, groups: Any, metrics: Any) -> tuple[Any, Cohort, Task, dict[str, Any]]:
    model = read_candidates(model)
    cohort = read_cohort(X, y, groups)
    task = read_task(model, cohort)
    usual = {"binary": ["auroc", "uar"], "multiclass": ["uar", "auroc"], "regression": ["ccc"]}[task.kind]
    if isinstance(metrics, str):
        return model, cohort, task, task.metrics([metrics])
    return model, cohort, task, task.metrics(metrics or usual)


def _answers(model: Any, cohort: Cohort, task: Task, folds: list[Any], seed: int, store: Store) -> pd.DataFrame:
    tables = [
        tabulate(cohort, task, fold, rows, system="model", seed=seed, fold=number)
        for number, (rows, fold) in enumerate(judged(seeded(model, seed), cohort, folds, seed=seed, store=store))
        if len(rows)
    ]
    return pd.concat(tables)


def _draw(cohort: Cohort, task: Task, train: NDArray[Any], number: int, rng: np.random.Generator) -> NDArray[Any]:
    """Rows of some training speakers, who have every class among them."""
    train = train[cohort.usable[train]]
    speakers = np.array(list(dict.fromkeys(cohort.speakers[train].tolist())), dtype=cohort.speakers.dtype)
    if number > len(speakers):
        raise ParameterError(
            f"n_speakers asks for {number}, and a fold has {len(speakers)} usable speakers to train on; ask for fewer"
        )
    wanted = set(cohort.y[train].tolist())
    for _ in range(100):
        rows = train[np.isin(cohort.speakers[train], rng.choice(speakers, number, replace=False))]
        if task.kind == "regression" or set(cohort.y[rows].tolist()) == wanted:
            return rows
    raise ParameterError(f"n_speakers asks for {number}, and 100 draws of so many never had every class; ask for more")


def _shuffled(cohort: Cohort, train: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """The labels of these rows, dealt anew among speakers, recordings or windows: the coarsest that have one each."""
    y = cohort.y[train]
    speaker, _ = pd.factorize(cohort.speakers[train])
    recording = (
        pd.DataFrame({"speaker": speaker, "name": cohort.recordings[train]}).groupby(["speaker", "name"]).ngroup()
    )
    for unit in (speaker, recording.to_numpy()):
        first = pd.Series(y).groupby(unit).first()
        if (pd.Series(y).groupby(unit).nunique() == 1).all():
            return first.loc[rng.permutation(first.index)].to_numpy()[unit]
    return rng.permutation(y)
