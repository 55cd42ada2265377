"""The service's page in a real browser, against the real service: the microphone is fed from a file made by formula."""

from __future__ import annotations

import json
import re
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
from served import Served, serving

import vocalbio as vb
from vocalbio.datasets.voices import VoiceParameters, synthesize_voice
from vocalbio.serve.log import RecordingLog

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

ANSWERED_MS = 120_000  # the first answer loads TensorFlow
BREATHING_S, PAUSE_S = 9, 22
F0_HZ = 140
VIEWS = ("memo", "night", "people", "log")

# What the page does is seen from outside: notes played, notifications, the screen, violations of the content policy.
WITNESS = """
window.witness = {notes: 0, notifications: [], awake: null};
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { witness.notes += 1; return start.apply(this, when); };
window.Notification = class {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = "granted"); }
  constructor(title, {body}) { witness.notifications.push(`${title} ${body}`); }
  close() {}
};
const lock = {release: async () => { witness.awake = null; }};
const request = async (what) => { witness.awake = what; return lock; };
Object.defineProperty(navigator, "wakeLock", {value: {request}});
"""
SEEN = """(state) => {
  Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def breathing(rate: int = 48_000) -> np.ndarray:
    """Breaths of filtered noise every 3 s, with rests between in and out, a pause, breaths again."""
    rng = np.random.default_rng(7)
    time = np.arange(round((BREATHING_S + PAUSE_S + 15) * rate)) / rate
    cycle = np.sin(2 * np.pi * time / 3)
    loudness = np.maximum(np.abs(cycle) - 0.4, 0) * np.where(cycle > 0, 1.6, 0.6)
    loudness[(time > BREATHING_S) & (time < BREATHING_S + PAUSE_S)] = 0
    noise = np.convolve(rng.standard_normal(len(time)), np.ones(12) / 4, "same")
    return 0.1 * (loudness * noise + 0.03 * rng.standard_normal(len(time)))


def voice(seconds: float) -> vb.Recording:
    return synthesize_voice(VoiceParameters(f0_hz=F0_HZ, pause_count=2), seconds, seed=3).recording


@contextmanager
def hearing(playwright: Any, sound: Path) -> Iterator[Any]:
    """A browser whose microphone plays a file."""
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={sound}",
    ]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "breathing.wav", breathing(), 48_000, subtype="PCM_16")
    soundfile.write(folder / "breath.wav", breathing()[: 5 * 48_000], 48_000, subtype="PCM_16")
    spoken = voice(20)
    soundfile.write(folder / "voice.wav", spoken.resample(48_000).samples, 48_000, subtype="PCM_16")
    soundfile.write(folder / "memo <b>one.wav", voice(8).samples, 16_000, subtype="PCM_16")
    (folder / "letter.wav").write_text("no sound at all")
    (folder / "empty.wav").touch()
    return folder


def days_of_a_person() -> pd.DataFrame:
    """A month at about 40, and a week at about 75."""
    rng = np.random.default_rng(4)
    days = pd.date_range("2026-09-01", periods=24, tz="UTC") + pd.Timedelta("9h")
    return pd.DataFrame({"score": np.r_[40 + 4 * rng.standard_normal(18), 75 + 4 * rng.standard_normal(6)]}, index=days)


@pytest.fixture(scope="module")
def service(tmp_path_factory, sounds) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("service")
    log = RecordingLog(folder / "log.sqlite")
    for date, score in days_of_a_person()["score"].items():
        status = "High" if score > 70 else "Normal"
        assert isinstance(date, pd.Timestamp)
        log.add_recording(
            condition="stress", status=status, score=score, person="Heron", file_name="memo.wav", created_at=date
        )
    log.close()
    with serving(folder / "tmp", "--log", folder / "log.sqlite", "--keep-audio") as served:
        threading.Thread(target=warm_up, args=(served.url, sounds / "memo <b>one.wav"), daemon=True).start()
        yield served


def warm_up(url: str, memo: Path) -> None:
    """Load what an analysis needs while the live tests listen."""
    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/analyze-stress", files={"file": memo.read_bytes()}, data={"save": "false"}, timeout=120)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def sleeper(playwright, sounds) -> Iterator[Any]:
    """A browser beside a bed."""
    with hearing(playwright, sounds / "breathing.wav") as browser:
        yield browser


@pytest.fixture(scope="module")
def speaker(playwright, sounds) -> Iterator[Any]:
    """A browser that somebody speaks to."""
    with hearing(playwright, sounds / "voice.wav") as browser:
        yield browser


class Visit:
    """Pages opened in a test; nothing may be complained of in their consoles."""

    def __init__(self) -> None:
        self.contexts: list[Any] = []
        self.complaints: list[str] = []

    def __call__(self, browser: Any, url: str, *, script: str = "", line: Any = None, **settings: Any) -> Any:
        context = browser.new_context(**settings)
        self.contexts.append(context)
        context.grant_permissions(["microphone"])
        context.add_init_script(WITNESS + script)
        page = context.new_page()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(30_000)
        if line is not None:
            page.route_web_socket("**/ws/monitor", line)
        page.goto(url)
        expect(page.locator("#about")).to_contain_text("nowhere else")
        return page

    def expected(self, pattern: str) -> None:
        """One complaint is part of the test."""
        assert any(re.search(pattern, text) for text in self.complaints), self.complaints
        self.complaints = [text for text in self.complaints if not re.search(pattern, text)]


@pytest.fixture
def visit() -> Iterator[Visit]:
    visits = Visit()
    yield visits
    for context in visits.contexts:
        context.close()
    assert visits.complaints == []


def got(url: str) -> Any:
    return httpx.get(url, timeout=30).raise_for_status().json()


def overflow(page: Any) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


# The night


@pytest.mark.slow
def test_a_pause_in_breathing_is_listed_seen_heard_and_notified_and_reported(service, sleeper, visit):
    page = visit(sleeper, f"{service.url}/#night")
    page.get_by_label("Whose night").fill("Owl")
    page.get_by_label("System notifications too").check()
    expect(page.locator("#notify-hint")).to_contain_text("will show alerts")
    page.get_by_role("button", name="Start listening").click()

    expect(page.locator("#night-link")).to_have_text("Listening")
    expect(page.locator("#night-state")).to_have_text("Breathing", timeout=20_000)
    drawn = [page.locator("#envelope").evaluate("canvas => canvas.toDataURL()")]
    page.wait_for_timeout(500)
    drawn.append(page.locator("#envelope").evaluate("canvas => canvas.toDataURL()"))
    assert drawn[0] != drawn[1]  # it moves
    assert float(page.locator("#night-level").inner_text().replace("−", "-")) == pytest.approx(-30, abs=15)

    row = page.locator("#night-events tbody tr")
    expect(row).to_contain_text("Pause", timeout=40_000)
    expect(page.locator("#night-state")).to_have_text("No breath heard")
    alert = page.get_by_role("alert").filter(has_text="No breathing heard for")
    expect(alert).to_be_visible(timeout=30_000)
    assert page.evaluate("witness.notes") >= 3  # the tone
    assert "No breathing heard for" in page.evaluate("witness.notifications")[0]
    alert.get_by_role("button", name="I have seen it").click()
    expect(alert).to_be_hidden()
    assert page.evaluate("witness.awake") == "screen"
    expect(page.locator("#night-state")).to_have_text("Breathing", timeout=20_000)

    page.get_by_role("button", name="End the night").click()
    page.get_by_role("button", name="End it").click()
    report = page.locator("#night-report")
    expect(report.locator(".word")).to_have_text("1 event")
    assert page.evaluate("witness.awake") is None
    cells = report.locator("tbody tr").first.locator("th, td").all_inner_texts()
    assert cells[1] == "Pause"
    assert float(cells[2].removesuffix(" s")) == pytest.approx(PAUSE_S, abs=3)
    expect(report).to_contain_text("Reasons for doubt")
    expect(report).to_contain_text("Not a diagnosis")

    report.get_by_role("link", name="See it in the log").click()
    expect(page.get_by_role("heading", name="A night")).to_be_focused()
    expect(page.locator("#log .word")).to_have_text("1 event")
    kept = got(f"{service.url}/recordings?person=Owl")["recordings"]
    assert [one["kind"] for one in kept] == ["night"]


class Wire:
    """What lies between the page and the service, and can be cut."""

    def __init__(self, url: str) -> None:
        self.target = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.is_cut = False
        self.ends: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(self.target)
                self.ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, source: socket.socket, goal: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                goal.sendall(data)
        for end in (source, goal):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self.is_cut = True
        for end in self.ends:
            with suppress(OSError):  # a reset, not a goodbye
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.ends.clear()


@pytest.mark.slow
def test_a_lost_connection_is_told_and_no_sound_is_lost(service, sleeper, visit):
    wire = Wire(service.url)
    page = visit(sleeper, f"{wire.url}/#night")
    page.get_by_role("button", name="Start listening").click()
    expect(page.locator("#night-state")).to_have_text("Breathing", timeout=20_000)
    page.get_by_role("button", name="Try the tone").click()
    page.get_by_role("button", name="Mute").click()
    page.get_by_role("button", name="Try the tone").click()
    assert page.evaluate("witness.notes") == 3  # once
    page.evaluate(SEEN, "hidden")
    page.evaluate(SEEN, "visible")
    expect(page.locator("#night-notes")).to_contain_text("This page was out of sight from")
    page.get_by_role("button", name="Dim the screen").click()
    expect(page.locator("#dark-state")).to_have_text("Breathing")
    page.keyboard.press("Enter")
    expect(page.locator("#dark-state")).to_be_hidden()
    wire.cut()
    expect(page.locator("#night-link")).to_have_text("Connection lost")
    expect(page.locator("#night-state")).to_have_text("Not watching")
    expect(page.locator("#night-notes")).to_contain_text("up to two minutes of sound are kept")
    page.wait_for_timeout(2000)
    wire.is_cut = False
    expect(page.locator("#night-notes")).to_contain_text("The night goes on", timeout=20_000)
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="End the night").click()
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#night-report .word")).to_be_visible()
    elapsed = sum(
        60**place * int(part)
        for place, part in enumerate(reversed(page.locator("#night-clock").text_content().split(":")))
    )
    number = int(page.get_by_role("link", name="See it in the log").get_attribute("href").split("/")[1])
    report = got(f"{service.url}/nights/{number}")["report"]
    assert 3600 * report["summary"]["recorded_h"] == pytest.approx(elapsed, abs=1.5)
    assert min(report["evidence"]["usable"]) == 1  # not a second is missing
    visit.expected("WebSocket|Failed to load|ERR_")


def test_a_night_that_cannot_go_on_is_followed_by_another_and_the_page_says_so(service, sleeper, visit):
    lines: list[Any] = []
    plans: list[dict[str, Any]] = []

    def line(socket: Any) -> None:
        def hear(message: str | bytes) -> None:
            if isinstance(message, str):
                plans.append(json.loads(message))
                told = {"type": "ready", "night_id": len(plans), "resumed": False, "samples": 0}
                socket.send(json.dumps(told))

        lines.append(socket)
        socket.on_message(hear)

    page = visit(sleeper, f"{service.url}/#night", line=line)
    page.get_by_role("button", name="Start listening").click()
    expect(page.locator("#night-link")).to_have_text("Listening")
    lines[0].close(code=1012, reason="restarting")
    expect(page.locator("#night-notes")).to_contain_text("a new one has begun")
    assert [plan.get("resume") for plan in plans] == [None, 1]
    lines[1].send(json.dumps({"type": "error", "error": "a night may last 12 h, and it has been finished"}))
    expect(page.locator("#night-notes")).to_contain_text("it has been finished")
    expect(page.get_by_role("button", name="Start listening")).to_be_visible()


def test_a_refused_microphone_is_told_with_what_to_do(service, speaker, visit):
    script = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };"
    page = visit(speaker, f"{service.url}/#night", script=script)
    page.get_by_role("button", name="Start listening").click()
    expect(page.locator("#night-notes")).to_contain_text("Allow it at the sign beside the address")
    expect(page.get_by_role("button", name="Start listening")).to_be_enabled()
    page.get_by_role("link", name="Memo", exact=True).click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#sound-wrong")).to_contain_text("Allow it")


def test_a_page_without_tls_says_how_to_get_it(service, speaker, visit):
    script = "Object.defineProperty(window, 'isSecureContext', {value: false});"
    page = visit(speaker, f"{service.url}/#night", script=script)
    expect(page.locator("#night-notes")).to_contain_text("vocalbio serve --host 0.0.0.0 --certificate")
    expect(page.get_by_role("button", name="Start listening")).to_be_disabled()


def test_the_microphone_is_asked_for_its_sound_as_it_is(service, speaker, visit):
    script = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (asked) => { witness.asked = asked; return ask(asked); };
    """
    page = visit(speaker, f"{service.url}/#memo", script=script)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    asked = page.evaluate("witness.asked.audio")
    assert asked == {
        "channelCount": 1,
        "echoCancellation": False,
        "noiseSuppression": False,
        "autoGainControl": False,
    }
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("button", name="Record")).to_be_focused()


