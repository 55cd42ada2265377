"""What was asked for: recordings, whole or in spans, in the order asked."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import pandas as pd

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError

__all__ = ["Request", "parse_audio"]

EXPECTED = "expected a path, a Recording, a list of either, or a pandas index of files or (file, start, end)"


@dataclass
class Request:
    """
    Everything that is wanted of one file.

    Attributes
    ----------
    source : str, binary file object or Recording
        What to read.
    label : str
        What the table calls it.
    positions : list of int
        Where each span stands in what was asked for.
    spans : list of (start_s, end_s)
        In seconds; None as end_s means the end of the file.
    """

    source: str | IO[bytes] | Recording
    label: str
    positions: list[int] = field(default_factory=list)
    spans: list[tuple[float, float | None]] = field(default_factory=list)


def parse_audio(audio: Any) -> list[Request]:
    """
    Turn the ``audio`` argument of every public function into requests, one a file.

    Parameters
    ----------
    audio : path, Recording, binary file object, list of those, or pandas.Index
        A pandas.MultiIndex must have the levels file, start, end; the last two are Timedelta.

    Returns
    -------
    list of Request
        Spans of one file stand together, so that it is decoded once.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    if isinstance(audio, pd.MultiIndex):
        items = _index_spans(audio)
    else:
        items = [(source, source.start_s if isinstance(source, Recording) else 0.0, None) for source in _listed(audio)]
    requests: dict[Any, Request] = {}
    for position, (item, start_s, end_s) in enumerate(items):
        source, label = _source(item, position)
        key = source if isinstance(source, str) else id(source)
        request = requests.setdefault(key, Request(source, label))
        request.positions.append(position)
        request.spans.append((start_s, end_s))
    return list(requests.values())


def _listed(audio: Any) -> list[Any]:
    if isinstance(audio, (str, os.PathLike, Recording)) or hasattr(audio, "read"):
        return [audio]
    if isinstance(audio, pd.DataFrame) and audio.shape[1] != 1:
        raise ParameterError(
            f"audio is a table with {audio.shape[1]} columns; {EXPECTED}: pass its file column or its index"
        )
    if isinstance(audio, (pd.DataFrame, np.ndarray)):
        values = np.asarray(audio)
        if np.issubdtype(values.dtype, np.number):
            raise ParameterError(
                f"audio is an array of {values.dtype} with shape {values.shape}; {EXPECTED}: wrap samples, which "
                "have no rate of their own, in Recording(samples, sampling_rate_hz)"
            )
        return list(values.ravel())
    if isinstance(audio, Iterable) and not isinstance(audio, (bytes, dict, set)):
        return list(audio)
    raise ParameterError(f"audio is of type {type(audio).__name__}; {EXPECTED}")


def _index_spans(index: pd.MultiIndex) -> list[tuple[str, float, float | None]]:
    if list(index.names) != ["file", "start", "end"]:
        raise ParameterError(f"audio is an index with levels {list(index.names)}; expected file, start, end")
    files, starts, ends = (index.get_level_values(level) for level in ("file", "start", "end"))
    for name, level in (("start", starts), ("end", ends)):
        if not isinstance(level, pd.TimedeltaIndex):
            raise ParameterError(
                f"level {name!r} of the index is {level.dtype}; expected Timedelta: pd.to_timedelta(seconds, unit='s')"
            )
    return [
        (file, 0.0 if np.isnan(start) else start, None if np.isnan(end) else end)
        for file, start, end in zip(files, _seconds(starts), _seconds(ends), strict=True)
    ]


def _seconds(level: pd.Index) -> list[float]:
    return pd.TimedeltaIndex(level).total_seconds().tolist()


def _source(source: Any, position: int) -> tuple[str | IO[bytes] | Recording, str]:
    if isinstance(source, (str, os.PathLike)):
        return (path := str(os.fspath(source))), path
    if isinstance(source, Recording):
        return source, source.file or f"recording_{position}"
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return _bytes(source, position), name if isinstance(name, str) else f"file_object_{position}"
    raise ParameterError(f"entry {position} of audio is of type {type(source).__name__}; {EXPECTED}")


def _bytes(source: IO[bytes], position: int) -> IO[bytes]:
    """What an open file holds, from its beginning: bytes travel to a worker process, an open file does not."""
    if hasattr(source, "seek"):
        source.seek(0)
    content = source.read()
    if not isinstance(content, bytes):
        raise ParameterError(f"entry {position} of audio was opened as text; open it with mode 'rb'")
    return io.BytesIO(content)
