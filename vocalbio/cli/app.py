"""Commands and their options; the work is done elsewhere."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vocalbio.errors import VocalbioError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Voice recordings to features and answers. It screens, it does not diagnose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FAILED_INPUTS, NOTHING_DONE = 1, 2
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.command()
def extract(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders that are searched for them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Table to write: .parquet (keeps settings and reasons) or .csv.")
    ] = Path("features.parquet"),
    families: Annotated[
        list[str] | None,
        typer.Option("--family", "-f", help="prosody, voice or spectral; may be repeated. [default: prosody, voice]"),
    ] = None,
    feature_set: Annotated[str, typer.Option(help="openSMILE set of the prosody family.")] = "eGeMAPSv02",
    window_s: Annotated[float | None, typer.Option(help="Cut into windows of this many seconds.")] = None,
    hop_s: Annotated[float | None, typer.Option(help="Seconds from window to window. [default: window_s]")] = None,
    speech_only: Annotated[bool, typer.Option(help="Cut pauses out for families that do not measure timing.")] = False,
    n_jobs: Annotated[int, typer.Option("--jobs", "-j", help="Worker processes; -1: all cores.")] = 1,
    on_error: Annotated[str, typer.Option(help="record: keep a row of NaN; raise: stop at the first.")] = "record",
    progress: Annotated[bool | None, typer.Option(help="Progress bar. [default: on a terminal]")] = None,
    as_json: Json = False,
) -> None:
    """Turn recordings into a table of features, one row a recording or window."""
    from vocalbio import Prosody, errors, extract_features
    from vocalbio.errors import ParameterError

    if output.suffix not in (".parquet", ".csv"):
        raise ParameterError(f"output is {output}; expected a name that ends in .parquet or .csv")
    if not output.absolute().parent.is_dir():
        raise ParameterError(f"the folder of {output} does not exist; make it first")
    recordings = _find_recordings(files)
    chosen = [Prosody(feature_set) if name == "prosody" else name for name in families or ("prosody", "voice")]
    table = extract_features(
        recordings,
        chosen,
        window_s=window_s,
        hop_s=hop_s,
        speech_only=speech_only,
        n_jobs=n_jobs,
        on_error=on_error,
        progress=progress,
    )
    if output.suffix == ".csv":
        table.to_csv(output)
    else:
        table.to_parquet(output)
    failed = errors(table)
    if as_json:
        summary = {
            "output": str(output),
            "rows": len(table),
            "columns": table.shape[1],
            "failed": [
                {"file": file, "stage": stage, "reason": reason}
                for (file, _, _), stage, reason in zip(failed.index, failed["stage"], failed["reason"], strict=True)
            ],
        }
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"{output}: {len(table)} rows, {table.shape[1]} columns")
        for (file, _, _), stage, reason in zip(failed.index, failed["stage"], failed["reason"], strict=True):
            typer.echo(f"  not usable: {file} [{stage}] {reason}", err=True)
    if len(failed):
        raise typer.Exit(FAILED_INPUTS if len(failed) < len(table) else NOTHING_DONE)


SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".webm", ".mp4", ".aif", ".aiff"}


def _find_recordings(paths: list[Path]) -> list[Path]:
    """Files as given; a folder stands for the recordings in it, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else []
        found += inside or [path]
    return found


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with manifest.csv (file, speaker, emotion). [default: made-up voices]"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("vocalbio-demo"),
    n_jobs: Annotated[int, typer.Option("--jobs", "-j", help="Worker processes; -1: all cores.")] = 2,
    as_json: Json = False,
) -> None:
    """Run the main job from recordings to fitted models and a page that explains the numbers. No network."""
    from vocalbio.cli.doctor import import_tensorflow_quietly
    from vocalbio.demo import run_demo

    import_tensorflow_quietly()
    results = run_demo(data, output, n_jobs=n_jobs, echo=(lambda text: None) if as_json else typer.echo)
    if as_json:
        typer.echo(json.dumps(results, indent=2))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell what is installed, which pretrained weights are on this machine, and how to get what is missing."""
    from vocalbio.cli.doctor import examine, to_text

    found = examine()
    typer.echo(json.dumps(found, indent=2) if as_json else to_text(found))
    if any(not package["installed"] for package in found["packages"]):
        raise typer.Exit(FAILED_INPUTS)


def _version(asked: bool) -> None:
    if asked:
        from vocalbio import __version__

        typer.echo(f"vocalbio {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: exit code 0, 1 (some inputs failed, the rest done) or 2 (usage, or nothing done)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets with a page of hardware notes
    try:
        app()
    except VocalbioError as error:
        typer.echo(f"vocalbio: {error}", err=True)
        sys.exit(NOTHING_DONE)
