"""Events of one night: detected ones against those of a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from vocalbio.datasets.annotations import check_events
from vocalbio.errors import ParameterError
from vocalbio.evaluation.agreement import cohen_kappa
from vocalbio.evaluation.text import plain

__all__ = [
    "RULES",
    "RULE_WORDS",
    "EventScores",
    "RuleScores",
    "frame_kappa",
    "in_words",
    "match_events",
    "score_and_errors",
    "score_events",
    "share",
]

MIN_IOU, MIN_OVERLAP = 0.2, 0.5
RULES: dict[str, dict[str, float]] = {"iou": {"min_iou": MIN_IOU}, "overlap": {"min_overlap": MIN_OVERLAP}}
"""The rules that events are matched by, as arguments of `match_events`."""
RULE_WORDS = {"iou": "IoU of 0.2 or more", "overlap": "half of the event covered"}


def match_events(
    reference: pd.DataFrame,
    detected: pd.DataFrame,
    *,
    min_iou: float | None = None,
    min_overlap: float | None = None,
) -> pd.DataFrame:
    """
    Pair detected events with those of the reference, each with one at most.

    Of all ways to pair them, the one with the most pairs is taken, and among these the one with the largest sum of
    intersection over union. Kinds do not matter: an apnea that was detected as a hypopnea is found.

    Parameters
    ----------
    reference, detected : pandas.DataFrame
        ``start_s``, ``end_s``, ``kind``.
    min_iou : float, optional
        A pair needs at least so much intersection over union; above 0, at most 1. 0.2 unless `min_overlap` is given.
    min_overlap : float, optional
        The other rule: at least this fraction of the reference event is covered by the detected one.

    Returns
    -------
    pandas.DataFrame
        ``reference``, ``detected``: row numbers (from 0) in the two tables, missing where an event was not found or a
        detection is false; ``iou``; ``onset_error_s``, ``end_error_s``: detected minus reference, NaN without a pair.
        In the order of time.

    Raises
    ------
    ParameterError
        If a table is no event table, both rules are given, or one is out of range.

    References
    ----------
    .. [1] Mesaros A, Heittola T, Virtanen T. Metrics for polyphonic sound event detection. Appl Sci 2016;6:162.
       doi:10.3390/app6060162

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.evaluation.events import match_events
    >>> reference = pd.DataFrame({"start_s": [100.0, 200.0], "end_s": [120.0, 215.0], "kind": "apnea"})
    >>> detected = pd.DataFrame({"start_s": [104.0], "end_s": [122.0], "kind": "hypopnea"})
    >>> match_events(reference, detected)[["reference", "detected", "onset_error_s"]].values.tolist()
    [[0, 0, 4.0], [1, <NA>, nan]]
    """
    if min_iou is not None and min_overlap is not None:
        raise ParameterError("both min_iou and min_overlap are given; expected one rule, match twice for both")
    min_iou = MIN_IOU if min_iou is None and min_overlap is None else min_iou
    for name, value in (("min_iou", min_iou), ("min_overlap", min_overlap)):
        if value is not None and not 0 < value <= 1:
            raise ParameterError(f"{name} is {value!r}; expected a fraction above 0 and at most 1")
    reference, detected = check_events(reference, "reference"), check_events(detected, "detected")
    rows, columns, ious = _assign(reference, detected, min_iou, min_overlap)
    lost = np.setdiff1d(np.arange(len(reference)), rows)
    false = np.setdiff1d(np.arange(len(detected)), columns)
    unpaired = np.full(len(lost) + len(false), math.nan)
    errors = {
        f"{what}_error_s": detected[end].to_numpy()[columns] - reference[end].to_numpy()[rows]
        for what, end in (("onset", "start_s"), ("end", "end_s"))
    }
    table = pd.DataFrame(
        {
            "reference": pd.array([*rows, *lost, *[pd.NA] * len(false)], dtype="Int64"),
            "detected": pd.array([*columns, *[pd.NA] * len(lost), *false], dtype="Int64"),
            **{name: np.concatenate([values, unpaired]) for name, values in ({"iou": ious} | errors).items()},
        }
    )
    starts = [reference["start_s"].to_numpy()[rows], reference["start_s"].to_numpy()[lost]]
    order = np.argsort(np.concatenate([*starts, detected["start_s"].to_numpy()[false]]), kind="stable")
    return table.iloc[order].reset_index(drop=True)


def _assign(
    reference: pd.DataFrame, detected: pd.DataFrame, min_iou: float | None, min_overlap: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and intersection over union of the pairs."""
    from scipy.optimize import linear_sum_assignment

    start, end = (reference[name].to_numpy()[:, None] for name in ("start_s", "end_s"))
    begin, stop = (detected[name].to_numpy() for name in ("start_s", "end_s"))
    shared = np.clip(np.minimum(end, stop) - np.maximum(start, begin), 0.0, None)
    union = (end - start) + (stop - begin) - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    if min_overlap is None:
        allowed = iou >= (min_iou or 0.0) - 1e-9  # 2 s of 10 s are 0.2, whatever the rounding
    else:
        allowed = (shared > 0) & (shared >= min_overlap * (end - start) - 1e-9)
    # a pair counts 1, and all the overlaps together less than 1: first their number, then how well they fit
    worth = np.where(allowed, 1 + iou / (min(iou.shape, default=0) + 1), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    taken = allowed[rows, columns]
    rows, columns = rows[taken], columns[taken]
    return rows, columns, iou[rows, columns]


@dataclass(frozen=True)
class RuleScores:
    """
    How well the events of a night were found, by one rule of matching.

    Attributes
    ----------
    n_matched : int
        Pairs of a reference event and a detected one.
    precision : float
        `n_matched` per detected event; NaN if nothing was detected.
    recall : float
        `n_matched` per reference event; NaN if there is none.
    f1 : float
        Twice `n_matched` per events of both; NaN only if there are none in either, so that detections in a night
        without events give 0, and so does a night whose events were all missed.
    onset_error_s, onset_iqr_s : float
        Median of detected minus reference start over the pairs, and the range of its middle half; NaN without pairs.
    false_per_hour : float
        Detected events without a partner per hour; NaN if the hours are not known.
    """

    n_matched: int
    precision: float
    recall: float
    f1: float
    onset_error_s: float
    onset_iqr_s: float
    false_per_hour: float

    def __str__(self) -> str:
        parts = [
            f"{self.n_matched} matched",
            f"precision {in_words(self.precision)}",
            f"recall {in_words(self.recall)}",
            f"F1 {in_words(self.f1)}",
        ]
        if self.n_matched:
            parts.append(f"onset {self.onset_error_s:+.1f} s (IQR {self.onset_iqr_s:.1f} s)")
        if not math.isnan(self.false_per_hour):
            parts.append(f"{in_words(self.false_per_hour)} false/h")
        return ", ".join(parts)


@dataclass(frozen=True)
class EventScores:
    """
    How well the events of a night were found.

    Attributes
    ----------
    n_reference, n_detected : int
        Events of the reference, and detected ones.
    hours : float
        What false events are counted per; NaN if not known.
    iou : RuleScores
        Matched by an intersection over union of 0.2 or more.
    overlap : RuleScores
        Matched where half of the reference event or more is covered.
    """

    n_reference: int
    n_detected: int
    hours: float
    iou: RuleScores
    overlap: RuleScores

    def to_dict(self) -> dict[str, Any]:
        """
        Plain JSON types; None where a number is not defined.

        Returns
        -------
        dict
            ``iou`` and ``overlap`` are dicts of their own.
        """
        return plain(asdict(self))

    def __str__(self) -> str:
        hours = "" if math.isnan(self.hours) else f" in {self.hours:.1f} h"
        return "\n".join(
            [
                f"{self.n_reference} reference events, {self.n_detected} detected{hours}",
                *(f"{RULE_WORDS[rule]}: {getattr(self, rule)}" for rule in RULES),
            ]
        )


def score_events(
    reference: pd.DataFrame,
    detected: pd.DataFrame,
    *,
    hours: float | None = None,
    kinds: Sequence[str] | None = None,
) -> EventScores:
    """
    Score the detected events of a night against those of a reference.

    Parameters
    ----------
    reference, detected : pandas.DataFrame
        ``start_s``, ``end_s``, ``kind``.
    hours : float, optional
        Hours that were searched for events, for the false events per hour.
    kinds : sequence of str, optional
        Only these kinds, in both tables; None: every row. Among those chosen, kinds do not matter for matching.

    Returns
    -------
    EventScores
        `print` it for a text. Undefined numbers are NaN, never 0: see `RuleScores` for nights without events.

    Raises
    ------
    ParameterError
        If a table is no event table or `hours` is not above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.evaluation.events import score_events
    >>> reference = pd.DataFrame({"start_s": [100.0, 200.0], "end_s": [120.0, 215.0], "kind": "apnea"})
    >>> detected = pd.DataFrame({"start_s": [104.0, 600.0], "end_s": [122.0, 620.0], "kind": "apnea"})
    >>> print(score_events(reference, detected, hours=0.5))
    2 reference events, 2 detected in 0.5 h
    IoU of 0.2 or more: 1 matched, precision 0.50, recall 0.50, F1 0.50, onset +4.0 s (IQR 0.0 s), 2.00 false/h
    half of the event covered: 1 matched, precision 0.50, recall 0.50, F1 0.50, onset +4.0 s (IQR 0.0 s), 2.00 false/h
    """
    scores, _ = score_and_errors(reference, detected, hours, kinds)
    return scores


def score_and_errors(
    reference: pd.DataFrame, detected: pd.DataFrame, hours: float | None, kinds: Sequence[str] | None
) -> tuple[EventScores, dict[str, np.ndarray]]:
    """Score a night, and give the onset errors of its pairs by rule as well."""
    if hours is not None and not (isinstance(hours, Real) and math.isfinite(hours) and hours > 0):
        raise ParameterError(f"hours is {hours!r}; expected the hours that were searched for events, above 0")
    reference, detected = (
        _of_kinds(check_events(table, name), kinds)
        for table, name in ((reference, "reference"), (detected, "detected"))
    )
    n_reference, n_detected = len(reference), len(detected)
    onsets = {
        rule: match_events(reference, detected, **limit)["onset_error_s"].dropna().to_numpy(float)
        for rule, limit in RULES.items()
    }
    rules = {}
    for rule, errors in onsets.items():
        low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75]) if errors.size else (math.nan,) * 3
        rules[rule] = RuleScores(
            n_matched=len(errors),
            precision=share(len(errors), n_detected),
            recall=share(len(errors), n_reference),
            f1=share(2 * len(errors), n_reference + n_detected),
            onset_error_s=float(middle),
            onset_iqr_s=float(high - low),
            false_per_hour=math.nan if hours is None else (n_detected - len(errors)) / hours,
        )
    return EventScores(n_reference, n_detected, math.nan if hours is None else float(hours), **rules), onsets


