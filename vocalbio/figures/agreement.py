"""Agreement of two ways to measure the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError
from vocalbio.figures.style import (
    BLUE,
    INK,
    MUTED,
    VERMILION,
    halo,
    need_table,
    new_figure,
    numbers,
    same_length,
    settled,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_bland_altman"]

ROWS = ("bias", "limit_low", "limit_high")


@styled()
def plot_bland_altman(
    reference: ArrayLike,
    estimated: ArrayLike,
    *,
    limits: pd.DataFrame | None = None,
    label: str = "",
    title: str = "",
    x_label: str = "Events per hour, mean of both",
    y_label: str = "Detected minus reference, per hour",
) -> Figure:
    """
    Difference of two measurements against their mean, with bias and limits of agreement.

    The mean of both is the horizontal axis even where one is the standard: against the standard alone, the
    difference falls by itself [1]_.

    Parameters
    ----------
    reference, estimated : array-like of shape (n,)
        In the same unit, such as events per hour of a night; two values or more.
    limits : pandas.DataFrame, optional
        Rows ``bias``, ``limit_low``, ``limit_high``, columns ``estimate``, ``low``, ``high``, as from
        ``vocalbio.evaluation.agreement.bland_altman``; their intervals are shaded. None: lines at the mean difference
        and 1.96 standard deviations about it.
    label : str
        What to say about the points, such as ``"48 nights"``.
    title, x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the arguments differ in length, have fewer than two values or missing ones, or `limits` lacks a row.

    References
    ----------
    .. [1] Bland JM, Altman DG. Comparing methods of measurement: why plotting difference against standard method is
       misleading. Lancet 1995;346:1085-1087. doi:10.1016/S0140-6736(95)91748-9

    Examples
    --------
    >>> from vocalbio.figures.agreement import plot_bland_altman
    >>> figure = plot_bland_altman([3, 12, 25, 41], [5, 11, 21, 33], label="4 nights")
    """
    a, b = numbers("reference", reference), numbers("estimated", estimated)
    same_length(reference=a, estimated=b)
    if len(a) < 2:
        raise ParameterError("reference and estimated hold one value; expected two or more: limits need a spread")
    middle, difference = (a + b) / 2, b - a
    if limits is None:
        mean, away = difference.mean(), 1.96 * difference.std(ddof=1)
        limits = pd.DataFrame({"estimate": [mean, mean - away, mean + away]}, index=list(ROWS))
    elif not set(ROWS) <= set(need_table(limits, ["estimate", "low", "high"]).index):
        raise ParameterError(f"limits has the rows {list(limits.index)}; expected {', '.join(ROWS)}")

    figure = new_figure(3.9, title, label)
    axes = figure.add_subplot()
    axes.axhline(0, color=MUTED, linewidth=1)
    lines = limits.reindex(index=list(ROWS), columns=["estimate", "low", "high"]).to_numpy(float)
    words: tuple[str, ...] = ("bias", "−1.96 SD", "+1.96 SD")
    bias, half = lines[0, 0], lines[2, 0] - lines[0, 0]
    # intervals of two or three nights are so wide that the lines would fall into one
    shown = [0.0, *difference, *np.clip(lines[np.isfinite(lines)], bias - 4 * half, bias + 4 * half)]
    margin = 0.06 * np.ptp(shown) or 1.0
    if np.ptp(lines[:, 0]) < 1e-9:  # every difference is the same: one line and one word in place of three
        lines, words = lines[:1], ("bias",)
    for word, (value, low, high) in zip(words, lines, strict=True):
        color = BLUE if word == "bias" else VERMILION
        axes.axhline(value, color=color, linewidth=1.6, linestyle="-" if word == "bias" else (0, (5, 3)))
        if np.isfinite([low, high]).all():
            axes.axhspan(low, high, color=color, alpha=0.1, linewidth=0)
        axes.annotate(
            f"{word}\n{value:+z.1f}".replace("-", "−"),
            (1, value),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            verticalalignment="center",
            linespacing=1.15,
            fontsize=9.5,
            color=color,
            path_effects=halo(),
        )
    size = float(np.clip(6000 / len(a), 8, 42))
    axes.scatter(middle, difference, s=size, color=INK, alpha=0.6, edgecolor="white", linewidth=0.6, zorder=3)
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(min(shown) - margin, max(shown) + margin))
    return settled(figure)
