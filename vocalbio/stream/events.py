"""
Events: the one state machine that turns evidence by the second into events, whoever gave the evidence.

The rule follows what is usual in the field [1]_ [2]_: smooth, start above one threshold and end below a lower one,
bridge short breaks, keep what lasts ten seconds, and drop what no breath-hold can be.

References
----------
.. [1] Berry RB et al. Rules for scoring respiratory events in sleep: update of the 2007 AASM manual. J Clin Sleep Med
   2012;8:597-619. doi:10.5664/jcsm.2172
.. [2] Mesaros A, Heittola T, Virtanen T. Metrics for polyphonic sound event detection. Appl Sci 2016;6:162.
   doi:10.3390/app6060162
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = ["EVENT_COLUMNS", "EVIDENCE_COLUMNS", "Event", "EventMachine", "Rule", "to_table"]

EVENT_COLUMNS = ("start_s", "end_s", "kind", "confidence")
EVIDENCE_COLUMNS = ("level_db", "floor_db", "breath", "snore", "apnea", "hypopnea", "usable")


@dataclass(frozen=True)
class Event:
    """
    One event of a night.

    Attributes
    ----------
    number : int
        Counts up from 1; a changed event keeps its number.
    start_s, end_s : float
        In seconds from the beginning of the recording. The end of an open event is the present.
    kind : str
        ``"apnea"``: the sound of breathing stops; ``"hypopnea"``: it falls. What a microphone hears, not airflow.
    confidence : float
        0 to 1: mean evidence over the event.
    open : bool
        It may still change: it is going on, or what followed is not known yet.
    withdrawn : bool
        It was told as open and did not stand.
    """

    number: int
    start_s: float
    end_s: float
    kind: str
    confidence: float
    open: bool = False
    withdrawn: bool = False


@dataclass(frozen=True)
class Rule:
    """
    How evidence becomes events.

    Parameters
    ----------
    on, off : float
        An event begins where the smoothed evidence reaches `on` and ends where it falls below `off`.
    smooth_s : int
        Length of the median filter, in seconds, odd; 1: none.
    bridge_s : float
        Two runs with no more than so many seconds between them are one.
    min_s, max_s : float
        Shorter runs are dropped (one second is forgiven, since evidence comes in seconds); longer ones are no
        breathing event and are dropped as well.

    Raises
    ------
    ParameterError
        If the thresholds or lengths make no sense together.
    """

    on: float = 0.6
    off: float = 0.4
    smooth_s: int = 5
    bridge_s: float = 3.0
    min_s: float = 10.0
    max_s: float = 120.0

    def __post_init__(self) -> None:
        if not 0 < self.off <= self.on <= 1:
            raise ParameterError(f"on is {self.on!r} and off is {self.off!r}; expected 0 < off <= on <= 1")
        if self.smooth_s < 1 or self.smooth_s % 2 == 0:
            raise ParameterError(f"smooth_s is {self.smooth_s!r}; expected an odd whole number of seconds")
        if not self.bridge_s >= 0 or not 1 < self.min_s < self.max_s:
            raise ParameterError(
                f"bridge_s, min_s and max_s are {self.bridge_s!r}, {self.min_s!r} and {self.max_s!r}; expected a "
                "bridge of 0 s or more, and 1 < min_s < max_s"
            )

    def to_dict(self) -> dict[str, Any]:
        """
        Plain values, for a report's settings.

        Returns
        -------
        dict
        """
        return asdict(self)


class EventMachine:
    """
    Evidence in, second by second; finished events out.

    Parameters
    ----------
    rule : Rule

    Examples
    --------
    >>> from vocalbio.stream.events import EventMachine, Rule
    >>> machine = EventMachine(Rule(smooth_s=1))
    >>> for second in range(60):
    ...     machine.update(0.9 if 20 <= second < 35 else 0.0, 0.0)
    >>> [(event.start_s, event.end_s, event.kind) for event in machine.take()]
    [(20.0, 35.0, 'apnea')]
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._half = rule.smooth_s // 2
        self._window: deque[tuple[float, float]] = deque(maxlen=rule.smooth_s)
        self._n_heard = 0
        self._time = 0  # of the smoothed value that comes next
        self._run: list[tuple[float, float]] = []
        self._start = 0
        self._low_s = 0  # seconds since the run fell below `off`
        self._done: list[Event] = []
        self._count = 0

    def update(self, apnea: float, hypopnea: float) -> None:
        """
        Take the evidence of the next second.

        Parameters
        ----------
        apnea, hypopnea : float
            0 to 1; NaN counts as 0: where nothing can be said there is no event.
        """
        self._window.append((float(np.nan_to_num(apnea)), float(np.nan_to_num(hypopnea))))
        self._n_heard += 1
        if self._n_heard > self._half:
            self._step(self._smoothed())

    def finish(self) -> None:
        """Take the last seconds, which have nothing after them, and end what is open."""
        while self._time < self._n_heard:
            if self._n_heard - len(self._window) < self._time - self._half:
                self._window.popleft()
            self._step(self._smoothed())
        self._close()

    def take(self) -> list[Event]:
        """
        Hand over the events that have ended since the last call.

        Returns
        -------
        list of Event
        """
        done, self._done = self._done, []
        return done

    @property
    def open_run(self) -> Event | None:
        """The run that is going on, as an open event, once it is long enough for one; None otherwise."""
        run = self._run[: len(self._run) - self._low_s]
        return self._event(run, 0, is_open=True) if self.rule.min_s - 1 <= len(run) <= self.rule.max_s else None

    def _smoothed(self) -> tuple[float, float]:
        # the kinds are smoothed together, so that an event that changes its kind does not fall apart
        total = float(np.median([max(pair) for pair in self._window]))
        apnea = sum(pair[0] for pair in self._window)
        both = apnea + sum(pair[1] for pair in self._window)
        share = apnea / both if both else 0.0
        return total * share, total * (1 - share)

    def _step(self, value: tuple[float, float]) -> None:
        level, time = sum(value), self._time
        self._time += 1
        if not self._run:
            if level >= self.rule.on:
                self._start, self._run, self._low_s = time, [value], 0
            return
        if len(self._run) <= self.rule.max_s + self.rule.bridge_s + 1:  # longer ones are dropped whatever comes
            self._run.append(value)
        self._low_s = 0 if level >= self.rule.off else self._low_s + 1
        if self._low_s > self.rule.bridge_s:
            self._close()

    def _close(self) -> None:
        run = self._run[: len(self._run) - self._low_s]
        self._run, self._low_s = [], 0
        if not self.rule.min_s - 1 <= len(run) <= self.rule.max_s:
            return
        self._count += 1
        self._done.append(self._event(run, self._count))

    def _event(self, run: list[tuple[float, float]], number: int, *, is_open: bool = False) -> Event:
        apnea, hypopnea = (float(np.mean(values)) for values in zip(*run, strict=True))
        kind = "apnea" if apnea >= hypopnea else "hypopnea"
        end_s = float(self._start + len(run))
        return Event(number, float(self._start), end_s, kind, min(1.0, apnea + hypopnea), open=is_open)


def to_table(events: Iterable[Event]) -> pd.DataFrame:
    """
    Events as a table.

    Parameters
    ----------
    events : iterable of Event

    Returns
    -------
    pandas.DataFrame
        start_s, end_s, kind, confidence; sorted by start.
    """
    import pandas as pd

    rows = [(event.start_s, event.end_s, event.kind, event.confidence) for event in events]
    table = pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
    table = table.astype({"start_s": float, "end_s": float, "kind": object, "confidence": float})
    return table.sort_values("start_s", ignore_index=True)
