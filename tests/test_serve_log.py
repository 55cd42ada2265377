"""The log of the service: what is kept, who may read it, and that deleted means deleted."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from vocalbio.errors import MissingPackageError, ParameterError
from vocalbio.serve import Settings, create_app, records
from vocalbio.serve import log as log_module
from vocalbio.serve.log import LogError, NotInLogError, RecordingLog, checked_person
from vocalbio.stream.report import EVIDENCE_COLUMNS, NightReport

ANSWER = {"label": "High", "score": 81.25, "reasons": ["noisy"], "probability": {"sad": float("nan")}}


def night_report(hours: float = 1.0) -> NightReport:
    evidence = pd.DataFrame(0.0, index=np.arange(hours * 3600), columns=EVIDENCE_COLUMNS, dtype="float32")
    evidence["usable"] = np.float32(1)
    events = pd.DataFrame(
        {"start_s": [100.0, 200.0], "end_s": [112.0, 215.0], "kind": ["apnea", "hypopnea"], "confidence": [0.9, 0.7]}
    )
    return NightReport(events, evidence)


@pytest.fixture
def log() -> RecordingLog:
    return RecordingLog(":memory:", keep_audio=True)


def add(log: RecordingLog, person: str | None = "P7", **more) -> int:
    return log.add_recording(**{"condition": "stress", "answer": ANSWER, "person": person, "score": 81.25, **more})


# What is kept ---------------------------------------------------------------------------------------------


def test_an_answer_comes_back_as_it_was_kept_and_numbers_that_are_none_as_null(log):
    number = add(
        log,
        status="High",
        file_name="C:\\private\\memo.wav",
        quality={"snr_db": 20.5, "bandwidth_hz": math.inf},
        pictures={"spectrogram": "<svg/>"},
        audio=b"RIFF",
    )
    found = log.recording(number)
    assert found["answer"] == {**ANSWER, "probability": {"sad": None}}
    assert found["quality"] == {"snr_db": 20.5, "bandwidth_hz": None}
    assert (found["person"], found["status"], found["score"], found["kind"]) == ("P7", "High", 81.25, "memo")
    assert found["file_name"] == "memo.wav"  # not whose folder it lay in
    assert log.picture(number, "spectrogram") == "<svg/>"
    assert log.audio(number) == (b"RIFF", "audio/wav")


def test_times_are_kept_as_utc_and_a_time_without_zone_is_refused(log):
    summer = datetime(2026, 7, 1, 23, 30, tzinfo=timezone(timedelta(hours=2)))
    assert log.recording(add(log, created_at=summer))["created_at"] == "2026-07-01T21:30:00.000+00:00"
    with pytest.raises(ParameterError, match="has no time zone; expected one, such as UTC"):
        add(log, created_at=datetime(2026, 7, 1))


def test_the_list_is_newest_first_and_can_be_leafed_through(log):
    numbers = [add(log, person=f"P{i % 2}") for i in range(5)]
    assert [entry["id"] for entry in log.recordings(limit=2)] == numbers[:-3:-1]
    assert [entry["id"] for entry in log.recordings(limit=2, before=numbers[3])] == [numbers[2], numbers[1]]
    assert [entry["id"] for entry in log.recordings(person="P1")] == [numbers[3], numbers[1]]
    assert log.recordings(condition="depression") == []


def test_a_night_keeps_its_report_and_events_and_is_listed_by_events_an_hour(log):
    report = night_report()
    number = log.add_recording(condition="apnea", night=report.to_dict())
    found = log.recording(number)
    assert (found["kind"], found["duration_s"], found["score"], found["state"]) == ("night", 3600, 2.0, "finished")
    assert found["status"] == "2.0 events an hour"
    assert [(event["start_s"], event["kind"]) for event in found["night"]["events"]] == [
        (100.0, "apnea"),
        (200.0, "hypopnea"),
    ]
    assert NightReport.from_json(json.dumps(log.night(number)["report"])) == report


def test_a_live_night_is_there_up_to_its_last_flush_and_its_rows_go_with_the_report(log, rng):
    rows = rng.standard_normal((12, 168)).astype(np.float32)
    number = log.start_night(48_000, datetime.now(UTC), "P7")
    event = {"number": 1, "start_s": 2.0, "end_s": 5.0, "kind": "apnea", "confidence": 0.7, "open": True}
    log.flush_night(number, [event], rows[:5], 5)
    log.flush_night(number, [{**event, "end_s": 11.0}], rows[5:], 12, [{"time_s": 10.0, "reason": "r", "event": 1}])
    assert log.unfinished_nights() == [number]
    np.testing.assert_array_equal(log.night_rows(number), rows)
    found = log.night(number)
    assert (found["state"], found["position_s"], len(found["alarms"])) == ("live", 12, 1)
    assert [(e["end_s"], e["open"]) for e in found["events"]] == [(11.0, True)]
    log.finish_night(number, night_report().to_dict(), interrupted=True)
    assert log.unfinished_nights() == []
    assert log.night_rows(number).size == 0
    assert log.night(number)["state"] == "interrupted"
    assert [event["start_s"] for event in log.night(number)["events"]] == [100.0, 200.0]


def test_rows_of_a_finished_night_are_in_no_file_any_more(tmp_path, rng):
    log = RecordingLog(tmp_path / "log.sqlite")
    rows = rng.standard_normal((5, 168)).astype("<f4")
    number = log.start_night(16_000, datetime.now(UTC))
    log.flush_night(number, [], rows, 5)

    def is_there() -> bool:
        return any(rows[3].tobytes()[:64] in file.read_bytes() for file in tmp_path.iterdir())

    assert is_there()
    log.finish_night(number, night_report().to_dict())
    assert not is_there()


def test_a_night_that_was_deleted_while_it_was_live_does_not_come_back(log):
    number = log.start_night(16_000, datetime.now(UTC))
    log.delete_recording(number)
    with pytest.raises(NotInLogError, match="it was deleted"):
        log.flush_night(number, [], np.zeros((1, 168), np.float32), 1)
    with pytest.raises(NotInLogError, match="it was deleted"):
        log.finish_night(number, night_report().to_dict())
    assert log.recordings() == []


def test_sound_is_refused_where_none_may_be_kept():
    with pytest.raises(ParameterError, match="keeps no sound; start the service with --keep-audio"):
        add(RecordingLog(":memory:"), audio=b"RIFF")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "=cmd()", "x" * 65, "a\nb", "\ud800", 7])
def test_a_name_that_is_no_pseudonym_is_refused_in_words(log, name):
    with pytest.raises(ParameterError, match="expected a pseudonym of at most 64 letters"):
        add(log, person=name)
    assert checked_person(" Müller-3 ") == "Müller-3"


def test_a_recording_that_is_not_there_is_told(log):
    for ask in (log.recording, log.night, log.audio, log.page, log.delete_recording):
        with pytest.raises(NotInLogError, match="not in the log"):
            ask(12)
    with pytest.raises(NotInLogError, match="a person with this name"):
        log.delete_person("P9")


def test_many_threads_write_at_once_and_nothing_is_lost(tmp_path):
    log = RecordingLog(tmp_path / "log.sqlite")
    threads = [threading.Thread(target=lambda: [add(log) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({entry["id"] for entry in log.recordings(limit=500)}) == 160


def test_what_fails_half_way_leaves_nothing(log):
    with pytest.raises(ParameterError, match=r"a picture is named '\.\./x'"):
        add(log, pictures={"good": "<svg/>", "../x": "<svg/>"})
    with pytest.raises(LogError, match="cannot be read or written"):
        add(log, pictures={"good": "<svg/>", "bad": None})
    assert log.recordings() == []


# The file -------------------------------------------------------------------------------------------------


def test_the_file_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "new" / "log.sqlite"
    log = RecordingLog(path)
    add(log)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    log.close()
    path.chmod(0o644)
    RecordingLog(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_process_is_refused_in_words_and_a_killed_one_leaves_no_lock(tmp_path):
    path = tmp_path / "log.sqlite"
    script = f"""
