"""Stretches of time: windows, turns of speakers, speech between pauses. Tables and arrays, all in seconds."""

from __future__ import annotations

import csv
import os
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np
import pandas as pd

from vocalbio.audio import Recording, check_seconds, window_bounds
from vocalbio.errors import ParameterError, VocalbioWarning, required_for

if TYPE_CHECKING:
    import parselmouth
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "merge_turns",
    "read_elan",
    "read_rttm",
    "read_textgrid",
    "read_transcript",
    "sounding_intervals",
    "speech_intervals",
    "speech_only",
    "turns_to_index",
    "windows",
]

SILENT_PEAK = 1e-6  # -120 dBFS: below the last bit of 16
SHORTEST_S = 6.4 / 50  # what Praat's intensity needs at its pitch floor of 50 Hz
TRANSCRIPT_COLUMNS = {
    "start_s": ("start_s", "start_time", "start", "begin", "onset"),
    "end_s": ("end_s", "end_time", "stop_time", "end", "stop", "offset"),
    "speaker": ("speaker", "participant", "who"),
    "text": ("text", "value", "transcript", "utterance", "words"),
}
"""Names under which transcripts hold their columns, in small letters."""


def windows(duration_s: float, window_s: float, hop_s: float, sampling_rate_hz: float = 16_000) -> NDArray[np.float64]:
    """
    Where the windows lie that `vocalbio.audio.window_audio` cuts out of a recording.

    Parameters
    ----------
    duration_s : float
        Length of the recording in seconds.
    window_s, hop_s : float
        Length of a window and distance between two starts, in seconds.
    sampling_rate_hz : float, default 16000
        Rate to whose samples the times are rounded, in Hz.

    Returns
    -------
    ndarray of float64, shape (n_windows, 2)
        Start and end in seconds.

    Raises
    ------
    ParameterError
        If an argument is not a positive number (a duration may be 0).

    Examples
    --------
    >>> from vocalbio.segments import windows
    >>> windows(7.0, window_s=4.0, hop_s=4.0)
    array([[0., 4.],
           [4., 7.]])
    """
    check_seconds(window_s=window_s, hop_s=hop_s, **({"duration_s": duration_s} if duration_s else {}))
    length = round(duration_s * sampling_rate_hz)
    bounds = window_bounds(lambda stop, keep: int(min(stop, length)), window_s, hop_s, sampling_rate_hz)
    return np.array(list(bounds), np.float64).reshape(-1, 2) / sampling_rate_hz


