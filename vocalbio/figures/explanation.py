"""What moved an answer: contributions, markers among the cohort, and when or where the evidence lies."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError
from vocalbio.figures.recording import draw_spectrogram
from vocalbio.figures.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PALE,
    VERMILION,
    finite,
    halo,
    need_table,
    new_figure,
    numbers,
    settled,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_contributions", "plot_marker_panel", "plot_saliency", "plot_saliency_map"]

MOST_ROWS = 11


@styled()
def plot_contributions(
    contributions: pd.Series,
    *,
    baseline: float,
    what: str = "answer",
    unit: str = "points",
    most: int = MOST_ROWS,
    title: str = "",
) -> Figure:
    """
    The way from one answer to another, a step for each contribution: vermilion raises, blue lowers.

    Parameters
    ----------
    contributions : pandas.Series
        Index: names; drawn from top to bottom. What does not find room is added up in a last step.
    baseline : float
        The answer where the way begins; it ends at `baseline` plus all contributions.
    what : str
        What the answer is, such as ``"stress score"``.
    unit : str
        Of answers and contributions: ``"points"`` or ``"%"``.
    most : int
        Steps at most.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If there is no contribution, or one is not finite.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures.explanation import plot_contributions
    >>> steps = pd.Series({"pitch variability": 12.0, "pauses and rate": -4.5, "jitter": 2.0})
    >>> figure = plot_contributions(steps, baseline=44.0, what="stress score")
    """
    values = numbers("contributions", contributions)
    finite(baseline=baseline)
    names = [str(name) for name in contributions.index]
    if len(values) > most:
        rest = len(values) - most + 1
        names = [*names[: most - 1], f"{rest} others together"]
        values = np.append(values[: most - 1], values[most - 1 :].sum())
    sign = " %" if unit == "%" else ""
    end = baseline + values.sum()
    figure = new_figure(
        0.95 + 0.34 * (len(values) + 2), title, f"{what}: from {baseline:.0f}{sign} to {end:.0f}{sign}", INK
    )
    axes = figure.add_subplot()
    edges = baseline + np.concatenate([[0], np.cumsum(values)])
    for row, (value, start) in enumerate(zip(values, edges[:-1], strict=True), start=1):
        color = VERMILION if value > 0 else BLUE
        axes.barh(row, value, left=start, height=0.62, color=color, zorder=3)
        axes.plot([start + value] * 2, [row - 0.31, row + 1.31], color=PALE, linewidth=1, zorder=2)
        axes.annotate(
            f"{value:+.1f}".replace("-", "−"),
            (max(start, start + value), row),
            xytext=(4, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=9.5,
            color=color,
            path_effects=halo(),
            zorder=4,
        )
    axes.plot([baseline] * 2, [-0.31, 1.31], color=PALE, linewidth=1, zorder=2)
    for row, at in ((0, baseline), (len(values) + 1, end)):
        axes.plot([at], [row], "D", color=INK, markersize=7, zorder=4)
        axes.annotate(
            f"{at:.1f}{sign}", (at, row), xytext=(8, 0), textcoords="offset points", verticalalignment="center",
            fontweight="bold", path_effects=halo(), zorder=4,
        )  # fmt: skip
    rows = ["median of the cohort", *names, "this recording"]
    axes.set_yticks(range(len(rows)), [textwrap.fill(name, 24) for name in rows])
    for label in (axes.get_yticklabels()[0], axes.get_yticklabels()[-1]):
        label.set_fontweight("bold")
    low, high = edges.min(), edges.max()
    room = max(high - low, 1e-3)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(low - 0.06 * room, high + 0.24 * room))
    axes.set_xlabel(f"{what[:1].upper()}{what[1:]}{' (%)' if unit == '%' else ''}")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return settled(figure)


@styled()
def plot_marker_panel(table: pd.DataFrame, *, title: str = "") -> Figure:
    """
    Markers among the recordings of the training cohort, as percentiles.

    Parameters
    ----------
    table : pandas.DataFrame
        Index: names; columns ``value``, ``unit``, ``percentile`` (1 to 99, NaN: not measured or not known).
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is missing, no percentile is known, or one lies outside of 0 to 100.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures.explanation import plot_marker_panel
    >>> table = pd.DataFrame({"value": [3.1, 0.012], "unit": ["st", ""], "percentile": [85.0, 30.0]},
    ...                      index=["pitch variability", "jitter"])
    >>> figure = plot_marker_panel(table)
    """
    table = need_table(table, ["value", "unit", "percentile"])
    places = numbers("percentile", table["percentile"], missing=True)
    if np.isnan(places).all():
        raise ParameterError("percentile holds no number: the quantiles of the training cohort are not known")
    if np.nanmin(places) < 0 or np.nanmax(places) > 100:
        raise ParameterError(f"percentile spans {np.nanmin(places):g} to {np.nanmax(places):g}; expected 0 to 100")
    figure = new_figure(0.8 + 0.36 * len(table), title, "dark: middle half of the cohort; light: nine in ten", MUTED)
    axes = figure.add_subplot()
    rows = np.arange(len(table))
    axes.barh(rows, 90, left=5, height=0.5, color=FAINT, zorder=1)
    axes.barh(rows, 50, left=25, height=0.5, color="#c7ced6", zorder=1)
    axes.axvline(50, color="white", linewidth=1.5, zorder=2)
    unusual = (places < 5) | (places > 95)
    for which, color, marker in ((~unusual, BLUE, "o"), (unusual, VERMILION, "D")):
        axes.plot(places[which], rows[which], marker, color=color, markersize=9, markeredgecolor="white", zorder=3)
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "verticalalignment": "center"}
    for row, (value, unit, place, odd) in enumerate(zip(table["value"], table["unit"], places, unusual, strict=True)):
        if np.isnan(place):
            axes.text(
                50,
                row,
                "not measured" if np.isnan(value) else "not known",
                color=MUTED,
                fontsize=9,
                horizontalalignment="center",
                verticalalignment="center",
                path_effects=halo(),
                zorder=4,
            )
        if not np.isnan(value):
            number = np.format_float_positional(float(f"{value:.3g}"), trim="-")
            axes.text(1.03, row, f"{number} {unit}".rstrip(), color=VERMILION if odd else INK, fontsize=10, **beside)
    axes.set_yticks(rows, [textwrap.fill(str(name), 22) for name in table.index])
    axes.set_xticks([1, 25, 50, 75, 99], ["lowest", "25", "median", "75", "highest"])
    axes.set(xlim=(-2, 102), ylim=(len(table) - 0.4, -0.6), xlabel="Percentile of the training cohort")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return settled(figure)


@styled()
def plot_saliency(
    segments: pd.DataFrame,
    *,
    samples: ArrayLike | None = None,
    rate_hz: float | None = None,
    unit: str = "points",
    most: int = 8,
    title: str = "",
) -> Figure:
    """
    When in a recording the evidence lies: contributions over time, in all and by group of markers.

    Parameters
    ----------
    segments : pandas.DataFrame
        One line a segment: ``start_s``, ``end_s`` (NaN: numbered instead), ``contribution``, and a column a group.
    samples : array_like of shape (n_samples,), optional
        The sound; its spectrogram is drawn above.
    rate_hz : float, optional
        Sampling rate of `samples`.
    unit : str
        Of the contributions.
    most : int
        Groups at most, those that move most.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is missing or a contribution is not finite.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures.explanation import plot_saliency
    >>> segments = pd.DataFrame({"start_s": [0.0, 1.0], "end_s": [1.0, 2.0], "contribution": [5.0, -1.0],
    ...                          "pitch": [4.0, -2.0], "jitter": [1.0, 1.0]})
    >>> figure = plot_saliency(segments)
    """
    from matplotlib.colors import LinearSegmentedColormap

    segments = need_table(segments, ["start_s", "end_s", "contribution"])
    total = numbers("contribution", segments["contribution"])
    groups = segments.drop(columns=["start_s", "end_s", "contribution"])
    groups = groups[groups.abs().sum().sort_values(ascending=False, kind="stable").index[:most]]
    spans = segments[["start_s", "end_s"]].to_numpy(float)
    timed = bool(np.isfinite(spans).all())
    centres = spans.mean(axis=1) if timed else np.arange(1.0, len(total) + 1)
    # where windows overlap, each is drawn as wide as they are apart
    between = (centres[1:] + centres[:-1]) / 2
    first, last = (spans[0, 0], spans[-1, 1]) if timed else (0.5, len(total) + 0.5)
    edges = np.concatenate([[first], between, [last]])

    signal = None if samples is None or not timed else numbers("samples", samples)
    heights = [*([1.3] if signal is not None else []), 1.0, *([0.25 * groups.shape[1] + 0.1] if len(groups.T) else [])]
    words = "points" if unit == "points" else "percentage points"
    figure = new_figure(0.6 + sum(heights), title, f"vermilion raises the answer, blue lowers it, in {words}", INK)
    panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
    if signal is not None:
        draw_spectrogram(panels.pop(0), signal, float(rate_hz or 16_000))
    axes = panels.pop(0)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.bar(edges[:-1], total, np.diff(edges), align="edge", color=np.where(total > 0, VERMILION, BLUE).tolist(),
             edgecolor="white", linewidth=0.6)  # fmt: skip
    axes.set_ylabel("All")
    if panels:
        shown = panels[0]
        values = groups.to_numpy(float).T
        top = np.abs(values).max() or 1.0
        colors = LinearSegmentedColormap.from_list("sides", [BLUE, "#8fbfdc", "white", "#f0b48a", VERMILION])
        shown.pcolormesh(edges, np.arange(len(values) + 1), values, cmap=colors, vmin=-top, vmax=top, rasterized=True)
        shown.set_yticks(np.arange(len(values)) + 0.5, [textwrap.shorten(str(g), 20) for g in groups.columns])
        shown.set_ylim(len(values), 0)
        shown.grid(False)
        shown.tick_params(axis="y", length=0)
        axes = shown
    axes.set(xlim=(edges[0], edges[-1]), xlabel="Time (s)" if timed else "Segment")
    return settled(figure)


@styled()
def plot_saliency_map(
    picture: ArrayLike,
    saliency: ArrayLike,
    *,
    duration_s: float,
    top_khz: float = 8.0,
    label: str = "",
    title: str = "",
) -> Figure:
    """
    Where on a spectrogram a network looked: levels in grey, the map above them in vermilion.

    Parameters
    ----------
    picture : array_like of shape (n_frames, n_bands)
        Levels in dB, such as log-mel, the lowest band first.
    saliency : array_like of shape (n_frames, n_bands)
        From 0 to 1, as `vocalbio.explain.grad_cam` gives it.
    duration_s : float
        Of the picture, in seconds.
    top_khz : float
        Where the highest band lies; the axis tells mel-spaced frequencies.
    label : str
        What the map speaks for, such as ``"P(apnea)"``.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the arrays are no pictures of one shape, or hold NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.figures.explanation import plot_saliency_map
    >>> rng = np.random.default_rng(0)
    >>> figure = plot_saliency_map(rng.normal(size=(100, 40)), rng.uniform(size=(100, 40)), duration_s=1.0)
    """
    from matplotlib.colors import LinearSegmentedColormap

    levels, values = np.asarray(picture, float), np.asarray(saliency, float)
    if (
        levels.ndim != 2
        or levels.shape != values.shape
        or not (np.isfinite(levels).all() and np.isfinite(values).all())
    ):
        raise ParameterError(
            f"picture has shape {levels.shape} and saliency {values.shape}; expected finite numbers of one shape "
            "(n_frames, n_bands)"
        )
    finite(duration_s=duration_s, top_khz=top_khz)
    note = f"vermilion: speaks for {label}" if label else "vermilion: where the network looked"
    figure = new_figure(3.4, title, note, VERMILION)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    extent = (0.0, duration_s, 0.0, float(levels.shape[1]))
    grey = LinearSegmentedColormap.from_list("grey", ["white", "#3c4350"])
    low, high = np.percentile(levels, [5, 99.5])
    clear = LinearSegmentedColormap.from_list("clear", [(0.84, 0.37, 0.0, 0.0), (0.84, 0.37, 0.0, 0.9)])
    for axes in panels:
        axes.imshow(levels.T, cmap=grey, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent)
        axes.grid(False)
        shown_khz = [f for f in (0.5, 1, 2, 4, 8) if f <= top_khz]
        axes.set_yticks([levels.shape[1] * _mel(f) / _mel(top_khz) for f in shown_khz], [f"{f:g}" for f in shown_khz])
        axes.set_ylabel("kHz")
    panels[1].imshow(values.T, cmap=clear, vmin=0, vmax=1, origin="lower", aspect="auto", extent=extent)
    panels[1].set_xlabel("Time (s)")
    return settled(figure)


def _mel(khz: float) -> float:
    return float(np.log10(1 + 1000 * khz / 700))
