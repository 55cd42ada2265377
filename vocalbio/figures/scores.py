"""Scores of two classes: curves, reliability, scores by class."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError, required_for
from vocalbio.figures.style import (
    BLUE,
    INK,
    MUTED,
    VERMILION,
    both_classes,
    diagonal,
    finite,
    need_table,
    new_figure,
    numbers,
    same_length,
    settled,
    styled,
    unit_square,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_precision_recall", "plot_reliability", "plot_roc", "plot_score_by_class"]


@styled()
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
    truth, scores = both_classes(y_true, y_score)
    false_positive_rate, true_positive_rate, _ = roc_curve(truth, scores)
    figure = new_figure(4.9, title, label)
    axes = figure.add_subplot(aspect="equal")
    unit_square(axes, x_label, y_label)
    diagonal(axes, "chance")
    axes.fill_between(false_positive_rate, true_positive_rate, color=BLUE, alpha=0.08, linewidth=0)
    axes.plot(false_positive_rate, true_positive_rate, color=BLUE, clip_on=False)
    return settled(figure)


@styled()
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
    truth, scores = both_classes(y_true, y_score)
    precision, recall, _ = precision_recall_curve(truth, scores)
    precision[-1] = precision[-2]  # scikit-learn ends at (0, 1) by convention: no threshold gives that point
    prevalence = truth.mean()
    figure = new_figure(4.9, title, label)
    axes = figure.add_subplot(aspect="equal")
    unit_square(axes, x_label, y_label)
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
    return settled(figure)


@styled()
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
    table = need_table(table, columns)
    predicted, observed, n = (numbers(f"table[{column!r}]", table[column]) for column in columns)
    for name, values in {"mean_score": predicted, "observed_fraction": observed}.items():
        if values.min() < 0 or values.max() > 1:
            raise ParameterError(f"table[{name!r}] spans {values.min():g} to {values.max():g}; expected 0 to 1")
    figure = new_figure(5.4, title, label)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    unit_square(axes, "", y_label)
    diagonal(axes, "perfectly calibrated")
    axes.plot(predicted, observed, color=BLUE, marker="o", markersize=7, markeredgecolor="white")
    counts.vlines(predicted, 0, n, color=BLUE, linewidth=3)
    counts.set(ylim=(0, 1.15 * n.max()), xlabel=x_label, ylabel="n")
    counts.grid(axis="x", visible=False)
    figure.align_ylabels()
    return settled(figure)


@styled()
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
    values = numbers("scores", scores)
    found = np.asarray(labels, dtype=object)
    if found.ndim != 1 or pd.isna(found).any():
        raise ParameterError("labels holds missing values or is no list; expected one class a score")
    same_length(scores=values, labels=found)
    finite(threshold=threshold)
    names = sorted(set(found.tolist()), key=str) if classes is None else list(classes)
    unknown = set(found.tolist()) - set(names)
    if unknown:
        raise ParameterError(f"labels holds {min(unknown, key=str)!r}, which is not among the classes {names}")

    share = "" if threshold is None else f"; right: share above {threshold:g}"
    figure = new_figure(0.8 + 0.62 * len(names), title, f"box: middle half; bar: median{share}", MUTED)
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
    return settled(figure)
