"""
Simulated nights: whole nights of breathing with known apneas and hypopneas, put together from short clips.

Nothing here is a recording of a night. A simulated night tells what a detector does with sounds whose truth is known
by construction; it cannot tell how often a real patient's events are found.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.audio import Recording, load_audio
from vocalbio.datasets.voices import VoiceParameters, synthesize_voice
from vocalbio.errors import AudioError, ParameterError

__all__ = ["DISTURBANCES", "NightClips", "SimulatedNight", "simulate_night"]

RATE_HZ = 16_000
DISTURBANCES: dict[str, float] = {
    "gap": 4.0,
    "quiet": 0.5,
    "bed_exit": 0.25,
    "position": 1.5,
    "partner": 0.5,
    "speech": 1.0,
    "cough": 1.5,
    "alarm": 0.25,
    "fan": 0.3,
    "handling": 0.5,
    "clipping": 0.2,
    "dropout": 0.4,
    "other": 1.0,
}
"""How many of each disturbance come in an hour unless asked otherwise; ``other`` needs clips of that kind."""

EVENT_COLUMNS = ["start_s", "end_s", "kind", "reduction", "ending", "clustered", "spliced"]
NOISES = ("alarm", "cough", "fan", "handling", "other", "rustle", "speech", "steps")
MICROPHONE_DBFS = -75.0
CHUNK_S = 10  # what is rendered at once; fixed, so that the length of blocks cannot change a bit
FILL = 0.8  # of the night at most; the rest is plain breathing
LEAD_S, TAIL_S = 20.0, 30.0  # plain breathing at the ends of a night
SPLICE_DB = -6.0  # of a spliced event's breathing re the night's median breathing
FLOOR_FADE_S = 10.0

_Samples = NDArray[np.float32]


@dataclass(frozen=True)
class NightClips:
    """
    What nights are made of. Whatever is left empty is synthesised (crudely) when a night needs it.

    Parameters
    ----------
    snores : mapping of str to sequence of Recording
        By source: the snores of one source are taken for one sleeper's.
    inhales, exhales : mapping of str to sequence of Recording
        Single breathing sounds without snoring, by source.
    gasps : sequence of Recording
        Sounds at which breathing resumes; empty: made from snores.
    noises : mapping of str to sequence of Recording
        By kind: ``"alarm"``, ``"cough"``, ``"fan"`` (steady sound: only its spectrum is used), ``"handling"`` (of the
        phone), ``"rustle"`` (of bedding), ``"speech"``, ``"steps"`` and ``"other"``.

    Raises
    ------
    AudioError
        If a clip is empty, not finite, silent or shorter than 50 ms.
    ParameterError
        If an argument is not of that form or a kind of noise is unknown.

    Notes
    -----
    Clips are resampled to 16 kHz. Levels do not matter: every sound is set to the level that the night gives it.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.audio import Recording
    >>> from vocalbio.datasets.nights import NightClips
    >>> tone = Recording(0.1 * np.sin(np.arange(8000)), 16_000)
    >>> NightClips(snores={"somebody": [tone]}).snores["somebody"]
    (Recording(0.50 s at 16000 Hz),)
    """

    snores: Mapping[str, Sequence[Recording]] = field(default_factory=dict)
    inhales: Mapping[str, Sequence[Recording]] = field(default_factory=dict)
    exhales: Mapping[str, Sequence[Recording]] = field(default_factory=dict)
    gasps: Sequence[Recording] = ()
    noises: Mapping[str, Sequence[Recording]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("snores", "inhales", "exhales", "noises"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise ParameterError(f"{name} is a {type(given).__name__}; expected a dict of lists of Recording")
            checked = {str(key): _checked(clips, f"{name}[{key!r}]") for key, clips in given.items()}
            object.__setattr__(self, name, {key: clips for key, clips in checked.items() if clips})
        object.__setattr__(self, "gasps", _checked(self.gasps, "gasps"))
        unknown = sorted(map(str, set(self.noises) - set(NOISES)))
        if unknown:
            raise ParameterError(f"noises are of kind {', '.join(unknown)}; expected some of {', '.join(NOISES)}")

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> NightClips:
        """
        Read the clips that a table lists.

        Parameters
        ----------
        table : DataFrame
            One row a clip: ``file``, ``kind`` (``"snore"``, ``"inhale"``, ``"exhale"``, ``"gasp"`` or a kind of
            noise) and ``source`` (who or what is heard); ``start_s`` and ``end_s`` where a clip is a part of its file.

        Returns
        -------
        NightClips

        Raises
        ------
        AudioError
            If a file cannot be read or a clip cannot be used.
        ParameterError
            If a column is missing or a kind is unknown.
        """
        missing = [name for name in ("file", "kind", "source") if name not in getattr(table, "columns", ())]
        if missing:
            raise ParameterError(f"the table of clips lacks {', '.join(missing)}; expected columns file, kind, source")
        sleeper: dict[str, dict[str, list[Recording]]] = {"snore": {}, "inhale": {}, "exhale": {}}
        gasps: list[Recording] = []
        noises: dict[str, list[Recording]] = {}
        last, recording = None, None
        for row in table.to_dict("records"):
            if recording is None or row["file"] != last:
                last, recording = row["file"], load_audio(row["file"], RATE_HZ)
            start_s, end_s = row.get("start_s", math.nan), row.get("end_s", math.nan)
            clip = recording.cut(0.0 if pd.isna(start_s) else start_s, None if pd.isna(end_s) else end_s)
            if row["kind"] in sleeper:
                sleeper[row["kind"]].setdefault(str(row["source"]), []).append(clip)
            elif row["kind"] == "gasp":
                gasps.append(clip)
            elif row["kind"] in NOISES:
                noises.setdefault(row["kind"], []).append(clip)
            else:
                raise ParameterError(
                    f"kind is {row['kind']!r}; expected one of {', '.join((*sleeper, 'gasp', *NOISES))}"
                )
        return cls(sleeper["snore"], sleeper["inhale"], sleeper["exhale"], gasps, noises)


@dataclass(frozen=True, eq=False)
class SimulatedNight:
    """
    A simulated night: what happens in it, and its sound, rendered when asked for.

    Attributes
    ----------
    duration_s : float
    sampling_rate_hz : float
        16000.
    events : DataFrame
        The truth, one row an event in order of time, none overlapping: ``start_s`` (end of the last breathing sound
        before), ``end_s`` (onset of the first one after), ``kind`` (``"apnea"`` or ``"hypopnea"``), ``reduction`` (of
        the amplitude of breathing sound: 1 in a silent apnea, less where faint efforts are heard, 0.3 to 0.9 in a
        hypopnea, NaN where spliced), ``ending`` (``"gasp"``, ``"arousal"``: gasp and movement, or ``"gentle"``),
        ``clustered``, ``spliced``.
    timeline : DataFrame
        Everything else, in order of time: ``start_s``, ``end_s``, ``what``: ``"snore"``, ``"gasp"``, ``"breath"``
        (each inhaled or exhaled sound of the patient's that is louder than the room), ``"effort"`` (faint sounds in an
        apnea), and the names of `DISTURBANCES`. ``"gap"`` and ``"quiet"`` are the times when nothing is heard of
        breathing although it goes on, or (a gap of less than 10 s) is held.
    description : dict
        The settings and what was drawn (levels in dBFS, sources), ready for JSON; ``"simulated"`` is True.
    """

    duration_s: float
    sampling_rate_hz: float
    events: pd.DataFrame
    timeline: pd.DataFrame
    description: dict[str, Any]
    _score: _Score = field(repr=False)

    def blocks(self, block_s: float = 60.0) -> Iterator[Recording]:
        """
        Render the night block by block, in constant memory.

        Parameters
        ----------
        block_s : float
            Length of a block in seconds; the last one is shorter.

        Yields
        ------
        Recording
            Joined, they are the same to the last bit whatever `block_s`.

        Raises
        ------
        ParameterError
            If `block_s` is not a positive number.
        """
        return self._blocks(round(_number("block_s", block_s, 1 / RATE_HZ, 7 * 86_400.0) * RATE_HZ))

    def _blocks(self, size: int) -> Iterator[Recording]:
        file = f"simulated-night-{self.description['seed']}"
        held: list[_Samples] = []
        done = n_held = 0
        for chunk in self._score.chunks():
            held.append(chunk)
            n_held += len(chunk)
            if n_held >= size:
                joined = np.concatenate(held)
                n_whole = n_held // size * size
                for first in range(0, n_whole, size):
                    yield Recording(joined[first : first + size], RATE_HZ, file, (done + first) / RATE_HZ)
                held, n_held, done = [joined[n_whole:]], n_held - n_whole, done + n_whole
        if n_held:
            yield Recording(np.concatenate(held), RATE_HZ, file, done / RATE_HZ)

    def recording(self) -> Recording:
        """Render the whole night at once: 230 MB an hour while it is made, 2 GB for a night."""
        return next(self._blocks(round(self.duration_s * RATE_HZ)))

    def write(self, path: str | os.PathLike[str]) -> None:
        """
        Write the sound (16 bit) and, beside it, the truth.

        Parameters
        ----------
        path : path-like
            Ending in ``.wav`` or ``.flac``. Beside it come ``<stem>.events.csv``, ``<stem>.timeline.csv`` and
            ``<stem>.json`` (the description).

        Raises
        ------
        ParameterError
            If the path does not end so, or cannot be written.
        """
        import soundfile

        path = Path(path)
        if path.suffix.lower() not in (".wav", ".flac"):
            raise ParameterError(f"the path is {str(path)!r}; expected one ending in .wav or .flac")
        try:
            with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as sound:
                sound.comment = "simulated night, vocalbio"
                for block in self.blocks():
                    sound.write(block.samples)
            self.events.to_csv(path.with_suffix(".events.csv"), index=False)
            self.timeline.to_csv(path.with_suffix(".timeline.csv"), index=False)
            path.with_suffix(".json").write_text(json.dumps(self.description, indent=1) + "\n", encoding="utf-8")
        except (OSError, soundfile.SoundFileError) as error:
            raise ParameterError(f"{path} cannot be written ({error}); check that its folder exists") from error


def simulate_night(
    clips: NightClips,
    *,
    duration_s: float = 3600.0,
    snr_db: float | None = None,
    apneas_per_hour: float = 8.0,
    hypopneas_per_hour: float = 6.0,
    disturbances: bool | Mapping[str, float] = True,
    splices: Sequence[tuple[Recording, str]] = (),
    seed: int = 0,
) -> SimulatedNight:
    """
    Plan a simulated night; its sound is rendered later, block by block.

    Parameters
    ----------
    clips : NightClips
        What it is made of.
    duration_s : float, default 3600
        At least 120 s.
    snr_db : float, optional
        Level of the night's median breathing sound over the stationary room noise, in dB. The former is the median,
        over the patient's breathing sounds (snores and breaths) outside of events, gaps and quiet phases, of each
        sound's RMS while it sounds; the latter the RMS of the room noise from 0 to 8 kHz, fans excluded. None: no
        room noise, only a white microphone floor of -75 dBFS RMS (breathing is at -48 to -30 dBFS).
    apneas_per_hour, hypopneas_per_hour : float
        Times the duration, rounded up or down at random, is the number of events; splices come on top. A night holds
        about 60 an hour at most.
    disturbances : bool or mapping of str to float
        Rates an hour of some of `DISTURBANCES`, those not named being 0; True: all, at the rates given there; False:
        none. Rounded as events are. Those that the night has no room for are left out (the timeline tells).
    splices : sequence of (Recording, {"apnea", "hypopnea"})
        Recorded events. Each is inserted whole, once, as one true event (10 s or longer), multiplied by one factor
        that sets its breathing 6 dB below the night's median (what the level was before it in its own night is
        unknown). Noise like its own floor is faded in before and out after it, so that no step marks it; the room goes
        on under it.
    seed : int
        The same seed gives the same night to the last bit. Other seeds, other sleepers.

    Returns
    -------
    SimulatedNight

    Raises
    ------
    AudioError
        If a splice is empty, not finite, silent or too short.
    ParameterError
        If an argument is out of range, or the events need more than 80 % of the night.

    Notes
    -----
    Scoring follows [1]_ where sound can: an apnea is at least 10 s without breathing sound, a hypopnea at least 10 s of
    breathing sound whose amplitude is reduced by 30 to 90 %. A third of the apneas hold faint effort sounds, 26 to
    8 dB below the breathing. Airflow, oxygen and arousals do not exist here.

    References
    ----------
    .. [1] Berry RB et al. Rules for scoring respiratory events in sleep: update of the 2007 AASM manual. J Clin Sleep
       Med 2012;8:597-619. doi:10.5664/jcsm.2172

    Examples
    --------
    >>> from vocalbio.datasets.nights import NightClips, simulate_night
    >>> night = simulate_night(NightClips(), duration_s=600, apneas_per_hour=18, hypopneas_per_hour=0, seed=1)
    >>> night.events["kind"].tolist()
    ['apnea', 'apnea', 'apnea']
    >>> [round(block.duration_s) for block in night.blocks(240)]
    [240, 240, 120]
    """
    if not isinstance(clips, NightClips):
        raise ParameterError(f"clips is a {type(clips).__name__}; expected NightClips")
    duration_s = round(_number("duration_s", duration_s, 120.0, 7 * 86_400.0) * RATE_HZ) / RATE_HZ
    if snr_db is not None:
        snr_db = _number("snr_db", snr_db, -30.0, 80.0)
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ParameterError(f"seed is {seed!r}; expected a whole number of at least 0")
    seed = int(seed)
    rates = {
        "apnea": _number("apneas_per_hour", apneas_per_hour, 0.0, 200.0),
        "hypopnea": _number("hypopneas_per_hour", hypopneas_per_hour, 0.0, 200.0),
    }
    wanted = _disturbances(disturbances)
    recorded = [_checked_splice(index, splice) for index, splice in enumerate(_listed(splices, "splices"))]
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(5)]
    bank = _Bank(clips, streams[0])
    level_db = float(streams[0].uniform(-48, -30))
    noise_db = MICROPHONE_DBFS if snr_db is None else level_db - snr_db
    blocks = _layout(duration_s, rates, wanted, recorded, 66 / bank.sleeper.breaths_per_min, streams[1])
    walk = _Walk(bank, noise_db - level_db, streams[2])
    for start_s, block in blocks:
        walk.breathe_until(start_s)
        walk.perform(block)
    walk.breathe_until(duration_s)
    walk.settle()
    surroundings = _Surroundings(bank, duration_s, noise_db - level_db, streams[3])
    counts = {name: _count(rate * duration_s / 3600, streams[3]) for name, rate in wanted.items()}
    for name in ("partner", "speech", "alarm", "handling", "other", "fan"):
        for _ in range(counts.get(name, 0)):
            surroundings.add(name)
    happened = walk.timeline + surroundings.timeline
    score = _Score(
        n_samples=round(duration_s * RATE_HZ),
        clips=tuple(bank.clips),
        voices=tuple(bank.voices),
        sounds=sorted(walk.sounds + surroundings.sounds, key=lambda sound: sound.start),
        gain=10 ** (level_db / 20),
        echo=_echo(streams[4]),
        fan=_loops(bank.fan_spectrum(streams[4]), 1.0, streams[4]),
        room=_loops(_room_spectrum(snr_db is None, streams[4]), 10 ** (noise_db / 20), streams[4]),
        fans=surroundings.fans,
        clipped=_samples_of(happened, "clipping"),
        dropped=_samples_of(happened, "dropout"),
    )
    timeline = pd.DataFrame(happened, columns=["start_s", "end_s", "what"])
    timeline["end_s"] = timeline["end_s"].clip(upper=duration_s)
    timeline = timeline[timeline["start_s"] < timeline["end_s"]]
    return SimulatedNight(
        duration_s,
        float(RATE_HZ),
        pd.DataFrame(walk.events, columns=EVENT_COLUMNS),
        timeline.sort_values(["start_s", "end_s", "what"]).reset_index(drop=True),
        {
            "simulated": True,
            "seed": seed,
            "duration_s": duration_s,
            "snr_db": snr_db,
            "apneas_per_hour": rates["apnea"],
            "hypopneas_per_hour": rates["hypopnea"],
            "disturbances": wanted,
            "n_splices": len(recorded),
            "breathing_dbfs": level_db,
            "noise_dbfs": noise_db,
            "breaths_per_min": bank.sleeper.breaths_per_min,
            "sources": bank.sources,
        },
        score,
    )


# ---------------------------------------------------------------------------------------------- arguments


def _number(name: str, value: Any, low: float, high: float) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not low <= float(value) <= high:
        raise ParameterError(f"{name} is {value!r}; expected a number from {low:g} to {high:g}")
    return float(value)


def _listed(values: Any, name: str) -> list[Any]:
    if isinstance(values, (str, bytes, Recording, Mapping)) or not isinstance(values, Sequence):
        raise ParameterError(f"{name} is a {type(values).__name__}; expected a list")
    return list(values)


def _checked(clips: Any, name: str) -> tuple[Recording, ...]:
    return tuple(_usable(clip, f"{name}[{index}]") for index, clip in enumerate(_listed(clips, name)))


def _usable(clip: Any, name: str) -> Recording:
    if not isinstance(clip, Recording):
        raise ParameterError(f"{name} is a {type(clip).__name__}; expected a Recording (load_audio reads one)")
    clip.check()
    clip = clip.resample(RATE_HZ)
    if clip.duration_s < 0.05 or np.abs(clip.samples).max() < 1e-4:
        raise AudioError(f"{name} is silent or shorter than 50 ms ({clip!r}); leave it out")
    return clip


def _checked_splice(index: int, splice: Any) -> tuple[Recording, str]:
    if not isinstance(splice, Sequence) or len(splice) != 2 or splice[1] not in ("apnea", "hypopnea"):
        raise ParameterError(f"splices[{index}] is {splice!r}; expected (Recording, 'apnea' or 'hypopnea')")
    clip = _usable(splice[0], f"splices[{index}]")
    if clip.duration_s < 10.0:
        raise AudioError(f"splices[{index}] lasts {clip.duration_s:.1f} s; an event lasts 10 s at least: leave it out")
    return clip, str(splice[1])


def _disturbances(given: Any) -> dict[str, float]:
    if isinstance(given, bool):
        return dict(DISTURBANCES) if given else {}
    if not isinstance(given, Mapping):
        raise ParameterError(f"disturbances is {given!r}; expected True, False or a dict of rates an hour")
    unknown = sorted(map(str, set(given) - set(DISTURBANCES)))
    if unknown:
        raise ParameterError(f"disturbances has {', '.join(unknown)}; expected some of {', '.join(DISTURBANCES)}")
    return {name: _number(f"disturbances[{name!r}]", rate, 0.0, 1000.0) for name, rate in given.items()}


def _count(expected: float, rng: np.random.Generator) -> int:
    return math.floor(expected + rng.random())


def _on_grid(time_s: float) -> float:
    """The time of the nearest sample."""
    return round(time_s * RATE_HZ) / RATE_HZ


def _samples_of(timeline: list[tuple[float, float, str]], what: str) -> list[tuple[int, int]]:
    return [(round(a * RATE_HZ), round(b * RATE_HZ)) for a, b, name in timeline if name == what]


# ---------------------------------------------------------------------------------------------- when


@dataclass(frozen=True)
class _Event:
    kind: str
    duration_s: float
    recovery_s: float
    reduction: float
    ending: str
    clustered: bool = False
    splice: Recording | None = None


@dataclass(frozen=True)
class _Block:
    """A stretch of the patient's night with something to do; `length_s` is the most that it may take."""

    what: str
    length_s: float
    events: tuple[_Event, ...] = ()


