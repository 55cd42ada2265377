"""Scores: from predictions of rows to recordings and speakers, and to metrics with intervals over speakers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio import metrics
from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.metrics import Interval

__all__ = ["ERRORS", "HEADLINES", "LEVELS", "Bootstrap", "Run", "Task", "at_level", "levels_of", "runs_at"]

LEVELS = ("window", "recording", "speaker")
ERRORS = ("brier", "ece", "mae", "rmse")
HEADLINES = {
    "binary": ("auroc", "auprc", "uar", "brier", "ece"),
    "multiclass": ("uar", "auroc", "brier", "ece"),
    "regression": ("ccc", "mae", "rmse"),
}
_KEYS = {"window": ["speaker", "recording", "row"], "recording": ["speaker", "recording"], "speaker": ["speaker"]}


@dataclass(frozen=True)
class Run:
    """
    What one system said with one seed, at one level.

    Attributes
    ----------
    scores : numpy.ndarray
        Shape (n, k), one column a class; (n, 1) for a regressor.
    decided : numpy.ndarray
        Shape (n,), number of the class decided on; the value for a regressor.
    probable : bool
        Whether the scores are probabilities.
    """

    scores: NDArray[Any]
    decided: NDArray[Any]
    probable: bool

    def at(self, rows: NDArray[Any]) -> Run:
        """Some rows."""
        return Run(self.scores[rows], self.decided[rows], self.probable)


@dataclass(frozen=True)
class Task:
    """
    What is predicted.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
    classes : tuple
        In order; of two, the second is the positive one. Empty for regression.
    """

    kind: str
    classes: tuple[Any, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names of the score columns of predictions."""
        return [f"score_{name}" for name in self.classes] or ["prediction"]

    def encode(self, y: Any) -> NDArray[Any]:
        """Numbers of the classes; values for regression."""
        if self.kind == "regression":
            return np.asarray(y, float)
        number = {name: place for place, name in enumerate(self.classes)}
        return np.array([number[label] for label in y], int)

    def metrics(self, names: Sequence[str] | None = None) -> dict[str, Callable[[NDArray[Any], Run], float]]:
        """
        Functions of truth (`encode`) and a run, by name.

        Parameters
        ----------
        names : sequence of str, optional
            Some of them; None: all that fit.

        Raises
        ------
        ParameterError
            If one does not fit.
        """
        fitting = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[self.kind](self.classes)
        unknown = [name for name in names or () if name not in fitting]
        if unknown or isinstance(names, str):
            raise ParameterError(
                f"metrics is {names!r}; expected a list of those that fit a {self.kind} task: {', '.join(fitting)}"
            )
        return {name: fitting[name] for name in names or fitting}


def _binary(classes: tuple[Any, ...]) -> dict[str, Callable[[NDArray[Any], Run], float]]:
    def specificity_at_90_sensitivity(truth: NDArray[Any], run: Run) -> float:
        threshold = metrics.threshold_at_sensitivity(truth, run.scores[:, 1], sensitivity=0.9)
        return math.nan if math.isnan(threshold) else metrics.specificity(truth, run.scores[:, 1], threshold=threshold)

    return {
        "auroc": lambda truth, run: metrics.auroc(truth, run.scores[:, 1]),
        "auprc": lambda truth, run: metrics.auprc(truth, run.scores[:, 1]),
        "uar": lambda truth, run: metrics.uar(truth, run.decided, classes=[0, 1]),
        "sensitivity": lambda truth, run: metrics.sensitivity(truth, run.decided),
        "specificity": lambda truth, run: metrics.specificity(truth, run.decided),
        "ppv": lambda truth, run: metrics.ppv(truth, run.decided),
        "npv": lambda truth, run: metrics.npv(truth, run.decided),
        "specificity_at_90_sensitivity": specificity_at_90_sensitivity,
        "brier": lambda truth, run: metrics.brier(truth, run.scores[:, 1]) if run.probable else math.nan,
        "ece": lambda truth, run: metrics.ece(truth, run.scores[:, 1]) if run.probable else math.nan,
    }


def _multiclass(classes: tuple[Any, ...]) -> dict[str, Callable[[NDArray[Any], Run], float]]:
    codes = list(range(len(classes)))

    def recall(truth: NDArray[Any], run: Run, code: int) -> float:
        return metrics.sensitivity(truth == code, run.decided == code)

    def f1(truth: NDArray[Any], run: Run, code: int) -> float:
        both = (truth == code).sum() + (run.decided == code).sum()
        return float(2 * ((truth == code) & (run.decided == code)).sum() / both) if both else math.nan

    fitting: dict[str, Callable[[NDArray[Any], Run], float]] = {
        "uar": lambda truth, run: metrics.uar(truth, run.decided, classes=codes),
        "auroc": lambda truth, run: metrics.auroc(truth, run.scores, classes=codes),
        "brier": lambda truth, run: metrics.brier(truth, run.scores, classes=codes) if run.probable else math.nan,
        "ece": lambda truth, run: (
            metrics.ece(truth == run.scores.argmax(axis=1), run.scores.max(axis=1)) if run.probable else math.nan
        ),
    }
    for measure in (recall, f1):
        for code, name in enumerate(classes):
            fitting[f"{measure.__name__}_{name}"] = partial(measure, code=code)
    return fitting


def _regression(classes: tuple[Any, ...]) -> dict[str, Callable[[NDArray[Any], Run], float]]:
    return {
        "ccc": lambda truth, run: metrics.ccc(truth, run.decided),
        "mae": lambda truth, run: metrics.mae(truth, run.decided),
        "rmse": lambda truth, run: metrics.rmse(truth, run.decided),
    }


