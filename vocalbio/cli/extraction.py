"""``vocalbio extract``: recordings to a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vocalbio.cli.options import FAILED_INPUTS, NOTHING_DONE, Family, Jobs, Json
from vocalbio.cli.recordings import find_recordings

__all__ = ["extract"]


def extract(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders that are searched for them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Table to write: .parquet (keeps settings and reasons) or .csv.")
    ] = Path("features.parquet"),
    families: Family = None,
    feature_set: Annotated[str, typer.Option(help="openSMILE set of the prosody family.")] = "eGeMAPSv02",
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Add the embedding of wav2vec 2.0, HuBERT, WavLM or Whisper: folder of a checkpoint, or a name on the "
            "Hub, which is downloaded unless it is on this machine."
        ),
    ] = None,
    layer: Annotated[str, typer.Option(help="Hidden state of the encoder: a number, last, mean or all.")] = "last",
    window_s: Annotated[float | None, typer.Option(help="Cut into windows of this many seconds.")] = None,
    hop_s: Annotated[float | None, typer.Option(help="Seconds from window to window. [default: window_s]")] = None,
    speech_only: Annotated[bool, typer.Option(help="Cut pauses out for families that do not measure timing.")] = False,
    n_jobs: Jobs = 1,
    on_error: Annotated[str, typer.Option(help="record: keep a row of NaN; raise: stop at the first.")] = "record",
    progress: Annotated[bool | None, typer.Option(help="Progress bar. [default: on a terminal]")] = None,
    as_json: Json = False,
) -> None:
    """Turn recordings into a table of features, one row a recording or window."""
    from vocalbio import Embedding, Prosody, errors, extract_features
    from vocalbio.errors import ParameterError
    from vocalbio.extract.extractor import DEFAULT_FAMILIES

    if output.suffix not in (".parquet", ".csv"):
        raise ParameterError(f"output is {output}; expected a name that ends in .parquet or .csv")
    if not output.absolute().parent.is_dir():
        raise ParameterError(f"the folder of {output} does not exist; make it first")
    recordings = find_recordings(files)
    chosen: list[Any] = [Prosody(feature_set) if name == "prosody" else name for name in families or DEFAULT_FAMILIES]
    if encoder is not None:
        chosen.append(Embedding(encoder, layer=int(layer) if layer.isdigit() else layer))
    if encoder is not None or "compact" in chosen:
        from vocalbio.cli.doctor import import_tensorflow_quietly

        import_tensorflow_quietly()
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
