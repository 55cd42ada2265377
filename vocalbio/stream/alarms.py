"""Alarms: when somebody should look, and how often at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocalbio.errors import ParameterError

if TYPE_CHECKING:
    from vocalbio.stream.events import Event

__all__ = ["Alarm", "AlarmPolicy"]


@dataclass(frozen=True)
class Alarm:
    """
    One alarm.

    Attributes
    ----------
    time_s : float
        When it was given, in seconds from the beginning.
    reason : str
        In words.
    event : int
        The number of the event that caused it.
    """

    time_s: float
    reason: str
    event: int


@dataclass(frozen=True)
class AlarmPolicy:
    """
    When a monitor gives an alarm. It is no medical alarm, and nobody's safety may depend on it.

    Parameters
    ----------
    pause_s : float or None, default 20
        An alarm when the sound of breathing has been away for so long and the pause still goes on.
    per_hour : float or None, default None
        An alarm when so many events have ended within the last hour.
    refractory_s : float, default 600
        After an alarm, silence for so long.

    Raises
    ------
    ParameterError
        If a limit is not positive, or there is none at all.

    Examples
    --------
    >>> from vocalbio.stream import AlarmPolicy
    >>> AlarmPolicy(pause_s=30, refractory_s=300).pause_s
    30
    """

    pause_s: float | None = 20.0
    per_hour: float | None = None
    refractory_s: float = 600.0

    def __post_init__(self) -> None:
        if self.pause_s is None and self.per_hour is None:
            raise ParameterError("pause_s and per_hour are both None; expected one limit at least")
        for name in ("pause_s", "per_hour"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ParameterError(f"{name} is {value!r}; expected more than 0, or None for no such alarm")
        if not self.refractory_s >= 0:
            raise ParameterError(f"refractory_s is {self.refractory_s!r}; expected 0 or more seconds")

    def judge(self, now_s: float, events: list[Event], last: Alarm | None) -> Alarm | None:
        """
        Decide whether there is an alarm now.

        Parameters
        ----------
        now_s : float
            The present, in seconds from the beginning.
        events : list of Event
            Those of the last hour, the open one among them.
        last : Alarm or None
            The last alarm given.

        Returns
        -------
        Alarm or None
        """
        if last is not None and now_s - last.time_s < self.refractory_s:
            return None
        for event in events:
            going_on = event.open and event.end_s >= now_s - 1
            if self.pause_s is not None and going_on and event.end_s - event.start_s >= self.pause_s:
                return Alarm(now_s, f"no breathing heard for {event.end_s - event.start_s:.0f} s", event.number)
        ended = [event for event in events if event.end_s > now_s - 3600 and not event.withdrawn]
        if self.per_hour is not None and len(ended) >= self.per_hour:
            return Alarm(now_s, f"{len(ended)} events within the last hour", ended[-1].number)
        return None