def at_level(predictions: pd.DataFrame, level: str, task: Task) -> pd.DataFrame:
    """
    Average the rows of one system to recordings, and recordings to speakers.

    Probabilities by the mean of their logarithms, brought back to a sum of 1 (with two classes: the mean log-odds);
    decision values and severities by their mean. A speaker's recordings weigh alike, however many windows they have.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Rows of one system, see `Evaluation.predictions`.
    level : {"window", "recording", "speaker"}
    task : Task

    Returns
    -------
    pandas.DataFrame
        Index (seed, speaker, ...), columns y, threshold and scores; sorted.
    """
    probable = predictions["kind"].iloc[0] == "probability"
    table = predictions[["seed", "speaker", "recording", "row", "y", "threshold", *task.columns]]
    if probable:
        table = table.assign(**{name: np.log(table[name].clip(1e-6)) for name in task.columns})
    rules = {"y": "first", "threshold": "first"} | dict.fromkeys(task.columns, "mean")
    for step in LEVELS[: LEVELS.index(level) + 1]:
        table = table.groupby(["seed", *_KEYS[step]], sort=True).agg(rules).reset_index()
    if probable:
        scores = np.exp(table[task.columns].to_numpy(float))
        table[task.columns] = scores / scores.sum(axis=1, keepdims=True)
    return table.set_index(["seed", *_KEYS[level]])


def levels_of(predictions: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """
    Tell at which levels a result can be given.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Rows of one system and seed.

    Returns
    -------
    levels : list of str
        The finest first.
    reasons : dict of str to str
        Why another one has none.
    """
    recordings = predictions.groupby(_KEYS["recording"])
    speakers = predictions.groupby("speaker")
    levels, reasons = [], {}
    if recordings.size().max() > 1:
        levels.append("window")
    if (several := recordings["y"].nunique() > 1).any():
        reasons["recording"] = f"{several.sum()} of {len(several)} recordings have windows of more than one label"
    else:
        levels.append("recording")
    if (several := speakers["y"].nunique() > 1).any():
        reasons["speaker"] = f"{several.sum()} of {len(several)} speakers have recordings of more than one label"
    elif (speakers["recording"].nunique() > 1).any():
        levels.append("speaker")
    return levels, reasons


def runs_at(predictions: pd.DataFrame, level: str, task: Task) -> tuple[pd.DataFrame, list[Run]]:
    """
    Bring one system's predictions to a level: its units with their truth, and a run a seed.

    Returns
    -------
    units : pandas.DataFrame
        Index (speaker, ...), column y.
    runs : list of Run
    """
    table = at_level(predictions, level, task)
    probable = predictions["kind"].iloc[0] == "probability"
    runs = []
    for _, part in table.groupby(level="seed"):
        scores = part[task.columns].to_numpy(float)
        if task.kind == "regression":
            decided = scores[:, 0]
        elif task.kind == "binary":
            decided = (scores[:, 1] >= part["threshold"].to_numpy()).astype(int)
        else:
            decided = scores.argmax(axis=1)
        runs.append(Run(scores, decided, probable))
    seeds = table.index.get_level_values("seed")
    return table.loc[seeds == seeds[0], ["y"]].droplevel("seed"), runs


class Bootstrap:
    """
    The same draws of speakers for every system and metric, so that differences are paired.

    The draws are those of `vocalbio.metrics.bootstrap` and `vocalbio.metrics.paired_difference`; kept here, they
    serve all metrics of all systems.

    Parameters
    ----------
    speakers : array_like of shape (n,)
    n_resamples : int
    level : float
        Of the intervals, such as 0.95.
    """

    def __init__(self, speakers: Any, n_resamples: int, level: float) -> None:
        names, place = np.unique(np.asarray(speakers).astype(str), return_inverse=True)
        self.n_speakers, self.level = len(names), level
        rows_of = [np.flatnonzero(place == number) for number in range(len(names))]
        drawn = np.random.default_rng(0).integers(len(names), size=(n_resamples, len(names)))
        self.draws = [np.concatenate([rows_of[speaker] for speaker in draw]) for draw in drawn]
        self.all = np.arange(len(place))

    def values(
        self, measures: dict[str, Callable[[NDArray[Any], Run], float]], truth: NDArray[Any], runs: Sequence[Run]
    ) -> dict[str, NDArray[Any]]:
        """Every metric on all rows (first) and on every draw, the mean over runs: shape (1 + n_resamples,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VocalbioWarning)  # not defined: NaN, which is told in words
            found = [self._measured(measures, truth, runs, rows) for rows in [self.all, *self.draws]]
        return {name: np.array([values[name] for values in found]) for name in measures}

    @staticmethod
    def _measured(measures: dict[str, Any], truth: Any, runs: Sequence[Run], rows: Any) -> dict[str, float]:
        parts, true = [run.at(rows) for run in runs], truth[rows]
        return {name: float(np.mean([measure(true, part) for part in parts])) for name, measure in measures.items()}

    def interval(self, values: NDArray[Any]) -> Interval:
        """Percentile interval of what `values` gave; NaN where there is one speaker only."""
        defined = values[1:][~np.isnan(values[1:])]
        low = high = math.nan
        if len(defined) and self.n_speakers > 1 and not math.isnan(values[0]):
            low, high = np.quantile(defined, [(1 - self.level) / 2, (1 + self.level) / 2]).tolist()
        return Interval(float(values[0]), low, high, self.level, self.n_speakers, int(len(values) - 1 - len(defined)))
