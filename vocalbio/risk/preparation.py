"""What stands between a table and a network: gaps filled, columns on one scale, families of equal weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Preparation"]

LARGEST_SD = 5.0
"""Ratios such as eGeMAPS' stddevNorm explode where a mean is near zero; farther out nothing more is told."""


@dataclass(frozen=True, eq=False)
class Preparation:
    """
    Impute, flag, standardise, clip, and scale by family: fitted on training rows, then fixed.

    A gap becomes the training median, and a column tells that it was one. All columns, those too, are brought
    to mean 0 and SD 1 and clipped to 5 SD either way. Then every family's columns are divided by one number so
    that families of 54 and of 768 columns weigh the same, while a column keeps variance 1 on average, which is
    what a network's first weights are made for. A column that did not vary in training is 0 ever after:
    nothing is known about it.

    Attributes
    ----------
    medians : ndarray of float, shape (n_features,)
        0 for a column without any value.
    flagged : ndarray of bool, shape (n_features,)
        Columns whose gaps get a column of their own.
    means, scales : ndarray of float, shape (n_inputs,)
        Of the features and then of the flags; a value is ``(value - mean) * scale``, clipped.
    weights : ndarray of float, shape (n_inputs,)
        Of the column's family.
    """

    medians: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: NDArray[np.float64], families: Sequence[str], flagged: NDArray[np.bool_]) -> Preparation:
        """
        Learn from training rows.

        Parameters
        ----------
        rows : ndarray, shape (n_rows, n_features)
            NaN where something is missing.
        families : sequence of str
            Family of each column.
        flagged : ndarray of bool, shape (n_features,)
            Columns whose gaps get a column of their own.

        Returns
        -------
        Preparation
        """
        medians = np.zeros(rows.shape[1])
        known = ~np.isnan(rows).all(axis=0)
        medians[known] = np.nanmedian(rows[:, known], axis=0)
        filled = _fill(rows, medians, flagged)
        varies = filled.min(axis=0) < filled.max(axis=0)
        scales = np.divide(1.0, filled.std(axis=0), out=np.zeros(filled.shape[1]), where=varies)
        names = np.array(families, object)
        names = np.concatenate([names, names[flagged]])
        _, family, sizes = np.unique(names.astype(str), return_inverse=True, return_counts=True)
        weights = np.sqrt(len(names) / (len(sizes) * sizes[family]))
        return cls(medians, flagged, filled.mean(axis=0), scales, weights)

    def transform(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """
        Make a network's inputs of rows.

        Parameters
        ----------
        rows : ndarray, shape (n_rows, n_features)

        Returns
        -------
        ndarray of float32, shape (n_rows, n_inputs)
        """
        filled = _fill(np.asarray(rows, float), self.medians, self.flagged)
        standard = np.clip((filled - self.means) * self.scales, -LARGEST_SD, LARGEST_SD)
        return (standard * self.weights).astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """
        All that was learnt, as plain arrays; ``Preparation(**arrays)`` is the same again.

        Returns
        -------
        dict of str to ndarray
        """
        return asdict(self)


def _fill(rows: NDArray[np.float64], medians: NDArray[np.float64], flagged: NDArray[np.bool_]) -> NDArray[np.float64]:
    gaps = np.isnan(rows)
    return np.hstack([np.where(gaps, medians, rows), gaps[:, flagged]])
