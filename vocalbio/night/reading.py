"""A night as one stretch of sound: one file or several, of any kind, with the gaps between them."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.audio import Recording, stream_audio
from vocalbio.errors import AudioError, ParameterError
from vocalbio.night.edf import EdfChannel, is_edf, open_channel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RATE_HZ", "Night"]

RATE_HZ = 16_000
_BLOCK_S = 30
_SLACK_S = 5.0  # clocks of recorders are set to the second and drift
_LONGEST_GAP_S = 12 * 3600.0
_HEAD = 1 << 20
_NAMED_TIME = re.compile(
    r"(?<!\d)(20\d\d)([-_.]?)(\d\d)\2(\d\d)(?:[ _-]*at[ _-]*|[ _T-]*)(\d\d)([-_.:h]?)(\d\d)(?:\6(\d\d))?(?!\d)"
)


@dataclass(frozen=True)
class _Part:
    """One file before it is read."""

    source: str | Recording | EdfChannel
    name: str
    stated_s: float | None  # how long it says it is
    exact: bool  # what it says can be relied on
    began: datetime | None
    broken: str = ""  # why it cannot even be opened


class Night:
    """
    The sound of a night at 16 kHz, in constant memory.

    Parameters
    ----------
    audio : path, Recording, or sequence of them
        Whatever `vocalbio.load_audio` reads, or EDF, EDF+ or BDF with an audio channel. Several are one night: where
        all of them tell when they began (EDF header, a name such as ``2026-01-31_23-05-00.wav``, or `starts`) each
        stands at its time and the time between them is missing sound; else they follow each other in the order given.
    channel : str, optional
        Label of the audio channel in EDF files. Default: the only one of 4 kHz or more, else the only one of those
        that is called after a microphone, snoring, audio or sound.
    starts : sequence of datetime or float, optional
        When each file began: clock times, or seconds from the beginning of the night.
    started : datetime or str, optional
        When the night's first sample was recorded, as in ``"2026-01-31 23:05"``. Default: what the files tell.
    lights_out, lights_on : str, time, datetime or float, optional
        Clock time (``"23:15"``; `started` must be known) or seconds from the beginning.

    Attributes
    ----------
    started : datetime or None
    lights_out_s, lights_on_s : float or None
        In seconds from the beginning.
    files : tuple of dict
        What has been read so far: ``file``, ``start_s``, ``end_s``, ``reason`` (why something is missing, or "").

    Raises
    ------
    AudioError
        If nothing of it can be opened.
    ParameterError
        If times contradict each other: files overlap, or lie so far apart that they are several nights.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.night import Night
    >>> silence = Recording(np.zeros(48_000 * 4, "float32"), 48_000)
    >>> night = Night(silence, started="2026-01-31 23:05", lights_out="23:05:02")
    >>> night.duration_s, night.lights_out_s, sum(len(block) for block in night.blocks())
    (4.0, 2.0, 64000)
    """

    def __init__(
        self,
        audio: Any,
        *,
        channel: str | None = None,
        starts: Sequence[datetime | float] | None = None,
        started: datetime | str | None = None,
        lights_out: Any = None,
        lights_on: Any = None,
    ) -> None:
        sources = [audio] if isinstance(audio, (str, os.PathLike, Recording)) else audio
        if not isinstance(sources, Iterable) or not (sources := list(sources)):
            raise ParameterError(f"audio is {audio!r}; expected a recording's path, a Recording, or several of them")
        parts = [_open(source, channel) for source in sources]
        if all(part.broken for part in parts):
            raise AudioError("; ".join(part.broken for part in parts))
        self.channel = channel
        self._parts, self._planned_s, began = _in_time(parts, starts)
        self.started = _as_datetime(started) if started is not None else began
        self.lights_out_s = _lights(lights_out, "lights_out", self.started, None)
        self.lights_on_s = _lights(lights_on, "lights_on", self.started, self.lights_out_s or 0.0)
        self.files: tuple[dict[str, Any], ...] = ()
        end_s = math.inf if self.duration_s is None else self.duration_s
        if not max(0.0, self.lights_out_s or 0.0) < min(
            end_s, math.inf if self.lights_on_s is None else self.lights_on_s
        ):
            raise ParameterError(
                f"lights out is at {self.lights_out_s} s and lights on at {self.lights_on_s} s of a recording of "
                f"{end_s:.0f} s; expected lights out before lights on, and both while it ran. Check started"
            )

    def __repr__(self) -> str:
        length = "length unknown" if self.duration_s is None else f"{self.duration_s / 3600:.2f} h"
        return f"Night({len(self._parts)} file{'s' * (len(self._parts) > 1)}, {length})"

    @property
    def duration_s(self) -> float | None:
        """Length in seconds as the files' headers tell it, gaps included; None where one does not."""
        end = 0.0
        for part, planned in zip(self._parts, self._planned_s, strict=True):
            if part.stated_s is None:
                return None
            end = max(end, planned or 0.0) + part.stated_s
        return end

    def blocks(self, from_s: float = 0.0) -> Iterator[NDArray[np.float32]]:
        """
        Read the night.

        Parameters
        ----------
        from_s : float
            Where to begin, in seconds. What lies before is decoded and skipped, so that the samples are the same, to
            the last bit, as if everything had been read.

        Yields
        ------
        array of float32, shape (n_samples,)
            At 16 kHz, in [-1, 1], some 30 s each; NaN where nothing was recorded or it cannot be read.

        Raises
        ------
        AudioError
            At the end, if nothing could be read; or where two files turn out to overlap.
        """
        skip = round(from_s * RATE_HZ)
        held: list[NDArray[np.float32]] = []
        for piece in self._sound():
            dropped = min(skip, len(piece))
            skip -= dropped
            held.append(piece[dropped:])
            if sum(map(len, held)) >= _BLOCK_S * RATE_HZ:
                yield np.concatenate(held)
                held = []
        if held:
            yield np.concatenate(held)

    def cuts(self, spans: Iterable[tuple[float, float]]) -> Iterator[tuple[int, Recording]]:
        """
        Cut any number of stretches out, reading the night once.

        Parameters
        ----------
        spans : iterable of (start_s, end_s)
            In seconds from the beginning of the night, in any order; what lies after its end is left out.

        Yields
        ------
        index : int
            Position in `spans`.
        recording : Recording
            Its ``start_s`` tells where it stands. NaN where nothing was recorded.

        Raises
        ------
        AudioError
            If a stretch lies outside the night, or as for `blocks`.
        ParameterError
            If a span is not (start, end) with 0 <= start < end.
        """
        asked = deque(sorted((_span(span), index) for index, span in enumerate(spans)))
        held: deque[tuple[int, NDArray[np.float32]]] = deque()
        open_spans: list[tuple[tuple[int, int], int]] = []
        at = 0
        blocks = self.blocks() if asked else iter(())
        for block in blocks:
            held.append((at, block))
            at += len(block)
            while asked and asked[0][0][0] < at:
                open_spans.append(asked.popleft())
            for span, index in [entry for entry in open_spans if entry[0][1] <= at]:
                open_spans.remove((span, index))
                yield index, _taken(held, span)
            if not asked and not open_spans:
                return
            keep = min((span[0] for span, _ in open_spans), default=at)
            while held and held[0][0] + len(held[0][1]) <= keep:
                held.popleft()
        for span, index in open_spans:
            yield index, _taken(held, span)
        if asked:
            raise AudioError(
                f"a stretch from {asked[0][0][0] / RATE_HZ:.1f} s was asked for, but the night ends at "
                f"{at / RATE_HZ:.1f} s"
            )

    def cut(self, start_s: float, end_s: float) -> Recording:
        """
        One stretch of the night; for many of them `cuts` is faster.

        Parameters
        ----------
        start_s, end_s : float
            In seconds from the beginning of the night.

        Returns
        -------
        Recording

        Raises
        ------
        AudioError, ParameterError
            As for `cuts`.
        """
        [(_, recording)] = self.cuts([(start_s, end_s)])
        return recording

    def fingerprint(self) -> dict[str, Any]:
        """
        What tells this night from another, without reading all of it.

        Returns
        -------
        dict
            Plain JSON types: name, size and a hash of the beginning and end of each file, where it stands, the
            channel.
        """
        return {
            "channel": self.channel,
            "files": [
                {"file": part.name, "start_s": start, **_hashed(part.source)}
                for part, start in zip(self._parts, self._planned_s, strict=True)
            ],
        }

    def _sound(self) -> Iterator[NDArray[np.float32]]:
        """Everything, piece by piece, gaps as NaN; keeps book in `files`."""
        files: list[dict[str, Any]] = []
        self.files = ()
        at = heard = 0
        follow_s = 0.0  # where the next file stands that does not tell its time
        for part, planned in zip(self._parts, self._planned_s, strict=True):
            start_s = follow_s if planned is None else planned
            if start_s < at / RATE_HZ - _SLACK_S:
                raise AudioError(_overlap(files[-1]["file"], part.name, at / RATE_HZ - start_s))
            gap = max(0, round(start_s * RATE_HZ) - at)
            yield from _missing(gap)
            at = begin = at + gap
            reason = part.broken
            try:
                for piece in () if reason else _decoded(part.source):
                    at += len(piece)
                    heard += int(np.isfinite(piece).any())
                    yield piece
            except AudioError as error:
                reason = str(error)
            if not isinstance(part.source, Recording):
                path = part.source.path if isinstance(part.source, EdfChannel) else part.source
                reason = reason.replace(path, part.name)  # a report names no folders
            length_s = (at - begin) / RATE_HZ
            short_s = part.stated_s - length_s if part.stated_s and part.exact else 0.0
            if not reason and short_s > 1:
                reason = f"ends early: its header promises {part.stated_s:.0f} s, {length_s:.0f} s are there"
            follow_s = (at / RATE_HZ + max(0.0, short_s)) if reason else at / RATE_HZ
            files.append({"file": part.name, "start_s": begin / RATE_HZ, "end_s": at / RATE_HZ, "reason": reason})
            self.files = tuple(files)
        if not heard:
            told = [f"{file['file']}: {file['reason']}" for file in files if file["reason"]]
            raise AudioError("; ".join(told) or "the recording holds no sound")


