"""
Recordings: read any file, resample it, cut it, all by one road.

Whole files, blocks, spans and windows come from the same stream of decoded chunks. So a second of sound is
the same to the last bit however it was asked for, and a night is read in the memory of a minute.
"""

from __future__ import annotations

import io
import math
import numbers
import os
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import AudioError, MissingPackageError, ParameterError, required_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Frames = tuple[float, NDArray[np.float32]]  # rate, frames of shape (n_frames, n_channels)
    # source rate, rate wanted, samples at that rate, times of the clipped source frames
    _Chunk = tuple[float, float, NDArray[np.float32], NDArray[np.float64] | None]

__all__ = ["Recording", "cut_audio", "load_audio", "stream_audio", "window_audio", "window_bounds"]

_CHUNK = 16_384  # source frames decoded, averaged and resampled at once
_QUALITY = "VHQ"
_CLIP_LEVEL = 0.985  # below 8-bit full scale (0.992) and most limiters
_INTEGER_PEAK = 16.0  # floats that peak here are integers which nobody scaled
_PLAUSIBLE_RATES_HZ = (1_000, 1_000_000)
_END_SLACK_S = 0.01  # tables write ends with two decimals
_HEADERLESS = {".raw", ".pcm", ".s16", ".sw"}


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """
    A mono signal, its sampling rate, and where it came from.

    Parameters
    ----------
    samples : array_like of float, shape (n_samples,)
        The signal in [-1, 1]. Kept as contiguous float32, not copied if it is that already. Empty, not finite
        and over-range signals are accepted here and refused by `check`, so that one of them cannot stop a
        batch.
    sampling_rate_hz : float
        Samples per second.
    file : str, optional
        What to call the recording in tables and messages.
    start_s : float, default 0.0
        Where the first sample stands in the file, in seconds.
    source_rate_hz : float, optional
        The rate before any resampling, in Hz; `sampling_rate_hz` unless given.
    clipped_s : array of float64, shape (n_clipped,), optional
        Times of the clipped source frames on the file's time axis, in seconds, ascending. None: clipping is
        looked for in `samples`.

    Raises
    ------
    ParameterError
        If the samples are not a 1-D array of floats, or a rate is not a positive number.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording
    >>> recording = Recording(np.zeros(16_000), 16_000, file="silence.wav")
    >>> recording
    Recording('silence.wav', 1.00 s at 16000 Hz)
    >>> recording.cut(0.25, 0.75)
    Recording('silence.wav', 0.50 s at 16000 Hz, from 0.25 s)
    """

    samples: NDArray[np.float32]
    sampling_rate_hz: float
    file: str | None = None
    start_s: float = 0.0
    source_rate_hz: float = None  # type: ignore[assignment]  # a number once constructed
    clipped_s: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        rate = _as_rate(self.sampling_rate_hz, "sampling_rate_hz")
        source = rate if self.source_rate_hz is None else _as_rate(self.source_rate_hz, "source_rate_hz")
        object.__setattr__(self, "samples", _as_signal(self.samples))
        object.__setattr__(self, "sampling_rate_hz", rate)
        object.__setattr__(self, "source_rate_hz", source)

    def __repr__(self) -> str:
        name = "" if self.file is None else f"{self.file!r}, "
        start = f", from {self.start_s:.2f} s" if self.start_s else ""
        return f"Recording({name}{self.duration_s:.2f} s at {self.sampling_rate_hz:g} Hz{start})"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sampling_rate_hz

    @property
    def end_s(self) -> float:
        """Where the signal ends in the file, in seconds."""
        return self.start_s + self.duration_s

    @cached_property
    def clipped_fraction(self) -> float:
        """
        Share of the source frames that were clipped, 0 to 1; NaN for an empty recording.

        A frame is clipped when in some channel it belongs to a run of three or more equal samples at or
        beyond 0.985 of full scale, or when it exceeds full scale, as decoded mp3 and float files can.
        """
        if not len(self.samples):
            return math.nan
        if self.clipped_s is None:
            return float(_is_clipped(self.samples[:, None]).mean())
        return min(1.0, len(self.clipped_s) / max(1.0, self.duration_s * self.source_rate_hz))

    def check(self) -> None:
        """
        Refuse what no feature can be computed from.

        Raises
        ------
        AudioError
            If there are no samples, if some are not finite, or if they are integers that were never scaled.
        """
        if not len(self.samples):
            raise AudioError(_empty(self.file))
        _check_samples(self.samples, self.sampling_rate_hz, self.start_s, self.file)

    def resample(self, sampling_rate_hz: float) -> Recording:
        """
        The same recording at another rate (soxr, very high quality), clipped to [-1, 1] as `load_audio` does.

        Parameters
        ----------
        sampling_rate_hz : float
            The rate wanted, in Hz. The present one gives back this recording itself.

        Returns
        -------
        Recording

        Raises
        ------
        AudioError
            If `check` fails, or nothing is left at that rate.
        ParameterError
            If the rate is not a positive number.
        """
        rate = _as_rate(sampling_rate_hz, "sampling_rate_hz")
        if rate == self.sampling_rate_hz:
            return self
        import soxr

        self.check()
        samples = soxr.resample(self.samples, self.sampling_rate_hz, rate, quality=_QUALITY)
        if not len(samples):
            raise AudioError(_empty(self.file))
        clipped = self.clipped_s
        if clipped is None and self.source_rate_hz == self.sampling_rate_hz:
            found = np.flatnonzero(_is_clipped(self.samples[:, None]))
            clipped = self.start_s + found / self.sampling_rate_hz
        return Recording(np.clip(samples, -1.0, 1.0), rate, self.file, self.start_s, self.source_rate_hz, clipped)

    def cut(self, start_s: float, end_s: float | None = None) -> Recording:
        """
        A stretch of the recording, both ends rounded to the nearest sample.

        Parameters
        ----------
        start_s, end_s : float
            In seconds on the file's time axis, on which this recording begins at its `start_s`. None means
            the end of the recording, and so does a time up to 10 ms after it, since tables hold rounded
            times.

        Returns
        -------
        Recording
            Its samples are a view of this one's.

        Raises
        ------
        AudioError
            If the stretch is empty or not inside the recording.
        """
        start, stop = _span_bounds(start_s, end_s, self.start_s, self.sampling_rate_hz, self.file)
        stop = _inside(start, stop, len(self.samples), self.sampling_rate_hz, self.start_s, self.file)
        begin = self.start_s + start / self.sampling_rate_hz
        end = self.start_s + stop / self.sampling_rate_hz
        clipped = None if self.clipped_s is None else _between(self.clipped_s, begin, end)
        return Recording(
            self.samples[start:stop], self.sampling_rate_hz, self.file, begin, self.source_rate_hz, clipped
        )


