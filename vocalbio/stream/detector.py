"""
The default detector: pauses and reductions of breathing, by rules that can be read and need no weights.

It follows what clinicians listen for [1]_: regular breathing or snoring, then silence of ten seconds or more, then a
gasp, a louder snore, or breathing again.

References
----------
.. [1] Alakuijala A, Salmi T. Predicting obstructive sleep apnea with periodic snoring sound recorded at home. J Clin
   Sleep Med 2016;12:953-958. doi:10.5664/jcsm.5922
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocalbio.stream.breaths import Burst, BurstTracker

if TYPE_CHECKING:
    from vocalbio.stream.frames import Second

__all__ = ["BreathingDetector", "Finding"]

_PAUSE_S, _LONGEST_S = 10.0, 120.0
_FAINT_DB = 13.0  # below the breaths before, and short: effort against a closed throat, no breath
_INAUDIBLE_DB = 22.0  # however long
_EFFORT_S = 0.8
_REFERENCE_S = 90.0
_REDUCED_DB = 4.0  # a third of the amplitude and a little more, or every second breath would be one
_BASELINE_S = 120.0
_HALF_S = 2.0
_RECENT_S = 45.0
_AFTERMATH_S = 15.0  # what follows an event is known
_MEMORY_S = 300.0

# Sign, its lowest and highest value that count, and what it adds to the log-odds by unit. Logistic regression on
# simulated nights of the train clips, speech and breathing without events: benchmarks/fit_breathing_detector.py.
_WEIGHTS: dict[str, tuple[tuple[str, float, float, float], ...]] = {
    "apnea": (
        ("rise_db", -10.0, 12.0, 0.14),
        ("return_db", -15.0, 10.0, 0.091),
        ("trend_db", -10.0, 10.0, 0.15),
        ("inside_s", 0.0, 15.0, -0.632),
        ("excess_db", 5.0, 40.0, 0.047),
    ),
    "hypopnea": (
        ("rise_db", -10.0, 12.0, 0.199),
        ("trend_db", -10.0, 10.0, 0.143),
        ("n_low", 2.0, 8.0, 0.139),
        ("change", 0.0, 8.0, -0.417),
        ("low_change", 0.0, 8.0, -0.422),
        ("inside_level_db", -30.0, 0.0, -0.183),
        ("spread_db", 0.0, 6.0, 0.533),
    ),
}
_BIAS = {"apnea": 2.4, "hypopnea": -1.61}


@dataclass(frozen=True, eq=False)
class Finding:
    """
    A pause or reduction with what speaks for and against it.

    Attributes
    ----------
    start_s, end_s : float
        In seconds.
    kind : str
        ``"apnea"`` or ``"hypopnea"``.
    signs : dict of str to float
        What was measured around it.
    """

    start_s: float
    end_s: float
    kind: str
    signs: dict[str, float]
    confidence: float


class BreathingDetector:
    """
    Follow breathing and find where it stops or falls.

    Memory is bounded: five minutes of bursts. What is said of a second is settled `delay_s` later.

    Parameters
    ----------
    net : bool, default False
        As in `BurstTracker`.
    """

    delay_s = 150  # the longest event, what follows it, and some seconds for its beginning

    def __init__(self, *, net: bool = False) -> None:
        self.tracker = BurstTracker(net=net)
        self._bursts: deque[Burst] = deque()
        self._unusable: deque[tuple[float, float]] = deque()
        self._due: deque[Burst] = deque()
        self._found: list[Finding] = []

    def update(self, second: Second) -> list[Burst]:
        """
        Hear one second more.

        Parameters
        ----------
        second : Second

        Returns
        -------
        list of Burst
            That ended in it.
        """
        self.tracker.update(second)
        now = float(self.tracker.now_s)
        if second.lost:
            self._unusable.append((now - 1, now))
        return self._hear(self.tracker.take(), now)

    def finish(self) -> list[Burst]:
        """
        No more sound will come.

        Returns
        -------
        list of Burst
            That was going on.
        """
        self.tracker.finish()
        return self._hear(self.tracker.take(), np.inf)

    def take(self) -> list[Finding]:
        """
        Hand over what was found since the last call.

        Returns
        -------
        list of Finding
        """
        found, self._found = self._found, []
        return found

    def provisional(self) -> list[Finding]:
        """
        Pauses that are going on, or whose aftermath is not known yet.

        Returns
        -------
        list of Finding
            The end of one that is going on is the present.
        """
        bursts, unusable = list(self._bursts), list(self._unusable)
        found = [_pause_before(bursts, ending, unusable) for ending in self._due]
        if bursts:
            since = self.tracker.open_since_s
            end = float(self.tracker.now_s) if since is None else since
            strong = [burst for burst, is_strong in zip(bursts, _strong(bursts), strict=True) if is_strong]
            start = strong[-1].end_s
            if _PAUSE_S <= end - start <= _LONGEST_S:
                inside = [burst for burst in bursts if burst.start_s >= start]
                found.append((start, end, _signs(strong, bursts, start, end, inside, unusable)))
        return [
            Finding(start, end, "apnea", signs, _confidence("apnea", signs))
            for start, end, signs in filter(None, found)
        ]

    def _hear(self, bursts: list[Burst], now: float) -> list[Burst]:
        for burst in bursts:
            if burst.duration_s >= 0.2:
                self._bursts.append(burst)
                self._due.append(burst)
        while self._due and self._due[0].start_s + _AFTERMATH_S <= now:
            ending = self._due.popleft()
            heard, unusable = list(self._bursts), list(self._unusable)
            for kind, look in (("apnea", _pause_before), ("hypopnea", _reduction_before)):
                found = look(heard, ending, unusable)
                if found is not None:
                    self._found.append(Finding(*found[:2], kind, found[2], _confidence(kind, found[2])))
        oldest = (self._bursts[-1].end_s if self._bursts else 0.0) - _MEMORY_S
        while self._bursts and self._bursts[0].end_s < oldest:
            self._bursts.popleft()
        while self._unusable and self._unusable[0][1] < oldest:
            self._unusable.popleft()
        return bursts


def _confidence(kind: str, signs: dict[str, float]) -> float:
    """How much the signs speak for an event, 0 to 1; 0 where something speaks against it altogether."""
    sounds_like_breathing = signs["wander_db"] <= 3.5 and signs["cycle_s"] <= 8.0 and signs["n_before"] >= 2
    if not sounds_like_breathing or signs["lost_share"] > 0.2:
        return 0.0
    total = _BIAS[kind] + sum(weight * np.clip(signs[name], low, high) for name, low, high, weight in _WEIGHTS[kind])
    return float(1 / (1 + np.exp(-total)))


def _strong_level(levels: list[float]) -> float:
    """Median of the louder half: of inhaling and exhaling, the one that is heard."""
    ordered = sorted(levels)
    return float(np.median(ordered[len(ordered) // 2 :]))


def _strong(bursts: list[Burst]) -> list[bool]:
    """Which bursts are breaths in full: not far below those of the minute and a half before."""
    strong: list[bool] = []
    kept: deque[Burst] = deque(maxlen=8)
    for burst in bursts:
        levels = [other.level_db for other in kept if other.end_s > burst.start_s - _REFERENCE_S]
        below_db = _strong_level(levels) - burst.level_db if levels else 0.0
        strong.append(below_db <= (_FAINT_DB if burst.duration_s < _EFFORT_S else _INAUDIBLE_DB))
        if strong[-1]:
            kept.append(burst)
    return strong


def _pause_before(
    bursts: list[Burst], ending: Burst, unusable: list[tuple[float, float]]
) -> tuple[float, float, dict[str, float]] | None:
    """The pause that `ending` ends, with its signs; None where there was none."""
    past = [burst for burst in bursts if burst.start_s <= ending.start_s]
    strong = _strong(past)
    if not strong[-1] or len(past) < 2:
        return None
    last = max((number for number, is_strong in enumerate(strong[:-1]) if is_strong), default=None)
    if last is None:
        return None
    start, end = past[last].end_s, ending.start_s
    for burst in past[last + 1 : -1]:  # the quiet half of the last breath still is breath
        if burst.start_s - start > 1.0:
            break
        start = burst.end_s
    if not _PAUSE_S <= end - start <= _LONGEST_S:
        return None
    breaths = [burst for burst, is_strong in zip(past[:-1], strong, strict=False) if is_strong]
    inside = [burst for burst in past[last + 1 : -1] if burst.start_s >= start]
    return start, end, _signs(breaths, bursts, start, end, inside, unusable)


def _reduction_before(
    bursts: list[Burst], ending: Burst, unusable: list[tuple[float, float]]
) -> tuple[float, float, dict[str, float]] | None:
    """The run of quieter breaths that `ending` ends, with its signs; None where there was none."""
    past = [b for b in bursts if b.start_s <= ending.start_s and b.duration_s >= 0.3]
    main = _louder_halves(past)
    if not main or main[-1] is not ending:
        return None
    main = [b for b in main[:-1] if b.end_s > ending.start_s - _LONGEST_S - _BASELINE_S]
    if len(main) < 5:
        return None
    usual = float(np.quantile([b.level_db for b in main], 0.7))
    if ending.level_db < usual - _REDUCED_DB / 2:
        return None
    low: list[Burst] = []
    while main and main[-1].level_db < usual - _REDUCED_DB:
        low.insert(0, main.pop())
    if len(low) < 3 or len(main) < 3:
        return None
    start, end = main[-1].end_s, ending.start_s
    for burst in past:  # the other half of the last full breath
        if start <= burst.start_s < low[0].start_s and burst.start_s - start < 1.0:
            start = burst.end_s
    if not _PAUSE_S <= end - start <= _LONGEST_S:
        return None
    inside = [b for b in past if b.start_s >= start and b.end_s <= end]
    signs = _signs(main, bursts, start, end, inside, unusable)
    signs["n_low"] = float(len(low))
    signs["low_change"] = _unlike(main[-4:], low)
    return start, end, signs


def _louder_halves(bursts: list[Burst]) -> list[Burst]:
    """Of bursts that follow each other within two seconds the loudest."""
    kept: list[Burst] = []
    ended = -np.inf
    for burst in bursts:
        if burst.start_s - ended >= _HALF_S:
            kept.append(burst)
            ended = burst.end_s
        elif burst.level_db > kept[-1].level_db:
            kept[-1] = burst
            ended = burst.end_s
    return kept


def _unlike(some: list[Burst], others: list[Burst]) -> float:
    """How much the spectra of two groups differ in shape, in dB."""
    if not some or not others:
        return 0.0
    one, other = (np.mean([b.shape_db for b in group], axis=0) for group in (some, others))
    return float(np.std(one - other))


def _signs(
    breaths: list[Burst],
    bursts: list[Burst],
    start: float,
    end: float,
    inside: list[Burst],
    unusable: list[tuple[float, float]],
) -> dict[str, float]:
    """What is measured around a pause or reduction; `breaths` are those before it, `inside` the sounds in it."""
    recent = [b for b in breaths if b.end_s > start - _RECENT_S]
    main = _louder_halves(breaths)[-8:]
    usual = _strong_level([b.level_db for b in breaths if b.end_s > start - 60][-10:] or [breaths[-1].level_db])
    after = [b for b in bursts if end <= b.start_s < end + _AFTERMATH_S]
    cycles = np.diff([b.start_s for b in breaths[-12:]])
    lost = sum(max(0.0, min(end, stop) - max(start, begin)) for begin, stop in unusable)
    levels = [b.level_db for b in main]
    resumed = [b.level_db for b in after if b.start_s < end + 6]
    return {
        "length_s": end - start,
        "n_before": float(len(_louder_halves(recent))),
        "cycle_s": float(np.median(cycles)) if len(cycles) else _LONGEST_S,
        "rise_db": max(resumed) - usual if resumed else 0.0,
        "return_db": resumed[0] - usual if resumed else 0.0,
        "trend_db": _strong_level(levels[-2:]) - _strong_level(levels[:-2]) if len(levels) > 3 else 0.0,
        "change": _unlike(main[-4:], _louder_halves(after)[:3]),
        "spread_db": float(np.std([b.level_db for b in main])),
        "wander_db": float(max(np.median([b.wander_db for b in group]) for group in (main, after) if group)),
        "inside_level_db": (max(b.level_db for b in inside) - usual) if inside else -40.0,
        "inside_s": sum(b.duration_s for b in inside if b.start_s < end),
        "lost_share": lost / (end - start),
        "excess_db": float(np.median([b.excess_db for b in main])),
    }
