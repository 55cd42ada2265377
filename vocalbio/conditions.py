"""The three conditions: labels, scores, cut-offs and where each comes from. Facts, no computation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vocalbio.errors import ParameterError

__all__ = ["CONDITIONS", "DISCLAIMER", "Condition", "SeverityScale", "get_condition"]

DISCLAIMER = (
    "Screening aid for research. Not a diagnosis, not a medical device; results may be wrong. "
    "Do not start, stop or change treatment because of it. A low score does not rule out illness. "
    "If you are in crisis, contact local emergency services."
)


@dataclass(frozen=True)
class SeverityScale:
    """
    How severe a condition is, as a number.

    Attributes
    ----------
    name : str
        What it is called, such as ``"PHQ-8"``.
    low, high : float
        Lowest and highest value.
    cutoff : float
        Value that parts the labels.
    """

    name: str
    low: float
    high: float
    cutoff: float


@dataclass(frozen=True)
class Condition:
    """
    What is fixed about a condition before any data is seen.

    Attributes
    ----------
    name : str
        ``"depression"``, ``"stress"`` or ``"apnea"``.
    classes : tuple of str or None
        Class names in the order of the network's outputs; None: two classes, whatever they are called.
    positive : str or None
        In a two-class condition, what the second class means.
    score_weights : dict of str to float or None
        Weight of each class probability in the 0-100 score (a score is 100 times their weighted sum).
    threshold : float
        Default cut-off: a probability (two classes) or a score (0-100).
    above, below : str
        The words for a value on either side of `threshold`.
    severity : SeverityScale or None
        The scale of its severity, where it has one.
    references : tuple of str
        Where the definitions come from.
    """

    name: str
    classes: tuple[str, ...] | None
    positive: str | None
    score_weights: dict[str, float] | None
    threshold: float
    above: str
    below: str
    severity: SeverityScale | None
    references: tuple[str, ...]

    @property
    def kind(self) -> Literal["binary", "multiclass"]:
        """Two classes with a threshold, or several with a 0-100 score."""
        return "binary" if self.classes is None else "multiclass"


CONDITIONS: dict[str, Condition] = {
    "depression": Condition(
        name="depression",
        classes=None,
        positive="PHQ-8 total of 10 or more",
        score_weights=None,
        threshold=0.5,
        above="High Risk",
        below="Low Risk",
        severity=SeverityScale("PHQ-8", 0.0, 24.0, 10.0),
        references=(
            "Kroenke K et al. The PHQ-8 as a measure of current depression in the general population. "
            "J Affect Disord 2009;114:163-173. doi:10.1016/j.jad.2008.06.026",
        ),
    ),
    "stress": Condition(
        name="stress",
        classes=("neutral", "sad", "anxious"),
        positive=None,
        score_weights={"neutral": 0.0, "sad": 0.5, "anxious": 1.0},
        threshold=70.0,
        above="High",
        below="Normal",
        severity=SeverityScale("stress", 0.0, 100.0, 70.0),
        references=(
            "Labels are acted or self-reported emotions standing in for stress; "
            "the score is 100 * (0.5 * P(sad) + 1.0 * P(anxious)), High above 70.",
        ),
    ),
    "apnea": Condition(
        name="apnea",
        classes=("normal", "snore", "apnea"),
        positive=None,
        score_weights=None,
        threshold=0.5,
        above="event",
        below="no event",
        severity=None,
        references=(
            "Berry RB et al. Rules for scoring respiratory events in sleep: update of the 2007 AASM manual. "
            "J Clin Sleep Med 2012;8:597-619. doi:10.5664/jcsm.2172",
        ),
    ),
}


def get_condition(name: str) -> Condition:
    """
    Look a condition up by name.

    Parameters
    ----------
    name : str
        One of ``"depression"``, ``"stress"``, ``"apnea"``.

    Returns
    -------
    Condition

    Raises
    ------
    ParameterError
        If there is no such condition.

    Examples
    --------
    >>> from vocalbio.conditions import get_condition
    >>> get_condition("stress").classes
    ('neutral', 'sad', 'anxious')
    """
    if not isinstance(name, str) or name not in CONDITIONS:
        raise ParameterError(f"condition is {name!r}; expected one of {', '.join(map(repr, CONDITIONS))}")
    return CONDITIONS[name]