# Files ------------------------------------------------------------------------------------------------


def _open(source: Any, channel: str | None) -> _Part:
    if isinstance(source, Recording):
        source.check()
        return _Part(source, os.path.basename(source.file or "recording"), source.duration_s, True, None)
    if not isinstance(source, (str, os.PathLike)):
        raise ParameterError(f"audio holds a {type(source).__name__}; expected paths or Recording objects")
    path = os.fspath(source)
    name = os.path.basename(path)
    if is_edf(path):
        try:
            found = open_channel(path, channel)
        except AudioError as error:
            return _Part(path, name, None, False, _time_in(name), str(error))
        stated = found.n_stated * found.record_s if found.n_stated > found.n_records else found.duration_s
        return _Part(found, name, stated, True, found.started)
    if not os.path.isfile(path):
        what = "is a folder; list the files in it" if os.path.isdir(path) else "does not exist; check the path"
        raise AudioError(f"{path} {what}")  # a slip of the pen, not damage
    try:
        next(iter(stream_audio(path, RATE_HZ, 0.1)), None)
    except AudioError as error:
        return _Part(path, name, None, False, _time_in(name), str(error))
    return _Part(path, name, *_stated(path), _time_in(name))


def _stated(path: str) -> tuple[float | None, bool]:
    """Length in seconds by the header, and whether that is exact."""
    import soundfile

    with suppress(Exception), open(path, "rb") as file:  # whatever a header does to a decoder, the length is not known
        info = soundfile.info(file)
        return (info.frames / info.samplerate, info.format != "MP3") if 0 < info.frames < 1e10 else (None, False)
    with suppress(Exception), open(path, "rb") as file:
        import av

        # a playlist must not lead to other files
        with av.open(file, "r", metadata_errors="replace", options={"protocol_whitelist": "none"}) as container:
            return float(container.duration or math.nan) / 1e6 or None, "mp4" in container.format.name
    return None, False


