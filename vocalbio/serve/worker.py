"""What is done in a worker process: models loaded once, one recording at a time, plain JSON types back."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.audio import Recording, stream_audio
from vocalbio.console import quiet
from vocalbio.errors import AudioError, ParameterError, VocalbioError
from vocalbio.serve.log import plain
from vocalbio.serve.refusal import Refusal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vocalbio.risk import Answer, Explanation

__all__ = [
    "FAMILIES",
    "SHIPPED",
    "Question",
    "answer_memo",
    "answer_night",
    "conditions_of",
    "measure",
    "prepare",
    "svg_of",
]

FAMILIES = ("prosody", "voice", "compact", "spectral")
"""That can be asked for: those that need nothing from elsewhere."""
SHIPPED: dict[str, str | None] = {"stress": None}
KINDS = {"stress": "RiskModel", "depression": "RiskModel", "apnea": "WindowModel"}
RATE_HZ = 16_000
READ_S = 30.0
MOST_HZ = 192_000
MOST_CLIPPED = 20_000_000
"""Clipped samples whose times are still kept in memory; a file of kilobytes can hold billions."""

log = logging.getLogger("vocalbio.serve")
_paths: dict[str, str | None] = {}


@dataclass(frozen=True)
class Question:
    """
    What is asked of one recording.

    Attributes
    ----------
    path : str
    name : str
        What the recording is called in answers.
    longest_s : float
        Longer ones are refused once so much of them has been decoded.
    explain : bool
        Whether the reasons are asked for.
    draw : bool
        Whether the pictures are asked for.
    """

    path: str
    name: str
    longest_s: float
    explain: bool = False
    draw: bool = False


# Models -----------------------------------------------------------------------------------------------------


def conditions_of(paths: Iterable[str | os.PathLike[str]]) -> dict[str, str | None]:
    """
    Tell which file answers for which condition, without loading networks.

    Parameters
    ----------
    paths : iterable of path-like

    Returns
    -------
    dict of str to str or None
        File by condition; None stands for the one in the wheel. A condition that nothing answers for is missing.

    Raises
    ------
    ModelFileError
        If a file is no model.
    ParameterError
        If it is one that cannot answer here, or two are for the same condition.

    Examples
    --------
    >>> from vocalbio.serve.worker import conditions_of
    >>> conditions_of([])
    {'stress': None}
    """
    from vocalbio.risk.files import read_model

    found: dict[str, str | None] = {}
    for path in paths:
        manifest = read_model(path)[0]
        condition, kind = manifest.get("condition"), manifest.get("model")
        if KINDS.get(str(condition)) != kind:
            expected = ", ".join(f"a {kind} for {name}" for name, kind in KINDS.items())
            raise ParameterError(f"{path} holds a {kind} for {condition}; the service takes {expected}")
        if condition in found:
            raise ParameterError(f"{found[condition]} and {path} are both for {condition}; give one of them")
        found[str(condition)] = os.path.abspath(path)
    return SHIPPED | found


def prepare(paths: dict[str, str | None]) -> None:
    """Begin a worker process: remember the files, load the models and the encoder in the wheel."""
    from vocalbio.features.embedding import Embedding

    _paths.update(paths)
    loading = {f"{condition} model": partial(_model, condition) for condition in paths}
    for name, load in (loading | {"compact encoder": Embedding("compact").load}).items():
        try:
            with quiet():
                load()
        except VocalbioError:  # told to whoever asks for it
            log.exception("the %s cannot be loaded", name)


@cache
def _model(condition: str) -> Any:
    """The model of a condition, loaded once; None for the built-in rules of a night."""
    from vocalbio.risk import RiskModel, WindowModel, load_shipped

    if condition not in _paths:
        return None
    path = _paths[condition]
    if path is None:
        return load_shipped(condition)
    return (WindowModel if condition == "apnea" else RiskModel).load(path)


# Jobs -------------------------------------------------------------------------------------------------------


def answer_memo(condition: str, question: Question) -> dict[str, Any]:
    """
    Ask the model of a condition about a memo.

    Parameters
    ----------
    condition : {"stress", "depression"}
    question : Question

    Returns
    -------
    dict
        ``answer``, ``quality``, ``duration_s``, ``explanation`` (or None), ``pictures`` (SVG by name) and ``page`` (the
        report, or None).

    Raises
    ------
    Refusal
        413 where it is too long, 415 where it cannot be decoded, 422 where it is empty or damaged.
    """
    from vocalbio.quality import measure_quality
    from vocalbio.report import answer_page

    recording = _load(question)
    model = _model(condition)
    table = model.measure(recording, progress=False)
    answer: Answer = model.score_audio(table)
    explanation: Explanation | None = None
    if question.explain and answer.label != "indeterminate":
        explanation = model.explain(table)
    return plain({
        "answer": answer.to_dict(),
        "quality": measure_quality(recording),
        "explanation": None if explanation is None else explanation.to_dict() | {"text": explanation.text},
        "pictures": _memo_pictures(recording, answer, explanation) if question.draw else {},
        "page": answer_page(answer, explanation=explanation, audio=recording, model=model) if question.draw else None,
        "duration_s": recording.duration_s,
    })  # fmt: skip


def answer_night(question: Question) -> dict[str, Any]:
    """
    Screen a night, by the window model if one is loaded.

    Parameters
    ----------
    question : Question

    Returns
    -------
    dict
        ``night``, ``pictures`` (SVG by name) and ``page`` (the report, or None).

    Raises
    ------
    Refusal
        As `answer_memo`.
    """
    from vocalbio.night import Night, screen_night
    from vocalbio.report import night_page

    class LimitedNight(Night):
        """Headers lie: what counts is what has been decoded."""

        def blocks(self, from_s: float = 0.0) -> Iterator[Any]:
            read_s = 0.0
            for block in super().blocks(from_s):
                read_s += len(block) / RATE_HZ
                if read_s > question.longest_s:
                    raise _too_long(question)
                yield block

    with _refusing(question):
        report = screen_night(LimitedNight(question.path), model=_model("apnea"), progress=False)
    overview = report.plot() if question.draw and len(report.evidence) else None
    return plain({
        "night": report.to_dict(),
        "pictures": {} if overview is None else {"night": svg_of(overview)},
        "page": night_page(report, overview=overview) if question.draw else None,
    })  # fmt: skip


def measure(families: tuple[str, ...], question: Question) -> dict[str, Any]:
    """
    Extract the features of a recording as a whole.

    Parameters
    ----------
    families : tuple of str
        Of `FAMILIES`.
    question : Question

    Returns
    -------
    dict
        ``features``, ``quality``, ``errors``.

    Raises
    ------
    Refusal
        As `answer_memo`.
    """
    from vocalbio.extract import errors, extract_features

    recording = _load(question)
    table = extract_features(recording, families)
    row = {str(name): value for name, value in table.iloc[0].items()}
    quality = {name.removeprefix("quality__"): row.pop(name) for name in list(row) if name.startswith("quality__")}
    return plain({
        "features": row,
        "quality": quality,
        "errors": errors(table, partial=True)[["stage", "reason"]].to_dict("records"),
    })  # fmt: skip


# Sound ------------------------------------------------------------------------------------------------------


def _load(question: Question) -> Recording:
    """What `load_audio` gives, but never more of it than is allowed."""
    pieces: list[Recording] = []
    read_s, n_clipped = 0.0, 0
    with _refusing(question):
        for block in stream_audio(question.path, RATE_HZ, READ_S):
            if block.source_rate_hz > MOST_HZ:
                raise Refusal(
                    415, f"{question.name} has {block.source_rate_hz:g} samples a second; expected {MOST_HZ} at most"
                )
            pieces.append(block)
            read_s += block.duration_s
            n_clipped += 0 if block.clipped_s is None else len(block.clipped_s)
            if read_s > question.longest_s:
                raise _too_long(question)
            if n_clipped > MOST_CLIPPED:
                raise Refusal(422, f"{question.name} is clipped almost everywhere; record it with less gain")
    clipped = [piece.clipped_s for piece in pieces if piece.clipped_s is not None]
    return replace(
        pieces[0],
        samples=np.concatenate([piece.samples for piece in pieces]),
        file=question.name,
        clipped_s=np.concatenate(clipped) if clipped else None,
    )


@contextmanager
def _refusing(question: Question) -> Iterator[None]:
    """Say why a file cannot be used without the folder that it lies in."""
    try:
        yield
    except (AudioError, ParameterError) as error:
        words = str(error).replace(question.path, question.name).replace(str(Path(question.path).parent), "")
        status = 415 if "holds no sound" in words else 422
        raise Refusal(status, words) from error


def _too_long(question: Question) -> Refusal:
    return Refusal(413, f"{question.name} is longer than {_length(question.longest_s)}, the most that is taken; cut it")


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"


# Pictures ---------------------------------------------------------------------------------------------------


def _memo_pictures(recording: Recording, answer: Answer, explanation: Explanation | None) -> dict[str, str]:
    import pandas as pd

    from vocalbio.figures import plot_intervals
    from vocalbio.report.answer import draw_recording

    drawn: dict[str, Figure] = {}
    if (whole := draw_recording(recording)) is not None:
        drawn["spectrogram"] = whole[0]
    if answer.probability is not None:
        rows = {}
        for name, value in answer.probability.items():
            low, high = (math.nan, math.nan) if answer.interval is None else answer.interval[name]
            rows[name] = {"estimate": value, "low": low, "high": high}
        table = pd.DataFrame.from_dict(rows, orient="index")
        drawn["answer"] = plot_intervals(table, x_label="Probability", title="Probability of each class")
    if explanation is not None:
        drawn["contributions"] = explanation.plot(title="What moved the answer")
        if explanation.panel["percentile"].notna().any():
            drawn["markers"] = explanation.plot_panel(title="Markers among the cohort")
        if explanation.segments is not None:
            drawn["segments"] = explanation.plot_segments(recording, title="When the evidence was heard")
    return {name: svg_of(figure) for name, figure in drawn.items()}


def svg_of(figure: Figure) -> str:
    """
    Write a figure as SVG, without the time at which it was drawn.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    str
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