def load_audio(path: str | os.PathLike[str] | IO[bytes], sampling_rate_hz: float | None = 16_000) -> Recording:
    """
    Read an audio file of any kind as one mono recording.

    The content decides how it is decoded, never the file name: by libsndfile (wav, flac, ogg, opus, mp3),
    else by FFmpeg (m4a, aac, mp4, webm and the rest), else by SciPy (wav of more than 32 bits). All channels
    are averaged. A file that ends early gives what it holds; one whose sound is damaged on the way is
    refused.

    Parameters
    ----------
    path : path-like or binary file object
        A file object needs ``read``, ``seek`` and ``tell``, and is read from its beginning.
    sampling_rate_hz : float or None, default 16000
        The rate wanted, in Hz (soxr, very high quality); None keeps the stored one. Opus in ogg states the
        rate that was recorded, Opus in webm always 48 kHz.

    Returns
    -------
    Recording
        float32, clipped to [-1, 1].

    Raises
    ------
    AudioError
        If there is no such file, it holds no sound that can be decoded, it is empty, or samples are not
        finite.
    ParameterError
        If the path or the rate is not of the right kind.

    See Also
    --------
    stream_audio : The same in blocks, in constant memory.

    Examples
    --------
    >>> import io, numpy as np, soundfile
    >>> from vocalbio import load_audio
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros((44_100, 2)), 44_100, format="WAV")
    >>> load_audio(file)
    Recording(1.00 s at 16000 Hz)
    """
    _check_arguments(path, sampling_rate_hz)
    with closing(_Tape(path, sampling_rate_hz)) as tape:
        return tape.take(0, tape.reach(math.inf))


