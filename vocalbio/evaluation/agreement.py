"""Agreement of two ways to measure: coefficients and limits, with what is known about their intervals."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError
from vocalbio.metrics import Interval

__all__ = ["bland_altman", "cohen_kappa", "icc", "wilson"]

_Z = 1.96  # of the limits of agreement, as everybody writes them


def icc(ratings: ArrayLike) -> float:
    """
    Intraclass correlation ICC(2,1): two-way random effects, absolute agreement, a single rating.

    Parameters
    ----------
    ratings : array-like of shape (n_targets, n_raters)
        Every target rated by every rater, such as nights by reference and detector.

    Returns
    -------
    float
        1 for the same values, about 0 (even below) where raters say nothing about each other. NaN for fewer than
        two targets, or if every value is the same.

    Raises
    ------
    ParameterError
        If the shape is another or values are not finite.

    References
    ----------
    .. [1] Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability. Psychol Bull
       1979;86:420-428. doi:10.1037/0033-2909.86.2.420

    Examples
    --------
    >>> from vocalbio.evaluation.agreement import icc
    >>> round(icc([[10, 12], [20, 18], [30, 33]]), 3)
    0.974
    """
    table = _numbers("ratings", ratings)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ParameterError(f"ratings has shape {table.shape}; expected (n_targets, n_raters), two raters or more")
    n, k = table.shape
    if n < 2:
        return math.nan
    mean = table.mean()
    of_targets, of_raters = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    between = k * (of_targets**2).sum() / (n - 1)
    raters = n * (of_raters**2).sum() / (k - 1)
    rest = ((table - mean - of_targets[:, None] - of_raters) ** 2).sum() / ((n - 1) * (k - 1))
    whole = between + (k - 1) * rest + k * (raters - rest) / n
    # rounding of the means may leave a little where every value is the same
    return float((between - rest) / whole) if whole > 1e-15 * max(1.0, mean**2) else math.nan


def wilson(hits: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Interval of Wilson for a fraction, which stays within 0 and 1 and is honest for small samples.

    Parameters
    ----------
    hits, n : int
        How many of how many.
    level : float
        Between 0 and 1.

    Returns
    -------
    Interval
        With ``n_groups`` being `n`; all NaN where `n` is 0.

    Raises
    ------
    ParameterError
        If `hits` is not between 0 and `n`, or `level` not between 0 and 1.

    References
    ----------
    .. [1] Newcombe RG. Two-sided confidence intervals for the single proportion: comparison of seven methods. Stat Med
       1998;17:857-872. doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E

    Examples
    --------
    >>> from vocalbio.evaluation.agreement import wilson
    >>> print(wilson(9, 10))
    0.90 [0.60, 0.98]
    """
    if not 0 <= hits <= n:
        raise ParameterError(f"{hits!r} hits of {n!r}; expected a count between 0 and n")
    _check_level(level)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, level, 0)
    z, p = NormalDist().inv_cdf((1 + level) / 2), hits / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # at 0 and n of n the formula is exactly p, up to rounding
    return Interval(p, 0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half, level, int(n))


def cohen_kappa(counts: ArrayLike, *, weights: Literal["linear", "quadratic"] | None = None) -> float:
    """
    Cohen's kappa: agreement beyond what chance gives.

    Parameters
    ----------
    counts : array-like of shape (n_classes, n_classes)
        How often the first called it the row and the second the column; classes in their order.
    weights : {"linear", "quadratic"}, optional
        How a disagreement counts, by the distance of the classes; None: any disagreement alike.

    Returns
    -------
    float
        1 for agreement, 0 for chance. NaN where chance alone agrees always: no counts, or all in one class.

    Raises
    ------
    ParameterError
        If `counts` is not square or holds negative values, or `weights` is another word.

    References
    ----------
    .. [1] Cohen J. Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit.
       Psychol Bull 1968;70:213-220. doi:10.1037/h0026256

    Examples
    --------
    >>> from vocalbio.evaluation.agreement import cohen_kappa
    >>> round(cohen_kappa([[20, 5], [10, 15]]), 3)
    0.4
    """
    table = _numbers("counts", counts)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or (table < 0).any():
        raise ParameterError(f"counts has shape {table.shape}; expected a square table of counts, none below 0")
    if weights not in (None, "linear", "quadratic"):
        raise ParameterError(f"weights is {weights!r}; expected None, 'linear' or 'quadratic'")
    n = table.sum()
    classes = np.arange(len(table))
    distance = np.abs(classes[:, None] - classes)
    penalty = (distance > 0).astype(float) if weights is None else distance ** (1.0 if weights == "linear" else 2.0)
    by_chance = (penalty * np.outer(table.sum(axis=1), table.sum(axis=0))).sum()
    return float(1 - n * (penalty * table).sum() / by_chance) if by_chance > 0 else math.nan


def bland_altman(reference: ArrayLike, estimated: ArrayLike, *, level: float = 0.95) -> pd.DataFrame:
    """
    Bias of a measurement and its limits of agreement: between them lie 95 % of the differences, if these are normal.

    The differences are estimated minus reference; the limits lie 1.96 standard deviations about their mean.

    Parameters
    ----------
    reference, estimated : array-like of shape (n,)
        In the same unit, such as events per hour.
    level : float
        Level of the intervals of bias and limits, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        Rows ``bias``, ``limit_low``, ``limit_high``; columns ``estimate``, ``low``, ``high``. The interval of a limit
        is the approximate one of [1]_. With one value there is a bias and nothing else (NaN).

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty or hold values that are not finite.

    References
    ----------
    .. [1] Bland JM, Altman DG. Measuring agreement in method comparison studies. Stat Methods Med Res 1999;8:135-160.
       doi:10.1177/096228029900800204

    Examples
    --------
    >>> from vocalbio.evaluation.agreement import bland_altman
    >>> bland_altman([10, 20, 30, 40], [12, 19, 33, 40])["estimate"].round(2).to_dict()
    {'bias': 1.0, 'limit_low': -2.58, 'limit_high': 4.58}
    """
    from scipy.special import stdtrit

    a, b = _numbers("reference", reference), _numbers("estimated", estimated)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ParameterError(f"reference and estimated have shapes {a.shape} and {b.shape}; expected the same, (n,)")
    _check_level(level)
    n = len(a)
    sd = float(np.std(b - a, ddof=1)) if n > 1 else math.nan
    t = float(stdtrit(n - 1, (1 + level) / 2)) if n > 1 else math.nan
    bias = float(np.mean(b - a))
    half, half_of_limit = t * sd / math.sqrt(n), t * sd * math.sqrt(1 / n + _Z**2 / (2 * max(n - 1, 1)))
    rows: dict[str, Any] = {
        "bias": (bias, bias - half, bias + half),
        "limit_low": (bias - _Z * sd, bias - _Z * sd - half_of_limit, bias - _Z * sd + half_of_limit),
        "limit_high": (bias + _Z * sd, bias + _Z * sd - half_of_limit, bias + _Z * sd + half_of_limit),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "low", "high"])


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} does not hold numbers ({error}); expected an array of numbers") from error
    if not np.isfinite(array).all():
        raise ParameterError(f"{name} holds NaN or infinite values; leave those rows out and say how many they were")
    return array


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ParameterError(f"level is {level!r}; expected a fraction between 0 and 1, such as 0.95")
