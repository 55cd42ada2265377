"""The card of a model: what its manifest knows, and what it does not, for whoever is to use it."""

from __future__ import annotations

import math
import os
from typing import Any

import pandas as pd

from vocalbio.conditions import get_condition
from vocalbio.figures import plot_training
from vocalbio.report.methods import describe_features, describe_model, methods_section
from vocalbio.report.page import Section, render_page, write_page

__all__ = ["model_card"]

UNKNOWN = "not told in the model file"


def model_card(model: Any, path: str | os.PathLike[str] | None = None) -> str:
    """
    Write the card of a fitted model as one HTML page, from its manifest alone.

    What a card should tell and the file does not know (who should use it, on whom it was evaluated) is said to be
    missing, not left out.

    Parameters
    ----------
    model : RiskModel or SeverityModel
        Fitted or loaded.
    path : path-like, optional
        File to write.

    Returns
    -------
    str
        The page, in one piece: nothing is loaded from elsewhere.

    Raises
    ------
    ParameterError
        If `path` cannot be written.

    References
    ----------
    Mitchell M et al. Model cards for model reporting. FAT* 2019:220-229. doi:10.1145/3287560.3287596

    Examples
    --------
    >>> from vocalbio.report import model_card
    >>> from vocalbio.risk import load_shipped
    >>> "RAVDESS" in model_card(load_shipped("stress"))
    True
    """
    model._check_fitted()
    manifest, condition = model.manifest_, get_condition(model.condition)
    training = manifest["training"]
    cohorts = training.get("cohorts", [training])
    facts = {
        "answers": _answers(model),
        "label": f"{condition.above!r} or {condition.below!r}" if model.condition != "apnea" else "the likeliest class",
        "threshold": f"{manifest['threshold']:.3g}" + _chosen(manifest),
        "interval": f"none: {manifest['interval_reason']}" if manifest["interval_reason"] else "in every answer",
        "inputs": f"{manifest['n_features']} columns, quality columns never",
        "made": manifest["created"],
        "licence": training.get("licence") or UNKNOWN,
    }
    cohort_table = pd.DataFrame([_cohort(cohort) for cohort in cohorts], index=_numbered(len(cohorts)))
    sections = [
        Section("What it answers", table=pd.DataFrame({"": facts})),
        Section(
            "What it is for, and what not",
            (
                "For research. Not for decisions about a person, nor at work or in schools. Who is meant to use it, "
                f"and for whom, is {UNKNOWN}.",
                str(training.get("notice") or ""),
            ),
        ),
        Section(
            "Whom it was trained on",
            (str(training.get("corpus") or f"The corpus is {UNKNOWN}."),),
            cohort_table.T,
            note="Speakers are kept as hashes, to find leaks. "
            + ("; ".join(training.get("references", []))),
        ),
        _measured(manifest),
        *_curves(manifest),
        methods_section(
            describe_features(manifest["extractor"], manifest["n_features"]),
            describe_model(model),
            ("This card follows the idea of model cards (Mitchell 2019).", ["card"]),
        ),
    ]  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    page = render_page(
        f"{manifest['model']} of {model.condition}",
        f"Trained on {training['n_recordings']} recordings of "
        f"{'an unknown number of' if training['n_speakers'] is None else training['n_speakers']} speakers.",
        "For people and recordings unlike those of training, neither answers nor intervals can be relied on."
        + (" Its probabilities are not calibrated." if manifest.get("calibrated") is False else ""),
        sections,
        f"Model made with {versions}.",
    )
    return write_page(page, path)


def _answers(model: Any) -> str:
    condition = get_condition(model.condition)
    if not hasattr(model, "classes_"):
        scale = condition.severity
        return "a severity" if scale is None else f"{scale.name}, {scale.low:g} to {scale.high:g}"
    names = ", ".join(f"P({name})" for name in model.classes_)
    if condition.score_weights:
        weights = " + ".join(f"{w:g} P({name})" for name, w in condition.score_weights.items() if w)
        return f"{names}; score 100 ({weights})"
    return f"{names}; the second means {condition.positive}" if condition.positive else names


def _chosen(manifest: dict[str, Any]) -> str:
    choice = manifest.get("threshold_choice")
    if not choice:
        return ""
    return (
        f", by rule {choice['rule']}: sensitivity {choice['sensitivity']:.2f}, specificity "
        f"{choice['specificity']:.2f} on held-out speakers of training"
    )


def _cohort(cohort: dict[str, Any]) -> dict[str, str]:
    labels = cohort.get("classes") or {name: round(value, 2) for name, value in cohort.get("severity", {}).items()}
    return {
        "recordings": str(cohort["n_recordings"]),
        "speakers": "not known" if cohort["n_speakers"] is None else str(cohort["n_speakers"]),
        "labels": ", ".join(f"{name} {count}" for name, count in labels.items()),
        "sex": str(cohort.get("sex", UNKNOWN)),
        "age": str(cohort.get("age", UNKNOWN)),
        "speakers kept apart": str(cohort["speaker_disjoint"]),
    }


def _numbered(n: int) -> list[str]:
    return [""] if n == 1 else ["first cohort", *(f"cohort {number}" for number in range(2, n + 1))]


def _measured(manifest: dict[str, Any]) -> Section:
    metrics = manifest.get("metrics")
    title = "How good it is on speakers that it never heard"
    if not metrics:
        return Section(
            title,
            (
                f"That is {UNKNOWN}. Find it out on recordings of your own: "
                "vocalbio evaluate --data recordings.csv --model FILE.",
            ),
        )
    rows = {}
    for name, value in metrics.items():
        low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
        if not name.endswith(("_low", "_high")):
            rows[name.replace("_", " ")] = _plain(value) + ("" if low is None else f" [{_plain(low)}, {_plain(high)}]")
    return Section(title, table=pd.DataFrame({"": rows}), note="As its file tells it.")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(entry)}" for name, entry in value.items())
    return f"{value:.2f}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _curves(manifest: dict[str, Any]) -> list[Section]:
    curves = {name: curve for name, curve in manifest["history"].items() if name in ("loss", "val_loss")}
    if not curves:
        return []
    words = ", ".join(f"{name} {curve[0]:.2f} to {curve[-1]:.2f}" for name, curve in curves.items())
    return [Section("Training", figures=((plot_training(curves, title="Training"), f"Training curves: {words}"),))]