def stream_audio(
    path: str | os.PathLike[str] | IO[bytes], sampling_rate_hz: float | None = 16_000, block_s: float = 30.0
) -> Iterator[Recording]:
    """
    Read an audio file block by block, in constant memory.

    Parameters
    ----------
    path : path-like or binary file object
        As in `load_audio`.
    sampling_rate_hz : float or None, default 16000
        As in `load_audio`.
    block_s : float, default 30.0
        Length of a block in seconds; the last one is shorter.

    Yields
    ------
    Recording
        Joined, the blocks are what `load_audio` returns, bit for bit, whatever `block_s`.

    Raises
    ------
    AudioError
        As in `load_audio`, when the first block is asked for, or later where the file turns out damaged.
    ParameterError
        If an argument is not of the right kind.

    Examples
    --------
    >>> import io, numpy as np, soundfile
    >>> from vocalbio.audio import stream_audio
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros(16_000 * 5), 16_000, format="WAV")
    >>> [block.duration_s for block in stream_audio(file, block_s=2)]
    [2.0, 2.0, 1.0]
    """
    _check_arguments(path, sampling_rate_hz, block_s=block_s)
    return _stream(path, sampling_rate_hz, block_s)


def _stream(path: Any, sampling_rate_hz: float | None, block_s: float) -> Iterator[Recording]:
    with closing(_Tape(path, sampling_rate_hz)) as tape:
        size = max(1, round(block_s * tape.rate))
        start = 0
        while (stop := tape.reach(start + size, keep=start)) > start:
            yield tape.take(start, stop)
            start = stop


def cut_audio(
    path: str | os.PathLike[str] | IO[bytes] | Recording,
    spans: Iterable[tuple[float, float | None]],
    sampling_rate_hz: float | None = 16_000,
) -> Iterator[tuple[int, Recording | AudioError]]:
    """
    Cut any number of spans out of one file, decoding it once.

    Parameters
    ----------
    path : path-like, binary file object or Recording
        As in `load_audio`.
    spans : iterable of (start_s, end_s)
        In seconds on the file's time axis, in any order; they may overlap. None as `end_s` means the end of
        the file.
    sampling_rate_hz : float or None, default 16000
        As in `load_audio`.

    Yields
    ------
    index : int
        Which span this is: its position in `spans`.
    result : Recording or AudioError
        As soon as the span has been read: what ``load_audio(path).cut(start_s, end_s)`` returns, bit for bit,
        or, not raised, why there is no such stretch. Where a file cannot be read on, every span still open
        gets the error. What lies after the last span is not read.

    Raises
    ------
    ParameterError
        If an argument is not of the right kind.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording, cut_audio
    >>> for index, result in cut_audio(Recording(np.zeros(16_000), 16_000), [(0.5, None), (0, 0.2), (3, 4)]):
    ...     print(index, result)
    1 Recording(0.20 s at 16000 Hz)
    2 the recording: a span from 3.000 to 4.000 s was asked for, but the sound ends at 1.000 s
    0 Recording(0.50 s at 16000 Hz, from 0.50 s)
    """
    _check_arguments(path, sampling_rate_hz)
    try:
        pairs = [(start, end) for start, end in spans]
    except (TypeError, ValueError) as error:
        raise ParameterError("spans hold something else than pairs (start_s, end_s)") from error
    return _cut(path, pairs, sampling_rate_hz)


