"""Integrated gradients: a difference of two answers, shared out among the inputs in which they differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vocalbio.errors import ParameterError, required_for

__all__ = ["integrated_gradients"]

NODES = 8  # of each piece of the way
PIECES, MOST_PIECES = 4, 512
AT_ONCE = 2048  # rows that a network is asked about at once


def integrated_gradients(
    function: Callable[[Any], Any], inputs: ArrayLike, baseline: ArrayLike, *, tolerance: float = 1e-3
) -> NDArray[np.float64]:
    """
    Share the difference of two answers out among the inputs.

    Inputs go from `baseline` to their values on a straight line; each is given the integral of the answer's slope in
    its direction, times its way. What an input is given depends on the function only, not on how it is written down,
    and all of them together are the difference of the answers ("completeness") [1]_. An input that stays where it was
    is given nothing.

    Parameters
    ----------
    function : callable
        From a tensor of shape (n_points, ...), float32, to answers of shape (n_points,); made of TensorFlow or
        `keras.ops`. Each answer depends on its own point only.
    inputs, baseline : array_like of shape (...)
        Where the line ends and begins.
    tolerance : float
        By how much the sum may miss the difference of the answers: the number of points on the line is doubled, from
        32 up to 4096, until it does not.

    Returns
    -------
    numpy.ndarray
        Shape (...), in the unit of the answer.

    Raises
    ------
    ParameterError
        If shapes differ, a value is not finite, or `function` gives something else than one answer a point.

    Notes
    -----
    Sampled at the nodes of Gauss and Legendre, eight for each of equal pieces. A network of ReLUs bends at many places,
    which is why the number of pieces is not settled beforehand.

    References
    ----------
    .. [1] Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017:3319-3328.
       arXiv:1703.01365

    Examples
    --------
    >>> from vocalbio.explain import integrated_gradients
    >>> shares = integrated_gradients(lambda x: x[:, 0] * x[:, 1] + x[:, 2], [2.0, 3.0, 1.0], [0.0, 0.0, 1.0])
    >>> shares.round(3).tolist()
    [3.0, 3.0, 0.0]
    """
    with required_for("explaining an answer", "tensorflow"):
        import tensorflow as tf
    start, end = np.asarray(baseline, np.float32), np.asarray(inputs, np.float32)
    if start.shape != end.shape:
        raise ParameterError(f"inputs has shape {end.shape} and baseline {start.shape}; expected the same")
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        raise ParameterError("inputs or baseline holds NaN or infinity; expected what the network is given")
    answers = np.asarray(function(tf.constant(np.stack([start, end]))), float)
    if answers.shape != (2,):
        raise ParameterError(f"function gave shape {answers.shape} for 2 points; expected (2,), one answer a point")
    difference = answers[1] - answers[0]
    way = (end - start).astype(float)
    chunk = max(1, AT_ONCE // (len(end) if end.ndim > 1 else 1))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    pieces, found = PIECES, np.zeros(end.shape)
    while pieces <= MOST_PIECES:
        places = ((np.arange(pieces)[:, None] + (nodes + 1) / 2) / pieces).ravel()
        shares = np.tile(weights / 2 / pieces, pieces)
        slopes = np.zeros(end.shape)
        for first in range(0, len(places), chunk):
            part = slice(first, first + chunk)
            at = places[part].reshape(-1, *[1] * end.ndim)
            points = tf.constant((start + at * (end - start)).astype(np.float32))
            with tf.GradientTape() as tape:
                tape.watch(points)
                total = tf.reduce_sum(function(points))
            gradients = tape.gradient(total, points)
            if gradients is None:
                raise ParameterError("function has no gradient; expected one made of TensorFlow or keras.ops")
            slopes += np.tensordot(shares[part], np.asarray(gradients, float), axes=1)
        found = way * slopes
        if abs(found.sum() - difference) <= tolerance:
            break
        pieces *= 2
    return found
