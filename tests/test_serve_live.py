"""The live monitor: real sockets, a real server; what it says is what the same sound says when it is pushed at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import vocalbio as vb
from vocalbio.serve import Settings, create_app
from vocalbio.serve import live as live_module
from vocalbio.serve.analysis import Analysis
from vocalbio.serve.log import LogError, RecordingLog

ROOT = Path(__file__).parents[1]
RATE = 16_000


def breathing(seconds: float, pauses: tuple[tuple[float, float], ...] = (), rate: int = RATE) -> np.ndarray:
    """Breaths of filtered noise every four seconds, and none in the pauses."""
    rng = np.random.default_rng(5)
    time_s = np.arange(round(seconds * rate)) / rate
    cycle = np.sin(2 * np.pi * time_s / 4)
    loudness = np.abs(cycle) * np.where(cycle > 0, 1.0, 0.35)
    for start, end in pauses:
        loudness[(time_s > start) & (time_s < end)] = 0
    noise = np.convolve(rng.standard_normal(len(time_s)), np.ones(4) / 2, "same")
    return (0.03 * (loudness * noise + 0.03 * rng.standard_normal(len(time_s)))).astype(np.float32)


class Service:
    """A server in a thread of this process, with a log in memory and no workers."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        config = uvicorn.Config(self.app, port=0, log_level="critical", ws_per_message_deflate=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.until(lambda: self.server.started)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"ws://127.0.0.1:{port}/ws/monitor"

    @property
    def log(self) -> RecordingLog:
        return self.app.state.log

    @property
    def streams(self) -> live_module.Streams:
        return self.app.state.streams

    def until(self, happened, limit_s: float = 10.0):
        """Wait until something is true, and say what it was."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if found := happened():
                return found
            time.sleep(0.01)
        raise AssertionError("it did not happen in time")

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()

    @contextlib.contextmanager
    def begin(self, rate: float = RATE, **plan) -> Iterator[tuple[ClientConnection, dict]]:
        with connect(self.address, compression=None, max_queue=None, proxy=None) as socket:
            socket.send(json.dumps({"sampling_rate_hz": rate, **plan}))
            yield socket, json.loads(socket.recv())

    def play(self, samples: np.ndarray, rate: float = RATE, sizes=(1600,), **plan) -> list[dict]:
        """All messages of a night that is played as fast as it is taken, in frames of `sizes` samples in turn."""
        with self.begin(rate, **plan) as (socket, ready):
            start = number = 0
            while start < len(samples):
                size = sizes[number % len(sizes)]
                socket.send(samples[start : start + size].tobytes())
                start, number = start + size, number + 1
            socket.send('{"type": "finish"}')
            return [ready, *rest_of(socket)]


def rest_of(socket: ClientConnection) -> list[dict]:
    return [json.loads(text) for text in socket]


def refusal(socket: ClientConnection) -> tuple[str, int]:
    """The words and the code that it is closed with."""
    words = ""
    try:
        while True:
            message = json.loads(socket.recv())
            words = message.get("error", words)
    except ConnectionClosed as closed:
        return words, closed.rcvd.code


def kinds(messages: list[dict], kind: str) -> list[dict]:
    return [message for message in messages if message["type"] == kind]


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patched:  # the workers have nothing to do here, and take seconds to start
        patched.setattr(Analysis, "start", lambda self: None)
        service = Service(Settings(log=":memory:", max_streams=4))
        yield service
        service.stop()


@pytest.fixture
def service(running, monkeypatch) -> Service:
    """Times are short, and the log is empty."""
    for name, seconds in {"flush_s": 0.1, "idle_s": 5.0, "resume_s": 0.5}.items():
        monkeypatch.setattr(running.streams, name, seconds)
    running.until(lambda: not running.streams.nights)
    running.log.delete_everything()
    return running


# What is heard --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_live_night_says_what_a_monitor_says_of_the_same_sound(service, rate):
    sound = breathing(130, ((60, 85),), rate)
    messages = service.play(sound, rate, sizes=(1, 4410, 128, 50_000), person="P7")
    alone = vb.Monitor(rate, alarm=vb.AlarmPolicy())
    alone.push(sound)
    expected = alone.finish()
    assert messages[0]["type"] == "ready"
    assert kinds(messages, "ack")[-1]["samples"] == len(sound)  # no block is lost
    report = messages[-1]["night"]
    assert [(event["start_s"], event["kind"]) for event in report["events"]] == [
        (start, kind) for start, kind in zip(expected.events["start_s"], expected.events["kind"], strict=True)
    ]
    assert len(report["events"]) == 1
    kept = service.log.night(messages[0]["night_id"])
    assert kept["state"] == "finished"
    live_report, expected_report = kept["report"], expected.to_dict()
    for each in (live_report, expected_report):
        each.pop("started")
        each["events"] = [{k: v for k, v in event.items() if "clock" not in k} for event in each["events"]]
    assert live_report == json.loads(json.dumps(expected_report))
    assert service.log.recordings(person="P7")[0]["duration_s"] == 130


def test_a_pause_is_seen_while_it_goes_on_and_gives_an_alarm(service):
    messages = service.play(breathing(100, ((60, 95),)), sizes=(1600,))
    alarm = kinds(messages, "alarm")
    assert [a["reason"] for a in alarm] == ["no breathing heard for 20 s"]
    assert 79 <= alarm[0]["time_s"] <= 85
    events = [message["event"] for message in kinds(messages, "event")]
    assert {event["number"] for event in events} == {alarm[0]["event"]}
    assert events[0]["open"]
    states = {state["position_s"]: state["state"] for state in kinds(messages, "state")}
    assert sorted(states) == list(range(1, 101))  # one a second
    assert sum(states[second] == "breathing" for second in range(20, 60)) > 36
    assert [states[second] for second in range(75, 90)] == ["pause"] * 15
    night = service.log.night(messages[0]["night_id"])
    assert [a["reason"] for a in night["alarms"]] == ["no breathing heard for 20 s"]


def test_digital_silence_is_unusable_and_noise_is_quiet(service, rng):
    noise = (0.001 * rng.standard_normal(RATE * 5)).astype(np.float32)
    messages = service.play(np.concatenate([noise, np.zeros(RATE * 5, np.float32)]), save=False)
    states = [state["state"] for state in kinds(messages, "state")]
    assert states == ["quiet"] * 5 + ["unusable"] * 5
    level = kinds(messages, "state")[2]["level_db"]
    assert level == pytest.approx(20 * np.log10(np.sqrt(np.mean(noise[2 * RATE : 3 * RATE] ** 2))), abs=0.01)


def test_frames_may_be_cut_anywhere_even_within_a_sample(service):
    content = breathing(3).tobytes()
    with service.begin(save=False) as (socket, _):
        for start in range(0, len(content), 997):
            socket.send(content[start : start + 997])
        socket.send(b"\x00\x01")
        socket.send('{"type": "finish"}')
        messages = rest_of(socket)
    assert kinds(messages, "ack")[-1]["samples"] == 3 * RATE
    assert kinds(messages, "warning")[0]["warning"].startswith("the last 2 bytes are no whole sample")
    assert messages[-1]["night"]["summary"]["recorded_h"] == pytest.approx(3 / 3600)


def test_lost_sound_keeps_times_right(service):
    with service.begin(save=False) as (socket, _):
        socket.send(breathing(10).tobytes())
        socket.send('{"type": "lost", "seconds": 25}')
        socket.send(breathing(10).tobytes())
        socket.send('{"type": "finish"}')
        messages = rest_of(socket)
    assert kinds(messages, "state")[-1]["position_s"] == 45
    unusable = [state["position_s"] for state in kinds(messages, "state") if state["state"] == "unusable"]
    assert unusable == list(range(11, 36))


def test_streams_at_the_same_time_do_not_mix(service):
    sounds = [breathing(20 + 5 * number) for number in range(4)]
    heard: dict[int, list[dict]] = {}
    threads = [
        threading.Thread(target=lambda n=n, s=sound: heard.update({n: service.play(s)}))
        for n, sound in enumerate(sounds)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kinds(heard[n], "ack")[-1]["samples"] for n in range(4)] == [len(sound) for sound in sounds]
    assert [round(3600 * heard[n][-1]["night"]["summary"]["recorded_h"]) for n in range(4)] == [20, 25, 30, 35]
    assert len({heard[n][0]["night_id"] for n in range(4)}) == 4


def test_a_sender_that_is_too_fast_is_held_back_and_loses_nothing(service, monkeypatch):
    push = vb.Monitor.push

    def slow(self, samples):
        time.sleep(0.005)
        return push(self, samples)

    monkeypatch.setattr(vb.Monitor, "push", slow)
    most = 0

    def watch() -> None:
        nonlocal most
        while thread.is_alive():
            most = max([most, *(night._n_waiting for night in list(service.streams.nights))])
            time.sleep(0.001)

    messages: list[dict] = []
    sound = breathing(100)
    thread = threading.Thread(target=lambda: messages.extend(service.play(sound, sizes=(8000,), save=False)))
    thread.start()
    watch()
    assert kinds(messages, "ack")[-1]["samples"] == len(sound)
    limit = 4 * RATE * live_module.WAITING_S
    assert limit / 2 < most < limit + 4 * 8000


# Misuse ---------------------------------------------------------------------------------------------------

INVALID, POLICY, UNSUPPORTED = 1007, 1008, 1003


@pytest.mark.parametrize(
    ("first", "words", "code"),
    [
        (b"\0\0\0\0", "the first message is binary; expected JSON text such as", UNSUPPORTED),
        ("hello", "is no JSON object", INVALID),
        ("[1]", "is no JSON object", INVALID),
        ("[" * 9_000, "is no JSON object", INVALID),
        ('{"a": [' + "1," * 10_000 + "1]}", "a text message has 20010 characters; expected 10000 at most", INVALID),
        ('{"\\ud800": 1}', "expected JSON text such as", INVALID),
        ("{}", "the first message holds nothing; expected JSON", INVALID),
        ('{"sampling_rate": 16000}', "holds sampling_rate; expected JSON", INVALID),
        ('{"sampling_rate_hz": 16000, "keep": false}', "holds keep, sampling_rate_hz; expected", INVALID),
        ('{"sampling_rate_hz": 440}', "sampling_rate_hz is 440; expected the rate", INVALID),
        ('{"sampling_rate_hz": true}', "sampling_rate_hz is True; expected the rate", INVALID),
        ('{"sampling_rate_hz": NaN}', "sampling_rate_hz is nan; expected the rate", INVALID),
        ('{"sampling_rate_hz": 16000, "save": "no"}', "save is 'no'; expected true or false", INVALID),
        ('{"sampling_rate_hz": 16000, "resume": "x"}', "resume is 'x'; expected the number", INVALID),
        ('{"sampling_rate_hz": 16000, "person": "a/b"}', "person is 'a/b'; expected a pseudonym", INVALID),
        ('{"sampling_rate_hz": 16000, "person": "\\ud800"}', "expected a pseudonym", INVALID),
    ],
)
def test_a_first_message_that_cannot_be_used_is_refused_in_words(service, first, words, code):
    with connect(service.address, proxy=None) as socket:
        socket.send(first)
        told, closed = refusal(socket)
    assert words in told
    assert closed == code
    assert service.log.recordings() == []


@pytest.mark.parametrize(
    ("message", "words", "code"),
    [
        ("breathe", "is no JSON object; sound is sent in binary messages", INVALID),
        ('{"type": "stop"}', "has the type 'stop'; expected 'finish', 'lost', or sound", UNSUPPORTED),
        ('{"type": "lost", "seconds": -1}', "seconds lost are -1; expected 0 to 3600", INVALID),
        ('{"type": "lost", "seconds": 1e9}', "seconds lost are 1000000000.0; expected 0 to 3600", INVALID),
        (np.array([0, np.nan], "<f4").tobytes(), "sample 80001 is NaN or infinite; expected float32", INVALID),
        (np.array([np.inf], "<f4").tobytes(), "sample 80000 is NaN or infinite; expected float32", INVALID),
    ],
)
def test_what_is_no_sound_ends_the_night_in_words_and_what_came_before_is_kept(service, message, words, code):
    with service.begin() as (socket, ready):
        socket.send(breathing(5).tobytes())
        socket.send(message)
        told, closed = refusal(socket)
    assert words in told
    assert closed == code
    night = service.until(lambda: (n := service.log.night(ready["night_id"]))["state"] == "finished" and n)
    assert night["position_s"] == 5


def test_one_stream_too_many_is_sent_away_and_may_come_later(service):
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(service.begin(save=False))
        with connect(service.address, proxy=None) as socket:
            socket.send('{"sampling_rate_hz": 16000}')
            assert refusal(socket) == ("4 streams are being heard, which is the most; try again later", 1013)
    service.until(lambda: not service.streams.nights)
    with service.begin(save=False) as (_, ready):
        assert ready["type"] == "ready"


def test_who_sends_nothing_is_sent_away(service, monkeypatch):
    monkeypatch.setattr(service.streams, "idle_s", 0.2)
    with service.begin() as (socket, ready):
        socket.send(breathing(2).tobytes())
        assert refusal(socket) == ("no sound came for 0.2 s; send sound, or finish", POLICY)
    service.until(lambda: service.log.night(ready["night_id"])["state"] == "finished")
    monkeypatch.setattr(live_module, "FIRST_MESSAGE_S", 0.1)
    with connect(service.address, proxy=None) as socket:
        words, code = refusal(socket)
    assert words.startswith("nothing was said for 0.1 s; expected JSON text such as")
    assert code == POLICY


def test_a_night_may_not_last_for_ever(service, monkeypatch):
    monkeypatch.setattr(service.streams, "max_night_s", 36.0)
    with service.begin() as (socket, ready):
        socket.send('{"type": "lost", "seconds": 30}')
        socket.send(breathing(10).tobytes())
        assert refusal(socket) == ("a night may last 0.01 h, and it has been finished", POLICY)
    service.until(lambda: service.log.night(ready["night_id"])["state"] == "finished")


# Coming and going -----------------------------------------------------------------------------------------


def test_who_goes_away_leaves_a_finished_night(service):
    with service.begin(person="P7") as (socket, ready):
        socket.send(breathing(8).tobytes())
    night = service.until(lambda: (n := service.log.night(ready["night_id"]))["state"] == "finished" and n)
    assert night["report"]["summary"]["recorded_h"] == pytest.approx(8 / 3600)
    actions = [(entry["action"], entry["what"]) for entry in service.log.audits(2)]
    assert ("monitored", f"night {ready['night_id']}") in actions


def test_a_lost_connection_goes_on_with_the_same_night(service, monkeypatch):
    monkeypatch.setattr(service.streams, "resume_s", 30.0)
    sound = breathing(130, ((60, 85),))
    with service.begin() as (socket, ready):
        socket.send(sound[: 100 * RATE].tobytes())
        while json.loads(socket.recv()).get("samples") != 100 * RATE:
            pass
        socket.socket.shutdown(2)  # the cable is cut: no word of parting
    with service.begin(resume=ready["night_id"]) as (socket, again):
        assert (again["resumed"], again["night_id"], again["samples"]) == (True, ready["night_id"], 100 * RATE)
        assert json.loads(socket.recv())["event"]["number"] == 1  # what it has missed, perhaps
        socket.send(sound[100 * RATE :].tobytes())
        socket.send('{"type": "finish"}')
        report = rest_of(socket)[-1]["night"]
    assert len(report["events"]) == 1
    assert report["summary"]["recorded_h"] == pytest.approx(130 / 3600)


def test_sound_of_a_lost_connection_that_comes_again_is_heard_once(service, monkeypatch):
    monkeypatch.setattr(service.streams, "resume_s", 30.0)
    sound, go_on, push = breathing(60), threading.Event(), live_module._Night._push

    def pushed(night, item):
        go_on.wait(10)
        return push(night, item)

    monkeypatch.setattr(live_module._Night, "_push", pushed)
    with service.begin() as (socket, ready):
        for start in range(0, len(sound), 10 * RATE):  # more than may wait: the service stops reading
            socket.send(sound[start : start + 10 * RATE].tobytes())
            time.sleep(0.02)
        socket.socket.shutdown(2)
    with service.begin(resume=ready["night_id"]) as (socket, again):
        assert again["resumed"]
        assert 0 < again["samples"] < len(sound)
        go_on.set()
        socket.send(sound[again["samples"] :].tobytes())
        socket.send('{"type": "finish"}')
        report = rest_of(socket)[-1]["night"]
    assert report["summary"]["recorded_h"] == pytest.approx(60 / 3600)


def test_a_kept_night_is_not_taken_up_by_a_client_that_wants_nothing_kept(service, monkeypatch):
    monkeypatch.setattr(service.streams, "resume_s", 2.0)
    with service.begin() as (socket, ready):
        socket.send(breathing(4).tobytes())
        time.sleep(0.1)
        socket.socket.shutdown(2)
    with service.begin(resume=ready["night_id"], save=False) as (_, again):
        assert (again["resumed"], again["night_id"]) == (False, None)


def test_a_night_whose_client_does_not_come_back_is_finished_and_cannot_be_resumed(service):
    with service.begin() as (socket, ready):
        socket.send(breathing(4).tobytes())
        time.sleep(0.1)
        socket.socket.shutdown(2)
    service.until(lambda: service.log.night(ready["night_id"])["state"] == "finished")
    with service.begin(resume=ready["night_id"]) as (_, again):
        assert not again["resumed"]
        assert again["night_id"] != ready["night_id"]


def test_a_night_that_shall_not_be_saved_leaves_nothing(service):
    messages = service.play(breathing(10), save=False)
    assert messages[0]["night_id"] is None
    assert messages[-1]["type"] == "report"
    assert service.log.recordings() == []


def test_a_night_in_which_nothing_was_heard_is_told_and_not_kept(service):
    messages = service.play(breathing(0.2))
    assert "nothing was heard" in messages[-1]["error"]
    assert service.log.recordings() == []


def test_a_night_deleted_while_it_is_live_stays_deleted(service):
    with service.begin(person="P7") as (socket, _):
        socket.send(breathing(3).tobytes())
        service.until(lambda: service.log.recordings()[0]["duration_s"] == 3)
        service.log.delete_person("P7")
        socket.send(breathing(3).tobytes())
        while (message := json.loads(socket.recv()))["type"] != "warning":
            pass
        assert message["warning"] == "the night was deleted from the log; what follows is not kept"
        socket.send('{"type": "finish"}')
        report = rest_of(socket)[-1]
    assert (report["type"], report["night_id"]) == ("report", None)
    assert service.log.recordings() == []


def test_a_full_disk_is_told_and_what_could_not_be_kept_is_kept_later(service, monkeypatch):
    flush, full = service.log.flush_night, threading.Event()

    def flush_night(*arguments, **named):
        if full.is_set():
            raise LogError("the log cannot be written (disk full)")
        flush(*arguments, **named)

    monkeypatch.setattr(service.log, "flush_night", flush_night)
    full.set()
    with service.begin() as (socket, ready):
        socket.send(breathing(3).tobytes())
        while (message := json.loads(socket.recv()))["type"] != "warning":
            pass
        assert "disk full" in message["warning"]
        full.clear()
        service.until(lambda: service.log.night(ready["night_id"])["position_s"] == 3)
        assert len(service.log.night_rows(ready["night_id"])) == 3


def test_a_client_that_reads_nothing_holds_up_neither_the_night_nor_the_others(service, monkeypatch):
    monkeypatch.setattr(live_module, "UNREAD_S", 0.2)
    monkeypatch.setattr(live_module._Night, "_states", lambda night: 16 * [{"type": "state", "long": 10**6 * "."}])
    with connect(service.address, compression=None, max_queue=1, close_timeout=0.1, proxy=None) as socket:
        socket.send(json.dumps({"sampling_rate_hz": RATE, "person": "P7"}))
        socket.send(breathing(8).tobytes())
        socket.send('{"type": "finish"}')
        night = service.until(lambda: (n := service.log.recordings())[0]["state"] == "finished" and n[0])
    assert night["duration_s"] == 8


def test_a_stopping_server_finishes_its_nights(tmp_path, monkeypatch):
    monkeypatch.setattr(Analysis, "start", lambda self: None)
    service = Service(Settings(log=tmp_path / "log.sqlite"))
    with service.begin() as (socket, ready):
        socket.send(breathing(6).tobytes())
        while json.loads(socket.recv())["type"] != "state":
            pass
        service.stop()
        assert refusal(socket) == ("", 1012)
    night = RecordingLog(tmp_path / "log.sqlite").night(ready["night_id"])
    assert (night["state"], night["position_s"]) == ("finished", 6)


# Crashes --------------------------------------------------------------------------------------------------

SERVER = """
import sys, uvicorn
from vocalbio.serve import Settings, create_app
from vocalbio.serve import live
from vocalbio.serve.analysis import Analysis
Analysis.start = lambda self: None
live.Streams.__init__.__kwdefaults__["flush_s"] = 1.0
app = create_app(Settings(log=sys.argv[1]))
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, log_level="critical")).run()
"""


@contextlib.contextmanager
def server_process(log: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(log)], stdout=subprocess.PIPE, text=True)
    try:
        yield process, f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def wait_for_night(address: str, number: int, is_so) -> None:
    for _ in range(600):
        if is_so(httpx.get(f"http://{address}/nights/{number}").json()):
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_a_killed_service_has_kept_the_night_up_to_the_last_flush_and_finishes_it_at_the_next_start(tmp_path):
    path, sound = tmp_path / "log.sqlite", breathing(120, ((60, 85),))
    with (
        server_process(path) as (process, address),
        connect(f"ws://{address}/ws/monitor", max_queue=None, proxy=None) as socket,
    ):
        socket.send(json.dumps({"sampling_rate_hz": RATE, "person": "P7"}))
        number = json.loads(socket.recv())["night_id"]
        for start in range(0, 110, 10):
            socket.send(sound[start * RATE : (start + 10) * RATE].tobytes())
        wait_for_night(address, number, lambda night: night["position_s"] == 110)
        socket.send(sound[110 * RATE :].tobytes())  # most likely lost: the next flush does not come
        process.send_signal(signal.SIGKILL)
        process.wait()
    log = RecordingLog(path)
    night = log.night(number)
    log.close()
    kept_s = int(night["position_s"])
    assert (night["state"], night["report"]) == ("live", None)
    assert 110 <= kept_s <= 120
    assert [(event["kind"], event["open"]) for event in night["events"]] == [("apnea", True)]
    assert len(night["alarms"]) == 1
    with server_process(path) as (process, address):
        wait_for_night(address, number, lambda night: night["state"] == "interrupted")
    night = RecordingLog(path).night(number)
    alone = vb.Monitor(RATE)
    alone.push(sound[: kept_s * RATE])
    expected = json.loads(json.dumps(alone.finish().to_dict()))
    assert night["report"]["summary"] == expected["summary"]
    assert night["report"]["evidence"] == expected["evidence"]
    assert [event["start_s"] for event in night["events"]] == [event["start_s"] for event in expected["events"]]


def test_rows_of_another_version_and_nights_without_rows_are_closed_without_a_report(tmp_path):
    from datetime import UTC, datetime

    log = RecordingLog(tmp_path / "log.sqlite")
    other, empty = (log.start_night(RATE, datetime.now(UTC)) for _ in range(2))
    log.flush_night(other, [], np.zeros((5, 7), np.float32), 5)

    async def start() -> None:
        streams = live_module.Streams(log)
        await streams.start()
        await streams._repair
        await streams.close()

    asyncio.run(start())
    for number in (other, empty):
        assert log.night(number)["state"] == "interrupted"
        assert log.recording(number)["status"] == "no report"


# The client -----------------------------------------------------------------------------------------------


def test_the_client_of_the_documentation_is_short_and_tells_events(service, tmp_path, monkeypatch, capsys):
    script = ROOT / "examples" / "monitor_client.py"
    code = script.read_text("utf-8")
    lines = [
        line for line in code.partition("async def monitor")[2].partition("\n# %%")[0].splitlines() if line.strip()
    ]
    assert len(lines) <= 20
    soundfile.write(tmp_path / "night.wav", breathing(110, ((60, 85),)), RATE)
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "night.wav"), service.address])
    runpy.run_path(str(script), run_name="__main__")
    told = capsys.readouterr().out
    assert "'kind': 'apnea'" in told
    assert "no breathing heard for 20 s" in told
    assert "'recorded_h'" in told
    assert re.search(r"monitor_client\.py", (ROOT / "docs" / "live_monitoring.md").read_text("utf-8"))
