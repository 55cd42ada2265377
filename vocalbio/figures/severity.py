"""Numbers and their intervals."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError
from vocalbio.figures.style import (
    BLUE,
    MUTED,
    VERMILION,
    diagonal,
    finite,
    halo,
    name_above,
    need_table,
    new_figure,
    numbers,
    same_length,
    settled,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_intervals", "plot_severity"]


@styled()
def plot_severity(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    cutoff: float | None = None,
    label: str = "",
    title: str = "",
    x_label: str = "PHQ-8 total, self-report (0–24)",
    y_label: str = "PHQ-8 total, predicted",
) -> Figure:
    """
    Predicted against true severity, with the line of equality.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        In the same unit, such as points of the PHQ-8.
    cutoff : float, optional
        Where illness begins, such as 10: lines, and in each corner how many people lie there (a value equal
        to the cut-off lies above it).
    label : str
        What to say about the points, such as ``f"CCC {interval}, MAE {error}"``.
    title, x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.figures import plot_severity
    >>> figure = plot_severity([2, 8, 14, 20], [5, 7, 9, 16], cutoff=10, label="MAE 3.2 points")
    """
    truth, predicted = numbers("y_true", y_true), numbers("y_pred", y_pred)
    same_length(y_true=truth, y_pred=predicted)
    finite(cutoff=cutoff)
    both = np.concatenate([truth, predicted, [] if cutoff is None else [cutoff]])
    margin = (0.06 if cutoff is None else 0.1) * (np.ptp(both) or 1.0)  # the corners hold words
    low, high = both.min() - margin, both.max() + margin
    figure = new_figure(4.9, title, label)
    axes = figure.add_subplot(aspect="equal")
    diagonal(axes, "", low, high)
    size = float(np.clip(6000 / len(truth), 8, 42))
    axes.scatter(truth, predicted, s=size, color=BLUE, alpha=0.6, edgecolor="white", linewidth=0.6, clip_on=False)
    if cutoff is not None:
        axes.axvline(cutoff, color=VERMILION, linewidth=1.4)
        axes.axhline(cutoff, color=VERMILION, linewidth=1.4)
        name_above(axes, cutoff, f"cut-off {cutoff:g}", VERMILION)
        ill, called_ill = truth >= cutoff, predicted >= cutoff
        for x, y, word, here in [
            (0.02, 0.98, "false alarms", ~ill & called_ill),
            (0.98, 0.98, "found", ill & called_ill),
            (0.02, 0.02, "cleared", ~ill & ~called_ill),
            (0.98, 0.02, "missed", ill & ~called_ill),
        ]:
            axes.text(
                x,
                y,
                f"{word}: {here.sum()}",
                transform=axes.transAxes,
                horizontalalignment="left" if x < 0.5 else "right",
                verticalalignment="bottom" if y < 0.5 else "top",
                color=VERMILION,
                fontweight="bold",
                path_effects=halo(),
            )
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=x_label, ylabel=y_label)
    return settled(figure)


@styled()
def plot_intervals(
    table: pd.DataFrame,
    *,
    chance: float | None = None,
    title: str = "",
    x_label: str = "Unweighted average recall",
) -> Figure:
    """
    Systems side by side: a row each, in the order of the table, with estimate and interval.

    Parameters
    ----------
    table : pandas.DataFrame
        Index: names of the systems. Columns: estimate, low and high, such as the fields of
        ``vocalbio.metrics.Interval``; NaN where a value is not defined.
    chance : float, optional
        Where a system without information would stand: a dashed line.
    title, x_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If columns are missing or some low is above its high.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures import plot_intervals
    >>> table = pd.DataFrame({"estimate": [0.69, 0.52], "low": [0.63, 0.44], "high": [0.75, 0.6]},
    ...                      index=["voice + dense network", "loudness only"])
    >>> figure = plot_intervals(table, chance=0.33)
    """
    columns = ["estimate", "low", "high"]
    table = need_table(table, columns)
    estimate, low, high = (numbers(f"table[{column!r}]", table[column], missing=True) for column in columns)
    if (low > high).any():
        name = table.index[int(np.argmax(low > high))]
        raise ParameterError(f"the interval of {name!r} has low above high; expected low <= high")
    finite(chance=chance)
    names = [textwrap.fill(str(name), 34) for name in table.index]
    lines = max(len(name.splitlines()) for name in names)
    figure = new_figure(0.85 + (0.36 + 0.17 * lines) * len(table), title)
    axes = figure.add_subplot()
    rows = np.arange(len(table))
    axes.hlines(rows, low, high, color=BLUE, linewidth=3, alpha=0.55)
    axes.plot(estimate, rows, color=BLUE, marker="o", markersize=9, linestyle="none", markeredgecolor="white")
    place: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "verticalalignment": "bottom",
        "path_effects": halo(),
    }
    for row, name in zip(rows, names, strict=True):
        number = f"{estimate[row]:z.2f} [{low[row]:z.2f}, {high[row]:z.2f}]"
        if np.isnan(estimate[row]):
            number = "not defined"
        axes.text(0, row - 0.2, name, **place)
        axes.text(1, row - 0.2, number, horizontalalignment="right", color=BLUE, **place)
    if chance is not None:
        axes.axvline(chance, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        name_above(axes, chance, f"chance {chance:.2f}", MUTED)
    axes.set_yticks([])
    axes.set(ylim=(len(table) - 0.6, -0.9), xlabel=x_label)
    axes.margins(x=0.08)
    axes.spines["left"].set_visible(False)
    return settled(figure)
