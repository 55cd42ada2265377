"""Pictures of nights show what they were given; how they look was judged by eye."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from vocalbio.errors import ParameterError
from vocalbio.figures import to_png_bytes
from vocalbio.figures.nights import plot_event, plot_night

RATE = 16_000


def night(hours: float = 4.0, **columns: float) -> pd.DataFrame:
    values = {"level_db": -50.0, "floor_db": -60.0, "snore": 0.0, "usable": 1.0}
    return pd.DataFrame(values | columns, index=np.arange(round(hours * 3600), dtype=float))


def events(*starts: float, kind: str = "apnea") -> pd.DataFrame:
    return pd.DataFrame({"start_s": starts, "end_s": [s + 20 for s in starts], "kind": kind}, index=range(len(starts)))


def ticks(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[-1].get_xticklabels()]


def test_every_event_is_marked_at_its_hour():
    figure = plot_night(night(), pd.concat([events(1800, 7200), events(9000, kind="hypopnea")], ignore_index=True))
    marks = [round(s[0, 0], 3) for c in figure.axes[2].collections for s in c.get_segments()]
    assert sorted(marks) == [0.5, 2.0, 2.5]


def test_bars_are_events_per_analysed_hour():
    table = night()
    table.iloc[:900, table.columns.get_loc("usable")] = 0  # half of the first half hour
    figure = plot_night(table, events(1000, 1100, 1200, 3700))
    heights = [bar.get_height() for bar in figure.axes[3].patches if bar.get_width() == pytest.approx(0.5)]
    assert heights[0] == pytest.approx(12)  # three in a quarter of an hour
    assert heights[2] == pytest.approx(2)
    assert sum(heights) == pytest.approx(14)


def test_events_outside_the_lights_are_marked_but_not_counted():
    figure = plot_night(night(), events(600, 7200), lights_out_s=3600.0, lights_on_s=10800.0)
    assert "1 event in 2.0 h" in [text.get_text() for text in figure.texts]
    segments = [s for c in figure.axes[2].collections for s in c.get_segments()]
    assert len(segments) == 2
    words = [text.get_text() for text in figure.axes[0].texts]
    assert {"lights out", "lights on"} <= set(words)


def test_the_axis_is_the_clock_where_it_is_known():
    started = datetime(2026, 1, 31, 22, 47, 12)
    figure = plot_night(night(), events(), started=started)
    assert ticks(figure)[:4] == ["23:00", "23:30", "00:00", "00:30"]
    assert figure.axes[-1].get_xticks()[0] == pytest.approx((12 * 60 + 48) / 3600)
    assert ticks(plot_night(night(9), events(), started=started))[:3] == ["23:00", "00:00", "01:00"]
    assert ticks(plot_night(night(9), events()))[:3] == ["0", "1", "2"]


def test_unusable_time_is_named():
    table = night()
    table.iloc[3600:7200, table.columns.get_loc("usable")] = 0
    assert "not usable" in [text.get_text() for text in plot_night(table, events()).axes[0].texts]


@pytest.mark.parametrize("table", [night(0.05), night(usable=0), night(level_db=np.nan, floor_db=np.nan), night(11)])
def test_odd_nights_are_drawn(table):
    assert to_png_bytes(plot_night(table, events()))[1:4] == b"PNG"


def test_the_close_up_shades_the_event(rng):
    figure = plot_event(rng.normal(0, 0.01, RATE * 50), RATE, 120.0, 130.0, offset_s=100.0, kind="hypopnea")
    shaded = [patch.get_extents() for patch in figure.axes[0].patches]
    assert len(shaded) == 1
    left, right = figure.axes[0].get_xlim()
    assert (left, right) == (100.0, 150.0)
    inverse = figure.axes[0].transData.inverted()
    assert inverse.transform(shaded[0].min)[0] == pytest.approx(120)
    assert inverse.transform(shaded[0].max)[0] == pytest.approx(130)


def test_the_close_up_has_clock_times(rng):
    samples = rng.normal(0, 0.01, RATE * 30)
    named = ticks(plot_event(samples, RATE, 70.0, 80.0, offset_s=60.0, started=datetime(2026, 1, 31, 23, 0, 0)))
    assert "23:01:00" in named


def test_missing_sound_is_drawn_as_silence():
    samples = np.r_[np.full(RATE * 5, np.nan), np.random.default_rng(0).normal(0, 0.01, RATE * 25)]
    assert to_png_bytes(plot_event(samples, RATE, 10.0, 20.0))[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], RATE, 0, 1), "samples has shape"),
        (([np.inf] * 100, RATE, 0, 1), "infinite"),
        ((np.zeros(RATE * 5), 0, 1, 2), "expected a rate"),
        ((np.zeros(RATE * 5), RATE, 7, 9), "expected the event inside them"),
        ((np.zeros(RATE * 5), RATE, 3, 2), "expected the event inside them"),
    ],
)
def test_close_ups_of_nothing_are_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        plot_event(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((night().drop(columns="snore"), events()), "table has columns"),
        ((night(0), events()), "table has columns"),
        ((night(), pd.DataFrame({"start_s": [1.0]})), "events has columns"),
        ((night(), None), "events has NoneType"),
    ],
)
def test_nights_of_nothing_are_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        plot_night(*arguments)
