"""PHQ-8 as the DAIC corpora publish it: score, eight items, and whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vocalbio.conditions import get_condition
from vocalbio.datasets.corpora.layout import read_csv
from vocalbio.errors import ParameterError

__all__ = ["ITEMS", "as_number", "by_participant", "read_phq8"]

ITEMS = ("no_interest", "depressed", "sleep", "tired", "appetite", "failure", "concentrating", "moving")


def read_phq8(
    score: Any, binary: Any, items: Mapping[str, Any], report: Callable[[str], None]
) -> dict[str, float | bool | None]:
    """
    Check a score against its items and its official class, and give it its label.

    Parameters
    ----------
    score, binary : str or float
        As published; missing where not known.
    items : mapping of str to str or float
        Some of `ITEMS`, 0 to 3 each; empty where not published.
    report : callable
        Takes a sentence about what is wrong.

    Returns
    -------
    dict
        ``label`` (score of 10 or more; the official class where there is no score; None where there is neither),
        ``phq8``, and ``phq8_`` with the name of each item.

    Examples
    --------
    >>> from vocalbio.datasets.corpora.questionnaire import read_phq8
    >>> read_phq8("10", "0", {}, print)["label"]
    official class 0 contradicts the PHQ-8 score of 10: the label follows the score
    True
    """
    scale = get_condition("depression").severity
    if scale is None:
        raise RuntimeError("the depression condition has lost its scale")
    total, official = as_number(score), as_number(binary)
    if total is not None and not scale.low <= total <= scale.high:
        report(f"{scale.name} score of {total:g}; expected {scale.low:g} to {scale.high:g}: taken as missing")
        total = None
    parts = {name: as_number(items.get(name)) for name in ITEMS}
    absent = [name for name, value in parts.items() if value is None]
    if items and absent:
        report(f"{scale.name} item missing: {', '.join(absent)}")
    elif items and total is not None and sum(filter(None, parts.values())) != total:
        report(
            f"{scale.name} score of {total:g}, and its items sum to {sum(filter(None, parts.values())):g}: "
            "the published score is kept"
        )
    label = None if total is None else total >= scale.cutoff
    if official is not None and label is not None and bool(official) != label:
        report(
            f"official class {official:g} contradicts the {scale.name} score of {total:g}: the label follows the score"
        )
    if label is None and official is not None:
        label = bool(official)
    return {"label": label, "phq8": total} | ({f"phq8_{name}": value for name, value in parts.items()} if items else {})


def by_participant(path: Path | None) -> dict[str, dict[str, Any]]:
    """
    Read a table of people.

    Parameters
    ----------
    path : Path or None
        With the column ``Participant_ID``.

    Returns
    -------
    dict of str to dict
        Lines by participant, column names in small letters; empty without a table.

    Raises
    ------
    ParameterError
        If it cannot be read or lacks that column.
    """
    if path is None:
        return {}
    table = read_csv(path)
    table.columns = table.columns.str.lower()
    if "participant_id" not in table:
        raise ParameterError(f"{path} has the columns {list(table.columns)}; expected Participant_ID among them")
    table = table[table["participant_id"].notna()]
    numbers = table["participant_id"].str.split(".").str[0]  # a spreadsheet may have made 300.0 of it
    return {
        number: {str(name): value for name, value in row.items()}
        for number, row in zip(numbers, table.to_dict("records"), strict=True)
    }


def as_number(value: Any) -> float | None:
    """
    Read what should be a number.

    Parameters
    ----------
    value : str, float or None

    Returns
    -------
    float or None
        None for what is none.

    Examples
    --------
    >>> from vocalbio.datasets.corpora.questionnaire import as_number
    >>> as_number("10"), as_number("n/a"), as_number(None)
    (10.0, None, None)
    """
    number = pd.to_numeric(value, errors="coerce")
    return None if pd.isna(number) else float(number)
