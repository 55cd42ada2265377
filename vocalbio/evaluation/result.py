"""The result of an evaluation: tables with intervals over speakers, predictions, and a text to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from vocalbio.errors import ParameterError
from vocalbio.evaluation.scores import HEADLINES, Bootstrap, Task, runs_at
from vocalbio.evaluation.text import cell, plain, write_text
from vocalbio.metrics import Interval

__all__ = ["Evaluation", "compare"]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """
    What an evaluation found. ``print`` it for a text that says how it was made.

    Attributes
    ----------
    table : pandas.DataFrame
        Index (level, system, metric). Columns: estimate, low and high (interval over speakers), n_undefined (draws
        on which the metric is not defined), seeds_sd (spread over seeds; the estimate is their mean), difference,
        difference_low, difference_high (the model minus this system, paired over speakers; for brier, ece, mae and
        rmse less is better), note (why there is no number).
    predictions : pandas.DataFrame
        One line a system, seed and row: fold, row (position in `X`), recording, speaker, y, kind ("probability",
        "decision" or "value"), threshold, and ``score_<class>`` or ``prediction``.
    breakdown : pandas.DataFrame
        The model by parts of the cohort: column, part, metric, n, n_speakers, estimate, low, high, note.
    chosen : pandas.DataFrame
        Which candidate each fold took: seed, fold, chosen, inner_scores. Empty if there was no choice.
    task : Task
        kind and classes.
    settings : dict
        How it was made, as plain JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import cross_validate
    >>> speakers, y = np.repeat(np.arange(10), 4), np.tile([0, 1], 20)
    >>> X = np.random.default_rng(0).normal(size=(40, 2)) + y[:, None]
    >>> result = cross_validate(LogisticRegression(), X, y, groups=speakers, cv=5, n_resamples=100)
    >>> result
    <Evaluation of LogisticRegression: auroc 0.88 [0.77, 0.97] by recording>
    >>> result.interval("auroc", "majority").estimate
    0.5
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    breakdown: pd.DataFrame
    chosen: pd.DataFrame
    task: Task
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Name of the system that was asked for; the others are baselines."""
        return str(self.settings["model"])

    @property
    def level(self) -> str:
        """The level that is reported first: window, recording or speaker."""
        return str(self.settings["level"])

    def interval(self, metric: str, system: str | None = None, level: str | None = None) -> Interval:
        """
        One number with its interval.

        Parameters
        ----------
        metric : str
            Such as ``"auroc"``.
        system : str, optional
            The model by default.
        level : str, optional
            `level` by default.

        Returns
        -------
        vocalbio.metrics.Interval

        Raises
        ------
        ParameterError
            If there is no such line in the table.
        """
        key = (level or self.level, system or self.model, metric)
        if key not in self.table.index:
            raise ParameterError(f"the table has no line {key}; expected one of {self.table.index.tolist()[:40]}")
        line = self.table.to_dict("index")[key]
        return Interval(
            line["estimate"], line["low"], line["high"], self.settings["interval"]["level"],
            self.settings["cohort"]["n_speakers_tested"], int(line["n_undefined"]),
        )  # fmt: skip

    def summary(self, level: str | None = None, metrics: Sequence[str] | None = None) -> pd.DataFrame:
        """
        Systems by metrics, as text with intervals.

        Parameters
        ----------
        level : str, optional
        metrics : sequence of str, optional
            The headline ones by default.

        Returns
        -------
        pandas.DataFrame
            One line a system.
        """
        part = self.table.xs(level or self.level)
        names = metrics or [name for name in HEADLINES[self.task.kind] if name in part.index.get_level_values("metric")]
        names = names or list(dict.fromkeys(part.index.get_level_values("metric")))
        return pd.DataFrame(
            {name: {system: cell(line) for system, line in part.xs(name, level="metric").iterrows()} for name in names}
        ).rename_axis("system")

    def compare(self, other: Evaluation, **arguments: Any) -> pd.DataFrame:
        """Take another one's model from this one's: see `compare`."""
        return compare(self, other, **arguments)

    def to_dict(self, predictions: bool = False) -> dict[str, Any]:
        """
        Everything as plain JSON types; not defined is None.

        Parameters
        ----------
        predictions : bool
            With the predictions of every row.
        """
        parts = {"table": self.table.reset_index(), "breakdown": self.breakdown, "chosen": self.chosen}
        if predictions:
            parts["predictions"] = self.predictions
        content = {name: table.to_dict("records") for name, table in parts.items()}
        task = {"kind": self.task.kind, "classes": list(self.task.classes)}
        return plain({"settings": self.settings, "task": task, **content})

    def to_json(self, path: Any = None, predictions: bool = False) -> str:
        """`to_dict` as text; written to `path` where one is given."""
        text = json.dumps(self.to_dict(predictions), indent=1, ensure_ascii=False, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_markdown(self) -> str:
        """The text that ``print`` shows."""
        return write_text(self)

    def __str__(self) -> str:
        return write_text(self)

    def __repr__(self) -> str:
        metric = next(iter(self.summary().columns))
        return f"<Evaluation of {self.model}: {metric} {self.interval(metric)} by {self.level}>"


def compare(
    a: Evaluation, b: Evaluation, *, systems: tuple[str, str] | None = None, level: str | None = None,
    n_resamples: int = 1000, interval_level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """
    Take one model's metrics from another's, paired over the same speakers.

    What is hard about a speaker is hard for both and cancels: an interval of the difference that leaves 0 out says that
    one is better on speakers like these; two intervals that overlap say nothing.

    Parameters
    ----------
    a, b : Evaluation
        Of the same recordings.
    systems : tuple of str, optional
        Names of the two systems; the models by default.
    level : str, optional
        window, recording or speaker; that of `a` by default.
    n_resamples, interval_level : int, float
        Of the bootstrap over speakers.

    Returns
    -------
    pandas.DataFrame
        Index metric; columns a, b, difference (a minus b), low, high, n_speakers. For brier, ece, mae and rmse a
        negative difference means that `a` is better.

    Raises
    ------
    ParameterError
        If they do not hold the same recordings with the same labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from vocalbio.evaluation import compare, cross_validate
    >>> rng = np.random.default_rng(0)
    >>> speakers, y = np.repeat(np.arange(10), 4), np.tile([0, 1], 20)
    >>> X = rng.normal(size=(40, 2)) + y[:, None]
    >>> settings = dict(groups=speakers, baselines=False, n_resamples=100)
    >>> a = cross_validate(LogisticRegression(), X, y, **settings)
    >>> b = cross_validate(KNeighborsClassifier(1), X, y, **settings)
    >>> compare(a, b).columns.tolist()
    ['a', 'b', 'difference', 'low', 'high', 'n_speakers']
    """
    level = level or a.level
    if a.task != b.task:
        raise ParameterError(f"a predicts {a.task} and b {b.task}; only answers to the same question can be compared")
    found = []
    for evaluation, system in zip((a, b), systems or (a.model, b.model), strict=True):
        rows = evaluation.predictions[evaluation.predictions["system"] == system]
        if rows.empty:
            known = ", ".join(map(repr, evaluation.predictions["system"].unique()))
            raise ParameterError(f"there is no system {system!r}; expected one of {known}")
        if level not in evaluation.settings["levels"]:
            raise ParameterError(f"level is {level!r}; scored were {', '.join(evaluation.settings['levels'])}")
        found.append(runs_at(rows, level, a.task))
    (units, runs_a), (others, runs_b) = found
    if not units.index.equals(others.index) or (units["y"].to_numpy() != others["y"].to_numpy()).any():
        shared = units.index.intersection(others.index)
        raise ParameterError(
            f"a holds {len(units)} {level}s and b {len(others)}, {len(shared)} of them the same; expected the same "
            "ones with the same labels. Evaluate both on the rows that both can use"
        )
    bootstrap = Bootstrap(units.index.get_level_values("speaker"), n_resamples, interval_level)
    measures, truth = a.task.metrics(), a.task.encode(units["y"])
    values_a, values_b = (bootstrap.values(measures, truth, runs) for runs in (runs_a, runs_b))
    lines = {}
    for metric in measures:
        difference = bootstrap.interval(values_a[metric] - values_b[metric])
        lines[metric] = {"a": values_a[metric][0], "b": values_b[metric][0], "difference": difference.estimate,
                         "low": difference.low, "high": difference.high,
                         "n_speakers": bootstrap.n_speakers}  # fmt: skip
    return pd.DataFrame.from_dict(lines, orient="index").astype({"n_speakers": int}).rename_axis("metric")
