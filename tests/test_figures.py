"""What a figure shows must equal what it was given; how it looks was judged by eye."""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from matplotlib.figure import Figure
from matplotlib.text import Text

from vocalbio import figures
from vocalbio.errors import MissingPackageError, ParameterError

EMOTIONS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
LONG_NAMES = ["normal breathing", "obstructive apnea", "hypopnea with desaturation", "snoring", "movement"]
RELIABILITY = pd.DataFrame({"mean_score": [0.1, 0.3, 0.8], "observed_fraction": [0.05, 0.4, 0.7], "n": [21, 20, 22]})
SYSTEMS = pd.DataFrame(
    [[0.69, 0.63, 0.75], [0.52, 0.44, 0.6], [np.nan] * 3],
    index=["compact embedding and Praat voice, dense network", "loudness only", "sex only"],
    columns=["estimate", "low", "high"],
)
HISTORY = {
    "loss": [0.9, 0.6, 0.4, 0.3],
    "accuracy": [0.5, 0.6, 0.8, 0.9],
    "val_loss": [0.9, 0.7, 0.6, 0.8],
    "val_accuracy": [0.5, 0.6, 0.7, 0.6],
}

DAYS = pd.DataFrame(
    {"score": [40.0, 42.0, 41.0, 43.0, 60.0, 62.0], "in_baseline": [True] * 3 + [False] * 3, "reliable": False},
    index=pd.date_range("2026-01-01", periods=6),
).assign(reliable=[False] * 5 + [True])


def confusion_of(classes: list[str], seed: int = 0) -> pd.DataFrame:
    counts = np.random.default_rng(seed).integers(0, 90, size=(len(classes), len(classes)))
    return pd.DataFrame(counts, index=classes, columns=classes)


def tone(frequency_hz: float, duration_s: float, sampling_rate_hz: int = 16_000) -> np.ndarray:
    times_s = np.arange(int(duration_s * sampling_rate_hz)) / sampling_rate_hz
    return 0.3 * np.sin(2 * np.pi * frequency_hz * times_s)


