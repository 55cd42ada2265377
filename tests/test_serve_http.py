from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from served import serving

from vocalbio import FeatureExtractor, RiskModel, extract_features, screen_night
from vocalbio.datasets.voices import make_cohort
from vocalbio.errors import MissingPackageError
from vocalbio.extract.extractor import NAMED
from vocalbio.risk import load_shipped
from vocalbio.serve import Settings, create_app
from vocalbio.serve.worker import FAMILIES

PATIENCE_S = 120


def wav(samples, rate_hz=16_000, kind="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.fixture(scope="module")
def memo(tmp_path_factory):
    """A memo of a made-up voice."""
    recordings, _ = make_cohort(n_speakers=1, n_recordings=1, seed=3)
    path = tmp_path_factory.mktemp("voices") / "memo.wav"
    soundfile.write(path, recordings[0].samples, 16_000)
    return path


@pytest.fixture(scope="module")
def depression_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "depression.vocalbio"
    recordings, people = make_cohort(n_speakers=4, n_recordings=1, seed=1)
    model = RiskModel("depression", preset="small", epochs=2, random_state=0, interval_folds=0, least_voiced_s=0.1)
    table = extract_features(recordings, ("voice",))
    model.fit(table, np.arange(len(table)) % 2, groups=people["speaker"])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def service(depression_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("temporary")
    with serving(folder, "--model", depression_model, "--keep-audio") as served:
        yield served


@pytest.fixture(scope="module")
def client(service):
    with httpx.Client(base_url=service.url, timeout=PATIENCE_S) as client:
        yield client


def send(client, address, content, name="memo.wav", **fields):
    return client.post(address, files={"file": (name, content)}, data=fields)


# Answers ----------------------------------------------------------------------------------------------------


def test_stress_is_what_the_model_says_of_the_same_file(client, memo):
    told = send(client, "/analyze-stress", memo.read_bytes()).json()
    answer = load_shipped("stress").score_audio(str(memo))
    assert told["answer"] == answer.to_dict() | {"file": "memo.wav"}
    assert told["status"] == answer.label
    assert told["stress_level"] == round(answer.score, 2)
    assert 0 < told["stress_level"] < 100


def test_a_label_that_cannot_be_told_comes_without_a_number(client):
    told = send(client, "/analyze-stress", wav(np.zeros(32_000))).json()
    assert (told["stress_level"], told["status"]) == (None, "indeterminate")
    assert told["answer"]["reasons"]


@pytest.mark.parametrize(("score", "status"), [(70.0, "Normal"), (70.001, "High"), (99.0, "High")])
def test_high_is_above_70_strictly(score, status):
    probabilities = np.array([[1 - score / 100, 0.0, score / 100]])
    model = load_shipped("stress")
    assert model._verdict(probabilities[0]).label == status


def test_depression_is_what_the_loaded_model_says(client, memo, depression_model):
    told = send(client, "/analyze-depression", memo.read_bytes(), explain="true").json()
    model = RiskModel.load(depression_model)
    answer = model.score_audio(str(memo))
    assert told["answer"] == answer.to_dict() | {"file": "memo.wav"}
    assert told["depression_risk"] == round(list(answer.probability.values())[-1], 2)
    assert told["status"] in ("Low Risk", "High Risk")
    total = sum(one["contribution"] for one in told["explanation"]["contributions"])
    assert total == pytest.approx(told["explanation"]["value"] - told["explanation"]["baseline"], abs=0.5)


def test_a_condition_without_a_model_tells_how_to_get_one(memo):
    app = TestClient(create_app(Settings(log=":memory:")), base_url="http://localhost")
    told = send(app, "/analyze-depression", memo.read_bytes())
    assert told.status_code == 409
    assert "vocalbio train" in told.json()["error"]
    assert "vocalbio serve --model" in told.json()["error"]


def test_a_night_is_what_screen_night_says(client, tmp_path, rng):
    path = tmp_path / "2026-01-31_23-05-00.wav"
    soundfile.write(path, rng.normal(0, 1e-3, 90 * 8000), 8000)
    told = send(client, "/analyze-apnea", path.read_bytes(), path.name).json()
    report = screen_night(path, progress=False).to_dict()
    assert told["night"] == {name: value for name, value in report.items() if name != "evidence"}
    assert told["night"]["started"] == "2026-01-31T23:05:00"
    assert told["events_per_hour"] == report["summary"]["index"]
    assert "4 h" in told["status"]


@pytest.mark.parametrize("families", ["voice", "prosody,voice", "spectral, voice"])
def test_features_are_those_of_the_library(client, memo, families):
    told = send(client, "/features", memo.read_bytes(), families=families).json()
    table = extract_features(str(memo), tuple(name.strip() for name in families.split(",")))
    expected = {name: None if np.isnan(value) else value for name, value in table.iloc[0].items()}
    assert told["features"] == {name: value for name, value in expected.items() if not name.startswith("quality__")}
    assert told["quality"]["duration_s"] == 4.0
    assert told["errors"] == []


def test_features_are_those_that_the_library_takes_by_default(client, memo):
    told = send(client, "/features", memo.read_bytes()).json()
    expected = [name for name in FeatureExtractor().get_feature_names_out() if not name.startswith("quality__")]
    assert list(told["features"]) == expected


def test_whatever_the_library_knows_by_name_can_be_asked_for():
    assert set(FAMILIES) == set(NAMED)


@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [
        ("FLAC", None, "memo.txt"),
        ("OGG", "VORBIS", "memo"),
        ("MP3", None, "../../etc/memo.mp3"),
        ("AIFF", None, "録" * 200 + ".x"),
    ],
)
def test_sound_is_known_by_its_content_whatever_its_name(client, kind, subtype, name):
    times = np.arange(16_000) / 16_000
    told = send(client, "/features", wav(0.3 * np.sin(2 * np.pi * 220 * times), kind=kind, subtype=subtype), name)
    assert told.status_code == 200, told.text
    assert told.json()["features"]["voice__f0_median_hz"] == pytest.approx(220, rel=0.01)


def test_recordings_of_phones_and_browsers_are_read(client, data):
    found = [path for end in ("*.m4a", "*.webm", "*.opus", "*.mp3") for path in sorted(data.rglob(end))[:1]]
    assert found
    for path in found:
        told = send(client, "/features", path.read_bytes(), path.name, families="spectral")
        assert told.status_code == 200, (path, told.text)


# Requests that cannot be answered ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"json": {"file": "memo.wav"}},
        {"data": {"file": "memo.wav"}},
        {"files": {"sound": ("memo.wav", b"RIFF")}},
        {"files": {"file": ("", b"")}},
        {"files": {"file": ("memo.wav", b"")}},
    ],
    ids=["nothing", "json", "text", "another field", "no file chosen", "empty file"],
)
@pytest.mark.parametrize("address", ["/analyze-stress", "/analyze-apnea", "/features"])
def test_without_a_file(client, address, request_):
    told = client.post(address, **request_)
    assert told.status_code == 400
    assert told.json()["error"].startswith("No file uploaded")


