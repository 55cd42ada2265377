"""Sound inside EDF, EDF+ and BDF files: one channel, read record by record in constant memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EdfChannel", "is_edf", "open_channel"]

_FILE_FIELDS = (
    ("version", 8),
    ("patient", 80),
    ("recording", 80),
    ("date", 8),
    ("time", 8),
    ("header_bytes", 8),
    ("reserved", 44),
    ("n_records", 8),
    ("record_s", 8),
    ("n_signals", 4),
)
_SIGNAL_FIELDS = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("filter", 80),
    ("n_samples", 8),
    ("reserved", 32),
)
_SOUND_HZ, _LEAST_HZ = 4000, 2000  # below the second it is an envelope, not sound
_SOUND_NAMES = re.compile(r"mic|snor|audio|sound", re.IGNORECASE)
_READ_S = 10.0


@dataclass(frozen=True)
class EdfChannel:
    """
    One channel of an EDF or BDF file.

    Attributes
    ----------
    path : str
    label : str
    sampling_rate_hz : float
    started : datetime or None
        From the header. Anonymised files keep the time of day, with a date in 1985.
    n_records : int
        Whole records that the file holds.
    n_stated : int
        Records that the header promises; -1 where it does not say.
    record_s : float
        Length of a record in seconds.
    """

    path: str
    label: str
    sampling_rate_hz: float
    started: datetime | None
    n_records: int
    n_stated: int
    record_s: float
    _header_bytes: int
    _record_bytes: int
    _width: int  # bytes a sample
    _columns: slice  # of a record's bytes
    _digital: tuple[int, int]
    _clock: slice | None  # bytes of a record that tell its onset, in files with gaps

    @property
    def duration_s(self) -> float:
        """From the first record to the end of the last one, gaps included, in seconds."""
        if self._clock is None or not self.n_records:
            return self.n_records * self.record_s
        with open(self.path, "rb") as file:
            return self._onset(file, self.n_records - 1) - self._onset(file, 0) + self.record_s

    def pieces(self) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """
        Read the channel.

        Yields
        ------
        start_s : float
            Since the first record.
        samples : array of float32, shape (n_samples,)
            In [-1, 1] by the digital range; a piece that does not follow the one before begins after a gap.

        Raises
        ------
        AudioError
            If the file can no longer be read.
        """
        at_once = max(1, round(_READ_S / self.record_s)) if self._clock is None else 1
        try:
            with open(self.path, "rb") as file:
                first_s = 0.0 if self._clock is None else self._onset(file, 0)
                for record in range(0, self.n_records, at_once):
                    count = min(at_once, self.n_records - record)
                    start_s = record * self.record_s if self._clock is None else self._onset(file, record) - first_s
                    file.seek(self._header_bytes + record * self._record_bytes)
                    raw = np.frombuffer(file.read(count * self._record_bytes), np.uint8)
                    yield start_s, self._scaled(raw.reshape(count, -1)[:, self._columns])
        except (OSError, ValueError) as error:
            raise AudioError(f"{self.path} cannot be read on ({error}); copy it again") from error

    def _scaled(self, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._width == 2:
            values = np.ascontiguousarray(raw).view("<i2").astype(np.float32).ravel()
        else:  # three bytes: put them into the upper ones of four, so that the sign comes right
            wide = np.zeros((raw.size // 3, 4), np.uint8)
            wide[:, 1:] = raw.reshape(-1, 3)
            values = (wide.view("<i4").ravel() >> 8).astype(np.float32)
        low, high = self._digital
        if low < 0 < high:
            scaled = values / np.float32(max(-low, high))  # as a wav file of these integers is read
        else:
            scaled = (values - np.float32((low + high) / 2)) / np.float32((high - low) / 2)
        return np.clip(scaled, -1.0, 1.0)

    def _onset(self, file: Any, record: int) -> float:
        clock = self._clock or slice(0, 0)
        file.seek(self._header_bytes + record * self._record_bytes + clock.start)
        text = file.read(clock.stop - clock.start)
        found = re.match(rb"([+-]\d+(?:\.\d*)?)", text)
        if not found:
            raise AudioError(f"{self.path}: record {record + 1} does not tell its time; the file is damaged")
        return float(found[1])


def is_edf(path: str | os.PathLike[str]) -> bool:
    """
    Tell by its first bytes whether a file is EDF or BDF.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    bool
        False also where there is no such file.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except OSError:
        return False
    return len(head) == 256 and (head[:8] == b"0       " or head[:8] == b"\xffBIOSEMI")


