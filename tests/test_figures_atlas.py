"""The picture of the atlas shows the table's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vocalbio.errors import ParameterError
from vocalbio.figures.atlas import BANDS, plot_atlas
from vocalbio.figures.style import to_png_bytes
from vocalbio.reliability import atlas

TABLE = pd.DataFrame(
    [
        (column, marker, name, kind, value)
        for column, marker, row in (
            ("voice__f0_mean_hz", "pitch", [0.99, 0.9, 0.896]),
            ("voice__f0_median_hz", "pitch", [0.97, 0.7, 0.696]),
            ("prosody__jitterLocal_sma3nz_amean", "jitter", [0.62, 0.3, -0.1]),
        )
        for (name, kind), value in zip(
            [("mp3_32k", "codec"), ("noise_20db", "noise"), ("noise_10db", "noise")], row, strict=True
        )
    ],
    columns=["column", "marker", "perturbation", "kind", "icc"],
)


def cells(figure: Figure) -> list[list[str]]:
    """Texts in the heat map, row by row."""
    (axes,) = figure.axes
    places: dict[int, list[tuple[float, str]]] = {}
    for text in axes.texts:
        x, y = text.get_position()
        places.setdefault(round(y), []).append((x, text.get_text()))
    return [[word for _, word in sorted(places[row])] for row in sorted(places)]


def colors(figure: Figure) -> list[str]:
    (axes,) = figure.axes
    return [to_hex(patch.get_facecolor()) for patch in axes.patches if isinstance(patch, Rectangle)]


def labels(figure: Figure) -> tuple[list[str], list[str]]:
    (axes,) = figure.axes
    return ([t.get_text() for t in axes.get_yticklabels()], [t.get_text() for t in axes.get_xticklabels()])


def test_a_family_of_markers_shows_the_median_of_its_columns_and_their_number() -> None:
    figure = plot_atlas(TABLE)
    assert cells(figure) == [["98", "80", "80"], ["62", "30", "-10"]]
    assert labels(figure) == (["pitch (2)", "jitter (1)"], ["mp3 32k", "noise 20 dB", "noise 10 dB"])


def test_columns_that_are_named_have_rows_of_their_own_in_that_order() -> None:
    figure = plot_atlas(TABLE, columns=["prosody__jitterLocal_sma3nz_amean", "voice__f0_mean_hz"])
    assert cells(figure) == [["62", "30", "-10"], ["99", "90", "90"]]
    assert labels(figure)[0] == ["jitter mean · p", "f0 mean hz · v"]


def test_colors_are_those_of_the_band_that_a_value_lies_in() -> None:
    figure = plot_atlas(TABLE, columns=["voice__f0_mean_hz", "prosody__jitterLocal_sma3nz_amean"])
    poor, moderate, good, excellent = (color for _, _, color, _ in BANDS)
    assert colors(figure) == [excellent, excellent, good, moderate, poor, poor]  # 0.896 is shown as 90, and is below


def test_what_is_not_known_is_a_dash_without_color() -> None:
    table = TABLE.assign(icc=TABLE["icc"].mask(TABLE["perturbation"] == "mp3_32k"))
    figure = plot_atlas(table)
    assert [row[0] for row in cells(figure)] == ["–", "–"]
    assert colors(figure)[0] not in [color for _, _, color, _ in BANDS]


def test_another_kind_of_perturbation_begins_after_a_gap() -> None:
    (axes,) = plot_atlas(TABLE).axes
    codec, noise_20db, noise_10db = axes.get_xticks()
    assert noise_20db - codec > noise_10db - noise_20db


@pytest.mark.parametrize("columns", [None, ["voice__f0_median_hz", "prosody__F0semitoneFrom27.5Hz_sma3nz_stddevNorm"]])
def test_the_shipped_atlas_fits_on_a_phone_and_nothing_is_cut_off(columns: Any) -> None:
    table = atlas().query("material == 'speech'")
    figure = plot_atlas(table, columns=columns, title="What is left of a feature " * 3, subtitle="ICC(2,1) " * 12)
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert width == pytest.approx(5.2)
    assert min(drawn.x0, drawn.y0, width - drawn.x1, height - drawn.y1) > 0
    assert to_png_bytes(figure) == to_png_bytes(figure)


@pytest.mark.parametrize(
    ("table", "settings", "match"),
    [
        (TABLE.drop(columns="kind"), {}, "table has columns"),
        (TABLE.iloc[:0], {}, "table has columns"),
        (pd.concat([TABLE, TABLE]), {}, "twice; filter one material"),
        (TABLE, {"columns": ["voice__nothing"]}, "columns holds .'voice__nothing'"),
        (TABLE, {"columns": []}, "columns holds"),
        (TABLE, {"measure": "shift"}, "table has columns"),
        (TABLE.assign(icc=np.nan).assign(icc="x"), {}, "something else than numbers"),
    ],
)
def test_other_tables_are_refused(table: pd.DataFrame, settings: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        plot_atlas(table, **settings)
