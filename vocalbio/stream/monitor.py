"""The monitor: sound in blocks of any size, evidence by the second and events out, in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vocalbio.errors import AudioError, ParameterError
from vocalbio.stream.breaths import Burst, BurstTracker
from vocalbio.stream.detector import BreathingDetector, Finding
from vocalbio.stream.events import EVIDENCE_COLUMNS, Event, EventMachine, Rule, to_table
from vocalbio.stream.frames import N_COLUMNS, SAMPLING_RATE_HZ, Second, measure_seconds

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from vocalbio.stream.alarms import Alarm, AlarmPolicy
    from vocalbio.stream.report import NightReport

__all__ = ["Monitor", "WindowClassifier"]

_COLUMN = {name: number for number, name in enumerate(EVIDENCE_COLUMNS)}
_RHYTHM_S = (1.2, 12.0)  # from one snore to the next
_HEARD_S = 3  # a breath counts for the seconds after it: breathing has pauses
_CLIPPED_SHARE = 0.05
_MODEL_DELAY_S = 15  # a snore is one when another follows


class WindowClassifier(Protocol):
    """What a trained model offers that listens in place of the default detector."""

    @property
    def context_s(self) -> int:
        """Whole seconds of sound that it needs before and after a second."""

    def predict_seconds(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (normal, snore, apnea) of each second but for `context_s` at both ends."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What it was trained on."""


