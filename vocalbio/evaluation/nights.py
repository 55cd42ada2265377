"""Many nights: how well their events were found, and how well the number of events per hour."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.evaluation.agreement import bland_altman, cohen_kappa, icc, wilson
from vocalbio.evaluation.events import (
    RULE_WORDS,
    RULES,
    EventScores,
    RuleScores,
    frame_kappa,
    in_words,
    match_events,
    score_and_errors,
    score_events,
    share,
)
from vocalbio.evaluation.text import plain
from vocalbio.metrics import Interval, bootstrap

__all__ = [
    "BANDS",
    "CUTS",
    "EventScores",
    "NightScores",
    "RuleScores",
    "frame_kappa",
    "match_events",
    "score_events",
    "score_nights",
]

CUTS = (5.0, 15.0, 30.0)
"""Events per hour at which nights are parted."""
BANDS = ("below 5", "5 to 15", "15 to 30", "30 and more")
"""The bands between the cuts; a value that equals a cut lies above it."""
_FEW_NIGHTS = 20


@dataclass(frozen=True, eq=False, repr=False)
class NightScores:
    """
    How well the events of many nights were found, and how well their number.

    Attributes
    ----------
    per_night : pandas.DataFrame
        One row a night, index ``night``: ``n_reference``, ``n_detected``, ``hours``; ``index_reference``,
        ``index_detected`` (events per hour) and ``index_error`` (detected minus reference); then the fields of
        `RuleScores` for both rules, as in ``iou_f1`` and ``overlap_f1``.
    summary : pandas.DataFrame
        Index ``measure``; columns ``estimate``, ``low``, ``high``, ``n`` (what the estimate is a fraction or statistic
        of: nights; in sensitivity and so on, those it is a fraction of), ``n_undefined`` (draws of the bootstrap on
        which it is not defined), ``interval`` (how the interval was made).

        - ``iou_precision``, ``iou_recall``, ``iou_f1``, ``iou_false_per_hour``, ``iou_onset_error_s``: over the events
          of all nights together; ``iou_f1_median`` and so on: the median night, of those where it is defined. The
          same for ``overlap_``.
        - ``index_mae``, ``index_bias``, ``index_limit_low``, ``index_limit_high`` (Bland-Altman), ``index_icc``
          (ICC(2,1)), ``index_pearson``: of the events per hour.
        - ``sensitivity_5``, ``specificity_5``, ``ppv_5``, ``npv_5``, and at 15 and 30: nights whose index is at least
          that.
        - ``band_kappa``, ``band_kappa_linear``: Cohen's kappa of the bands, plain and with linear weights.
    bands : pandas.DataFrame of shape (4, 4)
        Nights by band of their event index: reference in rows, detected in columns.
    level : float
        Of the intervals.
    """

    per_night: pd.DataFrame
    summary: pd.DataFrame
    bands: pd.DataFrame
    level: float

    def to_dict(self) -> dict[str, Any]:
        """
        Plain JSON types; None where a number is not defined.

        Returns
        -------
        dict
            ``level``, ``summary`` and ``per_night`` (lists of rows), ``bands`` (list of lists).
        """
        return plain(
            {
                "level": self.level,
                "summary": self.summary.reset_index().to_dict("records"),
                "per_night": self.per_night.reset_index().to_dict("records"),
                "bands": self.bands.to_numpy().tolist(),
            }
        )

    def to_markdown(self) -> str:
        """
        Write the scores down for somebody who reads no code.

        Returns
        -------
        str
            Markdown.
        """
        return _text(self)

    def __repr__(self) -> str:
        f1 = _cells(self.summary)["iou_f1"]
        return f"<NightScores of {len(self.per_night)} nights: F1 {f1} at {RULE_WORDS['iou']}>"

    def __str__(self) -> str:
        return self.to_markdown()


def score_nights(
    nights: Iterable[tuple[str, pd.DataFrame, pd.DataFrame, float]],
    *,
    kinds: Sequence[str] | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int = 0,
) -> NightScores:
    """
    Score the detected events of many nights against those of a reference.

    Parameters
    ----------
    nights : iterable of (str, pandas.DataFrame, pandas.DataFrame, float)
        Name, reference, detected events and hours of each night. The event index of reference and detection are both
        per these hours; give hours of recording that were analysed, not of sleep, unless sleep was measured.
    kinds : sequence of str, optional
        As for `score_events`.
    n_resamples, level, random_state
        Of the bootstrap over nights, as for `vocalbio.metrics.bootstrap`.

    Returns
    -------
    NightScores
        `print` it for a text. With one night there are no intervals but those of Wilson.

    Raises
    ------
    ParameterError
        If there is no night, a name comes twice, a table is no event table or hours are not above 0.

    References
    ----------
    .. [1] Bland JM, Altman DG. Measuring agreement in method comparison studies. Stat Methods Med Res 1999;8:135-160.
       doi:10.1177/096228029900800204
    .. [2] Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability. Psychol Bull
       1979;86:420-428. doi:10.1037/0033-2909.86.2.420

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.evaluation.nights import score_nights
    >>> def events(*starts):
    ...     return pd.DataFrame({"start_s": starts, "end_s": [start + 20.0 for start in starts], "kind": "apnea"})
    >>> nights = [
    ...     ("first", events(100.0, 200.0, 300.0), events(103.0, 198.0), 0.5),
    ...     ("second", events(100.0, 900.0), events(101.0, 500.0, 905.0), 0.5),
    ...     ("third", events(), events(), 0.5),
    ... ]
    >>> scores = score_nights(nights, n_resamples=100)
    >>> scores
    <NightScores of 3 nights: F1 0.80 [0.80, 0.80] at IoU of 0.2 or more>
    >>> scores.per_night["index_error"].tolist()
    [-2.0, 2.0, 0.0]
    """
    rows, onsets = [], []
    for night in nights:
        try:
            name, reference, detected, hours = night
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"a night is {type(night).__name__}; expected name, reference, detected, hours"
            ) from error
        if hours is None:
            raise ParameterError(f"night {name!r} has no hours; expected the hours that were searched for events")
        try:
            scores, errors = score_and_errors(reference, detected, hours, kinds)
        except ParameterError as error:
            raise ParameterError(f"night {name!r}: {error}") from error
        rows.append({"night": str(name), **_row_of(scores)})
        onsets.append(errors)
    names = [row["night"] for row in rows]
    if not names or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), None)
        raise ParameterError(
            f"there are two nights {twice!r}; give each night its own name" if names else
            "there is no night; expected at least one (name, reference, detected, hours)"
        )  # fmt: skip
    per_night = pd.DataFrame(rows).set_index("night")
    bands = _bands(per_night["index_reference"].to_numpy(), per_night["index_detected"].to_numpy())
    lines = [
        *_resampled(per_night, onsets, n_resamples, level, random_state),
        *_limits(per_night, level),
        *_at_cuts(per_night, level),
    ]
    summary = pd.DataFrame(lines).set_index("measure").loc[_order(), :]
    table = pd.DataFrame(bands, index=pd.Index(BANDS, name="reference"), columns=pd.Index(BANDS, name="detected"))
    return NightScores(per_night, summary, table, float(level))


def _row_of(scores: EventScores) -> dict[str, float]:
    index = {"reference": scores.n_reference / scores.hours, "detected": scores.n_detected / scores.hours}
    return {
        "n_reference": scores.n_reference, "n_detected": scores.n_detected, "hours": scores.hours,
        "index_reference": index["reference"], "index_detected": index["detected"],
        "index_error": index["detected"] - index["reference"],
        **{f"{rule}_{name.removeprefix('n_')}": value
           for rule in RULES for name, value in asdict(getattr(scores, rule)).items()},
    }  # fmt: skip


def _bands(reference: np.ndarray, detected: np.ndarray) -> np.ndarray:
    size = len(BANDS)
    cells = size * np.digitize(reference, CUTS) + np.digitize(detected, CUTS)
    return np.bincount(cells, minlength=size**2).reshape(size, size)


def _order() -> list[str]:
    """Measures in the order of the summary."""
    pooled = ("precision", "recall", "f1", "false_per_hour", "onset_error_s")
    medians = ("precision_median", "recall_median", "f1_median")
    index = ("mae", "bias", "limit_low", "limit_high", "icc", "pearson")
    return [
        *(f"{rule}_{name}" for rule in RULES for name in (*pooled, *medians)),
        *(f"index_{name}" for name in index),
        *(f"{name}_{cut:g}" for cut in CUTS for name in ("sensitivity", "specificity", "ppv", "npv")),
        "band_kappa",
        "band_kappa_linear",
    ]


def _resampled(
    per_night: pd.DataFrame, onsets: Sequence[dict[str, np.ndarray]], n_resamples: int, level: float, random_state: int
) -> list[dict[str, Any]]:
    """What has an interval over draws of nights."""
    columns = {name: per_night[name].to_numpy(float) for name in per_night}
    measures: dict[str, Callable[[np.ndarray], float]] = {}

    def pooled(above: str, *below: str) -> Callable[[np.ndarray], float]:
        return lambda rows: share(columns[above][rows].sum(), sum(columns[name][rows].sum() for name in below))

    def middle(name: str) -> Callable[[np.ndarray], float]:
        return lambda rows: _median(columns[name][rows])

    def onset(rule: str) -> Callable[[np.ndarray], float]:
        return lambda rows: _median(np.concatenate([onsets[row][rule] for row in rows]))

    for rule in RULES:
        matched = f"{rule}_matched"
        columns[f"{rule}_twice"] = 2 * columns[matched]
        columns[f"{rule}_false"] = columns["n_detected"] - columns[matched]
        measures |= {
            f"{rule}_precision": pooled(matched, "n_detected"),
            f"{rule}_recall": pooled(matched, "n_reference"),
            f"{rule}_f1": pooled(f"{rule}_twice", "n_reference", "n_detected"),
            f"{rule}_false_per_hour": pooled(f"{rule}_false", "hours"),
            f"{rule}_onset_error_s": onset(rule),
            **{f"{rule}_{name}_median": middle(f"{rule}_{name}") for name in ("precision", "recall", "f1")},
        }
    a, b = columns["index_reference"], columns["index_detected"]
    measures |= {
        "index_mae": lambda rows: float(np.abs(b[rows] - a[rows]).mean()),
        "index_icc": lambda rows: icc(np.column_stack([a[rows], b[rows]])),
        "index_pearson": lambda rows: _pearson(a[rows], b[rows]),
        "band_kappa": lambda rows: cohen_kappa(_bands(a[rows], b[rows])),
        "band_kappa_linear": lambda rows: cohen_kappa(_bands(a[rows], b[rows]), weights="linear"),
    }
    interval_of = partial(_over_nights, list(per_night.index), n_resamples, level, random_state)
    return [_line(name, interval_of(measure), len(per_night), "bootstrap") for name, measure in measures.items()]


def _over_nights(
    names: Sequence[str], n_resamples: int, level: float, random_state: int, measure: Callable[[np.ndarray], float]
) -> Interval:
    rows = np.arange(len(names))
    if len(names) < 2:
        return Interval(measure(rows), math.nan, math.nan, level, len(names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VocalbioWarning)  # the table counts the draws that are not defined
        return bootstrap(
            lambda drawn, _: measure(drawn), rows, rows, names,
            n_resamples=n_resamples, level=level, random_state=random_state,
        )  # fmt: skip


def _limits(per_night: pd.DataFrame, level: float) -> list[dict[str, Any]]:
    found = bland_altman(per_night["index_reference"], per_night["index_detected"], level=level)
    n = len(per_night)
    return [
        _line(f"index_{name}", Interval(estimate, low, high, level, n), n, "normal")
        for name, (estimate, low, high) in zip(found.index, found.to_numpy().tolist(), strict=True)
    ]


def _at_cuts(per_night: pd.DataFrame, level: float) -> list[dict[str, Any]]:
    lines = []
    for cut in CUTS:
        truth, called = (per_night[f"index_{name}"].to_numpy() >= cut for name in ("reference", "detected"))
        of: dict[str, tuple[np.ndarray, np.ndarray]] = {
            "sensitivity": (called, truth),
            "specificity": (~called, ~truth),
            "ppv": (truth, called),
            "npv": (~truth, ~called),
        }
        for name, (right, among) in of.items():
            n = int(among.sum())
            lines.append(_line(f"{name}_{cut:g}", wilson(int((right & among).sum()), n, level=level), n, "Wilson"))
    return lines


def _line(name: str, interval: Interval, n: int, how: str) -> dict[str, Any]:
    return {
        "measure": name, "estimate": interval.estimate, "low": interval.low, "high": interval.high, "n": n,
        "n_undefined": interval.n_undefined, "interval": how,
    }  # fmt: skip


def _median(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if defined.size else math.nan


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


# Text ---------------------------------------------------------------------------------------------------


def _text(found: NightScores) -> str:
    nights, cell = found.per_night, _cells(found.summary)
    few = f"; with fewer than {_FEW_NIGHTS} nights it is too narrow" if len(nights) < _FEW_NIGHTS else ""
    pooled = ("precision", "recall", "f1", "false_per_hour", "onset_error_s")
    medians = ("precision_median", "recall_median", "f1_median")
    measures = ("sensitivity", "specificity", "ppv", "npv")
    shown = ("hours", "index_reference", "index_detected", "iou_precision", "iou_recall", "iou_f1")
    events = [[RULE_WORDS[rule], *(cell[f"{rule}_{name}"] for name in pooled)] for rule in RULES]
    events += [
        [f"median night, {RULE_WORDS[rule]}", *(cell[f"{rule}_{name}"] for name in medians), "", ""] for rule in RULES
    ]
    limits = f"{cell['index_limit_low']} to {cell['index_limit_high']}"
    index = [cell["index_mae"], cell["index_bias"], limits, cell["index_icc"], cell["index_pearson"]]
    above = [str(int((nights["index_reference"] >= cut).sum())) for cut in CUTS]
    cuts = [
        [f"{cut:g}", n, *(cell[f"{name}_{cut:g}"] for name in measures)] for cut, n in zip(CUTS, above, strict=True)
    ]
    bands = [[band, *map(str, row)] for band, row in zip(BANDS, found.bands.to_numpy().tolist(), strict=True)]
    by_night = [
        [str(name), *(in_words(float(value)) for value in row)]
        for name, row in zip(nights.index, nights[list(shown)].to_numpy(), strict=True)
    ]
    lines = [
        f"# Events of {len(nights)} nights against a reference",
        "",
        f"- {nights['n_reference'].sum()} reference events, {nights['n_detected'].sum()} detected, "
        f"{nights['hours'].sum():.1f} h",
        f"- […]: {100 * found.level:g} % interval, over draws of nights with replacement{few}; of bias and limits from "
        "the normal distribution; of sensitivity, specificity and predictive values by Wilson",
        "- –: not defined",
        "",
        "## Events",
        "",
        *_markdown(["matched by", "precision", "recall", "F1", "false per hour", "onset error (s)"], events),
        "",
        "## Events per hour",
        "",
        *_markdown(["mean absolute error", "bias", "limits of agreement", "ICC(2,1)", "Pearson's r"], [index]),
        "",
        *_markdown(["index at least", "nights by reference", "sensitivity", "specificity", "PPV", "NPV"], cuts),
        "",
        "## Bands of events per hour",
        "",
        *_markdown(["reference \\ detected", *BANDS], bands),
        "",
        f"Cohen's kappa {cell['band_kappa']}, with linear weights {cell['band_kappa_linear']}.",
        "",
        f"## By night, matched by {RULE_WORDS['iou']}",
        "",
        *_markdown(
            ["night", "hours", "reference per hour", "detected per hour", "precision", "recall", "F1"], by_night
        ),
    ]
    return "\n".join(lines) + "\n"


def _cells(summary: pd.DataFrame) -> dict[str, str]:
    """Estimate and interval of each measure."""
    cells = {}
    for name, (estimate, low, high) in zip(summary.index, summary[["estimate", "low", "high"]].to_numpy(), strict=True):
        cells[str(name)] = in_words(estimate) + ("" if math.isnan(low) else f" [{low:z.2f}, {high:z.2f}]")
    return cells


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [list(head), *([text.replace("|", "\\|") for text in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
