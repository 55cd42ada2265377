"""Tables: systems by metrics, and the model by parts of the cohort."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.errors import VocalbioWarning
from vocalbio.evaluation.scores import Bootstrap, Task, runs_at
from vocalbio.metrics import Interval

__all__ = ["make_breakdown", "make_table", "measured"]

FEWEST_SPEAKERS = 4


def make_table(
    predictions: pd.DataFrame,
    task: Task,
    model: str,
    reasons: Mapping[str, str],
    levels: Sequence[str],
    metrics: Sequence[str] | None,
    n_resamples: int,
    interval_level: float,
    progress: bool,
) -> pd.DataFrame:
    """
    Score every system at every level, and take each from the model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        As `Evaluation.predictions`.
    task : Task
    model : str
        The system that the others are compared with.
    reasons : mapping of str to str
        Systems that could not be made, and why.
    levels : sequence of str
    metrics : sequence of str, optional
    n_resamples, interval_level : int, float
        Of the bootstrap.
    progress : bool
        Show a bar.

    Returns
    -------
    pandas.DataFrame
        As `Evaluation.table`.
    """
    from tqdm.auto import tqdm

    measures = task.metrics(metrics)
    lines = []
    for level in levels:
        bootstrap = None
        reference: dict[str, Any] = {}
        systems = predictions.groupby("system", sort=False)
        for system, part in tqdm(systems, desc=f"Intervals by {level}", disable=not progress, delay=1.0):
            units, runs = runs_at(part, level, task)
            if bootstrap is None:
                bootstrap = Bootstrap(units.index.get_level_values("speaker"), n_resamples, interval_level)
                truth = task.encode(units["y"])
            values = bootstrap.values(measures, truth, runs)
            reference = values if system == model else reference
            for metric, found in values.items():
                each = [measured(measures[metric], truth, run) for run in runs]
                lines.append(
                    {"level": level, "system": system, "metric": metric}
                    | _numbers(bootstrap.interval(found))
                    | {"seeds_sd": float(np.std(each, ddof=1)) if len(each) > 1 else math.nan}
                    | (_difference(bootstrap, reference[metric], found) if system != model else {})
                    | {"note": _note(metric, found[0], runs[0].probable)}
                )
        lines += [
            {"level": level, "system": system, "metric": metric, "n_undefined": 0, "note": f"not made: {reason}"}
            for system, reason in reasons.items()
            for metric in measures
        ]
    columns = ["estimate", "low", "high", "n_undefined", "seeds_sd", "difference", "difference_low",
               "difference_high", "note"]  # fmt: skip
    return pd.DataFrame(lines).set_index(["level", "system", "metric"]).reindex(columns=columns)


def make_breakdown(
    predictions: pd.DataFrame, attributes: pd.DataFrame, task: Task, level: str, bins: Mapping[str, Any],
    n_resamples: int, interval_level: float,
) -> pd.DataFrame:  # fmt: skip
    """
    Score the model on parts of the cohort.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of the model.
    attributes : pandas.DataFrame
        One line a row of the cohort.
    task : Task
    level : str
    bins : mapping of str to sequence of float
        Limits of numeric columns; thirds of the cohort where there are none.
    n_resamples, interval_level : int, float
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        As `Evaluation.breakdown`.
    """
    chosen = {"binary": ["auroc", "uar", "sensitivity", "specificity"], "multiclass": ["uar", "auroc"]}
    measures = task.metrics(chosen.get(task.kind))
    units, runs = runs_at(predictions, level, task)
    truth = task.encode(units["y"])
    tested = predictions[predictions["seed"] == predictions["seed"].iloc[0]]
    lines = []
    for column in attributes:
        by_row = tested.assign(value=attributes[column].to_numpy()[tested["row"]])
        by_unit = _parts(_of_units(by_row, list(units.index.names)).reindex(units.index), bins.get(str(column)))
        for name in by_unit.cat.categories[by_unit.cat.categories.isin(by_unit)]:
            rows = np.flatnonzero((by_unit == name).to_numpy())
            bootstrap = Bootstrap(units.index.get_level_values("speaker")[rows], n_resamples, interval_level)
            enough = bootstrap.n_speakers >= FEWEST_SPEAKERS
            values = bootstrap.values(measures, truth[rows], [run.at(rows) for run in runs]) if enough else {}
            for metric in measures:
                line = {"column": column, "part": name, "metric": metric, "n": len(rows),
                        "n_speakers": bootstrap.n_speakers}  # fmt: skip
                if enough:
                    line |= _numbers(bootstrap.interval(values[metric]))
                    line["note"] = _note(metric, values[metric][0], runs[0].probable)
                else:
                    line["note"] = f"too few speakers: {bootstrap.n_speakers}, at least {FEWEST_SPEAKERS} are needed"
                lines.append(line)
    columns = ["column", "part", "metric", "n", "n_speakers", "estimate", "low", "high", "n_undefined", "note"]
    return pd.DataFrame(lines, columns=columns)


def measured(measure: Callable[..., float], truth: Any, run: Any) -> float:
    """A metric without the warning that it is not defined: the table says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VocalbioWarning)
        return measure(truth, run)


def _of_units(by_row: pd.DataFrame, keys: list[Any]) -> pd.Series:
    """A value a unit: the mean of numbers; of anything else the one that all rows share."""
    grouped = by_row.groupby(keys)["value"]
    if _is_number(by_row["value"]):
        return grouped.mean()
    return grouped.agg(lambda found: found.iloc[0] if found.nunique(dropna=False) == 1 else "several")


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _parts(values: pd.Series, limits: Any) -> pd.Series:
    """Names of the parts; numbers are cut at the limits, or into thirds where there are more than five."""
    if _is_number(values) and limits is None and values.nunique() > 5:
        limits = [-np.inf, *np.unique(values.quantile([1 / 3, 2 / 3])), np.inf]
    if not _is_number(values) or limits is None:
        return values.map(lambda value: "missing" if pd.isna(value) else str(value)).astype("category")
    limits = [float(limit) for limit in limits]
    names = [
        f"below {high:.4g}" if low == -np.inf else f"from {low:.4g}" if high == np.inf else f"{low:.4g} to {high:.4g}"
        for low, high in pairwise(limits)
    ]
    found = pd.cut(values.astype(float), limits, right=False, labels=names).cat.add_categories(["outside", "missing"])
    return found.where(found.notna(), np.where(values.isna(), "missing", "outside"))


def _numbers(interval: Interval) -> dict[str, Any]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high,
            "n_undefined": interval.n_undefined}  # fmt: skip


def _difference(bootstrap: Bootstrap, model: Any, other: Any) -> dict[str, float]:
    found = bootstrap.interval(model - other)
    return {"difference": found.estimate, "difference_low": found.low, "difference_high": found.high}


def _note(metric: str, value: float, probable: bool) -> str:
    if not math.isnan(value):
        return ""
    if metric in ("brier", "ece") and not probable:
        return "its scores are no probabilities"
    return "not defined here: a class does not occur, or was never predicted"
