"""How sure a probability is: Venn-Abers intervals, and what they mean for a 0-100 score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["class_intervals", "score_interval", "venn_abers"]


def venn_abers(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], new_scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Probability intervals of new scores by an inductive Venn-Abers predictor.

    Each new score is put among the known ones twice, once with label 0 and once with label 1; isotonic
    regression of the labels on the scores then gives its probability p0 and p1. Whatever the label will turn
    out to be, one of the two is a calibrated probability [1]_, if old and new scores are exchangeable. The
    interval is narrow where many known scores are near, and wide where few are.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        Scores of rows that the scoring model was not trained on.
    labels : ndarray of bool, shape (n,)
        Their classes.
    new_scores : ndarray of float, shape (m,)

    Returns
    -------
    ndarray of float, shape (m, 2)
        p0 and p1, with p0 <= p1.

    References
    ----------
    .. [1] Vovk V, Petej I. Venn-Abers predictors. Proceedings of the 30th Conference on Uncertainty in
       Artificial Intelligence 2014:829-838. arXiv:1211.0025

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.intervals import venn_abers
    >>> venn_abers(np.array([0.1, 0.9]), np.array([False, True]), np.array([0.95])).tolist()
    [[0.5, 1.0]]
    """
    from sklearn.isotonic import isotonic_regression

    known, place_of_row, weights = np.unique(scores, return_inverse=True, return_counts=True)
    positives = np.bincount(place_of_row, weights=labels, minlength=len(known))
    distinct, place_of_new = np.unique(new_scores, return_inverse=True)
    intervals = np.empty((len(distinct), 2))
    for number, score in enumerate(distinct):
        place = np.searchsorted(known, score)
        if place < len(known) and known[place] == score:
            total, found = weights.astype(float), positives.copy()
        else:
            total, found = np.insert(weights.astype(float), place, 0), np.insert(positives, place, 0)
        total[place] += 1
        for label in (0, 1):
            found[place] += label
            intervals[number, label] = isotonic_regression(found / total, sample_weight=total)[place]
    return intervals[place_of_new]


def class_intervals(
    scores: NDArray[np.float64], codes: NDArray[np.intp], new_scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Venn-Abers intervals of every class against the rest.

    Parameters
    ----------
    scores : ndarray of float, shape (n, n_classes)
        Probabilities of rows that the scoring model was not trained on.
    codes : ndarray of int, shape (n,)
        Class of each.
    new_scores : ndarray of float, shape (m, n_classes)
        NaN in rows without an answer.

    Returns
    -------
    ndarray of float, shape (m, n_classes, 2)
        Low and high; NaN in rows without an answer.
    """
    n_classes = scores.shape[1]
    intervals = np.full((*new_scores.shape, 2), np.nan)
    rows = ~np.isnan(new_scores).any(axis=1)
    for place in [1] if n_classes == 2 else range(n_classes):
        intervals[rows, place] = venn_abers(scores[:, place], codes == place, new_scores[rows, place])
    if n_classes == 2:  # the other class is the complement, not a second opinion
        intervals[:, 0] = 1 - intervals[:, 1, ::-1]
    return intervals


def score_interval(intervals: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """
    Smallest and largest 0-100 score over all probabilities that lie in their intervals and add up to 1.

    Parameters
    ----------
    intervals : ndarray of float, shape (n_classes, 2)
        Low and high of each class.
    weights : ndarray of float, shape (n_classes,)
        Of each class in the score.

    Returns
    -------
    low, high : float
        NaN, NaN if no probabilities within the intervals add up to 1: classes are calibrated one by one and
        may contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.intervals import score_interval
    >>> intervals = np.array([[0.2, 0.4], [0.1, 0.5], [0.3, 0.5]])
    >>> score_interval(intervals, np.array([0.0, 0.5, 1.0]))
    (45.0, 65.0)
    """
    low, high = intervals.T
    spare = 1 - low.sum()
    if not (spare >= -1e-9 and high.sum() >= 1 - 1e-9):
        return float("nan"), float("nan")
    ends = []
    for order in (np.argsort(weights), np.argsort(-weights)):
        # whatever the lows leave over goes to the cheapest classes first, or to the dearest
        room = (high - low)[order]
        given = np.clip(spare - (np.cumsum(room) - room), 0, room)
        ends.append(float(100 * np.sum(weights[order] * (low[order] + given))))
    return ends[0], ends[1]