def _cut(
    path: Any, spans: list[tuple[float, float | None]], sampling_rate_hz: float | None
) -> Iterator[tuple[int, Recording | AudioError]]:
    try:
        tape = _Tape(path, sampling_rate_hz)
    except AudioError as error:
        yield from ((index, error) for index in range(len(spans)))
        return
    with closing(tape):
        asked: list[tuple[float, int, int]] = []
        for index, (start_s, end_s) in enumerate(spans):
            try:
                start, stop = _span_bounds(start_s, end_s, tape.origin_s, tape.rate, tape.file)
                asked.append((stop, start, index))
            except AudioError as error:
                yield index, error
        asked.sort(reverse=True)
        earliest = list(accumulate((start for _, start, _ in asked), min))
        while asked:
            stop, start, index = asked.pop()
            result: Recording | AudioError
            try:
                reached = tape.reach(stop, keep=earliest[len(asked)])
                result = tape.take(start, _inside(start, stop, reached, tape.rate, tape.origin_s, tape.file))
            except AudioError as error:
                result = error
            yield index, result


def window_audio(
    path: str | os.PathLike[str] | IO[bytes] | Recording,
    window_s: float,
    hop_s: float,
    sampling_rate_hz: float | None = 16_000,
) -> Iterator[Recording]:
    """
    Slide a window over a recording, in constant memory.

    Windows start at 0, `hop_s`, 2 `hop_s` and so on. What is left after the last full window becomes a
    shorter window, starting at the next hop, if that is at least half a window. A recording shorter than one
    window is one window.

    Parameters
    ----------
    path : path-like, binary file object or Recording
        As in `load_audio`.
    window_s, hop_s : float
        Length of a window and distance between two starts, in seconds, each rounded to samples.
    sampling_rate_hz : float or None, default 16000
        As in `load_audio`.

    Yields
    ------
    Recording

    Raises
    ------
    AudioError
        As in `load_audio`, when the first window is asked for, or later where the file turns out damaged.
    ParameterError
        If an argument is not of the right kind.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording, window_audio
    >>> for window in window_audio(Recording(np.zeros(16_000 * 7), 16_000), window_s=3, hop_s=2):
    ...     print(window.start_s, window.end_s)
    0.0 3.0
    2.0 5.0
    4.0 7.0
    """
    _check_arguments(path, sampling_rate_hz, window_s=window_s, hop_s=hop_s)
    return _window(path, window_s, hop_s, sampling_rate_hz)


def _window(path: Any, window_s: float, hop_s: float, sampling_rate_hz: float | None) -> Iterator[Recording]:
    with closing(_Tape(path, sampling_rate_hz)) as tape:
        for start, stop in window_bounds(tape.reach, window_s, hop_s, tape.rate):
            yield tape.take(start, stop)


def window_bounds(
    reach: Callable[[float, int], int], window_s: float, hop_s: float, sampling_rate_hz: float
) -> Iterator[tuple[int, int]]:
    """
    The rule by which windows are laid over a recording: see `window_audio`.

    Parameters
    ----------
    reach : callable
        ``reach(stop, keep)`` tells how many samples there are up to `stop`; those before `keep` are done
        with. The recording's length is thus asked for only when a window needs it.
    window_s, hop_s : float
        In seconds.
    sampling_rate_hz : float
        In Hz.

    Yields
    ------
    start, stop : int
        In samples.

    Examples
    --------
    >>> from vocalbio.audio import window_bounds
    >>> list(window_bounds(lambda stop, keep: min(stop, 10), window_s=4, hop_s=4, sampling_rate_hz=1))
    [(0, 4), (4, 8), (8, 10)]
    """
    size = max(1, round(window_s * sampling_rate_hz))
    start = done = count = 0
    while (reached := reach(start + size, start)) == start + size:
        yield start, reached
        done = reached
        count += 1
        start = max(start + 1, round(count * hop_s * sampling_rate_hz))
    if reached > done and (not done or 2 * (reached - start) >= size):
        yield start, reached