class Monitor:
    """
    Listen to a sleeper, live or from a file.

    Parameters
    ----------
    sampling_rate_hz : float
        Of the samples that will be pushed, in Hz. Resampled to 16 kHz where it is another.
    model : WindowModel, optional
        A trained model whose snore and apnea probabilities take the place of the default detector's.
    rule : Rule, optional
        How evidence becomes events.
    noise_reduction : bool, default False
        Subtract the tracked noise floor, band by band, before the loudness of breaths is compared.
    alarm : AlarmPolicy, optional
        When to give an alarm; see `alarms`.
    started : datetime, optional
        Clock time of the first sample, for the report.

    Attributes
    ----------
    alarms : list of Alarm
        Given so far.

    Raises
    ------
    ParameterError
        If the rate is no usable rate.

    Notes
    -----
    A second is settled 150 seconds after it was heard (15 with a model): an apnea may last 120, and what follows it
    counts. Until then its event is told as open. Memory: five minutes of sounds, and 700 bytes for each second heard
    (20 MB for eight hours), so that the night can be kept and its report made.

    Examples
    --------
    >>> import numpy as np
    >>> import vocalbio as vb
    >>> monitor = vb.Monitor(16_000)
    >>> quiet = 0.001 * np.random.default_rng(0).standard_normal(16_000 * 30)
    >>> monitor.push(quiet)
    []
    >>> report = monitor.finish()
    >>> len(report.events)
    0
    """

    def __init__(
        self,
        sampling_rate_hz: float,
        *,
        model: WindowClassifier | None = None,
        rule: Rule | None = None,
        noise_reduction: bool = False,
        alarm: AlarmPolicy | None = None,
        started: datetime | None = None,
    ) -> None:
        is_rate = isinstance(sampling_rate_hz, Real) and not isinstance(sampling_rate_hz, bool)
        if not (is_rate and 1000 <= sampling_rate_hz <= 1_000_000):
            raise ParameterError(f"sampling_rate_hz is {sampling_rate_hz!r}; expected a rate in Hz, such as 16000")
        self.sampling_rate_hz = float(sampling_rate_hz)
        self.model = model
        self.rule = rule or Rule()
        self.noise_reduction = noise_reduction
        self.alarm = alarm
        self.started = started
        self.alarms: list[Alarm] = []
        self._context_s = 0 if model is None else int(model.context_s)
        self._n_columns = N_COLUMNS + (0 if model is None else 3)
        self._delay_s = BreathingDetector.delay_s if model is None else _MODEL_DELAY_S
        self._resampler: Any = None
        # sound that has not become rows yet, with what a model must hear before it
        self._sound = np.full(self._context_s * SAMPLING_RATE_HZ, np.nan, np.float32)
        # beside a model nobody asks for pauses: its breaths and noise floor are enough
        self._detector = BreathingDetector(net=noise_reduction) if model is None else None
        self._tracker = BurstTracker(net=noise_reduction) if self._detector is None else self._detector.tracker
        self._machine = EventMachine(self.rule)
        self._rows: list[NDArray[np.float32]] = []
        self._evidence = np.full((600, len(EVIDENCE_COLUMNS)), np.nan, np.float32)
        self._n_heard = self._n_settled = 0
        self._last_bursts: deque[Burst] = deque(maxlen=12)
        self._breath_until_s = 0.0
        self._findings: list[Finding] = []  # not settled
        self._final: list[Event] = []
        self._told: list[Event] = []  # as last told to the caller
        self._finished = False

    @property
    def heard_s(self) -> float:
        """Seconds that have become rows."""
        return float(self._n_heard)

    @property
    def position_s(self) -> float:
        """Where in the recording the next pushed sample belongs, in seconds, after `restore`."""
        return float(max(0, self._n_heard - self._context_s))

    @property
    def measured(self) -> NDArray[np.float32]:
        """Rows of all seconds heard, shape (n_seconds, n_columns): what `restore` takes."""
        return np.concatenate(self._rows) if self._rows else np.empty((0, self._n_columns), np.float32)

    @property
    def evidence(self) -> pd.DataFrame:
        """
        Evidence of the settled seconds.

        One row a second, index ``start_s``; columns ``level_db`` (dB of full scale), ``floor_db`` (noise floor),
        ``breath``, ``snore``, ``apnea``, ``hypopnea`` (0 to 1; NaN where nothing can be said) and ``usable`` (0 or 1).
        """
        import pandas as pd

        index = pd.Index(np.arange(self._n_settled, dtype=float), name="start_s")
        return pd.DataFrame(self._evidence[: self._n_settled].copy(), index=index, columns=list(EVIDENCE_COLUMNS))

    def preliminary(self, start_s: float = 0.0) -> NDArray[np.float32]:
        """
        Evidence as it stands now, for a display: what is not settled yet may change.

        Parameters
        ----------
        start_s : float
            The first second wanted.

        Returns
        -------
        ndarray of shape (n_seconds, n_columns)
            One row for each second heard from there on, columns as in `evidence`.
        """
        return self._evidence[max(0, int(start_s)) : self._n_heard].copy()

    def push(self, samples: ArrayLike) -> list[Event]:
        """
        Hear the next block.

        Parameters
        ----------
        samples : array-like of float, shape (n_samples,)
            Mono, in [-1, 1]; any length, 0 as well. At 16 kHz, NaN stands for sound that was not recorded.

        Returns
        -------
        list of Event
            New events and those that changed: an open one went on, ended, was settled or withdrawn.

        Raises
        ------
        AudioError
            If samples are infinite, or NaN at another rate than 16 kHz (use `skip`).
        ParameterError
            If the samples are not a row of floats, or the monitor has finished.
        """
        block = self._checked(samples)
        if self.sampling_rate_hz != SAMPLING_RATE_HZ:
            block = self._resampled(block)
        return self._take(block)

    def skip(self, seconds: float) -> list[Event]:
        """
        Tell of sound that was lost, so that times stay right.

        Parameters
        ----------
        seconds : float

        Returns
        -------
        list of Event
            As `push`.
        """
        if not (isinstance(seconds, Real) and 0 <= seconds < np.inf):
            raise ParameterError(f"seconds is {seconds!r}; expected 0 or more")
        self._checked(())
        rest = self._resampled(np.empty(0, np.float32), last=True)
        lost = np.full(round(seconds * SAMPLING_RATE_HZ), np.nan, np.float32)
        return self._take(np.concatenate([rest, lost]))

    def restore(self, rows: NDArray[np.float32]) -> list[Event]:
        """
        Take up a night that was interrupted, from the rows that were kept of it.

        Parameters
        ----------
        rows : array of float32, shape (n_seconds, n_columns)
            `measured` of a monitor with the same settings. Go on with the sound from `position_s`.

        Returns
        -------
        list of Event
            As `push` would have given.

        Raises
        ------
        ParameterError
            If sound was heard already or the rows are another monitor's.
        """
        if self._n_heard or len(self._sound) > self._context_s * SAMPLING_RATE_HZ:
            raise ParameterError("this monitor has heard something already; restore is for a new one")
        if rows.ndim != 2 or rows.shape[1] != self._n_columns or rows.dtype != np.float32:
            raise ParameterError(
                f"rows have shape {rows.shape} and type {rows.dtype}; expected float32 of shape (n_seconds, "
                f"{self._n_columns}), kept from a monitor with the same settings"
            )
        for row in rows:
            self._hear(row)
        self._rows = [rows.copy()] if len(rows) else []
        # sound that is pushed next begins at position_s: the seconds before it lie outside or are not needed
        before = self._context_s - (self._n_heard - int(self.position_s))
        self._sound = np.full(before * SAMPLING_RATE_HZ, np.nan, np.float32)
        return self._news()

    def finish(self) -> NightReport:
        """
        End the night: settle all that is open and make the report.

        Returns
        -------
        NightReport

        Raises
        ------
        AudioError
            If not one second was heard.
        ParameterError
            If the monitor has finished already.
        """
        from vocalbio.stream.report import NightReport

        self._checked(())
        rest = self._resampled(np.empty(0, np.float32), last=True)
        sound = np.concatenate([self._sound, rest])
        length = (len(sound) + SAMPLING_RATE_HZ // 2) // SAMPLING_RATE_HZ * SAMPLING_RATE_HZ  # to the nearest second
        sound = np.pad(sound, (0, max(0, length - len(sound))))[:length]
        self._sound = np.concatenate([sound, np.full(self._context_s * SAMPLING_RATE_HZ, np.nan, np.float32)])
        self._measure()
        if not self._n_heard:
            raise AudioError("nothing was heard: less than half a second of sound was pushed")
        self._finished = True
        if self._detector is None:
            self._tracker.finish()
            self._note(self._tracker.take())
        else:
            self._note(self._detector.finish())
        self._settle(self._n_heard)
        self._machine.finish()
        self._final += self._machine.take()
        return NightReport(
            events=to_table(self._final),
            evidence=self.evidence,
            settings=self.settings,
            started=self.started,
            validation=None if self.model is None else self.model.manifest.get("validation"),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the answer depends on beside the sound: plain values."""
        return {
            "detector": "breathing" if self.model is None else "window model",
            "model": None if self.model is None else self.model.manifest,
            "rule": self.rule.to_dict(),
            "noise_reduction": self.noise_reduction,
        }

    # Sound to rows

    def _checked(self, samples: ArrayLike) -> NDArray[np.float32]:
        if self._finished:
            raise ParameterError("this monitor has finished; make a new one for the next night")
        block = np.asarray(samples)
        if block.ndim != 1 or (block.size and block.dtype.kind != "f"):
            raise ParameterError(
                f"samples have shape {block.shape} and type {block.dtype}; expected floats of shape (n_samples,), "
                "mono, in [-1, 1]"
            )
        block = block.astype(np.float32)
        if np.isinf(block).any() or (self.sampling_rate_hz != SAMPLING_RATE_HZ and np.isnan(block).any()):
            raise AudioError("samples hold NaN or infinite values; call skip(seconds) for sound that was lost")
        return np.clip(block, -1.0, 1.0)

    def _resampled(self, block: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        import soxr

        if last and self._resampler is None:
            return block
        if self._resampler is None:
            self._resampler = soxr.ResampleStream(self.sampling_rate_hz, SAMPLING_RATE_HZ, 1, "float32", "VHQ")
        resampled = np.clip(self._resampler.resample_chunk(block, last=last), -1.0, 1.0)
        if last:
            self._resampler = None
        return resampled

    def _take(self, block: NDArray[np.float32]) -> list[Event]:
        self._sound = np.concatenate([self._sound, block])
        heard = self._n_heard
        self._measure()
        return self._news() if self._n_heard > heard else []  # nothing changes within a second

    def _measure(self) -> None:
        """Make rows of all seconds that have their context."""
        edge = self._context_s * SAMPLING_RATE_HZ
        n_ready = (len(self._sound) - 2 * edge) // SAMPLING_RATE_HZ
        if n_ready <= 0:
            return
        stop = n_ready * SAMPLING_RATE_HZ
        rows = measure_seconds(self._sound[edge : edge + stop])
        if self.model is not None:
            said = np.asarray(self.model.predict_seconds(self._sound[: stop + 2 * edge]), np.float32)
            # what differs from batch to batch in the last digits must not differ in a resumed night
            rows = np.concatenate([rows, said.round(3)], axis=1)
        self._sound = self._sound[stop:].copy()
        self._rows.append(rows)
        for row in rows:
            self._hear(row)

    # Rows to evidence

    def _hear(self, row: NDArray[np.float32]) -> None:
        second = Second(row[:N_COLUMNS])
        if self._n_heard == len(self._evidence):
            self._evidence = np.concatenate([self._evidence, np.full_like(self._evidence, np.nan)])
        if self._detector is None:
            self._tracker.update(second)
            bursts = self._tracker.take()
        else:
            bursts = self._detector.update(second)
        usable = not second.lost and second.clipped <= _CLIPPED_SHARE
        heard = self._evidence[self._n_heard]
        heard[_COLUMN["level_db"]] = second.level_db if second.present else np.nan
        heard[_COLUMN["usable"]] = usable
        if second.present:
            heard[_COLUMN["floor_db"]] = self._tracker.floor_level_db
            heard[[_COLUMN["snore"], _COLUMN["apnea"], _COLUMN["hypopnea"]]] = 0.0
            heard[_COLUMN["breath"]] = float(self._n_heard < self._breath_until_s)
        if self.model is not None and second.present:
            heard[[_COLUMN["snore"], _COLUMN["apnea"]]] = row[-2:]
        self._n_heard += 1
        self._note(bursts)
        self._settle(self._n_heard - self._delay_s)

    def _note(self, bursts: list[Burst]) -> None:
        for burst in bursts:
            if burst.is_breath_like:
                self._breath_until_s = burst.end_s + _HEARD_S
                self._paint("breath", burst.start_s, self._breath_until_s, 1.0)
            if self.model is None and burst.snore >= 0.5:
                self._note_snore(burst)
            self._last_bursts.append(burst)
        found = [] if self._detector is None else self._detector.take()
        if found:
            self._findings = _strongest([*self._findings, *found])

    def _note_snore(self, burst: Burst) -> None:
        """A snore is one of several: what pulses like one but stands alone, or comes too fast, may be a word."""
        for other in self._last_bursts:
            if other.snore >= 0.5 and _RHYTHM_S[0] <= burst.start_s - other.start_s <= _RHYTHM_S[1]:
                self._paint("snore", other.start_s, other.end_s, other.snore)
                self._paint("snore", burst.start_s, burst.end_s, burst.snore)

    def _paint(self, name: str, start_s: float, end_s: float, value: float) -> None:
        stretch = self._evidence[max(self._n_settled, int(start_s)) : min(self._n_heard, int(np.ceil(end_s)))]
        column = stretch[:, _COLUMN[name]]  # NaN stays NaN
        np.maximum(column, np.float32(value), out=column)

    def _settle(self, until: int) -> None:
        for number in range(self._n_settled, until):
            row = self._evidence[number]
            for finding in self._findings:
                if round(finding.start_s) <= number < round(finding.end_s):
                    row[_COLUMN[finding.kind]] = finding.confidence
            usable = row[_COLUMN["usable"]] > 0
            apnea, hypopnea = row[_COLUMN["apnea"]], row[_COLUMN["hypopnea"]]
            self._machine.update(apnea if usable else 0.0, hypopnea if usable else 0.0)
        self._n_settled = max(self._n_settled, until)
        self._findings = [finding for finding in self._findings if finding.end_s > self._n_settled]

    # Events as they come

    def _news(self) -> list[Event]:
        """What the caller has not been told yet."""
        settled = self._machine.take()
        self._final += settled
        provisional = [] if self._detector is None else self._detector.provisional()
        found = [
            Event(0, finding.start_s, finding.end_s, finding.kind, finding.confidence, open=True)
            for finding in [*self._findings, *provisional]
            if finding.confidence >= self.rule.on
        ]
        going_on = [] if self._machine.open_run is None else [self._machine.open_run]
        current = [*settled, *self._merged(found + going_on)]
        news = []
        for event in current:
            known = next((old for old in self._told if old.open and _overlap(old, event)), None)
            if known is None:
                number = 1 + max((old.number for old in self._told), default=0)
                event = replace(event, number=number)
            else:
                event = replace(event, number=known.number)
                self._told.remove(known)
            if event != known:
                news.append(event)
            self._told.append(event)
        for old in list(self._told):
            if old.open and not any(_overlap(old, event) for event in current):
                self._told.remove(old)
                self._told.append(replace(old, open=False, withdrawn=True))
                news.append(self._told[-1])
        # enough for an alarm that counts events by the hour
        latest = max((event.number for event in self._told), default=0)
        self._told = [e for e in self._told if e.open or e.number == latest or e.end_s > self._n_heard - 3600]
        if self.alarm is not None:
            alarm = self.alarm.judge(float(self._n_heard), self._told, self.alarms[-1] if self.alarms else None)
            self.alarms += [alarm] if alarm else []
        return news

    @staticmethod
    def _merged(events: list[Event]) -> list[Event]:
        merged: list[Event] = []
        for event in sorted(events, key=lambda event: event.start_s):
            if merged and _overlap(merged[-1], event):
                last = merged.pop()
                event = replace(
                    last, end_s=max(last.end_s, event.end_s), confidence=max(last.confidence, event.confidence)
                )
            merged.append(event)
        return merged


def _strongest(findings: list[Finding]) -> list[Finding]:
    """Of findings that overlap the one with most confidence."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda finding: -finding.confidence):
        if all(finding.end_s <= other.start_s or other.end_s <= finding.start_s for other in kept):
            kept.append(finding)
    return kept


def _overlap(one: Event, other: Event) -> bool:
    return one.start_s < other.end_s and other.start_s < one.end_s
