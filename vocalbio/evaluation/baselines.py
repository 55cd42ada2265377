"""Baselines: what a model must beat before anything can be said for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.datasets import Sequences
from vocalbio.evaluation.cohort import Cohort
from vocalbio.evaluation.models import Fold
from vocalbio.evaluation.scores import Task

__all__ = ["Baseline", "constant_baselines", "trained_baselines"]

N_EGEMAPS = 88
LEVEL_FEATURES = (
    r"loudness_sma3_(?:amean|stddevNorm|percentile|pctlrange)|equivalentSoundLevel|intensity_(?:sd|range|mean)"
)


@dataclass(frozen=True)
class Baseline:
    """
    A system of reference.

    Attributes
    ----------
    name : str
    model : estimator or None
        None: it could not be made.
    cohort : Cohort or None
        With the columns that it sees.
    reason : str
        Why it could not be made.
    """

    name: str
    model: Any = None
    cohort: Cohort | None = None
    reason: str = ""


def constant_baselines(task: Task, y: Any) -> dict[str, Fold]:
    """
    What can be said of everybody without hearing anybody.

    They know the labels of the whole cohort, so that they say the same of all speakers: learnt fold by fold, the
    commonest class would depend on who is left out, and an AUROC of pure chance would come out below 0.5.

    Returns
    -------
    dict of str to Fold
        With one row of scores.
    """
    truth = task.encode(y)
    if task.kind == "regression":
        return {"mean of the cohort": Fold([[float(truth.mean())]], "value", [], 0.0, {})}
    shares = np.bincount(truth, minlength=len(task.classes)) / len(truth)
    classes = list(task.classes)
    found = {"majority": Fold([shares.tolist()], "probability", classes, 0.5, {})}
    if task.kind == "binary":
        found["always positive"] = Fold([[0.0, 1.0]], "probability", classes, 0.5, {})
    return found


def trained_baselines(
    task: Task, cohort: Cohort, person: pd.DataFrame | None, own: Mapping[str, Any] | None
) -> list[Baseline]:
    """
    What can be learnt from little: sex and age, level, duration, eGeMAPS with a linear model.

    Parameters
    ----------
    task : Task
    cohort : Cohort
    person : pandas.DataFrame, optional
        One line a row of the cohort; columns sex, age.
    own : mapping of str to estimator, optional
        More of them, on all features.

    Returns
    -------
    list of Baseline
    """
    table = _table(cohort)
    linear, machine = ("ridge regression", "linear SVR") if task.kind == "regression" else (
        "logistic regression", "linear SVM")  # fmt: skip
    found = [
        _from(cohort, task, _person_name(person), _person_columns(person),
              "person has neither a column sex nor age; pass person=DataFrame with one line a row, file or speaker"),
        _from(cohort, task, "loudness only",
              table.loc[:, table.columns.str.contains(LEVEL_FEATURES)],
              "X has no column of loudness or intensity; extract the family 'prosody'"),
        _from(cohort, task, "duration only", _duration(cohort),
              "X has no quality__duration_s; keep the quality columns in X"),
    ]  # fmt: skip
    prosody = table.loc[:, table.columns.str.startswith("prosody__")]
    what = "eGeMAPS" if prosody.shape[1] in (0, N_EGEMAPS) else f"prosody ({prosody.shape[1]} columns)"
    reason = "X has no column prosody__…; extract the family 'prosody'"
    found.append(_from(cohort, task, f"{linear}, {what}", prosody, reason))
    found.append(_from(cohort, task, f"{machine}, {what}", prosody, reason, _machine(task)))
    return found + [Baseline(name, model, cohort) for name, model in (own or {}).items()]


def _from(
    cohort: Cohort, task: Task, name: str, columns: pd.DataFrame | None, reason: str, final: Any = None
) -> Baseline:
    if columns is None or columns.empty or columns.isna().all(axis=None):
        return Baseline(name, reason=reason)
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if final is None:
        final = Ridge(10.0) if task.kind == "regression" else LogisticRegression(max_iter=5000, class_weight="balanced")
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    return Baseline(name, make_pipeline(impute, StandardScaler(), final), replace(cohort, X=columns, copies=None))


def _machine(task: Task) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC, LinearSVR

    if task.kind == "regression":  # it shrinks its intercept as well: the mean must be 0
        return TransformedTargetRegressor(
            LinearSVR(C=0.01, max_iter=20_000, random_state=0), transformer=StandardScaler()
        )
    return LinearSVC(C=0.01, class_weight="balanced", max_iter=20_000, random_state=0)


def _table(cohort: Cohort) -> pd.DataFrame:
    """Features as a table with one line a row; of sequences, the means over their segments."""
    if isinstance(cohort.X, Sequences):
        nothing = np.full(len(cohort.X.names), np.nan)
        return pd.DataFrame(
            [_mean(values) if len(values) else nothing for values in cohort.X.values], columns=cohort.X.names
        )
    if isinstance(cohort.X, pd.DataFrame):
        return cohort.X.reset_index(drop=True).rename(columns=str)
    return pd.DataFrame(index=range(len(cohort)), columns=pd.Index([], dtype=str))


def _mean(values: Any) -> Any:
    known = ~np.isnan(values)
    return np.where(
        known.any(axis=0), np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan
    )


def _person_columns(person: pd.DataFrame | None) -> pd.DataFrame | None:
    if person is None:
        return None
    columns = {str(name).strip().lower(): name for name in person.columns}
    parts: list[Any] = []
    if "sex" in columns or "gender" in columns:
        sex = person[columns.get("sex", columns.get("gender"))]
        parts.append(pd.get_dummies(sex.reset_index(drop=True), prefix="sex", dtype=float))
    if "age" in columns:
        parts.append(pd.Series(pd.to_numeric(person[columns["age"]], errors="coerce").to_numpy(float), name="age"))
    return pd.concat(parts, axis=1) if parts else None


def _person_name(person: pd.DataFrame | None) -> str:
    known = [] if person is None else [str(name).strip().lower() for name in person.columns]
    named = [name for name in ("sex", "age") if name in known or (name == "sex" and "gender" in known)]
    return f"{' and '.join(named or ['sex', 'age'])} only"


def _duration(cohort: Cohort) -> pd.DataFrame | None:
    if "duration_s" not in cohort.quality:
        return None
    if "end" in cohort.index.names and pd.Index(cohort.recordings).has_duplicates:  # windows: when the last one ends
        ends = pd.Series(pd.to_timedelta(cohort.index.get_level_values("end")).total_seconds())
        return ends.groupby([cohort.recordings, cohort.speakers.astype(str)]).transform("max").to_frame("duration_s")
    return cohort.quality[["duration_s"]].astype(float)