class _Tape:
    """
    What has been decoded of a source and may still be asked for, in samples at the rate wanted.

    Attributes
    ----------
    rate, source_rate : float
    file : str or None
    origin_s : float
        Where sample 0 stands in the file.
    """

    def __init__(self, source: Any, sampling_rate_hz: float | None) -> None:
        self._error: AudioError | None = None
        self._length = 0
        self._kept: list[tuple[int, NDArray[np.float32]]] = []
        self._clipped: list[NDArray[np.float64]] | None = []
        if isinstance(source, Recording):
            self.file, self.origin_s = source.file, source.start_s
            self._chunks = _whole(source, sampling_rate_hz)
        else:
            self.file, self.origin_s = _name(source), 0.0
            self._chunks = _resampled(_open_frames(source, self.file), sampling_rate_hz, self.file)
        self.source_rate, self.rate, samples, clipped = next(self._chunks)
        self._add(samples, clipped)

    def _add(self, samples: NDArray[np.float32], clipped: NDArray[np.float64] | None) -> None:
        self._kept.append((self._length, samples))
        self._length += len(samples)
        if clipped is None:
            self._clipped = None
        elif self._clipped is not None and len(clipped):
            self._clipped.append(clipped)

    def reach(self, stop: float, keep: int = 0) -> int:
        """Decode up to sample `stop` or the end, forgetting what lies before `keep`; how far it got."""
        while self._length < stop:
            if self._error:
                raise self._error
            try:
                chunk: _Chunk | None = next(self._chunks, None)
            except AudioError as error:
                self._error = error
                raise
            if chunk is None:
                break
            self._add(*chunk[2:])
            while self._kept[0][0] + len(self._kept[0][1]) <= keep and len(self._kept) > 1:
                del self._kept[0]
            while self._clipped and self._clipped[0][-1] < self.origin_s + keep / self.rate:
                del self._clipped[0]
        return int(min(stop, self._length))

    def take(self, start: int, stop: int) -> Recording:
        """The recording from sample `start` to `stop`, which must have been reached and not forgotten."""
        first = bisect_right(self._kept, start, key=itemgetter(0)) - 1
        last = bisect_left(self._kept, stop, key=itemgetter(0))
        pieces = [kept[max(0, start - at) : stop - at] for at, kept in self._kept[first:last]]
        begin, end = self.origin_s + start / self.rate, self.origin_s + stop / self.rate
        clipped = None
        if self._clipped is not None:
            clipped = _between(np.concatenate([np.empty(0), *self._clipped]), begin, end)
        return Recording(np.concatenate(pieces), self.rate, self.file, begin, self.source_rate, clipped)

    def close(self) -> None:
        """Let go of the file."""
        self._chunks.close()


def _whole(recording: Recording, sampling_rate_hz: float | None) -> Generator[_Chunk]:
    recording.check()
    recording = recording.resample(sampling_rate_hz or recording.sampling_rate_hz)
    yield recording.source_rate_hz, recording.sampling_rate_hz, recording.samples, recording.clipped_s


def _resampled(frames: Iterator[_Frames], sampling_rate_hz: float | None, file: str | None) -> Generator[_Chunk]:
    import soxr

    resampler = None
    done = made = 0
    for source_rate, mono, clipped in _averaged(frames, file):
        rate = sampling_rate_hz or source_rate
        if rate != source_rate:
            resampler = resampler or soxr.ResampleStream(source_rate, rate, 1, "float32", _QUALITY)
            mono = resampler.resample_chunk(mono)
        yield source_rate, rate, np.clip(mono, -1.0, 1.0), (done + np.flatnonzero(clipped)) / source_rate
        done += len(clipped)
        made += len(mono)
    if resampler:
        rest = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        if not made + len(rest):
            raise AudioError(_empty(file))
        yield source_rate, rate, np.clip(rest, -1.0, 1.0), np.empty(0)


def _averaged(
    frames: Iterator[_Frames], file: str | None
) -> Iterator[tuple[float, NDArray[np.float32], NDArray[np.bool_]]]:
    """
    Yield (rate, mean of the channels, which frames were clipped).

    Two frames are held back from chunk to chunk, since a run of three may go on in the next.
    """
    before = 0  # frames at the beginning of `held` that have been passed on already
    held = None
    done = 0
    rate = 0.0
    for rate, chunk in frames:
        _check_samples(chunk, rate, done / rate, file)
        done += len(chunk)
        held = chunk if held is None else np.concatenate([held, chunk])
        ready = len(held) - 2
        if ready > before:
            yield rate, held[before:ready].mean(axis=1), _is_clipped(held)[before:ready]
            held = held[max(0, ready - 2) :]
            before = len(held) - 2
    if held is not None:
        yield rate, held[before:].mean(axis=1), _is_clipped(held)[before:]


