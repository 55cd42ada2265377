"""
Pictures of results and recordings: arrays and tables in, a matplotlib Figure out.

The figures never touch :mod:`matplotlib.pyplot`, the backend or the settings of the session, so nothing has
to be closed and a program without a screen can draw them. All share one style (`STYLE`): wide as a column of
print or a phone held upright, colours that colour-blind readers can tell apart, words beside the thing they
name.
"""

from __future__ import annotations

import base64
import io
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "STYLE",
    "plot_confusion",
    "plot_intervals",
    "plot_precision_recall",
    "plot_recording",
    "plot_reliability",
    "plot_roc",
    "plot_score_by_class",
    "plot_severity",
    "plot_track",
    "plot_training",
    "to_data_uri",
    "to_png_bytes",
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
def _style() -> Iterator[None]:
    # matplotlib's settings belong to the process: one thread at a time may borrow them, and gives them back.
    with required_for("drawing figures", "matplotlib"):
        import matplotlib.style
    with _STYLE_LOCK, matplotlib.style.context(["default", STYLE]):
        yield


def _figure(height_inches: float, title: str, subtitle: str = "", color: str = BLUE) -> Figure:
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


def _settled(figure: Figure) -> Figure:
    """Lay out once and for all: matplotlib would do it anew in every rendering, each a little different."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


# The gate ------------------------------------------------------------------------------------------------


def _numbers(name: str, values: Any, *, missing: bool = False) -> np.ndarray:
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


def _same_length(**arrays: Sequence[Any] | np.ndarray) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise ParameterError(f"the arguments differ in length ({lengths}); expected the same rows in each")


def _both_classes(y_true: Any, y_score: Any) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = _numbers("y_true", y_true), _numbers("y_score", y_score)
    _same_length(y_true=truth, y_score=scores)
    if set(truth.tolist()) != {0.0, 1.0}:
        raise ParameterError(
            f"y_true holds {np.unique(truth)[:3].tolist()}; expected 0 and 1 (or bool), each at least once: "
            "a curve needs rows of both classes"
        )
    return truth, scores


def _table(table: Any, columns: Sequence[str]) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame) or table.empty or not set(columns) <= set(table.columns):
        got = f"columns {list(table.columns)}" if isinstance(table, pd.DataFrame) else type(table).__name__
        raise ParameterError(f"table has {got}; expected a DataFrame with rows and the columns {columns}")
    return table


def _finite(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (isinstance(value, Real) and np.isfinite(value)):
            raise ParameterError(f"{name} is {value!r}; expected a finite number")


# Classes -------------------------------------------------------------------------------------------------


@_style()
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
    counts = np.stack([_numbers("table", row) for row in table.to_numpy()])
    if (counts < 0).any() or (counts != np.round(counts)).any():
        raise ParameterError("table holds values that are no counts; expected whole numbers from 0 on")
    n_rows = counts.sum(axis=1)
    shares = counts / np.maximum(n_rows, 1)[:, None]
    n_classes = len(counts)
    names = [textwrap.fill(str(name), 13) for name in table.index]
    lines = max(len(name.splitlines()) for name in names)
    slanted = n_classes * max(len(line) for name in names for line in name.splitlines()) > 34
    cell_inches = max(2.7 / n_classes, 0.5, 0.18 * (lines + 1))
    figure = _figure(
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
    return _settled(figure)


# Scores --------------------------------------------------------------------------------------------------


def _unit_square(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def _diagonal(axes: Axes, text: str, low: float = 0.0, high: float = 1.0) -> None:
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


def _above(axes: Axes, x: float, text: str, color: str) -> None:
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


def _halo() -> list[Any]:
    """A white rim that keeps text legible on top of a drawing."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=3, foreground="white")]


@_style()
def plot_roc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    label: str = "",
    title: str = "",
    x_label: str = "False positive rate (1 − specificity)",
    y_label: str = "Sensitivity",
) -> Figure:
    """
    Receiver operating characteristic: what every threshold would find, and what it would cost.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool, both present.
    y_score : array-like of shape (n,)
        Higher for the positive class; any scale.
    label : str
        What to say about the curve, such as ``f"AUROC {interval}"`` with an interval of
        ``vocalbio.metrics.bootstrap``.
    title, x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a class is absent, or the arguments differ in length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.figures import plot_roc
    >>> figure = plot_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], label="AUROC 0.75")
    """
    with required_for("the ROC curve", "scikit-learn"):
        from sklearn.metrics import roc_curve
    truth, scores = _both_classes(y_true, y_score)
    false_positive_rate, true_positive_rate, _ = roc_curve(truth, scores)
    figure = _figure(4.9, title, label)
    axes = figure.add_subplot(aspect="equal")
    _unit_square(axes, x_label, y_label)
    _diagonal(axes, "chance")
    axes.fill_between(false_positive_rate, true_positive_rate, color=BLUE, alpha=0.08, linewidth=0)
    axes.plot(false_positive_rate, true_positive_rate, color=BLUE, clip_on=False)
    return _settled(figure)


