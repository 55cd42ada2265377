"""``vocalbio night``: a recorded night to a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocalbio.cli.options import FAILED_INPUTS, NOTHING_DONE, Json
from vocalbio.cli.recordings import find_recordings, unlike_names

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from matplotlib.figure import Figure

    from vocalbio.night import Night
    from vocalbio.stream.report import NightReport

__all__ = ["night", "write_report"]

CLOSE_UPS = 20


def night(
    files: Annotated[
        list[Path],
        typer.Argument(help="Recordings of one night, or a folder of them: wav, flac, mp3, m4a ..., EDF, BDF."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the report to.")] = Path("night"),
    each: Annotated[
        bool, typer.Option("--each", help="Every file is a night of its own; a folder for each in --output.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(help="Window model that listens in place of the built-in rules.")
    ] = None,
    started: Annotated[
        str | None,
        typer.Option(help="Date and time of the first sample, '2026-01-31 23:05'. [default: EDF header or file name]"),
    ] = None,
    lights_out: Annotated[
        str | None,
        typer.Option(help="Clock time, '23:15', or seconds from the beginning; what comes before counts not."),
    ] = None,
    lights_on: Annotated[str | None, typer.Option(help="The same for the end.")] = None,
    channel: Annotated[
        str | None, typer.Option(help="Label of the audio channel in EDF files. [default: the only one that fits]")
    ] = None,
    noise_reduction: Annotated[
        bool, typer.Option("--noise-reduction", help="Subtract the tracked noise floor (fans, air conditioning).")
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(help="Reference annotations (csv, Audacity txt, edf): print how well the events agree with them."),
    ] = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps what was measured: after a crash the night goes on from there."),
    ] = None,
    close_ups: Annotated[
        int, typer.Option(min=0, help="Pictures of single events at most, the surest first.")
    ] = CLOSE_UPS,
    progress: Annotated[bool | None, typer.Option(help="Progress bar. [default: on a terminal]")] = None,
    as_json: Json = False,
) -> None:
    """Screen recorded nights: acoustic events, snoring, and how far to trust them. It does not diagnose."""
    from vocalbio.errors import ParameterError, VocalbioError
    from vocalbio.night import Night

    if each and (compare or started):
        raise ParameterError("--each takes neither --compare nor --started: they belong to one night")
    recordings = _nights(files)
    nights = [[path] for path in recordings] if each else [recordings]
    listener = None if model is None else _load_model(model)
    told, failed = [], 0
    for name, paths in zip(unlike_names([paths[0] for paths in nights]), nights, strict=True):
        folder = output / name if each else output
        try:
            heard = Night(
                paths, channel=channel, started=started, lights_out=_moment(lights_out), lights_on=_moment(lights_on)
            )
            report, scores = _screen(
                heard,
                listener,
                noise_reduction,
                work_dir and (work_dir / name if each else work_dir),
                compare,
                progress,
            )
        except VocalbioError as error:
            if len(nights) == 1:
                raise
            failed += 1
            typer.echo(f"  not usable: {paths[0]} {error}", err=True)
            told.append({"night": name, "reason": str(error)})
            continue
        write_report(report, heard, folder, close_ups=close_ups)
        failed += any(file["reason"] for file in report.files)
        short = {key: report.to_dict()[key] for key in ("started", "summary", "severity_reason", "notes", "files")}
        told.append(
            {"night": name, "output": str(folder), **short, **({} if scores is None else {"scores": scores[1]})}
        )
        if not as_json:
            typer.echo("\n".join([f"{folder}", str(report), *([] if scores is None else ["", scores[0]])]))
    if as_json:
        typer.echo(json.dumps({"nights": told} if each else told[0], indent=2, ensure_ascii=False))
    if failed:
        raise typer.Exit(NOTHING_DONE if all("output" not in one for one in told) else FAILED_INPUTS)


def _nights(files: list[Path]) -> list[Path]:
    """Files as given; a folder stands for the recordings and EDF files in it."""
    found: list[Path] = []
    for path in files:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".edf", ".bdf")) if path.is_dir() else []
        found += inside or find_recordings([path])
    return found


def _moment(text: str | None) -> str | float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _load_model(path: Path) -> Any:
    from vocalbio.cli.doctor import import_tensorflow_quietly

    import_tensorflow_quietly()
    from vocalbio.risk.window import WindowModel

    return WindowModel.load(path)


def _screen(
    heard: Night, model: Any, noise_reduction: bool, work_dir: Path | None, compare: Path | None, progress: bool | None
) -> tuple[NightReport, tuple[str, Any] | None]:
    from vocalbio.night import screen_night

    # a wrong one is told before the night is heard
    reference = None if compare is None else _reference(compare, heard.started)
    report = screen_night(heard, model=model, noise_reduction=noise_reduction, work_dir=work_dir, progress=progress)
    return report, None if reference is None else _scored(report, reference)


def write_report(report: NightReport, heard: Night, folder: Path, *, close_ups: int = CLOSE_UPS) -> None:
    """
    Write a report's folder.

    Parameters
    ----------
    report : NightReport
    heard : Night
        Its sound, for the close-ups.
    folder : Path
        Made if it does not exist. ``index.html``, ``night.json``, ``night.png``, ``events.csv``, ``events.edf``,
        ``labels.txt``, ``events/001.png`` and so on.
    close_ups : int
        Pictures of single events at most, those of the highest confidence.
    """
    from vocalbio.figures import to_png_bytes
    from vocalbio.report import night_page

    (folder / "events").mkdir(parents=True, exist_ok=True)
    for old in (folder / "events").glob("[0-9][0-9][0-9]*.png"):  # of another run, with other events
        old.unlink()
    report.to_json(folder / "night.json")
    report.to_csv(folder / "events.csv")
    report.to_edf(folder / "events.edf")
    report.to_audacity(folder / "labels.txt")
    overview = report.plot()
    (folder / "night.png").write_bytes(to_png_bytes(overview))
    counted = report.event_table[report.event_table["counted"]]
    shown = sorted(counted.nlargest(close_ups, "confidence").index)
    pictures: dict[int, Figure] = {}
    for place, piece in heard.cuts([report.span_of(number) for number in shown]):
        number = shown[place]
        pictures[number] = report.plot_event(number, piece)
        (folder / "events" / f"{number:03d}.png").write_bytes(to_png_bytes(pictures[number]))
    night_page(report, folder / "index.html", pictures=pictures, overview=overview)


def _reference(path: Path, started: datetime | None) -> pd.DataFrame:
    from vocalbio.datasets.annotations import read_annotations

    return read_annotations(path, recording_start=started)


def _scored(report: NightReport, reference: pd.DataFrame) -> tuple[str, Any]:
    from vocalbio.evaluation.nights import score_events

    scores = score_events(reference, report.events, hours=report.recorded_h)
    return str(scores), scores.to_dict()