def test_a_form_in_another_encoding_is_refused_in_words(client, memo):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%b\r\n--b--' % memo.read_bytes()
    )
    for charset, status in [("undefined", 400), ("unicode_escape", 400), ("UTF-8", 200)]:
        kind = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
        told = client.post("/features", content=form, headers=kind)
        assert (told.status_code, "not in UTF-8" in told.text) == (status, status == 400)


@pytest.mark.parametrize(
    ("address", "fields", "words"),
    [
        (
            "/features",
            {"families": "voice,whisper"},
            "'voice,whisper'; expected: Some of prosody, voice, compact",
        ),
        ("/analyze-stress", {"explain": "perhaps"}, "explain is 'perhaps'"),
        ("/analyze-stress", {"person": "<b>"}, "person is '<b>'"),
        ("/analyze-apnea", {"save": "7"}, "save is '7'"),
        ("/analyze-apnea", {"sav": "false"}, "no field 'sav'; expected some of person, keep_audio, save, explain"),
        ("/analyze-stress", {"save": ["false", "true"]}, "given twice"),
    ],
)
def test_a_field_without_a_usable_value(client, memo, address, fields, words):
    told = send(client, address, memo.read_bytes(), **fields)
    assert told.status_code == 422
    assert words in told.json()["error"]


def test_what_is_no_sound_says_so_without_the_place_where_it_lay(client, service):
    for content, status in (
        (b"\x89PNG" + bytes(500), 415),
        (b"#EXTM3U\nhttp://127.0.0.1/secret.mp3\n", 415),
        (b"RIFF" + bytes(500), 415),
        (wav(np.zeros(0)), 422),
    ):
        for address in ("/analyze-stress", "/analyze-apnea", "/features"):
            told = send(client, address, content, "memo.wav")
            assert told.status_code == status, (content[:8], address, told.text)
            assert "memo.wav" in told.json()["error"]
            assert str(service.temporary) not in told.text
            assert "Traceback" not in told.text


# The log ----------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_with_pictures_report_and_sound_if_asked_for(client, memo):
    fields = {"person": "P7", "explain": "true", "keep_audio": "true"}
    told = send(client, "/analyze-stress", memo.read_bytes(), **fields).json()
    number = told["recording_id"]
    kept = client.get(f"/recordings/{number}").json()
    assert kept["answer"] == told["answer"]
    assert (kept["person"], kept["file_name"], kept["status"]) == ("P7", "memo.wav", told["status"])
    assert {"spectrogram", "answer"} <= set(told["pictures"])
    for address in told["pictures"].values():
        picture = client.get(address)
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert "<svg" in picture.text
    report = client.get(f"/recordings/{number}/report.html")
    assert "Stress score" in report.text
    assert "script-src" not in report.headers["content-security-policy"]
    assert "sandbox" in report.headers["content-security-policy"]
    assert client.get(f"/recordings/{number}/audio").content == memo.read_bytes()
    analysed = [entry for entry in client.get("/audit").json()["entries"] if entry["action"] == "analysed"]
    assert analysed[0]["what"] == f"stress, recording {number} with its sound"
    assert "127.0.0.1" in analysed[0]["who"]