# The clocks of a sleeping device

TIMELINE = """
async (blocks) => {
  const { Timeline } = await import("/page/timeline.js");
  const out = [];
  const line = new Timeline({ sound: (block) => out.push(block), lost: (seconds) => out.push({ lost: seconds }) });
  for (const [number, time, now] of blocks) line.push({ samples: number, time }, now);
  line.settle();
  return out;
}
"""


def test_sound_that_a_sleeping_device_did_not_deliver_is_told_at_its_place(service, speaker, visit):
    page = visit(speaker, service.url)
    # blocks of 0.1 s; the card stops for 10 s, while the wall clock goes on
    card = np.arange(60) / 10
    wall = card + 100 + np.where(card >= 2, 10, 0)
    out = page.evaluate(
        TIMELINE, [[n, t, w] for n, (t, w) in enumerate(zip(card.tolist(), wall.tolist(), strict=True))]
    )
    lost = [item for item in out if isinstance(item, dict)]
    assert [item["lost"] for item in lost] == [pytest.approx(10, abs=0.1)]
    assert out.index(lost[0]) == 20
    assert [item for item in out if item not in lost] == list(range(60))


def test_blocks_that_come_late_are_not_taken_for_lost(service, speaker, visit):
    page = visit(speaker, service.url)
    # the page is busy for 3 s; all blocks of that time come at once
    card = np.arange(80) / 10
    wall = np.where((card >= 2) & (card < 5), 105, card + 100)
    out = page.evaluate(
        TIMELINE, [[n, t, w] for n, (t, w) in enumerate(zip(card.tolist(), wall.tolist(), strict=True))]
    )
    assert out == list(range(80))


