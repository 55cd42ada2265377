"""The answer for one recording: what the model says, how sure it is, and what makes it doubtful."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

__all__ = ["INDETERMINATE", "Answer", "answer_schema", "doubts"]

INDETERMINATE = "indeterminate"
LEAST_VOICED_S = 10.0
LEAST_SNR_DB = 10.0
MOST_CLIPPED = 0.01
LEAST_BANDWIDTH_HZ = 3800.0


@dataclass(frozen=True)
class Answer:
    """
    What a `RiskModel` or a `SeverityModel` says of one recording.

    Attributes
    ----------
    condition, file : str
        What was asked, of which recording.
    label : str
        Such as ``"High Risk"``, ``"Normal"``, or ``"indeterminate"``; the reason is then the first of `reasons`.
    probability : dict of str to float, or None
        By class; None where the recording could not be used, and for a severity.
    interval : dict of str to (float, float), or None
        Bounds by class; they hold the probability.
    score, score_interval : float and (float, float), or None
        The 0-100 score of a condition that has one, or the severity.
    scale : dict, or None
        Of the score: ``name``, ``low``, ``high``.
    threshold : float or None
        What the probability of the second class, or the score, was compared with; None where the likeliest class is
        the label.
    reasons : tuple of str
        Reasons for doubt; empty if none was found.
    training : dict
        What the model was trained on, on what terms it may be used (``licence``), and where its file tells: the
        ``corpus``, and a ``notice`` that goes with every answer.
    disclaimer : str
        What the answer is not.
    """

    condition: str
    file: str
    label: str
    probability: dict[str, float] | None
    interval: dict[str, tuple[float, float]] | None
    score: float | None
    score_interval: tuple[float, float] | None
    scale: dict[str, Any] | None
    threshold: float | None
    reasons: tuple[str, ...]
    training: dict[str, Any]
    disclaimer: str

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types, as `answer_schema` describes them."""
        return json.loads(json.dumps(asdict(self)))

    def to_json(self) -> str:
        """Everything, as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        """The answer in words."""
        lines = [f"{self.condition}: {self.label}  ({self.file})"]
        if self.score is not None and self.scale is not None:
            span = "" if self.score_interval is None else " [{:.0f}, {:.0f}]".format(*self.score_interval)
            lines.append(f"  {self.scale['name']} {self.score:.1f} of {self.scale['high']:g}{span}")
        for name, value in (self.probability or {}).items():
            span = "" if self.interval is None else " [{:.2f}, {:.2f}]".format(*self.interval[name])
            lines.append(f"  P({name}) {value:.2f}{span}")
        if self.threshold is not None:
            lines.append(f"  threshold {self.threshold:.3g}")
        lines += [f"  doubt: {reason}" for reason in self.reasons]
        cohort = self.training
        speakers = cohort.get("n_speakers")
        lines.append(
            f"  trained on {cohort.get('n_recordings')} recordings of "
            f"{'an unknown number of' if speakers is None else speakers} speakers"
            + (f": {cohort['corpus']}" if cohort.get("corpus") else "")
        )
        if cohort.get("notice"):
            lines.append(f"  {cohort['notice']}")
        if cohort.get("licence"):
            lines.append(f"  licence: {cohort['licence']}")
        return "\n".join([*lines, f"  {self.disclaimer}"])


def answer_schema() -> dict[str, Any]:
    """
    Read the JSON Schema (2020-12) that every `Answer.to_dict` keeps.

    Returns
    -------
    dict

    Examples
    --------
    >>> from vocalbio.risk import answer_schema
    >>> answer_schema()["title"]
    'Answer'
    """
    return json.loads(files("vocalbio.risk").joinpath("answer.schema.json").read_text(encoding="utf-8"))


def doubts(quality: dict[str, float]) -> list[str]:
    """Reasons for doubt that the quality columns (without prefix) of one recording give."""
    found = []
    voiced_s = quality.get("voiced_fraction", math.nan) * quality.get("duration_s", math.nan)
    if voiced_s < LEAST_VOICED_S:
        found.append(f"only {voiced_s:.1f} s of voice; {LEAST_VOICED_S:.0f} s or more are advised")
    if quality.get("snr_db", math.nan) < LEAST_SNR_DB:
        found.append(
            f"noisy: voice is {quality['snr_db']:.0f} dB above the background, {LEAST_SNR_DB:.0f} dB are advised"
        )
    if quality.get("clipped_fraction", math.nan) > MOST_CLIPPED:
        found.append(f"clipped: {quality['clipped_fraction']:.1%} of the samples are at full scale")
    if quality.get("bandwidth_hz", math.nan) < LEAST_BANDWIDTH_HZ:
        found.append(f"narrow: nothing above {quality['bandwidth_hz']:.0f} Hz")
    return found
