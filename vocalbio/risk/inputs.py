"""What a model is given: tables, arrays or sequences to numbers, with labels and speakers joined to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.datasets import Sequences
from vocalbio.errors import ParameterError
from vocalbio.extract import read_settings
from vocalbio.extract.table import is_feature, usable_rows

__all__ = ["Inputs", "align", "compare_settings", "read_inputs"]


@dataclass
class Inputs:
    """
    Samples for a network, before scaling.

    Attributes
    ----------
    rows : numpy.ndarray
        Shape (n_rows, n_features); for sequences all their segments, one after another.
    lengths : numpy.ndarray or None
        Segments a sample; None for feature vectors.
    usable : numpy.ndarray
        Shape (n_samples,), False where there is nothing to go by.
    names : list of str or None
        None for a plain array.
    extractor : dict or None
        Settings of the extractor, where known.
    """

    rows: NDArray[np.float64]
    lengths: NDArray[np.int64] | None
    usable: NDArray[np.bool_]
    names: list[str] | None
    extractor: dict[str, Any] | None

    def choose(self, which: NDArray[Any]) -> Inputs:
        """Samples by number."""
        rows, lengths = self.rows[which], None
        if self.lengths is not None:
            ends = np.cumsum(self.lengths)
            places = [np.arange(ends[i] - self.lengths[i], ends[i]) for i in which]
            rows = self.rows[np.concatenate([np.empty(0, int), *places])]
            lengths = self.lengths[which]
        return Inputs(rows, lengths, self.usable[which], self.names, self.extractor)


def read_inputs(X: Any, sequential: bool, names: list[str] | None = None) -> Inputs:
    """
    Read a table, an array or sequences; quality columns are left out.

    Parameters
    ----------
    X : pandas.DataFrame, array_like of shape (n_rows, n_features), or Sequences
    sequential : bool
        Whether the network takes sequences.
    names : list of str, optional
        Feature names of training; a table's columns are brought into their order.

    Returns
    -------
    Inputs

    Raises
    ------
    ParameterError
        If `X` is of the wrong kind, has other columns, or holds infinite values.
    """
    from scipy.sparse import issparse

    if isinstance(X, Sequences) != sequential:
        raise ParameterError(
            "this network takes sequences: Sequences.from_table(X, by='file')"
            if sequential
            else "X is of type Sequences; this network takes a table with one row a recording"
        )
    if isinstance(X, Sequences):
        _compare_names(list(X.names), names)
        order = [X.names.index(name) for name in names] if names else slice(None)
        rows = np.concatenate([np.empty((0, len(X.names))), *X.values])[:, order].astype(float)
        lengths = np.array([len(value) for value in X.values], np.int64)
        return _checked(Inputs(rows, lengths, lengths > 0, names or list(X.names), _extractor(X)))
    if isinstance(X, pd.DataFrame):
        columns = [str(column) for column in X.columns if is_feature(column)]
        if len(set(columns)) < len(columns):
            raise ParameterError("X has columns of the same name; expected each once")
        _compare_names(columns, names)
        features = X[[column for column in X.columns if is_feature(column)]]
        features.columns = columns
        try:
            rows = features[names or columns].to_numpy(float)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"X holds a column that is not numeric: {error}") from error
        return _checked(Inputs(rows, None, usable_rows(X), names or columns, _extractor(X)))
    if issparse(X):
        raise ParameterError("X is sparse, and sparse input is not supported; pass X.toarray()")
    try:
        rows = np.asarray(X)
        if rows.dtype.kind == "c":
            raise TypeError("Complex data not supported")
        rows = rows.astype(float)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"X is not numeric ({error}); expected a table from extract_features or numbers"
        ) from error
    if rows.ndim != 2:
        raise ParameterError(f"X has shape {rows.shape}; expected (n_rows, n_features). Reshape your data")
    return _checked(Inputs(rows, None, ~np.isnan(rows).all(axis=1), None, None))


def _checked(inputs: Inputs) -> Inputs:
    if inputs.rows.shape[1] == 0:
        raise ParameterError(f"0 feature(s) (shape={inputs.rows.shape}) while a minimum of 1 is required.")
    if np.isinf(inputs.rows).any():
        raise ParameterError("X holds infinity; expected numbers, or NaN where there is none")
    return inputs


def _extractor(X: Any) -> dict[str, Any] | None:
    settings = read_settings(X)
    return None if settings is None else settings["extractor"]


def _compare_names(found: list[str], expected: list[str] | None) -> None:
    if expected is None:
        return
    missing = [name for name in expected if name not in set(found)]
    unknown = [name for name in found if name not in set(expected)]
    if missing or unknown:
        parts = [
            f"{len(names)} {what} ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
            for what, names in (("missing", missing), ("never seen in training", unknown))
            if names
        ]
        raise ParameterError(
            f"the columns differ from those of training: {' and '.join(parts)}; extract them alike: "
            "model.measure(files) gives the columns of training"
        )


def compare_settings(trained: Any, given: Any, path: str = "") -> list[str]:
    """Differences between two sets of extractor settings, in words."""
    if isinstance(trained, dict) and isinstance(given, dict):
        differences = []
        # weights of the same content are the same encoder, wherever its folder lies
        same_weights = trained.get("weights") is not None and trained.get("weights") == given.get("weights")
        for key in {**trained, **given}:
            if key == "encoder" and same_weights:
                continue
            differences += compare_settings(trained.get(key), given.get(key), f"{path}.{key}".lstrip("."))
        return differences
    if isinstance(trained, list) and isinstance(given, list) and len(trained) == len(given):
        differences = []
        for number, (one, other) in enumerate(zip(trained, given, strict=True)):
            differences += compare_settings(one, other, f"{path}[{number}]")
        return differences
    return [] if trained == given else [f"{path}: trained with {trained!r}, got {given!r}"]


def align(values: Any, X: Any, n: int, what: str) -> NDArray[Any]:
    """
    Join labels or speakers to samples: by index where it names rows, files or keys of `X`, else by position.

    Parameters
    ----------
    values : array_like or pandas.Series
        A Series may be indexed like `X`, by file, or (sequences) by key.
    X : table, array or Sequences
    n : int
        Number of samples.
    what : str
        ``"y"`` or ``"groups"``, for messages.

    Returns
    -------
    numpy.ndarray
        Shape (n,).

    Raises
    ------
    ParameterError
        If lengths do not match, something is missing, or an index knows some of the samples only.
    """
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if isinstance(values, pd.Series) and not values.index.equals(getattr(X, "index", None)):
        for keys in (keys for keys in _keys(X) if keys.nlevels == values.index.nlevels):
            known = keys.isin(values.index)
            if known.any():
                if not known.all() or not values.index.is_unique:
                    raise ParameterError(
                        f"the index of {what} does not match X: expected one entry for each row, file or key of X, and "
                        f"{(~known).sum()} of {len(keys)} have none; pass {what}.to_numpy() to join by position"
                    )
                values = values.reindex(keys)
                break
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.ravel()
    if array.shape != (n,):
        raise ParameterError(f"{what} has shape {array.shape}; expected ({n},), one for each sample of X")
    if pd.isna(array).any():
        raise ParameterError(
            f"{what} holds NaN or None for {pd.isna(array).sum()} of {n} samples; leave those out of X, y and groups"
        )
    return array


def _keys(X: Any) -> list[pd.Index]:
    """What a Series may be indexed by, to be joined to `X`."""
    if isinstance(X, Sequences):
        return [pd.Index(X.keys)]
    if not isinstance(X, pd.DataFrame):
        return []
    files = [X.index.get_level_values("file")] if isinstance(X.index, pd.MultiIndex) and "file" in X.index.names else []
    return [X.index, *files]
