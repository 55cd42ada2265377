"""RiskModel, SeverityModel and WindowModel: from features and labels to a fitted, saved, answering model."""

from vocalbio.risk.answer import Answer, answer_schema
from vocalbio.risk.classifier import RiskModel
from vocalbio.risk.explanation import Explanation
from vocalbio.risk.regressor import SeverityModel
from vocalbio.risk.shipped import load_shipped
from vocalbio.risk.window import WindowModel

__all__ = [
    "Answer",
    "Explanation",
    "RiskModel",
    "SeverityModel",
    "WindowModel",
    "answer_schema",
    "load_shipped",
]