def _decoded(source: str | Recording | EdfChannel) -> Iterator[NDArray[np.float32]]:
    if isinstance(source, Recording):
        samples = source.resample(RATE_HZ).samples
        for start in range(0, len(samples), _BLOCK_S * RATE_HZ):
            yield samples[start : start + _BLOCK_S * RATE_HZ]
    elif isinstance(source, EdfChannel):
        yield from _decoded_edf(source)
    else:
        # short blocks: where a file is damaged, little of what comes before is lost
        yield from (block.samples for block in stream_audio(source, RATE_HZ, 1.0))


def _decoded_edf(source: EdfChannel) -> Iterator[NDArray[np.float32]]:
    import soxr

    def resampler() -> Any:
        return soxr.ResampleStream(source.sampling_rate_hz, RATE_HZ, 1, "float32", "VHQ")

    stream, made, expected_s = resampler(), 0, 0.0
    for start_s, samples in source.pieces():
        if abs(start_s - expected_s) > 0.001:  # EDF+D: recording was interrupted
            rest = np.clip(stream.resample_chunk(np.empty(0, np.float32), last=True), -1.0, 1.0)
            yield rest
            made += len(rest)
            gap = max(0, round(start_s * RATE_HZ) - made)
            yield from _missing(gap)
            made += gap
            stream = resampler()
        sound = np.clip(stream.resample_chunk(samples), -1.0, 1.0)
        made += len(sound)
        expected_s = start_s + len(samples) / source.sampling_rate_hz
        yield sound
    yield np.clip(stream.resample_chunk(np.empty(0, np.float32), last=True), -1.0, 1.0)


