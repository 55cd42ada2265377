"""The page of a track: one person over time, against their own baseline."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vocalbio import __version__
from vocalbio.report.methods import Methods, methods_section
from vocalbio.report.page import Section, render_page, write_page
from vocalbio.report.references import cite

if TYPE_CHECKING:
    from vocalbio.longitudinal import Track

__all__ = ["track_page"]

NOTICE = (
    "Change beyond chance is a statement about measurement: it says neither that the change matters nor what it comes "
    "from. Another microphone, room, medicine or a cold changes a voice too."
)


def track_page(
    found: Track,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "One voice over time",
    y_label: str = "Score",
) -> str:
    """
    Write a track as one HTML page: the days, the baseline, what is more than chance, and why to doubt it.

    Parameters
    ----------
    found : Track
        From `vocalbio.track`.
    path : path-like, optional
        File to write.
    title : str
    y_label : str
        What the score is.

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
    >>> import vocalbio as vb
    >>> from vocalbio.report import track_page
    >>> dates = pd.date_range("2026-01-01", periods=12)
    >>> found = vb.track(None, np.r_[[40, 44, 41, 43, 39, 42, 41, 40], np.full(4, 70.0)], dates=dates)
    >>> "more than chance" in track_page(found)
    True
    """
    days, base, recent, trend = found.days, found.baseline, found.recent, found.trend
    level = found.settings["level"]
    headline = []
    if math.isfinite(recent["change"]):
        verdict = "more than chance" if recent["reliable"] else "within chance"
        span = f"{recent['low']:+.3g} to {recent['high']:+.3g}".replace("-", "−")
        headline.append(
            (f"Last {recent['n_days']} days", f"{recent['change']:+.3g}".replace("-", "−"), f"{span}; {verdict}")
        )
    if math.isfinite(base["centre"]):
        headline.append(("Baseline", f"{base['centre']:.3g}", f"{base['n_days']} days from {base['start'][:10]}"))
    if len(days):
        n_reliable = int(days["reliable"].sum())
        headline.append(("Days of reliable change", str(n_reliable), f"of {len(days)} days with a memo"))
    if math.isfinite(trend["slope_per_week"]):
        span = f"{trend['low']:+.2g} to {trend['high']:+.2g}; a week, over all days".replace("-", "−")
        headline.append(("Trend", f"{trend['slope_per_week']:+.2g}".replace("-", "−"), span))
    sections = []
    if len(days):
        words = f"{len(days)} days from {days.index[0]:%Y-%m-%d} to {days.index[-1]:%Y-%m-%d}"
        figure = found.plot(title="Day by day", y_label=y_label)
        band = (
            f"The band holds {level:.0%} of the days of a person who does not change. A day counts as reliable change "
            "only if the day with a memo before it lies beyond the band to the same side."
            if math.isfinite(base["centre"])
            else ""
        )
        sections.append(Section("Day by day", (band,), figures=((figure, f"{y_label} over {words}"),)))
    sections.append(
        Section("Reasons for doubt", items=found.reasons)
        if found.reasons
        else Section("Reasons for doubt", ("None was found. That is no proof that nothing else changed.",))
    )
    if len(days):
        sections.append(Section("Every day", table=_table(days)))
    if len(found.unusable):
        lost = found.unusable.copy()
        lost["date"] = ["no date" if pd.isna(date) else f"{date:%Y-%m-%d}" for date in lost["date"]]
        sections.append(Section("Memos that could not be used", table=lost.set_index("date")))
    sections.append(methods_section(*_methods(found)))
    lead = f"{len(days)} days with {int(days['n_memos'].sum())} memos; {len(found.unusable)} memos could not be used."
    page = render_page(title, lead, NOTICE, sections, f"Made with vocalbio {__version__}.", headline=headline)
    return write_page(page, path)


def _table(days: pd.DataFrame) -> pd.DataFrame:
    beyond = {-1: "below", 0: "within", 1: "above"}
    known = np.isfinite(days["change"])
    return pd.DataFrame(
        {
            "score": [f"{score:.3g}" for score in days["score"]],
            "memos": days["n_memos"].to_list(),
            "change": [
                f"{c:+.3g}".replace("-", "−") if ok else "–" for c, ok in zip(days["change"], known, strict=True)
            ],
            "band": [
                "baseline" if inside else beyond[side] if ok else "–"
                for inside, side, ok in zip(days["in_baseline"], days["beyond"], known, strict=True)
            ],
            "reliable change": ["yes" if one else "" for one in days["reliable"]],
        },
        index=pd.Index([f"{date:%Y-%m-%d}" for date in days.index], name="day"),
    )


def _methods(found: Track) -> list[Methods]:
    settings = found.settings
    base = settings["baseline"]
    span = f"the first {base} days with a memo" if isinstance(base, int) else f"the days from {base[0]} to {base[1]}"
    text = (
        f"Memos of one day were averaged. The baseline is {span}: mean and standard deviation after odd days were "
        f"pulled in. Limits at {settings['level']:.0%} were found by simulating that procedure, as for norms from "
        f"small samples {cite('norms')}. A day is reliable change {cite('change')} if the day with a memo before it "
        f"lies beyond them too. The last {settings['recent']} days were compared together. The trend is the median of "
        f"all slopes {cite('slope')}."
    )
    return [(text, ["norms", "change", "slope"])]