LONGEST_CYCLE_S = 7.0


def _layout(
    duration_s: float,
    rates: dict[str, float],
    wanted: dict[str, float],
    recorded: list[tuple[Recording, str]],
    cycle_s: float,
    rng: np.random.Generator,
) -> list[tuple[float, _Block]]:
    """Start times and blocks: groups of events and the patient's own disturbances, spread over the night."""
    kinds = [kind for kind, rate in rates.items() for _ in range(_count(rate * duration_s / 3600, rng))]
    # events of a kind keep company, though not strictly
    order = np.argsort([(kind == "apnea") + 0.4 * rng.normal() for kind in kinds])
    kinds = [kinds[index] for index in order]
    must: list[_Block] = []
    share_s = 3600 / max(1.0, sum(rates.values()))
    while kinds:
        size = int(rng.integers(3, 9)) if rng.random() < 0.5 else 1
        must.append(_events_block(kinds[:size], share_s, cycle_s, rng))
        kinds = kinds[size:]
    for clip, kind in recorded:
        ending = str(rng.choice(["gasp", "gentle"]))
        event = _Event(kind, clip.duration_s, float(rng.uniform(10, 20)), math.nan, ending, splice=clip)
        must.append(_Block("events", clip.duration_s + event.recovery_s + 6 * cycle_s, (event,)))
    room_s = FILL * (duration_s - LEAD_S - TAIL_S)
    total_s = sum(block.length_s for block in must)
    if total_s > room_s:
        raise ParameterError(
            f"the events asked for need {total_s:.0f} s and the night has room for {room_s:.0f} s of them; ask for "
            "fewer events or a longer night"
        )
    lengths_s = {
        "quiet": (120, 480),
        "bed_exit": (90, 420),
        "position": (3, 9),
        "cough": (4, 15),
        "clipping": (5, 60),
    }
    may: list[_Block] = []
    for what in ("gap", "dropout", *lengths_s):
        for _ in range(_count(wanted.get(what, 0.0) * duration_s / 3600, rng)):
            if what == "gap":  # faded, held or a swallow
                length_s = float(rng.choice([rng.uniform(10, 60), rng.uniform(4, 9.5), rng.uniform(2, 6)]))
            elif what == "dropout":
                length_s = float(np.exp(rng.uniform(np.log(0.05), np.log(30))))
            else:
                low, high = lengths_s[what]
                length_s = float(rng.uniform(low, min(high, max(low, duration_s / 8))))
            may.append(_Block(what, length_s))
    slack_s = {"gap": 14 * cycle_s, "quiet": 12 * cycle_s, "bed_exit": 40.0}
    blocks = list(must)
    for index in rng.permutation(len(may)):
        length_s = may[index].length_s + slack_s.get(may[index].what, 2 * cycle_s)
        if total_s + length_s <= room_s:
            total_s += length_s
            blocks.append(may[index])
    blocks = [blocks[index] for index in rng.permutation(len(blocks))]
    free_s = duration_s - LEAD_S - TAIL_S - total_s
    pauses_s = free_s * rng.dirichlet(np.ones(len(blocks) + 1))
    start_s, plan = LEAD_S, []
    for pause_s, block in zip(pauses_s, blocks, strict=False):
        start_s += pause_s
        plan.append((start_s, block))
        start_s += block.length_s + (0.0 if block.events else slack_s.get(block.what, 2 * cycle_s))
    return plan


