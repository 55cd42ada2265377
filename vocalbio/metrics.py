"""
Measures of agreement between truth and prediction, and intervals bootstrapped over speakers.

Every metric is a function ``(y_true, y_pred)`` or ``(y_true, y_score)`` of arrays, read by position (an
index of pandas is ignored). Nothing here reads a file, fits a model or knows about a condition.

A value that is not defined, such as the AUROC of rows that are all of one class, is NaN and comes with a
:class:`~vocalbio.errors.VocalbioWarning`; it is never 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vocalbio.errors import ParameterError, VocalbioWarning, required_for

__all__ = [
    "Interval",
    "auprc",
    "auroc",
    "bootstrap",
    "brier",
    "ccc",
    "confusion",
    "ece",
    "mae",
    "npv",
    "paired_difference",
    "ppv",
    "precision_recall_f1",
    "reliability_table",
    "rmse",
    "sensitivity",
    "sensitivity_specificity",
    "specificity",
    "threshold_at_sensitivity",
    "uar",
]

Metric = Callable[[Any, Any], float]


# The gate: every argument of every metric passes here once -----------------------------------------------


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ParameterError(f"{name} holds rows of different lengths ({error}); expected an array") from error


def _values(name: str, values: Any) -> np.ndarray:
    """One value a row, text or finite numbers: shape (n,), not empty, nothing missing."""
    array = _array(name, values)
    if array.ndim != 1:
        raise ParameterError(f"{name} has shape {array.shape}; expected one value a row, shape (n,)")
    if array.size == 0:
        raise ParameterError(f"{name} is empty; expected at least one row")
    n_missing = int(pd.isna(array).sum())
    if n_missing:
        raise ParameterError(
            f"{name} holds {n_missing} missing values (NaN or None) among {array.size}; "
            "leave those rows out of every argument, and report how many they were"
        )
    if array.dtype == object:
        n_texts = sum(isinstance(value, str) for value in array)
        try:
            array = array.astype(str if n_texts else float)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{name} holds neither text nor numbers ({error})") from error
        if 0 < n_texts < array.size:
            raise ParameterError(f"{name} holds {n_texts} texts among {array.size} values; expected one kind")
    if array.dtype.kind not in "biufU":
        raise ParameterError(f"{name} is of type {array.dtype}; expected text or numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ParameterError(f"{name} holds infinite values; expected finite numbers")
    return array


def _numbers(name: str, values: Any) -> np.ndarray:
    array = _values(name, values)
    if array.dtype.kind == "U":
        raise ParameterError(f"{name} holds text such as {str(array[0])!r}; expected numbers")
    return array.astype(float)


def _columns(name: str, array: np.ndarray) -> np.ndarray:
    """Scores of shape (n, k), through the same gate."""
    return _numbers(name, array.ravel()).reshape(array.shape)


def _labels(name: str, values: Any) -> np.ndarray:
    array = _values(name, values)
    if array.dtype.kind == "f":
        fractions = array[array != np.round(array)]
        if fractions.size:
            raise ParameterError(
                f"{name} holds {float(fractions[0])!r}; expected class labels. "
                "Turn probabilities into classes first: a threshold for two, argmax for more"
            )
        array = array.astype(int)
    return array.astype(int) if array.dtype.kind == "b" else array


def _same_length(**arrays: np.ndarray) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise ParameterError(f"the arguments differ in length ({lengths}); expected the same rows in each")


def _label_pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = _labels("y_true", y_true), _labels("y_pred", y_pred)
    _same_length(y_true=truth, y_pred=predicted)
    if (truth.dtype.kind == "U") != (predicted.dtype.kind == "U"):
        raise ParameterError(
            f"y_true holds {truth[0].item()!r} and y_pred {predicted[0].item()!r}; "
            "expected both as text or both as numbers"
        )
    return truth, predicted


def _number_pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    _same_length(y_true=truth, y_pred=predicted)
    return truth, predicted


def _binary_pair(y_true: Any, y_score: Any) -> tuple[np.ndarray, np.ndarray]:
    """Truth as bool, scores as float."""
    truth = _values("y_true", y_true)
    strange = truth if truth.dtype.kind == "U" else truth[(truth != 0) & (truth != 1)]
    if strange.size:
        raise ParameterError(
            f"y_true holds {strange[0].item()!r}; expected 0/1 or bool where 1 is the positive class. "
            "Compare first, as in y_true == 'positive', or pass scores of shape (n, k) with classes"
        )
    scores = _numbers("y_score", y_score)
    _same_length(y_true=truth, y_score=scores)
    return truth.astype(bool), scores


def _class_names(classes: Any, **observed: np.ndarray) -> np.ndarray:
    """`classes` in the order given, which must hold every observed label; None: the observed ones, sorted."""
    if classes is None:
        return np.unique(np.concatenate(list(observed.values())))
    names = _labels("classes", classes)
    if len(np.unique(names)) < len(names):
        raise ParameterError(f"classes is {names.tolist()}; expected each name once")
    for argument, labels in observed.items():
        unknown = sorted(set(labels.tolist()) - set(names.tolist()), key=str)
        if unknown:
            raise ParameterError(
                f"{argument} holds {unknown[0]!r}, which is not among the classes {names.tolist()}; "
                "name every class that occurs"
            )
    return names


def _one_vs_rest(y_true: Any, y_score: Any, classes: Any) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    """Class → (is it this class?, score of this class); scores of shape (n,) have the one class 1."""
    array = _array("y_score", y_score)
    if array.ndim != 2:
        if classes is not None:
            raise ParameterError("classes goes with y_score of shape (n, k); leave it out for shape (n,)")
        return {1: _binary_pair(y_true, array)}
    if classes is None:
        raise ParameterError(
            f"y_score has {array.shape[1]} columns and classes is missing; name the class of each column, "
            "or for two classes pass the positive one alone, y_score[:, 1]"
        )
    truth, scores = _labels("y_true", y_true), _columns("y_score", array)
    _same_length(y_true=truth, y_score=scores)
    names = _class_names(classes, y_true=truth)
    if len(names) != scores.shape[1]:
        raise ParameterError(f"y_score has {scores.shape[1]} columns for the {len(names)} classes {names.tolist()}")
    return {name.item(): (truth == name, column) for name, column in zip(names, scores.T, strict=True)}


def _check_probabilities(scores: np.ndarray) -> None:
    outside = scores[(scores < 0) | (scores > 1)]
    if outside.size:
        raise ParameterError(
            f"y_score holds {float(outside[0])!r}; expected probabilities between 0 and 1 (divide a 0-100 score by 100)"
        )


def _undefined(text: str) -> float:
    warnings.warn(f"{text}; the value is NaN", VocalbioWarning, stacklevel=3)
    return math.nan


# Classes -------------------------------------------------------------------------------------------------


def uar(y_true: ArrayLike, y_pred: ArrayLike, *, classes: ArrayLike | None = None) -> float:
    """
    Unweighted average recall: the mean over classes of the fraction of its rows that were found.

    Chance is one over the number of classes, however unequal their sizes. Also known as balanced accuracy.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels, both as text or both as numbers.
    classes : array-like of shape (k,), optional
        The classes to average over; by default those that occur in `y_true`. Where one of those named does
        not occur, the value is not defined: NaN with a warning.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ParameterError
        If the arguments differ in length or kind, are empty, hold missing values or unnamed classes.

    References
    ----------
    Schuller B, Steidl S, Batliner A. The INTERSPEECH 2009 emotion challenge. Proc. Interspeech 2009;312-315.

    Examples
    --------
    >>> from vocalbio.metrics import uar
    >>> uar(["sad", "sad", "sad", "neutral"], ["sad", "sad", "sad", "sad"])
    0.5
    """
    truth, predicted = _label_pair(y_true, y_pred)
    names = _class_names(classes, y_true=truth)
    found = predicted == truth
    recalls = []
    for name in names:
        rows = truth == name
        if not rows.any():
            return _undefined(f"uar is not defined: no row of class {name.item()!r}")
        recalls.append(found[rows].mean())
    return float(np.mean(recalls))


def precision_recall_f1(y_true: ArrayLike, y_pred: ArrayLike, *, classes: ArrayLike | None = None) -> pd.DataFrame:
    """
    Precision, recall and F1 of each class, and their macro and micro average.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels, both as text or both as numbers.
    classes : array-like of shape (k,), optional
        Order of the rows; by default every label that occurs, sorted.

    Returns
    -------
    pandas.DataFrame of shape (k + 2, 4)
        Columns precision, recall, f1 and n (rows of that class in `y_true`); one line a class, then "macro"
        (the plain mean of the lines above) and "micro" (over all rows: the accuracy).
        The precision of a class that was never predicted and the recall of one that never occurs are NaN,
        and so is the macro average over them: leaving such a class out of the mean would reward a model for
        never predicting it. F1 is NaN only for a class that neither occurs nor is predicted.

    Raises
    ------
    ParameterError
        If the arguments differ in length or kind, are empty, hold missing values or unnamed classes.

    Examples
    --------
    >>> from vocalbio.metrics import precision_recall_f1
    >>> table = precision_recall_f1([1, 1, 1, 0], [1, 1, 0, 0])
    >>> table.loc[1].tolist()
    [1.0, 0.6666666666666666, 0.8, 3.0]
    """
    with required_for("precision, recall and F1", "scikit-learn"):
        from sklearn.metrics import precision_recall_fscore_support
    truth, predicted = _label_pair(y_true, y_pred)
    names = _class_names(classes, y_true=truth, y_pred=predicted)
    per_class = precision_recall_fscore_support(truth, predicted, labels=names, zero_division=np.nan)
    columns = ["precision", "recall", "f1", "n"]
    table = pd.DataFrame(dict(zip(columns, per_class, strict=True)), index=pd.Index(names.tolist(), name="class"))
    accuracy = float((truth == predicted).mean())
    table.loc["macro"] = [*table[columns[:3]].mean(skipna=False), len(truth)]
    table.loc["micro"] = [accuracy, accuracy, accuracy, len(truth)]
    return table.astype({"n": int})


def confusion(y_true: ArrayLike, y_pred: ArrayLike, *, classes: ArrayLike | None = None) -> pd.DataFrame:
    """
    How often each class was taken for each.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels, both as text or both as numbers.
    classes : array-like of shape (k,), optional
        Order of rows and columns; by default every label that occurs, sorted.

    Returns
    -------
    pandas.DataFrame of shape (k, k)
        Counts; rows are the true classes, columns the predicted ones.

    Raises
    ------
    ParameterError
        If the arguments differ in length or kind, are empty, hold missing values or unnamed classes.

    Examples
    --------
    >>> from vocalbio.metrics import confusion
    >>> table = confusion(["sad", "sad", "neutral"], ["sad", "neutral", "neutral"])
    >>> int(table.loc["sad", "neutral"])
    1
    """
    with required_for("the confusion table", "scikit-learn"):
        from sklearn.metrics import confusion_matrix
    truth, predicted = _label_pair(y_true, y_pred)
    names = _class_names(classes, y_true=truth, y_pred=predicted)
    return pd.DataFrame(
        confusion_matrix(truth, predicted, labels=names),
        index=pd.Index(names.tolist(), name="true"),
        columns=pd.Index(names.tolist(), name="predicted"),
    )


# Scores --------------------------------------------------------------------------------------------------


def auroc(y_true: ArrayLike, y_score: ArrayLike, *, classes: ArrayLike | None = None) -> float:
    """
    Area under the receiver operating characteristic: how often a positive row scores above a negative one.

    Computed as just that, from ranks (Mann and Whitney's U), ties counting half: the same number as the area,
    in a tenth of the time.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool for scores of shape (n,); class labels for scores of shape (n, k).
    y_score : array-like of shape (n,) or (n, k)
        Higher for the positive class; any scale. With k columns the mean of one class against the rest.
    classes : array-like of shape (k,), optional
        The class of each column; needed for shape (n, k).

    Returns
    -------
    float
        Between 0 and 1, chance 0.5. NaN with a warning if a class, or every other class, does not occur.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty, hold missing values or unnamed classes.

    Examples
    --------
    >>> from vocalbio.metrics import auroc
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    from scipy.stats import rankdata

    areas = []
    for name, (truth, scores) in _one_vs_rest(y_true, y_score, classes).items():
        if truth.all() or not truth.any():
            return _undefined(f"auroc is not defined: {'every' if truth.all() else 'no'} row is of class {name!r}")
        n_positive, n_negative = truth.sum(), (~truth).sum()
        u = rankdata(scores)[truth].sum() - n_positive * (n_positive + 1) / 2
        areas.append(u / (n_positive * n_negative))
    return float(np.mean(areas))


def auprc(y_true: ArrayLike, y_score: ArrayLike, *, classes: ArrayLike | None = None) -> float:
    """
    Area under the precision-recall curve, as average precision (a sum of steps, no interpolation).

    Chance is not 0.5 but the prevalence, ``y_true.mean()``: an AUPRC says nothing without it, and values of
    cohorts that differ in prevalence cannot be compared. For k columns chance is 1 / k.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool for scores of shape (n,); class labels for scores of shape (n, k).
    y_score : array-like of shape (n,) or (n, k)
        Higher for the positive class; any scale. With k columns the mean of one class against the rest.
    classes : array-like of shape (k,), optional
        The class of each column; needed for shape (n, k).

    Returns
    -------
    float
        Between 0 and 1. NaN with a warning if a class, or every other class, does not occur.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty, hold missing values or unnamed classes.

    References
    ----------
    Saito T, Rehmsmeier M. The precision-recall plot is more informative than the ROC plot when evaluating
    binary classifiers on imbalanced datasets. PLoS One 2015;10:e0118432. doi:10.1371/journal.pone.0118432

    Examples
    --------
    >>> from vocalbio.metrics import auprc
    >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 3)
    0.833
    """
    with required_for("the AUPRC", "scikit-learn"):
        from sklearn.metrics import average_precision_score
    areas = []
    for name, (truth, scores) in _one_vs_rest(y_true, y_score, classes).items():
        if truth.all() or not truth.any():
            return _undefined(f"auprc is not defined: {'every' if truth.all() else 'no'} row is of class {name!r}")
        areas.append(average_precision_score(truth, scores))
    return float(np.mean(areas))


def brier(y_true: ArrayLike, y_score: ArrayLike, *, classes: ArrayLike | None = None) -> float:
    """
    Brier score: the mean squared distance between probabilities and what happened.

    Shape (n,), two classes: the mean of ``(p - y)**2``, 0 best, 1 worst, 0.25 for a constant 0.5.
    Shape (n, k): Brier's own form, the squares summed over the classes, 0 best, 2 worst, ``1 - 1 / k`` for
    equal probabilities. So two columns give twice the value of one.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool for scores of shape (n,); class labels for scores of shape (n, k).
    y_score : array-like of shape (n,) or (n, k)
        Probabilities between 0 and 1; the rows of shape (n, k) sum to 1.
    classes : array-like of shape (k,), optional
        The class of each column; needed for shape (n, k).

    Returns
    -------
    float

    Raises
    ------
    ParameterError
        If the scores are no probabilities, or the arguments differ in length, are empty, hold missing
        values or unnamed classes.

    References
    ----------
    Brier GW. Verification of forecasts expressed in terms of probability. Mon Weather Rev 1950;78:1-3.

    Examples
    --------
    >>> from vocalbio.metrics import brier
    >>> brier([1, 0], [0.5, 0.5])
    0.25
    """
    problems = _one_vs_rest(y_true, y_score, classes).values()
    for _, scores in problems:
        _check_probabilities(scores)
    sums = np.sum([scores for _, scores in problems], axis=0)
    if len(problems) > 1 and not np.allclose(sums, 1.0, atol=1e-3):
        row = int(np.argmax(np.abs(sums - 1.0)))
        raise ParameterError(f"row {row} of y_score sums to {sums[row]:.4g}; expected probabilities that sum to 1")
    return float(sum(np.mean((scores - truth) ** 2) for truth, scores in problems))


def reliability_table(y_true: ArrayLike, y_score: ArrayLike, *, n_bins: int = 10) -> pd.DataFrame:
    """
    Predicted against observed: does it happen to 30 % of those who are told 30 %?

    The bins hold equally many rows as far as ties allow: equal scores stay together, whatever the order of
    the rows, so a table of few distinct scores has fewer bins.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool. For several classes ask about the top one: ``y_true == y_pred`` with
        ``y_score.max(axis=1)``.
    y_score : array-like of shape (n,)
        Probabilities between 0 and 1.
    n_bins : int
        Most bins that there may be.

    Returns
    -------
    pandas.DataFrame
        One line a bin, scores ascending: mean_score, observed_fraction (of positives) and n (rows).

    Raises
    ------
    ParameterError
        If the scores are no probabilities, `n_bins` is no positive number, or the arguments differ in
        length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.metrics import reliability_table
    >>> table = reliability_table([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], n_bins=2)
    >>> table["observed_fraction"].tolist()
    [0.5, 1.0]
    """
    truth, scores = _binary_pair(y_true, y_score)
    _check_probabilities(scores)
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ParameterError(f"n_bins is {n_bins!r}; expected a whole number from 1 on, such as 10")
    ends = np.unique(np.arange(1, n_bins + 1) * len(scores) // n_bins)  # a bin's last row, counted from 1
    last_scores = np.unique(np.sort(scores)[ends[ends > 0] - 1])
    bins = np.searchsorted(last_scores, scores)
    n = np.bincount(bins)
    return pd.DataFrame(
        {
            "mean_score": np.bincount(bins, weights=scores) / n,
            "observed_fraction": np.bincount(bins, weights=truth) / n,
            "n": n,
        },
        index=pd.RangeIndex(len(n), name="bin"),
    )


def ece(y_true: ArrayLike, y_score: ArrayLike, *, n_bins: int = 10) -> float:
    """
    Expected calibration error: the mean gap between predicted and observed in :func:`reliability_table`.

    Bins count by their rows. Chance alone makes it positive, the more so the fewer rows there are: with 100
    rows a perfectly calibrated model has about 0.1. Compare models on the same rows only.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool. For several classes ask about the top one: ``y_true == y_pred`` with
        ``y_score.max(axis=1)``.
    y_score : array-like of shape (n,)
        Probabilities between 0 and 1.
    n_bins : int
        Most bins that there may be; they hold equally many rows.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ParameterError
        As :func:`reliability_table`.

    References
    ----------
    Nixon J et al. Measuring calibration in deep learning. CVPR Workshops 2019;38-41. arXiv 1904.01685

    Examples
    --------
    >>> from vocalbio.metrics import ece
    >>> ece([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75])
    0.25
    """
    table = reliability_table(y_true, y_score, n_bins=n_bins)
    gaps = (table["mean_score"] - table["observed_fraction"]).abs()
    return float(np.average(gaps, weights=table["n"]))


# At a threshold ------------------------------------------------------------------------------------------


def sensitivity(y_true: ArrayLike, y_score: ArrayLike, *, threshold: float = 0.5) -> float:
    """
    Fraction of the positive rows that score `threshold` or more.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool.
    y_score : array-like of shape (n,)
        Scores of any scale, or decisions as 0/1.
    threshold : float
        Stated before the data are seen; a score equal to it counts as positive.

    Returns
    -------
    float
        NaN with a warning without positive rows.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.metrics import sensitivity
    >>> sensitivity([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1])
    0.5
    """
    truth, positive = _decided(y_true, y_score, threshold)
    if not truth.any():
        return _undefined("sensitivity is not defined: no positive row in y_true")
    return float(positive[truth].mean())


def specificity(y_true: ArrayLike, y_score: ArrayLike, *, threshold: float = 0.5) -> float:
    """
    Fraction of the negative rows that score below `threshold`.

    Parameters and errors as for :func:`sensitivity`; NaN with a warning without negative rows.

    Examples
    --------
    >>> from vocalbio.metrics import specificity
    >>> specificity([1, 0, 0, 0, 0], [0.9, 0.2, 0.8, 0.1, 0.3])
    0.75
    """
    truth, positive = _decided(y_true, y_score, threshold)
    if truth.all():
        return _undefined("specificity is not defined: no negative row in y_true")
    return float(1.0 - positive[~truth].mean())


def ppv(y_true: ArrayLike, y_score: ArrayLike, *, threshold: float = 0.5) -> float:
    """
    Positive predictive value: fraction of the rows scoring `threshold` or more that are positive.

    It holds for the prevalence of these rows alone: found among 50 % ill, it falls where 5 % are ill.
    Parameters and errors as for :func:`sensitivity`; NaN with a warning where no row scores that high.

    Examples
    --------
    >>> from vocalbio.metrics import ppv
    >>> ppv([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1])
    0.5
    """
    truth, positive = _decided(y_true, y_score, threshold)
    if not positive.any():
        return _undefined(f"ppv is not defined: no row scores {threshold:g} or more")
    return float(truth[positive].mean())


def npv(y_true: ArrayLike, y_score: ArrayLike, *, threshold: float = 0.5) -> float:
    """
    Negative predictive value: fraction of the rows scoring below `threshold` that are negative.

    It holds for the prevalence of these rows alone: where few are ill it is high whatever the model.
    Parameters and errors as for :func:`sensitivity`; NaN with a warning where no row scores that low.

    Examples
    --------
    >>> from vocalbio.metrics import npv
    >>> npv([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1])
    0.5
    """
    truth, positive = _decided(y_true, y_score, threshold)
    if positive.all():
        return _undefined(f"npv is not defined: no row scores below {threshold:g}")
    return float(1.0 - truth[~positive].mean())


def sensitivity_specificity(y_true: ArrayLike, y_score: ArrayLike, *, threshold: float = 0.5) -> pd.Series:
    """
    What a threshold does: sensitivity, specificity, PPV and NPV.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool.
    y_score : array-like of shape (n,)
        Scores of any scale, or decisions as 0/1.
    threshold : float
        Stated before the data are seen, or from :func:`threshold_at_sensitivity` on other speakers; a score
        equal to it counts as positive.

    Returns
    -------
    pandas.Series
        sensitivity, specificity, ppv and npv; NaN with a warning where one is not defined.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.metrics import sensitivity_specificity
    >>> sensitivity_specificity([1, 1, 0, 0, 0], [80, 60, 75, 20, 10], threshold=70).round(2).to_dict()
    {'sensitivity': 0.5, 'specificity': 0.67, 'ppv': 0.5, 'npv': 0.67}
    """
    parts = {"sensitivity": sensitivity, "specificity": specificity, "ppv": ppv, "npv": npv}
    return pd.Series({name: part(y_true, y_score, threshold=threshold) for name, part in parts.items()})


def threshold_at_sensitivity(y_true: ArrayLike, y_score: ArrayLike, *, sensitivity: float = 0.9) -> float:
    """
    The highest threshold that still finds this fraction of the positive rows.

    Choose it on speakers that are not used for the result: a threshold chosen and tested on the same rows
    flatters.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0/1 or bool.
    y_score : array-like of shape (n,)
        Scores of any scale.
    sensitivity : float
        Fraction of the positive rows to find, above 0 and at most 1.

    Returns
    -------
    float
        One of the scores. NaN with a warning without positive rows.

    Raises
    ------
    ParameterError
        If `sensitivity` is out of range, or the arguments differ in length, are empty or hold missing values.

    Examples
    --------
    >>> from vocalbio.metrics import threshold_at_sensitivity
    >>> threshold_at_sensitivity([1, 1, 1, 0], [0.9, 0.6, 0.3, 0.5], sensitivity=0.6)
    0.6
    """
    if not 0 < sensitivity <= 1:
        raise ParameterError(f"sensitivity is {sensitivity!r}; expected a fraction above 0 and at most 1")
    truth, scores = _binary_pair(y_true, y_score)
    if not truth.any():
        return _undefined("a threshold for a sensitivity is not defined: no positive row in y_true")
    positive = np.sort(scores[truth])[::-1]
    n_needed = math.ceil(sensitivity * len(positive) - 1e-9)  # 0.55 * 100 is a little more than 55
    return float(positive[n_needed - 1])


def _decided(y_true: Any, y_score: Any, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = _binary_pair(y_true, y_score)
    return truth, scores >= threshold


# Numbers -------------------------------------------------------------------------------------------------


def ccc(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """
    Concordance correlation coefficient: correlation that also counts a wrong mean or spread as error.

    ``2 s_xy / (s_x**2 + s_y**2 + (m_x - m_y)**2)`` with population variances (divided by n), as the AVEC
    challenges compute it.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        In the same unit, such as points of the PHQ-8.

    Returns
    -------
    float
        Between -1 and 1; 0 for a constant prediction. NaN with a warning if all values of both are one and
        the same.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty, hold text or missing values.

    References
    ----------
    Lin LI. A concordance correlation coefficient to evaluate reproducibility. Biometrics 1989;45:255-268.
    doi:10.2307/2532051

    Examples
    --------
    >>> from vocalbio.metrics import ccc
    >>> round(ccc([1, 2, 3], [2, 3, 4]), 3)
    0.571
    """
    truth, predicted = _number_pair(y_true, y_pred)
    if np.ptp(np.concatenate([truth, predicted])) == 0:
        return _undefined("ccc is not defined: every value of y_true and y_pred is the same")
    x, y = truth - truth.mean(), predicted - predicted.mean()
    shift = truth.mean() - predicted.mean()
    return float(2 * np.mean(x * y) / (np.mean(x**2) + np.mean(y**2) + shift**2))


def mae(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """
    Mean absolute error.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        In the same unit, such as points of the PHQ-8.

    Returns
    -------
    float
        In that unit.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty, hold text or missing values.

    Examples
    --------
    >>> from vocalbio.metrics import mae
    >>> mae([10, 4], [7, 5])
    2.0
    """
    truth, predicted = _number_pair(y_true, y_pred)
    return float(np.mean(np.abs(truth - predicted)))


def rmse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """
    Root mean squared error: as :func:`mae`, with more weight on the large errors.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        In the same unit, such as points of the PHQ-8.

    Returns
    -------
    float
        In that unit.

    Raises
    ------
    ParameterError
        If the arguments differ in length, are empty, hold text or missing values.

    Examples
    --------
    >>> from vocalbio.metrics import rmse
    >>> rmse([10, 4], [3, 5])
    5.0
    """
    truth, predicted = _number_pair(y_true, y_pred)
    return float(np.sqrt(np.mean((truth - predicted) ** 2)))


# Intervals -----------------------------------------------------------------------------------------------

_BY_NAME: dict[str, Metric] = {
    metric.__name__: metric
    for metric in (uar, auroc, auprc, brier, ece, sensitivity, specificity, ppv, npv, ccc, mae, rmse)
}


@dataclass(frozen=True)
class Interval:
    """
    An estimate and what resampling the speakers does to it.

    Attributes
    ----------
    estimate : float
        On all rows.
    low, high : float
        Limits of the interval.
    level : float
        Its level, such as 0.95.
    n_groups : int
        Speakers that were resampled: the sample size that counts.
    n_undefined : int
        Resamples that were left out because the metric is not defined on them.

    Examples
    --------
    >>> from vocalbio.metrics import Interval
    >>> print(Interval(0.694, 0.63, 0.75, level=0.95, n_groups=16))
    0.69 [0.63, 0.75]
    """

    estimate: float
    low: float
    high: float
    level: float
    n_groups: int
    n_undefined: int = 0

    def __str__(self) -> str:
        return f"{self.estimate:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"


def bootstrap(
    metric: str | Metric,
    y_true: ArrayLike,
    y_pred: ArrayLike | Sequence[ArrayLike],
    groups: ArrayLike,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """
    Percentile interval of a metric when speakers, not rows, are drawn again with replacement.

    Recordings of one speaker resemble each other, so drawing rows gives intervals that are far too narrow.
    With few speakers this one is too narrow as well: for the mean of simulated speakers, 95 % intervals held
    the truth in 88 % of trials with 8 speakers and in 93 % with 20. Take its width as a lower bound.

    Parameters
    ----------
    metric : str or callable
        Name of a metric of this module that gives one number, such as ``"uar"``, or a function of arrays
        ``(y_true, y_pred)`` that returns a number, NaN where it is not defined. Bind options first:
        ``functools.partial(auroc, classes=classes)``. By name, ``"uar"`` averages in every resample over
        the classes of all rows.
    y_true : array-like of shape (n,)
        Truth, as `metric` takes it.
    y_pred : array-like of shape (n,) or (n, k), or list of those
        Predictions, as `metric` takes them. A list of arrays holds runs that differ by seed: in every
        resample the metric is averaged over them, so the interval is about speakers; report the spread over
        seeds beside it.
    groups : array-like of shape (n,)
        Speaker of each row; one row a speaker is fine.
    n_resamples : int
        Number of draws.
    level : float
        Between 0 and 1.
    random_state : int
        Seed. The order of the rows does not matter.

    Returns
    -------
    Interval
        Draws on which the metric is NaN, such as those without a positive speaker, are left out and counted
        in ``n_undefined``; above 10 % there is a warning.

    Raises
    ------
    ParameterError
        If there are fewer than two speakers, the metric is unknown or gives no number, or the arguments
        differ in length, are empty or hold missing values.

    References
    ----------
    Davison AC, Hinkley DV. Bootstrap methods and their application. Cambridge University Press 1997, 3.8.

    Examples
    --------
    >>> from vocalbio.metrics import bootstrap
    >>> truth = [0, 1, 0, 1, 0, 1, 0, 1]
    >>> predicted = [0, 1, 0, 1, 0, 0, 1, 1]
    >>> speakers = ["a", "a", "b", "b", "c", "c", "d", "d"]
    >>> print(bootstrap("uar", truth, predicted, speakers))
    0.75 [0.50, 1.00]
    """
    truth = _values("y_true", y_true)
    runs = _runs("y_pred", y_pred, truth)
    measure = _measure(metric, truth)

    def statistic(rows: np.ndarray) -> float:
        return float(np.mean([measure(truth[rows], run[rows]) for run in runs]))

    return _resampled(statistic, truth, groups, n_resamples, level, random_state)


def paired_difference(
    metric: str | Metric,
    y_true: ArrayLike,
    pred_a: ArrayLike | Sequence[ArrayLike],
    pred_b: ArrayLike | Sequence[ArrayLike],
    groups: ArrayLike,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """
    Interval of ``metric(pred_a) - metric(pred_b)``, both on the same draws of speakers.

    What is hard about a speaker is hard for both systems and cancels, so this interval is the answer to
    "is a better than b?"; two overlapping intervals of :func:`bootstrap` are not.

    Parameters
    ----------
    metric, y_true, groups, n_resamples, level, random_state
        As for :func:`bootstrap`.
    pred_a, pred_b : array-like of shape (n,) or (n, k), or list of those
        Predictions of the two systems for the same rows; a list holds runs that differ by seed.

    Returns
    -------
    Interval
        Of the difference. For errors (mae, rmse, brier, ece) a negative one means that a is better.

    Raises
    ------
    ParameterError
        As :func:`bootstrap`.

    Examples
    --------
    >>> from vocalbio.metrics import paired_difference
    >>> truth = [10, 4, 12, 0]
    >>> print(paired_difference("mae", truth, [9, 5, 11, 1], [8, 6, 10, 2], ["a", "b", "c", "d"]))
    -1.00 [-1.00, -1.00]
    """
    truth = _values("y_true", y_true)
    runs_a, runs_b = _runs("pred_a", pred_a, truth), _runs("pred_b", pred_b, truth)
    measure = _measure(metric, truth)

    def statistic(rows: np.ndarray) -> float:
        a = np.mean([measure(truth[rows], run[rows]) for run in runs_a])
        return float(a - np.mean([measure(truth[rows], run[rows]) for run in runs_b]))

    return _resampled(statistic, truth, groups, n_resamples, level, random_state)


def _runs(name: str, predictions: Any, truth: np.ndarray) -> list[np.ndarray]:
    """One array a seed. Only a list of arrays is several runs; a 2-D array is scores of shape (n, k)."""
    several = isinstance(predictions, list | tuple) and bool(predictions) and np.ndim(predictions[0]) > 0
    runs = []
    for run in predictions if several else [predictions]:
        array = _array(name, run)
        array = _columns(name, array) if array.ndim == 2 else _values(name, array)
        _same_length(**{"y_true": truth, name: array})
        runs.append(array)
    return runs


def _measure(metric: str | Metric, truth: np.ndarray) -> Metric:
    named: Any = _BY_NAME.get(metric, metric) if isinstance(metric, str) else metric
    if not callable(named):
        raise ParameterError(f"metric is {metric!r}; expected a function or one of {', '.join(_BY_NAME)}")
    if metric == "uar":
        # Without its classes a draw that lacks one would average over fewer: another quantity.
        named = partial(uar, classes=np.unique(truth))

    def measure(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        value = named(y_true, y_pred)
        if not isinstance(value, Real):
            raise ParameterError(f"the metric gave a {type(value).__name__}; expected one number")
        return float(value)

    return measure


def _resampled(
    statistic: Callable[[np.ndarray], float],
    truth: np.ndarray,
    groups: Any,
    n_resamples: int,
    level: float,
    random_state: int,
) -> Interval:
    if not isinstance(n_resamples, Integral) or n_resamples < 1:
        raise ParameterError(f"n_resamples is {n_resamples!r}; expected a whole number from 1 on, such as 1000")
    if not 0 < level < 1:
        raise ParameterError(f"level is {level!r}; expected a fraction between 0 and 1, such as 0.95")
    if not isinstance(random_state, Integral) or random_state < 0:
        raise ParameterError(f"random_state is {random_state!r}; expected a whole number from 0 on")
    speakers = _values("groups", groups)
    _same_length(y_true=truth, groups=speakers)
    names, speaker_of_row, n_rows = np.unique(speakers, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ParameterError(
            f"groups holds one speaker, {names[0].item()!r}; an interval over speakers needs at least two. "
            "Report the estimate without an interval"
        )
    rows_of = np.split(np.argsort(speaker_of_row, kind="stable"), np.cumsum(n_rows)[:-1])
    draws = np.random.default_rng(int(random_state)).integers(len(names), size=(n_resamples, len(names)))
    estimate = statistic(np.arange(len(truth)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VocalbioWarning)  # counted below
        values = np.array([statistic(np.concatenate([rows_of[speaker] for speaker in draw])) for draw in draws])
    defined = values[~np.isnan(values)]
    n_undefined = len(values) - len(defined)
    if n_undefined > 0.1 * len(values):
        warnings.warn(
            f"the metric is not defined on {n_undefined} of {len(values)} draws of {len(names)} speakers and "
            "the interval is of the others: too few speakers, or too few of a class, to trust it",
            VocalbioWarning,
            stacklevel=3,
        )
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(defined, tails).tolist() if len(defined) else (math.nan, math.nan)
    return Interval(estimate, low, high, float(level), len(names), n_undefined)