def _missing(n_samples: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, n_samples, _BLOCK_S * RATE_HZ):
        yield np.full(min(_BLOCK_S * RATE_HZ, n_samples - start), np.nan, np.float32)


def _hashed(source: str | Recording | EdfChannel) -> dict[str, Any]:
    if isinstance(source, Recording):
        return {"bytes": source.samples.nbytes, "sha256": hashlib.sha256(source.samples.tobytes()).hexdigest()}
    path = Path(source.path if isinstance(source, EdfChannel) else source)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read(_HEAD))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _HEAD))
        digest.update(file.read())
    return {"bytes": size, "sha256": digest.hexdigest()}


# Time -------------------------------------------------------------------------------------------------


def _in_time(parts: list[_Part], starts: Any) -> tuple[list[_Part], list[float | None], datetime | None]:
    """Files in order, where each stands (None: after the one before), and when the first began."""
    moments: list[Any] = [part.began for part in parts]
    if starts is not None:
        moments = list(starts)
        kinds = {datetime if isinstance(moment, datetime) else type(moment) for moment in moments}
        if len(moments) != len(parts) or not (kinds == {datetime} or all(issubclass(k, Real) for k in kinds)):
            raise ParameterError(
                f"starts is {starts!r}; expected one for each of the {len(parts)} files: all datetimes, or all seconds"
            )
        if not isinstance(moments[0], datetime) and not all(0 <= moment < math.inf for moment in moments):
            raise ParameterError(f"starts is {starts!r}; expected seconds of 0 or more")
    if any(moment is None for moment in moments):
        return parts, [None] * len(parts), moments[0]
    order = sorted(range(len(parts)), key=lambda n: moments[n])
    parts, moments = [parts[n] for n in order], [moments[n] for n in order]
    first = moments[0]
    clocked = isinstance(first, datetime)
    planned = [(moment - first).total_seconds() if clocked else float(moment) for moment in moments]
    end_s = planned[0]
    for n, (part, start_s) in enumerate(zip(parts, planned, strict=True)):
        if start_s < end_s - _SLACK_S:
            raise ParameterError(_overlap(parts[n - 1].name, part.name, end_s - start_s))
        if start_s > end_s + _LONGEST_GAP_S:
            raise ParameterError(
                f"{part.name} begins {(start_s - end_s) / 3600:.0f} h after {parts[n - 1].name} ends: these are "
                "several nights, screen each by itself (screen_nights, vocalbio night --each), or the times are "
                "wrong: give starts="
            )
        end_s = max(end_s, start_s) + (part.stated_s or 0.0)
    return parts, list(planned), first if clocked else None


