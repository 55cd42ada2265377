"""Pictures of explanations: they draw what they are given, and refuse what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vocalbio.errors import ParameterError
from vocalbio.figures import to_png_bytes
from vocalbio.figures.explanation import plot_contributions, plot_marker_panel, plot_saliency, plot_saliency_map

STEPS = pd.Series({"pitch variability": 12.0, "pauses and rate": -4.5, "jitter": 2.0})
PANEL = pd.DataFrame(
    {"value": [3.1, 0.012, np.nan, 7.0], "unit": ["st", "", "s", "dB"], "percentile": [97.0, 30.0, np.nan, np.nan]},
    index=["pitch variability", "jitter", "mean pause", "harmonics to noise"],
)
SEGMENTS = pd.DataFrame(
    {
        "start_s": [0.0, 1.0],
        "end_s": [1.5, 2.5],
        "contribution": [5.0, -1.0],
        "pitch": [4.0, -2.0],
        "jitter": [1.0, 1.0],
    }
)


def words(figure):
    """All that is written in a figure."""
    return " | ".join(text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")))


def bars(axes):
    return [patch for patch in axes.patches if patch.get_width() != 0]


def test_the_way_ends_at_the_answer():
    figure = plot_contributions(STEPS, baseline=44.0, what="stress score")
    told = words(figure)
    assert "44.0" in told
    assert "53.5" in told
    assert "−4.5" in told
    drawn = bars(figure.axes[0])
    assert [bar.get_x() for bar in drawn] == [44.0, 56.0, 51.5]
    assert sum(bar.get_width() for bar in drawn) == pytest.approx(9.5)


def test_what_finds_no_room_is_added_up():
    steps = pd.Series(np.arange(20.0, 0.0, -1.0), index=[f"m{k}" for k in range(20)])
    figure = plot_contributions(steps, baseline=0.0, most=5)
    assert "16 others together" in words(figure)
    assert sum(bar.get_width() for bar in bars(figure.axes[0])) == pytest.approx(steps.sum())


def test_percentiles_stand_where_they_belong_and_gaps_are_told():
    figure = plot_marker_panel(PANEL)
    dots = np.concatenate([line.get_xydata() for line in figure.axes[0].lines if line.get_marker() in "oD"])
    assert {tuple(dot) for dot in dots if np.isfinite(dot).all()} == {(97.0, 0.0), (30.0, 1.0)}
    told = words(figure)
    assert "not measured" in told
    assert "not known" in told
    assert "3.1 st" in told


def test_saliency_draws_every_segment_once():
    figure = plot_saliency(SEGMENTS, samples=np.sin(np.arange(40_000) / 9), rate_hz=16_000.0)
    assert len(figure.axes) == 3
    drawn = bars(figure.axes[1])
    assert [bar.get_height() for bar in drawn] == [5.0, -1.0]
    assert drawn[0].get_x() + drawn[0].get_width() == pytest.approx(drawn[1].get_x())
    assert len(plot_saliency(SEGMENTS.assign(start_s=np.nan, end_s=np.nan)).axes) == 2


def test_a_map_lies_on_its_picture(rng):
    figure = plot_saliency_map(rng.normal(size=(50, 40)), rng.uniform(size=(50, 40)), duration_s=2.5, label="P(snore)")
    assert "P(snore)" in words(figure)
    assert figure.axes[1].images[1].get_extent() == figure.axes[1].images[0].get_extent() == [0.0, 2.5, 0.0, 40.0]


def test_what_cannot_be_drawn_is_refused(rng):
    with pytest.raises(ParameterError, match="NaN"):
        plot_contributions(pd.Series({"a": np.nan}), baseline=0.0)
    with pytest.raises(ParameterError, match="baseline"):
        plot_contributions(STEPS, baseline=np.nan)
    with pytest.raises(ParameterError, match="not known"):
        plot_marker_panel(PANEL.assign(percentile=np.nan))
    with pytest.raises(ParameterError, match="0 to 100"):
        plot_marker_panel(PANEL.assign(percentile=[0.0, 101.0, 3.0, 4.0]))
    with pytest.raises(ParameterError, match="start_s"):
        plot_saliency(SEGMENTS.drop(columns="start_s"))
    with pytest.raises(ParameterError, match="one shape"):
        plot_saliency_map(rng.normal(size=(5, 4)), rng.normal(size=(4, 5)), duration_s=1.0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_contributions(STEPS, baseline=44.0),
        lambda: plot_marker_panel(PANEL),
        lambda: plot_saliency(SEGMENTS),
        lambda: plot_saliency_map(np.eye(30), np.eye(30), duration_s=1.0),
    ],
    ids=["contributions", "panel", "saliency", "map"],
)
def test_pictures_are_the_same_every_time(draw):
    assert to_png_bytes(draw()) == to_png_bytes(draw())
