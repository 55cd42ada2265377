"""The program: its commands, and how it ends."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vocalbio.cli.extraction import extract
from vocalbio.cli.models import evaluate, predict, train
from vocalbio.cli.night import night
from vocalbio.cli.options import FAILED_INPUTS, NOTHING_DONE, Json
from vocalbio.cli.serve import serve
from vocalbio.errors import VocalbioError, VocalbioWarning

__all__ = ["app", "main", "plain_warnings"]

app = typer.Typer(
    help="Voice recordings to features and answers. It screens, it does not diagnose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take "[default: ...]" for markup and drop it
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (extract, predict, train, evaluate, night, serve):
    app.command()(command)


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


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show our own warnings as one line for people, without the place in the code."""
    usual = warnings.formatwarning

    def write(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if issubclass(category, VocalbioWarning):
            return f"vocalbio: warning: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = write
    try:
        yield
    finally:
        warnings.formatwarning = usual


def main() -> None:
    """Run the command line: exit code 0, 1 (some inputs failed, the rest done) or 2 (usage, or nothing done)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets with a page of hardware notes
    try:
        with plain_warnings():
            app()
    except VocalbioError as error:
        typer.echo(f"vocalbio: {error}", err=True)
        sys.exit(NOTHING_DONE)
