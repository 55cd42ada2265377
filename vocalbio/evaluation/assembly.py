"""Assembly: from the answers of folds to predictions, and from predictions to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.errors import ParameterError
from vocalbio.evaluation.cohort import Cohort, join
from vocalbio.evaluation.models import Fold
from vocalbio.evaluation.questions import bar
from vocalbio.evaluation.result import Evaluation
from vocalbio.evaluation.scores import Task, at_level
from vocalbio.evaluation.tables import make_breakdown, make_table

__all__ = ["assemble", "choose_attributes", "join_person", "tabulate"]


def tabulate(
    cohort: Cohort, task: Task, found: Fold, rows: NDArray[Any], *, system: str, seed: int, fold: int
) -> pd.DataFrame:  # fmt: skip
    """A fold's answers as lines of `Evaluation.predictions`."""
    scores = np.asarray(found.scores, float)
    if found.classes:  # a class that was not heard of in training has probability 0
        nothing = 0.0 if found.kind == "probability" else scores.min() - 1
        table = pd.DataFrame(scores, columns=found.classes).reindex(columns=list(task.classes), fill_value=nothing)
        scores = table.to_numpy()
    return pd.DataFrame(
        {
            "system": system, "seed": seed, "fold": fold, "row": rows, "recording": cohort.recordings[rows],
            "speaker": cohort.speakers[rows].astype(str), "y": cohort.y[rows], "kind": found.kind,
            "threshold": found.threshold, **dict(zip(task.columns, scores.T, strict=True)),
        }
    )  # fmt: skip


def assemble(
    predictions: pd.DataFrame,
    cohort: Cohort,
    task: Task,
    *,
    model: str,
    title: str,
    levels_found: tuple[str, list[str], dict[str, str]],
    metrics: Sequence[str] | None,
    not_made: Mapping[str, str],
    attributes: pd.DataFrame,
    bins: Mapping[str, Any],
    chosen: pd.DataFrame,
    settings: dict[str, Any],
    progress: bool | None,
) -> Evaluation:
    """Score predictions at every level, and put the result together."""
    own = predictions[predictions["system"] == model]
    first = own[own["seed"] == own["seed"].iloc[0]]
    level, levels, reasons = levels_found
    resampling = settings["interval"]["n_resamples"], settings["interval"]["level"]
    tested = first["row"].to_numpy()
    units = at_level(first, level, task)["y"]
    facts = {
        "n_speakers_tested": int(first["speaker"].nunique()),
        "n_recordings_tested": int(first.groupby(["speaker", "recording"]).ngroups),
        "n_rows_tested": len(first),
        "n_unusable": int((~cohort.usable).sum()),
        "classes": {str(name): int((cohort.y[tested] == name).sum()) for name in task.classes},
        "prevalence": float(task.encode(units).mean()) if task.kind == "binary" else None,
    }
    settings = settings | {
        "model": model, "title": title, "cohort": facts, "level": level, "levels": levels, "levels_without": reasons,
        "not_made": dict(not_made),
    }  # fmt: skip
    table = make_table(predictions, task, model, not_made, levels, metrics, *resampling, bar(progress))
    parts = make_breakdown(own, attributes, task, level, bins, *resampling)
    return Evaluation(table, predictions, parts, chosen, task, settings)


def join_person(person: pd.DataFrame, X: Any, cohort: Cohort) -> pd.DataFrame:
    """Bring facts about people to the rows of the cohort, by row, file or speaker."""
    if not isinstance(person, pd.DataFrame):
        raise ParameterError(
            f"person is of type {type(person).__name__}; expected a DataFrame of sex, age and the like"
        )
    places = pd.Series(np.arange(len(person)), index=person.index)
    rows = join(places, X, len(cohort), "person", cohort.speakers)
    return person.iloc[rows].reset_index(drop=True)


def choose_attributes(wanted: Any, person: pd.DataFrame | None, cohort: Cohort) -> pd.DataFrame:
    """Columns of the breakdown: those wanted, or the usual ones."""
    known = cohort.quality if person is None else pd.concat([person, cohort.quality], axis=1)
    known = known.loc[:, ~known.columns.duplicated()]
    if wanted is None:
        usual = ("sex", "gender", "age", "device", "snr_db", "duration_s")
        return known[[name for name in known.columns if str(name).lower() in usual and known[name].nunique() > 1]]
    wanted = [wanted] if isinstance(wanted, str) else wanted
    names = [str(name).removeprefix("quality__") for name in wanted]
    missing = [name for name in names if name not in known.columns]
    if missing:
        raise ParameterError(
            f"breakdown names {', '.join(map(repr, missing))}; known are the columns of person and of quality: "
            f"{', '.join(map(str, known.columns)) or 'none'}"
        )
    return known[names]