def _events_block(kinds: list[str], share_s: float, cycle_s: float, rng: np.random.Generator) -> _Block:
    """A group of events; the less time there is for each (`share_s`), the shorter they are and follow each other."""
    typical_s = float(np.clip(rng.lognormal(np.log(21), 0.4), 10.5, np.clip(0.4 * share_s, 11, 55)))
    rest_s = rng.uniform(8, np.clip(0.7 * share_s - 30, 10, 35))
    events = []
    for kind in kinds:
        length_s = float(np.clip(typical_s * rng.lognormal(0, 0.2), 10, 60))
        low_s = max(6.0, 20 - length_s)
        recovery_s = float(np.clip(rest_s * rng.lognormal(0, 0.25), low_s, max(low_s, 85 - length_s)))
        if kind == "hypopnea":
            reduction = float(rng.uniform(0.3, 0.9))
            ending = str(rng.choice(["gasp", "arousal", "gentle"], p=[0.35, 0.15, 0.5]))
        else:
            effort = rng.random() < 1 / 3
            reduction = float(1 - 10 ** (rng.uniform(-26, -8) / 20)) if effort else 1.0
            ending = str(rng.choice(["gasp", "arousal", "gentle"], p=[0.55, 0.25, 0.2]))
        events.append(_Event(kind, length_s, recovery_s, reduction, ending, len(kinds) > 1))
    taken_s = sum(event.duration_s + event.recovery_s + cycle_s for event in events)
    return _Block("events", taken_s + 5 * cycle_s, tuple(events))


