"""The answer for one recording: what the model says, how sure it is, and what makes it doubtful."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Answer", "doubts"]

LEAST_VOICED_S = 10.0
LEAST_SNR_DB = 10.0
MOST_CLIPPED = 0.01
LEAST_BANDWIDTH_HZ = 3800.0


@dataclass(frozen=True)
class Answer:
    """
    What a `RiskModel` says of one recording.

    Attributes
    ----------
    condition, file : str
        What was asked, of which recording.
    probability : dict of str to float, or None
        By class; None where the recording could not be used.
    interval : dict of str to (float, float), or None
        Venn-Abers bounds by class.
    score, score_interval : float and (float, float), or None
        The 0-100 score of a condition that has one.
    label : str
        Such as ``"High Risk"``, ``"Normal"``, or ``"indeterminate"``.
    reasons : tuple of str
        Reasons for doubt; empty if none was found.
    training : dict
        What the model was trained on.
    disclaimer : str
        What the answer is not.
    """

    condition: str
    file: str
    probability: dict[str, float] | None
    interval: dict[str, tuple[float, float]] | None
    score: float | None
    score_interval: tuple[float, float] | None
    label: str
    reasons: tuple[str, ...]
    training: dict[str, Any]
    disclaimer: str

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return json.loads(json.dumps(asdict(self)))

    def to_json(self) -> str:
        """Everything, as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        """The answer in words."""
        lines = [f"{self.condition}: {self.label}  ({self.file})"]
        if self.score is not None:
            span = "" if self.score_interval is None else " [{:.0f}, {:.0f}]".format(*self.score_interval)
            lines.append(f"  score {self.score:.1f} of 100{span}")
        for name, value in (self.probability or {}).items():
            span = "" if self.interval is None else " [{:.2f}, {:.2f}]".format(*self.interval[name])
            lines.append(f"  P({name}) {value:.2f}{span}")
        lines += [f"  doubt: {reason}" for reason in self.reasons]
        cohort = self.training
        speakers = cohort.get("n_speakers")
        lines.append(
            f"  trained on {cohort.get('n_recordings')} recordings of "
            f"{'an unknown number of' if speakers is None else speakers} speakers"
        )
        return "\n".join([*lines, f"  {self.disclaimer}"])


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
