"""The picture of agreement shows every night, the bias and its limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vocalbio.errors import ParameterError
from vocalbio.evaluation.agreement import bland_altman
from vocalbio.figures.agreement import plot_bland_altman
from vocalbio.figures.style import to_png_bytes

REFERENCE = [3.0, 12.0, 25.0, 41.0, 8.0]
DETECTED = [5.0, 11.0, 21.0, 33.0, 8.0]


def heights(figure: Figure) -> list[float]:
    """Of the horizontal lines, from below."""
    (axes,) = figure.axes
    return sorted(float(line.get_ydata()[0]) for line in axes.lines)


def bands(figure: Figure) -> list[tuple[float, float]]:
    (axes,) = figure.axes
    return sorted(
        (patch.get_y(), patch.get_y() + patch.get_height()) for patch in axes.patches if isinstance(patch, Rectangle)
    )


def test_a_point_a_night_and_lines_at_bias_limits_and_nought() -> None:
    figure = plot_bland_altman(REFERENCE, DETECTED)
    (axes,) = figure.axes
    (points,) = (one for one in axes.collections if isinstance(one, PathCollection))
    np.testing.assert_allclose(points.get_offsets(), [(4, 2), (11.5, -1), (23, -4), (37, -8), (8, 0)])
    assert heights(figure) == pytest.approx(sorted([0.0, *bland_altman(REFERENCE, DETECTED)["estimate"]]))
    assert bands(figure) == []


def test_intervals_are_shaded_where_they_are_known() -> None:
    limits = bland_altman(REFERENCE, DETECTED)
    figure = plot_bland_altman(REFERENCE, DETECTED, limits=limits)
    assert heights(figure) == pytest.approx(heights(plot_bland_altman(REFERENCE, DETECTED)))
    expected = sorted(zip(limits["low"], limits["high"], strict=True))
    assert np.ravel(bands(figure)).tolist() == pytest.approx(np.ravel(expected).tolist())


def test_the_lines_are_named_with_their_values() -> None:
    (axes,) = plot_bland_altman(REFERENCE, DETECTED, y_label="difference", x_label="mean").axes
    words = [text.get_text() for text in axes.texts]
    found = bland_altman(REFERENCE, DETECTED)["estimate"].round(1).tolist()
    assert words[0] == f"bias\n{found[0]:+.1f}".replace("-", "−")
    assert words[1].startswith("−1.96 SD\n−")
    assert words[2].startswith("+1.96 SD\n+")
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("difference", "mean")


@pytest.mark.parametrize("n", [2, 3, 5])
def test_no_word_leaves_the_picture_nor_lies_on_another(n: int) -> None:
    limits = bland_altman(REFERENCE[:n], DETECTED[:n])
    figure = plot_bland_altman(REFERENCE[:n], DETECTED[:n], limits=limits, title="Events per hour", label="nights")
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    assert to_png_bytes(figure) == to_png_bytes(figure)


def test_nights_that_agree_have_a_picture_as_well() -> None:
    figure = plot_bland_altman(REFERENCE, REFERENCE)
    assert heights(figure) == [0.0, 0.0]  # bias and nought
    assert [text.get_text() for text in figure.axes[0].texts] == ["bias\n+0.0"]
    assert figure.axes[0].get_ylim()[0] < -0.5


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ParameterError, match="hold one value; expected two or more"):
        plot_bland_altman([1], [2])
    with pytest.raises(ParameterError, match=r"differ in length \(reference 2, estimated 1\)"):
        plot_bland_altman([1, 2], [2])
    with pytest.raises(ParameterError, match="NaN or infinite"):
        plot_bland_altman([1, np.nan], [2, 3])
    with pytest.raises(ParameterError, match="expected bias, limit_low, limit_high"):
        plot_bland_altman([1, 2], [2, 3], limits=bland_altman([1, 2], [2, 3]).drop("bias"))
    with pytest.raises(ParameterError, match="expected a DataFrame with rows and the columns"):
        plot_bland_altman([1, 2], [2, 3], limits=pd.DataFrame({"estimate": [1.0]}))