def _is_clipped(frames: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of (n_frames, n_channels) are clipped in some channel; the rule: `Recording.clipped_fraction`."""
    level = np.abs(frames)
    clipped = level > 1.0
    run = (frames[2:] == frames[1:-1]) & (frames[1:-1] == frames[:-2]) & (level[2:] >= _CLIP_LEVEL)
    for first in range(3):
        clipped[first : first + len(run)] |= run
    return np.any(clipped, axis=1)


def _open_frames(source: Any, file: str | None) -> Iterator[_Frames]:
    """Yield (rate, frames of shape (n_frames, n_channels)) by the first decoder that can."""
    with _opened(source, file) as stream:
        reasons: list[str] = []
        empty = False
        for decoder, decode in _DECODERS.items():
            stream.seek(0)
            chunks = decode(stream)
            try:
                first = next(chunks, None)
            except MissingPackageError:
                raise
            except Exception as error:  # a decoder may fail in any way on a file that is none
                reasons.append(f"{decoder}: {_reason(error)}")
                continue
            if first is None:
                empty = True
                continue
            yield from _guarded(first, chunks, file)
            return
    if empty:
        raise AudioError(_empty(file))
    hint = (
        "If it is headerless PCM, nothing in it tells rate and format: convert it to wav with the known ones "
        "(soundfile.read(..., samplerate=, channels=, subtype=, format='RAW'), then soundfile.write)"
        if file and os.path.splitext(file)[1].lower() in _HEADERLESS
        else "Check that it is a complete audio file and plays, or convert it to wav or flac"
    )
    raise AudioError(f"{_called(file)} holds no sound that can be decoded. {hint}. ({'; '.join(reasons)})")


def _guarded(first: _Frames, chunks: Iterator[_Frames], file: str | None) -> Iterator[_Frames]:
    first_form = rate, _ = first[0], first[1].shape[1]
    low, high = _PLAUSIBLE_RATES_HZ
    if not low <= rate <= high:
        raise AudioError(
            f"{_called(file)} states a sampling rate of {rate:g} Hz, expected {low} to {high}: its header is "
            "damaged or it is no sound; export it again"
        )
    done = 0
    chunk: _Frames | None = first
    while chunk is not None:
        form = (chunk[0], chunk[1].shape[1])
        if form != first_form:
            raise AudioError(
                f"{_called(file)} changes its form (rate in Hz, channels) from {first_form} to {form} at "
                f"{done / rate:.2f} s; split it there, or convert it to wav or flac"
            )
        yield chunk
        done += len(chunk[1])
        try:
            chunk = next(chunks, None)
        except Exception as error:
            raise AudioError(
                f"{_called(file)} is damaged: its sound cannot be decoded beyond {done / rate:.2f} s "
                f"({_reason(error)}). Copy or export it again; cut_audio reads what comes before"
            ) from error


def _decode_libsndfile(stream: _Bytes) -> Iterator[_Frames]:
    import soundfile

    with soundfile.SoundFile(stream) as sound:
        while len(frames := sound.read(_CHUNK, dtype="float32", always_2d=True)):
            yield sound.samplerate, frames


def _decode_ffmpeg(stream: _Bytes) -> Iterator[_Frames]:
    with required_for("decoding m4a, aac, mp4 and webm", "av"):
        import av

    # Tags may be in any encoding; a playlist must not lead to other files or the network.
    options = {"protocol_whitelist": "none"}
    with av.open(stream, "r", metadata_errors="replace", options=options) as container:
        if not container.streams.audio:
            raise ValueError("no sound track")
        rate = 0
        frames: list[NDArray[np.float32]] = []
        try:
            for frame in container.decode(container.streams.audio[0]):
                values = frame.to_ndarray()
                values = _as_float(values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels))
                other = (frame.sample_rate, values.shape[1])
                if frames and (other != (rate, frames[0].shape[1]) or sum(map(len, frames)) >= _CHUNK):
                    yield rate, np.concatenate(frames)
                    frames = []
                rate = frame.sample_rate
                frames.append(values)
        except av.error.FFmpegError:
            if frames:  # what came before the damage tells where it is
                yield rate, np.concatenate(frames)
            raise
        if frames:
            yield rate, np.concatenate(frames)


def _decode_scipy(stream: _Bytes) -> Iterator[_Frames]:
    from scipy.io import wavfile

    if stream.read(4) not in (b"RIFF", b"RIFX", b"RF64"):
        raise ValueError("not a wav file")
    stream.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)
        rate, values = wavfile.read(io.BytesIO(stream.read()))
    frames = values[:, None] if values.ndim == 1 else values
    for start in range(0, len(frames), _CHUNK):
        yield rate, _as_float(frames[start : start + _CHUNK])


_DECODERS = {"libsndfile": _decode_libsndfile, "FFmpeg": _decode_ffmpeg, "SciPy": _decode_scipy}


class _Bytes:
    """A binary file without its name, from which decoders would draw conclusions."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


@contextmanager
def _opened(source: Any, file: str | None) -> Iterator[_Bytes]:
    if _is_file_object(source):
        yield _Bytes(_not_empty(source, file))
        return
    if os.path.isdir(source):
        raise AudioError(f"{file} is a folder, expected an audio file; list the files in it")
    if not os.path.exists(source):
        start = "" if os.path.isabs(source) else f", which starts at {os.getcwd()}"
        raise AudioError(f"{file} does not exist; check the path{start}")
    if not os.path.isfile(source):
        raise AudioError(f"{file} is a device or pipe, expected an audio file")
    try:
        opened = io.FileIO(source)
    except OSError as error:
        raise AudioError(f"{file} cannot be opened: {_reason(error)}") from error
    with io.BufferedReader(opened) as buffered:
        yield _Bytes(_not_empty(buffered, file))


def _not_empty(opened: IO[bytes], file: str | None) -> IO[bytes]:
    try:
        size = opened.seek(0, os.SEEK_END)
    except OSError as error:
        raise AudioError(f"{_called(file)} cannot be searched; read it into an io.BytesIO first") from error
    if not size:
        raise AudioError(f"{_called(file)} has 0 bytes: recording or copying it failed; fetch it again")
    return opened


def _is_file_object(source: Any) -> bool:
    return all(hasattr(source, method) for method in ("read", "seek", "tell"))


def _name(source: Any) -> str | None:
    if _is_file_object(source):
        source = getattr(source, "name", None)
        return source if isinstance(source, str) else None
    return os.fsdecode(source)


def _called(file: str | None) -> str:
    return "the recording" if file is None else file


def _empty(file: str | None) -> str:
    return f"{_called(file)} holds no samples: it is empty or ends too early; record or copy it again"


def _reason(error: Exception) -> str:
    """What a decoder or the system says, without its class, codes and paths."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return text.strip().split("\n")[0].rstrip(".")


def _check_arguments(source: Any, sampling_rate_hz: Any, **lengths: Any) -> None:
    if isinstance(source, io.TextIOBase):
        raise ParameterError("the file was opened as text; open it with mode 'rb'")
    if not (isinstance(source, str | os.PathLike | Recording) or _is_file_object(source)):
        raise ParameterError(
            f"the audio is of type {type(source).__name__}; expected a path or a binary file object with "
            "read, seek and tell. For an array: Recording(samples, sampling_rate_hz)"
        )
    if sampling_rate_hz is not None:
        _as_rate(sampling_rate_hz, "sampling_rate_hz")
    check_seconds(**lengths)


def check_seconds(**lengths: Any) -> None:
    """Refuse lengths, given by their argument's name, that are no positive number of seconds."""
    for name, value in lengths.items():
        if not _is_positive(value):
            raise ParameterError(f"{name} is {value!r}; expected a positive number of seconds")


def _is_positive(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < float(value) < math.inf


def _as_rate(value: Any, name: str) -> float:
    if not _is_positive(value):
        raise ParameterError(f"{name} is {value!r}; expected a positive number of samples per second (Hz)")
    return int(value) if value == int(value) else float(value)


def _as_signal(samples: Any) -> NDArray[np.float32]:
    try:
        samples = np.asarray(samples)
    except ValueError as error:
        raise ParameterError(f"samples are no array: {_reason(error)}; expected shape (n_samples,)") from error
    if samples.dtype.kind != "f" and samples.size:
        raise ParameterError(
            f"samples are {samples.dtype}; expected floats in [-1, 1]. For 16-bit integers divide by 2**15, "
            "for other ones by their full scale"
        )
    if samples.ndim != 1:
        raise ParameterError(
            f"samples have shape {samples.shape}; expected (n_samples,), one channel. Average the channels: "
            f"samples.mean(axis={int(np.argmin(samples.shape)) if samples.ndim else 0})"
        )
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(samples, np.float32)


def _as_float(values: NDArray[Any]) -> NDArray[np.float32]:
    """Integers of any width to [-1, 1]; 8-bit ones are unsigned."""
    if values.dtype.kind == "f":
        return np.asarray(values, np.float32)
    zero = 128 if values.dtype == np.uint8 else 0
    return np.asarray((values - float(zero)) / 2.0 ** (8 * values.dtype.itemsize - 1), np.float32)


def _check_samples(samples: NDArray[np.float32], rate: float, start_s: float, file: str | None) -> None:
    """Refuse samples, or frames of several channels, that are not finite or not scaled."""
    peak = np.abs(samples).max(initial=0.0)
    if not np.isfinite(peak):
        bad = np.flatnonzero(~np.isfinite(samples.reshape(len(samples), -1)).all(axis=1))
        raise AudioError(
            f"{_called(file)}: {len(bad)} of the {len(samples)} samples from {start_s:.2f} s on are NaN or "
            f"infinite, the first at {start_s + bad[0] / rate:.3f} s; cut them out, or mend what wrote them"
        )
    if peak > _INTEGER_PEAK:
        raise AudioError(
            f"{_called(file)} has a peak of {peak:g}, expected at most 1: integers stored as floats (divide "
            "by their full scale, 2**15 for 16 bits), or a damaged file"
        )


def _span_bounds(start_s: Any, end_s: Any, origin_s: float, rate: float, file: str | None) -> tuple[int, int | float]:
    """The samples of a span, infinity as its end where that is the end of the recording."""
    end = math.inf if end_s is None else end_s
    try:
        if not 0 <= start_s < end:
            raise ValueError
        start = round((start_s - origin_s) * rate)
        stop = end if end == math.inf else round((end - origin_s) * rate)
    except (TypeError, ValueError, OverflowError):
        raise AudioError(
            f"{_called(file)}: a span from {start_s} to {end_s} was asked for; expected seconds with 0 <= start < end"
        ) from None
    if start < 0:
        raise AudioError(
            f"{_called(file)}: a span from {start_s:.3f} s was asked for, but the recording begins at {origin_s:.3f} s"
        )
    if start == stop:
        raise AudioError(f"{_called(file)}: the span from {start_s} to {end_s} s is shorter than a sample")
    return start, stop


def _inside(start: int, stop: float, length: int, rate: float, origin_s: float, file: str | None) -> int:
    """The end of a span in a recording of `length` samples."""
    last = int(min(stop, length))
    if start >= last or (math.inf > stop > length + _END_SLACK_S * rate):
        end = "the end" if stop == math.inf else f"{origin_s + stop / rate:.3f}"
        raise AudioError(
            f"{_called(file)}: a span from {origin_s + start / rate:.3f} to {end} s was asked for, but the "
            f"sound ends at {origin_s + length / rate:.3f} s"
        )
    return last


def _between(times_s: NDArray[np.float64], begin_s: float, end_s: float) -> NDArray[np.float64]:
    return times_s[np.searchsorted(times_s, begin_s) : np.searchsorted(times_s, end_s)]