def open_channel(path: str | os.PathLike[str], channel: str | None = None) -> EdfChannel:
    """
    Find the sound in a file.

    Parameters
    ----------
    path : path-like
    channel : str, optional
        Its label. Default: the only channel of 4 kHz or more, else the only one of those whose label speaks of a
        microphone, snoring, audio or sound.

    Returns
    -------
    EdfChannel

    Raises
    ------
    AudioError
        If the header is damaged, there is no such channel, or it is not clear which is meant.

    References
    ----------
    Kemp B, Olivan J. European data format 'plus' (EDF+), an EDF alike standard format for the exchange of physiological
    data. Clin Neurophysiol 2003;114:1755-1761. doi:10.1016/s1388-2457(03)00123-8
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            width = 3 if file.read(1) == b"\xff" else 2
            file.seek(0)
            head = {field: file.read(length).decode("latin-1").strip() for field, length in _FILE_FIELDS}
            count = int(head["n_signals"])
            signals: list[dict[str, str]] = [{} for _ in range(count)]
            for field, length in _SIGNAL_FIELDS:
                for signal in signals:
                    signal[field] = file.read(length).decode("latin-1").strip()
        record_s, header_bytes = float(head["record_s"]), int(head["header_bytes"])
        lengths = [int(signal["n_samples"]) for signal in signals]
        if record_s <= 0 or min(lengths) < 0 or not sum(lengths):
            raise ValueError("records without length")
        chosen = _choose(name, signals, [length / record_s for length in lengths], channel)
        digital = int(signals[chosen]["digital_min"]), int(signals[chosen]["digital_max"])
        if digital[0] >= digital[1]:
            raise ValueError(f"digital range {digital}")
        n_stated = int(head["n_records"])
    except (OSError, ValueError, IndexError) as error:
        raise AudioError(f"{name} has a header that is damaged or no EDF ({error}); export it again") from error
    starts = np.concatenate([[0], np.cumsum(lengths)]) * width
    places = [slice(int(a), int(b)) for a, b in pairwise(starts)]
    clocks = [
        place for place, s in zip(places, signals, strict=True) if s["label"] in ("EDF Annotations", "BDF Annotations")
    ]
    has_gaps = head["reserved"][:5] in ("EDF+D", "BDF+D")
    if has_gaps and not clocks:
        raise AudioError(f"{name} says that it has gaps (EDF+D), but no channel that tells where; export it again")
    found = EdfChannel(
        name,
        signals[chosen]["label"],
        lengths[chosen] / record_s,
        None,
        max(0, size - header_bytes) // int(starts[-1]),
        n_stated,
        record_s,
        header_bytes,
        int(starts[-1]),
        width,
        places[chosen],
        digital,
        clocks[0] if has_gaps else None,
    )
    return _with_start(found, head, clocks)


def _choose(name: str, signals: list[dict[str, str]], rates: list[float], channel: str | None) -> int:
    labels = [signal["label"] for signal in signals]
    listed = ", ".join(
        f"{label!r} {rate:g} Hz" for label, rate in zip(labels, rates, strict=True) if "Annotations" not in label
    )
    if channel is not None:
        found = [n for n, label in enumerate(labels) if label.casefold() == channel.strip().casefold()]
        if len(found) != 1:
            many = "no channel" if not found else f"{len(found)} channels"
            raise AudioError(f"{name} has {many} {channel!r}; it has {listed}")
        if rates[found[0]] < _LEAST_HZ:
            raise AudioError(
                f"{name}: channel {channel!r} has {rates[found[0]]:g} Hz, which is no sound ({_LEAST_HZ} Hz or more "
                f"are needed); it has {listed}"
            )
        return found[0]
    fast = [n for n, rate in enumerate(rates) if rate >= _SOUND_HZ and "Annotations" not in labels[n]]
    if len(fast) > 1:
        fast = [n for n in fast if _SOUND_NAMES.search(labels[n])]
    if len(fast) != 1:
        raise AudioError(
            f"{name}: it is not clear which channel is the microphone (one of {_SOUND_HZ} Hz or more is expected); "
            f"choose one with channel= (--channel). It has {listed}"
        )
    return fast[0]


def _with_start(found: EdfChannel, head: dict[str, str], clocks: list[slice]) -> EdfChannel:
    try:
        started = datetime.strptime(f"{head['date']} {head['time']}", "%d.%m.%y %H.%M.%S")
    except ValueError:
        return found
    plus = head["recording"].split()
    if len(plus) > 1 and plus[0] == "Startdate" and plus[1] != "X":
        with suppress(ValueError):
            date = datetime.strptime(plus[1].title(), "%d-%b-%Y")
            started = started.replace(year=date.year, month=date.month, day=date.day)
    if clocks and found.n_records:
        clocked = replace(found, _clock=clocks[0])
        with open(found.path, "rb") as file, suppress(AudioError):
            started += timedelta(seconds=clocked._onset(file, 0))
    return replace(found, started=started)
