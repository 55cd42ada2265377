"""TRIPOD+AI: which items of the reporting guideline a page answers, and which only its authors can."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

__all__ = ["ITEMS", "tripod_table"]

ITEMS = {
    "1": "Title: what is predicted, of whom",
    "2": "Abstract",
    "3a": "Background: condition and rationale",
    "3b": "Target population, intended use and users",
    "3c": "Known inequalities between groups",
    "4": "Objectives: development, evaluation or both",
    "5a": "Sources of data",
    "5b": "Dates of collection",
    "6a": "Setting: centres, countries",
    "6b": "Eligibility of participants",
    "6c": "Treatments received",
    "7": "Data preparation and quality checks",
    "8a": "Outcome: definition, when and how assessed",
    "8b": "Outcome: who assessed it, if judged",
    "8c": "Outcome: assessed blind to the predictors",
    "9a": "Predictors: how they were chosen",
    "9b": "Predictors: definition and measurement",
    "9c": "Predictors: who assessed them, if judged",
    "10": "Sample size: how it was arrived at",
    "11": "Missing data",
    "12a": "How data were used: partition, leakage",
    "12b": "How predictors were handled",
    "12c": "Type of model, steps, tuning, validation",
    "12d": "Heterogeneity between clusters",
    "12e": "Measures of performance",
    "12f": "Updating of the model",
    "12g": "How predictions were calculated",
    "13": "Class imbalance",
    "14": "Fairness: what was done",
    "15": "Output of the model, thresholds",
    "16": "Training and evaluation data compared",
    "17": "Ethical approval and consent",
    "18a": "Funding",
    "18b": "Conflicts of interest",
    "18c": "Protocol",
    "18d": "Registration",
    "18e": "Data sharing",
    "18f": "Code sharing",
    "19": "Patient and public involvement",
    "20a": "Flow of participants, follow-up",
    "20b": "Characteristics of participants",
    "20c": "Comparison with development data",
    "21": "Participants and events in each analysis",
    "22": "Full specification of the model",
    "23a": "Performance with intervals, and by subgroup",
    "23b": "Heterogeneity of performance",
    "24": "Results of updating",
    "25": "Interpretation, with fairness",
    "26": "Limitations",
    "27a": "Use: input of poor quality or missing",
    "27b": "Use: interaction and expertise needed",
    "27c": "Next steps of research",
}
"""Numbers of the checklist's items, and their topics in words of our own."""


def tripod_table(answered: Mapping[str, str]) -> pd.DataFrame:
    """
    Every item of the checklist, and where it is answered.

    Parameters
    ----------
    answered : mapping of str to str
        By item: where on the page, or why it does not apply. All others are said not to be known here.

    Returns
    -------
    pandas.DataFrame
        Index: the item; columns ``topic`` and ``where``.

    References
    ----------
    Collins GS et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use
    regression or machine learning methods. BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378

    Examples
    --------
    >>> from vocalbio.report.tripod import tripod_table
    >>> tripod_table({"11": "Methods"}).loc["11", "where"]
    'Methods'
    """
    unknown = "not known here: yours to tell"
    return pd.DataFrame(
        {"topic": list(ITEMS.values()), "where": [answered.get(item, unknown) for item in ITEMS]},
        index=pd.Index(list(ITEMS), name="item"),
    )