# ---------------------------------------------------------------------------------------------- who and with what


@dataclass(frozen=True)
class _Sleeper:
    snores: tuple[int, ...]  # places of clips in the bank
    inhales: tuple[int, ...]
    exhales: tuple[int, ...]
    voice: int  # the first of its filters in the bank
    breaths_per_min: float
    snore_db: float  # over breathing without snoring
    exhale_db: float  # over inhaling
    snoring_s: float  # mean length of phases with and without snoring
    silent_s: float


N_VOICES = 6  # filters of a sleeper: as many positions in bed


class _Bank:
    """The clips that one night is made of, with the patient, the partner and their filters."""

    def __init__(self, given: NightClips, rng: np.random.Generator) -> None:
        self._given = given
        self.clips: list[_Samples] = []
        self.voices: list[NDArray[np.float64]] = []
        self.sources: dict[str, Any] = {}
        self._noises: dict[str, tuple[int, ...]] = {}
        self.sleeper = self._make_sleeper("patient", rng)
        self.partner = self._make_sleeper("partner", rng)
        self.gasps = self.keep([clip.samples for clip in given.gasps[:8]]) or self.sleeper.snores
        for kind in NOISES:
            samples = [clip.samples for clip in given.noises.get(kind, ())]
            if kind == "other" and not samples:
                continue
            picked = rng.permutation(len(samples))[:12]  # constant memory, however many clips there are
            made = [samples[index] for index in picked] or [_synthetic(kind, rng) for _ in range(3)]
            self._noises[kind] = self.keep(made)
            self.sources[kind] = "clips" if samples else "synthetic"

    def noises(self, kind: str) -> tuple[int, ...]:
        """Places of the clips of a kind of noise; empty where there are none."""
        return self._noises.get(kind, ())

    def fan_spectrum(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Amplitudes of a fan's noise at 257 frequencies from 0 to 8 kHz."""
        from scipy.signal import welch

        clip = self.clips[int(rng.choice(self.noises("fan")))]
        power = welch(np.resize(clip, max(len(clip), 512)), nperseg=512)[1]
        return np.sqrt(power)

    def keep(self, samples: Sequence[_Samples]) -> tuple[int, ...]:
        first = len(self.clips)
        self.clips.extend(samples)
        return tuple(range(first, len(self.clips)))

    def _make_sleeper(self, who: str, rng: np.random.Generator) -> _Sleeper:
        from scipy.signal import butter

        pitch = 2 ** rng.uniform(-0.25, 0.25)
        places = {}
        for kind, by_source in (
            ("snore", self._given.snores),
            ("inhale", self._given.inhales),
            ("exhale", self._given.exhales),
        ):
            sources = sorted(by_source)
            others = [name for name in sources if name != self.sources.get(f"patient {kind}")]
            name = str(rng.choice(others or sources)) if sources else None
            if kind == "exhale" and self.sources[f"{who} inhale"] in sources:
                name = self.sources[f"{who} inhale"]
            if name is None:
                samples = [_synthetic(kind, rng) for _ in range(5)]
            else:
                # neighbours are likely of one person where a source holds several
                start = int(rng.integers(max(1, len(by_source[name]) - 7)))
                samples = [clip.samples for clip in by_source[name][start : start + 8]]
            self.sources[f"{who} {kind}"] = name or "synthetic"
            places[kind] = self.keep([_stretched(clip, round(len(clip) / pitch)) for clip in samples])
        first = len(self.voices)
        resonance_hz = rng.uniform(200, 2500)
        for _ in range(N_VOICES):
            band_hz = (rng.uniform(40, 120), rng.uniform(2200, 7500))
            band = butter(1, band_hz, "bandpass", fs=RATE_HZ, output="sos")
            peak = _peak_filter(resonance_hz * 2 ** rng.normal(0, 0.3), rng.uniform(-9, 9))
            self.voices.append(np.concatenate([band, peak]))
        habit = rng.choice(["seldom", "half", "mostly"])
        return _Sleeper(
            places["snore"],
            places["inhale"],
            places["exhale"],
            first,
            float(rng.uniform(10, 20)),
            float(rng.uniform(4, 16)),
            float(rng.uniform(-8, 4)),
            {"seldom": 180.0, "half": 500.0, "mostly": 1500.0}[str(habit)],
            {"seldom": 900.0, "half": 400.0, "mostly": 240.0}[str(habit)],
        )


def _peak_filter(frequency_hz: float, gain_db: float) -> NDArray[np.float64]:
    """Second-order section that lifts (or lowers) an octave around a frequency (Bristow-Johnson's cookbook)."""
    amplitude = 10 ** (gain_db / 40)
    angle = 2 * np.pi * frequency_hz / RATE_HZ
    alpha = np.sin(angle) / 2.8
    section = np.array(
        [
            1 + alpha * amplitude,
            -2 * np.cos(angle),
            1 - alpha * amplitude,
            1 + alpha / amplitude,
            -2 * np.cos(angle),
            1 - alpha / amplitude,
        ]
    )
    return (section / section[3])[None]


# ---------------------------------------------------------------------------------------------- what sounds


@dataclass(frozen=True, slots=True)
class _Sound:
    """One clip in its place: `gain` is its RMS re the night's median breathing (of a splice: a plain factor)."""

    start: int
    length: int
    clip: int
    gain: float
    voice: int = -1
    rise: int = 400
    fall: int = 1600
    seed: int = -1  # where in a longer clip to begin; -1: at its beginning
    plain: bool = False


class _Stage:
    """Where sounds are put in their places. Levels are in dB re the night's median breathing."""

    def __init__(self, bank: _Bank, rng: np.random.Generator) -> None:
        self.bank = bank
        self.rng = rng
        self.sounds: list[_Sound] = []
        self.timeline: list[tuple[float, float, str]] = []

    def place(
        self, clip: int, start_s: float, length_s: float, level_db: float, rise_s: float = 0.005, fall_s: float = 0.05
    ) -> None:
        """Put a clip of the bank, cut or prolonged to `length_s`."""
        start, length, rise, fall = (round(seconds * RATE_HZ) for seconds in (start_s, length_s, rise_s, fall_s))
        seed = int(self.rng.integers(2**31))
        self.sounds.append(_Sound(start, length, clip, 10 ** (level_db / 20), -1, rise, fall, seed))

    def pick(self, kind: str) -> int:
        """Any clip of a kind of noise."""
        return int(self.rng.choice(self.bank.noises(kind)))


class _Walk(_Stage):
    """The patient's night from breath to breath; `settle` sets the levels in the end, when their median is known."""

    def __init__(self, bank: _Bank, noise_db: float, rng: np.random.Generator) -> None:
        super().__init__(bank, rng)
        self.noise_db = noise_db
        self.inaudible_db = min(-25.0, noise_db - 15.0)
        self.now_s = float(rng.uniform(0, 3))
        self.events: list[tuple[Any, ...]] = []
        self._breaths: list[tuple[int, float, str]] = []  # place in `sounds`, level in dB, name in the timeline
        self._resting: list[float] = []  # levels of those that define the median
        self._drift_db = 0.0
        self._position_db = 0.0
        self._voice = bank.sleeper.voice
        self._rate_drift = 0.0
        self._sounded_s = self.now_s  # end of the last breathing sound
        self._snoring = bool(rng.random() < bank.sleeper.snoring_s / (bank.sleeper.snoring_s + bank.sleeper.silent_s))
        self._irregularity, self._switch_s = self._new_phase()

    # --- breathing

    def breathe_until(self, end_s: float) -> None:
        """Plain breathing until the next breath would begin at `end_s` or later."""
        while self.now_s < end_s:
            self.breathe(resting=True)

    def breathe(
        self,
        boost_db: float = 0.0,
        *,
        resting: bool = False,
        faint: bool = False,
        gasp: bool = False,
        pace: float = 1.0,
    ) -> None:
        """
        Take one breath: a cycle with an inhaled and, mostly, an exhaled sound.

        Faint breaths are no snores and know nothing of the sleeper's present level.
        """
        rng, who = self.rng, self.bank.sleeper
        if self.now_s >= self._switch_s:
            self._snoring = not self._snoring
            self._irregularity, self._switch_s = self._new_phase()
        self._rate_drift = 0.95 * self._rate_drift + 0.02 * rng.normal()
        cycle_s = 60 / who.breaths_per_min * pace * math.exp(self._rate_drift + self._irregularity * rng.normal())
        cycle_s = float(np.clip(cycle_s, 2.0, LONGEST_CYCLE_S))
        keep = math.exp(-cycle_s / 150)
        self._drift_db = keep * self._drift_db + 3.0 * math.sqrt(1 - keep**2) * rng.normal()
        level_db = boost_db + 1.2 * rng.normal() + (0.0 if faint else self._drift_db + self._position_db)
        snores = self._snoring and not faint and rng.random() > 0.08
        inhale_s = cycle_s * rng.uniform(0.3, 0.43)
        if gasp:
            inhale_s = float(rng.uniform(0.7, 1.6))
            self._breath("gasp", self.now_s, inhale_s, level_db + who.snore_db)
        elif snores:
            self._breath("snore", self.now_s, inhale_s, level_db + who.snore_db, resting)
        else:
            self._breath("inhale", self.now_s, inhale_s, level_db, resting)
        exhaled_s = self.now_s + inhale_s + cycle_s * rng.uniform(0.02, 0.1)
        exhale_s = min(cycle_s * rng.uniform(0.3, 0.45), self.now_s + cycle_s - exhaled_s - 0.05)
        chance = rng.random()
        if exhale_s > 0.2 and not (snores and chance < 0.35):
            if snores and chance > 0.85:
                self._breath("snore", exhaled_s, exhale_s, level_db + who.snore_db - 5, resting)
            else:
                self._breath("exhale", exhaled_s, exhale_s, level_db + who.exhale_db, resting)
        self.now_s = _on_grid(max(self.now_s + cycle_s, self._sounded_s))

    def _breath(
        self, kind: str, start_s: float, length_s: float, level_db: float, resting: bool = False, effort: bool = False
    ) -> None:
        who = self.bank.sleeper
        choices = {"snore": who.snores, "inhale": who.inhales, "exhale": who.exhales, "gasp": self.bank.gasps}[kind]
        clip = int(self.rng.choice(choices))
        start, length = round(start_s * RATE_HZ), round(length_s * RATE_HZ)
        rough = kind in ("snore", "gasp")  # goes on as long as one likes; breaths have a shape of their own
        if not rough:
            length = min(length, round(1.3 * len(self.bank.clips[clip])))
        seed = int(self.rng.integers(2**31)) if rough else -1
        rise, fall = round(length * self.rng.uniform(0.05, 0.15)), round(0.4 * length)
        name = "effort" if effort else kind if rough else "breath"
        self._breaths.append((len(self.sounds), level_db, name))
        self.sounds.append(_Sound(start, length, clip, 0.0, self._voice, rise, fall, seed))
        if not effort:
            self._sounded_s = (start + length) / RATE_HZ
        if resting:
            self._resting.append(level_db)

    def _fade(self, n_breaths: int, *, away: bool) -> None:
        """Breathing that fades away below the noise, or comes back, over some breaths."""
        for number in range(1, n_breaths + 1):
            share = (number if away else n_breaths + 1 - number) / (n_breaths + 1)
            self.breathe(share * self.inaudible_db, faint=share * self.inaudible_db < -8)

    def _breathe_inaudibly(self, length_s: float, what: str) -> None:
        start_s = self._sounded_s
        while self.now_s < start_s + length_s:
            self.breathe(self.inaudible_db - 6, faint=True)
        self.timeline.append((start_s, self.now_s, what))

    def settle(self) -> None:
        """Set the levels of all breathing so that the median of the resting sounds is 0 dB."""
        median_db = float(np.median(self._resting))
        for place, level_db, name in self._breaths:
            sound = replace(self.sounds[place], gain=10 ** ((level_db - median_db) / 20))
            self.sounds[place] = sound
            if name == "effort" or level_db - median_db > self.noise_db:
                self.timeline.append((sound.start / RATE_HZ, (sound.start + sound.length) / RATE_HZ, name))

    def _new_phase(self) -> tuple[float, float]:
        """How irregular breathing is in a phase with or without snoring, and when the phase ends."""
        who = self.bank.sleeper
        irregularity = float(self.rng.choice([0.04, 0.08, 0.2], p=[0.5, 0.3, 0.2]))
        return irregularity, self.now_s + 30 + self.rng.exponential(who.snoring_s if self._snoring else who.silent_s)

    # --- blocks

    def perform(self, block: _Block) -> None:
        """Live through one block, from the next breath on."""
        if block.events:
            self._perform_events(block.events)
        else:
            getattr(self, f"_perform_{block.what}")(block.length_s)

    def _perform_events(self, events: tuple[_Event, ...]) -> None:
        rng = self.rng
        usual = self._snoring, self._switch_s
        if rng.random() < 0.8:
            self._snoring, self._switch_s = True, math.inf
        rising_db = float(rng.uniform(3, 9)) if rng.random() < 0.7 else 0.0
        n_before = int(rng.integers(3, 6))
        for number in range(n_before):
            self.breathe(rising_db * (number + 1) / n_before)
        for event in events:
            end_s = self._perform_event(event)
            loud_db = 0.0 if event.ending == "gentle" else float(rng.uniform(5, 12))
            number = 0
            while self.now_s < end_s + event.recovery_s or number < 2:
                share = min(1.0, (self.now_s - end_s) / event.recovery_s)
                boost_db = loud_db * math.exp(-number / 2) if loud_db else min(0.0, -9 + 4.0 * number)
                # the next event's snores grow louder and louder
                boost_db += rising_db * share if event.clustered else 0.0
                self.breathe(boost_db, pace=0.8 if number < 3 else 1.0, gasp=number == 0 and loud_db > 0)
                number += 1
        self._snoring, self._switch_s = usual

    def _perform_event(self, event: _Event) -> float:
        rng = self.rng
        start_s = self._sounded_s
        if event.splice is not None:
            start_s = _on_grid(self.now_s + 0.3)
            self._splice(event.splice, start_s)
            end_s = start_s + len(event.splice.samples) / RATE_HZ
        elif event.kind == "hypopnea":
            reduced_db = 20 * math.log10(1 - event.reduction)
            self.breathe(reduced_db / 2)  # half way down: breathing does not step
            start_s = self._sounded_s
            while self.now_s < start_s + event.duration_s:
                self.breathe(reduced_db)
            end_s = self.now_s
        else:
            end_s = _on_grid(start_s + event.duration_s)
            if event.reduction < 1.0:
                self._efforts(start_s, end_s, 20 * math.log10(1 - event.reduction))
        self.now_s = end_s
        if event.ending == "arousal":
            self._rustle(end_s, float(rng.uniform(1, 4)), float(rng.uniform(-6, 8)))
        self.events.append(
            (start_s, end_s, event.kind, event.reduction, event.ending, event.clustered, event.splice is not None)
        )
        return end_s

    def _efforts(self, start_s: float, end_s: float, level_db: float) -> None:
        """Faint sounds of breathing against a closed airway."""
        who = self.bank.sleeper
        level_db += self._drift_db + self._position_db + (who.snore_db if self._snoring else 0.0)
        effort_s = start_s + float(self.rng.uniform(1.5, 4))
        while effort_s < end_s - 1.2:
            kind = "snore" if self.rng.random() < 0.5 else "inhale"
            self._breath(kind, effort_s, float(self.rng.uniform(0.2, 0.7)), level_db, effort=True)
            effort_s += 60 / who.breaths_per_min * float(self.rng.uniform(0.7, 1.2))

    def _splice(self, clip: Recording, start_s: float) -> None:
        """The clip as it is, in the middle of noise like its own floor, which is faded in and out."""
        frames = clip.samples[: len(clip.samples) // 800 * 800].reshape(-1, 800)
        level = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1))
        floor = np.sort(level)[: max(1, len(level) // 10)].mean()
        sounding = level[level > 2 * floor]
        loud = float(np.sqrt(np.mean((sounding if len(sounding) else level) ** 2)))
        quiet = frames[level <= np.quantile(level, 0.1)]
        spectrum = np.sqrt(np.mean(np.abs(np.fft.rfft(quiet * np.hanning(800), axis=1)) ** 2, axis=0))
        n_fade = round(FLOOR_FADE_S * RATE_HZ)
        noise = _shaped_noise(spectrum, 2 * n_fade, self.rng) * floor if floor > 0 else np.zeros(2 * n_fade)
        ramp = np.linspace(0, 1, n_fade)
        samples = np.concatenate([noise[:n_fade] * ramp, clip.samples, noise[n_fade:] * ramp[::-1]])
        (place,) = self.bank.keep([samples.astype(np.float32)])
        gain = 10 ** (SPLICE_DB / 20) / loud
        start = round(start_s * RATE_HZ) - n_fade
        self.sounds.append(_Sound(start, len(samples), place, gain, plain=True))

    def _perform_gap(self, length_s: float) -> None:
        """No apnea: a swallow or a held breath of less than 10 s, or breathing that fades away and comes back."""
        rng = self.rng
        if length_s >= 9.5:
            self._fade(int(rng.integers(4, 8)), away=True)
            self._breathe_inaudibly(length_s, "gap")
            self._fade(int(rng.integers(3, 7)), away=False)
            return
        start_s = self._sounded_s
        self.now_s = _on_grid(max(self.now_s, start_s + length_s))
        if length_s < 6 and rng.random() < 0.6:
            self.place(self.pick("handling"), start_s + 0.5 * length_s, 0.15, float(rng.uniform(-14, -4)))
        self.timeline.append((start_s, self.now_s, "gap"))
        if rng.random() < 0.4:  # a sigh
            self.breathe(float(rng.uniform(3, 8)))

    def _perform_quiet(self, length_s: float) -> None:
        self._fade(6, away=True)
        self._breathe_inaudibly(length_s, "quiet")
        self._fade(6, away=False)

    def _perform_bed_exit(self, length_s: float) -> None:
        rng = self.rng
        start_s = self.now_s
        rustle_s, steps_s = rng.uniform((2, 4), (5, 9))
        self._rustle(self.now_s, rustle_s, float(rng.uniform(-3, 12)))
        self.place(self.pick("steps"), start_s + rustle_s, steps_s, float(rng.uniform(-8, 8)), fall_s=0.8 * steps_s)
        self.now_s += rustle_s + steps_s + length_s
        rustle_s, steps_s = rng.uniform((2, 4), (5, 9))
        self.place(self.pick("steps"), self.now_s, steps_s, float(rng.uniform(-8, 8)), rise_s=0.8 * steps_s)
        self._rustle(self.now_s + steps_s, rustle_s, float(rng.uniform(-3, 12)))
        self.now_s += rustle_s + steps_s
        self.timeline.append((start_s, self.now_s, "bed_exit"))
        self.now_s += float(rng.uniform(0.5, 3))
        self._move()
        self._snoring = False
        self._switch_s = self.now_s + float(rng.uniform(60, 300))

    def _perform_position(self, length_s: float) -> None:
        rustle_s = 0.6 * length_s
        self._rustle(self.now_s, rustle_s, float(self.rng.uniform(-8, 12)))
        self.timeline.append((self.now_s, self.now_s + rustle_s, "position"))
        self.now_s += length_s
        self._move()

    def _move(self) -> None:
        self._position_db = float(np.clip(4 * self.rng.normal(), -8, 8))
        self._voice = self.bank.sleeper.voice + int(self.rng.integers(N_VOICES))

    def _perform_cough(self, length_s: float) -> None:
        start_s, loud_db = self.now_s, float(self.rng.uniform(8, 26))
        while self.now_s < start_s + length_s:
            clip = self.pick("cough")
            cough_s = min(len(self.bank.clips[clip]) / RATE_HZ, 4.0)
            self.place(clip, self.now_s, cough_s, loud_db + 2 * float(self.rng.normal()))
            self.timeline.append((self.now_s, self.now_s + cough_s, "cough"))
            self.now_s += cough_s + float(self.rng.uniform(0.1, 2))

    def _perform_clipping(self, length_s: float) -> None:
        self.timeline.append((self.now_s, self.now_s + length_s, "clipping"))
        self.breathe_until(self.now_s + length_s)

    def _perform_dropout(self, length_s: float) -> None:
        self.timeline.append((self.now_s, self.now_s + length_s, "dropout"))
        self.breathe_until(self.now_s + length_s)

    # --- noises

    def _rustle(self, start_s: float, length_s: float, level_db: float) -> None:
        self.place(self.pick("rustle"), start_s, length_s, level_db, 0.1, 0.4 * length_s)


class _Surroundings(_Stage):
    """What goes on in the room whatever the patient does."""

    def __init__(self, bank: _Bank, duration_s: float, noise_db: float, rng: np.random.Generator) -> None:
        super().__init__(bank, rng)
        self.duration_s = duration_s
        self.quiet_db = max(noise_db, -30.0)
        self.fans: list[tuple[int, int, float]] = []

    def add(self, what: str) -> None:
        """Put one disturbance anywhere in the night."""
        if what == "other" and not self.bank.noises("other"):
            return
        low_s, high_s, low_db, high_db = {
            "partner": (240, 1800, -8, 10),
            "speech": (3, 40, -6, 20),
            "alarm": (4, 30, 0, 22),
            "handling": (0.5, 6, 5, 36),
            "other": (1, 15, -6, 20),
            "fan": (300, 3000, 3, 15),
        }[what]
        length_s = float(self.rng.uniform(min(low_s, self.duration_s / 5), min(high_s, self.duration_s / 3)))
        start_s = float(self.rng.uniform(0, self.duration_s - length_s))
        end_s = start_s + length_s
        level_db = float(self.rng.uniform(low_db, high_db))
        if what == "partner":
            self._partner(start_s, end_s, level_db)
        elif what == "fan":  # over the room, but not much over breathing
            level_db = min(self.quiet_db + level_db, max(-3.0, self.quiet_db + 2))
            self.fans.append((round(start_s * RATE_HZ), round(end_s * RATE_HZ), level_db))
        else:
            self._fill(what, start_s, end_s, level_db)
        self.timeline.append((start_s, end_s, what))

    def _fill(self, what: str, start_s: float, end_s: float, level_db: float) -> None:
        clip = self.pick(what)
        while start_s < end_s:
            length_s = min(len(self.bank.clips[clip]) / RATE_HZ, end_s - start_s)
            self.place(clip, start_s, length_s, level_db + 2 * float(self.rng.normal()))
            start_s += length_s
            if what != "alarm":  # alarms repeat themselves, the rest does not
                clip = self.pick(what)
                start_s += float(self.rng.exponential(0.8))

    def _partner(self, start_s: float, end_s: float, level_db: float) -> None:
        rng, who = self.rng, self.bank.partner
        voice = who.voice + int(rng.integers(N_VOICES))
        while start_s < end_s:
            cycle_s = 60 / who.breaths_per_min * math.exp(0.06 * rng.normal())
            if rng.random() > 0.05:
                start, length = round(start_s * RATE_HZ), round(cycle_s * rng.uniform(0.3, 0.45) * RATE_HZ)
                gain = 10 ** ((level_db + 2 * rng.normal()) / 20)
                clip, seed = int(rng.choice(who.snores)), int(rng.integers(2**31))
                self.sounds.append(_Sound(start, length, clip, gain, voice, length // 4, length // 3, seed))
            start_s += cycle_s


# ---------------------------------------------------------------------------------------------- rendering


@dataclass(frozen=True, eq=False)
class _Score:
    """All that is needed to make the sound, in the memory of its clips."""

    n_samples: int
    clips: tuple[_Samples, ...]
    voices: tuple[NDArray[np.float64], ...]
    sounds: list[_Sound]
    gain: float
    echo: _Samples
    fan: tuple[_Samples, ...]
    room: tuple[_Samples, ...]
    fans: list[tuple[int, int, float]]
    clipped: list[tuple[int, int]]
    dropped: list[tuple[int, int]]

    def chunks(self) -> Iterator[_Samples]:
        """Yield the night in pieces of `CHUNK_S`."""
        active: list[tuple[int, _Samples]] = []
        coming = 0
        for start in range(0, self.n_samples, CHUNK_S * RATE_HZ):
            stop = min(start + CHUNK_S * RATE_HZ, self.n_samples)
            out = _looped(self.room, start, stop)
            for first, last, level_db in self.fans:
                if first < stop and last > start:
                    turns = [first, first + 2 * RATE_HZ, last - 2 * RATE_HZ, last]  # it takes 2 s to start and to stop
                    share = np.interp(np.arange(start, stop), turns, [0, 1, 1, 0])
                    out += (self.gain * 10 ** (level_db / 20) * share * _looped(self.fan, start, stop)).astype("f4")
            while coming < len(self.sounds) and self.sounds[coming].start < stop:
                active.append((self.sounds[coming].start, self._render(self.sounds[coming])))
                coming += 1
            for begin, samples in active:
                low, high = max(begin, start), min(begin + len(samples), stop)
                out[low - start : high - start] += samples[low - begin : high - begin]
            active = [(begin, samples) for begin, samples in active if begin + len(samples) > stop]
            for first, last in self.clipped:
                part = out[max(0, first - start) : max(0, last - start)]
                part *= np.float32(0.5 / self.gain)  # the median breathing at -6 dBFS: its peaks clip
            np.clip(out, -1.0, 1.0, out=out)
            for first, last in self.dropped:
                out[max(0, first - start) : max(0, last - start)] = 0.0
            yield out

    def _render(self, sound: _Sound) -> _Samples:
        from scipy.signal import oaconvolve, sosfilt

        clip = self.clips[sound.clip]
        if sound.plain:
            return clip * np.float32(sound.gain * self.gain)
        samples = _fitted(clip, sound.length, sound.seed)
        if sound.voice >= 0:
            samples = sosfilt(self.voices[sound.voice], samples)
        rise, fall = min(sound.rise, len(samples) // 2), min(sound.fall, len(samples) // 2)
        samples[:rise] *= np.sin(np.linspace(0, np.pi / 2, rise)) ** 2
        samples[len(samples) - fall :] *= np.cos(np.linspace(0, np.pi / 2, fall)) ** 2
        samples = oaconvolve(samples, self.echo)
        rms = math.sqrt(float(np.mean(samples[: sound.length] ** 2)))
        return (samples * (sound.gain * self.gain / max(rms, 1e-9))).astype(np.float32)


def _echo(rng: np.random.Generator) -> _Samples:
    """Impulse response of a small furnished room, whose echoes are 6 to 14 dB below the direct sound."""
    decay_s = rng.uniform(0.15, 0.4)  # by 60 dB
    time_s = np.arange(round(decay_s * RATE_HZ)) / RATE_HZ
    tail = rng.normal(size=len(time_s)) * 10 ** (-3 * time_s / decay_s) * (time_s > 0.003)
    tail *= 10 ** (-rng.uniform(6, 14) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def _fitted(clip: _Samples, length: int, seed: int) -> NDArray[np.float64]:
    """A clip made as long as asked: cut, stretched by up to 1.3, or joined to itself at random places."""
    samples = clip.astype(np.float64)
    if len(samples) >= length:
        start = 0 if seed < 0 else int(np.random.default_rng(seed).integers(len(samples) - length + 1))
        return samples[start : start + length].copy()
    if length <= 1.3 * len(samples):
        return _stretched(samples, length).astype(np.float64)
    rng = np.random.default_rng(max(seed, 0))
    overlap = min(1600, len(samples) // 3)
    ramp = np.sin(np.linspace(0, np.pi / 2, overlap))
    joined = samples
    while len(joined) < length:
        more = samples[int(rng.integers(len(samples) // 3 + 1)) :].copy()
        more[:overlap] = more[:overlap] * ramp + joined[-overlap:] * ramp[::-1]
        joined = np.concatenate([joined[:-overlap], more])
    return joined[:length]


def _stretched(samples: NDArray[Any], length: int) -> _Samples:
    return np.interp(np.linspace(0, len(samples) - 1, length), np.arange(len(samples)), samples).astype(np.float32)


LOOPS_S = (37, 53)  # without common divisor: their sum repeats itself after half an hour only


def _loops(spectrum: NDArray[np.float64], rms: float, rng: np.random.Generator) -> tuple[_Samples, ...]:
    """Two seamless loops of noise of the given amplitudes at frequencies from 0 to 8 kHz, whose sum has that RMS."""
    return tuple(
        (_shaped_noise(spectrum, seconds * RATE_HZ, rng) * (rms / math.sqrt(2))).astype(np.float32)
        for seconds in LOOPS_S
    )


def _shaped_noise(spectrum: NDArray[np.float64], length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Stationary noise of RMS 1; its end runs on into its beginning."""
    amplitudes = np.interp(np.linspace(0, 1, length // 2 + 1), np.linspace(0, 1, len(spectrum)), spectrum)
    amplitudes[0] = 0.0
    noise = np.fft.irfft(amplitudes * np.exp(2j * np.pi * rng.random(len(amplitudes))), length)
    return noise / np.sqrt(np.mean(noise**2))


def _looped(loops: tuple[_Samples, ...], start: int, stop: int) -> _Samples:
    index = np.arange(start, stop)
    out = np.zeros(stop - start, np.float32)
    for loop in loops:
        out += loop[index % len(loop)]
    return out


def _room_spectrum(white: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """Amplitudes from 0 to 8 kHz: falling, by 2 to 6 dB an octave, and often with the hum of the mains."""
    frequencies_hz = np.linspace(0, RATE_HZ / 2, 8001)
    if white:
        return np.ones(len(frequencies_hz))
    amplitudes = (frequencies_hz + 60.0) ** -rng.uniform(0.3, 1.0)
    amplitudes[:30] = 0.0
    if rng.random() < 0.5:
        amplitudes[[50, 100, 150, 250]] *= rng.uniform(2, 12, size=4)
    return amplitudes


# ---------------------------------------------------------------------------------------------- without clips


def _synthetic(kind: str, rng: np.random.Generator) -> _Samples:
    """A crude sound of a kind for which no clips are given."""
    from scipy.signal import butter, sosfilt

    length = round(RATE_HZ * {"snore": 1.4, "inhale": 1.3, "exhale": 1.6, "cough": 0.45}.get(kind, 4.0))
    time_s = np.arange(length) / RATE_HZ
    noise = rng.normal(size=length)

    def band(low_hz: float, high_hz: float, samples: NDArray[np.float64] = noise) -> NDArray[np.float64]:
        return sosfilt(butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos"), samples)

    if kind == "inhale":
        made = band(400, rng.uniform(2500, 5000)) * np.sin(np.pi * (time_s / time_s[-1]) ** 1.3)
    elif kind == "exhale":
        made = band(120, rng.uniform(900, 2500)) * np.minimum(1, time_s / 0.15) * np.exp(-time_s / 0.6)
    elif kind == "snore":
        rate_hz = rng.uniform(30, 90) * (1 + 0.05 * np.cumsum(rng.normal(size=length)) / math.sqrt(length))
        pulses = np.diff(np.floor(np.cumsum(rate_hz) / RATE_HZ), prepend=0.0) * rng.uniform(0.6, 1.4, size=length)
        made = sum(
            band(0.8 * centre, 1.25 * centre, 40 * pulses + 0.3 * noise) * weight
            for centre, weight in zip(rng.uniform((150, 400, 1200), (350, 900, 2500)), (1, 0.7, 0.4), strict=True)
        )
    elif kind == "cough":
        made = band(200, 5000) * np.minimum(1, time_s / 0.015) * np.exp(-time_s / 0.1)
    elif kind == "speech":
        voice = VoiceParameters(f0_hz=float(rng.uniform(90, 230)), snr_db=60)
        return synthesize_voice(voice, 4.0, seed=int(rng.integers(2**31))).recording.samples
    elif kind == "alarm":
        made = np.sign(np.sin(2 * np.pi * rng.uniform(700, 2200) * time_s)) * (time_s % 0.5 < 0.2) * (time_s % 4 < 2)
    elif kind == "steps":
        since_s = time_s % rng.uniform(0.5, 0.7)
        made = band(50, 300) * np.exp(-since_s / 0.05)
    elif kind == "rustle":
        made = band(800, 7000) * np.abs(band(0.7, 6, rng.normal(size=length)))
    elif kind == "handling":
        knocks = np.interp(time_s, np.arange(0, 4, 0.05), (rng.random(80) < 0.15) * rng.exponential(size=80))
        made = 8 * band(25, 150) * knocks + band(1500, 7500) * np.abs(band(2, 20, rng.normal(size=length)))
    else:  # fan
        made = band(60, 1500) + 0.3 * np.sin(2 * np.pi * rng.uniform(80, 200) * time_s)
    return (0.2 * made / np.abs(made).max()).astype(np.float32)
