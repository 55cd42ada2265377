"""Many nights: one row a night."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError, VocalbioError
from vocalbio.night.reading import Night
from vocalbio.night.screening import screen_night

__all__ = ["screen_nights"]


def screen_nights(
    audio: Iterable[Any],
    *,
    n_jobs: int | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    on_error: str = "record",
    **settings: Any,
) -> pd.DataFrame:
    """
    Screen several nights, one row a night.

    Parameters
    ----------
    audio : iterable of paths, Recordings, Nights, or lists of paths
        A list of paths within it is one night in several files.
    n_jobs : int, optional
        Worker processes, through joblib: None is 1, or what a surrounding ``joblib.parallel_config`` says; -1 is all
        cores.
    work_dir : path-like, optional
        Keeps each night in a folder of its own, so that a batch that was interrupted goes on where it stopped. The
        reports stand there as ``report.json`` (`NightReport.from_json`).
    on_error : {"record", "raise"}
        Keep a row of NaN and the reason, or stop at the first night that cannot be screened.
    **settings
        As for `screen_night`: ``model``, ``channel``, ``noise_reduction``, ``lights_out``, ``lights_on``.

    Returns
    -------
    pandas.DataFrame
        Index ``night`` (name of its first file); the columns of `NightReport.summary`, ``n_notes`` (reasons for
        doubt), ``notes`` and ``reason`` (why a night could not be screened, else "").

    Raises
    ------
    ParameterError
        If an argument is wrong; with ``on_error="record"`` the fault of one night is told in its row.
    AudioError
        If a night cannot be read and `on_error` is ``"raise"``.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.night import screen_nights
    >>> noise = np.random.default_rng(0).normal(0, 1e-3, 16_000 * 60).astype("float32")
    >>> table = screen_nights([Recording(noise, 16_000, file="a.wav"), "gone.wav"])
    >>> table["recorded_h"].round(3).tolist(), table["reason"].tolist()
    ([0.017, nan], ['', 'gone.wav does not exist; check the path'])
    """
    import joblib

    if isinstance(audio, (str, os.PathLike, Recording, Night)):
        raise ParameterError("audio is one night; expected a list of nights. For one: screen_night")
    if on_error not in ("record", "raise"):
        raise ParameterError(f"on_error is {on_error!r}; expected 'record' or 'raise'")
    nights = list(audio)
    if not nights:
        raise ParameterError("audio holds no night")
    names = [_name(night) for night in nights]
    folders = [None if work_dir is None else _folder(Path(work_dir), night) for night in nights]
    rows = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_screened)(night, folder, on_error, settings)
        for night, folder in zip(nights, folders, strict=True)
    )
    return pd.DataFrame(rows, index=pd.Index(names, name="night"))[_COLUMNS].astype(_TYPES)


_COLUMNS = [
    "started",
    "recorded_h",
    "analysed_h",
    "unusable_h",
    "n_events",
    "index",
    "index_low",
    "index_high",
    "apnea_index",
    "hypopnea_index",
    "snoring_min",
    "snoring_share",
    "snoring_index",
    "severity",
    "n_notes",
    "notes",
    "reason",
]
_TYPES = {name: float for name in _COLUMNS if name.endswith(("_h", "index", "_low", "_high", "_min", "_share"))} | {
    "n_events": "Int64",
    "n_notes": "Int64",
}


def _screened(night: Any, folder: Path | None, on_error: str, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        report = screen_night(night, work_dir=folder, progress=False, **settings)
    except (VocalbioError, OSError) as error:
        if on_error == "raise":
            raise
        return dict.fromkeys(_COLUMNS) | {"notes": "", "reason": str(error)}
    notes = report.notes
    return {**report.summary(), "n_notes": len(notes), "notes": " | ".join(notes), "reason": ""}


def _first(night: Any) -> Any:
    return night[0] if isinstance(night, (list, tuple)) and night else night


def _name(night: Any) -> str:
    first = _first(night)
    if isinstance(first, Night):
        return first.fingerprint()["files"][0]["file"]
    if isinstance(first, Recording):
        return os.path.basename(first.file or "recording")
    return os.path.basename(os.fspath(first)) if isinstance(first, (str, os.PathLike)) else repr(first)


def _folder(work_dir: Path, night: Any) -> Path:
    """A folder of its own for a night, found again by where its files lie."""
    name = re.sub(r"[^\w.-]+", "_", os.path.splitext(_name(night))[0])[:60]
    several = night if isinstance(night, (list, tuple)) else [night]
    places = [os.path.abspath(n) if isinstance(n, (str, os.PathLike)) else repr(_print_of(n)) for n in several]
    return work_dir / f"{name}-{hashlib.sha256(chr(10).join(places).encode()).hexdigest()[:10]}"


def _print_of(night: Any) -> Any:
    if isinstance(night, Recording):
        night = Night(night)
    return night.fingerprint() if isinstance(night, Night) else night
