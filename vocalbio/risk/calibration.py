"""Calibration: what a network's probabilities meant on speakers that it had not heard, and where to cut them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CALIBRATIONS", "Calibration", "Isotonic", "Temperature", "choose_threshold"]

LEAST = 1e-6
"""Probabilities are kept this far from 0 before their logarithm is taken: float32 knows no finer ones near 1."""


class Calibration(Protocol):
    """Turns probabilities of shape (n, n_classes) into calibrated ones that add up to 1."""

    def transform(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrate."""

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Plain arrays, for a file; the class takes them as its arguments."""

    def fits(self, n_classes: int) -> bool:
        """Whether the arrays are of the right shapes."""


@dataclass(frozen=True, eq=False)
class Temperature:
    """
    Log-probabilities times a scale plus a bias of each class, normalised again.

    With two classes this is Platt's scaling [1]_; with more, temperature scaling [2]_ with a bias, which mends what
    one temperature cannot: a network that says one class too often. It has as many parameters as there are classes,
    so that a few dozen recordings are enough to find them, and as the scale is positive the order of two-class
    probabilities stays.

    Attributes
    ----------
    scale : numpy.ndarray
        Shape (1,). Below 1: the network was too sure.
    bias : numpy.ndarray
        Shape (n_classes,), adds up to 0.

    References
    ----------
    .. [1] Platt J. Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers
       1999:61-74.
    .. [2] Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017:1321-1330.
       arXiv:1706.04599

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.calibration import Temperature
    >>> half = Temperature(np.array([0.5]), np.zeros(2))
    >>> half.transform(np.array([[0.1, 0.9]])).round(2).tolist()
    [[0.25, 0.75]]
    """

    scale: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fit(
        cls, probabilities: NDArray[np.float64], codes: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> Temperature:
        """
        Find scale and bias by weighted log-loss.

        Parameters
        ----------
        probabilities : numpy.ndarray
            Shape (n, n_classes), of samples that the network was not trained on.
        codes : numpy.ndarray
            Shape (n,), their classes.
        weights : numpy.ndarray
            Shape (n,).

        Returns
        -------
        Temperature
        """
        from scipy.optimize import minimize

        n_classes = probabilities.shape[1]
        logs = np.log(np.clip(probabilities, LEAST, 1))
        # Platt's targets: however well the classes are apart, so many samples allow no more certainty
        doubt = 1 / (np.bincount(codes, minlength=n_classes)[codes] + 2)
        targets = np.repeat((doubt / (n_classes - 1))[:, None], n_classes, axis=1)
        targets[np.arange(len(codes)), codes] = 1 - doubt
        share = weights / weights.sum()

        def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            scale, bias = np.exp(parameters[0]), parameters[1:]
            said = _log_softmax(scale * logs + bias)
            slope = share[:, None] * (np.exp(said) - targets)
            by_scale = scale * np.sum(slope * logs)
            # the last term settles what the data leave open: a bias of all classes alike
            value = -np.sum(share[:, None] * targets * said) + 0.5 * bias.mean() ** 2
            return value, np.concatenate([[by_scale], slope.sum(axis=0) + bias.mean() / n_classes])

        start = np.zeros(1 + n_classes)
        bounds = [(np.log(0.01), np.log(100.0)), *[(-20.0, 20.0)] * n_classes]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(np.exp(found[:1]), found[1:] - found[1:].mean())

    def transform(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrate probabilities of shape (n, n_classes)."""
        return np.exp(_log_softmax(self.scale * np.log(np.clip(probabilities, LEAST, 1)) + self.bias))

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Plain arrays, for a file."""
        return {"scale": self.scale, "bias": self.bias}

    def fits(self, n_classes: int) -> bool:
        """Whether the arrays are of the right shapes."""
        return self.scale.shape == (1,) and self.bias.shape == (n_classes,)


@dataclass(frozen=True, eq=False)
class Isotonic:
    """
    Any rising curve from probability to frequency, one a class, normalised again.

    It mends what two numbers cannot, and needs hundreds of samples: with fewer it remembers them, and it says 0 and
    1 where the classes happened to be apart.

    Attributes
    ----------
    steps : numpy.ndarray
        Shape (n_steps, 3): class, probability, frequency; rising within a class. With two classes only the second has
        a curve, and the first is its complement.

    References
    ----------
    .. [1] Zadrozny B, Elkan C. Transforming classifier scores into accurate multiclass probability estimates. KDD
       2002:694-699. doi:10.1145/775047.775151
    """

    steps: NDArray[np.float64]

    @classmethod
    def fit(
        cls, probabilities: NDArray[np.float64], codes: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> Isotonic:
        """Find the curves; parameters as in `Temperature.fit`."""
        from sklearn.isotonic import IsotonicRegression

        n_classes = probabilities.shape[1]
        steps = []
        for code in range(1 if n_classes == 2 else 0, n_classes):
            curve = IsotonicRegression(y_min=0, y_max=1).fit(probabilities[:, code], codes == code, weights)
            x, y = curve.X_thresholds_, curve.y_thresholds_
            steps.append(np.column_stack([np.full(len(x), code), x, y]))
        return cls(np.concatenate(steps).astype(float))

    def transform(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrate probabilities of shape (n, n_classes)."""
        n_classes = probabilities.shape[1]
        found = np.empty(probabilities.shape)
        for code in range(1 if n_classes == 2 else 0, n_classes):
            _, x, y = self.steps[self.steps[:, 0] == code].T
            found[:, code] = np.interp(probabilities[:, code], x, y)
        if n_classes == 2:
            found[:, 0] = 1 - found[:, 1]
            return found
        found += LEAST  # where every curve says never, nothing is known
        return found / found.sum(axis=1, keepdims=True)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Plain arrays, for a file."""
        return {"steps": self.steps}

    def fits(self, n_classes: int) -> bool:
        """Whether there is a curve for each class."""
        curves = set(range(1 if n_classes == 2 else 0, n_classes))
        return self.steps.ndim == 2 and self.steps.shape[1] == 3 and set(self.steps[:, 0].tolist()) == curves


CALIBRATIONS: dict[str, type[Temperature] | type[Isotonic]] = {"temperature": Temperature, "isotonic": Isotonic}


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = values - values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def choose_threshold(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], sensitivity: float | None = None
) -> tuple[float, float, float]:
    """
    Choose a cut-off on held-out scores.

    Parameters
    ----------
    scores : numpy.ndarray
        Shape (n,).
    positive : numpy.ndarray of bool
        Shape (n,), both kinds present.
    sensitivity : float, optional
        Least fraction of the positives to be found; the cut-off is then the highest that finds them. None: Youden's
        index [1]_, the largest sum of sensitivity and specificity.

    Returns
    -------
    threshold, sensitivity, specificity : float
        The threshold lies midway between two scores (a score of `threshold` or more is positive). What it reaches on
        these very scores is, if anything, too good.

    References
    ----------
    .. [1] Youden WJ. Index for rating diagnostic tests. Cancer 1950;3:32-35.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk.calibration import choose_threshold
    >>> scores, ill = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
    >>> [round(float(value), 2) for value in choose_threshold(scores, ill, sensitivity=0.9)]
    [0.15, 1.0, 0.5]
    """
    known = np.unique(scores)
    candidates = np.concatenate([[known[0] / 2], (known[:-1] + known[1:]) / 2])
    found = 1 - np.searchsorted(np.sort(scores[positive]), candidates) / positive.sum()
    spared = np.searchsorted(np.sort(scores[~positive]), candidates) / (~positive).sum()
    if sensitivity is None:
        best = int(np.argmax(found + spared))
    else:
        best = int(np.flatnonzero(found >= sensitivity - 1e-9)[-1])
    return float(candidates[best]), float(found[best]), float(spared[best])