# Memos


def test_a_memo_is_uploaded_answered_logged_exported_and_deleted(service, speaker, sounds, visit):
    page = visit(speaker, service.url)
    page.set_input_files("#file", sounds / "memo <b>one.wav")
    page.get_by_label("Whose memo").fill("Wren")
    page.get_by_role("button", name="Analyse").click()
    answer = page.locator("#memo-answer")
    word = answer.locator(".word")
    expect(word).to_be_focused(timeout=ANSWERED_MS)
    expect(answer).to_contain_text("memo <b>one.wav")  # a name is text
    assert answer.locator("b", has_text="one").count() == 0

    number = int(answer.get_by_role("link", name="See it in the log").get_attribute("href").split("/")[1])
    kept = got(f"{service.url}/recordings/{number}")
    said = kept["answer"]
    expect(word).to_have_text(said["label"])
    low, high = said["score_interval"]
    expect(answer.locator(".value")).to_have_text(f"{said['score']:.1f}, between {low:.1f} and {high:.1f}")
    for reason in said["reasons"]:
        expect(answer.get_by_text(reason)).to_be_visible()
    first = kept["explanation"]["by_group"][0]
    expect(answer.locator("table.bars tbody tr").first).to_contain_text(first["group"])
    expect(answer).to_contain_text("Not a diagnosis")
    pictures = answer.locator(".pictures img")
    assert pictures.count() >= 3
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("picture => picture.naturalWidth") > 100
    with page.context.expect_page() as opened:
        answer.get_by_role("link", name="Open the report").click()
    expect(opened.value.locator("h1")).to_be_visible()
    opened.value.close()

    page.get_by_role("link", name="Log", exact=True).click()
    page.get_by_label("Person").select_option("Wren")
    expect(page.locator("#log-list li")).to_have_count(1)
    for kind, begins in (("JSON", b"{"), ("CSV", b""), ("ZIP with kept sound", b"PK")):
        with page.expect_download() as download:
            page.get_by_role("link", name=kind, exact=True).click()
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(begins)
        assert b"Wren" in content or kind.startswith("ZIP")

    page.locator("#log-list a").click()
    page.get_by_role("button", name="Delete this recording").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be undone")
    dialog.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("button", name="Delete this recording")).to_be_visible()
    page.get_by_role("button", name="Delete this recording").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="The log")).to_be_visible()
    assert got(f"{service.url}/recordings?person=Wren")["recordings"] == []
    page.get_by_text("Show the audit list").click()
    expect(page.get_by_role("region", name="Audit list")).to_contain_text("deleted")


