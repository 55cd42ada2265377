"""One request in, its rows out: what a worker process runs, free of TensorFlow and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vocalbio.audio import Recording, cut_audio, window_audio
from vocalbio.errors import AudioError, MissingPackageError, ParameterError
from vocalbio.extract.requests import Request
from vocalbio.features.family import SAMPLING_RATE_HZ, FamilyLike, Measured
from vocalbio.quality import QUALITY_COLUMNS, measure_quality
from vocalbio.segments import speech_only

__all__ = ["SHORTEST_S", "Plan", "Row", "add_batched", "measure_request", "prepare", "speech_of"]

SHORTEST_S = 0.5
"""Below this openSMILE writes zeros and Praat has too few periods: no number would mean anything."""
LONGEST_S = 3600.0
"""More in one row would cost gigabytes in openSMILE (about half a megabyte a second)."""
LARGEST = 32767 / 32768
"""openSMILE converts to 16 bits without clipping: 1.0 would become -1.0."""
SILENT = 1 / 32768
"""Below one 16-bit step nothing is left of a signal in openSMILE."""
QUIET = 0.01
"""Below this peak (-40 dB) 16 bits are so few steps that openSMILE misses voicing."""

BUFFER_S = 1200.0
"""Audio held at once for families that are measured in batches: 77 MB."""

QUALITY = ("ok", *(name for name, _, _ in QUALITY_COLUMNS))


@dataclass(frozen=True)
class Plan:
    """What is measured: the families and how recordings are cut."""

    families: tuple[FamilyLike, ...]
    window_s: float | None
    hop_s: float | None
    speech_only: bool
    on_error: str


@dataclass
class Row:
    """
    One row of the table to be.

    Attributes
    ----------
    position : int
        Which request it answers.
    label : str
        File.
    start_s, end_s : float
        NaN as end_s where it is not known.
    features : list of numpy.ndarray
        One array a family.
    quality : dict of str to float
        The quality columns.
    notes : list of (stage, reason)
        Why something is missing.
    """

    position: int
    label: str
    start_s: float
    end_s: float
    features: list[np.ndarray]
    quality: dict[str, float]
    notes: list[tuple[str, str]]


def measure_request(request: Request, plan: Plan) -> list[Row]:
    """
    Measure every span and window that is asked of one file, in any state.

    Parameters
    ----------
    request : Request
    plan : Plan

    Returns
    -------
    list of Row
        In the order of `request.positions`; windows of a span in the order of time.

    Raises
    ------
    AudioError
        At the first recording that cannot be read, if ``plan.on_error`` is ``"raise"``.
    """
    return [
        _failed(found, position, request.label, start_s, end_s, plan)
        if isinstance(found, AudioError)
        else _measure(found, position, request.label, plan)
        for position, start_s, end_s, found in _recordings(request, plan)
    ]


def speech_of(request: Request, plan: Plan) -> Iterator[tuple[Recording | None, str | None]]:
    """
    Recordings for the families that are measured in batches, one for each row of `measure_request`.

    Parameters
    ----------
    request : Request
    plan : Plan

    Yields
    ------
    recording : Recording or None
        Prepared, without its pauses if the plan says so; None where the row has nothing to measure.
    reason : str or None
        Why not, where `measure_request` does not tell already.
    """
    for _, _, _, found in _recordings(request, plan):
        try:
            prepared = None if isinstance(found, AudioError) else prepare(found)
        except AudioError:
            prepared = None
        if prepared is None or _unusable(prepared):
            yield None, None
            continue
        speech = speech_only(prepared) if plan.speech_only else prepared
        reason = _too_little(speech)
        yield (speech, None) if reason is None else (None, reason)


def _recordings(request: Request, plan: Plan) -> Iterator[tuple[int, float, float | None, Recording | AudioError]]:
    """Position, start, end, and what is there, of every row; whole files in windows in constant memory."""
    if hasattr(request.source, "seek"):
        request.source.seek(0)
    if request.spans == [(0.0, None)] and plan.window_s is not None:
        yield from _windows(request.source, request.positions[0], plan, 0.0)
        return
    for number, found in cut_audio(request.source, request.spans):
        position, (start_s, end_s) = request.positions[number], request.spans[number]
        if isinstance(found, AudioError) or plan.window_s is None:
            yield position, start_s, end_s, found
        else:
            yield from _windows(found, position, plan, start_s)


def _windows(
    source: object, position: int, plan: Plan, start_s: float
) -> Iterator[tuple[int, float, float | None, Recording | AudioError]]:
    windows = window_audio(source, plan.window_s, plan.hop_s, SAMPLING_RATE_HZ)  # type: ignore[arg-type]
    try:
        for window in windows:
            yield position, window.start_s, window.end_s, window
            start_s = window.end_s
    except AudioError as error:
        yield position, start_s, None, error


def prepare(recording: Recording) -> Recording:
    """
    Bring a checked recording into the form that every family is given.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    Recording
        16 kHz, clipped to [-1, 32767/32768].

    Raises
    ------
    AudioError
        If it is empty or not finite.
    """
    recording.check()
    recording = recording.resample(SAMPLING_RATE_HZ)
    return replace(recording, samples=np.clip(recording.samples, -1.0, LARGEST))


def _measure(recording: Recording, position: int, label: str, plan: Plan) -> Row:
    try:
        prepared = prepare(recording)
    except AudioError as error:
        return _failed(error, position, label, recording.start_s, recording.end_s, plan)
    row = Row(position, label, recording.start_s, recording.end_s, [], {"ok": 1.0, **measure_quality(recording)}, [])
    if reason := _unusable(prepared):
        row.quality["ok"] = 0.0
        row.notes.append(("signal", reason))
        silent = np.abs(prepared.samples).max() < SILENT
        row.features = [_nothing(family, silent and prepared.duration_s >= SHORTEST_S) for family in plan.families]
        return row
    if (peak := float(np.abs(prepared.samples).max())) < QUIET:
        told = (
            f"very quiet: its peak is {20 * math.log10(peak):.0f} dB re full scale; openSMILE works on 16 bits and "
            "misses voicing below -40 dB: record closer to the microphone"
        )
        row.notes.append(("signal", told))
    speech: Recording | None = None
    for family in plan.families:
        given = prepared
        if plan.speech_only and not getattr(family, "measures_timing", False):
            speech = speech or speech_only(prepared)
            given = speech
        values, notes, failed = _extract(family, given, plan)
        row.features.append(values)
        row.notes += notes
        if failed:
            row.quality["ok"] = 0.0
    return row


def _unusable(recording: Recording) -> str | None:
    if recording.duration_s < SHORTEST_S:
        return f"lasts {recording.duration_s:.2f} s; at least {SHORTEST_S} s are needed (1 s or more is advised)"
    if recording.duration_s > LONGEST_S:
        return (
            f"lasts {recording.duration_s / 3600:.1f} h, and a row may span {LONGEST_S / 3600:.0f} h at most; "
            "pass window_s, or (file, start, end)"
        )
    if np.abs(recording.samples).max() < SILENT:
        return "digital silence: no sample reaches one 16-bit step; was the microphone muted?"
    return None


def _nothing(family: FamilyLike, silent: bool) -> np.ndarray:
    """No numbers; but of silence it is known that nothing occurred, so counts and rates are 0."""
    values = np.full(len(family.names), np.nan)
    if silent:
        for number, column in enumerate(getattr(family, "columns", ())):
            if column.occurrence.startswith("always"):
                values[number] = 0.0
    return values


def _extract(family: FamilyLike, recording: Recording, plan: Plan) -> tuple[np.ndarray, list[tuple[str, str]], bool]:
    stage = family_name(family)
    size = len(family.names)
    nothing = np.full(size, np.nan)
    if reason := _too_little(recording):
        return nothing, [(stage, reason)], False
    try:
        measured = family.extract(recording)
        if not isinstance(measured, Measured):
            measured = Measured(np.asarray(measured, float))
    except (MissingPackageError, ParameterError):
        raise  # the same for every file
    except Exception as error:  # a family of the user's may fail in any way; the batch goes on
        if plan.on_error == "raise":
            raise
        return nothing, [(stage, f"{type(error).__name__}: {error}")], True
    return *_checked(measured, stage, size), False


def _checked(measured: Measured, stage: str, size: int) -> tuple[np.ndarray, list[tuple[str, str]]]:
    values, reasons = measured.values, [(stage, reason) for reason in measured.reasons]
    if values.shape != (size,):
        raise ParameterError(f"family {stage!r} returned shape {values.shape}; expected ({size},), one a name")
    if np.isinf(values).any():
        values = np.where(np.isinf(values), np.nan, values)
        reasons.append((stage, "infinite values were made NaN"))
    return values, reasons


def _too_little(speech: Recording) -> str | None:
    if speech.duration_s < SHORTEST_S:
        return f"only {speech.duration_s:.2f} s of speech; {SHORTEST_S} s are needed"
    return None


def add_batched(
    rows: Sequence[Row],
    found: Iterable[tuple[Recording | None, str | None]],
    family: FamilyLike,
    place: int,
    advance: Any,
) -> None:
    """
    Measure a family that works on many recordings at once, and put its numbers into the rows.

    Parameters
    ----------
    rows : sequence of Row
    found : iterable of (recording, reason)
        From `speech_of`, one a row.
    family : FamilyLike
        With ``extract_many``.
    place : int
        Where it stands among the families.
    advance : callable
        Told the number of rows that are done.
    """
    stage, size = family_name(family), len(family.names)
    waiting: list[tuple[Row, Recording]] = []

    def flush() -> None:
        measured = family.extract_many([recording for _, recording in waiting], advance)  # type: ignore[attr-defined]
        for (row, _), numbers in zip(waiting, measured, strict=True):
            row.features[place], notes = _checked(numbers, stage, size)
            row.notes += notes
        waiting.clear()

    held_s = 0.0
    for row, (recording, reason) in zip(rows, found, strict=True):
        row.features.insert(place, np.full(size, np.nan))
        if recording is None:
            row.notes += [(stage, reason)] if reason else []
            advance(1)
            continue
        waiting.append((row, recording))
        held_s += recording.duration_s
        if held_s > BUFFER_S:
            flush()
            held_s = 0.0
    if waiting:
        flush()


def family_name(family: FamilyLike) -> str:
    """Prefix of a family's columns: its ``name``, or its class's in lower case."""
    return str(getattr(family, "name", type(family).__name__.lower()))


def _failed(error: AudioError, position: int, label: str, start_s: float, end_s: float | None, plan: Plan) -> Row:
    if plan.on_error == "raise":
        raise error
    return Row(
        position,
        label,
        start_s,
        math.nan if end_s is None else end_s,
        [np.full(len(family.names), np.nan) for family in plan.families],
        {"ok": 0.0, **dict.fromkeys(QUALITY[1:], math.nan)},
        [("audio", str(error))],
    )


def assemble(rows: Sequence[Row], n_features: int) -> np.ndarray:
    """Values of shape (n_rows, n_features + n_quality)."""
    values = np.empty((len(rows), n_features + len(QUALITY)))
    for number, row in enumerate(rows):
        values[number] = np.concatenate([*row.features, [row.quality[name] for name in QUALITY]])
    return values
