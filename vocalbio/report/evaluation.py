"""The page of an evaluation: how well unheard speakers are told apart, beside what is trivial, and how it was done."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import pandas as pd

from vocalbio.conditions import CONDITIONS
from vocalbio.evaluation.scores import ERRORS, Run, runs_at
from vocalbio.evaluation.text import cell
from vocalbio.extract import read_settings
from vocalbio.figures import (
    plot_confusion,
    plot_intervals,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
    plot_score_by_class,
    plot_severity,
    plot_training,
)
from vocalbio.metrics import confusion, reliability_table
from vocalbio.report.methods import Methods, describe_features, describe_model, methods_section, versions_of
from vocalbio.report.page import Section, render_page, write_page
from vocalbio.report.references import cite, paste
from vocalbio.report.tripod import tripod_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vocalbio.evaluation import Evaluation

__all__ = ["evaluation_page"]

NAMES = {
    "auroc": "AUROC", "auprc": "AUPRC", "uar": "UAR", "brier": "Brier score", "ece": "ECE", "ppv": "PPV", "npv": "NPV",
    "ccc": "CCC", "mae": "MAE", "rmse": "RMSE", "specificity_at_90_sensitivity": "specificity at 90 % sensitivity",
}  # fmt: skip
MEANINGS = {
    "auroc": "share of pairs in the right order; 0.5 is chance",
    "auprc": "precision over all recalls; chance is the prevalence",
    "uar": "mean recall of the classes",
    "brier": "squared error of probabilities; less is better",
    "ece": "how far probabilities are off; less is better",
    "ccc": "agreement with the truth; 1 is perfect",
    "mae": "mean error, in points; less is better",
    "rmse": "root mean square error; less is better",
}
BEYOND = (
    "Speakers, microphones, rooms and ways to find participants other than these may give other numbers: nothing here "
    "was measured on them.",
    "An interval tells how much the number would move with other speakers from the same source. It does not know how "
    "many models were tried before this one.",
    "A score that tells groups apart is no diagnosis of a person: look at PPV and NPV at the prevalence where it is "
    "to be used.",
)


def evaluation_page(
    result: Evaluation, path: str | os.PathLike[str] | None = None, *, model: Any = None, X: Any = None
) -> str:
    """
    Write an evaluation as one HTML page: numbers with intervals, pictures, methods with references, TRIPOD+AI items.

    Parameters
    ----------
    result : Evaluation
        From `vocalbio.evaluation.cross_validate` or `vocalbio.evaluation.evaluate`.
    path : path-like, optional
        File to write.
    model : estimator, optional
        What was evaluated, for the methods; of a fitted one the training curves are drawn.
    X : pandas.DataFrame or Sequences, optional
        Its table, for how the features were measured.

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
    Collins GS et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use
    regression or machine learning methods. BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.evaluation import cross_validate
    >>> from vocalbio.report import evaluation_page
    >>> speakers, y = np.repeat(np.arange(10), 4), np.tile([0, 1], 20)
    >>> X = np.random.default_rng(0).normal(size=(40, 2)) + y[:, None]
    >>> result = cross_validate(LogisticRegression(), X, y, groups=speakers, cv=5, n_resamples=100)
    >>> "AUROC" in evaluation_page(result)
    True
    """
    settings, cohort = result.settings, result.settings["cohort"]
    own = result.predictions[result.predictions["system"] == result.model]
    units, runs = runs_at(own, result.level, result.task)
    truth = result.task.encode(units["y"])
    headline = []
    for metric in result.summary().columns[:4]:
        found = result.interval(metric)
        span = "" if math.isnan(found.low) else f"{found.low:.2f} to {found.high:.2f}; "
        if not math.isnan(found.estimate):
            headline.append((_name(metric), f"{found.estimate:.2f}", span + MEANINGS.get(metric, "")))
    sections = [
        _systems(result),
        *_decisions(result, truth, runs[0]),
        *_calibration(result, truth, runs[0]),
        *_differences(result),
        *_levels(result),
        *_parts(result),
        *_choice(result),
        *_curves(model),
        Section(
            "What the numbers do not mean",
            items=(*_condition_limits(result, model), *BEYOND),
        ),
        methods_section(_data(result), _features(model, X), describe_model(model) if model is not None else ("", []),
                        _judged(result)),
        Section(
            "TRIPOD+AI",
            (f"Items of the reporting guideline {cite('tripod')}, and where this page answers them. Most of what only "
             "the authors of a study know is missing here.",),
            tripod_table(_answered(result, model, X)),
            note=paste(["tripod"]),
        ),
    ]  # fmt: skip
    level_words = f"{cohort['n_speakers_tested']} speakers whom the model had not heard"
    if "unknown" in str(settings["speaker_disjoint"]):
        level_words = f"{cohort['n_speakers_tested']} speakers; whether the model had heard them is not known"
    page = render_page(
        settings["title"] + (f": {model.condition}" if hasattr(model, "condition") else ""),
        f"Judged on {cohort['n_recordings_tested']} recordings of {level_words}; scored by {result.level}.",
        f"Split: {settings['split']}. Speaker-disjoint: {settings['speaker_disjoint']}. Intervals: "
        f"{100 * settings['interval']['level']:g}\u00a0%, over speakers"
        + ("; with fewer than 20 speakers they are too narrow." if cohort["n_speakers_tested"] < 20 else "."),
        sections,
        f"Made with {versions_of(model, X)}.",
        headline=headline,
    )
    return write_page(page, path)


def _name(metric: Any) -> str:
    return NAMES.get(str(metric), str(metric).replace("_", " "))


def _systems(result: Evaluation) -> Section:
    """Every system in one table, and the first metric as a picture."""
    summary = result.summary()
    first = summary.columns[0]
    part = result.table.xs(result.level)
    lines = pd.DataFrame(part.xs(first, level="metric"))[["estimate", "low", "high"]]
    chance = {"auroc": 0.5, "uar": 1 / max(2, len(result.task.classes)), "ccc": 0.0}.get(first)
    figure = plot_intervals(
        lines.dropna(subset=["estimate"]),
        chance=chance,
        x_label=_name(first),
        title=f"{_name(first)} by {result.level}",
    )
    words = "; ".join(f"{system}: {text}" for system, text in summary[first].items())
    more = {_name(name): column for name, column in summary.items()}
    not_made = tuple(f"Not made: {name}: {reason}." for name, reason in result.settings["not_made"].items())
    rest = [m for m in part.loc[result.model].index if m not in summary.columns]
    others = ""
    if rest:
        own = result.summary(metrics=rest).loc[result.model]
        others = f"{result.model}: " + "; ".join(f"{_name(name)} {text}" for name, text in own.items()) + "."
    return Section(
        "Beside what is trivial",
        (
            "If a model does not beat loudness or duration, it may have learnt the microphone. Whether it does is told "
            "by the differences below, not by whether intervals overlap.",
        ),
        pd.DataFrame(more, index=summary.index).map(_unbroken),
        ((figure, f"{_name(first)} with intervals. {words}"),),
        items=not_made,
        note=others,
    )


def _decisions(result: Evaluation, truth: Any, run: Run) -> list[Section]:
    """What is told apart, and what is taken for what; for a severity, predicted against true."""
    task = result.task
    seed = (
        "" if len(result.settings["seeds"]) == 1 else f" Drawn is the first of {len(result.settings['seeds'])} seeds."
    )
    if task.kind == "regression":
        label = f"CCC {result.interval('ccc')}, MAE {result.interval('mae')}"
        figure = plot_severity(truth, run.decided, label=label, x_label="True", y_label="Predicted")
        return [
            Section(
                "Predicted and true",
                (f"Each dot is a {result.level}.{seed}",),
                figures=((figure, f"Predicted against true values: {label}"),),
            )
        ]
    names = [str(name) for name in task.classes]
    figures: list[tuple[Figure, str]] = []
    if task.kind == "binary" and 0 < truth.mean() < 1:
        scores, positive = run.scores[:, 1], names[1]
        auroc, auprc = result.interval("auroc"), result.interval("auprc")
        figures += [
            (
                plot_roc(truth, scores, label=f"AUROC {auroc}", title="ROC curve"),
                f"ROC curve of {positive}: AUROC {auroc}",
            ),
            (
                plot_precision_recall(truth, scores, label=f"AUPRC {auprc}", title="Precision and recall"),
                f"Precision against recall of {positive}: AUPRC {auprc}",
            ),
        ]
    table = confusion([names[k] for k in truth], [names[k] for k in run.decided], classes=names)
    counts = "; ".join(f"true {row}: " + ", ".join(f"{n} called {name}" for name, n in line.items())
                       for row, line in table.iterrows())  # fmt: skip
    figures.append((plot_confusion(table, title="What was taken for what"), f"Confusion of the classes: {counts}"))
    text = [f"Each {result.level} counts once.{seed}"]
    stress = CONDITIONS["stress"]
    if stress.classes and stress.score_weights and set(names) == set(stress.classes) and run.probable:
        score = 100 * sum(stress.score_weights[name] * run.scores[:, k] for k, name in enumerate(names))
        figures.append((
            plot_score_by_class(score, [names[k] for k in truth], threshold=stress.threshold, classes=stress.classes,
                                title="Stress score by true class"),
            f"Stress score of each {result.level} by true class, with the cut-off at {stress.threshold:g}",
        ))  # fmt: skip
        text.append("The stress score is 100 · (0.5 · P(sad) + P(anxious)); above 70 it is called High.")
    elif task.kind == "binary" and run.probable:
        figures.append((
            plot_score_by_class(run.scores[:, 1], [names[k] for k in truth], classes=names, x_label=f"P({names[1]})",
                                title="Probability by true class"),
            f"Probability of {names[1]} of each {result.level}, by true class",
        ))  # fmt: skip
    if task.kind == "multiclass":
        for code, name in enumerate(names):
            if 0 < (truth == code).sum() < len(truth):
                figures.append((
                    plot_roc(truth == code, run.scores[:, code], title=f"ROC curve: {name} against the rest"),
                    f"ROC curve of {name} against the rest",
                ))  # fmt: skip
    return [Section("What is told apart, and what is taken for what", tuple(text), figures=tuple(figures))]


def _calibration(result: Evaluation, truth: Any, run: Run) -> list[Section]:
    if result.task.kind == "regression" or not run.probable or len(truth) < 10:
        return []
    if result.task.kind == "binary":
        right, sure, what = truth, run.scores[:, 1], f"P({result.task.classes[1]})"
    else:
        right, sure, what = truth == run.scores.argmax(axis=1), run.scores.max(axis=1), "the likeliest class"
    ece = f"ECE {result.interval('ece')}" if ("ece" in result.summary().columns) else ""
    figure = plot_reliability(reliability_table(right, sure), label=ece, title=f"Reliability of {what}")
    return [
        Section(
            "Do the probabilities mean what they say?",
            ("Of those who are told 30 %, it should be true of 30 %: points on the diagonal.",),
            figures=((figure, f"Predicted probability of {what} against how often it was true. {ece}"),),
        )
    ]


def _differences(result: Evaluation) -> list[Section]:
    part = result.table.xs(result.level)
    systems = [system for system in part.index.get_level_values("system").unique() if system != result.model]
    rows = {}
    for system in systems:
        lines = part.loc[system].reindex(result.summary().columns)
        if lines["difference"].notna().any():
            rows[system] = {
                _name(metric): _signed(line["difference"], line["difference_low"], line["difference_high"])
                for metric, line in lines.iterrows()
            }
    if not rows:
        return []
    errors = ", ".join(_name(metric) for metric in result.summary().columns if metric in ERRORS)
    return [
        Section(
            f"{result.model} minus each of the others",
            (
                "Paired over speakers. An interval that holds 0 shows no difference"
                + (f"; for {errors} less is better." if errors else "."),
            ),
            pd.DataFrame.from_dict(rows, orient="index").rename_axis("system"),
        )
    ]


def _signed(difference: float, low: float, high: float) -> str:
    if math.isnan(difference):
        return "–"
    text = f"{difference:+.2f}" + ("" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")
    return _unbroken(text.replace("-", "−"))


def _unbroken(text: str) -> str:
    """Keep an interval on one line."""
    return text.replace(", ", ",\u00a0")


def _levels(result: Evaluation) -> list[Section]:
    sections = [
        Section(f"By {level}", table=result.summary(level).rename(columns=_name).map(_unbroken))
        for level in result.settings["levels"]
        if level != result.level
    ]
    reasons = tuple(f"No result by {level}: {reason}." for level, reason in result.settings["levels_without"].items())
    return [*sections, *([Section("Levels without a result", items=reasons)] if reasons else [])]


def _parts(result: Evaluation) -> list[Section]:
    if not len(result.breakdown):
        return []
    shown = result.breakdown.assign(seeds_sd=math.nan)
    shown = shown.assign(value=[_unbroken(cell(line)) for _, line in shown.iterrows()])
    first = shown["metric"].iloc[0]
    wide = shown.assign(
        who=shown["column"].str.cat(shown["part"].astype(str), sep=": "), metric=shown["metric"].map(_name)
    )
    table = wide.pivot_table(
        index=["who", "n", "n_speakers"], columns="metric", values="value", aggfunc="first", sort=False
    ).reset_index()
    table = table.rename(columns={"who": "part", "n_speakers": "speakers"}).set_index("part").rename_axis(columns=None)
    lines = wide[wide["metric"] == _name(first)].set_index("who")[["estimate", "low", "high"]]
    figure = plot_intervals(lines, x_label=_name(first), title=f"{_name(first)} by part of the cohort")
    notes = dict.fromkeys(note for note in result.breakdown["note"] if note)
    return [
        Section(
            f"{result.model} by part of the cohort",
            ("Does it work alike for everybody? Small parts have wide intervals, and nothing follows from them.",),
            table,
            ((figure, f"{_name(first)} with intervals for parts of the cohort"),),
            note="; ".join(f"–: {note}" for note in notes),
        )
    ]


def _choice(result: Evaluation) -> list[Section]:
    if not len(result.chosen):
        return []
    counts = result.chosen["chosen"].map(str).value_counts().rename("folds").rename_axis("candidate").to_frame()
    return [Section("What was chosen", (f"Rule: {result.settings['selection']}.",), counts)]


def _curves(model: Any) -> list[Section]:
    history = getattr(model, "history_", None)
    if not history:
        return []
    curves = {name: curve for name, curve in history.items() if name in ("loss", "val_loss")}
    figure = plot_training(curves, title="How training went")
    last = ", ".join(f"{name} {curve[0]:.2f} to {curve[-1]:.2f}" for name, curve in curves.items())
    return [Section("Training curves", ("Of the fitted model, not of the folds above.",),
                    figures=((figure, f"Training curves over {len(history['loss'])} epochs: {last}"),))]  # fmt: skip


def _condition_limits(result: Evaluation, model: Any) -> tuple[str, ...]:
    """What a label of this condition stands for."""
    names = set(map(str, result.task.classes))
    is_stress = getattr(model, "condition", None) == "stress" or names == set(CONDITIONS["stress"].classes or ())
    return (CONDITIONS["stress"].references[0],) if is_stress else ()


# Methods ----------------------------------------------------------------------------------------------------


def _data(result: Evaluation) -> Methods:
    cohort = result.settings["cohort"]
    counts = ", ".join(f"{name} {count}" for name, count in cohort["classes"].items())
    text = (
        f"{cohort['n_recordings_tested']} recordings ({cohort['n_rows_tested']} rows) of {cohort['n_speakers_tested']} "
        f"speakers were tested" + (f"; rows by class: {counts}" if counts else "") + ". "
        + (f"{cohort['n_unusable']} rows could not be used and are in no number." if cohort["n_unusable"]
           else "No row was unusable.")
    )  # fmt: skip
    return text, []


def _features(model: Any, X: Any) -> Methods:
    extractor = (read_settings(X) or {}).get("extractor")
    manifest = getattr(model, "manifest_", {})
    n_columns = manifest.get("n_features")
    return describe_features(extractor if extractor is not None else manifest.get("extractor"), n_columns)


def _judged(result: Evaluation) -> Methods:
    settings, names = result.settings, ["failures"]
    made = result.table.index.get_level_values("system").unique()
    others = [system for system in made if system != result.model and system not in settings["not_made"]]
    text = (
        f"Split: {settings['split']}; speaker-disjoint: {settings['speaker_disjoint']}; same audio under two names: "
        f"{settings['same_audio']} {cite('failures')}. Answers were averaged to the {result.level} (log-odds or "
        "log-probabilities; values by their mean). "
    )
    if result.task.kind == "binary":
        text += f"Cut-off: {settings['threshold']}. "
    if len(settings["seeds"]) > 1:
        text += f"Estimates are means over {len(settings['seeds'])} seeds. "
    if settings["selection"]:
        text += f"Chosen by fold: {settings['selection']}. "
    text += (
        f"{100 * settings['interval']['level']:g} % percentile intervals come from "
        f"{settings['interval']['n_resamples']} draws of speakers with replacement, the same for "
        "all systems, so that differences are paired."
    )
    if others:
        text += f" Beside it stand: {'; '.join(others)}."
    if result.task.kind == "regression":
        text += f" CCC: concordance correlation {cite('ccc')}."
        names.append("ccc")
    return text, names


def _answered(result: Evaluation, model: Any, X: Any) -> dict[str, str]:
    """Items of TRIPOD+AI that this page answers, in whole or in part."""
    new = str(result.settings["split"]).startswith("none")
    parts = [str(name).lower() for name in result.breakdown["column"].unique()] if len(result.breakdown) else []
    fair = [name for name in parts if name in ("sex", "gender", "age")]
    by_part = f"{result.model} by part of the cohort"
    known = {
        "1": "title, without the population: yours to tell",
        "4": "evaluation of a fitted model" if new else "development, with internal validation by speaker",
        "7": "Methods: unusable recordings; the quality columns tell of the rest",
        "8a": "the labels are as given: how they came about is yours to tell",
        "10": "no calculation was made; the intervals tell what this many speakers can show",
        "12a": "Methods: split, speakers, same audio",
        "12d": f"in part: intervals over speakers; {by_part}" if parts else "in part: intervals over speakers",
        "12e": "Beside what is trivial; Methods",
        "12f": "does not apply: the model was not updated",
        "14": f"{by_part}: {', '.join(fair)}; nothing was done about differences" if fair else
              "not known: neither sex nor age were given",
        "16": "not known here: yours to tell" if new else "does not apply: one source, split by speaker",
        "18f": "vocalbio, versions at the foot of the page",
        "20b": "in part: Methods (counts by class)" + (f"; {by_part}" if parts else ""),
        "21": "Methods: speakers, recordings and rows by class",
        "23a": "Beside what is trivial" + (f"; {by_part}" if parts else ""),
        "24": "does not apply: the model was not updated",
        "26": "in part: What the numbers do not mean",
    }  # fmt: skip
    if X is not None or getattr(model, "manifest_", {}).get("extractor"):
        known["9b"] = "Methods"
        known["9a"] = "in part: Methods (families of features, chosen before)"
    if model is not None:
        known["12c"] = "Methods" + ("; What was chosen" if len(result.chosen) else "")
    if hasattr(model, "condition"):
        known |= {
            "11": "Methods: imputed by training medians, and flagged",
            "12b": "Methods",
            "12g": "Methods",
            "13": "Methods: class weights"
            if getattr(model, "class_weight", None)
            else "nothing was done; UAR weighs classes alike",
            "15": "Methods; the cut-off is told there",
            "22": "the saved model file holds it whole",
            "27a": "answers tell reasons for doubt, or that there is no label",
        }
    return known