def test_a_memo_recorded_here_is_kept_as_it_was_heard_where_that_was_chosen(service, speaker, visit):
    page = visit(speaker, service.url)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    expect(page.locator("#memo-clock")).to_have_text("0:04")
    level = float(page.get_by_role("meter").get_attribute("aria-valuenow"))
    assert -60 <= level < 0
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Analyse")).to_be_focused()
    page.get_by_label("Keep the sound as well").check()
    page.get_by_role("button", name="Analyse").click()
    expect(page.locator("#memo-answer .word")).to_be_visible(timeout=ANSWERED_MS)
    page.get_by_role("link", name="See it in the log").click()
    expect(page.locator("#log audio")).to_be_visible()
    number = int(page.url.rsplit("/", 1)[1])
    content = httpx.get(f"{service.url}/recordings/{number}/audio").raise_for_status().content
    path = Path(service.temporary) / "kept.wav"
    path.write_bytes(content)
    kept, rate = soundfile.read(path)
    assert soundfile.info(path).subtype == "PCM_16"
    assert len(kept) / rate == pytest.approx(4.3, abs=1)
    # what was played, wherever the microphone began: neither louder nor cleaned of anything
    played = voice(20).resample(rate).samples
    piece = kept[rate : 3 * rate]
    played = np.tile(played, 2)
    place = int(np.argmax(scipy.signal.correlate(played, piece, "valid")))
    source = played[place : place + len(piece)]
    assert np.corrcoef(piece, source)[0, 1] > 0.999
    assert piece.std() == pytest.approx(source.std(), rel=0.01)


