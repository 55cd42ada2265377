"""Acted emotions: one set of names for all corpora, and which of them stand in for stress."""

from __future__ import annotations

from typing import Any, Literal

from vocalbio.errors import ParameterError

__all__ = ["STRESS_OF_EMOTION", "Labels", "label_rows"]

Labels = Literal["emotion", "stress"]

STRESS_OF_EMOTION = {"neutral": "neutral", "sad": "sad", "fearful": "anxious"}
"""
Which emotion stands for which class of the stress condition; rows of any other emotion (calm among them) are left out.
An acted or perceived emotion is no stress level: say so wherever a model of these labels is used.
"""


def label_rows(rows: list[dict[str, Any]], labels: Labels) -> list[dict[str, Any]]:
    """
    Give rows their label.

    Parameters
    ----------
    rows : list of dict
        With ``emotion``.
    labels : {"emotion", "stress"}
        ``"emotion"``: the emotion itself. ``"stress"``: ``neutral``, ``sad`` or ``anxious`` by `STRESS_OF_EMOTION`;
        other rows are left out.

    Returns
    -------
    list of dict

    Raises
    ------
    ParameterError
        If `labels` is something else.

    Examples
    --------
    >>> from vocalbio.datasets.corpora.emotions import label_rows
    >>> label_rows([{"emotion": "fearful"}, {"emotion": "happy"}], "stress")
    [{'emotion': 'fearful', 'label': 'anxious'}]
    """
    if labels == "emotion":
        return [{**row, "label": row["emotion"]} for row in rows]
    if labels == "stress":
        return [
            {**row, "label": STRESS_OF_EMOTION[row["emotion"]]} for row in rows if row["emotion"] in STRESS_OF_EMOTION
        ]
    raise ParameterError(f"labels is {labels!r}; expected 'emotion' or 'stress'")
