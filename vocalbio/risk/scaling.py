"""Scaling: from a table with gaps to numbers that a network can learn from, fitted on training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scaling"]

LIMIT = 5.0
"""In standard deviations: eGeMAPS' deviations over means grow without bound as a mean nears 0."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """
    Median imputation with missing-indicators, standardisation, clipping, equal weight for every family.

    Attributes
    ----------
    medians : numpy.ndarray
        Shape (n_features,), over training rows; 0 where a column never was a number.
    indicated : numpy.ndarray
        Shape (n_features,), True where training rows had gaps: these columns get an indicator.
    centre, spread, weight : numpy.ndarray
        Shape (n_inputs,) with n_inputs = n_features + n_indicators. The spread of a column that did not vary in
        training is infinite: nothing was learnt about it, so it is 0 ever after.
    """

    medians: NDArray[np.float64]
    indicated: NDArray[np.bool_]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def fit(
        cls, values: NDArray[np.float64], names: Sequence[str], indicated: NDArray[np.bool_] | None = None
    ) -> Scaling:
        """
        Learn from training rows.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (n_rows, n_features), NaN for gaps.
        names : sequence of str
            The family of a column is its name up to ``"__"``.
        indicated : numpy.ndarray of bool, optional
            Columns that get an indicator, where that is settled already.

        Returns
        -------
        Scaling
        """
        missing = np.isnan(values)
        medians = np.zeros(values.shape[1])
        known = ~missing.all(axis=0)
        medians[known] = np.nanmedian(values[:, known], axis=0)
        if indicated is None:  # a column that never is a number tells nothing by its absence
            indicated = np.asarray(missing.any(axis=0) & known)
        inputs = np.hstack([np.where(missing, medians, values), missing[:, indicated]])
        spread = np.where(inputs.min(axis=0) < inputs.max(axis=0), inputs.std(axis=0), np.inf)
        families = np.array([str(name).split("__")[0] for name in names], dtype=object)
        families = np.concatenate([families, families[indicated]])
        unique, block, sizes = np.unique(families, return_inverse=True, return_counts=True)
        weight = np.sqrt(len(families) / (len(unique) * sizes[block]))
        return cls(medians, indicated, inputs.mean(axis=0), spread, weight)

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Turn rows of shape (n_rows, n_features) into inputs of shape (n_rows, n_inputs), float32."""
        scaled = np.clip((self.fill(values) - self.centre) / self.spread, -LIMIT, LIMIT) * self.weight
        return scaled.astype(np.float32)

    def fill(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put medians into gaps and indicators beside, shape (n_rows, n_inputs); nothing is scaled yet."""
        missing = np.isnan(values)
        return np.hstack([np.where(missing, self.medians, values), missing[:, self.indicated]])

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Plain arrays, for a file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
