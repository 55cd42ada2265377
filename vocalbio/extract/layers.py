"""LayerChoice: one hidden state of several, so that a search can choose it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from vocalbio.errors import ParameterError

__all__ = ["LayerChoice"]

LAYER = re.compile(r"__L(\d+)_")


class LayerChoice(TransformerMixin, BaseEstimator):
    """
    Keep one hidden state of an `Embedding` with several, and every column of other families.

    Extract all layers once, in one pass, and let a search over settings choose on training speakers only.

    Parameters
    ----------
    layer : int
        Number of the hidden state.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from vocalbio.extract import LayerChoice
    >>> X = pd.DataFrame({"tiny_Lall__L0_0": [1.0, 2, 3, 4], "tiny_Lall__L1_0": [1.0, -1, 1, -1]})
    >>> steps = make_pipeline(LayerChoice(), LogisticRegression())
    >>> search = GridSearchCV(steps, {"layerchoice__layer": [0, 1]}, cv=2).fit(X, [1, 0, 1, 0])
    >>> search.best_params_
    {'layerchoice__layer': 1}
    """

    def __init__(self, layer: int = 0) -> None:
        self.layer = layer

    def fit(self, X: Any, y: Any = None) -> LayerChoice:
        """
        Find the columns.

        Parameters
        ----------
        X : pandas.DataFrame
            With the columns of ``Embedding(..., layer="all")`` or of several layers.
        y : ignored

        Returns
        -------
        LayerChoice

        Raises
        ------
        ParameterError
            If `X` is no table, or has no such layer.
        """
        if not isinstance(X, pd.DataFrame):
            raise ParameterError(f"X is of type {type(X).__name__}; expected a table from extract_features")
        layers = [(column, LAYER.search(str(column))) for column in X.columns]
        known = sorted({int(found[1]) for _, found in layers if found})
        if self.layer not in known:
            has = ", ".join(map(str, known)) or "none: expected an Embedding with layer='all' or several"
            raise ParameterError(f"layer is {self.layer!r}; the layers of X are {has}")
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.columns_ = [column for column, found in layers if found is None or int(found[1]) == self.layer]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """
        Keep the columns.

        Parameters
        ----------
        X : pandas.DataFrame

        Returns
        -------
        pandas.DataFrame
        """
        if not hasattr(self, "columns_"):
            raise NotFittedError("this LayerChoice is not fitted yet; call fit(X)")
        missing = [column for column in self.columns_ if column not in X]
        if missing:
            raise ParameterError(f"X lacks {len(missing)} columns of the fit, such as {missing[0]!r}")
        return X[self.columns_]

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """
        Names of the columns that are kept.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        numpy.ndarray of str
        """
        return np.array(self.columns_, dtype=object)
