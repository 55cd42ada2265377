"""The table: what its columns mean, which rows failed and why, and the settings that made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.errors import ParameterError
from vocalbio.extract.rows import QUALITY, Row, assemble
from vocalbio.features.family import FamilyLike
from vocalbio.quality import QUALITY_COLUMNS

__all__ = ["describe_columns", "errors", "is_feature", "make_table", "read_settings", "usable_rows"]

SETTINGS, NOTES = "vocalbio", "vocalbio_errors"
QUALITY_PREFIX = "quality__"


def make_table(rows: Sequence[Row], features: Sequence[str], settings: dict[str, Any]) -> pd.DataFrame:
    """
    Put rows into a table with its index, its settings and its notes.

    Parameters
    ----------
    rows : sequence of Row
    features : sequence of str
        Column names of the features.
    settings : dict
        What made the numbers, as plain JSON types.

    Returns
    -------
    pandas.DataFrame
        Index (file, start, end); columns features and quality, float64.
    """
    index = pd.MultiIndex.from_arrays(
        [
            [row.label for row in rows],
            _timedelta([row.start_s for row in rows]),
            _timedelta([row.end_s for row in rows]),
        ],
        names=["file", "start", "end"],
    )
    columns = [*features, *(QUALITY_PREFIX + name for name in QUALITY)]
    table = pd.DataFrame(assemble(rows, len(features)), index=index, columns=columns)
    notes = [
        [*_key(entry), not row.quality["ok"], stage, reason]
        for entry, row in zip(index, rows, strict=True)
        for stage, reason in row.notes
    ]
    table.attrs = {SETTINGS: json.dumps(settings), NOTES: json.dumps(notes)}
    return table


def _timedelta(seconds: list[float]) -> pd.Index:
    return pd.to_timedelta(np.array(seconds, float), unit="s").astype("timedelta64[ns]")


def _key(entry: tuple[Any, ...]) -> list[Any]:
    file, start, end = entry
    return [str(file), int(start.value), None if pd.isna(end) else int(end.value)]


def errors(X: pd.DataFrame, *, partial: bool = False) -> pd.DataFrame:
    """
    Tell which rows could not be read or used, at what stage, and why.

    Parameters
    ----------
    X : pandas.DataFrame
        From `extract_features`; slices of it will do.
    partial : bool
        Also list usable rows in which some columns are NaN for a reason (nothing voiced, no unvoiced part, too
        noisy for pauses).

    Returns
    -------
    pandas.DataFrame
        Index (file, start, end), columns ``stage`` (``"audio"``, ``"signal"`` or a family) and ``reason``; one row
        an unusable row of `X`, and with `partial` one a reason. Empty when all went well.

    Raises
    ------
    ParameterError
        If `X` is not such a table.

    Notes
    -----
    The reasons travel in ``X.attrs``. ``pandas.concat`` drops attrs that differ: join ``errors(a)`` and
    ``errors(b)`` too if you join tables. Where the reasons are lost, `stage` is ``"unknown"``.

    Examples
    --------
    >>> import vocalbio as vb
    >>> X = vb.extract_features(["nowhere.wav"])
    >>> vb.errors(X).stage.tolist()
    ['audio']
    """
    if not isinstance(X, pd.DataFrame) or list(X.index.names) != ["file", "start", "end"]:
        raise ParameterError("X is not a table from extract_features: its index is not (file, start, end)")
    by_key: dict[tuple[Any, ...], list[tuple[bool, str, str]]] = {}
    for file, start, end, failed, stage, reason in json.loads(X.attrs.get(NOTES, "[]")):
        by_key.setdefault((file, start, end), []).append((failed, stage, reason))
    ok = X[QUALITY_PREFIX + "ok"].to_numpy() if QUALITY_PREFIX + "ok" in X else np.full(len(X), np.nan)
    places, found = [], []
    for place, entry in enumerate(X.index):
        notes = list(dict.fromkeys(by_key.get(tuple(_key(entry)), [])))
        failed = any(note[0] for note in notes) if np.isnan(ok[place]) else bool(ok[place] == 0)
        notes = [note for note in notes if note[0] == failed]  # recordings of one name may share a key
        if failed and not notes:
            notes = [(True, "unknown", "the reason was lost with X.attrs; extract this file again to see it")]
        if partial:
            chosen = notes
        elif failed:
            # the reasons of the failure itself come last: partial notes of earlier families stand before it
            chosen = [(True, notes[-1][1], "; ".join(reason for _, _, reason in notes))]
        else:
            chosen = []
        places += [place] * len(chosen)
        found += [note[1:] for note in chosen]
    return pd.DataFrame(found, index=X.index[places], columns=["stage", "reason"])


def usable_rows(X: pd.DataFrame) -> NDArray[np.bool_]:
    """
    Tell which rows of a table there is anything to go by.

    Parameters
    ----------
    X : pandas.DataFrame

    Returns
    -------
    numpy.ndarray of bool
        Shape (n_rows,). False where no feature is a number, or the recording could not be used: by ``quality__ok``, or
        where the quality columns were left out, by the reasons in ``X.attrs``. The counts of a silent file are 0, and
        with all else imputed they would pass for a voice.

    Examples
    --------
    >>> import vocalbio as vb
    >>> from vocalbio.extract.table import usable_rows
    >>> usable_rows(vb.extract_features(["nowhere.wav"])).tolist()
    [False]
    """
    usable = ~X[[column for column in X.columns if is_feature(column)]].isna().all(axis=1).to_numpy()
    if QUALITY_PREFIX + "ok" in X:
        return usable & (X[QUALITY_PREFIX + "ok"].to_numpy() != 0)
    failed = {tuple(note[:3]) for note in json.loads(X.attrs.get(NOTES, "[]")) if note[3]}
    if failed and list(X.index.names) == ["file", "start", "end"]:
        usable &= np.array([tuple(_key(entry)) not in failed for entry in X.index], bool)
    return usable


def read_settings(X: Any) -> dict[str, Any] | None:
    """
    Read the settings that made a table.

    Parameters
    ----------
    X : pandas.DataFrame

    Returns
    -------
    dict or None
        ``version``, ``extractor`` (as `FeatureExtractor.to_dict` gives it) and ``tools`` (versions); None where the
        table does not carry them.

    Examples
    --------
    >>> import vocalbio as vb
    >>> from vocalbio.extract import read_settings
    >>> read_settings(vb.extract_features(["nowhere.wav"]))["extractor"]["window_s"] is None
    True
    """
    text = getattr(X, "attrs", {}).get(SETTINGS)
    return None if text is None else json.loads(text)


def is_feature(column: Any) -> bool:
    """Tell a feature from a quality column, which describes and is never an input."""
    return not str(column).startswith(QUALITY_PREFIX)


def describe(families: Sequence[tuple[str, FamilyLike]]) -> pd.DataFrame:
    """What each column of the families, and of quality, is."""
    described = []
    for prefix, family in families:
        for name, column in zip(family.names, getattr(family, "columns", [None] * len(family.names)), strict=True):
            facts = (
                [column.unit, column.meaning, column.occurrence, column.source, column.paper]
                if column is not None
                else ["", "", "as its family says", type(family).__name__, ""]
            )
            described.append([f"{prefix}__{name}", prefix, *facts])
    described.append([QUALITY_PREFIX + "ok", "quality", "", "1: usable; 0: see vocalbio.errors", "always a number",
                      "vocalbio", ""])  # fmt: skip
    for name, unit, meaning in QUALITY_COLUMNS:
        described.append([QUALITY_PREFIX + name, "quality", unit, meaning, "a readable file", "vocalbio.quality", ""])
    columns = ["column", "family", "unit", "meaning", "occurrence", "source", "paper"]
    return pd.DataFrame(described, columns=columns).set_index("column")


def describe_columns(families: Any = ("prosody", "voice", "spectral", "compact")) -> pd.DataFrame:
    """
    Tell of every column its unit, its meaning, what must have occurred for it to be a number, source and paper.

    Parameters
    ----------
    families : sequence of str or Family
        As in `extract_features`; all that ship by default.

    Returns
    -------
    pandas.DataFrame
        One row a column, in the order of `extract_features`; columns ``family``, ``unit``, ``meaning``,
        ``occurrence``, ``source``, ``paper``.

    Examples
    --------
    >>> import vocalbio as vb
    >>> vb.describe_columns().loc["voice__hnr_db", "occurrence"]
    'voiced frames'
    """
    from vocalbio.extract.extractor import resolve_families

    return describe(resolve_families(families))
