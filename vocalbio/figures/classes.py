"""Which class was taken for which."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.errors import ParameterError
from vocalbio.figures.style import BLUE, INK, MUTED, new_figure, numbers, settled, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_confusion"]


@styled()
def plot_confusion(
    table: pd.DataFrame, *, title: str = "", x_label: str = "Predicted", y_label: str = "True"
) -> Figure:
    """
    How often each class was taken for each: counts, shaded by their share of the true class.

    Shading by share keeps a small class readable beside a large one; the diagonal shows each class's recall.

    Parameters
    ----------
    table : pandas.DataFrame of shape (k, k)
        Counts, true classes in the rows and the same classes, in the same order, in the columns, as
        ``vocalbio.metrics.confusion`` gives them.
    title, x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If `table` is not such a table of counts.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures import plot_confusion
    >>> table = pd.DataFrame([[50, 4], [9, 12]], index=["low", "high"], columns=["low", "high"])
    >>> figure = plot_confusion(table, title="Held-out speakers")
    """
    from matplotlib.colors import LinearSegmentedColormap

    if not isinstance(table, pd.DataFrame) or table.empty or list(table.index) != list(table.columns):
        raise ParameterError("table is no square of classes; expected a DataFrame with equal rows and columns")
    counts = np.stack([numbers("table", row) for row in table.to_numpy()])
    if (counts < 0).any() or (counts != np.round(counts)).any():
        raise ParameterError("table holds values that are no counts; expected whole numbers from 0 on")
    n_rows = counts.sum(axis=1)
    shares = counts / np.maximum(n_rows, 1)[:, None]
    n_classes = len(counts)
    names = [textwrap.fill(str(name), 13) for name in table.index]
    lines = max(len(name.splitlines()) for name in names)
    slanted = n_classes * max(len(line) for name in names for line in name.splitlines()) > 34
    cell_inches = max(2.7 / n_classes, 0.5, 0.18 * (lines + 1))
    figure = new_figure(
        n_classes * cell_inches + (1.2 if slanted else 0.6) + 0.15 * lines,
        title,
        "count, and share of the true class",
        MUTED,
    )
    axes = figure.add_subplot()
    shades = LinearSegmentedColormap.from_list("shades", ["#f6f8fa", "#8fbfdc", BLUE, "#01395c"])
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="auto")
    count_size = {2: 16, 3: 15, 4: 13, 5: 12}.get(n_classes, 10.5)
    for row, column in np.ndindex(n_classes, n_classes):
        color = "white" if shares[row, column] > 0.45 else INK
        place: dict[str, Any] = {"color": color, "horizontalalignment": "center"}
        axes.text(
            column,
            row,
            f"{counts[row, column]:.0f}",
            fontsize=count_size,
            fontweight="bold" if row == column else "normal",
            verticalalignment="bottom",
            **place,
        )
        if n_rows[row]:
            axes.text(
                column,
                row + 0.04,
                f"{100 * shares[row, column]:.0f} %",
                fontsize=0.72 * count_size,
                verticalalignment="top",
                **place,
            )
    axes.set_xticks(
        range(n_classes),
        names,
        rotation=40 if slanted else 0,
        horizontalalignment="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    axes.set_yticks(range(n_classes), [f"{name}\nn = {n:.0f}" for name, n in zip(names, n_rows, strict=True)])
    axes.set_xticks(np.arange(1, n_classes) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, n_classes) - 0.5, minor=True)
    axes.grid(False)
    axes.grid(True, which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return settled(figure)
