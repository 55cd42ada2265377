"""Which features survive what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.errors import ParameterError
from vocalbio.figures.style import FAINT, INK, MUTED, need_table, new_figure, numbers, settled, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_atlas"]

BANDS = [
    ("poor", -np.inf, "#efb58c", INK),
    ("moderate", 0.5, "#f4e6da", INK),
    ("good", 0.75, "#7fb6d9", INK),
    ("excellent", 0.9, "#01527f", "white"),
]
"""Words of Koo & Li 2016, where they begin, and colours from Okabe and Ito's vermilion to their blue."""
CELL_INCHES = 0.27
SHORTER = {
    "_sma3nz": "", "_sma3": "", "semitoneFrom27.5Hz": "", "frequency": "", "LogRelF0": "", "logRelF0-": "",
    "percentile": "p", "stddevNorm": "CV", "amean": "mean", "bandwidth": " width", "LocaldB": " dB", "Local": "",
    "equivalentSoundLevel_dBp": "sound level", "PerSec": "/s", "_per_s": "/s", "_per_min": "/min", "dBACF": "",
    "loudnessPeaks": "loudness peaks",
}  # fmt: skip
"""Names of openSMILE and Praat in the width of a phone; CV is the deviation over the mean."""


@styled()
def plot_atlas(
    table: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    measure: str = "icc",
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """
    How much of a feature is left after each perturbation, in hundredths of an intraclass correlation.

    Parameters
    ----------
    table : pandas.DataFrame
        Lines of `vocalbio.reliability.atlas` of one material: ``column``, ``marker``, ``perturbation``, ``kind`` and
        `measure`; drawn in the order in which they stand.
    columns : sequence of str, optional
        One row a column, in this order, the first letter of its family behind its name. None: one row a family of
        markers, with the median of its columns.
    measure : str
        Column of `table` that is drawn.
    title, subtitle : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If `table` lacks a column, tells a perturbation of a feature twice (filter one material), or knows none of
        `columns`.

    References
    ----------
    Koo TK, Li MY. A guideline of selecting and reporting intraclass correlation coefficients for reliability research.
    J Chiropr Med 2016;15:155-163. doi:10.1016/j.jcm.2016.02.012

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.figures import plot_atlas
    >>> table = pd.DataFrame({"column": ["voice__f0_mean_hz"] * 2, "marker": "pitch", "kind": ["codec", "noise"],
    ...                       "perturbation": ["mp3_32k", "noise_10db"], "icc": [0.99, 0.61]})
    >>> figure = plot_atlas(table, title="What survives what")
    """
    from matplotlib.patches import Rectangle

    table = need_table(table, ["column", "marker", "perturbation", "kind", measure])
    if table.duplicated(["column", "perturbation"]).any():
        raise ParameterError("table has a column and perturbation twice; filter one material first")
    numbers(measure, table[measure], missing=True)
    rows, names = _rows(table, columns)
    perturbations = table.drop_duplicates("perturbation").set_index("perturbation")["kind"]
    values = table.assign(row=rows).pivot_table(index="row", columns="perturbation", values=measure, dropna=False)
    values = values.reindex(index=list(names), columns=perturbations.index)

    n_rows, n_columns = values.shape
    figure = new_figure(CELL_INCHES * n_rows + 1.35, title, subtitle, MUTED)
    axes = figure.add_subplot()
    # a gap wherever another kind of perturbation begins
    starts = (perturbations != perturbations.shift()).cumsum() - 1
    x = (np.arange(n_columns) + 0.35 * starts.to_numpy()).tolist()
    for (row, column), value in np.ndenumerate(values.to_numpy(float)):
        _, _, color, ink = next(band for band in reversed(BANDS) if not value < band[1])
        missing = np.isnan(value)
        axes.add_patch(Rectangle((x[column] - 0.47, row - 0.46), 0.94, 0.92, color=FAINT if missing else color))
        axes.text(
            x[column],
            row,
            "–" if missing else f"{100 * value:.0f}",
            color=MUTED if missing else ink,
            fontsize=8.5 if missing or len(f"{100 * value:.0f}") < 3 else 7,
            horizontalalignment="center",
            verticalalignment="center_baseline",
        )
    for kind in perturbations.unique():
        own = [place for place, other in zip(x, perturbations, strict=True) if other == kind]
        axes.plot([own[0] - 0.45, own[-1] + 0.45], [-0.72, -0.72], color=MUTED, linewidth=1.2)
    axes.set(xlim=(-0.6, x[-1] + 0.6), ylim=(n_rows - 0.4, -0.85))
    axes.set_xticks(x, [_words(name) for name in values.columns], rotation=55, fontsize=9.5)
    for label in axes.get_xticklabels():
        label.set(horizontalalignment="left", verticalalignment="center", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(n_rows), list(names.values()), fontsize=9.5)
    axes.tick_params(length=0, pad=2)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    _legend(axes)
    return settled(figure)


def _rows(table: pd.DataFrame, columns: Sequence[str] | None) -> tuple[pd.Series, dict[str, str]]:
    """Which row each line of the table belongs to, and what the rows are called."""
    if columns is None:
        counts = table.groupby("marker", sort=False)["column"].nunique()
        return table["marker"], {str(marker): f"{marker} ({n})" for marker, n in counts.items()}
    strange = [name for name in columns if name not in set(table["column"])]
    if strange or not len(columns):
        raise ParameterError(f"columns holds {strange[:3]}; expected some of the features of the table, such as "
                             f"{table['column'].iloc[0]!r}")  # fmt: skip
    return table["column"].where(table["column"].isin(columns)), {name: _short(name) for name in columns}


def _words(perturbation: str) -> str:
    return perturbation.replace("_", " ").replace("db", " dB").replace("khz", " kHz")


def _short(column: str) -> str:
    """What openSMILE and Praat measured, in the width of a phone."""
    family, _, name = str(column).partition("__")
    for part, short in SHORTER.items():
        name = name.replace(part, short)
    name = " ".join(name.replace("_", " ").split())
    return f"{name[:22]} · {family[0]}"


def _legend(axes: Any) -> None:
    from matplotlib.patches import Patch

    edges = ["below 50", "50", "75", "90 and more"]
    handles = [
        Patch(color=color, label=f"{word}, {edge}" if edge in (edges[0], edges[-1]) else f"{word}, from {edge}")
        for (word, _, color, _), edge in zip(BANDS, edges, strict=True)
    ]
    axes.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1.0, -0.01),
        ncols=2,
        fontsize=9,
        handlelength=1,
        handleheight=1,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
