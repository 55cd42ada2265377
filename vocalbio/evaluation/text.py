"""The text of a result: what was found and how, for somebody who reads no code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.evaluation.scores import ERRORS

if TYPE_CHECKING:
    from vocalbio.evaluation.result import Evaluation

__all__ = ["cell", "plain", "write_text"]


def write_text(found: Evaluation) -> str:
    """Write a result down in Markdown."""
    settings = found.settings
    part = found.table.xs(found.level)
    lines = [f"# {settings['title']}", "", *(f"- {line}" for line in _facts(found)), ""]
    lines += [f"## By {found.level}", "", _markdown(found.summary().reset_index()), ""]
    rest = [metric for metric in part.loc[found.model].index if metric not in found.summary().columns]
    if rest:
        table = found.summary(metrics=rest).loc[[found.model]].T.reset_index(names="metric")
        lines += [_markdown(table), ""]
    others = [system for system in part.index.get_level_values("system").unique() if system != found.model]
    if others and part["difference"].notna().any():
        lines += [
            f"## {found.model} minus each baseline, paired over speakers", "",
            "Above 0 (for " + ", ".join(ERRORS) + ": below 0) the model is better; an interval that holds 0 shows no "
            "difference.", "", _markdown(_differences(found, others)), "",
        ]  # fmt: skip
    for level in settings["levels"]:
        if level != found.level:
            lines += [f"## By {level}", "", _markdown(found.summary(level).reset_index()), ""]
    for level, reason in settings["levels_without"].items():
        lines += [f"No result by {level}: {reason}.", ""]
    for system, reason in settings["not_made"].items():
        lines += [f"Not made: {system}: {reason}.", ""]
    if len(found.breakdown):
        shown = found.breakdown.assign(seeds_sd=math.nan)
        shown = shown.assign(value=[cell(line) for _, line in shown.iterrows()])
        wide = shown.pivot_table(index=["column", "part", "n", "n_speakers"], columns="metric", values="value",
                                 aggfunc="first", sort=False).reset_index()  # fmt: skip
        lines += [f"## {found.model} by part of the cohort", "", _markdown(wide), ""]
        for note in dict.fromkeys(note for note in found.breakdown["note"] if note):
            lines += [f"–: {note}.", ""]
    if len(found.chosen):
        lines += ["## What was chosen", "", f"Rule: {settings['selection']}.", ""]
        counts = found.chosen["chosen"].map(str).value_counts()
        lines += [_markdown(counts.rename("folds").rename_axis("candidate").reset_index()), ""]
    return "\n".join(lines).rstrip() + "\n"


def cell(line: pd.Series) -> str:
    """Estimate, interval and spread over seeds of a line of a table."""
    if math.isnan(line["estimate"]):
        return "–"
    if math.isnan(line["low"]):
        return f"{line['estimate']:z.2f}"
    spread = "" if math.isnan(line["seeds_sd"]) else f" ± {line['seeds_sd']:.2f}"
    return f"{line['estimate']:z.2f} [{line['low']:z.2f}, {line['high']:z.2f}]{spread}"


def _facts(found: Evaluation) -> list[str]:
    settings, cohort = found.settings, found.settings["cohort"]
    facts = [
        f"{cohort['n_speakers_tested']} speakers tested, {cohort['n_recordings_tested']} recordings, "
        f"{cohort['n_rows_tested']} rows" + (f"; {cohort['n_unusable']} rows could not be used and are in no number"
                                             if cohort["n_unusable"] else "")
    ]  # fmt: skip
    if found.task.classes:
        counts = ", ".join(f"{name} {count}" for name, count in cohort["classes"].items())
        facts.append(f"classes (rows): {counts}")
    if found.task.kind == "binary":
        facts.append(
            f"positive: {found.task.classes[1]}; prevalence by {found.level} {cohort['prevalence']:.2f}, what an "
            f"AUPRC of chance is; cut-off: {settings['threshold']}"
        )
    facts += [f"split: {settings['split']}", f"speaker-disjoint: {settings['speaker_disjoint']}"]
    facts.append(f"same audio under two names: {settings['same_audio']}")
    if len(settings["seeds"]) > 1:
        facts.append(f"{len(settings['seeds'])} seeds: the mean, ± the standard deviation over seeds")
    interval = settings["interval"]
    facts.append(
        f"[…]: {100 * interval['level']:g} % interval, {interval['n_resamples']} draws of speakers with replacement"
        + ("; with fewer than 20 speakers it is too narrow" if cohort["n_speakers_tested"] < 20 else "")
    )
    if "ece" in found.table.index.get_level_values("metric"):
        facts.append("ece: drawing speakers again adds to it, so its interval lies high; read the upper end as a bound")
    if settings["selection"]:
        facts.append(f"chosen by fold: {settings['selection']}")
    return facts


def _differences(found: Evaluation, systems: Sequence[str]) -> pd.DataFrame:
    part = found.table.xs(found.level)
    rows = {}
    for system in systems:
        lines = part.loc[[(system, metric) for metric in found.summary().columns]]
        values = lines[["difference", "difference_low", "difference_high"]].to_numpy(float).tolist()
        if lines["difference"].notna().any():
            rows[system] = {
                metric: _signed(*value) for metric, value in zip(found.summary().columns, values, strict=True)
            }
    return pd.DataFrame.from_dict(rows, orient="index").reset_index(names="baseline")


def _signed(difference: float, low: float, high: float) -> str:
    if math.isnan(difference):
        return "–"
    return f"{difference:+.2f}" + ("" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")


def _markdown(table: pd.DataFrame) -> str:
    cells = [list(map(str, table.columns)), *([str(value) for value in row] for row in table.itertuples(index=False))]
    widths = [max(len(row[place]) for row in cells) for place in range(len(table.columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def plain(value: Any) -> Any:
    """Plain JSON types; None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