def read_rttm(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""
    Read who speaks when from a Rich Transcription Time Marked file.

    Parameters
    ----------
    path : path-like
        The .rttm file, in UTF-8. Its ``SPEAKER`` lines are read, other types of line are passed over.

    Returns
    -------
    DataFrame
        One row a turn, in the order of the file: ``file`` (the recording's name in the RTTM, which is no
        path), ``start_s``, ``end_s``, ``speaker``.

    Raises
    ------
    ParameterError
        If there is no such file or a line is not RTTM.

    References
    ----------
    .. [1] NIST. The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan, appendix A.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from vocalbio.segments import read_rttm
    >>> path = pathlib.Path(tempfile.mkdtemp(), "talk.rttm")
    >>> _ = path.write_text("SPEAKER talk 1 0.50 2.00 <NA> <NA> ann <NA> <NA>\n")
    >>> read_rttm(path)
       file  start_s  end_s speaker
    0  talk      0.5    2.5     ann
    """
    rows = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start_s, duration_s = float(fields[3]), float(fields[4])
            rows.append((fields[1], start_s, start_s + duration_s, fields[7]))
        except (IndexError, ValueError):
            raise ParameterError(
                f"{os.fsdecode(path)}, line {number}: {line!r}; expected "
                "'SPEAKER file channel start duration <NA> <NA> speaker', times in seconds"
            ) from None
    return pd.DataFrame(rows, columns=["file", "start_s", "end_s", "speaker"]).astype(
        {"start_s": "float64", "end_s": "float64"}
    )


def read_textgrid(path: str | os.PathLike[str], tier: str | None = None) -> pd.DataFrame:
    """
    Read the intervals of a Praat TextGrid, long or short, in whatever encoding Praat writes.

    Parameters
    ----------
    path : path-like
        The .TextGrid file.
    tier : str, optional
        Name of the interval tier; needed only where there are several.

    Returns
    -------
    DataFrame
        One row an interval, those without a label included: ``start_s``, ``end_s``, ``label``.

    Raises
    ------
    ParameterError
        If there is no such file or tier, or it is no TextGrid.
    MissingPackageError
        If parselmouth is not installed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from parselmouth.praat import call
    >>> from vocalbio.segments import read_textgrid
    >>> path = pathlib.Path(tempfile.mkdtemp(), "talk.TextGrid")
    >>> grid = call("Create TextGrid", 0, 2, "speaker", "")
    >>> call(grid, "Insert boundary", 1, 0.5)
    >>> call(grid, "Set interval text", 1, 2, "ann")
    >>> call(grid, "Save as text file", str(path))
    >>> read_textgrid(path).label.tolist()
    ['', 'ann']
    """
    with required_for("reading a TextGrid", "praat-parselmouth"):
        import parselmouth
        from parselmouth.praat import call

    name = os.fsdecode(path)
    if not os.path.isfile(path):
        raise ParameterError(f"{name} does not exist or is no file; check the path")
    try:
        grid = parselmouth.read(name)
    except parselmouth.PraatError as error:
        raise ParameterError(f"{name} is no TextGrid that Praat can read: {str(error).splitlines()[0]}") from error
    if not isinstance(grid, parselmouth.TextGrid):
        raise ParameterError(f"{name} holds a {type(grid).__name__}; expected a TextGrid")
    tiers = {
        call(grid, "Get tier name", number): number
        for number in range(1, call(grid, "Get number of tiers") + 1)
        if call(grid, "Is interval tier", number)
    }
    if tier is None and len(tiers) == 1:
        tier = next(iter(tiers))
    if tier not in tiers:
        raise ParameterError(f"tier is {tier!r}; expected one of the interval tiers of {name}: {list(tiers)}")
    return pd.DataFrame(_intervals(grid, tiers[tier]), columns=["start_s", "end_s", "label"])


def read_elan(path: str | os.PathLike[str], tier: str | None = None) -> pd.DataFrame:
    """
    Read who speaks when from an ELAN annotation file.

    Parameters
    ----------
    path : path-like
        The .eaf file, of format 2.x or 3.0. Document types and entities, which ELAN never writes, are refused.
    tier : str, optional
        Name of one tier; by default all tiers whose annotations have times of their own.

    Returns
    -------
    DataFrame
        One row an annotation, in order of time: ``start_s``, ``end_s``, ``speaker`` (the tier's participant, or else
        its name), ``tier``, ``label``. Annotations that depend on another (translations, glosses) are no turns and are
        left out.

    Raises
    ------
    ParameterError
        If there is no such file or tier, or it is no ELAN file.

    Warns
    -----
    VocalbioWarning
        If the times of an annotation are not known, which is then left out.

    References
    ----------
    .. [1] Brugman H, Russel A. Annotating multi-media/multi-modal resources with ELAN. LREC 2004;2065-2068.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from vocalbio.segments import read_elan
    >>> path = pathlib.Path(tempfile.mkdtemp(), "talk.eaf")
    >>> _ = path.write_text('''<ANNOTATION_DOCUMENT><TIME_ORDER>
    ... <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2500"/>
    ... </TIME_ORDER><TIER TIER_ID="A" PARTICIPANT="ann"><ANNOTATION>
    ... <ALIGNABLE_ANNOTATION TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>hello</ANNOTATION_VALUE>
    ... </ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>''')
    >>> read_elan(path)
       start_s  end_s speaker tier  label
    0      0.5    2.5     ann    A  hello
    """
    name = os.fsdecode(path)
    document = _parse_xml(path, "ELAN file")
    if document.tag != "ANNOTATION_DOCUMENT":
        raise ParameterError(f"{name} is no ELAN file: its root is <{document.tag}>; expected <ANNOTATION_DOCUMENT>")
    tiers = {str(found.get("TIER_ID")): found for found in document.iter("TIER")}
    if tier is not None and tier not in tiers:
        raise ParameterError(f"tier is {tier!r}; expected one of the tiers of {name}: {list(tiers)}")
    milliseconds = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in document.iter("TIME_SLOT")}
    rows, lost = [], 0
    for tier_name in tiers if tier is None else [tier]:
        speaker = tiers[tier_name].get("PARTICIPANT") or tier_name
        for annotation in tiers[tier_name].iter("ALIGNABLE_ANNOTATION"):
            slots = [milliseconds.get(annotation.get(f"TIME_SLOT_REF{number}")) for number in (1, 2)]
            try:
                start_s, end_s = (float(slot) / 1000 for slot in slots)  # type: ignore[arg-type]
            except (TypeError, ValueError):  # a slot without a time: ELAN spreads such ones out when it draws them
                lost += 1
                continue
            label = annotation.findtext("ANNOTATION_VALUE") or ""
            rows.append((start_s, end_s, speaker, tier_name, label))
    if lost:
        warnings.warn(
            f"{name}: {lost} annotations have no time of their own and are left out", VocalbioWarning, stacklevel=2
        )
    table = pd.DataFrame(rows, columns=["start_s", "end_s", "speaker", "tier", "label"])
    return table.astype({"start_s": float, "end_s": float}).sort_values("start_s", kind="stable", ignore_index=True)


def read_transcript(path: str | os.PathLike[str], speaker: str | None = None) -> pd.DataFrame:
    r"""
    Read who speaks when from a transcript in a table.

    Parameters
    ----------
    path : path-like
        A table in UTF-8 with a line of column names, and tabs, semicolons or commas between the columns: when a turn
        starts and ends (``start_time``, ``stop_time``, ``start``, ``end``, ``onset``, ... in seconds), who speaks
        (``speaker``, ``participant``) and, where there is one, the text (``text``, ``value``, ...). Case is ignored.
    speaker : str, optional
        Who speaks all of it, for a transcript that does not say.

    Returns
    -------
    DataFrame
        One row a turn, in the order of the file: ``start_s``, ``end_s``, ``speaker``, ``text``.

    Raises
    ------
    ParameterError
        If it cannot be read or lacks a column.

    Warns
    -----
    VocalbioWarning
        If the times of some lines are no times: no numbers, or an end before its start. Those lines are left out.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from vocalbio.segments import read_transcript
    >>> path = pathlib.Path(tempfile.mkdtemp(), "talk.csv")
    >>> _ = path.write_text("start_time\tstop_time\tspeaker\tvalue\n0.5\t2.5\tann\thello, you\n")
    >>> read_transcript(path)
       start_s  end_s speaker        text
    0      0.5    2.5     ann  hello, you
    """
    name = os.fsdecode(path)
    lines = _read_text(path).splitlines()
    header = lines[0] if lines else ""
    between = max("\t;,", key=header.count)
    columns = [column.strip().lower() for column in header.split(between)]
    places = {
        wanted: next((columns.index(known) for known in names if known in columns), None)
        for wanted, names in TRANSCRIPT_COLUMNS.items()
    }
    missing = [wanted for wanted in ("start_s", "end_s", "speaker") if places[wanted] is None]
    if speaker is not None and "speaker" in missing:
        missing.remove("speaker")
    if missing:
        known = "; ".join(" or ".join(TRANSCRIPT_COLUMNS[wanted]) for wanted in missing)
        raise ParameterError(f"{name} has the columns {columns}; expected one named {known}")
    rows, wrong = [], []
    # text is free: quotation marks in a table with tabs mean themselves
    reader = csv.reader(lines[1:], delimiter=between, quoting=csv.QUOTE_NONE if between == "\t" else csv.QUOTE_MINIMAL)
    for fields in reader:
        if not any(field.strip() for field in fields):
            continue
        found = {wanted: fields[k].strip() for wanted, k in places.items() if k is not None and k < len(fields)}
        start_s, end_s = (_number(found.get(wanted)) for wanted in ("start_s", "end_s"))
        if not 0 <= start_s <= end_s < np.inf:
            wrong.append(reader.line_num + 1)
            continue
        rows.append((start_s, end_s, found.get("speaker") or speaker or "", found.get("text", "")))
    if wrong:
        named = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        warnings.warn(
            f"{name}: left out {len(wrong)} lines without a start and an end in seconds (line {named})",
            VocalbioWarning,
            stacklevel=2,
        )
    return pd.DataFrame(rows, columns=["start_s", "end_s", "speaker", "text"]).astype(
        {"start_s": float, "end_s": float}
    )


def merge_turns(table: pd.DataFrame, max_gap_s: float = 1.0, min_duration_s: float = 1.0) -> pd.DataFrame:
    """
    Join the turns of a speaker that follow each other closely, and drop what is then still short.

    Parameters
    ----------
    table : DataFrame
        One row a turn: ``start_s``, ``end_s``, ``speaker`` and, where it holds several recordings, ``file``.
    max_gap_s : float, default 1.0
        Turns of one speaker less than this apart become one, whatever others say in between, in seconds.
    min_duration_s : float, default 1.0
        Turns shorter than this after joining are dropped, in seconds.

    Returns
    -------
    DataFrame
        Those columns, sorted by file, start and speaker.

    Raises
    ------
    ParameterError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.segments import merge_turns
    >>> turns = pd.DataFrame({"start_s": [0.0, 2.2, 9.0], "end_s": [2.0, 4.0, 9.3], "speaker": "ann"})
    >>> merge_turns(turns)
       start_s  end_s speaker
    0      0.0    4.0     ann
    """
    _need_columns(table, "start_s", "end_s", "speaker")
    who = [column for column in ("file", "speaker") if column in table]
    turns = table.astype({"start_s": float, "end_s": float}).sort_values([*who, "start_s"], ignore_index=True)
    so_far = turns.groupby(who)["end_s"].cummax()
    gap = turns["start_s"] - so_far.groupby([turns[column] for column in who]).shift()
    turns["turn"] = (gap.isna() | (gap >= max_gap_s)).cumsum()
    merged = turns.groupby([*who, "turn"], as_index=False).agg({"start_s": "min", "end_s": "max"})
    merged = merged[merged["end_s"] - merged["start_s"] >= min_duration_s]
    columns = [column for column in ("file", "start_s", "end_s", "speaker") if column in table]
    return merged[columns].sort_values([*columns[:-2], "speaker"], ignore_index=True)


def turns_to_index(table: pd.DataFrame, file: str | os.PathLike[str]) -> pd.MultiIndex:
    """
    Turns of one recording as the index that `vocalbio.extract_features` takes as its audio.

    Parameters
    ----------
    table : DataFrame
        One row a turn, with ``start_s`` and ``end_s``.
    file : path-like
        The audio file that they are turns of.

    Returns
    -------
    MultiIndex
        Levels ``file``, ``start``, ``end``; the last two are Timedelta, as in audformat and opensmile.

    Raises
    ------
    ParameterError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.segments import turns_to_index
    >>> turns_to_index(pd.DataFrame({"start_s": [0.5], "end_s": [2.5]}), "talk.wav")[0]
    ('talk.wav', Timedelta('0 days 00:00:00.500000'), Timedelta('0 days 00:00:02.500000'))
    """
    _need_columns(table, "start_s", "end_s")
    return pd.MultiIndex.from_arrays(
        [
            [os.fsdecode(file)] * len(table),
            pd.to_timedelta(table["start_s"].to_numpy(float), unit="s"),
            pd.to_timedelta(table["end_s"].to_numpy(float), unit="s"),
        ],
        names=["file", "start", "end"],
    )


def speech_intervals(
    recording: Recording, min_pause_s: float = 0.3, min_sounding_s: float = 0.1, threshold_db: float = -25.0
) -> NDArray[np.float64]:
    """
    Find where there is sound between pauses, by its intensity alone.

    A stretch is a pause when its intensity stays `threshold_db` below the 0.99 quantile. The rule is made for
    a voice in a quiet room: where speech is less than some 25 dB above the noise everything counts as
    sounding, and any other loud sound counts as well. The recording is held in memory in double precision:
    cut long ones first.

    Parameters
    ----------
    recording : Recording
    min_pause_s, min_sounding_s : float
        The shortest pause and the shortest sounding stretch, in seconds.
    threshold_db : float, default -25
        In dB re the 0.99 quantile of the intensity.

    Returns
    -------
    ndarray of float64, shape (n_intervals, 2)
        Start and end in seconds on the file's time axis, so that ``recording.cut(*interval)`` is the sound.
        None for digital silence and for less than 0.13 s, which has no intensity.

    Raises
    ------
    AudioError
        If ``recording.check()`` fails.
    ParameterError
        If a length is not positive or the threshold not negative.
    MissingPackageError
        If parselmouth is not installed.

    References
    ----------
    .. [1] de Jong NH, Wempe T. Praat script to detect syllable nuclei and measure speech rate automatically.
       Behav Res Methods 2009;41:385-390. doi:10.3758/BRM.41.2.385

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording
    >>> from vocalbio.segments import speech_intervals
    >>> buzz = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    >>> recording = Recording(np.concatenate([buzz, np.zeros(16_000), buzz]), 16_000)
    >>> speech_intervals(recording).round(1)
    array([[0., 1.],
           [2., 3.]])
    """
    with required_for("finding pauses", "praat-parselmouth"):
        import parselmouth

    check_seconds(min_pause_s=min_pause_s, min_sounding_s=min_sounding_s)
    if not threshold_db < 0:
        raise ParameterError(f"threshold_db is {threshold_db!r}; expected a negative number of dB")
    recording.check()
    samples = recording.samples.astype(np.float64)
    samples -= samples.mean()
    if recording.duration_s < SHORTEST_S:
        return np.empty((0, 2))
    sound = parselmouth.Sound(samples, recording.sampling_rate_hz)
    return recording.start_s + sounding_intervals(sound, None, min_pause_s, min_sounding_s, threshold_db)


def sounding_intervals(
    sound: parselmouth.Sound,
    intensity: parselmouth.Intensity | None = None,
    min_pause_s: float = 0.3,
    min_sounding_s: float = 0.1,
    threshold_db: float = -25.0,
) -> NDArray[np.float64]:
    """
    Do what `speech_intervals` does, for a sound that Praat holds already.

    Parameters
    ----------
    sound : parselmouth.Sound
        Mean removed, 0.13 s or longer.
    intensity : parselmouth.Intensity, optional
        ``sound.to_intensity(50, 0.016, True)``, for those who have it.
    min_pause_s, min_sounding_s, threshold_db : float
        As in `speech_intervals`.

    Returns
    -------
    ndarray of float64, shape (n_intervals, 2)
        Start and end in seconds from the beginning of the sound.

    Examples
    --------
    >>> import numpy as np, parselmouth
    >>> from vocalbio.segments import sounding_intervals
    >>> buzz = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    >>> sounding_intervals(parselmouth.Sound(np.concatenate([buzz, np.zeros(16_000)]), 16_000)).round(1)
    array([[0., 1.]])
    """
    import parselmouth
    from parselmouth.praat import call

    if np.abs(sound.values).max() < SILENT_PEAK:
        return np.empty((0, 2))
    intensity = intensity or sound.to_intensity(50.0, 0.016, True)
    loudest = call(intensity, "Get maximum", 0, 0, "parabolic")
    threshold_db -= loudest - call(intensity, "Get quantile", 0, 0, 0.99)  # Praat counts from the maximum
    with warnings.catch_warnings():  # that loud and soft are close to each other; then all is sounding
        warnings.simplefilter("ignore", parselmouth.PraatWarning)
        grid = call(intensity, "To TextGrid (silences)", threshold_db, min_pause_s, min_sounding_s, "", "sounding")
    times = [(start, end) for start, end, label in _intervals(grid, 1) if label]
    return np.array(times, np.float64).reshape(-1, 2)


def speech_only(recording: Recording, intervals: ArrayLike | None = None) -> Recording:
    """
    Join the sounding stretches of a recording, leaving the pauses out.

    The stretches are put end to end without a fade: the cuts lie in pauses, where there is little to click.
    Timing measures, and whatever looks across a cut, mean nothing on the result.

    Parameters
    ----------
    recording : Recording
    intervals : array_like of float, shape (n_intervals, 2), optional
        Start and end in seconds on the file's time axis; those of `speech_intervals` unless given.

    Returns
    -------
    Recording
        Starting at 0 on a time axis of its own; without samples where there is no speech.

    Raises
    ------
    AudioError
        If an interval is not inside the recording, or the recording cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording
    >>> from vocalbio.segments import speech_only
    >>> speech_only(Recording(np.zeros(16_000), 16_000), [(0.1, 0.2), (0.5, 0.9)])
    Recording(0.50 s at 16000 Hz)
    """
    spans = speech_intervals(recording) if intervals is None else np.asarray(intervals, float).reshape(-1, 2)
    parts = [recording.cut(start, end) for start, end in spans]
    starts = np.cumsum([0.0, *(part.duration_s for part in parts)])
    clipped = [
        part.clipped_s - part.start_s + start
        for part, start in zip(parts, starts, strict=False)
        if part.clipped_s is not None
    ]
    samples = np.concatenate([np.empty(0, np.float32), *(part.samples for part in parts)])
    return Recording(
        samples,
        recording.sampling_rate_hz,
        recording.file,
        source_rate_hz=recording.source_rate_hz,
        clipped_s=np.concatenate([np.empty(0), *clipped]) if recording.clipped_s is not None else None,
    )


def _intervals(grid: Any, tier: int) -> list[tuple[float, float, str]]:
    from parselmouth.praat import call

    return [
        (
            call(grid, "Get start time of interval", tier, number),
            call(grid, "Get end time of interval", tier, number),
            call(grid, "Get label of interval", tier, number),
        )
        for number in range(1, call(grid, "Get number of intervals", tier) + 1)
    ]


def _read_text(path: str | os.PathLike[str]) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{os.fsdecode(path)} cannot be read as text: {error}; check the path") from error


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _parse_xml(path: str | os.PathLike[str], what: str) -> ElementTree.Element:
    """Parse XML that has no document type: entities of one can grow without bound or name other files."""
    name = os.fsdecode(path)

    def refuse(*_: Any) -> None:
        raise ParameterError(f"{name} declares a document type, which no {what} does; it is not read")

    checker = expat.ParserCreate()
    checker.StartDoctypeDeclHandler = refuse
    try:
        with open(path, "rb") as file:
            content = file.read()
        checker.Parse(content, True)
        return ElementTree.fromstring(content)
    except (OSError, expat.ExpatError, ElementTree.ParseError) as error:
        raise ParameterError(f"{name} cannot be read as an {what}: {error}") from error


def _need_columns(table: pd.DataFrame, *columns: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ParameterError(f"the table has no column {missing}; it has {list(table.columns)}")