@_style()
def plot_precision_recall(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    label: str = "",
    title: str = "",
    x_label: str = "Recall (sensitivity)",
    y_label: str = "Precision (PPV)",
) -> Figure:
    """
    Precision against recall, with the line of prevalence that a score without information would follow.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool, both present.
    y_score : array-like of shape (n,)
        Higher for the positive class; any scale.
    label : str
        What to say about the curve, such as ``f"AUPRC {interval}"``.
    title, x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a class is absent, or the arguments differ in length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.figures import plot_precision_recall
    >>> figure = plot_precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], label="AUPRC 0.83")
    """
    with required_for("the precision-recall curve", "scikit-learn"):
        from sklearn.metrics import precision_recall_curve
    truth, scores = _both_classes(y_true, y_score)
    precision, recall, _ = precision_recall_curve(truth, scores)
    precision[-1] = precision[-2]  # scikit-learn ends at (0, 1) by convention: no threshold gives that point
    prevalence = truth.mean()
    figure = _figure(4.9, title, label)
    axes = figure.add_subplot(aspect="equal")
    _unit_square(axes, x_label, y_label)
    axes.axhline(prevalence, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    below = prevalence > 0.15
    axes.annotate(
        f"prevalence {prevalence:.2f}: chance",
        (0, prevalence),
        xytext=(4, -4 if below else 4),
        textcoords="offset points",
        verticalalignment="top" if below else "bottom",
        fontsize=9.5,
        color=MUTED,
    )
    axes.fill_between(recall, precision, step="post", color=BLUE, alpha=0.08, linewidth=0)
    axes.plot(recall, precision, drawstyle="steps-post", color=BLUE, clip_on=False)
    return _settled(figure)


@_style()
def plot_reliability(
    table: pd.DataFrame,
    *,
    label: str = "",
    title: str = "",
    x_label: str = "Predicted probability",
    y_label: str = "Observed fraction",
) -> Figure:
    """
    Predicted against observed in bins, and below how many rows each bin holds.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns mean_score, observed_fraction and n, as ``vocalbio.metrics.reliability_table`` gives them.
    label : str
        What to say about the points, such as ``f"ECE {interval}"``.
    title, x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If columns are missing, or hold fractions out of 0 to 1 or missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures import plot_reliability
    >>> table = pd.DataFrame({"mean_score": [0.1, 0.7], "observed_fraction": [0.2, 0.6], "n": [50, 50]})
    >>> figure = plot_reliability(table, label="ECE 0.10")
    """
    columns = ["mean_score", "observed_fraction", "n"]
    table = _table(table, columns)
    predicted, observed, n = (_numbers(f"table[{column!r}]", table[column]) for column in columns)
    for name, values in {"mean_score": predicted, "observed_fraction": observed}.items():
        if values.min() < 0 or values.max() > 1:
            raise ParameterError(f"table[{name!r}] spans {values.min():g} to {values.max():g}; expected 0 to 1")
    figure = _figure(5.4, title, label)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    _unit_square(axes, "", y_label)
    _diagonal(axes, "perfectly calibrated")
    axes.plot(predicted, observed, color=BLUE, marker="o", markersize=7, markeredgecolor="white")
    counts.vlines(predicted, 0, n, color=BLUE, linewidth=3)
    counts.set(ylim=(0, 1.15 * n.max()), xlabel=x_label, ylabel="n")
    counts.grid(axis="x", visible=False)
    figure.align_ylabels()
    return _settled(figure)


@_style()
def plot_score_by_class(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float | None = None,
    classes: Sequence[Any] | None = None,
    title: str = "",
    x_label: str = "Score (0–100)",
) -> Figure:
    """
    Where the scores of each class lie: every row as a dot, the middle half as a box, the median as a line.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Such as the 0-100 stress score.
    labels : array-like of shape (n,)
        True class of each row.
    threshold : float, optional
        Cut-off: a line, and beside each class the share of its rows that lie above it.
    classes : sequence, optional
        Classes from top to bottom; by default those that occur, sorted.
    title, x_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a label is not among `classes`, or the arguments differ in length, are empty or hold missing
        values.

    Examples
    --------
    >>> from vocalbio.figures import plot_score_by_class
    >>> figure = plot_score_by_class([12, 30, 55, 91], ["neutral", "neutral", "sad", "anxious"], threshold=70)
    """
    values = _numbers("scores", scores)
    found = np.asarray(labels, dtype=object)
    if found.ndim != 1 or pd.isna(found).any():
        raise ParameterError("labels holds missing values or is no list; expected one class a score")
    _same_length(scores=values, labels=found)
    _finite(threshold=threshold)
    names = sorted(set(found.tolist()), key=str) if classes is None else list(classes)
    unknown = set(found.tolist()) - set(names)
    if unknown:
        raise ParameterError(f"labels holds {min(unknown, key=str)!r}, which is not among the classes {names}")

    share = "" if threshold is None else f"; right: share above {threshold:g}"
    figure = _figure(0.8 + 0.62 * len(names), title, f"box: middle half; bar: median{share}", MUTED)
    axes = figure.add_subplot()
    beside = axes.get_yaxis_transform()
    rng = np.random.default_rng(0)  # the dots are spread for the eye only, the same way every time
    for row, name in enumerate(names):
        of_class = values[found == name]
        spread = row + rng.uniform(-0.3, 0.3, size=len(of_class))
        size, alpha = (4, 0.35) if len(values) > 1000 else (18, 0.5)
        axes.scatter(of_class, spread, s=size, color=BLUE, alpha=alpha, linewidth=0, zorder=2, clip_on=False)
        if len(of_class) >= 5:
            low, median, high = np.percentile(of_class, [25, 50, 75])
            axes.barh(row, high - low, left=low, height=0.66, color="none", edgecolor=INK, zorder=3)
            axes.vlines(median, row - 0.33, row + 0.33, color=INK, linewidth=3, zorder=4)
        if threshold is not None and len(of_class):
            above = f"{100 * np.mean(of_class > threshold):.0f} %"
            axes.text(1.03, row, above, transform=beside, verticalalignment="center")
    if threshold is not None:
        axes.axvline(threshold, color=VERMILION, linewidth=1.6, linestyle=(0, (4, 3)), zorder=1)
        axes.text(1.03, -0.6, f"> {threshold:g}", transform=beside, color=VERMILION, fontweight="bold")
    sizes = [np.sum(found == name) for name in names]
    axes.set_yticks(
        range(len(names)),
        [f"{textwrap.fill(str(name), 16)}\nn = {n}" for name, n in zip(names, sizes, strict=True)],
    )
    axes.set(ylim=(len(names) - 0.45, -0.55), xlabel=x_label)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return _settled(figure)


# Numbers -------------------------------------------------------------------------------------------------


@_style()
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
    truth, predicted = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    _same_length(y_true=truth, y_pred=predicted)
    _finite(cutoff=cutoff)
    both = np.concatenate([truth, predicted, [] if cutoff is None else [cutoff]])
    margin = (0.06 if cutoff is None else 0.1) * (np.ptp(both) or 1.0)  # the corners hold words
    low, high = both.min() - margin, both.max() + margin
    figure = _figure(4.9, title, label)
    axes = figure.add_subplot(aspect="equal")
    _diagonal(axes, "", low, high)
    size = float(np.clip(6000 / len(truth), 8, 42))
    axes.scatter(truth, predicted, s=size, color=BLUE, alpha=0.6, edgecolor="white", linewidth=0.6, clip_on=False)
    if cutoff is not None:
        axes.axvline(cutoff, color=VERMILION, linewidth=1.4)
        axes.axhline(cutoff, color=VERMILION, linewidth=1.4)
        _above(axes, cutoff, f"cut-off {cutoff:g}", VERMILION)
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
                path_effects=_halo(),
            )
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=x_label, ylabel=y_label)
    return _settled(figure)


