"""The training cohort: who was in it, and how unlike it a new recording is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.risk.scaling import LIMIT, Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocalbio.risk.inputs import Inputs

__all__ = ["Likeness", "speaker_keys"]

RARE = 0.99
"""Share of the training recordings that were more like their cohort than one that gives rise to doubt."""


def speaker_keys(speakers: Iterable[Any]) -> list[str]:
    """
    Tell speakers apart without telling who they are: what a saved model keeps of them.

    Parameters
    ----------
    speakers : iterable
        Names, as in ``groups``.

    Returns
    -------
    list of str
        Sorted, one for each speaker: the first 16 hexadecimal digits of the SHA-256 of ``str(speaker)``. A name that
        can be guessed can be checked against it: it hides names from readers, not from those who know them.

    Examples
    --------
    >>> from vocalbio.risk.cohort import speaker_keys
    >>> speaker_keys(["A01", "A01"])
    ['e98ed8057af14fe0']
    """
    return sorted({hashlib.sha256(str(speaker).encode()).hexdigest()[:16] for speaker in speakers})


@dataclass(frozen=True, eq=False)
class Likeness:
    """
    How far training recordings were from the rest of their cohort: what a new one is compared with.

    The distance of a recording is the root of the mean square of its scaled inputs, as the network gets them: a
    Mahalanobis distance with a diagonal covariance (a full one cannot be estimated from fewer recordings than
    columns), clipped to five standard deviations a column. Those of training are taken with centre and spread of all
    other speakers: so far are speakers who belong.

    Attributes
    ----------
    distances : numpy.ndarray
        Shape (n,), sorted. No recording can be told from them.
    """

    distances: NDArray[np.float64]

    @classmethod
    def fit(cls, inputs: Inputs, scaling: Scaling, units: NDArray[Any]) -> Likeness:
        """
        Measure the training recordings, each against the other speakers.

        Parameters
        ----------
        inputs : Inputs
        scaling : Scaling
            Fitted on all of them.
        units : numpy.ndarray
            Speaker of each sample.

        Returns
        -------
        Likeness
            Empty with one speaker, who has no others.
        """
        unit, names = pd.factorize(units)
        if len(names) < 2:
            return cls(np.empty(0))
        values = scaling.fill(inputs.rows)
        sample = np.arange(len(unit)) if inputs.lengths is None else np.repeat(np.arange(len(unit)), inputs.lengths)
        rows_of = np.split(np.argsort(unit[sample], kind="stable"), np.cumsum(np.bincount(unit[sample]))[:-1])
        values = values - scaling.centre  # so that sums of squares keep their digits
        total, squares = values.sum(axis=0), (values**2).sum(axis=0)
        scaled = np.empty(values.shape)
        for mine in rows_of:
            rest = len(values) - len(mine)
            centre = (total - values[mine].sum(axis=0)) / rest
            variance = (squares - (values[mine] ** 2).sum(axis=0)) / rest - centre**2
            # a column that did not vary says nothing; rounding leaves a trace of variance where there is none
            varies = np.isfinite(scaling.spread) & (variance > 1e-9 * squares / len(values))
            spread = np.where(varies, np.sqrt(np.maximum(variance, 1e-300)), np.inf)
            scaled[mine] = np.clip((values[mine] - centre) / spread, -LIMIT, LIMIT) * scaling.weight
        squared = np.bincount(sample, (scaled**2).mean(axis=1)) / np.bincount(sample)
        return cls(np.sort(np.sqrt(squared)))

    def merge(self, other: Likeness) -> Likeness:
        """Put two cohorts together."""
        return Likeness(np.sort(np.concatenate([self.distances, other.distances])))

    def doubt(self, rows: NDArray[np.float64], names: list[str] | None, scaling: Scaling) -> str | None:
        """
        Say it in words, where a recording is unlike those of training.

        Parameters
        ----------
        rows : numpy.ndarray
            Shape (n_segments, n_features), of one recording.
        names : list of str or None
            Of the features.
        scaling : Scaling

        Returns
        -------
        str or None
            None: it is not unlike them.
        """
        if not len(self.distances):
            return None
        scaled = scaling.transform(rows).astype(float)
        distance = float(np.sqrt(np.mean(scaled**2)))
        nearer = float(np.mean(self.distances < distance))
        if nearer <= RARE:
            return None
        deviation = np.sqrt(np.mean((scaled / scaling.weight) ** 2, axis=0))
        names = [f"column {number}" for number in range(rows.shape[1])] if names is None else names
        names = [*names, *(f"{name} missing" for name, flag in zip(names, scaling.indicated, strict=True) if flag)]
        most = ", ".join(f"{names[place]} ({deviation[place]:.1f} SD)" for place in np.argsort(-deviation)[:3])
        share = "all" if nearer == 1 else f"{nearer:.1%}"
        return (
            f"unlike the training cohort: farther from its mean than {share} of its own recordings from the other "
            f"speakers; most of all {most}"
        )
