"""Choosing one of several hidden states inside a pipeline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from vocalbio import LayerChoice, ParameterError

COLUMNS = ["voice__f0_mean_hz", "w_Lall__L00_0", "w_Lall__L00_0_sd", "w_Lall__L10_0", "w_Lall__L10_0_sd"]


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(np.arange(10.0).reshape(2, 5), columns=COLUMNS)


def test_one_layer_stays_and_other_families_too(table: pd.DataFrame) -> None:
    choice = LayerChoice(10).fit(table)
    kept = ["voice__f0_mean_hz", "w_Lall__L10_0", "w_Lall__L10_0_sd"]
    assert choice.transform(table).columns.tolist() == kept == choice.get_feature_names_out().tolist()
    assert clone(choice).layer == 10


def test_what_does_not_fit_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="layer is 3; the layers of X are 0, 10"):
        LayerChoice(3).fit(table)
    with pytest.raises(ParameterError, match="expected an Embedding with layer='all'"):
        LayerChoice(0).fit(table[["voice__f0_mean_hz"]])
    with pytest.raises(ParameterError, match="of type ndarray; expected a table"):
        LayerChoice(0).fit(table.to_numpy())
    with pytest.raises(NotFittedError, match="call fit"):
        LayerChoice(0).transform(table)
    with pytest.raises(ParameterError, match="lacks 2 columns of the fit, such as 'w_Lall__L00_0'"):
        LayerChoice(0).fit(table).transform(table[["voice__f0_mean_hz"]])
