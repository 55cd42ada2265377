"""Annotations: what somebody, or some program, marked in the recording of a night; read and written as event tables."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from xml.parsers import expat

import numpy as np
import pandas as pd

from vocalbio.errors import ParameterError, required_for

__all__ = ["EVENT_KINDS", "KINDS", "check_events", "read_annotations", "write_annotations"]

EVENT_KINDS = ("apnea", "hypopnea")
"""The kinds of events that count as breathing events."""

KINDS: dict[str, tuple[str, ...]] = {
    "apnea": (
        "apnea", "obstructive apnea", "central apnea", "mixed apnea", "apnea obstructive", "apnea central",
        "apnea mixed", "unclassified apnea", "apnea o", "apnea c", "apnea m",
    ),
    "hypopnea": (
        "hypopnea", "obstructive hypopnea", "central hypopnea", "mixed hypopnea", "hypopnea obstructive",
        "hypopnea central", "hypopnea mixed", "hyp o", "hyp c", "hyp m",
    ),
}  # fmt: skip
"""
Our kind of event, and what others call it. Case, blanks and punctuation do not count, nor whether it is spelled
-pnea or -pnoea; of ``"a|b"`` the part before the bar counts. Whatever is not here keeps its own name, in lower case.
"""

_DECIMALS = 6  # of a second: finer than any annotation, coarser than the noise of adding start and duration
_MARKS = ("recording starts", "recording ends")  # no events; written so that an EDF+ file is never without annotations
_EDF = b"0       "  # how every EDF file begins
_NO_DATE = date(1985, 1, 1)  # what an anonymised EDF+ header holds
_CONFIDENCE = re.compile(r"(.*) \(confidence (\d(?:\.\d+)?(?:e-\d+)?)\)", re.DOTALL)
_COLUMNS = ["start_s", "end_s", "kind", "label", "confidence"]


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.split("|")[0].lower()).replace("pnoea", "pnea")


_KIND_OF = {_squeezed(name): kind for kind, names in KINDS.items() for name in names}


class _Row(NamedTuple):
    start_s: float
    end_s: float
    label: str
    kind: str
    confidence: float = math.nan


class _Read(NamedTuple):
    rows: list[_Row]
    started: datetime | None = None  # None: its seconds are the recording's
    has_clock: bool = False


# Reading ---------------------------------------------------------------------------------------------------


def read_annotations(
    path: str | os.PathLike[str],
    *,
    kinds: Sequence[str] | None = EVENT_KINDS,
    recording_start: datetime | None = None,
) -> pd.DataFrame:
    r"""
    Read the events of a night.

    The format is told by the content of the file:

    - **CSV**: a line of names, then an event a line, with commas, semicolons or tabs between. ``start_s``; ``end_s`` or
      ``duration_s``; ``kind`` or ``label``; ``confidence`` where there is one. Other columns are left out.
    - **EDF+** with annotations, whether or not it holds signals as well.
    - **.rml**: Philips Sleepware and Alice, such as in PSG-Audio. A file with a DTD or entities is refused: nothing is
      ever expanded or fetched.
    - **Audacity** label tracks: start, end and label, with tabs between.

    Parameters
    ----------
    path : path-like
    kinds : sequence of str, optional
        Which kinds to keep, by our names (see `KINDS`); by default apneas and hypopneas. None: everything that is in
        the file, such as arousals, desaturations, snores or notes.
    recording_start : datetime, optional
        When the sound began, by the wall clock. The events of files that tell when their own time begins (EDF+, .rml)
        are moved accordingly, and those that were over before the sound began are left out. Where the file's date was
        removed, the time of day counts. CSV and label tracks have no clock: their seconds are the recording's.
        None: 0 s is the beginning of the annotations.

    Returns
    -------
    pandas.DataFrame
        ``start_s`` and ``end_s`` (seconds, to the microsecond), ``kind``, ``label`` (what the file calls it), and
        ``confidence`` (0 to 1) where the file has it; sorted by start. An annotation without a duration ends where it
        starts.

    Raises
    ------
    ParameterError
        If the file cannot be read, is of another format, lacks columns, holds a line that makes no sense (the first
        one is named), or begins at an unknown time or another day than `recording_start`.

    References
    ----------
    .. [1] Kemp B, Olivan J. European data format 'plus' (EDF+), an EDF alike standard format for the exchange of
       physiological data. Clin Neurophysiol 2003;114:1755-1761. doi:10.1016/S1388-2457(03)00123-8
    .. [2] Korompili G et al. PSG-Audio, a scored polysomnography dataset with simultaneous audio recordings for sleep
       apnea studies. Sci Data 2021;8:197. doi:10.1038/s41597-021-00977-w

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vocalbio.datasets.annotations import read_annotations
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "night.csv"
    >>> _ = path.write_text("start_s,duration_s,kind\n300,22.5,ObstructiveApnea\n410,3,Arousal\n")
    >>> read_annotations(path).to_dict("records")
    [{'start_s': 300.0, 'end_s': 322.5, 'kind': 'apnea', 'label': 'ObstructiveApnea'}]
    """
    path = Path(os.fsdecode(path)).expanduser()
    try:
        with open(path, "rb") as file:
            data = file.read(8)
            if data != _EDF:  # those may be huge, and are edfio's to read
                data += file.read()
    except OSError as error:
        raise ParameterError(f"cannot read {path} ({error.strerror}); expected a file of annotations") from error
    read = _read(path, data)
    shift_s = 0.0
    if recording_start is not None and read.has_clock:
        shift_s = _shift_s(path, read.started, recording_start)
    table = _table(read.rows, shift_s)
    if shift_s:
        table = table[table["end_s"] > 0]
    if kinds is not None:
        table = table[table["kind"].isin([kinds] if isinstance(kinds, str) else list(kinds))]
    return table.reset_index(drop=True)


def _read(path: Path, data: bytes) -> _Read:
    if data == _EDF:
        return _read_edf(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return _read_rml(path, data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _strange(path, f"holds neither text in UTF-8 ({error}) nor EDF+", error)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        if path.suffix.lower() == ".txt":
            return _Read([])  # an empty label track
        _strange(path, "is empty")
    if _is_label(lines[0][1]):
        return _Read(list(_labels(path, lines)))
    return _Read(list(_lines_of_csv(path, text)))


def _strange(path: Path, what: str, error: Exception | None = None) -> NoReturn:
    raise ParameterError(
        f"{path} {what}; expected a table (CSV) with start_s, end_s and kind, EDF+ with annotations, an .rml file of "
        "Philips Sleepware, or a label track of Audacity"
    ) from error


def _table(rows: Iterable[_Row], shift_s: float) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(_Row._fields))
    for end in ("start_s", "end_s"):
        table[end] = (table[end].astype(float) + shift_s).round(_DECIMALS)
    for column in ("label", "kind"):
        table[column] = table[column].astype(object)
    table["kind"] = table["kind"].map(lambda kind: _KIND_OF.get(_squeezed(kind), kind.strip().lower()))
    table["confidence"] = table["confidence"].astype(float)
    columns = _COLUMNS if table["confidence"].notna().any() else _COLUMNS[:-1]
    return table.sort_values(["start_s", "end_s"], kind="stable", ignore_index=True)[columns]


def _row(
    where: str,
    start: str,
    end: str,
    label: str,
    *,
    is_duration: bool = False,
    kind: str | None = None,
    confidence: str = "",
) -> _Row:
    """A row from texts, or an error that names the place."""
    try:
        start_s, end_s = float(start), float(end)
        found = float(confidence) if confidence.strip() else math.nan
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{where}: {error}; expected seconds, as in 61.5") from error
    end_s += start_s if is_duration else 0.0
    if not (math.isfinite(start_s) and math.isfinite(end_s)) or end_s < start_s:
        raise ParameterError(f"{where}: from {start_s:g} s to {end_s:g} s; expected an event that ends after its start")
    if not (math.isnan(found) or 0 <= found <= 1):
        raise ParameterError(f"{where}: confidence {found:g}; expected a number from 0 to 1")
    return _Row(start_s, end_s, label, label if kind is None else kind, found)


def _marked(row: _Row) -> _Row:
    """Take the confidence out of a text, where our writer put it."""
    match = _CONFIDENCE.fullmatch(row.label)
    if match is None or float(match[2]) > 1:
        return row
    return row._replace(label=match[1], kind=match[1], confidence=float(match[2]))


# A format each ---------------------------------------------------------------------------------------------


def _lines_of_csv(path: Path, text: str) -> Iterator[_Row]:
    head = next(line for line in text.splitlines() if line.strip())
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        cells = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        _strange(path, f"cannot be read from line {reader.line_num} on ({error})", error)
    (_, names), *lines = [(number, line) for number, line in cells if any(line)]
    at = {name.lower(): place for place, name in enumerate(names)}
    end = "end_s" if "end_s" in at else "duration_s"
    kind = "kind" if "kind" in at else "label"
    needed = {"start_s": "start_s", end: "end_s (or duration_s)", kind: "kind"}
    missing = [name for column, name in needed.items() if column not in at]
    if missing:
        raise ParameterError(
            f"{path} has the columns {', '.join(map(repr, names))}; missing: {', '.join(missing)}. Name the columns in "
            "the first line"
        )
    for number, line in lines:
        where = f"{path}, line {number}"
        cells_of = {name: line[place] if place < len(line) else "" for name, place in at.items()}
        if not cells_of[kind]:
            raise ParameterError(f"{where}: no {kind}; expected a word such as apnea")
        yield _row(
            where, cells_of["start_s"], cells_of[end], cells_of.get("label") or cells_of[kind], kind=cells_of[kind],
            is_duration=end == "duration_s", confidence=cells_of.get("confidence", ""),
        )  # fmt: skip


def _is_label(line: str) -> bool:
    try:
        return len([float(cell) for cell in line.split("\t")[:2]]) == 2
    except ValueError:
        return False


def _labels(path: Path, lines: Sequence[tuple[int, str]]) -> Iterator[_Row]:
    for number, line in lines:
        if line.startswith("\\"):  # frequencies that belong to the label above
            continue
        start, end, label = [*line.split("\t", 2), "", ""][:3]
        yield _marked(_row(f"{path}, line {number}", start, end, label.strip()))


def _read_edf(path: Path) -> _Read:
    with required_for("reading EDF+", "edfio"):
        import edfio
    try:
        edf = edfio.read_edf(path, header_encoding="latin-1")
        is_plus, found = edf.reserved.startswith("EDF+"), edf.annotations
        try:
            day = edf.startdate
        except (edfio.AnonymizedDateError, ValueError):
            day = _NO_DATE
        started = datetime.combine(day, edf.starttime)
    except Exception as error:  # a damaged header may break edfio anywhere
        _strange(path, f"begins like EDF and cannot be read as such ({error})", error)
    if not is_plus:
        _strange(path, "is plain EDF, which has no annotations")
    rows = [
        _marked(_row(f"{path}, annotation {number}", str(one.onset), str(one.duration or 0.0), one.text,
                     is_duration=True))
        for number, one in enumerate(found, 1)
        if one.text.lower() not in _MARKS
    ]  # fmt: skip
    return _Read(rows, None if started == datetime.combine(_NO_DATE, datetime.min.time()) else started, has_clock=True)


def _read_rml(path: Path, data: bytes) -> _Read:
    rows: list[_Row] = []
    started: list[str] = []
    above: list[str] = []
    seen: set[str] = set()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def refuse(*_: Any) -> NoReturn:
        raise ParameterError(
            f"{path} holds a document type declaration (DTD), which can make a reader expand or fetch what it should "
            "not; such files are refused. Take the <!DOCTYPE ...> out if you trust the file"
        )

    def begin(name: str, attributes: dict[str, str]) -> None:
        name = name.rsplit(" ", 1)[-1]
        if name == "Event" and above[-1:] == ["Events"] and "ScoringData" in above:
            where = f"{path}, line {parser.CurrentLineNumber}"
            missing = [needed for needed in ("Type", "Start", "Duration") if needed not in attributes]
            if missing:
                raise ParameterError(f"{where}: an Event without {', '.join(missing)}; the file is damaged")
            rows.append(_row(where, attributes["Start"], attributes["Duration"], attributes["Type"], is_duration=True))
        above.append(name)
        seen.add(name)

    def text(content: str) -> None:
        if above and above[-1] == "RecordingStart":
            started.append(content)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda name: above.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        _strange(path, f"begins like XML and is not well-formed ({error})", error)
    if "ScoringData" not in seen:
        _strange(path, "is XML without ScoringData")
    try:
        when = datetime.fromisoformat(started[0].strip()) if started else None
    except ValueError:
        when = None
    return _Read(rows, when, has_clock=True)


def _shift_s(path: Path, started: datetime | None, recording_start: datetime) -> float:
    """What to add to the seconds of a file, so that they count from the beginning of the sound."""
    if not isinstance(recording_start, datetime):
        raise ParameterError(f"recording_start is {recording_start!r}; expected a datetime.datetime, or None")
    if started is None:
        raise ParameterError(
            f"{path} does not tell when it begins, so its events cannot be placed by recording_start; leave "
            "recording_start out if the annotations begin with the recording"
        )
    # Sleep laboratories write local time without a zone: of an aware time the wall clock counts.
    started, recording_start = started.replace(tzinfo=None), recording_start.replace(tzinfo=None)
    shift = started - recording_start
    if started.date() == _NO_DATE:
        day = timedelta(days=1)
        shift = (shift + day / 2) % day - day / 2
    if abs(shift) >= timedelta(days=1):
        raise ParameterError(
            f"{path} begins at {started.isoformat(' ')}, more than a day from recording_start, "
            f"{recording_start.isoformat(' ')}; expected annotations of the same night"
        )
    return shift.total_seconds()


# Writing ---------------------------------------------------------------------------------------------------


def check_events(events: Any, name: str = "events") -> pd.DataFrame:
    """
    Check that a table is an event table.

    Parameters
    ----------
    events : pandas.DataFrame
        ``start_s``, ``end_s``, ``kind`` and, where known, ``label`` and ``confidence``.
    name : str
        What to call it in the errors.

    Returns
    -------
    pandas.DataFrame
        Those columns alone, numbers as float, the rows in the order given, numbered from 0.

    Raises
    ------
    ParameterError
        If it is no table, lacks a column, or holds times that are missing or end before they start.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.datasets.annotations import check_events
    >>> check_events(pd.DataFrame({"start_s": [5], "end_s": [20], "kind": ["apnea"], "colour": "red"})).columns.tolist()
    ['start_s', 'end_s', 'kind']
    """
    if not isinstance(events, pd.DataFrame) or not set(_COLUMNS[:3]) <= set(events.columns):
        got = f"columns {list(events.columns)}" if isinstance(events, pd.DataFrame) else type(events).__name__
        raise ParameterError(f"{name} has {got}; expected a DataFrame with start_s, end_s and kind")
    table = events.loc[:, [column for column in _COLUMNS if column in events]].reset_index(drop=True)
    for column in {"start_s", "end_s", "confidence"} & set(table.columns):
        try:
            table[column] = table[column].astype(float)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{name}[{column!r}] does not hold numbers ({error}); expected float") from error
    start, end = table["start_s"].to_numpy(), table["end_s"].to_numpy()
    wrong = ~(np.isfinite(start) & np.isfinite(end)) | (end < start)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ParameterError(
            f"{name} has in row {row} an event from {start[row]:g} s to {end[row]:g} s; expected finite seconds and an "
            "end that is not before the start"
        )
    return table


def write_annotations(
    events: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    recording_start: datetime | None = None,
    duration_s: float | None = None,
) -> Path:
    """
    Write events for other programs; the extension of the file chooses the format.

    ``.csv`` is a table, ``.txt`` a label track of Audacity, ``.edf`` an EDF+ file that holds annotations alone, as
    EDFbrowser, Polyman and MNE open it. In the latter two the text of an event is its kind, followed, where known, by
    its confidence, as in ``apnea (confidence 0.83)``. All three come back from `read_annotations` with the same times
    (to the microsecond), kinds and confidences. A file that is there is replaced, in one step: nobody ever finds half
    a file.

    Parameters
    ----------
    events : pandas.DataFrame
        ``start_s``, ``end_s``, ``kind`` and, where known, ``confidence``; of any other column nothing is written but
        ``label`` in a CSV file.
    path : path-like
        Ends in ``.csv``, ``.txt`` or ``.edf``.
    recording_start : datetime, optional
        When the recording began (wall clock, 1985 to 2084); stands in the header of ``.edf``, the other formats have
        no room for it.
    duration_s : float, optional
        Length of the recording; ``.edf`` gets an annotation "Recording ends" there. `read_annotations` passes over it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        If the table is no event table, the extension another, a kind holds control characters such as tabs, or the
        file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from vocalbio.datasets.annotations import read_annotations, write_annotations
    >>> events = pd.DataFrame({"start_s": [61.5], "end_s": [80.25], "kind": ["apnea"], "confidence": [0.83]})
    >>> path = write_annotations(events, pathlib.Path(tempfile.mkdtemp()) / "night.edf")
    >>> read_annotations(path)[["start_s", "end_s", "kind", "confidence"]].equals(events)
    True
    """
    path = Path(os.fsdecode(path)).expanduser()
    makers: dict[str, Callable[[pd.DataFrame], bytes]] = {
        ".csv": _as_csv,
        ".txt": _as_labels,
        ".edf": partial(_as_edf, start=recording_start, end_s=duration_s),
    }
    if path.suffix.lower() not in makers:
        raise ParameterError(f"path is {path.name!r}; expected a name that ends in {', '.join(makers)}")
    if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
        raise ParameterError(f"duration_s is {duration_s!r}; expected a length in seconds above 0, or None")
    table = check_events(events).sort_values(["start_s", "end_s"], kind="stable", ignore_index=True)
    table["kind"] = table["kind"].astype(str)
    for kind in table["kind"].unique():
        if not kind.strip() or not kind.isprintable():
            raise ParameterError(f"events holds the kind {kind!r}; expected a word without tabs or line breaks")
    for end in ("start_s", "end_s"):
        table[end] = table[end].round(_DECIMALS)
    content = makers[path.suffix.lower()](table)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ParameterError(f"cannot write {path} ({error.strerror}); choose a folder that exists") from error
    return path


def _as_csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _as_labels(table: pd.DataFrame) -> bytes:
    lines = [f"{start:.6f}\t{end:.6f}\t{text}\n" for start, end, text in _texts(table)]
    return "".join(lines).encode()


def _as_edf(table: pd.DataFrame, start: datetime | None, end_s: float | None) -> bytes:
    with required_for("writing EDF+", "edfio"):
        from edfio import Edf, EdfAnnotation, Recording
    marks = [EdfAnnotation(0.0, None, "Recording starts")]
    if end_s is not None:
        marks.append(EdfAnnotation(float(end_s), None, "Recording ends"))
    events = [EdfAnnotation(begin, round(stop - begin, _DECIMALS), text) for begin, stop, text in _texts(table)]
    buffer = io.BytesIO()
    try:
        edf = Edf(
            [],
            recording=Recording(startdate=None if start is None else start.date(), equipment_code="vocalbio"),
            starttime=None if start is None else start.time().replace(tzinfo=None),
            annotations=[*marks, *events],
        )
    except (AttributeError, ValueError) as error:
        raise ParameterError(
            f"recording_start is {start!r} ({error}); expected a datetime from 1985 to 2084, or None"
        ) from error
    edf.write(buffer)
    return buffer.getvalue()


def _texts(table: pd.DataFrame) -> Iterator[tuple[float, float, str]]:
    confidences = table["confidence"] if "confidence" in table else [math.nan] * len(table)
    for start, end, kind, confidence in zip(table["start_s"], table["end_s"], table["kind"], confidences, strict=True):
        yield float(start), float(end), kind if math.isnan(confidence) else f"{kind} (confidence {float(confidence)!r})"
