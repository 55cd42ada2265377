"""RiskModel: from a table and labels to a fitted, saved, answering model."""
