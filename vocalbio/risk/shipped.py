"""The models that come with vocalbio, and what to do where there is none."""

from __future__ import annotations

from importlib.resources import as_file, files

from vocalbio.conditions import get_condition
from vocalbio.errors import ModelUnavailableError
from vocalbio.risk.classifier import RiskModel

__all__ = ["load_shipped"]

SHIPPED = {"stress": "stress.vocalbio"}
"""File in the folder beside this one, by condition; its model card lies beside it."""
WHY_NONE = {
    "depression": (
        "corpora of clinical interviews with PHQ-8 scores (DAIC-WOZ, E-DAIC, Androids) are given out by agreement only"
    ),
    "apnea": "nights with scored breathing (PSG-Audio) have to be fetched and prepared by whoever trains on them",
}


def load_shipped(condition: str) -> RiskModel:
    """
    Load the model in the wheel.

    Parameters
    ----------
    condition : {"stress"}
        For the other conditions there is no corpus that an honest model could be trained on and given away.

    Returns
    -------
    RiskModel
        Of acted emotions under CC BY-NC-SA 4.0, no commercial use; what it was trained on, and how well it did on
        speakers that it never heard, stands in ``manifest_`` and in the model card (docs/stress_model.md).

    Raises
    ------
    ParameterError
        If there is no such condition.
    ModelUnavailableError
        If there is no model for it; the text tells how to train one.

    Examples
    --------
    >>> from vocalbio.risk import load_shipped
    >>> load_shipped("stress").manifest_["training"]["n_speakers"]
    16
    """
    get_condition(condition)
    if condition not in SHIPPED:
        raise ModelUnavailableError(
            f"no {condition} model comes with vocalbio: {WHY_NONE[condition]}, and a model of anything else would "
            "not be honest. Train one on recordings of your own:\n"
            f"  vocalbio train --data recordings.csv --condition {condition} --save-path {condition}.vocalbio\n"
            f"  vocalbio predict {condition} memo.wav --model {condition}.vocalbio"
        )
    with as_file(files("vocalbio.risk").joinpath("shipped", SHIPPED[condition])) as path:
        return RiskModel.load(path)
