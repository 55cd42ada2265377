"""Within one person over time: personal baseline, trend, and change that is more than chance."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.conditions import DISCLAIMER
from vocalbio.errors import ParameterError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Track", "track"]

LEAST_DAYS = 4
"""Fewer days with a memo are no baseline: the spread of three numbers can be anything."""
LEAST_TREND_DAYS = 8
LONGEST_GAP_DAYS = 14
"""Days with memos that lie further apart do not confirm each other."""
SIMULATIONS = 40_000
CONFOUNDS = {
    "snr_db": "the noise around the voice",
    "bandwidth_hz": "the bandwidth",
    "source_rate_hz": "the sampling rate of the device",
    "clipped_fraction": "clipping",
}


@dataclass(frozen=True)
class Track:
    """
    One person's scores over time.

    Attributes
    ----------
    days : pandas.DataFrame
        One row a day with a usable memo, index ``date``: ``score`` (mean of its memos), ``n_memos``, ``in_baseline``,
        ``change`` from the baseline with ``change_low`` and ``change_high``, ``beyond`` (-1, 0, 1: below, within,
        above what a day of an unchanged person would show), ``reliable`` (beyond on this day and the day with memos
        before it, two weeks back at most, to the same side).
    unusable : pandas.DataFrame
        Memos without a score, or without a date: ``date``, ``reason``.
    baseline : dict
        ``centre``, ``centre_low``, ``centre_high``, ``sd`` (from day to day), ``low`` and ``high`` (within which a day
        of an unchanged person falls), ``n_days``, ``start``, ``end``. NaN where there are too few days.
    recent : dict
        The last days together: ``change``, ``low``, ``high``, ``reliable``, ``n_days``.
    trend : dict
        ``slope_per_week``, ``low``, ``high``, ``p`` over all days; NaN where there are too few.
    reasons : tuple of str
        Why something is NaN, and what makes a change doubtful.
    settings : dict
    """

    days: pd.DataFrame
    unusable: pd.DataFrame
    baseline: dict[str, Any]
    recent: dict[str, Any]
    trend: dict[str, Any]
    reasons: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def plot(self, *, title: str = "", y_label: str = "Score") -> Figure:
        """
        Draw the days, the baseline and what is beyond it.

        Parameters
        ----------
        title, y_label : str

        Returns
        -------
        matplotlib.figure.Figure
        """
        from vocalbio.figures import plot_track

        return plot_track(self.days, self.baseline, title=title, y_label=y_label)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types; NaN becomes None."""
        found = {
            "days": self.days.reset_index().to_dict("records"),
            "unusable": self.unusable.to_dict("records"),
            "baseline": self.baseline,
            "recent": self.recent,
            "trend": self.trend,
            "reasons": list(self.reasons),
            "settings": self.settings,
            "disclaimer": DISCLAIMER,
        }
        return _plain(found)

    def to_json(self) -> str:
        """Everything, as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        """The course in words."""
        level = f"{self.settings['level']:.0%}"
        b, r, t = self.baseline, self.recent, self.trend
        n_memos = int(self.days["n_memos"].sum())
        lines = [f"{_days(len(self.days))} with {n_memos} memo{'s' * (n_memos != 1)}; {len(self.unusable)} unusable"]
        if np.isfinite(b["centre"]):
            lines.append(
                f"  baseline {b['centre']:.3g} over {b['n_days']} days ({b['start']} to {b['end']}); a day of an "
                f"unchanged person lies in [{b['low']:.3g}, {b['high']:.3g}] ({level})"
            )
        if np.isfinite(r["change"]):
            verdict = "more than chance" if r["reliable"] else "within chance"
            lines.append(
                f"  last {_days(r['n_days'])}: {r['change']:+.3g} [{r['low']:+.3g}, {r['high']:+.3g}] from the "
                f"baseline, {verdict}"
            )
            lines.append(f"  {_days(int(self.days['reliable'].sum()))} of reliable change")
        if np.isfinite(t["slope_per_week"]):
            lines.append(f"  trend {t['slope_per_week']:+.3g} a week [{t['low']:+.3g}, {t['high']:+.3g}]")
        return "\n".join([*lines, *(f"  doubt: {reason}" for reason in self.reasons), f"  {DISCLAIMER}"])


def track(
    X: pd.DataFrame | None,
    scores: Any,
    *,
    dates: Any = None,
    baseline: int | tuple[Any, Any] = 7,
    recent: int = 3,
    level: float = 0.95,
) -> Track:
    """
    Follow one person from dated memos: personal baseline, trend, reliable change.

    Memos of one day are averaged first: they share a mood, a room and a cold, and count as one. The baseline's centre
    and spread are mean and standard deviation after values beyond three robust deviations from the median are pulled
    in, so that one odd day moves neither. How far a day, or several together, may lie from so short a baseline by
    chance is found by simulating that very procedure, as Crawford and Howell's t does for the plain mean [2]_: an
    unchanged person is beyond the limits on 5 % of days. A day counts as reliable change only if the day with memos
    before it lies beyond to the same side: looking every day would else raise false alarms. The trend is Theil and
    Sen's [3]_.

    Parameters
    ----------
    X : pandas.DataFrame or None
        Feature table of the memos, for its quality columns, and for `scores` given as a column name.
    scores : str, pandas.Series or array_like of shape (n_memos,)
        Numbers of the same scale: a probability, a 0-100 score, or the name of a column of `X`. NaN: unusable memo.
    dates : array_like of shape (n_memos,), optional
        When each memo was recorded; the index of `scores` unless given.
    baseline : int or (start, end)
        The first so many days with a memo, or a period, both ends included.
    recent : int
        Days with a memo, counted from the last, that are compared with the baseline together.
    level : float
        Of all intervals.

    Returns
    -------
    Track

    Raises
    ------
    ParameterError
        If lengths differ, dates cannot be read, or a setting is out of range.

    Notes
    -----
    Limits assume that an unchanged person's days are independent and about normal: of probabilities near 0 or 1, pass
    the log-odds. Where good and bad days come in runs, false alarms are more frequent than promised. A change of
    microphone, room or medication is a change too: quality columns of `X` are looked at, and changes in them are told
    as doubts. Reliable change is a statement about measurement, after Jacobson and Truax [1]_; it does not say that the
    change matters. ``benchmarks/track_simulation.py`` measures false alarms, power and coverage.

    References
    ----------
    .. [1] Jacobson NS, Truax P. Clinical significance: a statistical approach to defining meaningful change in
       psychotherapy research. J Consult Clin Psychol 1991;59:12-19. doi:10.1037/0022-006X.59.1.12
    .. [2] Crawford JR, Howell DC. Comparing an individual's test score against norms derived from small samples. Clin
       Neuropsychol 1998;12:482-486. doi:10.1076/clin.12.4.482.7241
    .. [3] Sen PK. Estimates of the regression coefficient based on Kendall's tau. J Am Stat Assoc 1968;63:1379-1389.
       doi:10.1080/01621459.1968.10480934

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import vocalbio as vb
    >>> dates = pd.date_range("2026-01-01", periods=20)
    >>> stress = np.r_[[40, 44, 41, 43, 39, 42, 41, 40, 43, 42], np.full(10, 70.0)]
    >>> found = vb.track(None, stress, dates=dates)
    >>> bool(found.recent["reliable"]), round(found.recent["change"])
    (True, 29)
    """
    _check(baseline, recent, level)
    when, values = _read(X, scores, dates)
    known = np.isfinite(values) & ~np.asarray(when.isna())
    unusable = pd.DataFrame(
        {
            "date": when[~known],
            "reason": np.where(when[~known].isna(), "no date", "no score: the memo could not be used"),
        }
    )
    day = when[known].normalize()
    grouped = pd.Series(values[known], index=day).groupby(level=0)
    days = pd.DataFrame({"score": grouped.mean(), "n_memos": grouped.size()}).sort_index()
    days.index.name = "date"
    reasons: list[str] = []
    dates_of_days = pd.DatetimeIndex(days.index)
    inside = _baseline_days(dates_of_days, baseline)
    days["in_baseline"] = inside
    score = days["score"].to_numpy()
    grid = _grid(values[known])  # of the memos: means of a day are finer
    own = _change(score[inside], score, level, 1, grid)
    after = ~inside & (np.cumsum(inside[::-1])[::-1] == 0)  # days before a stated period are not its future
    n_recent = min(recent, int(after.sum()))
    last = score[after][len(score[after]) - n_recent :]
    together = _change(
        score[inside], np.array([last.mean()]) if n_recent else np.empty(0), level, max(n_recent, 1), grid
    )
    if inside.sum() < LEAST_DAYS:
        reasons.append(f"no baseline: {_days(inside.sum())} with a memo in it, {LEAST_DAYS} are needed")
    elif not n_recent:
        reasons.append("no recent change: there is no day with a memo after the baseline")
    days["change"], days["change_low"], days["change_high"] = own.change, own.low, own.high
    outside = np.sign(own.change) * ((own.low > 0) | (own.high < 0)) * ~inside
    days["beyond"] = np.nan_to_num(outside).astype(int)
    before = days["beyond"].shift(fill_value=0)
    near = np.diff(dates_of_days, prepend=dates_of_days[:1]) <= np.timedelta64(LONGEST_GAP_DAYS, "D")
    days["reliable"] = (days["beyond"] != 0) & (days["beyond"] == before) & near
    reach = own.reach
    base = {
        "centre": own.centre,
        "centre_low": own.centre - own.centre_reach,
        "centre_high": own.centre + own.centre_reach,
        "sd": own.sd,
        "low": own.centre - reach,
        "high": own.centre + reach,
        "n_days": int(inside.sum()),
        "start": _iso(days.index[inside].min()) if inside.any() else None,
        "end": _iso(days.index[inside].max()) if inside.any() else None,
    }
    change, low, high = (
        float(found[0]) if len(found) else np.nan for found in (together.change, together.low, together.high)
    )
    summary = {"change": change, "low": low, "high": high, "reliable": bool(low > 0 or high < 0), "n_days": n_recent}
    if X is not None:
        reasons += _confounds(X, when, known, dates_of_days, inside, n_recent, level)
    trend = _trend(days, level)
    if np.isnan(trend["slope_per_week"]):
        reasons.append(f"no trend: {_days(len(days))} with a memo, {LEAST_TREND_DAYS} are needed")
    settings = {
        "baseline": [_iso(end) for end in baseline] if isinstance(baseline, (tuple, list)) else baseline,
        "recent": recent,
        "level": level,
    }
    return Track(days, unusable.reset_index(drop=True), base, summary, trend, tuple(reasons), settings)


# What was given ------------------------------------------------------------------------------------------


def _check(baseline: Any, recent: Any, level: Any) -> None:
    if isinstance(baseline, Integral) and not isinstance(baseline, bool):
        if baseline < LEAST_DAYS:
            raise ParameterError(f"baseline is {baseline!r} days; expected at least {LEAST_DAYS}, or (start, end)")
    elif not (isinstance(baseline, (tuple, list)) and len(baseline) == 2):
        raise ParameterError(f"baseline is {baseline!r}; expected a number of days, or (start, end)")
    if not isinstance(recent, Integral) or isinstance(recent, bool) or recent < 1:
        raise ParameterError(f"recent is {recent!r}; expected a whole number of days of at least 1")
    if not isinstance(level, Real) or not 0.5 <= float(level) < 1:
        raise ParameterError(f"level is {level!r}; expected a number from 0.5 to below 1, such as 0.95")


def _read(X: Any, scores: Any, dates: Any) -> tuple[pd.DatetimeIndex, NDArray[np.float64]]:
    if X is not None and not isinstance(X, pd.DataFrame):
        raise ParameterError(f"X is of type {type(X).__name__}; expected a table from extract_features, or None")
    if isinstance(scores, str):
        if X is None or scores not in X:
            raise ParameterError(f"scores is {scores!r}, which is no column of X")
        scores = X[scores]
    if dates is None:
        if not isinstance(scores, pd.Series) or not isinstance(scores.index, pd.DatetimeIndex):
            raise ParameterError("dates are missing: pass dates=, or scores as a Series with dates as its index")
        dates = scores.index
    named = [given.index for given in (X, scores, dates) if isinstance(given, (pd.DataFrame, pd.Series))]
    named = [index for index in named if not isinstance(index, (pd.RangeIndex, pd.DatetimeIndex))]
    if any(len(index) == len(named[0]) and not index.equals(named[0]) for index in named):
        raise ParameterError(
            "X, scores and dates name their rows differently or in another order; expected the same index in the same "
            "order, such as scores.reindex(X.index)"
        )
    try:
        values = np.asarray(scores, float)
        when = pd.DatetimeIndex(pd.to_datetime(np.asarray(dates)))
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"scores or dates cannot be read ({error}); expected numbers, and dates or times"
        ) from error
    if values.ndim != 1 or len(values) != len(when) or (X is not None and len(X) != len(values)):
        rows = "" if X is None else f", X {len(X)} rows"
        raise ParameterError(f"scores have shape {values.shape}, dates {len(when)} entries{rows}; expected one a memo")
    if np.isinf(values).any():
        raise ParameterError("scores hold infinity; expected numbers, or NaN for a memo that could not be used")
    if not np.isfinite(values).any():
        raise ParameterError("no memo has a score; see vocalbio.errors(X)")
    return when.tz_localize(None) if when.tz is not None else when, values


def _baseline_days(days: pd.DatetimeIndex, baseline: Any) -> NDArray[np.bool_]:
    if isinstance(baseline, Integral):
        return np.arange(len(days)) < int(baseline)
    try:
        start, end = (pd.Timestamp(value).normalize() for value in baseline)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"baseline is {baseline!r}; expected two dates ({error})") from error
    if start > end:
        raise ParameterError(f"baseline is {baseline!r}; expected the earlier date first")
    return np.asarray((days >= start) & (days <= end))


# The statistics ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    """Changes from a baseline, each with its interval."""

    centre: float
    sd: float
    centre_reach: float
    reach: float
    change: NDArray[np.float64]

    @property
    def low(self) -> NDArray[np.float64]:
        return self.change - self.reach

    @property
    def high(self) -> NDArray[np.float64]:
        return self.change + self.reach


def _grid(values: NDArray[np.float64]) -> float:
    """Smallest step between scores: 1 for whole numbers, next to nothing for unrounded ones."""
    steps = np.diff(np.unique(values))
    steps = steps[steps > 1e-9 * np.abs(values).max()]
    return float(steps.min()) if len(steps) else 0.0


def _centre_and_spread(
    values: NDArray[np.float64], grid: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Mean and standard deviation over the last axis, after odd values were pulled in.

    Of rounded scores most may be equal: a spread of 0, and every later day would be beyond chance. So neither spread is
    finer than rounding itself (half a step either way; its standard deviation is a step / sqrt(12)).
    """
    middle = np.median(values, axis=-1, keepdims=True)
    robust = np.maximum(1.4826 * np.median(np.abs(values - middle), axis=-1, keepdims=True), grid / 2)
    calm = np.clip(values, middle - 3 * robust, middle + 3 * robust)
    return calm.mean(axis=-1), np.maximum(calm.std(axis=-1, ddof=1), grid / np.sqrt(12))