def test_files_that_are_no_sound_are_refused_in_words(service, speaker, sounds, visit):
    page = visit(speaker, service.url)
    page.set_input_files("#file", sounds / "empty.wav")
    expect(page.locator("#sound-wrong")).to_contain_text("is empty")
    page.get_by_role("button", name="Analyse").click()
    expect(page.locator("#sound-wrong")).to_contain_text("no recording yet")
    page.set_input_files("#file", sounds / "letter.wav")
    page.get_by_role("button", name="Analyse").click()
    refusal = page.locator("#memo-answer").get_by_role("alert")
    expect(refusal).to_be_visible(timeout=ANSWERED_MS)
    assert len(refusal.inner_text()) > 20
    assert "status" not in refusal.inner_text()  # the service's own words
    visit.expected("status of 4")


def test_a_recording_without_a_voice_gets_no_number_and_says_why(service, speaker, sounds, visit):
    page = visit(speaker, service.url)
    page.set_input_files("#file", sounds / "breath.wav")
    page.get_by_label("Keep the answer in the log").uncheck()
    expect(page.get_by_label("Keep the sound as well")).to_be_disabled()
    page.get_by_role("button", name="Analyse").click()
    answer = page.locator("#memo-answer")
    expect(answer.locator(".word")).to_have_text("Cannot be said", timeout=ANSWERED_MS)
    expect(answer.locator(".value")).to_have_count(0)
    assert answer.locator(".doubts li").count() >= 1
    expect(answer).to_contain_text("Not kept in the log.")
    kept = got(f"{service.url}/recordings?limit=200")["recordings"]
    assert "breath.wav" not in {one["file_name"] for one in kept}