def _overlap(one: str, other: str, seconds: float) -> str:
    return (
        f"{other} begins {seconds:.0f} s before {one} ends: files of one night follow each other. If these are two "
        "nights or two microphones, screen each by itself; if the times in names or headers are wrong, give starts="
    )


def _time_in(name: str) -> datetime | None:
    """The time that a file's name tells, such as ``20260131_230500.wav``."""
    found = _NAMED_TIME.search(os.path.splitext(name)[0])
    if not found:
        return None
    year, _, month, day, hour, _, minute, second = found.groups()
    with suppress(ValueError):
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    return None


def _as_datetime(value: Any) -> datetime:
    with suppress(ValueError):
        if isinstance(value, datetime):
            return value
        if isinstance(value, str) and len(value) > 10:
            return datetime.fromisoformat(value)
    raise ParameterError(f"started is {value!r}; expected date and time, such as '2026-01-31 23:05'")


def _lights(value: Any, name: str, started: datetime | None, after_s: float | None) -> float | None:
    """Seconds from the beginning; a time of day is the one next to `started`, or the first after `after_s`."""
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool):
        if not 0 <= float(value) < math.inf:
            raise ParameterError(f"{name} is {value!r}; expected seconds of 0 or more, or a clock time")
        return float(value)
    clock = value
    if isinstance(value, str):
        try:
            clock = time.fromisoformat(value) if len(value) <= 8 else datetime.fromisoformat(value)
        except ValueError:
            clock = None
    if not isinstance(clock, (time, datetime)):
        raise ParameterError(f"{name} is {value!r}; expected a clock time such as '23:15', or seconds")
    if started is None:
        raise ParameterError(f"{name} is a clock time, but it is not known when the recording began; give started")
    if isinstance(clock, datetime):
        return (clock.replace(tzinfo=clock.tzinfo or started.tzinfo) - started).total_seconds()
    seconds = (datetime.combine(started.date(), clock, started.tzinfo) - started).total_seconds()
    if after_s is None:
        return (seconds + 43_200) % 86_400 - 43_200
    return after_s + (seconds - after_s) % 86_400


def _span(span: Any) -> tuple[int, int]:
    try:
        start, end = (float(value) for value in span)
        if not 0 <= start < end < math.inf:
            raise ValueError
    except (TypeError, ValueError):
        raise ParameterError(f"a span is {span!r}; expected (start_s, end_s) with 0 <= start < end") from None
    return round(start * RATE_HZ), round(end * RATE_HZ)


def _taken(held: Iterable[tuple[int, NDArray[np.float32]]], span: tuple[int, int]) -> Recording:
    start, stop = span
    pieces = [block[max(0, start - at) : max(0, stop - at)] for at, block in held]
    return Recording(np.concatenate(pieces), RATE_HZ, start_s=start / RATE_HZ)
