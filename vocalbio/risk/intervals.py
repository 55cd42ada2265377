"""How sure an answer is: Venn-Abers intervals of probabilities, conformal intervals of severities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["class_bounds", "conformal_radius", "score_bounds", "venn_abers"]


def venn_abers(
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    new_scores: NDArray[np.float64],
    *,
    weights: NDArray[np.float64] | None = None,
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
    weights : ndarray of float, shape (n,), optional
        Of each known row, where classes are to count as if they were of another size; a new row weighs like the mean
        of the known ones of its label.

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

    weights = np.ones(len(scores)) if weights is None else weights
    weight_of_new = [float(weights[labels == label].mean()) if (labels == label).any() else 1.0 for label in (0, 1)]
    known, place_of_row = np.unique(scores, return_inverse=True)
    mass = np.bincount(place_of_row, weights=weights, minlength=len(known))
    positives = np.bincount(place_of_row, weights=weights * labels, minlength=len(known))
    distinct, place_of_new = np.unique(new_scores, return_inverse=True)
    intervals = np.empty((len(distinct), 2))
    for number, score in enumerate(distinct):
        place = np.searchsorted(known, score)
        if place < len(known) and known[place] == score:
            total, found = mass, positives
        else:
            total, found = np.insert(mass, place, 0), np.insert(positives, place, 0)
        for label in (0, 1):
            with_it, found_with_it = total.copy(), found.copy()
            with_it[place] += weight_of_new[label]
            found_with_it[place] += label * weight_of_new[label]
            intervals[number, label] = isotonic_regression(found_with_it / with_it, sample_weight=with_it)[place]
    return intervals[place_of_new]


def class_bounds(
    held_out: NDArray[np.float64],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
    probabilities: NDArray[np.float64],
) -> NDArray[np.float64]:
    """
    Venn-Abers interval of each class probability, widened where need be to hold that probability.

    A calibration with few parameters and isotonic regression may disagree, and then neither is known to be right: the
    interval spans both. So a probability never lies outside its interval, intervals of all classes can hold at once,
    and what Venn-Abers promises is kept, since an interval only becomes wider.

    Parameters
    ----------
    held_out : ndarray, shape (n, n_classes)
        Calibrated probabilities of samples of speakers that the networks had not heard.
    codes, weights : ndarray, shape (n,)
        Their classes and weights.
    probabilities : ndarray, shape (m, n_classes)
        Of new samples.

    Returns
    -------
    ndarray, shape (m, n_classes, 2)
    """
    bounds = np.empty((*probabilities.shape, 2))
    for code in range(probabilities.shape[1]):
        mine = probabilities[:, code]
        low, high = venn_abers(held_out[:, code], codes == code, mine, weights=weights).T
        bounds[:, code] = np.stack([np.minimum(low, mine), np.maximum(high, mine)], axis=1)
    return bounds


def score_bounds(weights: NDArray[np.float64], bounds: NDArray[np.float64]) -> tuple[float, float]:
    """
    Smallest and largest score over all probabilities that lie in their bounds and add up to 1.

    Parameters
    ----------
    weights : ndarray of float, shape (n_classes,)
        Score of each class.
    bounds : ndarray of float, shape (n_classes, 2)
        Low and high of each class, as `class_bounds` gives them: the lows add up to 1 at most, the highs at least.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.intervals import score_bounds
    >>> score_bounds(np.array([0.0, 50.0, 100.0]), np.array([[0.25, 0.5], [0.125, 0.5], [0.25, 0.5]]))
    (37.5, 62.5)
    """
    low, high = bounds.T
    ends = []
    for order in (np.argsort(weights), np.argsort(-weights)):
        # what the lows leave over goes to the cheapest classes first, then to the dearest
        room = (high - low)[order]
        given = np.clip(1 - low.sum() - (np.cumsum(room) - room), 0, room)
        ends.append(float(np.sum(weights[order] * (low[order] + given))))
    return ends[0], ends[1]


def conformal_radius(residuals: NDArray[np.float64], units: NDArray[Any], level: float) -> float:
    """
    Half the width of an interval that holds a new speaker's value with a given probability.

    Split conformal prediction for grouped data [1]_: every speaker weighs alike, whatever the number of recordings,
    and a new speaker counts as one of them whose error is not known.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        Errors on speakers that the predicting model had not heard.
    units : ndarray, shape (n,)
        Speaker of each.
    level : float
        Between 0 and 1, such as 0.9.

    Returns
    -------
    float
        Infinity where there are too few speakers to promise so much: below ``level / (1 - level)``.

    References
    ----------
    .. [1] Dunn R, Wasserman L, Ramdas A. Distribution-free prediction sets for two-layer hierarchical models. J Am
       Stat Assoc 2023;118:2491-2502. doi:10.1080/01621459.2022.2060112

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.intervals import conformal_radius
    >>> conformal_radius(np.arange(1.0, 20.0), np.arange(19), 0.9)
    18.0
    """
    speaker, _ = pd.factorize(units)
    n_of_speaker = np.bincount(speaker)
    order = np.argsort(np.abs(residuals))
    reached = np.cumsum(1 / n_of_speaker[speaker[order]]) / (len(n_of_speaker) + 1)
    place = int(np.searchsorted(reached, level - 1e-9))
    return float(np.abs(residuals)[order][place]) if place < len(order) else np.inf
