"""How sure a probability is: Venn-Abers intervals, and what they mean for a 0-100 score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["score_bounds", "venn_abers"]


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


def score_bounds(weights: NDArray[np.float64], bounds: NDArray[np.float64]) -> tuple[float, float]:
    """
    Smallest and largest score over all probabilities that lie in their bounds and add up to 1.

    Parameters
    ----------
    weights : ndarray of float, shape (n_classes,)
        Score of each class.
    bounds : ndarray of float, shape (n_classes, 2)
        Low and high of each class.

    Returns
    -------
    low, high : float

    Notes
    -----
    Classes are calibrated one by one, so that their bounds may contradict each other. Where the lows alone add up
    to more than 1 they are let go (0), and where the highs do not reach 1 so are they (1): that can only widen.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.intervals import score_bounds
    >>> score_bounds(np.array([0.0, 50.0, 100.0]), np.array([[0.25, 0.5], [0.125, 0.5], [0.25, 0.5]]))
    (37.5, 62.5)
    """
    low, high = bounds.T
    low = low if low.sum() <= 1 else np.zeros_like(low)
    high = high if high.sum() >= 1 else np.ones_like(high)
    ends = []
    for order in (np.argsort(weights), np.argsort(-weights)):
        # what the lows leave over goes to the cheapest classes first, then to the dearest
        room = (high - low)[order]
        given = np.clip(1 - low.sum() - (np.cumsum(room) - room), 0, room)
        ends.append(float(np.sum(weights[order] * (low[order] + given))))
    return ends[0], ends[1]