@lru_cache(maxsize=64)
def _reach(n: int, n_new: int, level: float) -> float:
    """How many spreads of `n` days the mean of `n_new` further days lies off the centre; 0: the true mean itself."""
    rng = np.random.default_rng([n, n_new])
    centre, spread = _centre_and_spread(rng.standard_normal((SIMULATIONS, n)))
    new = rng.standard_normal(SIMULATIONS) / np.sqrt(n_new) if n_new else 0.0
    return float(np.quantile(np.abs(new - centre) / np.maximum(spread, 1e-12), level))


def _change(
    baseline: NDArray[np.float64], new: NDArray[np.float64], level: float, n_new: int, grid: float = 0.0
) -> _Change:
    n = len(baseline)
    if n < LEAST_DAYS:
        nothing = float("nan")
        return _Change(nothing, nothing, nothing, nothing, np.full(len(new), nothing))
    centre, spread = (float(value) for value in _centre_and_spread(baseline, grid))
    return _Change(centre, spread, _reach(n, 0, level) * spread, _reach(n, n_new, level) * spread, new - centre)


def _trend(days: pd.DataFrame, level: float) -> dict[str, Any]:
    if len(days) < LEAST_TREND_DAYS:
        return dict.fromkeys(("slope_per_week", "low", "high", "p"), float("nan"))
    from scipy.stats import kendalltau, theilslopes

    weeks = (days.index - days.index[0]).total_seconds().to_numpy() / (7 * 86_400)
    slope, _, low, high = theilslopes(days["score"].to_numpy(), weeks, level)
    p = float(kendalltau(weeks, days["score"]).pvalue)
    return {"slope_per_week": float(slope), "low": float(low), "high": float(high), "p": p}


