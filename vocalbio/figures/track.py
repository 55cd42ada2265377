"""One person over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.figures.style import BLUE, FAINT, MUTED, PALE, VERMILION, need_table, new_figure, numbers, settled, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_track"]


@styled()
def plot_track(days: pd.DataFrame, baseline: Mapping[str, Any], *, title: str = "", y_label: str = "Score") -> Figure:
    """
    One person's days against their own baseline.

    Parameters
    ----------
    days : pandas.DataFrame
        Index of dates; columns ``score``, ``in_baseline``, ``reliable``, as in `vocalbio.longitudinal.Track.days`.
    baseline : mapping
        ``centre``, ``low``, ``high``: within the last two a day of an unchanged person falls; NaN: no band is drawn.
    title, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is missing or there is no day.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures import plot_track
    >>> days = pd.DataFrame({"score": [40.0, 42.0, 70.0], "in_baseline": [True, True, False],
    ...     "reliable": [False, False, True]}, index=pd.date_range("2026-01-01", periods=3))
    >>> figure = plot_track(days, {"centre": 41.0, "low": 30.0, "high": 52.0})
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    days = need_table(days, ["score", "in_baseline", "reliable"])
    scores = numbers("score", days["score"])
    reliable, inside = days["reliable"].to_numpy(bool), days["in_baseline"].to_numpy(bool)
    count = int(reliable.sum())
    told = f"reliable change on {count} of {len(days)} days" if count else f"no reliable change on {len(days)} days"
    figure = new_figure(3.1, title, told, VERMILION if count else BLUE)
    axes = figure.subplots()
    dates = pd.DatetimeIndex(days.index).to_pydatetime()
    if np.isfinite(baseline["centre"]):
        axes.axhspan(baseline["low"], baseline["high"], color=FAINT, zorder=0, linewidth=0, label="if nothing changed")
        axes.axhline(baseline["centre"], color=PALE, linewidth=1.4, zorder=1)
    axes.plot(dates, scores, color=PALE, linewidth=1.2, zorder=2)
    for which, color, fill, marker, word in (
        (inside, MUTED, "white", "o", "baseline"),
        (~inside & ~reliable, BLUE, BLUE, "o", "within chance, or alone"),
        (reliable, VERMILION, VERMILION, "D", "reliable change"),
    ):
        if which.any():
            axes.plot(
                dates[which],
                scores[which],
                marker,
                color=color,
                markerfacecolor=fill,
                markersize=6,
                label=word,
                zorder=3,
            )
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(axis="x", visible=False)
    axes.set_ylabel(y_label)
    figure.legend(loc="outside lower center", ncols=2, handletextpad=0.3, columnspacing=1.2)
    return settled(figure)
