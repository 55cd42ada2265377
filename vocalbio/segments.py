"""Stretches of time: windows, turns of speakers, speech between pauses. Tables and arrays, all in seconds."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vocalbio.audio import Recording, check_seconds, window_bounds
from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    import parselmouth
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "merge_turns",
    "read_rttm",
    "read_textgrid",
    "sounding_intervals",
    "speech_intervals",
    "speech_only",
    "turns_to_index",
    "windows",
]

SILENT_PEAK = 1e-6  # -120 dBFS: below the last bit of 16
SHORTEST_S = 6.4 / 50  # what Praat's intensity needs at its pitch floor of 50 Hz


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


def _need_columns(table: pd.DataFrame, *columns: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ParameterError(f"the table has no column {missing}; it has {list(table.columns)}")