def _of_kinds(events: pd.DataFrame, kinds: Sequence[str] | None) -> pd.DataFrame:
    if kinds is None:
        return events
    return events[events["kind"].isin([kinds] if isinstance(kinds, str) else list(kinds))].reset_index(drop=True)


def frame_kappa(reference: pd.DataFrame, detected: pd.DataFrame, duration_s: float, *, frame_s: float = 1.0) -> float:
    """
    Cohen's kappa by frame: is there an event, or is there none?

    Parameters
    ----------
    reference, detected : pandas.DataFrame
        ``start_s``, ``end_s``, ``kind``; kinds do not matter.
    duration_s : float
        Length of the recording; what begins after it does not count.
    frame_s : float
        Length of a frame. A frame belongs to an event if its middle does; a last frame that is not whole is left out.

    Returns
    -------
    float
        1 for agreement, 0 for chance; NaN where both find an event in no frame, or in every one.

    Raises
    ------
    ParameterError
        If a table is no event table, or there is not a single frame.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.evaluation.events import frame_kappa
    >>> reference = pd.DataFrame({"start_s": [20.0], "end_s": [40.0], "kind": "apnea"})
    >>> detected = pd.DataFrame({"start_s": [25.0], "end_s": [45.0], "kind": "apnea"})
    >>> round(frame_kappa(reference, detected, duration_s=100), 3)
    0.688
    """
    if not (np.isfinite(frame_s) and np.isfinite(duration_s) and 0 < frame_s <= duration_s):
        raise ParameterError(
            f"duration_s is {duration_s!r} and frame_s {frame_s!r}; expected a recording of at least one frame"
        )
    middles = (np.arange(math.floor(duration_s / frame_s + 1e-9)) + 0.5) * frame_s
    first, second = (
        _inside(check_events(table, name), middles)
        for table, name in ((reference, "reference"), (detected, "detected"))
    )
    return cohen_kappa(np.bincount(2 * first + second, minlength=4).reshape(2, 2))


def _inside(events: pd.DataFrame, times: np.ndarray) -> np.ndarray:
    """1 where a time lies in an event, else 0."""
    starts, ends = np.sort(events["start_s"].to_numpy()), np.sort(events["end_s"].to_numpy())
    begun, over = np.searchsorted(starts, times, side="right"), np.searchsorted(ends, times, side="right")
    return (begun > over).astype(int)


def share(part: float, whole: float) -> float:
    """Part of a whole; NaN of nothing."""
    return float(part / whole) if whole else math.nan


def in_words(value: float) -> str:
    """Write a number with two decimals, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:z.2f}"
