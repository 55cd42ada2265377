"""What commands share: exit codes, and options that mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "FAILED_INPUTS",
    "NOTHING_DONE",
    "ConditionName",
    "CorpusName",
    "Data",
    "Family",
    "Jobs",
    "Json",
    "JsonLines",
    "LabelColumn",
    "Labels",
    "NetworkName",
    "PresetName",
    "SpeakerPattern",
]

FAILED_INPUTS, NOTHING_DONE = 1, 2


class ConditionName(StrEnum):
    """As in `vocalbio.conditions`."""

    depression = "depression"
    stress = "stress"
    apnea = "apnea"


class NetworkName(StrEnum):
    """As in `vocalbio.RiskModel`."""

    dense = "dense"
    hybrid = "hybrid"
    bilstm = "bilstm"
    tcn = "tcn"
    transformer = "transformer"
    cnn = "cnn"

    @property
    def sequential(self) -> bool:
        """Whether it takes a sequence of windows instead of one row a recording."""
        return self not in (NetworkName.dense, NetworkName.hybrid)


class PresetName(StrEnum):
    """As in `vocalbio.networks`."""

    published = "published"
    small = "small"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print JSON lines, one object a line, instead of text.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Worker processes for the features; -1: all cores.")]
Family = Annotated[
    list[str] | None,
    typer.Option(
        "--family",
        "-f",
        help="prosody, voice, compact or spectral; may be repeated. [default: prosody, voice, compact]",
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        help="CSV file with the columns file (relative to it), label, speaker, and optionally start, end (seconds), "
        "sex, age, device; for depression phq8 (0-24) instead of label. Or a folder with such a manifest.csv, or with "
        "one folder a class: CLASS/SPEAKER/file.wav."
    ),
]
CorpusName = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        help="What --data holds is a published corpus: androids, crema_d, daic_woz, e_daic, emodb, "
        "iemocap, khan_snoring, ravdess; folders and table are your own. Its reader gives turns, labels, "
        "speakers and the official parts.",
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column that holds the label. [default: label, or for depression phq8]")
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Labels to use, others are left out; OLD=NEW renames: neutral,sad,fearful=anxious. [default: all]"
    ),
]
SpeakerPattern = Annotated[
    str | None,
    typer.Option(
        help="Regular expression that finds the speaker in a file's path below --data, by its first group: "
        "'Actor_([0-9]+)'; '.*' says that every recording is of another person. [default: the column speaker, or the "
        "folder below CLASS]"
    ),
]
