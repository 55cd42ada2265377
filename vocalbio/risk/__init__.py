"""RiskModel and SeverityModel: from a table and labels to a fitted, saved, answering model."""

from vocalbio.risk.answer import Answer, answer_schema
from vocalbio.risk.classifier import RiskModel
from vocalbio.risk.regressor import SeverityModel
from vocalbio.risk.shipped import load_shipped

__all__ = ["Answer", "RiskModel", "SeverityModel", "answer_schema", "load_shipped"]