def test_a_condition_without_a_model_says_why_it_cannot_be_chosen(service, speaker, visit):
    page = visit(speaker, service.url)
    depression = page.get_by_role("radio", name="Depression")
    expect(depression).to_be_disabled()
    expect(page.locator("[data-about=depression]")).to_contain_text("vocalbio serve --model")
    expect(page.get_by_role("radio", name="Stress")).to_be_checked()


# People and the log


def test_a_person_is_compared_with_their_own_first_days(service, speaker, visit):
    followed = days_of_a_person()
    truth = vb.track(None, followed["score"])
    page = visit(speaker, f"{service.url}/#people")
    page.get_by_role("link", name="Heron").click()
    expect(page.get_by_role("heading", name="Heron")).to_be_focused()
    expect(page.locator("#people .word")).to_have_text("Higher than before")
    numbers = page.locator("#people .numbers")
    expect(numbers).to_contain_text(f"{truth.baseline['centre']:.1f}")
    expect(numbers).to_contain_text(f"+{truth.recent['change']:.1f}")
    expect(page.get_by_role("img", name="24 days from 1 Sept 2026")).to_be_visible()
    assert page.locator("#people circle.reliable").count() == truth.days["reliable"].sum() + 1  # and the key
    rows = page.locator("#people .days tbody tr")
    expect(rows).to_have_count(24)
    cells = rows.first.locator("th, td").all_inner_texts()
    assert cells[0] == "24 Sept 2026"
    assert float(cells[1]) == pytest.approx(truth.days["score"].iloc[-1], abs=0.06)
    assert cells[3] == "reliable change"


def test_everything_is_deleted_only_after_the_word_was_written(service, sounds, tmp_path, speaker, visit):
    log = RecordingLog(tmp_path / "log.sqlite")
    for person in ("Finch", "Rook"):
        log.add_recording(condition="stress", status="Normal", score=30.0, person=person, created_at=datetime.now(UTC))
    log.close()
    with serving(tmp_path / "tmp", "--log", tmp_path / "log.sqlite") as served:
        page = visit(speaker, f"{served.url}/#people/Finch")
        expect(page.locator("#people .word")).to_have_text("Too early to say")
        page.get_by_role("button", name="Delete this person").click()
        page.get_by_role("button", name="Delete them").click()
        expect(page.get_by_role("link", name="Rook")).to_be_visible()
        expect(page.get_by_role("link", name="Finch")).to_have_count(0)
        expect(page.locator("#keep-row")).to_be_hidden()  # this service keeps no sound

        page.get_by_role("link", name="Log", exact=True).click()
        page.get_by_role("button", name="Delete everything").click()
        yes = page.get_by_role("dialog").get_by_role("button", name="Delete everything")
        expect(yes).to_be_disabled()
        page.get_by_label("Write “delete” to go on").fill("delete")
        yes.click()
        expect(page.locator("#log-none")).to_contain_text("Nothing has been kept yet")
        assert got(f"{served.url}/recordings")["recordings"] == []
        page.get_by_role("link", name="People", exact=True).click()
        expect(page.get_by_role("heading", name="Nobody yet")).to_be_visible()
        page.close()


