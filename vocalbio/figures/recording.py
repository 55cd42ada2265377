"""A recording: waveform, spectrogram, pitch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError
from vocalbio.figures.style import BLUE, VERMILION, finite, new_figure, numbers, same_length, settled, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_spectrogram", "plot_recording", "spectrogram_db"]

SHADES = ["white", "#8fbfdc", BLUE, "#012a44", "black"]
QUIETEST_DB = -90.0  # below lies nothing that a microphone heard
SHOWN_DB = 55


@styled()
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
    signal = numbers("samples", samples)
    finite(sampling_rate_hz=sampling_rate_hz)
    if sampling_rate_hz <= 0:
        raise ParameterError(f"sampling_rate_hz is {sampling_rate_hz}; expected a rate in Hz, such as 16000")
    spans = [numbers("pauses", span) for span in pauses]
    if any(len(span) != 2 or span[0] > span[1] for span in spans):
        raise ParameterError("pauses holds something else than (start, end) in seconds with start <= end")
    if f0 is not None:
        if not isinstance(f0, tuple | list) or len(f0) != 2:
            raise ParameterError(f"f0 is a {type(f0).__name__}; expected the pair (times_s, f0_hz)")
        times_s, f0_hz = numbers("f0[0]", f0[0]), numbers("f0[1]", f0[1], missing=True)
        same_length(times_s=times_s, f0_hz=f0_hz)
    duration_s = len(signal) / sampling_rate_hz

    total_s = sum(end - start for start, end in spans)
    note = f"shaded: pauses ({len(spans)}, {total_s:.1f} s in all)" if spans else ""
    heights = [1.1, 1.9] if f0 is None else [1.1, 1.9, 1.5]
    figure = new_figure(0.6 + sum(heights), title, note, VERMILION)
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
    draw_spectrogram(panels[1], signal, sampling_rate_hz)
    panels[1].set_ylabel("Frequency (kHz)")
    if f0 is not None:
        panels[2].plot(times_s, f0_hz, color=BLUE, linewidth=1.5, marker=".", markersize=3)
        panels[2].set_ylabel("F0 (Hz)")
    for start, end in spans:
        for axes in panels:
            axes.axvspan(start, end, color=VERMILION, alpha=0.15, linewidth=0, zorder=1)
    panels[0].set_xlim(0, duration_s)
    panels[-1].set_xlabel(x_label)
    figure.align_ylabels()
    return settled(figure)


def draw_spectrogram(
    axes: Axes,
    signal: np.ndarray,
    sampling_rate_hz: float,
    *,
    start_s: float = 0.0,
    quantiles: tuple[float, float] | None = None,
) -> None:
    """
    Draw a spectrogram up to 8 kHz on axes of seconds and kHz.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    signal : numpy.ndarray of shape (n_samples,)
    sampling_rate_hz : float
        In Hz.
    start_s : float
        Where the signal begins, in seconds.
    quantiles : (float, float), optional
        Percentiles of the levels that are white (55 dB below black at most) and black; None: 55 dB below the loudest,
        and the loudest.
    """
    from matplotlib.colors import LinearSegmentedColormap

    levels_db = spectrogram_db(signal, sampling_rate_hz)
    loudest_db = max(float(np.percentile(levels_db, quantiles[1]) if quantiles else levels_db.max()), QUIETEST_DB)
    faintest_db = loudest_db - SHOWN_DB
    axes.imshow(
        levels_db,
        cmap=LinearSegmentedColormap.from_list("levels", SHADES),
        vmin=max(float(np.percentile(levels_db, quantiles[0])), faintest_db) if quantiles else faintest_db,
        vmax=loudest_db,
        origin="lower",
        aspect="auto",
        extent=(start_s, start_s + len(signal) / sampling_rate_hz, 0, min(8.0, sampling_rate_hz / 2000)),
    )
    axes.set_ylabel("kHz")
    axes.grid(False)


def spectrogram_db(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Levels in dB up to 8 kHz, shape (n_frequencies, n_columns)."""
    # Voices fall by 6 dB an octave: this levels them, so that the formants above the first are seen.
    signal = signal - 0.95 * np.append(signal[:1], signal[:-1])
    window = np.hanning(min(len(signal), max(2, round(0.03 * sampling_rate_hz))) + 2)[1:-1]
    hop = max(1, round(0.005 * sampling_rate_hz), len(signal) // 1200)  # finer is lost on paper and screen
    frames = np.lib.stride_tricks.sliding_window_view(signal, len(window))[::hop]
    amplitude = np.abs(np.fft.rfft(frames * window, axis=1)).T / (window.sum() / 2)
    shown = np.fft.rfftfreq(len(window), 1 / sampling_rate_hz) < 8001
    return 20 * np.log10(np.maximum(amplitude[shown], 1e-10))