import time
from datetime import datetime
from vocalbio.serve.log import RecordingLog
log = RecordingLog({str(path)!r})
print(log.start_night(16000, datetime.now().astimezone()), flush=True)
time.sleep(60)
"""
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    number = int(other.stdout.readline())
    with pytest.raises(LogError, match="is open in another process; stop that one"):
        RecordingLog(path)
    other.kill()
    other.wait()
    assert RecordingLog(path).unfinished_nights() == [number]


def test_what_was_deleted_is_in_no_file_any_more(tmp_path):
    log = RecordingLog(tmp_path / "log.sqlite", keep_audio=True)
    for _ in range(3):
        add(log, person="VerySecretName", audio=b"SecretSound" * 1000, quality={"SecretQuality": 1})
    add(log, person="other")

    def all_bytes() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert b"Secret" in all_bytes()
    assert log.delete_person("VerySecretName", who="me") == 3
    assert b"Secret" not in all_bytes()
    assert [entry["person"] for entry in log.recordings()] == ["other"]
    assert {key: log.audits()[0][key] for key in ("who", "action", "what")} == {
        "who": "me",
        "action": "deleted",
        "what": "a person: recordings 1, 2, 3",
    }
    assert log.delete_everything() == 1
    assert log.audits()[0]["what"] == "everything: 1 recordings"
    assert add(log) == 5  # numbers are not given twice: the audit speaks of them


@pytest.mark.parametrize("key", ["a pass phrase", 'it\'s "quoted"; --'])
def test_an_encrypted_log_opens_with_its_key_alone(tmp_path, key):
    path = tmp_path / "log.sqlite"
    log = RecordingLog(path, key)
    add(log, person="VerySecretName")
    assert not any(b"Secret" in file.read_bytes() for file in tmp_path.iterdir())
    log.close()
    with pytest.raises(LogError, match="the key is wrong, or the file is damaged"):
        RecordingLog(path, "another")
    with pytest.raises(LogError, match="is encrypted, which needs its key"):
        RecordingLog(path)
    assert RecordingLog(path, key).people()[0]["name"] == "VerySecretName"


@pytest.mark.parametrize(("first", "told"), [("tensorflow", "encrypted"), ("tensorflow, sqlcipher3.dbapi2", "refused")])
def test_a_log_with_a_key_is_encrypted_or_refused_whatever_was_loaded_before(tmp_path, first, told):
    """TensorFlow lends its own SQLite, which takes a key and encrypts nothing, to libraries loaded after it."""
    script = (
        f"import {first}\nfrom vocalbio.serve.log import LogError, RecordingLog\n"
        "try:\n    log = RecordingLog('log.sqlite', 'a pass phrase')\n"
        "except LogError as error:\n    print('refused:', error)\n"
        "else:\n    log.add_recording(condition='stress', person='VerySecretName')\n    print('encrypted')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(told)
    assert not any(b"Secret" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_key_for_a_plain_log_an_empty_key_and_a_missing_package_are_told(tmp_path, monkeypatch):
    path = tmp_path / "log.sqlite"
    RecordingLog(path).close()
    with pytest.raises(LogError, match="is not encrypted; open it without a key"):
        RecordingLog(path, "key")
    with pytest.raises(ParameterError, match="key is empty"):
        RecordingLog(path, "")
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'vocalbio\[serve\]'"):
        RecordingLog(path, "key")


def test_files_of_others_and_folders_that_cannot_be_are_told(tmp_path):
    with sqlite3.connect(tmp_path / "shop.sqlite") as other:
        other.execute("CREATE TABLE orders (id)")
    other.close()
    before = (tmp_path / "shop.sqlite").read_bytes()
    with pytest.raises(LogError, match="is a database of another program"):
        RecordingLog(tmp_path / "shop.sqlite")
    assert (tmp_path / "shop.sqlite").read_bytes() == before
    (tmp_path / "letter.txt").write_text("Dear all, this is no log")
    with pytest.raises(LogError, match="is encrypted, which needs its key, or is no log at all"):
        RecordingLog(tmp_path / "letter.txt")
    with pytest.raises(LogError, match="cannot be made or opened"):
        RecordingLog(tmp_path / "letter.txt" / "log.sqlite")


def test_an_older_log_is_brought_up_to_date_and_a_newer_one_refused(tmp_path, monkeypatch):
    path = tmp_path / "log.sqlite"
    log = RecordingLog(path)
    add(log)
    log.close()
    with monkeypatch.context() as patched:
        patched.setattr(log_module, "_MIGRATIONS", (*log_module._MIGRATIONS, "CREATE TABLE later (id);"))
        log = RecordingLog(path)
        assert [entry["person"] for entry in log.recordings()] == ["P7"]
        log.close()
    with pytest.raises(LogError, match=r"written by a later vocalbio \(its version is 2, this one knows up to 1\)"):
        RecordingLog(path)


def test_a_migration_that_fails_leaves_the_old_log_whole(tmp_path, monkeypatch):
    path = tmp_path / "log.sqlite"
    log = RecordingLog(path)
    add(log)
    log.close()
    with monkeypatch.context() as patched:
        broken = "CREATE TABLE later (id); INSERT INTO nowhere VALUES (1);"
        patched.setattr(log_module, "_MIGRATIONS", (*log_module._MIGRATIONS, broken))
        with pytest.raises(LogError, match="nowhere"):
            RecordingLog(path)
    assert [entry["person"] for entry in RecordingLog(path).recordings()] == ["P7"]


# Over HTTP ------------------------------------------------------------------------------------------------


class HereAnalysis:
    """In place of the worker processes: the same jobs, in this one."""

    async def run(self, job, *arguments):
        return job(*arguments)


@pytest.fixture
def client(log) -> TestClient:
    app = create_app(Settings(log=":memory:"))
    app.state.log, app.state.analysis = log, HereAnalysis()
    return TestClient(app, base_url="http://localhost")


def follow(log: RecordingLog, scores, person: str = "P7", **more) -> None:
    for day, score in enumerate(scores):
        add(log, person, score=score, created_at=datetime(2026, 1, 1 + day, 12, tzinfo=UTC), **more)


def test_recordings_are_listed_read_and_deleted(client, log):
    numbers = [add(log, status="High", pictures={"spectrogram": "<svg/>"}, audio=b"RIFF") for _ in range(3)]
    listed = client.get("/recordings?limit=2").json()
    assert [entry["id"] for entry in listed["recordings"]] == numbers[:0:-1]
    assert client.get(f"/recordings?limit=2&before={listed['next']}").json() == {
        "recordings": [{**listed["recordings"][0], **{k: log.recording(1)[k] for k in ("id", "created_at")}}],
        "next": None,
    }
    found = client.get(f"/recordings/{numbers[0]}").json()
    assert found["answer"]["label"] == "High"
    assert client.get(found["pictures"]["spectrogram"]).text == "<svg/>"
    assert client.get(found["audio"]).content == b"RIFF"
    assert client.delete(f"/recordings/{numbers[0]}").json() == {"deleted": 1}
    answer = client.get(f"/recordings/{numbers[0]}")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_sound_that_calls_itself_a_page_is_not_given_as_one(client, log):
    number = add(log, audio=b"<script>", audio_type="text/html")
    assert client.get(f"/recordings/{number}/audio").headers["content-type"] == "application/octet-stream"


def test_a_night_has_a_picture_and_a_report_even_where_none_was_kept(client, log):
    number = log.add_recording(condition="apnea", night=night_report().to_dict())
    found = client.get(f"/recordings/{number}").json()
    assert "evidence" not in found["night"]
    assert [event["kind"] for event in found["events"]] == ["apnea", "hypopnea"]
    assert client.get(found["pictures"]["night"]).text.rstrip().endswith("</svg>")
    assert "hypopnea-like" in client.get(found["report"]).text
    assert client.get(f"/nights/{number}/report.html").status_code == 200
    assert len(client.get(f"/nights/{number}").json()["report"]["evidence"]["usable"]) == 3600
    live = log.start_night(16_000, datetime.now(UTC))
    assert client.get(f"/recordings/{live}").json()["report"] is None
    assert client.get(f"/nights/{live}/report.html").json() == {"error": f"recording {live} has no report (yet)"}
    assert client.get(f"/recordings/{live}/pictures/night.svg").status_code == 404


def test_a_memo_s_report_is_the_page_that_was_kept_or_is_written_from_its_answer(client, log):
    from vocalbio.risk import Answer

    probability = {"neutral": 0.2, "sad": 0.1, "anxious": 0.7}
    interval = {name: (value - 0.1, value + 0.1) for name, value in probability.items()}
    scale = {"name": "stress score", "low": 0, "high": 100}
    training = {"n_recordings": 320, "n_speakers": 16}
    answer = Answer(
        "stress",
        "memo.wav",
        "High",
        probability,
        interval,
        75.0,
        (60.0, 90.0),
        scale,
        70.0,
        ("noisy",),
        training,
        "No diagnosis.",
    )
    written = client.get(f"/recordings/{add(log, answer=answer.to_dict())}/report.html").text
    assert "Stress score" in written
    assert "320" in written
    assert client.get(f"/recordings/{add(log, page='<p>kept</p>')}/report.html").text == "<p>kept</p>"


def test_a_person_is_followed_as_track_does_it(client, log):
    import vocalbio as vb

    scores = [40.0, 44, 41, 43, 39, 42, 41, 40, 43, 70, 72, 71]
    follow(log, scores)
    dates = pd.date_range("2026-01-01", periods=len(scores))
    expected = vb.track(None, scores, dates=dates).to_dict()
    found = client.get("/people/P7/track?condition=stress").json()
    assert found["recent"] == expected["recent"]
    assert found["recent"]["reliable"]
    assert found["baseline"] == expected["baseline"]
    assert client.get(found["picture"]).text.rstrip().endswith("</svg>")
    assert client.get("/people").json()["people"] == [
        {
            "name": "P7",
            "n_memos": 12,
            "conditions": ["stress"],
            "first": "2026-01-01T12:00:00.000+00:00",
            "last": "2026-01-12T12:00:00.000+00:00",
        }
    ]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be set")
def test_a_memo_counts_on_the_day_that_it_was_there_in_summer_as_in_winter(log, monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        for month, day, hour in [(1, 10, 22), (1, 10, 23), (7, 10, 21), (7, 10, 22)]:  # 23:30, 0:30, 23:30, 0:30 there
            add(log, created_at=datetime(2026, month, day, hour, 30, tzinfo=UTC))
        days = records.follow(log.scores("P7", "stress"), "P7", "stress").days
        assert [f"{day:%m-%d}" for day in days.index] == ["01-10", "01-11", "07-10", "07-11"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_nights_that_are_sent_together_count_on_the_days_on_which_they_began(client, log):
    for day in (3, 1, 2):
        night = night_report().to_dict() | {"started": f"2026-01-0{day}T23:05:00"}
        log.add_recording(condition="apnea", person="P7", night=night)
    dates = log.scores("P7", "apnea").index
    assert [date.astimezone().strftime("%d %H:%M") for date in dates.to_pydatetime()] == [
        "01 23:05",
        "02 23:05",
        "03 23:05",
    ]
    assert "3 days with a memo in it" in str(client.get("/people/P7/track?condition=apnea").json()["reasons"])


def test_five_days_are_enough_for_a_first_change_and_four_say_what_is_missing(client, log):
    follow(log, [40.0, 44, 41, 43, 90], "five")
    assert client.get("/people/five/track").json()["recent"]["reliable"]
    follow(log, [40.0, 44, None], "three")
    few = client.get("/people/three/track").json()
    assert few["baseline"]["centre"] is None
    assert "no baseline: 2 days with a memo in it, 4 are needed" in few["reasons"]
    assert len(few["unusable"]) == 1
    follow(log, [None, None], "none")
    unusable = client.get("/people/none/track")
    assert (unusable.status_code, unusable.json()["error"]) == (
        404,
        "none of the 2 stress recordings of 'none' has a score: they could not be used",
    )
    assert client.get("/people/nobody/track").json()["error"] == "there is no stress recording of 'nobody' in the log"


def test_a_change_of_device_along_with_the_score_is_told_as_doubt(client, log):
    follow(log, [40.0, 44, 41, 43, 39, 42, 41], quality={"snr_db": 30.0})
    for day in (10, 11, 12):
        add(log, score=80.0, quality={"snr_db": 10.0}, created_at=datetime(2026, 1, day, 12, tzinfo=UTC))
    reasons = client.get("/people/P7/track").json()["reasons"]
    assert any("the noise around the voice changed too" in reason for reason in reasons)


def test_a_deleted_person_is_gone_everywhere(client, log):
    follow(log, [40.0, 44, 41, 43, 90], audio=b"RIFF", pictures={"spectrogram": "<svg/>"})
    log.add_recording(condition="apnea", night=night_report().to_dict(), person="P7")
    assert client.delete("/people/P7").json() == {"deleted": 6}
    assert client.get("/people").json() == {"people": []}
    assert client.get("/people/P7/track").status_code == 404
    assert client.delete("/people/P7").status_code == 404
    everything = client.get("/export?format=json").json()
    assert everything["recordings"] == []
    assert "P7" not in json.dumps(everything)  # the audit log neither


def test_everything_is_exported_as_json_csv_and_zip(client, log):
    number = add(log, "P7", file_name="memo.wav", audio=b"RIFF", pictures={"spectrogram": "<svg/>"}, page="<p>page</p>")
    night = log.add_recording(condition="apnea", night=night_report().to_dict())
    found = client.get("/export").json()
    assert [entry["id"] for entry in found["recordings"]] == [number, night]
    assert found["recordings"][0]["answer"]["score"] == 81.25
    table = pd.read_csv(io.BytesIO(client.get("/export?format=csv").content))
    assert table["person"].tolist()[0] == "P7"
    assert table["kind"].tolist() == ["memo", "night"]
    archive = zipfile.ZipFile(io.BytesIO(client.get("/export?format=zip").content))
    assert archive.read(f"audio/{number}.wav") == b"RIFF"
    assert archive.read(f"pictures/{number}/spectrogram.svg") == b"<svg/>"
    assert archive.read(f"reports/{number}.html") == b"<p>page</p>"
    assert len(pd.read_csv(archive.open("events.csv"))) == 2
    assert json.loads(archive.read("log.json"))["recordings"] == found["recordings"]
    assert [entry["action"] for entry in client.get("/audit").json()["entries"]] == ["exported"] * 3
    assert client.get("/export?format=xml").status_code == 422


def test_text_in_a_csv_is_no_formula(client, log):
    for name in ("=1+1.wav", "@SUM(A1).wav", " +cmd.wav", "plain.wav"):
        add(log, file_name=name)
    rows = csv.DictReader(io.StringIO(client.get("/export?format=csv").content.decode("utf-8-sig")))
    assert [row["file_name"] for row in rows] == ["'=1+1.wav", "'@SUM(A1).wav", "' +cmd.wav", "plain.wav"]


def test_everything_is_deleted_only_when_that_is_said(client, log):
    add(log)
    told = client.delete("/everything")
    assert (told.status_code, told.json()) == (422, {"error": "confirm is missing"})
    assert client.delete("/everything?confirm=yes").status_code == 422
    assert len(log.recordings()) == 1
    assert client.delete("/everything?confirm=delete").json() == {"deleted": 1}
    assert log.recordings() == []
    entry = client.get("/audit").json()["entries"][0]
    assert (entry["who"], entry["action"], entry["what"]) == ("local testclient", "deleted", "everything: 1 recordings")


def test_numbers_and_names_that_cannot_be_are_refused_without_a_mistake(client):
    for address in ("/recordings/0", f"/recordings/{10**30}", "/nights/x", "/recordings?limit=0", "/people/a%2Fb/track",
                    "/people/%00/track", "/recordings/1/pictures/%FF.svg", "/recordings?person=%20"):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code in (404, 422), address
        assert answer.json()["error" if "error" in answer.json() else "detail"], address


def test_a_log_in_memory_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add(RecordingLog(":memory:"))
    assert os.listdir(tmp_path) == []


def test_neither_the_log_nor_the_monitor_loads_tensorflow():
    script = (
        "import sys; from vocalbio.serve import live, records; live._warm_up();"
        "print([name for name in ('tensorflow', 'keras', 'sklearn', 'librosa', 'matplotlib') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_documented_paths_exist():
    text = (Path(__file__).parents[1] / "docs" / "live_monitoring.md").read_text("utf-8")
    paths = create_app(Settings(log=":memory:")).openapi()["paths"]
    for path in ("/export", "/everything", "/audit", "/people", "/recordings", "/nights"):
        assert f"{path}" in text
        assert any(known.startswith(path) for known in paths)
