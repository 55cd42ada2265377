"""RiskModel: from a table and labels to a fitted, saved, answering model."""

from vocalbio.risk.answer import Answer
from vocalbio.risk.model import RiskModel

__all__ = ["Answer", "RiskModel"]
