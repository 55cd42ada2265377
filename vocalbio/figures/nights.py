"""A night: the whole of it at a glance, and one event close up."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError
from vocalbio.figures.recording import draw_spectrogram
from vocalbio.figures.style import (
    BLUE,
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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["plot_event", "plot_night"]

SNORE = "#009E73"  # Okabe and Ito's green
KIND_COLORS = {"apnea": VERMILION, "hypopnea": BLUE}
_COLUMNS = 480  # finer is lost at the width of a phone


@styled()
def plot_night(
    evidence: pd.DataFrame,
    events: pd.DataFrame,
    *,
    started: datetime | None = None,
    lights_out_s: float | None = None,
    lights_on_s: float | None = None,
    title: str = "",
) -> Figure:
    """
    A night at a glance: how loud, how much snoring, every event, events per hour.

    Parameters
    ----------
    evidence : pandas.DataFrame
        One row a second; columns ``level_db``, ``floor_db``, ``snore``, ``usable``, as in `vocalbio.NightReport`.
    events : pandas.DataFrame
        ``start_s``, ``end_s``, ``kind``; may be empty.
    started : datetime, optional
        When the recording began: the clock then stands below, otherwise hours from the beginning.
    lights_out_s, lights_on_s : float, optional
        In seconds from the beginning; marked, and what lies outside is paled and not counted.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is missing or there is not a second of evidence.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from vocalbio.figures.nights import plot_night
    >>> evidence = pd.DataFrame({"level_db": -50.0, "floor_db": -60.0, "snore": 0.7, "usable": 1}, index=range(7200))
    >>> figure = plot_night(evidence, pd.DataFrame({"start_s": [900.0], "end_s": [915.0], "kind": ["apnea"]}))
    """
    evidence = need_table(evidence, ["level_db", "floor_db", "snore", "usable"])
    _need_columns(events, ("start_s", "end_s", "kind"))
    finite(lights_out_s=lights_out_s, lights_on_s=lights_on_s)
    total_s = len(evidence)
    begin_s, end_s = max(0.0, lights_out_s or 0.0), min(total_s, total_s if lights_on_s is None else lights_on_s)
    usable = evidence["usable"].to_numpy() == 1
    counted = events[events["start_s"].between(begin_s, end_s, inclusive="left")]
    seconds = np.arange(total_s) + 0.5
    analysed = usable & (seconds > begin_s) & (seconds < end_s)

    told = f"{len(counted)} event{'s' * (len(counted) != 1)} in {analysed.sum() / 3600:.1f} h"
    heights = [1.25, 0.75, 0.6, 0.95]
    figure = new_figure(0.75 + sum(heights), title, told, INK)
    panels = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    loud, snoring, marks, rate = panels

    step = max(1, -(-total_s // _COLUMNS))
    over = (evidence["level_db"] - evidence["floor_db"]).to_numpy(float)
    over = np.where(usable, np.maximum(over, 0.0), np.nan)
    middle, high = _binned(over, step, 50), _binned(over, step, 95)
    _fill(loud, high, step, color=BLUE, alpha=0.25)
    _fill(loud, middle, step, color=BLUE, alpha=0.75)
    top = max(20.0, float(np.nanmax(high))) if np.isfinite(high).any() else 20.0
    loud.set(ylim=(0, top * 1.25), ylabel="dB")
    _name_inside(loud, "Sound above the noise floor")

    wide = max(step, 120 if total_s > 5400 else 20)
    share = _binned(np.where(usable, evidence["snore"].to_numpy() >= 0.5, np.nan), wide, None)
    _fill(snoring, 100 * share, wide, color=SNORE, alpha=0.8)
    snoring.set(ylim=(0, 150), yticks=[0, 50, 100], ylabel="%")
    _name_inside(snoring, "Snoring, share of the time")

    kinds = [*KIND_COLORS, *sorted(set(events["kind"]) - set(KIND_COLORS))]
    kinds = [kind for kind in kinds if kind in KIND_COLORS or (events["kind"] == kind).any()]
    for row, kind in enumerate(reversed(kinds)):
        onsets = events.loc[events["kind"] == kind, "start_s"].to_numpy(float) / 3600
        marks.vlines(onsets, row - 0.36, row + 0.36, color=KIND_COLORS.get(kind, MUTED), linewidth=1.1)
    marks.set(ylim=(-0.6, len(kinds) - 0.4), yticks=range(len(kinds)))
    marks.set_yticklabels(list(reversed(kinds)))
    for label, kind in zip(marks.get_yticklabels(), reversed(kinds), strict=True):
        label.set_color(KIND_COLORS.get(kind, MUTED))
    marks.tick_params(axis="y", length=0)
    marks.grid(False)

    block_s, words = (1800, "every half hour") if total_s > 5400 else (300, "every five minutes")
    _rates(rate, counted, analysed, (begin_s, end_s), block_s, kinds)
    _name_inside(rate, f"Events an hour, {words}")

    for axes in panels:
        _shade(axes, ~usable, total_s)
        for outside in ((0, begin_s), (end_s, total_s)):
            if outside[1] > outside[0]:
                axes.axvspan(outside[0] / 3600, outside[1] / 3600, color="white", alpha=0.65, linewidth=0, zorder=4)
        for time_s in (lights_out_s, lights_on_s):
            if time_s is not None and 0 <= time_s <= total_s:
                axes.axvline(time_s / 3600, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=5)
    for given_s, text, side in ((lights_out_s, "lights out", "left"), (lights_on_s, "lights on", "right")):
        if given_s is not None and 0 <= given_s <= total_s:
            loud.annotate(
                text,
                (given_s / 3600, 1),
                xycoords=loud.get_xaxis_transform(),
                xytext=(0, 3),
                textcoords="offset points",
                horizontalalignment=side,
                fontsize=9.5,
                color=INK,
            )
    if not usable.all():
        _name_unusable(loud, usable, total_s)
    _hours(rate, total_s, started)
    figure.align_ylabels()
    return settled(figure)


def _fill(axes: Axes, values: NDArray[np.float64], step: int, **style: Any) -> None:
    edges_h = np.arange(len(values) + 1) * step / 3600
    axes.fill_between(edges_h, 0, np.append(values, values[-1]), step="post", linewidth=0, **style)


def _rates(
    axes: Axes,
    events: pd.DataFrame,
    analysed: NDArray[np.bool_],
    lights: tuple[float, float],
    block_s: int,
    kinds: list[str],
) -> None:
    """Stacked bars; blocks with little analysed sound have none."""
    n_blocks = -(-len(analysed) // block_s)
    edges = np.arange(n_blocks + 1) * block_s
    hours = np.array([analysed[a:b].sum() for a, b in pairwise(edges)]) / 3600
    known = hours * 3600 >= min(300, block_s / 2)
    starts, ends = np.clip(edges[:-1], *lights), np.clip(edges[1:], *lights)
    below = np.zeros(n_blocks)
    for kind in kinds:
        counts, _ = np.histogram(events.loc[events["kind"] == kind, "start_s"], edges)
        height = np.divide(counts, hours, out=np.zeros(n_blocks), where=known)
        axes.bar(
            starts / 3600,
            height,
            (ends - starts) / 3600,
            below,
            align="edge",
            color=KIND_COLORS.get(kind, MUTED),
            edgecolor="white",
            linewidth=1,
        )
        below += height
    axes.set_ylim(0, max(10.0, below.max(initial=0.0)) * 1.35)
    axes.set_ylabel("per h")


def _binned(values: NDArray[Any], step: int, percentile: float | None) -> NDArray[np.float64]:
    """Percentile (None: mean) of each `step` seconds, NaN where there is nothing."""
    values = np.asarray(values, float)
    padded = np.append(values, np.full(-len(values) % step, np.nan)).reshape(-1, step)
    found = np.full(len(padded), np.nan)
    some = np.isfinite(padded).any(axis=1)
    if some.any():
        found[some] = (
            np.nanmean(padded[some], axis=1)
            if percentile is None
            else np.nanpercentile(padded[some], percentile, axis=1)
        )
    return found


def _runs(which: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], which, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _shade(axes: Axes, which: NDArray[np.bool_], total_s: int) -> None:
    for start, stop in _runs(which):
        if stop - start >= total_s / 2000:  # less than a pixel
            axes.axvspan(start / 3600, stop / 3600, color=PALE, alpha=0.55, linewidth=0, zorder=0)


def _name_unusable(axes: Axes, usable: NDArray[np.bool_], total_s: int) -> None:
    start, stop = max(_runs(~usable), key=lambda run: run[1] - run[0])
    if stop - start < 0.02 * total_s:
        return
    wide = stop - start > 0.16 * total_s
    axes.annotate(
        "not usable",
        ((start + stop) / 7200, 0.5),
        xycoords=axes.get_xaxis_transform(),
        rotation=0 if wide else 90,
        horizontalalignment="center",
        verticalalignment="center",
        fontsize=9.5,
        color=MUTED,
        path_effects=halo(),
    )


def _name_inside(axes: Axes, text: str) -> None:
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(4, -3),
        textcoords="offset points",
        verticalalignment="top",
        fontsize=9.5,
        color=INK,
        path_effects=halo(),
        zorder=6,
    )


def _hours(axes: Axes, total_s: int, started: datetime | None) -> None:
    """Ticks at whole hours (or what suits a shorter time), of the clock where it is known."""
    from matplotlib.ticker import FixedLocator

    step_s = next((s for s in (60, 300, 600, 1800, 3600, 7200, 10800) if total_s / s <= 9), 21600)
    first = 0.0
    if started is not None:
        midnight = started.replace(hour=0, minute=0, second=0, microsecond=0)
        first = -((started - midnight).total_seconds()) % step_s
    places = np.arange(first, total_s + 1, step_s)
    axes.xaxis.set_major_locator(FixedLocator(list(places / 3600)))
    if started is not None:
        names = [(started + timedelta(seconds=float(s) + 0.5)).strftime("%H:%M") for s in places]
        label = "Time"
    elif step_s >= 3600:
        names, label = [f"{s / 3600:g}" for s in places], "Hours from the beginning"
    else:
        names = [f"{int(s) // 3600}:{int(s) // 60 % 60:02d}" for s in places]
        label = "Hours and minutes from the beginning"
    axes.set_xticklabels(names)
    axes.set_xlim(0, total_s / 3600)
    axes.set_xlabel(label)


@styled()
def plot_event(
    samples: ArrayLike,
    sampling_rate_hz: float,
    start_s: float,
    end_s: float,
    *,
    offset_s: float = 0.0,
    kind: str = "apnea",
    started: datetime | None = None,
    title: str = "",
) -> Figure:
    """
    One event close up: envelope and spectrogram, with the breaths before and after it.

    Parameters
    ----------
    samples : array-like of shape (n_samples,)
        The event with some 20 s on either side.
    sampling_rate_hz : float
    start_s, end_s : float
        Of the event, in seconds of the recording.
    offset_s : float
        Where the samples begin in the recording, in seconds.
    kind : str
        Decides the colour.
    started : datetime, optional
        When the recording began: the clock then stands below.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the samples are empty or infinite, the rate is not positive, or the event does not lie inside them.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.figures.nights import plot_event
    >>> figure = plot_event(np.random.default_rng(0).normal(0, 0.01, 16_000 * 30), 16_000, 10.0, 20.0)
    """
    signal = np.nan_to_num(numbers("samples", samples, missing=True))  # NaN: nothing was recorded there
    if not np.isfinite(signal).all() or np.abs(signal).max() > 1e6:
        raise ParameterError("samples holds infinite values; expected a signal in [-1, 1]")
    finite(sampling_rate_hz=sampling_rate_hz, start_s=start_s, end_s=end_s, offset_s=offset_s)
    if sampling_rate_hz <= 0:
        raise ParameterError(f"sampling_rate_hz is {sampling_rate_hz}; expected a rate in Hz, such as 16000")
    stop_s = offset_s + len(signal) / sampling_rate_hz
    if not offset_s <= start_s < end_s <= stop_s + 1:
        raise ParameterError(
            f"the event lasts from {start_s:g} to {end_s:g} s, the samples from {offset_s:g} to {stop_s:g} s; expected "
            "the event inside them"
        )
    color = KIND_COLORS.get(kind, MUTED)
    figure = new_figure(3.3, title, f"shaded: {kind}-like, {end_s - start_s:.0f} s", color)
    wave, picture = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.6])

    hop = max(1, round(0.05 * sampling_rate_hz))
    frames = signal[: len(signal) // hop * hop].reshape(-1, hop) if len(signal) >= hop else signal[None]
    # speech and breath, not the rumble below them
    level = (
        np.sqrt(np.mean(np.square(np.diff(frames, axis=1)), axis=1)) if frames.shape[1] > 1 else np.abs(frames[:, 0])
    )
    times_s = offset_s + (np.arange(len(level)) + 0.5) * hop / sampling_rate_hz
    shown_db = 20 * np.log10(np.maximum(level, 1e-7))
    floor_db = float(np.percentile(shown_db, 5))
    wave.fill_between(times_s, 0, np.maximum(shown_db - floor_db, 0), color=BLUE, linewidth=0.5)
    wave.set(ylim=(0, max(12.0, float(shown_db.max() - floor_db) * 1.1)), ylabel="dB")

    draw_spectrogram(picture, signal, sampling_rate_hz, start_s=offset_s, quantiles=(70, 99.8))
    for axes in (wave, picture):
        axes.axvspan(start_s, end_s, color=color, alpha=0.16, linewidth=0, zorder=1)
        for time_s in (start_s, end_s):
            axes.axvline(time_s, color=color, linewidth=1.2, zorder=2)
    picture.set_xlim(offset_s, stop_s)
    _seconds(picture, offset_s, stop_s, started)
    figure.align_ylabels()
    return settled(figure)


def _seconds(axes: Axes, begin_s: float, end_s: float, started: datetime | None) -> None:
    from matplotlib.ticker import FixedLocator

    step_s = next((s for s in (1, 2, 5, 10, 20, 30, 60) if (end_s - begin_s) / s <= 8), 120)
    shift = 0.0 if started is None else started.second + started.microsecond / 1e6
    places = np.arange(-(-(begin_s + shift) // step_s) * step_s, end_s + shift, step_s) - shift
    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    if started is None:
        names = [f"{int(s) // 3600}:{int(s) // 60 % 60:02d}:{int(s) % 60:02d}" for s in places + 1e-6]
    else:
        names = [(started + timedelta(seconds=float(s) + 1e-4)).strftime("%H:%M:%S") for s in places]
    axes.set_xticklabels([name if n % 2 == 0 else "" for n, name in enumerate(names)])
    axes.set_xlabel("Time" if started else "Time from the beginning")


def _need_columns(table: Any, columns: tuple[str, ...]) -> None:
    if not isinstance(table, pd.DataFrame) or not set(columns) <= set(table.columns):
        got = f"columns {list(table.columns)}" if isinstance(table, pd.DataFrame) else type(table).__name__
        raise ParameterError(f"events has {got}; expected a DataFrame with {', '.join(columns)}")
