"""``vocalbio predict``, ``train`` and ``evaluate``: models and what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vocalbio.cli.options import (
    FAILED_INPUTS,
    NOTHING_DONE,
    ConditionName,
    CorpusName,
    Data,
    Family,
    Jobs,
    Json,
    JsonLines,
    LabelColumn,
    Labels,
    NetworkName,
    PresetName,
    SpeakerPattern,
)
from vocalbio.cli.recordings import find_recordings, unlike_names
from vocalbio.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from vocalbio import RiskModel, SeverityModel
    from vocalbio.cli.corpus import Corpus
    from vocalbio.evaluation import Evaluation
    from vocalbio.risk import Answer

__all__ = ["evaluate", "predict", "train"]

PROBLEMS_SHOWN = 8
PAGE_SUFFIXES = (".html", ".htm", ".json")
WINDOW_S, HOP_S = 1.5, 0.75
"""Segments of a sequence unless told otherwise, as in the docs."""

Network = Annotated[
    NetworkName,
    typer.Option(
        help="dense, hybrid (feature families apart at first): one row a recording; the others: a sequence of its "
        "windows, over time."
    ),
]
Preset = Annotated[PresetName, typer.Option(help="Size of the network; small is for tens to hundreds of recordings.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Passes over the recordings. [default: 120, with --preset small 80]")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Recordings a training step.")]
Balanced = Annotated[bool, typer.Option(help="Let every class weigh alike, whatever its size.")]
WindowS = Annotated[float | None, typer.Option(help=f"Sequences: seconds of a window. [default: {WINDOW_S}]")]
HopS = Annotated[
    float | None, typer.Option(help=f"Sequences: seconds from window to window. [default: half of window_s, {HOP_S}]")
]
Seed = Annotated[int, typer.Option(min=0, help="Makes training repeatable.")]


def predict(
    condition: Annotated[ConditionName, typer.Argument(help="What is asked.")],
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders that are searched for them.")],
    model: Annotated[
        Path | None, typer.Option(help="Model saved by vocalbio train. [default: the one in the wheel; stress only]")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write the answer with what moved it to this page (.html) or as facts (.json); of several recordings "
            "pages to this folder."
        ),
    ] = None,
    as_json: JsonLines = False,
) -> None:
    """
    Answer for recordings: probabilities or score with an interval, and what makes it doubtful.

    Scores go from 0 to 100 (stress) or are those of the questionnaire, probabilities from 0 to 1. Each file gets an
    answer, also one that cannot be read, which says why. The stress model in the wheel learnt acted emotions, which
    are not clinical stress; for depression and apnea there is none: train one.
    """
    recordings = find_recordings(files)
    pages = [None] * len(recordings) if report is None else _pages(report, recordings)
    chosen = _load(model, condition)
    n_failed = 0
    for recording, page in zip(recordings, pages, strict=True):
        answer = cast("Answer", chosen.score_audio(str(recording)))
        n_failed += answer.probability is None and answer.score is None
        if page is not None:
            _write_answer(answer, chosen, recording, page)
        if as_json:
            typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False))
        else:
            typer.echo(f"{answer}\n")
    if n_failed:
        raise typer.Exit(FAILED_INPUTS if n_failed < len(recordings) else NOTHING_DONE)


def train(
    data: Data,
    condition: Annotated[ConditionName, typer.Option(help="Decides labels, score and words.")],
    save_path: Annotated[Path, typer.Option(help="File to write, such as depression.vocalbio.")],
    network: Network = NetworkName.dense,
    preset: Preset = PresetName.published,
    epochs: Epochs = None,
    batch_size: BatchSize = 32,
    balanced: Balanced = False,
    families: Family = None,
    window_s: WindowS = None,
    hop_s: HopS = None,
    corpus_name: CorpusName = None,
    label_column: LabelColumn = None,
    labels: Labels = None,
    speaker_pattern: SpeakerPattern = None,
    licence: Annotated[
        str | None, typer.Option(help="On what terms the model may be used; told in every answer.")
    ] = None,
    seed: Seed = 0,
    n_jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """
    Fit a model on labelled recordings, calibrate it on speakers that it had not heard, and save it.

    How good it is on new speakers is told by vocalbio evaluate, with the same options.
    """
    if not save_path.absolute().parent.is_dir():
        raise ParameterError(f"the folder of {save_path} does not exist; make it first")
    fitted, extractor = _make(condition, network, preset, epochs, batch_size, balanced, families, window_s, hop_s, seed)
    corpus = _read(data, corpus_name, condition, label_column, labels, speaker_pattern, network)
    parts = corpus.official_parts()
    if parts is not None:
        typer.echo(f"official split: {parts[2]}; what is to test is left out", err=True)
        corpus = corpus.take(parts[0])
    table = _extract(corpus, extractor.set_params(n_jobs=n_jobs))
    failed = _tell_failed(table)
    typer.echo(
        f"training on {corpus.size} of {_count(corpus.speakers)} speakers, and once more for each of "
        f"{fitted.interval_folds} folds, for calibration",
        err=True,
    )
    samples, told = _samples(table, corpus, network)
    fitted.fit(samples, told.labels, groups=told.speakers)
    if corpus.title is not None:
        fitted.manifest_["training"]["corpus"] = corpus.title
    fitted.save(save_path, licence=licence)
    cohort = fitted.manifest_["training"]
    losses = fitted.history_["loss"]
    summary = {
        "model": str(save_path),
        "condition": str(condition),
        "n_recordings": cohort["n_recordings"],
        "n_speakers": cohort["n_speakers"],
        "speaker_disjoint": cohort["speaker_disjoint"],
        "classes": cohort["classes"],
        "epochs": len(losses),
        "loss": losses[-1],
        "calibrated": fitted.calibration_ is not None,
        "failed": failed,
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        counts = ", ".join(f"{name} {count}" for name, count in cohort["classes"].items())
        typer.echo(
            f"{save_path}: {condition}, {network}, {cohort['n_recordings']} recordings ({counts}) of "
            f"{_count(corpus.speakers)} speakers; loss {losses[0]:.3f} -> {losses[-1]:.3f} in {len(losses)} epochs"
        )
        typer.echo(f"ask it: vocalbio predict {condition} memo.wav --model {save_path}")
    if failed:
        raise typer.Exit(FAILED_INPUTS)


def evaluate(
    data: Data,
    condition: Annotated[
        ConditionName | None, typer.Option(help="Decides labels, score and words. [default: that of --model]")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Judge this saved model on new speakers; the word shipped stands for the one in the wheel. "
            "[default: fit anew on all speakers but some, and judge on those]"
        ),
    ] = None,
    network: Network = NetworkName.dense,
    preset: Preset = PresetName.published,
    epochs: Epochs = None,
    batch_size: BatchSize = 32,
    balanced: Balanced = False,
    families: Family = None,
    window_s: WindowS = None,
    hop_s: HopS = None,
    corpus_name: CorpusName = None,
    label_column: LabelColumn = None,
    labels: Labels = None,
    speaker_pattern: SpeakerPattern = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Folds of whole speakers. [default: leave one speaker out]")
    ] = None,
    n_seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeat with so many seeds, from 0 on.")] = 1,
    n_draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of speakers for the intervals.")] = 1000,
    work_dir: Annotated[
        Path | None, typer.Option(help="Folder that keeps finished folds, to go on after an interruption.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write everything, predictions included, to this JSON file.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with pictures, methods and what is left to tell (.html), or its facts (.json)."
        ),
    ] = None,
    n_jobs: Jobs = 1,
    as_json: JsonLines = False,
) -> None:
    """
    Tell how good a model is on speakers that it never heard, beside what is trivial.

    With --model that model as it is; else the model that vocalbio train would fit, cross-validated. Intervals are 95 %,
    over speakers. With --json the first line says how it was done, then comes one line a level, system and metric.
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise ParameterError(f"the folder of {output} does not exist; make it first")
    _check_page(report)
    if model is not None:
        fitted, condition = _load_classifier(model, condition)
        network = NetworkName(fitted.network)
        corpus = _read(data, corpus_name, condition, label_column, labels, speaker_pattern, network)
        _need_speakers(corpus)
        parts = corpus.official_parts()
        if parts is not None:
            typer.echo(f"official split: {parts[2]}", err=True)
            corpus = corpus.take(parts[1])
        typer.echo(f"extracting features of {corpus.size}", err=True)
        table = fitted.measure(corpus.audio, n_jobs=n_jobs)
    elif condition is None:
        raise ParameterError("neither --model nor --condition is given; expected one of them")
    else:
        fitted, extractor = _make(
            condition, network, preset, epochs, batch_size, balanced, families, window_s, hop_s, 0
        )
        corpus = _read(data, corpus_name, condition, label_column, labels, speaker_pattern, network)
        _need_speakers(corpus)
        if folds is None and corpus.splits is not None:
            parts = corpus.official_parts()
            told_split = f"{len(set(corpus.splits))} folds" if parts is None else parts[2]
            typer.echo(f"official split: {told_split}", err=True)
        table = _extract(corpus, extractor.set_params(n_jobs=n_jobs))
    failed = _tell_failed(table)
    from vocalbio import evaluation

    samples, corpus = _samples(table, corpus, network)
    common: dict[str, Any] = {"groups": corpus.speakers, "person": corpus.person, "n_resamples": n_draws}
    if model is not None:
        result = evaluation.evaluate(fitted, samples, corpus.labels, **common)
    else:
        cv = corpus.splits if folds is None else folds
        result = evaluation.cross_validate(
            fitted, samples, corpus.labels, cv=cv, seeds=range(n_seeds), work_dir=work_dir, **common
        )
    if output is not None:
        result.to_json(output, predictions=True)
    if report is not None:
        from vocalbio.report import write_report

        write_report(result, report, model=fitted, X=table)
    if as_json:
        for line in _lines(result, failed):
            typer.echo(json.dumps(line, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(result.to_markdown())
    if failed:
        raise typer.Exit(FAILED_INPUTS)


# Reports ----------------------------------------------------------------------------------------------------


def _pages(report: Path, recordings: list[Path]) -> list[Path]:
    """Where the page of each recording is written."""
    if report.suffix.lower() in PAGE_SUFFIXES:
        if len(recordings) > 1:
            raise ParameterError(f"--report is {report} for {len(recordings)} recordings; expected a folder")
        _check_page(report)
        return [report]
    try:
        report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"--report is {report}, and no folder can be made there ({error}); expected a folder, or a name that ends "
            "in .html or .json"
        ) from error
    return [report / f"{name}.html" for name in unlike_names(recordings)]


def _check_page(report: Path | None) -> None:
    """Refuse a page that could not be written, before the work is done."""
    if report is None:
        return
    if report.suffix.lower() not in PAGE_SUFFIXES:
        raise ParameterError(f"--report is {report}; expected a name that ends in .html or .json")
    if not report.absolute().parent.is_dir():
        raise ParameterError(f"the folder of {report} does not exist; make it first")


def _write_answer(answer: Answer, model: RiskModel | SeverityModel, recording: Path, page: Path) -> None:
    from vocalbio import load_audio
    from vocalbio.errors import AudioError
    from vocalbio.report import write_report

    explanation = None if answer.label == "indeterminate" else model.explain(str(recording))
    try:
        sound = load_audio(str(recording))
    except AudioError:  # the answer tells it
        sound = None
    write_report(answer, page, explanation=explanation, audio=sound, model=model)


# Models -----------------------------------------------------------------------------------------------------


def _load(path: Path | None, condition: str | None) -> RiskModel | SeverityModel:
    """Load a saved model, or the one in the wheel, and see that it answers what is asked."""
    from vocalbio.cli.doctor import import_tensorflow_quietly

    import_tensorflow_quietly()
    from vocalbio.risk import RiskModel, SeverityModel, load_shipped
    from vocalbio.risk.files import read_model

    if path is None:
        return load_shipped(str(condition))
    manifest, _, _ = read_model(path)
    kind = SeverityModel if manifest.get("model") == "SeverityModel" else RiskModel
    model = kind.load(path)
    if condition is not None and model.condition != condition:
        raise ParameterError(f"{path} is a model of {model.condition}; {condition} was asked for")
    return model


def _load_classifier(path: Path, condition: str | None) -> tuple[RiskModel, ConditionName]:
    from vocalbio.risk import RiskModel

    model = _load(None, condition or "stress") if str(path) == "shipped" else _load(path, condition)
    if not isinstance(model, RiskModel):
        raise ParameterError(f"{path} holds a {type(model).__name__}; evaluate it in Python: vocalbio.evaluate")
    return model, ConditionName(model.condition)


def _make(
    condition: ConditionName,
    network: NetworkName,
    preset: PresetName,
    epochs: int | None,
    batch_size: int,
    balanced: bool,
    families: Sequence[str] | None,
    window_s: float | None,
    hop_s: float | None,
    seed: int,
) -> tuple[RiskModel, Any]:
    """Make a model that is not fitted, and the extractor for it."""
    from vocalbio import FeatureExtractor, RiskModel
    from vocalbio.cli.doctor import import_tensorflow_quietly
    from vocalbio.extract.extractor import DEFAULT_FAMILIES

    if network.sequential:
        window_s = WINDOW_S if window_s is None else window_s
        hop_s = window_s / 2 if hop_s is None else hop_s
    elif window_s is not None or hop_s is not None:
        raise ParameterError(
            f"--window-s and --hop-s are for --network bilstm, tcn, transformer and cnn; {network} takes recordings as "
            "a whole"
        )
    import_tensorflow_quietly()
    extractor = FeatureExtractor(tuple(families or DEFAULT_FAMILIES), window_s=window_s, hop_s=hop_s).fit(None)
    model = RiskModel(
        str(condition),
        str(network),
        preset=str(preset),
        epochs=epochs,
        batch_size=batch_size,
        class_weight="balanced" if balanced else None,
        random_state=seed,
    )
    return model, extractor


# Recordings -------------------------------------------------------------------------------------------------


def _read(
    data: Path,
    corpus_name: str | None,
    condition: str,
    label_column: str | None,
    labels: str | None,
    speaker_pattern: str | None,
    network: NetworkName,
) -> Corpus:
    from vocalbio.cli.corpus import read_corpus, read_published

    if corpus_name is not None:
        if speaker_pattern is not None:
            raise ParameterError("--speaker-pattern and --corpus are both given; the reader of a corpus tells speakers")
        published = read_published(data, corpus_name, condition, label_column=label_column, labels=labels)
        for problem in published.problems[:PROBLEMS_SHOWN]:
            typer.echo(f"  {problem}", err=True)
        if len(published.problems) > PROBLEMS_SHOWN:
            typer.echo(f"  and {len(published.problems) - PROBLEMS_SHOWN} more: corpus.problems in Python", err=True)
        if network.sequential:
            published.by_file()  # refused before anything is extracted
        return published
    corpus = read_corpus(data, condition, label_column=label_column, labels=labels, speaker_pattern=speaker_pattern)
    files = corpus.files
    if network.sequential and len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise ParameterError(
            f"{twice} has several rows; {network} makes one sequence of each file: expected one row each"
        )
    return corpus


def _need_speakers(corpus: Corpus) -> None:
    if corpus.speakers is None:
        raise ParameterError(
            "the speakers are not known, and a speaker in training and test at once would make the result worthless. "
            "Add a column speaker, or pass --speaker-pattern ('.*' if every recording is of another person)"
        )


def _extract(corpus: Corpus, extractor: Any) -> pd.DataFrame:
    typer.echo(f"extracting features of {corpus.size}", err=True)
    return extractor.transform(corpus.audio)


def _samples(table: pd.DataFrame, corpus: Corpus, network: NetworkName) -> tuple[Any, Corpus]:
    """What the network takes, and the corpus with one row for each sample of it: a row, or a sequence a file."""
    from vocalbio import Sequences

    return (Sequences.from_table(table), corpus.by_file()) if network.sequential else (table, corpus)


def _tell_failed(table: pd.DataFrame) -> list[dict[str, str]]:
    """Recordings that could not be used, told on stderr."""
    from vocalbio import errors

    failed = errors(table)
    found = [
        {"file": str(entry[0]), "stage": stage, "reason": reason}
        for entry, stage, reason in zip(failed.index, failed["stage"], failed["reason"], strict=True)
    ]
    for line in found:
        typer.echo(f"  not usable: {line['file']} [{line['stage']}] {line['reason']}", err=True)
    return found


def _count(speakers: Any) -> str:
    return "an unknown number of" if speakers is None else str(len(set(speakers.tolist())))


def _lines(result: Evaluation, failed: list[dict[str, str]]) -> list[dict[str, Any]]:
    """A result as JSON lines, each of which says what it is."""
    whole = result.to_dict()
    return [
        {"kind": "settings", "task": whole["task"], **whole["settings"]},
        *({"kind": "metric", **line} for line in whole["table"]),
        *({"kind": "breakdown", **line} for line in whole["breakdown"]),
        *({"kind": "failed", **line} for line in failed),
    ]
