"""What all figures share: the style, the page they stand on, the gate, and the way out of Python."""

from __future__ import annotations

import base64
import io
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "FAINT",
    "INK",
    "MUTED",
    "PALE",
    "STYLE",
    "VERMILION",
    "WIDTH_INCHES",
    "both_classes",
    "diagonal",
    "finite",
    "halo",
    "name_above",
    "need_table",
    "new_figure",
    "numbers",
    "same_length",
    "settled",
    "styled",
    "to_data_uri",
    "to_png_bytes",
    "unit_square",
]


# Okabe and Ito's palette: told apart by every kind of colour vision, and in grey print.
BLUE, VERMILION = "#0072B2", "#D55E00"
INK, MUTED, PALE, FAINT = "#1f2430", "#636b78", "#a3abb6", "#e4e7eb"
WIDTH_INCHES = 5.2

STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
    "font.size": 11,
    "text.color": INK,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}
"""Settings of matplotlib that every figure is drawn with, on top of matplotlib's defaults."""

_STYLE_LOCK = threading.RLock()


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of the house, whatever the settings of the session."""
    # matplotlib's settings belong to the process: one thread at a time may borrow them, and gives them back.
    with required_for("drawing figures", "matplotlib"):
        import matplotlib.style
    with _STYLE_LOCK, matplotlib.style.context(["default", STYLE]):
        yield


def new_figure(height_inches: float, title: str, subtitle: str = "", color: str = BLUE) -> Figure:
    """Axes of `height_inches` below a title and a line about what is drawn, in the colour of the drawing."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    title, subtitle = textwrap.fill(title, 44), textwrap.fill(subtitle, 58)
    title_inches = 0.1 + 0.23 * len(title.splitlines())
    header_inches = title_inches + 0.18 * len(subtitle.splitlines())
    height_inches += header_inches
    x, y = 0.08 / WIDTH_INCHES, 0.08 / height_inches  # margins
    drawing = (x / 2, y / 2, 1 - x, 1 - y - header_inches / height_inches)
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout=ConstrainedLayoutEngine(rect=drawing))
    place: dict[str, Any] = {"horizontalalignment": "left", "verticalalignment": "top"}
    figure.text(x, 1 - y, title, fontsize=13, fontweight="bold", **place)
    figure.text(x, 1 - title_inches / height_inches, subtitle, fontsize=10.5, color=color, **place)
    # A notebook shows the last value of a cell by asking for this; without it pyplot would have to be loaded.
    figure._repr_png_ = partial(to_png_bytes, figure)  # type: ignore[attr-defined]
    return figure


def settled(figure: Figure) -> Figure:
    """Lay out once and for all: matplotlib would do it anew in every rendering, each a little different."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


# The gate: what a figure is drawn from ------------------------------------------------------------


def numbers(name: str, values: Any, *, missing: bool = False) -> np.ndarray:
    """Finite numbers of shape (n,), at least one; NaN only where `missing` is allowed."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} holds something else than numbers ({error})") from error
    if array.ndim != 1 or array.size == 0:
        raise ParameterError(f"{name} has shape {array.shape}; expected numbers of shape (n,), at least one")
    if not missing and not np.isfinite(array).all():
        raise ParameterError(f"{name} holds NaN or infinite values; leave those rows out of every argument")
    return array


def same_length(**arrays: Sequence[Any] | np.ndarray) -> None:
    """Refuse arrays of different lengths."""
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise ParameterError(f"the arguments differ in length ({lengths}); expected the same rows in each")


def both_classes(y_true: Any, y_score: Any) -> tuple[np.ndarray, np.ndarray]:
    """Truth of 0 and 1, each at least once, and its scores."""
    truth, scores = numbers("y_true", y_true), numbers("y_score", y_score)
    same_length(y_true=truth, y_score=scores)
    if set(truth.tolist()) != {0.0, 1.0}:
        raise ParameterError(
            f"y_true holds {np.unique(truth)[:3].tolist()}; expected 0 and 1 (or bool), each at least once: "
            "a curve needs rows of both classes"
        )
    return truth, scores


def need_table(table: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Give back a table that has rows and these columns, refuse any other."""
    if not isinstance(table, pd.DataFrame) or table.empty or not set(columns) <= set(table.columns):
        got = f"columns {list(table.columns)}" if isinstance(table, pd.DataFrame) else type(table).__name__
        raise ParameterError(f"table has {got}; expected a DataFrame with rows and the columns {columns}")
    return table


def finite(**values: float | None) -> None:
    """Refuse what is neither None nor a finite number."""
    for name, value in values.items():
        if value is not None and not (isinstance(value, Real) and np.isfinite(value)):
            raise ParameterError(f"{name} is {value!r}; expected a finite number")


# Pieces of axes ------------------------------------------------------------


def unit_square(axes: Axes, x_label: str, y_label: str) -> None:
    """Axes from 0 to 1 both ways."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def diagonal(axes: Axes, text: str, low: float = 0.0, high: float = 1.0) -> None:
    """Draw the line of equality and name it."""
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        text,
        (low + 0.98 * (high - low), low + 0.98 * (high - low)),
        xytext=(4, -10),
        textcoords="offset points",
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
        horizontalalignment="right",
        verticalalignment="top",
        fontsize=9.5,
        color=MUTED,
    )


def name_above(axes: Axes, x: float, text: str, color: str) -> None:
    """Name a vertical line at its upper end."""
    axes.annotate(
        text,
        (x, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        horizontalalignment="center",
        fontsize=9.5,
        color=color,
    )


def halo() -> list[Any]:
    """A white rim that keeps text legible on top of a drawing."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=3, foreground="white")]


# Out of Python ------------------------------------------------------------


@styled()
def to_png_bytes(figure: Figure, *, dpi: int = 150) -> bytes:
    """
    Draw a figure as PNG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : int
        Dots per inch: 150 for screens, 300 for print.

    Returns
    -------
    bytes
        The same every time for the same figure: no date, no version inside.

    Raises
    ------
    ParameterError
        If `figure` is no matplotlib figure.

    Examples
    --------
    >>> from vocalbio.figures import plot_training, to_png_bytes
    >>> to_png_bytes(plot_training({"loss": [0.9, 0.6]}))[1:4]
    b'PNG'
    """
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise ParameterError(f"figure is a {type(figure).__name__}; expected what the plot functions return")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def to_data_uri(figure: Figure, *, dpi: int = 150) -> str:
    """
    Draw a figure as text that stands in the ``src`` of an HTML image, with nothing to load from elsewhere.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : int
        Dots per inch.

    Returns
    -------
    str
        A PNG: for these figures no larger than SVG, and for many dots or a spectrogram far smaller.

    Raises
    ------
    ParameterError
        If `figure` is no matplotlib figure.

    Examples
    --------
    >>> from vocalbio.figures import plot_training, to_data_uri
    >>> to_data_uri(plot_training({"loss": [0.9, 0.6]}))[:22]
    'data:image/png;base64,'
    """
    return "data:image/png;base64," + base64.b64encode(to_png_bytes(figure, dpi=dpi)).decode("ascii")