def _confounds(
    X: pd.DataFrame,
    when: pd.DatetimeIndex,
    known: NDArray[np.bool_],
    days: pd.DatetimeIndex,
    inside: NDArray[np.bool_],
    n_recent: int,
    level: float,
) -> list[str]:
    """What else changed between the baseline and the last days."""
    found = []
    for name, words in CONFOUNDS.items():
        if f"quality__{name}" not in X or not n_recent or inside.sum() < LEAST_DAYS:
            continue
        column = pd.Series(X[f"quality__{name}"].to_numpy()[known], index=when[known].normalize())
        by_day = column.groupby(level=0).mean().reindex(days).to_numpy()
        old, new = by_day[inside], by_day[~inside][-n_recent:]
        old, new = old[np.isfinite(old)], new[np.isfinite(new)]
        if len(old) < LEAST_DAYS or not len(new):
            continue
        moved = _change(old, np.array([new.mean()]), level, len(new))
        # a spread of 0 makes every change one beyond chance: it has to be worth telling besides
        worth = abs(moved.change[0]) > max(0.1 * abs(moved.centre), 0.01)
        if worth and (moved.low[0] > 0 or moved.high[0] < 0):
            found.append(
                f"{words} changed too (quality__{name} from {moved.centre:.3g} to {new.mean():.3g}): "
                "another device, room or distance would also change a score"
            )
    return found


def _days(n: int) -> str:
    return f"{n} day" if n == 1 else f"{n} days"


def _iso(date: Any) -> str | None:
    return None if pd.isna(date) else pd.Timestamp(date).date().isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (pd.Timestamp, type(pd.NaT))):
        return None if pd.isna(value) else value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
