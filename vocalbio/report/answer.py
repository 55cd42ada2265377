"""The page of an answer: what a model says of one recording, how sure it is, what moved it, and whom it knows."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vocalbio.audio import Recording, load_audio
from vocalbio.conditions import get_condition
from vocalbio.extract import extract_frames
from vocalbio.figures import plot_intervals, plot_recording
from vocalbio.report.methods import Methods, describe_features, describe_model, methods_section, versions_of
from vocalbio.report.page import Section, render_page, write_page
from vocalbio.report.references import cite
from vocalbio.risk.explanation import CAUTION, percentile_words, three_digits
from vocalbio.segments import speech_intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vocalbio.risk import Answer
    from vocalbio.risk.explanation import Explanation

__all__ = ["answer_page", "draw_recording", "explained_sections"]

MOST_MARKERS = 15
LONGEST_S = 60.0
"""More of a recording than this is no picture any more; its beginning is drawn."""


def answer_page(
    answer: Answer,
    path: str | os.PathLike[str] | None = None,
    *,
    explanation: Explanation | None = None,
    audio: Any = None,
    model: Any = None,
) -> str:
    """
    Write an answer as one HTML page: the answer with its doubts, what moved it, the recording, the training cohort.

    Parameters
    ----------
    answer : Answer
        From ``model.score_audio``.
    path : path-like, optional
        File to write.
    explanation : Explanation, optional
        From ``model.explain``, of the same recording.
    audio : path or Recording, optional
        The recording, to be drawn.
    model : RiskModel or SeverityModel, optional
        Who answered, for the methods.

    Returns
    -------
    str
        The page, in one piece: nothing is loaded from elsewhere. It names the file, without its folder.

    Raises
    ------
    ParameterError
        If `path` cannot be written.
    AudioError
        If `audio` cannot be read.

    Examples
    --------
    >>> from vocalbio.datasets.voices import make_cohort
    >>> from vocalbio.report import answer_page
    >>> from vocalbio.risk import load_shipped
    >>> recordings, _ = make_cohort(n_speakers=1, n_recordings=1)
    >>> answer = load_shipped("stress").score_audio(recordings[0])
    >>> "Stress score" in answer_page(answer)
    True
    """
    recording = audio if audio is None or isinstance(audio, Recording) else load_audio(audio)
    training = answer.training
    lead = (
        answer.reasons[0]
        if answer.reasons and answer.label == "indeterminate"
        else "What the model says of one recording."
    )
    sections = [
        *_probabilities(answer),
        Section("Reasons for doubt", items=tuple(map(_sentence, answer.reasons))) if answer.reasons else
        Section("Reasons for doubt", ("None was found. That is no proof that the answer is right.",)),
        *(explained_sections(explanation, recording) if explanation is not None else []),
        *_recording(recording),
        _cohort(training),
    ]  # fmt: skip
    references = "; ".join(get_condition(answer.condition).references)
    parts: list[Methods] = [(f"What the answer means: {references}", [])]
    if model is not None:
        manifest = model.manifest_
        parts += [describe_features(manifest["extractor"], manifest["n_features"]), describe_model(model)]
    if explanation is not None:
        parts.append((
            "Contributions are integrated gradients of the answer, from the median of the training cohort to this "
            f"recording {cite('gradients')}: they add up to the difference of the two answers.",
            ["gradients", *(["panel"] if len(explanation.panel) else [])],
        ))  # fmt: skip
    page = render_page(
        f"{answer.condition.capitalize()}: {_name_of(answer.file)}",
        _sentence(lead),
        str(training.get("notice") or ""),
        [*sections, methods_section(*parts)],
        f"Made with {versions_of(model)}.",
        headline=_headline(answer),
    )
    return write_page(page, path)


def _name_of(file: str) -> str:
    return Path(file).name or file


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _headline(answer: Answer) -> list[tuple[str, str, str]]:
    threshold = "" if answer.threshold is None else f"threshold {answer.threshold:.3g}"
    found = [("Label", answer.label, threshold)]
    if answer.score is not None and answer.scale is not None:
        span = "no interval" if answer.score_interval is None else "{:.0f} to {:.0f}".format(*answer.score_interval)
        found.append((
            f"{answer.scale['name'][:1].upper()}{answer.scale['name'][1:]}",
            f"{answer.score:.0f}",
            f"{span}; on a scale of {answer.scale['low']:g} to {answer.scale['high']:g}",
        ))  # fmt: skip
    if answer.probability and answer.score is None:
        name, value = list(answer.probability.items())[-1 if len(answer.probability) == 2 else 0]
        if len(answer.probability) > 2:
            name, value = max(answer.probability.items(), key=lambda entry: entry[1])
        span = "no interval" if answer.interval is None else "{:.0%} to {:.0%}".format(*answer.interval[name])
        found.append((f"P({name})", f"{value:.0%}", span))
    found.append(("Reasons for doubt", str(len(answer.reasons)), "told below" if answer.reasons else "none was found"))
    return found


def _probabilities(answer: Answer) -> list[Section]:
    if answer.probability is None:
        return []
    rows = {}
    for name, value in answer.probability.items():
        low, high = (math.nan, math.nan) if answer.interval is None else answer.interval[name]
        rows[name] = {"estimate": value, "low": low, "high": high}
    table = pd.DataFrame.from_dict(rows, orient="index")
    figure = plot_intervals(table, x_label="Probability", title="Probability of each class")
    words = "; ".join(f"{name} {value:.2f}" for name, value in answer.probability.items())
    span = "without intervals" if answer.interval is None else "with intervals"
    return [
        Section(
            "The answer",
            (
                "An interval says between which bounds the probability lies for recordings that the model scores like "
                "this one; it holds for people and recordings like those of training."
                if answer.interval is not None
                else "",
            ),
            figures=((figure, f"Probabilities of the classes {span}: {words}"),),
        )
    ]


def explained_sections(explanation: Explanation, recording: Recording | None = None) -> list[Section]:
    """
    Say and draw what moved an answer.

    Parameters
    ----------
    explanation : Explanation
    recording : Recording, optional
        Its spectrogram is drawn above contributions over time.

    Returns
    -------
    list of Section
    """
    unit = "" if explanation.unit == "points" else " %"
    groups = ", ".join(f"{name} {row['contribution']:+.1f}" for name, row in explanation.by_group.iterrows())
    sections = [
        Section(
            "What moved the answer",
            (
                f"The median of the training cohort gets {explanation.baseline:.1f}{unit}, this recording "
                f"{explanation.value:.1f}{unit}. Each group of markers is given its share of the way.",
                CAUTION,
            ),
            figures=(
                (
                    explanation.plot(title="What moved the answer"),
                    f"{explanation.what} from {explanation.baseline:.1f} to {explanation.value:.1f}; {groups}",
                ),
            ),
            items=tuple(map(_sentence, explanation.notes)),
        )
    ]
    if explanation.segments is not None and len(explanation.segments) > 1:
        times = explanation.segments
        most = times.iloc[int(times["contribution"].abs().to_numpy().argmax())]
        when = "" if math.isnan(most["start_s"]) else f" between {most['start_s']:.1f} and {most['end_s']:.1f} s"
        sections.append(
            Section(
                "When",
                ("The same contributions over time: segments that raise the answer, and segments that lower it.",),
                figures=(
                    (
                        explanation.plot_segments(recording, title="When the evidence was heard"),
                        f"Contributions over {len(times)} segments; the largest, {most['contribution']:+.1f}{when}",
                    ),
                ),
            )
        )
    panel = explanation.panel
    if panel["percentile"].notna().any():
        told = ", ".join(
            f"{name}: {percentile_words(place)}" for name, place in panel["percentile"].items() if not math.isnan(place)
        )
        sections.append(
            Section(
                "Markers among the training cohort",
                (
                    f"Markers that studies of depressed speech look at {cite('panel')}. Groups differ in them on "
                    "average; what is unusual here may come from the person, the language, the room or the microphone.",
                ),
                figures=(
                    (explanation.plot_panel(title="Markers among the cohort"), f"Percentiles of markers. {told}"),
                ),
            )
        )
    top = explanation.contributions.head(MOST_MARKERS)
    table = pd.DataFrame(
        {
            "contribution": [f"{value:+.1f}".replace("-", "−") for value in top["contribution"]],
            "value": [_number(value, unit) for value, unit in zip(top["value"], top["unit"], strict=True)],
            "median of the cohort": [_number(value, "") for value in top["typical"]],
            "in the cohort": ["–" if math.isnan(p) else percentile_words(p) for p in top["percentile"]],
            "group": top["group"].to_list(),
        },
        index=pd.Index(top["marker"].to_list(), name="marker"),
    )
    rest = len(explanation.contributions) - len(top)
    left = explanation.contributions["contribution"].iloc[MOST_MARKERS:].sum()
    note = f"{rest} more markers: {left:+.1f} together.".replace("-", "−") if rest else ""
    sections.append(Section("Single markers", ("The largest contributions.",), table, note=note))
    return sections


def _number(value: float, unit: str) -> str:
    return "missing" if math.isnan(value) else f"{three_digits(value)} {unit}".rstrip()


def draw_recording(recording: Recording) -> tuple[Figure, int] | None:
    """
    Draw a recording: waveform, spectrogram, pitch and pauses; of a long one the beginning.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    (Figure, int) or None
        The picture and the number of pauses in it; None for less than half a second, which has neither.
    """
    if recording.duration_s < 0.5:
        return None
    shown = (
        recording
        if recording.duration_s <= LONGEST_S
        else recording.cut(recording.start_s, recording.start_s + LONGEST_S)
    )
    frames = extract_frames(shown, "voice")
    pauses = [(float(end), float(start)) for (_, end), (start, _) in pairwise(speech_intervals(shown))]
    f0 = (frames.times_s, frames.values[:, 0])
    rate = int(shown.sampling_rate_hz)
    return plot_recording(shown.samples, rate, f0=f0, pauses=pauses, title="The recording"), len(pauses)


def _recording(recording: Recording | None) -> list[Section]:
    drawn = None if recording is None else draw_recording(recording)
    if recording is None or drawn is None:
        return []
    figure, n_pauses = drawn
    length_s = recording.duration_s
    few = f" Drawn are the first {LONGEST_S:g} s of {length_s:.0f} s." if length_s > LONGEST_S else ""
    return [
        Section(
            "The recording",
            (f"Waveform, spectrogram and pitch; pauses are shaded.{few}",),
            figures=((figure, f"Waveform, spectrogram and pitch of {length_s:.1f} s, with {n_pauses} pauses"),),
        )
    ]


def _cohort(training: dict[str, Any]) -> Section:
    """Whom the model knows: what it says of anybody else is a guess."""
    speakers = training.get("n_speakers")
    facts = {
        "recordings": training.get("n_recordings"),
        "speakers": "not known" if speakers is None else speakers,
        "corpus": training.get("corpus") or "not known",
        "labels": ", ".join(f"{name} {count}" for name, count in training.get("classes", {}).items())
        or ", ".join(f"{name} {value:.3g}" for name, value in training.get("severity", {}).items()),
        "sex": training.get("sex"),
        "age": training.get("age"),
        "speakers kept apart": training.get("speaker_disjoint"),
        "licence": training.get("licence") or "not told",
    }
    shown = {what: str(value) for what, value in facts.items() if value not in (None, "")}
    return Section(
        "Whom the model was trained on",
        ("For people and recordings unlike these, neither the answer nor its interval can be relied on.",),
        pd.DataFrame({"": shown}).rename_axis("training cohort"),
    )
