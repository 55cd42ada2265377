"""The page of a night: the night at a glance, its events, and how far to trust them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from vocalbio import __version__
from vocalbio.report.methods import Methods, methods_section
from vocalbio.report.page import Section, render_page, write_page
from vocalbio.report.references import cite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vocalbio.stream.report import NightReport

__all__ = ["night_page"]

NOTICE = (
    "A microphone hears neither airflow nor oxygen nor sleep. The events are acoustic: the sound of breathing stops or "
    "falls for ten seconds or more. Their number per analysed hour is not the index that a sleep laboratory measures."
)


def night_page(
    report: NightReport,
    path: str | os.PathLike[str] | None = None,
    *,
    pictures: Mapping[int, Figure] | None = None,
    overview: Figure | None = None,
) -> str:
    """
    Write a night as one HTML page: at a glance, doubts, every event, single events close up.

    Parameters
    ----------
    report : NightReport
        From `vocalbio.screen_night`, or ``Monitor.finish()``.
    path : path-like, optional
        File to write.
    pictures : mapping of int to Figure, optional
        Events close up, by number, as ``report.plot_event`` draws them from the sound.
    overview : Figure, optional
        The night at a glance, where it is drawn already.

    Returns
    -------
    str
        The page, in one piece: nothing is loaded from elsewhere.

    Raises
    ------
    ParameterError
        If `path` cannot be written.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from vocalbio.report import night_page
    >>> from vocalbio.stream.report import EVIDENCE_COLUMNS, NightReport
    >>> evidence = pd.DataFrame(0.0, index=np.arange(5 * 3600.0), columns=EVIDENCE_COLUMNS, dtype="float32")
    >>> evidence["usable"] = np.float32(1)
    >>> events = pd.DataFrame({"start_s": [600.0], "end_s": [612.0], "kind": ["apnea"], "confidence": [0.8]})
    >>> "apnea-like" in night_page(NightReport(events, evidence))
    True
    """
    lines, table, pictures = dict(report.lines()), report.event_table, pictures or {}
    glance: tuple[tuple[Figure, str], ...] = ()
    if len(report.evidence):
        words = "; ".join(f"{what}: {text}" for what, text in lines.items())
        glance = (
            (report.plot() if overview is None else overview, f"Sound, snoring and events over the night. {words}"),
        )
    rates = report.index_by_kind.rename_axis("kind")
    by_kind = pd.DataFrame(
        {
            "events": rates["n_events"],
            "per analysed hour": [f"{value:.1f}" for value in rates["per_hour"]],
            "95 % interval": [f"{low:.1f} to {high:.1f}" for low, high in rates[["low", "high"]].to_numpy(float)],
        },
        index=rates.index,
    )
    sections = [
        Section("The night at a glance", (), pd.DataFrame({"": lines}), glance),
        Section("Reasons for doubt", items=(report.severity_reason, *report.notes)),
    ]
    if report.analysed.any():
        sections.append(Section("Events per analysed hour", table=by_kind))
    if pictures:
        drawn = tuple(
            (pictures[n], f"Event {n} at {report.clock(table['start_s'].iloc[n - 1])}") for n in sorted(pictures)
        )
        few = f"{len(drawn)} of the {len(table)}: the surest ones between the lights."
        sections.append(Section("Events close up", ("" if len(drawn) == len(table) else few,), figures=drawn))
    if len(table):
        listed = pd.DataFrame(
            {
                "begins": [report.clock(s) for s in table["start_s"]],
                "lasts": [f"{s:.0f} s" for s in table["duration_s"]],
                "sounds like": table["kind"].tolist(),
                "confidence": [f"{c:.0%}" for c in table["confidence"]],
                "counts": ["yes" if c else "no" for c in table["counted"]],
            },
            index=table.index,
        )
        sections.append(Section(f"All {len(table)} events", table=listed))
    sections.append(methods_section(*_methods(report)))
    low, high = report.interval
    headline = [
        ("Audio event index", f"{report.index:.1f}", f"{low:.1f} to {high:.1f}; events per analysed hour"),
        ("Analysed", f"{report.analysed_h:.1f} h", f"of {report.recorded_h:.1f} h recorded"),
        ("Snoring", f"{report.snoring_share:.0%}", f"of the time, {report.snoring_min:.0f} min"),
        ("Severity", report.severity or "not told", "" if report.severity else "see the reasons for doubt"),
    ]
    page = render_page(
        "A night's sound",
        "" if report.started is None else f"Recorded from {report.started:%A, %d %B %Y, %H:%M}.",
        NOTICE,
        sections,
        f"Made with vocalbio {__version__}.",
        headline=headline if report.analysed.any() else [],
    )
    return write_page(page, path)


def _methods(report: NightReport) -> list[Methods]:
    validated = (report.validation or {}).get("against")
    return [
        (
            "The sound of a night was judged second by second, and seconds were joined to events of ten seconds or "
            f"more, after the length that scoring rules ask for {cite('aasm')}; airflow, effort, oxygen and sleep were "
            "not measured. Events that begin between lights out and lights on were counted, and divided by the hours "
            "in which the sound could be used.",
            ["aasm"],
        ),
        (
            f"Intervals are 95 %: exact Poisson limits {cite('poisson')}, widened by as much as counts in blocks of 10 "
            "and 30 minutes vary more than independent events would. They speak of this night only.",
            ["poisson"],
        ),
        (f"The detector was validated against {validated}." if validated else
         "The detector was not validated against a sleep laboratory.", []),
    ]  # fmt: skip
