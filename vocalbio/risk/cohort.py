"""What a model is given: tables, arrays or sequences, and labels and speakers that belong to their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.conditions import Condition
from vocalbio.datasets.sequences import Sequences
from vocalbio.errors import ParameterError
from vocalbio.extract import read_settings
from vocalbio.extract.table import QUALITY_PREFIX, is_feature

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Samples", "align", "check_settings", "encode_labels"]


@dataclass(frozen=True, eq=False)
class Samples:
    """
    Features alone, whatever they came in.

    Attributes
    ----------
    values : ndarray of float, shape (n, n_features), or Sequences
        NaN where a feature is missing.
    names : list of str or None
        Columns; None for a plain array.
    ok : ndarray of bool, shape (n,)
        Whether there is anything to go by.
    settings : dict or None
        Settings of the extractor that made them; None where it is not known.
    """

    values: NDArray[np.float64] | Sequences
    names: list[str] | None
    ok: NDArray[np.bool_]
    settings: dict[str, Any] | None = None

    @classmethod
    def read(cls, X: Any) -> Samples:
        """
        Take the features out of a table, an array or sequences; quality columns are left behind.

        Parameters
        ----------
        X : pandas.DataFrame, array-like of shape (n, n_features), or Sequences

        Returns
        -------
        Samples

        Raises
        ------
        ParameterError
            If it is none of these, is not numeric, or holds infinite values.
        """
        if isinstance(X, Sequences):
            samples = cls(X, list(X.names), X.ok, X.settings)
        elif isinstance(X, pd.DataFrame):
            features = X[[column for column in X.columns if is_feature(column)]]
            values = _numbers(features)
            ok = ~np.isnan(values).all(axis=1)
            if QUALITY_PREFIX + "ok" in X:
                ok &= X[QUALITY_PREFIX + "ok"].to_numpy() != 0
            settings = (read_settings(X) or {}).get("extractor")
            samples = cls(values, [str(column) for column in features.columns], ok, settings)
        else:
            values = _numbers(X)
            samples = cls(values, None, ~np.isnan(values).all(axis=1))
        if np.isinf(samples.rows).any():
            raise ParameterError("X holds infinite values; expected finite numbers, NaN where one is missing")
        repeated = [name for name in dict.fromkeys(samples.names or []) if samples.names.count(name) > 1]  # type: ignore[union-attr]
        if repeated:
            raise ParameterError(f"X has columns of the same name: {_some(repeated)}")
        return samples

    @property
    def rows(self) -> NDArray[np.float64]:
        """Every row, or every segment of every sequence, below each other."""
        if isinstance(self.values, Sequences):
            empty = np.empty((0, len(self.values.names)))
            return np.concatenate([empty, *self.values.values])
        return self.values

    @property
    def n_features(self) -> int:
        """Columns."""
        return self.rows.shape[1]

    def __len__(self) -> int:
        return len(self.ok)

    def __getitem__(self, places: Any) -> Samples:
        return Samples(self.values[places], self.names, self.ok[places], self.settings)

    def ordered(self, names: list[str] | None, n_features: int) -> Samples:
        """
        The same with columns in the order that a model was trained with.

        Parameters
        ----------
        names : list of str or None
            Columns of the model; None: it was trained on a plain array.
        n_features : int

        Returns
        -------
        Samples

        Raises
        ------
        ParameterError
            If columns are missing, or there are others; names up to five of them.
        """
        if names is None or self.names is None:
            if self.n_features != n_features:
                raise ParameterError(
                    f"X has {self.n_features} feature columns; the model was trained with {n_features}"
                )
            return self
        for which, columns in (
            ("lacks columns that the model was trained with", [n for n in names if n not in set(self.names)]),
            ("has columns that the model does not know", [n for n in self.names if n not in set(names)]),
        ):
            if columns:
                raise ParameterError(
                    f"X {which}: {_some(columns)}. Extract it with the families and settings of training "
                    "(model.settings_), or select the columns (model.feature_names_in_)"
                )
        if names == self.names:
            return self
        places = [self.names.index(name) for name in names]
        if isinstance(self.values, Sequences):
            values = [segments[:, places] for segments in self.values.values]
            return Samples(Sequences(self.values.keys, values, names, self.settings), names, self.ok, self.settings)
        return Samples(self.values[:, places], names, self.ok, self.settings)


def _numbers(X: Any) -> NDArray[np.float64]:
    try:
        values = np.asarray(X, float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"X holds something else than numbers ({error})") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise ParameterError(
            f"X has shape {values.shape}; expected a feature table or an array (n, n_features), or Sequences"
        )
    return values


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def align(name: str, values: Any, X: Any) -> NDArray[Any]:
    """
    Bring labels or speakers into the order of the rows of `X`.

    Parameters
    ----------
    name : str
        What they are called in messages.
    values : pandas.Series or array-like
        A Series is matched by its index where that names rows, files or keys of `X`; anything else goes by
        position.
    X : pandas.DataFrame, array-like or Sequences

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ParameterError
        If lengths differ, some rows have no value, or the index is ambiguous.
    """
    index = pd.Index(X.keys) if isinstance(X, Sequences) else getattr(X, "index", pd.RangeIndex(len(X)))
    if isinstance(values, pd.Series) and not values.index.equals(index):
        for rows in [index, *_files(index)]:
            known = rows.isin(values.index)
            if known.any():
                if not known.all():
                    missing = list(dict.fromkeys(map(str, rows[~known])))
                    raise ParameterError(f"{name} has no value for {_some(missing)}")
                if values.index.has_duplicates:
                    raise ParameterError(f"{name} has an index with repeated entries; expected each once")
                values = values.reindex(rows)
                break
    array = np.asarray(values)
    if array.shape != (len(index),):
        raise ParameterError(
            f"{name} has shape {array.shape}; expected one value for each of the {len(index)} rows of X"
        )
    if (n_missing := int(pd.isna(array).sum())) > 0:
        raise ParameterError(
            f"{name} holds {n_missing} missing values (NaN or None) among {len(array)}; "
            "leave those rows out of X, y and groups"
        )
    return array


def _files(index: pd.Index) -> list[pd.Index]:
    named = isinstance(index, pd.MultiIndex) and "file" in index.names
    return [index.get_level_values("file")] if named else []


def encode_labels(y: NDArray[Any], condition: Condition) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """
    Number the classes in the order of a network's outputs.

    Parameters
    ----------
    y : ndarray, shape (n,)
    condition : Condition
        If it names no classes, there must be two, and the positive one is True, or what sorts last.

    Returns
    -------
    codes : ndarray of int, shape (n,)
    classes : ndarray, shape (n_classes,)

    Raises
    ------
    ParameterError
        If the labels are not those of the condition, or all of one class.
    """
    kinds = {str if isinstance(label, str) else float for label in y.tolist()}
    if len(kinds) > 1:
        raise ParameterError("y holds text and numbers; expected one kind of label")
    y = np.array(y.tolist())  # text of pandas, and bool or numbers as objects, become plain arrays
    found = np.unique(y)
    if condition.classes is None:
        if len(found) != 2:
            listed = _some([str(label) for label in found])
            raise ParameterError(
                f"y holds {len(found)} classes ({listed}); {condition.name} needs two, such as phq8 >= 10"
            )
        classes = found
    else:
        classes = np.array(condition.classes)
        unknown = [str(label) for label in found if str(label) not in condition.classes]
        if unknown:
            raise ParameterError(
                f"y holds {_some(unknown)}; {condition.name} has the classes {', '.join(condition.classes)}"
            )
        if len(found) < 2:
            raise ParameterError(f"y holds one class, {found[0]}; at least two are needed to learn from")
    places = {label: place for place, label in enumerate(classes.tolist())}
    return np.array([places[label] for label in y.tolist()], np.intp), classes


def check_settings(trained: dict[str, Any] | None, got: dict[str, Any] | None, names: list[str] | None) -> None:
    """
    Refuse features that were measured in another way than those of training.

    Parameters
    ----------
    trained, got : dict or None
        Settings of extractors; None where it is not known, and then nothing is checked.
    names : list of str or None
        Columns; only families that own one are compared.

    Raises
    ------
    ParameterError
        If they differ; names every difference.
    """
    if trained is None or got is None:
        return
    before, now = (_flat(settings, names) for settings in (trained, got))
    differences = [
        f"{name}: trained with {before.get(name)!r}, got {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise ParameterError(
            f"X was extracted with other settings than in training: {'; '.join(differences)}. "
            "Extract it again with FeatureExtractor.from_dict(model.settings_)"
        )


def _flat(settings: dict[str, Any], names: list[str] | None) -> dict[str, Any]:
    """Settings without nesting, such as ``prosody.feature_set``."""
    used = {name.split("__")[0] for name in names or []}
    flat = {name: value for name, value in settings.items() if name != "families"}
    for family in settings.get("families", []):
        prefix = family.get("family")
        if prefix in used:
            flat |= {f"{prefix}.{name}": value for name, value in family.items() if name != "family"}
    return flat
