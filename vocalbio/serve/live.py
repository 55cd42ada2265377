"""
The live half: sound comes in over a WebSocket, events go out, and the night is kept second by second.

The event loop only moves bytes. Monitors run in a small pool of threads, each stream's sound in order; the log is
written by one thread of its own. What a stream has sent and has not been heard yet is bounded: when that is full its
socket is not read, and TCP holds the sender back. Nothing is dropped.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeGuard

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from vocalbio.errors import AudioError, ParameterError, VocalbioError
from vocalbio.serve.log import LogError, NotInLogError, RecordingLog, checked_person
from vocalbio.stream import AlarmPolicy, Monitor
from vocalbio.stream.events import EVIDENCE_COLUMNS

__all__ = ["Streams", "router"]

router = APIRouter()
_logger = logging.getLogger("vocalbio.serve")

RATES_HZ = (8_000, 192_000)
FIRST_MESSAGE_S = 10.0
WAITING_S = 10.0
"""So many seconds of sound may wait to be heard, and one frame more."""
MOST_WAITING = 1000
"""And so many messages, for those that send few samples in each."""
UNREAD_S = 10.0
"""Whoever reads nothing for so long is told nothing more: the night, or the end of the service, does not wait."""
LONGEST_TEXT = 10_000
"""Characters of a text message: megabytes of JSON would hold up everybody while they are read."""
PUSHED_S = 5.0
"""So much is heard at once at most: others want their turn."""
LONGEST_LOSS_S = 3600.0
_SNORE_S = 6  # a snore is known as one when another follows
_STATES = {"apnea": "pause", "hypopnea": "shallow"}
_PLAN = {"sampling_rate_hz", "person", "save", "resume"}
# What a client may do about it stands in the text; the code is for programs.
_NORMAL, _UNSUPPORTED, _INVALID, _POLICY, _INTERNAL, _LATER = 1000, 1003, 1007, 1008, 1011, 1013


class _Misuse(VocalbioError):
    """A client did what the protocol does not know: the words, and the code to close with."""

    def __init__(self, words: str, code: int = _UNSUPPORTED) -> None:
        super().__init__(words)
        self.code = code


class Streams:
    """
    All live monitors of a service.

    Parameters
    ----------
    log : RecordingLog
    max_streams : int
        At the same time.
    max_night_s : float
        A night that gets longer is finished.
    flush_s : float
        How often what was heard goes to the log.
    idle_s : float
        A client that sends no sound for so long is sent away.
    resume_s : float
        How long a night waits for a client whose connection was lost.

    Examples
    --------
    >>> import asyncio
    >>> from vocalbio.serve.live import Streams
    >>> from vocalbio.serve.log import RecordingLog
    >>> streams = Streams(RecordingLog(":memory:"), max_streams=4)
    >>> asyncio.run(streams.close())
    """

    def __init__(
        self,
        log: RecordingLog,
        *,
        max_streams: int = 32,
        max_night_s: float = 43_200.0,
        flush_s: float = 5.0,
        idle_s: float = 60.0,
        resume_s: float = 60.0,
    ) -> None:
        self.log = log
        self.max_streams = max_streams
        self.max_night_s = max_night_s
        self.flush_s = flush_s
        self.idle_s = idle_s
        self.resume_s = resume_s
        self.nights: set[_Night] = set()
        self._listeners = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "vocalbio-listen")
        self._writer = ThreadPoolExecutor(1, "vocalbio-log")
        self._repair: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to finish the nights that a crash interrupted, while the service already runs."""
        unfinished = await self.write(self.log.unfinished_nights)
        await self.listen(_warm_up)
        self._repair = asyncio.create_task(self._finish_interrupted(unfinished))

    async def close(self) -> None:
        """Finish all nights and keep their reports."""
        for night in list(self.nights):
            night.end()
        await asyncio.gather(*(night.task for night in self.nights if night.task), return_exceptions=True)
        if self._repair is not None:
            self._repair.cancel()  # the next start takes up what is left
            await asyncio.gather(self._repair, return_exceptions=True)
        self._listeners.shutdown()
        self._writer.shutdown()

    async def listen(self, function: Any, *arguments: Any) -> Any:
        """Run in the pool that hears."""
        return await asyncio.get_running_loop().run_in_executor(self._listeners, function, *arguments)

    async def write(self, function: Any, *arguments: Any) -> Any:
        """Run in the thread that writes the log."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *arguments)

    async def serve(self, socket: WebSocket) -> None:
        """
        Speak with one client from its first message to its last.

        Parameters
        ----------
        socket : WebSocket
            Not accepted yet.
        """
        await socket.accept()
        try:
            night = await self._begin(socket)
        except _Misuse as misuse:
            await _refuse(socket, misuse)
            return
        except LogError as error:
            _logger.error("%s", error)
            await _refuse(socket, _Misuse(f"{error}. To go on without a log, send save false", _INTERNAL))
            return
        except WebSocketDisconnect:
            return
        ending = "lost"
        try:
            ending = await self._read(socket, night)
        except _Misuse as misuse:
            ending = "misused"
            night.leave(socket)  # first, so that nothing follows the words
            await _refuse(socket, misuse)
        finally:
            await self._part(socket, night, ending)

    async def _begin(self, socket: WebSocket) -> _Night:
        plan = await self._plan(socket)
        night = next((n for n in self.nights if n.number is not None and n.number == plan["resume"]), None)
        if night is not None and night.can_go_on(plan):
            await night.take_up(socket)
            return night
        if len(self.nights) >= self.max_streams:
            raise _Misuse(f"{len(self.nights)} streams are being heard, which is the most; try again later", _LATER)
        night = _Night(self, socket, plan)
        self.nights.add(night)  # before anything is awaited: it counts
        try:
            await night.begin()
        except BaseException:
            self.nights.discard(night)
            raise
        return night

    async def _plan(self, socket: WebSocket) -> dict[str, Any]:
        """The first message, checked."""
        try:
            async with asyncio.timeout(FIRST_MESSAGE_S):
                message = await socket.receive()
        except TimeoutError:
            raise _Misuse(f"nothing was said for {FIRST_MESSAGE_S:g} s; expected {_EXPECTED}", _POLICY) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        if message.get("text") is None:
            raise _Misuse(f"the first message is binary; expected {_EXPECTED}, and then the sound")
        plan = _object(message["text"])
        unknown = set(plan) - _PLAN
        if unknown or "sampling_rate_hz" not in plan:
            raise _Misuse(
                f"the first message holds {', '.join(sorted(plan))[:100] or 'nothing'}; expected {_EXPECTED}", _INVALID
            )
        rate, save, resume = plan["sampling_rate_hz"], plan.get("save", True), plan.get("resume")
        if not _is_number(rate) or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
            raise _Misuse(
                f"sampling_rate_hz is {rate!r:.60}; expected the rate in Hz, {RATES_HZ[0]} to {RATES_HZ[1]}",
                _INVALID,
            )
        if not isinstance(save, bool):
            raise _Misuse(f"save is {save!r:.60}; expected true or false", _INVALID)
        if resume is not None and (not isinstance(resume, int) or isinstance(resume, bool)):
            raise _Misuse(f"resume is {resume!r:.60}; expected the number of a night", _INVALID)
        person = plan.get("person")
        try:
            person = None if person in (None, "") else checked_person(person)
        except ParameterError as error:
            raise _Misuse(str(error), _INVALID) from error
        return {"sampling_rate_hz": float(rate), "save": save, "resume": resume, "person": person}

    async def _read(self, socket: WebSocket, night: _Night) -> str:
        """Take what comes until the client finishes, goes away or is lost: which of them."""
        while True:
            try:
                async with asyncio.timeout(self.idle_s):
                    message = await socket.receive()
            except TimeoutError:
                night.leave(socket)
                await _refuse(socket, _Misuse(f"no sound came for {self.idle_s:g} s; send sound, or finish", _POLICY))
                return "lost"
            if message["type"] == "websocket.disconnect":
                # without a word, or because a network went: it may come back. 1012: this service is stopping
                return "lost" if message.get("code") in (None, 1005, 1006, 1011) else "gone"
            if message.get("bytes") is not None:
                await night.hear(message["bytes"], socket)
                continue
            asked = _object(message["text"] or "")
            if asked.get("type") == "finish":
                return "finish"
            if asked.get("type") != "lost":
                raise _Misuse(
                    f"the message has the type {asked.get('type')!r:.60}; expected 'finish', 'lost', or sound"
                )
            seconds = asked.get("seconds")
            if not _is_number(seconds) or not 0 <= seconds <= LONGEST_LOSS_S:
                raise _Misuse(f"seconds lost are {seconds!r:.60}; expected 0 to {LONGEST_LOSS_S:g}", _INVALID)
            await night.lose(float(seconds), socket)

    async def _part(self, socket: WebSocket, night: _Night, ending: str) -> None:
        if night.has_ended or night.source is not socket:  # another connection took it up
            return
        if ending == "finish":
            night.end()
            if night.task is not None:
                await asyncio.shield(night.task)  # it sends the report
            await _close(socket, _NORMAL)
            return
        night.leave(socket)
        if ending == "lost" and night.number is not None:
            night.wait(self.resume_s)
        else:
            night.end()

    # Nights of a crash ----------------------------------------------------------------------------

    async def _finish_interrupted(self, numbers: list[int]) -> None:
        for number in numbers:
            try:
                report = await self.listen(_report_of_rows, self.log, number)
                await self.write(_keep_interrupted, self.log, number, report)
            except NotInLogError:
                continue  # deleted meanwhile
            except VocalbioError as error:
                _logger.error("night %s could not be finished: %s", number, error)


class _Night:
    """One night: it outlives a connection that is lost."""

    def __init__(self, streams: Streams, socket: WebSocket, plan: dict[str, Any]) -> None:
        self.streams = streams
        self.socket: WebSocket | None = socket  # who is told; None: nobody is there
        self.source = socket  # whose sound is heard
        self.who = _who(socket)
        self.rate: float = plan["sampling_rate_hz"]
        self.person: str | None = plan["person"]
        self.is_saved: bool = plan["save"]
        self.number: int | None = None
        self.started = datetime.now().astimezone()
        self.monitor = Monitor(self.rate, alarm=AlarmPolicy(), started=self.started)
        self.received = self.samples = 0  # of the samples received so many have been heard
        self.task: asyncio.Task[None] | None = None
        self._waiting: deque[bytes | float] = deque()
        self._n_waiting = 0  # bytes
        self._half = b""  # of a sample
        self._changed = asyncio.Condition()
        self.has_ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._events: dict[int, dict[str, Any]] = {}
        self._unkept: dict[int, dict[str, Any]] = {}
        self._n_kept = 0  # seconds
        self._n_told = 0  # seconds
        self._n_alarms = 0
        self._warned = False
        self._keeping = asyncio.Lock()

    async def begin(self) -> None:
        """Open the night in the log, say that it is ready, and listen."""
        if self.is_saved:
            log = self.streams.log
            self.number = await self.streams.write(log.start_night, self.rate, self.started, self.person)
            await self.streams.write(log.audit, self.who, "monitored", f"night {self.number}")
        self.task = asyncio.create_task(self._run())
        await self._send([self._ready(resumed=False)])

    # From the connection --------------------------------------------------------------------------

    def can_go_on(self, plan: dict[str, Any]) -> bool:
        same = plan["sampling_rate_hz"] == self.rate and plan["person"] == self.person
        return same and plan["save"] and not self.has_ended  # a night with a number is one that is saved

    async def take_up(self, socket: WebSocket) -> None:
        """Go on with another connection; the old one may be half dead and not know it."""
        old, self.socket = self.socket, None
        self.source = socket  # what the old one still has on its way is not counted, and so comes again
        if self._timer is not None:
            self._timer.cancel()
        self._half = b""
        await self._notify()
        if old is not None:
            await _close(old, _POLICY)
        await _say(socket, self._ready(resumed=True))
        self.socket = socket
        await self._send([{"type": "event", "event": event} for event in list(self._events.values())])

    def leave(self, socket: WebSocket) -> None:
        if self.socket is socket:
            self.socket = None

    def wait(self, seconds: float) -> None:
        """End unless the client comes back."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end)

    async def hear(self, content: bytes, source: WebSocket) -> None:
        """Take a frame; wait while too much waits already."""
        if source is not self.source:
            return
        content = self._half + content
        whole = len(content) // 4 * 4
        self._half = content[whole:]
        if whole:
            await self._put(content[:whole], whole, source)

    async def lose(self, seconds: float, source: WebSocket) -> None:
        await self._put(seconds, 0, source)

    async def _put(self, item: bytes | float, size: int, source: WebSocket) -> None:
        def is_over() -> bool:
            return self.has_ended or source is not self.source

        async with self._changed:
            most = 4 * WAITING_S * self.rate
            await self._changed.wait_for(
                lambda: (self._n_waiting < most and len(self._waiting) < MOST_WAITING) or is_over()
            )
            if not is_over():
                self._waiting.append(item)
                self._n_waiting += size
                self.received += size // 4
                self._changed.notify_all()

    def end(self) -> None:
        """Finish when all that waits has been heard."""
        self.has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _take(self) -> bytes | float | None:
        """What comes next: sound of up to `PUSHED_S`, or a loss; None at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self.has_ended)
            if not self._waiting:
                return None
            first = self._waiting.popleft()
            if not isinstance(first, bytes):
                return first
            most = 4 * int(PUSHED_S * self.rate)
            taken, size = [first], len(first)
            while size < most and self._waiting and isinstance(piece := self._waiting[0], bytes):
                self._waiting.popleft()
                taken.append(piece)
                size += len(piece)
            block = b"".join(taken)
            if len(block) > most:
                self._waiting.appendleft(block[most:])
                block = block[:most]
            self._n_waiting -= len(block)
            self._changed.notify_all()
            return block

    # The monitor ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        keeper = asyncio.create_task(self._keep_often())
        try:
            try:
                await self._listen()
            except VocalbioError as error:  # what was sent is no sound
                await self._dismiss(str(error), _INVALID)
            await self._finish()
        except Exception:
            _logger.exception("night %s ended with an error of this program", self.number)
            await self._dismiss("this service made a mistake; the night is kept up to here", _INTERNAL)
        finally:
            keeper.cancel()
            self.has_ended = True
            self._waiting.clear()
            await self._notify()
            self.streams.nights.discard(self)

    async def _listen(self) -> None:
        while (item := await self._take()) is not None:
            messages = await self.streams.listen(self._push, item)
            self._unkept.update({m["event"]["number"]: m["event"] for m in messages if m["type"] == "event"})
            await self._send(messages)
            if self.monitor.heard_s >= self.streams.max_night_s:
                hours = self.streams.max_night_s / 3600
                await self._dismiss(f"a night may last {hours:g} h, and it has been finished", _POLICY)
                return

    def _push(self, item: bytes | float) -> list[dict[str, Any]]:
        """Hear the next piece, in a thread of the pool: what the client is to be told."""
        if isinstance(item, bytes):
            block = np.frombuffer(item, "<f4")
            finite = np.isfinite(block)
            if not finite.all():
                place = self.samples + int(np.argmin(finite))
                raise AudioError(
                    f"sample {place} is NaN or infinite; expected float32, little-endian, in [-1, 1]. The night was "
                    'finished. Say what could not be recorded with {"type": "lost", "seconds": ...}'
                )
            # second by second: alarms must not depend on how sound that came late was put together
            events, step = [], int(self.rate)
            for start in range(0, len(block), step):
                events += self.monitor.push(block[start : start + step])
            self.samples += len(block)
        else:
            events, left_s = [], item
            while left_s > 0:  # in pieces: an hour at once would be 230 MB
                events += self.monitor.skip(min(left_s, 10.0))
                left_s -= 10.0
        messages = [{"type": "ack", "samples": self.samples}]
        for event in events:
            told = {name: _number(value) for name, value in asdict(event).items()}
            self._events[event.number] = told
            messages.append({"type": "event", "event": told})
        messages += self._states()
        for alarm in self.monitor.alarms[self._n_alarms :]:
            messages.append({"type": "alarm", **asdict(alarm)})
        self._n_alarms = len(self.monitor.alarms)
        return messages

    def _states(self) -> list[dict[str, Any]]:
        """One message for each second that was heard since the last call, a minute at most."""
        heard = int(self.monitor.heard_s)
        first, self._n_told = max(self._n_told, heard - 60), heard
        evidence = self.monitor.preliminary(max(0, first - _SNORE_S))
        going_on = [event for event in self._events.values() if event["open"] and event["end_s"] >= heard - 1]
        messages = []
        for second in range(first, heard):
            place = len(evidence) - (heard - second)
            row = dict(zip(EVIDENCE_COLUMNS, evidence[place], strict=True))
            snoring = evidence[max(0, place - _SNORE_S) : place + 1, EVIDENCE_COLUMNS.index("snore")]
            row["snore"] = np.nanmax(snoring, initial=0.0)
            inside = [event for event in going_on if event["start_s"] <= second]
            if not row["usable"] > 0:
                state = "unusable"
            elif inside:
                state = _STATES[inside[-1]["kind"]]
            else:
                state = "snoring" if row["snore"] >= 0.5 else "breathing" if row["breath"] >= 0.5 else "quiet"
            told = {name: _number(value) for name, value in row.items()}
            level = told.pop("level_db")
            messages.append(
                {"type": "state", "position_s": second + 1, "state": state, "level_db": level, "evidence": told}
            )
        return messages

    # The log --------------------------------------------------------------------------------------

    async def _keep_often(self) -> None:
        while True:
            await asyncio.sleep(self.streams.flush_s)
            try:
                await self._keep()
            except Exception:  # the next one may succeed; without any, a crash would cost the night
                _logger.exception("night %s could not be flushed", self.number)

    async def _keep(self) -> None:
        """Flush what is new; what could not be kept now is kept next time."""
        if not self.is_saved:
            return
        async with self._keeping:
            rows = (await self.streams.listen(lambda: self.monitor.measured))[self._n_kept :]
            events, self._unkept = self._unkept, {}
            position_s = self._n_kept + len(rows)
            alarms = [asdict(alarm) for alarm in self.monitor.alarms]
            if not len(rows) and not events:
                return
            try:
                await self.streams.write(
                    self.streams.log.flush_night, self.number, list(events.values()), rows, position_s, alarms
                )
            except NotInLogError:
                self.is_saved = False
                await self._send([_warning("the night was deleted from the log; what follows is not kept")])
            except LogError as error:
                self._unkept = {**events, **self._unkept}
                _logger.error("%s", error)
                if not self._warned:
                    self._warned = True
                    await self._send([_warning(f"{error}: the night is not being kept at the moment")])
            else:
                self._n_kept, self._warned = position_s, False

    async def _finish(self) -> None:
        """Make the report, keep it, send it."""
        if self._half:
            await self._send([_warning(f"the last {len(self._half)} bytes are no whole sample and were left out")])
        await self._keep()
        try:
            report = (await self.streams.listen(self.monitor.finish)).to_dict()
        except AudioError as error:  # not one second was heard
            if self.is_saved:
                with suppress(NotInLogError, LogError):
                    await self.streams.write(self.streams.log.delete_recording, self.number, self.who)
            await self._send([{"type": "error", "error": f"{error}. There is no report, and nothing was kept"}])
            return
        if self.is_saved:
            try:
                await self.streams.write(self.streams.log.finish_night, self.number, report)
            except NotInLogError:
                self.is_saved = False
            except LogError as error:  # its rows are there: the next start makes the report
                _logger.error("%s", error)
                await self._send([_warning(f"{error}: the report is not kept")])
        # by the second it is longer than clients take in one message; the log has it
        report.pop("evidence")
        await self._send([{"type": "report", "night_id": self.number if self.is_saved else None, "night": report}])

    # To the client --------------------------------------------------------------------------------

    def _ready(self, *, resumed: bool) -> dict[str, Any]:
        policy = self.monitor.alarm
        return {
            "type": "ready",
            "night_id": self.number,
            "sampling_rate_hz": self.rate,
            "resumed": resumed,
            "samples": self.received,
            "position_s": self.monitor.heard_s,
            "detector": self.monitor.settings["detector"],
            "alarm": None if policy is None else asdict(policy),
        }

    async def _send(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if self.socket is not None and not await _say(self.socket, message):
                self.socket = None

    async def _dismiss(self, words: str, code: int) -> None:
        """Say why it is over, and close."""
        socket, self.socket = self.socket, None
        self.has_ended = True
        if socket is not None:
            await _refuse(socket, _Misuse(words, code))


@router.websocket("/ws/monitor")
async def monitor(socket: WebSocket) -> None:
    """
    Hear sound, tell events.

    Parameters
    ----------
    socket : WebSocket
        Speaks as docs/live_monitoring.md tells.
    """
    streams: Streams = socket.app.state.streams
    await streams.serve(socket)


_EXPECTED = 'JSON text such as {"sampling_rate_hz": 48000, "person": null, "save": true}'


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _object(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_TEXT:
        raise _Misuse(f"a text message has {len(text)} characters; expected {LONGEST_TEXT} at most", _INVALID)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _Misuse("a text message is no JSON object; sound is sent in binary messages", _INVALID)
    return found


def _who(socket: WebSocket) -> str:
    client = socket.client.host if socket.client else "unknown"
    return getattr(socket.state, "who", client)


async def _say(socket: WebSocket, message: dict[str, Any]) -> bool:
    """Whether it could be sent."""
    try:
        async with asyncio.timeout(UNREAD_S):
            await socket.send_text(json.dumps(message, allow_nan=False))
    except (WebSocketDisconnect, RuntimeError, OSError):  # not read, or closed meanwhile: reading will find out
        return False
    return True


async def _refuse(socket: WebSocket, misuse: _Misuse) -> None:
    await _say(socket, {"type": "error", "error": str(misuse)})
    await _close(socket, misuse.code)


async def _close(socket: WebSocket, code: int) -> None:
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        async with asyncio.timeout(UNREAD_S):
            await socket.close(code)


def _warning(words: str) -> dict[str, Any]:
    return {"type": "warning", "warning": words}


def _number(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return round(float(value), 3) if math.isfinite(value) else None
    return value


def _warm_up() -> None:
    """Load what a night's report needs: within the first night it would hold the others up."""
    import scipy.stats  # noqa: F401
    import soxr  # noqa: F401


def _report_of_rows(log: RecordingLog, number: int) -> dict[str, Any] | None:
    """The report of a night as far as its rows reach; None where there is not one, or they are of another version."""
    night = log.night(number)
    ear = Monitor(night["sampling_rate_hz"], started=datetime.fromisoformat(night["started_at"]))
    rows = log.night_rows(number)
    if not len(rows):
        return None
    try:
        ear.restore(rows)
    except ParameterError as error:
        _logger.error("night %s cannot be taken up: %s", number, error)
        return None
    return ear.finish().to_dict()


def _keep_interrupted(log: RecordingLog, number: int, report: dict[str, Any] | None) -> None:
    log.finish_night(number, report, interrupted=True)
    log.audit("service", "finished", f"night {number}, which had been interrupted")