# For everybody


def focused(page: Any) -> dict[str, Any]:
    return page.evaluate("""() => {
      const element = document.activeElement;
      const shown = element.matches("input[type=radio]") ? element.closest("label") : element;
      const style = getComputedStyle(element.id === "file" ? document.querySelector("label[for=file]") : shown);
      const name = element.labels?.[0]?.innerText ?? element.getAttribute("aria-label") ?? element.innerText;
      return {name: name.trim(), outline: style.outlineStyle, width: parseFloat(style.outlineWidth)};
    }""")


def test_the_keyboard_alone_reaches_everything_and_the_focus_is_seen(service, speaker, sounds, visit):
    page = visit(speaker, service.url)
    page.keyboard.press("Tab")
    assert focused(page)["name"] == "Skip to the content"
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        now = focused(page)
        assert now["outline"] == "solid", now
        assert now["width"] >= 2, now
        seen.append(now["name"].split("\n")[0])
        if seen[-1] == "Analyse":
            break
    assert seen == [
        *("vocalbio", "Memo", "Night", "People", "Log"),
        *("Stress", "Record", "Choose a file", "Whose memo (optional)"),
        *("Keep the answer in the log", "Keep the sound as well", "Analyse"),
    ]
    page.get_by_role("radio", name="Stress").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Breathing in sleep")).to_be_checked()  # depression has no model

    page.get_by_role("link", name="Log", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The log")).to_be_focused()
    assert page.title() == "Log · vocalbio"
    page.get_by_role("button", name="Delete everything").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Write “delete” to go on")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Delete everything")).to_be_focused()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_view_fits_has_one_heading_and_names_for_all_that_can_be_used(service, speaker, visit, width):
    page = visit(speaker, service.url, viewport={"width": width, "height": 800})
    for view in (*VIEWS, "people/Heron"):
        page.goto(f"{service.url}/#{view}")
        expect(page.locator("h1:visible")).to_have_count(1)
        expect(page.locator("nav [aria-current=page]")).to_have_count(1)
        expect(page.get_by_text("It screens, it does not diagnose.")).to_be_visible()
        assert overflow(page) <= 0, view
        nameless = page.evaluate("""() => [...document.querySelectorAll("button, a, input, select, canvas")]
          .filter((one) => one.checkVisibility())
          .filter((one) => !(one.labels?.[0]?.innerText || one.getAttribute("aria-label") || one.innerText?.trim()))
          .map((one) => one.outerHTML)""")
        assert nameless == [], view


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(service, speaker, visit, scheme):
    page = visit(speaker, service.url, color_scheme=scheme)
    names = ["ground", "paper", "ink", "soft", "accent", "on-accent", "accent-deep", "tint"]
    names += ["warn", "on-warn", "warn-tint", "track"]
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()"
    colours = {name: page.evaluate(read, name) for name in names}
    full = {
        name: value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:])
        for name, value in colours.items()
    }
    pairs = [(text, behind) for text in ("ink", "soft", "accent", "warn") for behind in ("ground", "paper")]
    pairs += [("on-accent", "accent"), ("on-accent", "accent-deep"), ("on-warn", "warn"), ("soft", "track")]
    pairs += [("ink", "tint"), ("soft", "tint"), ("accent", "tint"), ("ink", "warn-tint"), ("soft", "warn-tint")]
    for text, behind in pairs:
        dark, light = sorted([luminance(full[text]), luminance(full[behind])])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, behind)


def test_nothing_moves_for_those_who_asked_for_that(service, speaker, visit):
    page = visit(speaker, service.url, reduced_motion="reduce")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
    page.get_by_role("button", name="Discard").click()
