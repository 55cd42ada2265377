"""Agreement of two tables of features: the same recordings before and after, or said twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.errors import ParameterError
from vocalbio.extract.table import is_feature

__all__ = ["FEWEST_PAIRS", "FEWEST_SPEAKERS", "agreement"]

FEWEST_PAIRS, FEWEST_SPEAKERS = 10, 5
"""With fewer there is no coefficient: it would say nothing."""
MOST_ALIKE = 0.9
"""Share of equal values in the first table from which on there are no differences that could be found again."""


def agreement(
    first: pd.DataFrame,
    second: pd.DataFrame,
    groups: Any,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """
    How well each feature of one table is found again in another.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Feature tables of the same columns and as many rows, which belong together by position: a recording clean and
        through a channel of yours, or one sentence said twice. Quality columns are left out.
    groups : array_like of shape (n_rows,)
        Speaker of each row. Intervals are bootstrapped over speakers.
    n_resamples : int
        Draws of speakers.
    level : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    pandas.DataFrame
        One row a column:

        - ``icc``, ``icc_low``, ``icc_high``: ICC(2,1), absolute agreement of single values; 1 is the same numbers. NaN
          with fewer than 10 pairs or 5 speakers, or where nine in ten values of `first` are the same: pauses of clips
          that have none tell nothing of pauses.
        - ``consistency``: ICC(3,1), the same with a constant shift forgiven.
        - ``shift_sd``: median of second minus first, in standard deviations of the first over all rows.
        - ``missing``: share of the rows which were a number in the first and are none in the second.
        - ``n``, ``n_speakers``: pairs of numbers, and speakers who have any.

    Raises
    ------
    ParameterError
        If the tables do not belong together.

    References
    ----------
    Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability. Psychol Bull 1979;86:420-428.
    doi:10.1037/0033-2909.86.2.420

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from vocalbio.reliability import agreement
    >>> clean = pd.DataFrame({"voice__f0_mean_hz": np.arange(100.0, 120.0)})
    >>> found = agreement(clean, clean + 5, groups=np.arange(20) // 2)
    >>> found[["icc", "consistency", "shift_sd"]].round(2).to_numpy().tolist()
    [[0.74, 1.0, 0.85]]
    """
    for name, table in (("first", first), ("second", second)):
        if not isinstance(table, pd.DataFrame):
            raise ParameterError(f"{name} is a {type(table).__name__}; expected a table of features")
    if list(first.columns) != list(second.columns) or len(first) != len(second):
        raise ParameterError(
            f"first has shape {first.shape} and second {second.shape}; expected the same columns, in the same order, "
            "and as many rows: measure both with one extractor"
        )
    names = [name for name in first.columns if is_feature(name)]
    speakers = pd.factorize(np.asarray(groups).ravel())[0]
    if len(speakers) != len(first) or not len(first):
        raise ParameterError(f"groups has {len(speakers)} entries for {len(first)} rows; expected one a row")
    if not isinstance(n_resamples, (int, np.integer)) or n_resamples < 1 or not 0 < level < 1:
        raise ParameterError(
            f"n_resamples is {n_resamples!r} and level {level!r}; expected a whole number of draws and a level between "
            "0 and 1"
        )
    a, b = first[names].to_numpy(float), second[names].to_numpy(float)
    both = np.isfinite(a) & np.isfinite(b)
    # units must not decide how much of a sum of squares is rounding
    known = np.isfinite(a)
    spread = pd.DataFrame(np.where(known, a, np.nan)).agg(["mean", "std"]).to_numpy()
    scale = np.where(spread[1] > 0, spread[1], 1)
    a, b = (a - spread[0]) / scale, (b - spread[0]) / scale
    member = speakers[:, None] == np.arange(speakers.max() + 1)
    has_pairs = (member.T.astype(float) @ both) > 0
    n_speakers = has_pairs.sum(axis=0)
    enough = (both.sum(axis=0) >= FEWEST_PAIRS) & (n_speakers >= FEWEST_SPEAKERS)
    enough &= _largest_share(np.where(both, a, np.nan)) < MOST_ALIKE

    icc, consistency = _icc(np.ones((1, len(a))), a, b, both)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(member.shape[1], np.full(member.shape[1], 1 / member.shape[1]), size=n_resamples)
    drawn, _ = _icc((draws @ member.T).astype(float), a, b, both)
    tails = [50 * (1 - level), 50 * (1 + level)]
    low, high = np.full((2, len(names)), np.nan)
    enough &= np.isfinite(icc[0])
    if enough.any():
        low[enough], high[enough] = np.nanpercentile(drawn[:, enough], tails, axis=0)
    moved = pd.DataFrame(np.where(both, b - a, np.nan)).median().to_numpy()
    return pd.DataFrame(
        {
            "icc": np.where(enough, icc[0], np.nan),
            "icc_low": low,
            "icc_high": high,
            "consistency": np.where(enough, consistency[0], np.nan),
            "shift_sd": np.where(enough, moved, np.nan),
            "missing": (known & ~both).sum(axis=0) / np.maximum(known.sum(axis=0), 1),
            "n": both.sum(axis=0),
            "n_speakers": n_speakers,
        },
        index=pd.Index(names, name="column"),
    )


def _largest_share(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every column's numbers, the share of the most frequent one; NaN where there is none."""
    frame = pd.DataFrame(values)
    return np.array([column.value_counts(normalize=True).max() for _, column in frame.items()])


def _icc(
    weights: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], both: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ICC(2,1) and ICC(3,1) of every column; rows counted as often as `weights`, shape (n_draws, n_rows), says."""
    mean, gap = np.where(both, (a + b) / 2, 0.0), np.where(both, b - a, 0.0)
    n = weights @ both
    with np.errstate(divide="ignore", invalid="ignore"):
        sum_gap = weights @ gap
        between = 2 * (weights @ mean**2 - (weights @ mean) ** 2 / n) / (n - 1)
        error = (weights @ gap**2 - sum_gap**2 / n) / 2 / (n - 1)
        shift = sum_gap**2 / (2 * n)
        absolute = (between - error) / (between + error + 2 * (shift - error) / n)
        consistent = (between - error) / (between + error)
    nothing = (n < 3) | (between + error < 1e-12)  # all values equal: no differences to be found again
    return np.where(nothing, np.nan, absolute), np.where(nothing, np.nan, consistent)