def test_nothing_is_kept_where_that_is_not_wanted(client, memo):
    before = client.get("/recordings").json()["recordings"]
    told = send(client, "/analyze-stress", memo.read_bytes(), save="false").json()
    assert (told["recording_id"], told["pictures"]) == (None, {})
    assert client.get("/recordings").json()["recordings"] == before
    assert client.get("/audit").json()["entries"][0]["what"] == "stress, not kept"


def test_sound_is_not_kept_where_the_service_keeps_none(memo):
    app = create_app(Settings(log=":memory:"))
    app.state.analysis.start = lambda: None
    with TestClient(app, base_url="http://localhost") as client:
        told = send(client, "/analyze-stress", memo.read_bytes(), keep_audio="true")
    assert told.status_code == 422
    assert "--keep-audio" in told.json()["error"]


# Many at once -----------------------------------------------------------------------------------------------


def test_each_of_many_gets_an_answer_of_its_own(client):
    def ask(seconds):
        told = send(client, "/features", wav(np.zeros(16_000 * seconds)), f"{seconds}.wav", families="spectral")
        return told.json()["quality"]["duration_s"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(1, 13))) == list(range(1, 13))


def test_the_server_itself_answers_while_a_worker_works(client, memo):
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(send, client, "/features", memo.read_bytes())
        waits = []
        while not working.done():
            waits.append(client.get("/healthz").elapsed.total_seconds())
        assert working.result().status_code == 200
    assert len(waits) > 3
    assert np.median(waits) < 0.5


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see what a process has loaded")
def test_the_server_process_loads_no_tensorflow(client, service):
    assert send(client, "/analyze-stress", wav(np.zeros(4000)), save="false").status_code == 200
    assert "libtensorflow" not in Path(f"/proc/{service.process.pid}/maps").read_text()


def test_uploads_are_removed_when_they_are_answered(client, service):
    send(client, "/features", wav(np.zeros(4000)), families="spectral")
    send(client, "/features", b"no sound")
    (folder,) = (path for path in service.temporary.glob("vocalbio-serve-*") if path.is_dir())
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700


# The description --------------------------------------------------------------------------------------------


def test_healthz_tells_what_can_be_answered(client):
    told = client.get("/healthz").json()
    assert told["status"] == "ok"
    assert told["conditions"] == {"stress": True, "depression": True, "apnea": True}
    assert told["limits"]["keep_audio"] is True
    assert (told["log"], told["encrypted"]) == ("memory", False)


def test_every_route_is_described_with_its_errors(client):
    described = client.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert {"401", "403", "500"} <= set(operation["responses"]), (method, path)
    form = described["paths"]["/analyze-stress"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    assert set(form["properties"]) == {"file", "person", "keep_audio", "save", "explain"}


@pytest.mark.slow
def test_schemathesis_finds_nothing(client, service, memo, tmp_path):
    send(client, "/analyze-stress", memo.read_bytes(), person="P1")
    (tmp_path / "hooks.py").write_text(
        "import schemathesis\nfrom hypothesis import strategies as st\n"
        f"sounds = st.sampled_from([{wav(np.zeros(16_000))!r}, {wav(np.zeros(16_000), kind='FLAC')!r}])\n"
        "schemathesis.openapi.format('binary', sounds)\n"
    )
    # a field that is wrong because it is an empty list is not there at all in a form, and right
    (tmp_path / "schemathesis.toml").write_text(
        '[[operations]]\ninclude-method = "POST"\nchecks.negative_data_rejection.enabled = false\n'
    )
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [program, "run", f"{service.url}/openapi.json", "--max-examples", "5", "--no-color", "--seed", "1",
         "--request-timeout", "60", "--suppress-health-check", "all"],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks"}, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.replace("\\x00", "")[-8000:]
    assert "Traceback" not in service.text, service.text


# Without the packages ---------------------------------------------------------------------------------------


def test_without_fastapi_the_error_tells_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("vocalbio.serve.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'vocalbio\[serve\]'"):
        create_app(Settings(log=":memory:"))


def test_importing_the_service_imports_no_server():
    code = (
        "import sys, json, vocalbio.serve\n"
        "heavy = ('fastapi', 'starlette', 'uvicorn', 'pebble', 'numpy')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