@_style()
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
    table = _table(table, columns)
    estimate, low, high = (_numbers(f"table[{column!r}]", table[column], missing=True) for column in columns)
    if (low > high).any():
        name = table.index[int(np.argmax(low > high))]
        raise ParameterError(f"the interval of {name!r} has low above high; expected low <= high")
    _finite(chance=chance)
    names = [textwrap.fill(str(name), 34) for name in table.index]
    lines = max(len(name.splitlines()) for name in names)
    figure = _figure(0.85 + (0.36 + 0.17 * lines) * len(table), title)
    axes = figure.add_subplot()
    rows = np.arange(len(table))
    axes.hlines(rows, low, high, color=BLUE, linewidth=3, alpha=0.55)
    axes.plot(estimate, rows, color=BLUE, marker="o", markersize=9, linestyle="none", markeredgecolor="white")
    place: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "verticalalignment": "bottom",
        "path_effects": _halo(),
    }
    for row, name in zip(rows, names, strict=True):
        number = f"{estimate[row]:z.2f} [{low[row]:z.2f}, {high[row]:z.2f}]"
        if np.isnan(estimate[row]):
            number = "not defined"
        axes.text(0, row - 0.2, name, **place)
        axes.text(1, row - 0.2, number, horizontalalignment="right", color=BLUE, **place)
    if chance is not None:
        axes.axvline(chance, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        _above(axes, chance, f"chance {chance:.2f}", MUTED)
    axes.set_yticks([])
    axes.set(ylim=(len(table) - 0.6, -0.9), xlabel=x_label)
    axes.margins(x=0.08)
    axes.spines["left"].set_visible(False)
    return _settled(figure)


@_style()
def plot_training(history: Mapping[str, Sequence[float]], *, title: str = "", x_label: str = "Epoch") -> Figure:
    """
    How loss and metrics went, epoch by epoch, in training and validation.

    Parameters
    ----------
    history : mapping of str to sequence of float
        As in Keras's ``History.history``: ``"loss"``, ``"val_loss"`` and so on, one value an epoch. NaN, as
        of a loss that diverged, leaves a gap.
    title, x_label : str

    Returns
    -------
    matplotlib.figure.Figure
        A panel a quantity; a line marks the epoch of the lowest validation loss.

    Raises
    ------
    ParameterError
        If `history` is empty or its entries differ in length.

    Examples
    --------
    >>> from vocalbio.figures import plot_training
    >>> figure = plot_training({"loss": [0.9, 0.6, 0.4], "val_loss": [0.9, 0.7, 0.8]})
    """
    from matplotlib.ticker import MaxNLocator

    if not isinstance(history, Mapping) or not history:
        raise ParameterError("history is empty or no mapping; expected such as {'loss': [...], 'val_loss': [...]}")
    curves = {name: _numbers(f"history[{name!r}]", curve, missing=True) for name, curve in history.items()}
    _same_length(**curves)
    quantities = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    epochs = np.arange(1, len(next(iter(curves.values()))) + 1)
    validation = curves.get("val_loss", np.array([np.nan]))
    best = int(epochs[np.nanargmin(validation)]) if np.isfinite(validation).any() else None
    note = "" if best is None else f"dotted: lowest validation loss, epoch {best}"
    figure = _figure(0.9 + 2.0 * len(quantities), title, note, VERMILION)
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for axes, quantity in zip(panels, quantities, strict=True):
        for name, color, word in [(quantity, PALE, "training"), (f"val_{quantity}", BLUE, "validation")]:
            if name in curves:
                axes.plot(epochs, curves[name], color=color, label=word, marker="o" if len(epochs) < 3 else "")
        if best is not None:
            axes.axvline(best, color=VERMILION, linewidth=1.6, linestyle=(0, (1, 1.5)), zorder=1)
        axes.set_ylabel(quantity.replace("_", " ").capitalize())
    lines = {line.get_label(): line for axes in panels for line in axes.lines}
    words = [word for word in ("training", "validation") if word in lines]
    figure.legend([lines[word] for word in words], words, loc="outside lower center", ncols=2)
    panels[-1].set(xlabel=x_label, xlim=(0.5, len(epochs) + 0.5))
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.align_ylabels()
    return _settled(figure)


@_style()
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

    days = _table(days, ["score", "in_baseline", "reliable"])
    scores = _numbers("score", days["score"])
    reliable, inside = days["reliable"].to_numpy(bool), days["in_baseline"].to_numpy(bool)
    count = int(reliable.sum())
    told = f"reliable change on {count} of {len(days)} days" if count else f"no reliable change on {len(days)} days"
    figure = _figure(3.1, title, told, VERMILION if count else BLUE)
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
    return _settled(figure)


# Recordings ----------------------------------------------------------------------------------------------


@_style()
def plot_recording(
    samples: ArrayLike,
    sampling_rate_hz: int,
    *,
    f0: tuple[ArrayLike, ArrayLike] | None = None,
    pauses: Sequence[tuple[float, float]] = (),
    title: str = "",
    x_label: str = "Time (s)",
) -> Figure:
    """
    A voice memo at a glance: waveform, spectrogram up to 8 kHz, pitch and pauses.

    Parameters
    ----------
    samples : array-like of shape (n_samples,)
        Mono signal, usually in [-1, 1].
    sampling_rate_hz : int
        Sampling rate in Hz.
    f0 : tuple of two array-like of shape (n_frames,), optional
        Times in seconds and fundamental frequency in Hz, NaN where there is no voice.
    pauses : sequence of (start, end)
        In seconds; shaded.
    title, x_label : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the samples are not finite or empty, the rate is not positive, or f0 or pauses are malformed.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.figures import plot_recording
    >>> times = np.arange(16_000) / 16_000
    >>> figure = plot_recording(0.3 * np.sin(2 * np.pi * 220 * times), 16_000, pauses=[(0.4, 0.6)])
    """
    from matplotlib.colors import LinearSegmentedColormap

    signal = _numbers("samples", samples)
    _finite(sampling_rate_hz=sampling_rate_hz)
    if sampling_rate_hz <= 0:
        raise ParameterError(f"sampling_rate_hz is {sampling_rate_hz}; expected a rate in Hz, such as 16000")
    spans = [_numbers("pauses", span) for span in pauses]
    if any(len(span) != 2 or span[0] > span[1] for span in spans):
        raise ParameterError("pauses holds something else than (start, end) in seconds with start <= end")
    if f0 is not None:
        if not isinstance(f0, tuple | list) or len(f0) != 2:
            raise ParameterError(f"f0 is a {type(f0).__name__}; expected the pair (times_s, f0_hz)")
        times_s, f0_hz = _numbers("f0[0]", f0[0]), _numbers("f0[1]", f0[1], missing=True)
        _same_length(times_s=times_s, f0_hz=f0_hz)
    duration_s = len(signal) / sampling_rate_hz

    total_s = sum(end - start for start, end in spans)
    note = f"shaded: pauses ({len(spans)}, {total_s:.1f} s in all)" if spans else ""
    heights = [1.1, 1.9] if f0 is None else [1.1, 1.9, 1.5]
    figure = _figure(0.6 + sum(heights), title, note, VERMILION)
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    columns = np.linspace(0, len(signal), min(len(signal), 1200) + 1).astype(int)[:-1]
    panels[0].fill_between(
        columns / sampling_rate_hz,
        np.minimum.reduceat(signal, columns),
        np.maximum.reduceat(signal, columns),
        color=BLUE,
        linewidth=0.5,
    )
    panels[0].set_ylabel("Amplitude")
    levels_db = _spectrogram(signal, sampling_rate_hz)
    loudest_db = max(levels_db.max(), -90.0)  # below lies nothing that a microphone heard
    panels[1].imshow(
        levels_db,
        cmap=LinearSegmentedColormap.from_list("levels", ["white", "#8fbfdc", BLUE, "#012a44", "black"]),
        vmin=loudest_db - 55,
        vmax=loudest_db,
        origin="lower",
        aspect="auto",
        extent=(0, duration_s, 0, min(8.0, sampling_rate_hz / 2000)),
    )
    panels[1].set_ylabel("Frequency (kHz)")
    panels[1].grid(False)
    if f0 is not None:
        panels[2].plot(times_s, f0_hz, color=BLUE, linewidth=1.5, marker=".", markersize=3)
        panels[2].set_ylabel("F0 (Hz)")
    for start, end in spans:
        for axes in panels:
            axes.axvspan(start, end, color=VERMILION, alpha=0.15, linewidth=0, zorder=1)
    panels[0].set_xlim(0, duration_s)
    panels[-1].set_xlabel(x_label)
    figure.align_ylabels()
    return _settled(figure)


def _spectrogram(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Levels in dB up to 8 kHz, shape (n_frequencies, n_columns)."""
    # Voices fall by 6 dB an octave: this levels them, so that the formants above the first are seen.
    signal = signal - 0.95 * np.append(signal[:1], signal[:-1])
    window = np.hanning(min(len(signal), max(2, round(0.03 * sampling_rate_hz))) + 2)[1:-1]
    hop = max(1, round(0.005 * sampling_rate_hz), len(signal) // 1200)  # finer is lost on paper and screen
    frames = np.lib.stride_tricks.sliding_window_view(signal, len(window))[::hop]
    amplitude = np.abs(np.fft.rfft(frames * window, axis=1)).T / (window.sum() / 2)
    shown = np.fft.rfftfreq(len(window), 1 / sampling_rate_hz) < 8001
    return 20 * np.log10(np.maximum(amplitude[shown], 1e-10))


# Out of Python -------------------------------------------------------------------------------------------


@_style()
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