@pytest.fixture
def screened(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Illness and risk of 120 people; risks are rounded, so that some are tied."""
    ill = rng.random(120) < 0.3
    return ill, np.round(np.clip(0.25 * ill + 0.75 * rng.random(120), 0, 1), 2)


def gallery() -> dict[str, Callable[[], Figure]]:
    rng = np.random.default_rng(0)
    ill = rng.random(60) < 0.3
    risk = np.clip(0.25 * ill + 0.75 * rng.random(60), 0, 1)
    title = "Held-out speakers of a corpus whose name and description go on for much more than one line"
    times_s = np.arange(0.0, 1.0, 0.01)
    return {
        "confusion of 2": partial(figures.plot_confusion, confusion_of(["Low Risk", "High Risk"]), title=title),
        "confusion of 8": partial(figures.plot_confusion, confusion_of(EMOTIONS), title=title),
        "long names": partial(figures.plot_confusion, confusion_of(LONG_NAMES), title=title),
        "roc": partial(figures.plot_roc, ill, risk, label="AUROC 0.71 [0.58, 0.83]", title=title),
        "precision-recall": partial(figures.plot_precision_recall, ill, risk, label="AUPRC 0.5", title=title),
        "reliability": partial(figures.plot_reliability, RELIABILITY, label="ECE 0.08", title=title),
        "score": partial(
            figures.plot_score_by_class,
            100 * rng.random(60),
            np.resize(LONG_NAMES, 60),
            threshold=70,
            title=title,
        ),
        "severity": partial(
            figures.plot_severity,
            rng.integers(0, 25, 60),
            24 * rng.random(60),
            cutoff=10,
            label="CCC",
            title=title,
        ),
        "intervals": partial(figures.plot_intervals, SYSTEMS, chance=1 / 3, title=title),
        "training": partial(figures.plot_training, HISTORY, title=title),
        "track": partial(figures.plot_track, DAYS, {"centre": 41.0, "low": 33.0, "high": 49.0}, title=title),
        "recording": partial(
            figures.plot_recording,
            tone(220, 1),
            16_000,
            f0=(times_s, np.full(100, 220.0)),
            pauses=[(0.4, 0.6)],
            title=title,
        ),
    }


all_figures = pytest.mark.parametrize("draw", gallery().values(), ids=gallery().keys())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


# Every figure --------------------------------------------------------------------------------------------


@all_figures
def test_the_same_bytes_every_time_and_whatever_the_settings_of_the_session(
    draw: Callable[[], Figure],
) -> None:
    figure = draw()
    png = figures.to_png_bytes(figure)
    assert figures.to_png_bytes(figure) == png
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "axes.grid": False}):
        before = dict(matplotlib.rcParams)
        assert figures.to_png_bytes(draw()) == png
        assert dict(matplotlib.rcParams) == before


@all_figures
def test_nothing_is_cut_off_however_long_title_and_names_are(draw: Callable[[], Figure]) -> None:
    figure = draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(drawn.x0, drawn.y0, width - drawn.x1, height - drawn.y1) > 0


def test_threads_that_draw_at_once_leave_the_settings_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    some = list(gallery().values())[::3]
    expected = [figures.to_png_bytes(draw()) for draw in some]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda draw: figures.to_png_bytes(draw()), some)) == expected
    assert dict(matplotlib.rcParams) == before


def test_no_figure_stays_open_because_pyplot_is_never_loaded() -> None:
    program = (
        "import sys, json; from vocalbio import figures;"
        "before = 'matplotlib' in sys.modules;"
        "figures.to_png_bytes(figures.plot_training({'loss': [0.9, 0.6]}));"
        "print(json.dumps([before, 'matplotlib.pyplot' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False]


def test_a_notebook_finds_the_picture_without_pyplot() -> None:
    figure = figures.plot_training(HISTORY)
    assert figure._repr_png_() == figures.to_png_bytes(figure)  # type: ignore[attr-defined]


def test_a_figure_survives_pickling() -> None:
    figure = figures.plot_training(HISTORY)
    assert figures.to_png_bytes(pickle.loads(pickle.dumps(figure))) == figures.to_png_bytes(figure)


def test_resolution_sets_the_size_in_pixels() -> None:
    figure = figures.plot_training(HISTORY)
    width, height = struct.unpack(">II", figures.to_png_bytes(figure, dpi=300)[16:24])
    assert (width, height) == pytest.approx(300 * figure.get_size_inches(), abs=1)


def test_data_uri_holds_the_png() -> None:
    figure = figures.plot_training(HISTORY)
    kind, data = figures.to_data_uri(figure).split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == figures.to_png_bytes(figure)


def test_without_matplotlib_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(MissingPackageError, match="pip install 'matplotlib'"):
        figures.plot_training(HISTORY)


# One by one ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [["Low Risk", "High Risk"], LONG_NAMES, EMOTIONS])
def test_confusion_shows_each_count_in_its_cell_and_its_share_of_the_row(classes: list[str]) -> None:
    table = confusion_of(classes)
    (axes,) = figures.plot_confusion(table).axes
    shown = {}
    for text in axes.texts:
        column, row = text.get_position()
        shown.setdefault((round(row), round(column)), []).append(text.get_text())
    for row, counts in enumerate(table.to_numpy()):
        for column, count in enumerate(counts):
            assert shown[row, column] == [str(count), f"{100 * count / counts.sum():.0f} %"]
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert names == [f"{name} n = {table.loc[name].sum()}" for name in classes]
    assert [label.get_text().replace("\n", " ") for label in axes.get_xticklabels()] == classes


def test_a_class_without_rows_has_counts_but_no_shares() -> None:
    table = pd.DataFrame([[0, 0], [3, 1]], index=["sad", "neutral"], columns=["sad", "neutral"])
    (axes,) = figures.plot_confusion(table).axes
    assert [text.get_text() for text in axes.texts] == ["0", "0", "3", "75 %", "1", "25 %"]


def test_roc_runs_from_corner_to_corner_along_scikit_learns(screened: tuple[np.ndarray, np.ndarray]) -> None:
    figure = figures.plot_roc(*screened, label="AUROC 0.71 [0.58, 0.83]")
    (axes,) = figure.axes
    chance, curve = axes.lines
    x, y = curve.get_data()
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    expected = sklearn.metrics.roc_curve(*screened)
    np.testing.assert_array_equal([x, y], expected[:2])
    assert sklearn.metrics.auc(x, y) == pytest.approx(sklearn.metrics.roc_auc_score(*screened))
    assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert "AUROC 0.71 [0.58, 0.83]" in texts(figure)


def test_area_under_the_precision_recall_steps_is_average_precision(
    screened: tuple[np.ndarray, np.ndarray],
) -> None:
    figure = figures.plot_precision_recall(*screened)
    (axes,) = figure.axes
    prevalence, curve = axes.lines
    recall, precision = curve.get_data()
    assert curve.get_drawstyle() == "steps-post"
    area = np.sum(-np.diff(recall) * precision[:-1])
    assert area == pytest.approx(sklearn.metrics.average_precision_score(*screened))
    assert list(prevalence.get_ydata()) == [screened[0].mean()] * 2
    assert f"prevalence {screened[0].mean():.2f}: chance" in texts(figure)


def test_precision_starts_with_the_highest_score_and_not_with_a_convention() -> None:
    curve = figures.plot_precision_recall([0, 1], [0.9, 0.1]).axes[0].lines[-1]
    assert curve.get_xydata().tolist() == [[1, 0.5], [0, 0], [0, 0]]


def test_reliability_shows_points_above_and_counts_below() -> None:
    points, counts = figures.plot_reliability(RELIABILITY).axes
    assert points.lines[-1].get_xydata().tolist() == RELIABILITY[["mean_score", "observed_fraction"]].values.tolist()
    stems = [segment.tolist() for segment in counts.collections[0].get_segments()]
    assert stems == [[[x, 0], [x, n]] for x, n in zip(RELIABILITY["mean_score"], RELIABILITY["n"], strict=True)]


def test_scores_lie_in_the_row_of_their_class_with_the_share_above_the_threshold() -> None:
    scores = [10, 20, 30, 75, 60, 70, 80, 90]
    labels = ["neutral"] * 4 + ["anxious"] * 4
    (axes,) = figures.plot_score_by_class(scores, labels, threshold=70, classes=["neutral", "sad", "anxious"]).axes
    dots = [collection.get_offsets() for collection in axes.collections]
    assert [row[:, 0].tolist() for row in dots] == [[10, 20, 30, 75], [], [60, 70, 80, 90]]
    assert [np.round(row[:, 1]).tolist() for row in dots] == [[0] * 4, [], [2] * 4]
    assert axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "neutral\nn = 4",
        "sad\nn = 0",
        "anxious\nn = 4",
    ]
    assert [text.get_text() for text in axes.texts] == ["25 %", "50 %", "> 70"]
    assert list(axes.lines[0].get_xdata()) == [70, 70]


def test_box_of_a_class_is_its_middle_half(rng: np.random.Generator) -> None:
    scores = 100 * rng.random(41)
    (axes,) = figures.plot_score_by_class(scores, ["sad"] * 41).axes
    (box,) = axes.patches
    assert [box.get_x(), box.get_x() + box.get_width()] == pytest.approx(np.sort(scores)[[10, 30]].tolist())
    (median,) = axes.collections[-1].get_segments()
    assert median[:, 0].tolist() == [np.sort(scores)[20]] * 2


def test_severity_counts_people_in_the_four_corners() -> None:
    totals, predicted = [2, 9, 10, 12, 20, 24, 3], [3, 10, 10, 4, 15, 9.9, 2]
    figure = figures.plot_severity(totals, predicted, cutoff=10)
    (axes,) = figure.axes
    assert axes.collections[0].get_offsets().tolist() == [[x, y] for x, y in zip(totals, predicted, strict=True)]
    assert {"cleared: 2", "false alarms: 1", "found: 2", "missed: 2", "cut-off 10"} <= set(texts(figure))
    assert axes.get_xlim() == axes.get_ylim()
    identity = axes.lines[0].get_xydata()
    np.testing.assert_array_equal(identity[:, 0], identity[:, 1])


def test_severity_of_one_value_alone_can_be_drawn() -> None:
    low, high = figures.plot_severity([7], [7]).axes[0].get_xlim()
    assert low < 7 < high


def test_intervals_have_one_row_a_system_in_the_order_of_the_table() -> None:
    figure = figures.plot_intervals(SYSTEMS, chance=1 / 3)
    (axes,) = figure.axes
    by_row = sorted(axes.texts[:6], key=lambda text: -text.get_window_extent().y0)
    shown = [text.get_text().replace("\n", " ") for text in by_row]
    assert shown[0::2] == SYSTEMS.index.tolist()
    assert shown[1::2] == ["0.69 [0.63, 0.75]", "0.52 [0.44, 0.60]", "not defined"]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), SYSTEMS["estimate"])
    bars = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments() if len(segment)]
    assert bars == [[0.63, 0.75], [0.44, 0.6]]
    assert list(axes.lines[1].get_xdata()) == [1 / 3] * 2
    assert "chance 0.33" in texts(figure)


def test_training_draws_what_keras_recorded_and_marks_the_best_epoch() -> None:
    figure = figures.plot_training(HISTORY)
    for axes, quantity in zip(figure.axes, ["loss", "accuracy"], strict=True):
        drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
        for word, name in {"training": quantity, "validation": f"val_{quantity}"}.items():
            assert drawn[word] == [[epoch, value] for epoch, value in enumerate(HISTORY[name], start=1)]
        assert list(axes.lines[-1].get_xdata()) == [3, 3]
    assert "dotted: lowest validation loss, epoch 3" in texts(figure)


def test_track_draws_each_day_once_beside_the_band_of_the_baseline() -> None:
    figure = figures.plot_track(DAYS, {"centre": 41.0, "low": 33.0, "high": 49.0})
    (axes,) = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert drawn["baseline"] == [40, 42, 41]
    assert drawn["within chance, or alone"] == [43, 60]
    assert drawn["reliable change"] == [62]
    (band,) = axes.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (33, 49)
    assert "reliable change on 1 of 6 days" in texts(figure)


def test_track_without_a_baseline_has_no_band() -> None:
    (axes,) = figures.plot_track(DAYS, dict.fromkeys(("centre", "low", "high"), np.nan)).axes
    assert not axes.patches


def test_training_that_diverged_or_ended_at_once_can_be_drawn() -> None:
    figure = figures.plot_training({"loss": [0.5, np.nan], "val_loss": [np.nan, np.nan]})
    assert not any("lowest" in text for text in texts(figure))
    (axes,) = figures.plot_training({"loss": [0.5]}).axes
    assert [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]] == [1]


def test_a_tone_is_a_line_of_the_spectrogram_at_its_frequency_while_it_lasts() -> None:
    samples = np.concatenate([tone(1_000, 1.0), tone(3_000, 0.5)])
    _, spectrogram = figures.plot_recording(samples, 16_000).axes
    (image,) = spectrogram.images
    start_s, end_s, low_khz, high_khz = image.get_extent()
    assert (start_s, end_s, low_khz, high_khz) == pytest.approx((0, 1.5, 0, 8))
    levels = np.asarray(image.get_array())
    khz = np.linspace(low_khz, high_khz, levels.shape[0])[levels.argmax(axis=0)]
    times_s = np.linspace(start_s, end_s, levels.shape[1])
    assert khz[times_s < 0.95] == pytest.approx(1.0, abs=0.05)
    assert khz[times_s > 1.05] == pytest.approx(3.0, abs=0.05)


def test_recording_shows_f0_with_gaps_and_shades_the_pauses() -> None:
    times_s, f0_hz = np.array([0.1, 0.2, 0.3]), np.array([110.0, np.nan, 120.0])
    figure = figures.plot_recording(tone(110, 1), 16_000, f0=(times_s, f0_hz), pauses=[(0.4, 0.6), (0.8, 0.9)])
    for axes in figure.axes:
        to_data = axes.transData.inverted()
        shaded = [to_data.transform_bbox(patch.get_extents()).intervalx for patch in axes.patches]
        np.testing.assert_allclose(shaded, [(0.4, 0.6), (0.8, 0.9)])
        assert axes.get_xlim() == (0, 1)
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), f0_hz)
    assert "shaded: pauses (2, 0.3 s in all)" in texts(figure)


def test_no_peak_of_a_long_recording_is_lost_in_its_waveform() -> None:
    samples = np.zeros(16_000 * 60)
    samples[123_457], samples[700_001] = 0.9, -0.8
    waveform = figures.plot_recording(samples, 16_000).axes[0].collections[0]
    heights = waveform.get_paths()[0].vertices[:, 1]
    assert (heights.max(), heights.min()) == (0.9, -0.8)


@pytest.mark.parametrize("samples", [np.zeros(8_000), [0.1], tone(440, 0.002)])
def test_silence_and_scraps_can_be_drawn(samples: Any) -> None:
    assert figures.to_png_bytes(figures.plot_recording(samples, 16_000)).startswith(b"\x89PNG")


# Bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(figures.plot_confusion, [[1, 2], [3, 4]]), "no square of classes"),
        (partial(figures.plot_confusion, pd.DataFrame([[1, 2]])), "no square of classes"),
        (partial(figures.plot_confusion, pd.DataFrame([[0.5]])), "whole numbers"),
        (partial(figures.plot_confusion, pd.DataFrame([["a"]])), "something else than numbers"),
        (partial(figures.plot_roc, [1, 1], [0.1, 0.2]), "rows of both classes"),
        (partial(figures.plot_roc, [0, 1], [0.1, np.nan]), "y_score holds NaN"),
        (partial(figures.plot_precision_recall, [0, 1, 1], [0.1, 0.2]), r"\(y_true 3, y_score 2\)"),
        (partial(figures.plot_precision_recall, [0, 2], [0.1, 0.2]), r"y_true holds \[0.0, 2.0\]"),
        (partial(figures.plot_reliability, RELIABILITY[["n"]]), "columns .*'mean_score'"),
        (partial(figures.plot_reliability, [1, 2]), "table has list"),
        (partial(figures.plot_reliability, RELIABILITY * 100), "spans 10 to 80; expected 0 to 1"),
        (partial(figures.plot_score_by_class, [1, 2], ["a"]), "scores 2, labels 1"),
        (partial(figures.plot_score_by_class, [1], [None]), "labels holds missing"),
        (partial(figures.plot_score_by_class, [1], ["a"], classes=["b"]), "'a', which is not among"),
        (partial(figures.plot_score_by_class, [1], ["a"], threshold="high"), "threshold is 'high'"),
        (partial(figures.plot_severity, [], []), r"y_true has shape \(0,\)"),
        (partial(figures.plot_severity, [1], [2], cutoff=np.nan), "cutoff is nan"),
        (partial(figures.plot_intervals, SYSTEMS[["low"]]), "columns .*'estimate'"),
        (partial(figures.plot_intervals, SYSTEMS.iloc[:0]), "a DataFrame with rows"),
        (
            partial(figures.plot_intervals, SYSTEMS.rename(columns={"low": "high", "high": "low"})),
            "'compact embedding .*' has low above high",
        ),
        (partial(figures.plot_training, {}), "history is empty"),
        (partial(figures.plot_track, DAYS[["score"]], {}), "columns .*'in_baseline'"),
        (partial(figures.plot_training, {"loss": [1], "val_loss": [1, 2]}), "differ in length"),
        (partial(figures.plot_recording, [], 16_000), r"samples has shape \(0,\)"),
        (partial(figures.plot_recording, np.zeros((2, 5)), 16_000), r"samples has shape \(2, 5\)"),
        (partial(figures.plot_recording, [0.0, np.inf], 16_000), "samples holds NaN or infinite"),
        (partial(figures.plot_recording, [0.0, 0.1], 0), "sampling_rate_hz is 0"),
        (partial(figures.plot_recording, [0.0, 0.1], 16_000, pauses=[(2, 1)]), "start <= end"),
        (partial(figures.plot_recording, [0.0, 0.1], 16_000, f0=np.ones(3)), r"the pair \(times_s, f0_hz\)"),
        (partial(figures.plot_recording, [0.0], 16_000, f0=([0.1], [1, 2])), "times_s 1, f0_hz 2"),
        (partial(figures.to_png_bytes, io.BytesIO()), "figure is a BytesIO"),
        (partial(figures.to_data_uri, None), "figure is a NoneType"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()
