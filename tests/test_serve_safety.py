from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from served import serving
from starlette.websockets import WebSocketDisconnect

from vocalbio.errors import ModelFileError, ParameterError
from vocalbio.serve import Settings, create_app, worker
from vocalbio.serve.analysis import Analysis
from vocalbio.serve.refusal import Refusal
from vocalbio.serve.uploads import Uploads
from vocalbio.serve.worker import Question

MONITOR = "ws://localhost/ws/monitor"  # else the test client goes by another name
TOKEN = "a-token-of-16-or-more"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def served_app(**settings):
    """The service in this process, without workers."""
    app = create_app(Settings(**{"log": ":memory:"} | settings))
    app.state.analysis.start = lambda: None
    return app


def client_of(app, address="http://localhost"):
    return TestClient(app, base_url=address, raise_server_exceptions=False, follow_redirects=False)


def wav(seconds, rate_hz=8000, level=0.0):
    file = io.BytesIO()
    soundfile.write(
        file, np.random.default_rng(0).normal(0, 1, round(seconds * rate_hz)) * level, rate_hz, format="WAV"
    )
    return file.getvalue()


def scope(method, path, **headers):
    """A request as a server hands it on."""
    sent = [
        (b"host", b"localhost"),
        *((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()),
    ]
    return {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": sent, "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1),
            "http_version": "1.1", "asgi": {"version": "3.0"}}  # fmt: skip


def eventually(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


# Settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, "others can reach, and there is no token"),
        ({"host": "192.168.1.5"}, "there is no token"),
        ({"host": "voice.example.org"}, "there is no token"),
        ({"host": ""}, "expected an address"),
        ({"port": 70_000}, "port is 70000"),
        ({"token": "secret"}, "6 characters"),
        ({"token": "a token with blanks in it"}, "letters, digits"),
        ({"certificate": "cert.pem"}, "TLS needs both"),
        ({"certificate": "no-such.pem", "key": "no-such.pem"}, "no such file"),
        ({"log_key": ""}, "log_key is empty"),
        ({"max_upload_mb": 0}, "max_upload_mb is 0"),
        ({"workers": 0}, "expected 1 or more"),
        ({"allowed_origins": ("https://voice.example.org/",)}, "scheme, host and port alone"),
        ({"allowed_origins": ("https://",)}, "scheme, host and port alone"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ParameterError, match=words):
        Settings(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host):
    assert Settings(host=host).token is None


def test_secrets_are_not_in_the_words_for_settings():
    shown = repr(Settings(token=TOKEN, log_key="pass phrase"))
    assert TOKEN not in shown
    assert "pass phrase" not in shown


def test_what_is_no_model_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "broken.vocalbio").write_bytes(b"PK")
    with pytest.raises(ModelFileError, match=r"broken\.vocalbio"):
        create_app(Settings(models=(tmp_path / "broken.vocalbio",)))
    shipped = Path(worker.__file__).parents[1] / "risk" / "shipped" / "stress.vocalbio"
    with pytest.raises(ParameterError, match="both for stress"):
        create_app(Settings(models=(shipped, shipped)))


# The token --------------------------------------------------------------------------------------------------


def test_with_a_token_nothing_answers_without_it():
    app = served_app(token=TOKEN)
    client = client_of(app)
    described = app.openapi()
    assert described["security"] == [{"token": []}]
    asked = [(method.upper(), path) for path, methods in described["paths"].items() for method in methods]
    assert len(asked) > 15
    for method, path in [*asked, ("GET", "/"), ("GET", "/page/style.css"), ("GET", "/openapi.json"), ("GET", "/none")]:
        place = path.replace("{number}", "1").replace("{name}", "P1")
        for given in ({}, {"Authorization": "Bearer " + "x" * 21}, {"Authorization": f"Basic {TOKEN}"}):
            told = client.request(method, place, headers=given)
            assert (told.status_code, list(told.json())) == (401, ["error"]), (method, place)
            assert told.headers["www-authenticate"] == "Bearer"


def test_with_the_token_it_answers():
    client = client_of(served_app(token=TOKEN))
    assert client.get("/healthz", headers=BEARER).status_code == 200
    assert client.get("/page/style.css", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_the_printed_address_logs_a_browser_in():
    with client_of(served_app(token=TOKEN)) as client:
        told = client.get(f"/?token={TOKEN}&person=P1")
        assert (told.status_code, told.headers["location"]) == (303, "/?person=P1")
        cookie = told.headers["set-cookie"]
        assert TOKEN not in cookie
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert "Secure" not in cookie
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 200
        with client.websocket_connect(MONITOR) as monitor:
            monitor.send_text(json.dumps({"sampling_rate_hz": 16_000, "save": False}))
            assert monitor.receive_json()["type"] == "ready"


@pytest.mark.parametrize("query", ["token=" + "x" * 21, "token=", f"token={TOKEN}&token=no"])
def test_another_token_logs_nobody_in(query):
    told = client_of(served_app(token=TOKEN)).get(f"/?{query}")
    assert told.status_code == 401
    assert "set-cookie" not in told.headers


def test_over_tls_the_cookie_stays_on_tls():
    told = client_of(served_app(token=TOKEN), "https://localhost").get(f"/?token={TOKEN}")
    assert "Secure" in told.headers["set-cookie"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer no"}, {"Cookie": f"vocalbio_80={TOKEN}"}])
def test_the_live_monitor_needs_the_token_too(headers):
    client = client_of(served_app(token=TOKEN))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(MONITOR, headers=headers):
        pass


# Names and origins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "", "[::1"])
def test_a_strangers_name_for_this_machine_is_refused(host):
    told = client_of(served_app()).get("/healthz", headers={"Host": host})
    assert told.status_code == 403
    assert "not called" in told.json()["error"]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "192.168.1.5:8000"])
def test_its_own_names_are_welcome(host):
    assert client_of(served_app()).get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9000"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_others_change_and_hear_nothing(headers):
    client = client_of(served_app())
    for method, path in (("POST", "/analyze-stress"), ("DELETE", "/recordings/1"), ("DELETE", "/everything")):
        told = client.request(method, path, headers=headers)
        assert (told.status_code, list(told.json())) == (403, ["error"]), path
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(MONITOR, headers=headers):
        pass


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, {"Origin": "https://voice.example.org"}],
)
def test_pages_of_its_own_may_ask(headers):
    app = served_app(allowed_origins=("https://voice.example.org",))
    assert client_of(app).post("/analyze-depression", headers=headers).status_code == 409
    with client_of(app) as client, client.websocket_connect(MONITOR, headers=headers) as monitor:
        monitor.send_text(json.dumps({"sampling_rate_hz": 16_000, "save": False}))
        assert monitor.receive_json()["type"] == "ready"


def test_a_proxys_name_is_welcome_where_it_is_told():
    app = served_app(allowed_origins=("https://voice.example.org",))
    assert client_of(app).get("/healthz", headers={"Host": "voice.example.org"}).status_code == 200


# What leaves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/page/style.css", "/healthz", "/none", "/openapi.json", "/recordings/1/report.html"]
)
def test_every_answer_has_the_security_headers(path):
    with client_of(served_app()) as client:
        headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src" in policy
    assert "unsafe-eval" not in policy
    assert "script-src" not in policy
    assert ("'unsafe-inline'" in policy) == path.endswith("report.html")  # styles of its one file, in a sandbox
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_the_page_needs_nothing_that_the_policy_forbids():
    page = client_of(served_app()).get("/").text
    assert "style=" not in page
    assert "onclick=" not in page
    assert "<script>" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_who_waits_when_the_service_ends_is_told():
    app = served_app()

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    async def ask():
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b""}

        asked = asyncio.create_task(app(scope("GET", "/slow"), receive, send))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return sent

    first, second, *_ = asyncio.run(ask())
    assert first["status"] == 503
    assert "stopped" in json.loads(second["body"])["error"]


def test_a_traceback_stays_here(caplog):
    app = served_app()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    with caplog.at_level(logging.ERROR, "vocalbio.serve"):
        told = client_of(app).get("/broken")
    assert told.status_code == 500
    assert set(told.json()) == {"error", "id"}
    assert "secret" not in told.text
    assert "Traceback" not in told.text
    assert told.json()["id"] in caplog.text
    assert "a secret of the inside" in caplog.text


# How much comes in ------------------------------------------------------------------------------------------


def test_what_says_that_it_is_too_large_is_not_even_read():
    told = client_of(served_app(max_upload_mb=0.01)).post("/analyze-stress", files={"file": ("a.wav", bytes(20_000))})
    assert told.status_code == 413
    assert "0.01 MB" in told.json()["error"]
    small = client_of(served_app()).request("DELETE", "/recordings/1", content=bytes(200_000))
    assert small.status_code == 413


def test_what_does_not_say_how_large_it_is_is_stopped_on_the_way():
    app = served_app(max_upload_mb=0.1)
    taken = 0

    async def ask():
        async def receive():
            nonlocal taken
            taken += 10_000
            begin = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
            return {
                "type": "http.request",
                "body": (begin if taken == 10_000 else b"").ljust(10_000),
                "more_body": True,
            }

        sent = []

        async def send(message):
            sent.append(message)
            if message["type"] == "http.response.body":
                raise OSError("the client has heard enough")

        async with app.router.lifespan_context(app):
            with pytest.raises(OSError, match="heard enough"):
                await app(
                    scope("POST", "/analyze-stress", content_type="multipart/form-data; boundary=x"), receive, send
                )
            return sent[0]["status"]

    assert asyncio.run(ask()) == 413
    assert 100_000 < taken <= 120_000


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Kilobytes that decode to four hours."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(240):
            file.write(np.zeros(8000 * 60, np.int16))
    assert path.stat().st_size < 1_000_000
    return path


@pytest.mark.parametrize("job", [worker.answer_night, lambda question: worker.measure(("spectral",), question)])
def test_little_that_decodes_to_much_is_not_decoded(bomb, job, monkeypatch):
    decoded_s = 0.0
    plain = worker.stream_audio

    def counted(*arguments):
        nonlocal decoded_s
        for block in plain(*arguments):
            decoded_s += block.duration_s
            yield block

    monkeypatch.setattr(worker, "stream_audio", counted)
    monkeypatch.setattr("vocalbio.night.reading.stream_audio", counted)
    with pytest.raises(Refusal, match=r"bomb\.flac is longer than 2 min") as refused:
        job(Question(str(bomb), "bomb.flac", 120.0))
    assert refused.value.status == 413
    assert 120 < decoded_s < 200


def test_clipping_without_end_is_not_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "MOST_CLIPPED", 100_000)
    soundfile.write(tmp_path / "loud.flac", np.ones(8000 * 60), 8000)
    with pytest.raises(Refusal, match="clipped almost everywhere"):
        worker.measure(("spectral",), Question(str(tmp_path / "loud.flac"), "loud.flac", 120.0))


def test_an_absurd_rate_is_refused(tmp_path):
    soundfile.write(tmp_path / "fast.wav", np.zeros(4000), 400_000)
    with pytest.raises(Refusal, match="400000 samples a second") as refused:
        worker.measure(("spectral",), Question(str(tmp_path / "fast.wav"), "fast.wav", 120.0))
    assert refused.value.status == 415


def test_more_than_the_queue_holds_is_refused_before_it_is_read():
    app = served_app(workers=1, max_queue=0)

    async def full():
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        async with app.state.analysis.place(), client:
            return await client.post("/analyze-stress", files={"file": ("a.wav", wav(1))})

    told = asyncio.run(full())
    assert told.status_code == 503
    assert int(told.headers["retry-after"]) > 0
    assert "try again" in told.json()["error"]


# Workers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def analysis():
    """Workers that load no model."""
    made = Analysis(Settings(request_timeout_s=2.0))
    made.models = {}
    made.start()
    yield made
    made.close()


def test_work_that_takes_too_long_is_stopped_and_its_worker_replaced(analysis):
    async def ask():
        first = await analysis.run(os.getpid)
        with pytest.raises(Refusal, match="stopped after 2 s") as refused:
            await analysis.run(time.sleep, 60)
        return first, refused.value.status, await analysis.run(os.getpid)

    first, status, second = asyncio.run(ask())
    assert status == 504
    assert first != second
    eventually(lambda: not Path(f"/proc/{first}").exists())


def test_a_worker_that_dies_costs_one_request(analysis):
    async def ask():
        first = await analysis.run(os.getpid)
        with pytest.raises(Refusal, match="ended unexpectedly") as refused:
            await analysis.run(os._exit, 11)
        return first, refused.value.status, await analysis.run(os.getpid)

    first, status, second = asyncio.run(ask())
    assert status == 503
    assert first != second


# Temporary files --------------------------------------------------------------------------------------------


def test_folders_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path):
    living, dead = Uploads(1.0, tmp_path), Uploads(1.0, tmp_path)
    kept, left = living.open(), dead.open()
    (kept / "memo.wav").touch()
    (left / "memo.wav").touch()
    dead._lock.close()  # as the system does when a process ends
    elsewhere = tmp_path / "vocalbio-serve-of-a-person"
    elsewhere.mkdir()
    third = Uploads(1.0, tmp_path)
    third.open()
    assert not left.exists()
    assert (kept / "memo.wav").exists()
    assert elsewhere.exists()
    third.close()
    living.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [elsewhere.name]


def test_after_a_crash_no_recording_is_left(tmp_path):
    def ask(url):
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/features", files={"file": ("memo.wav", wav(300, level=0.1))}, timeout=60)

    with serving(tmp_path / "tmp") as served, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, served.url)
        eventually(lambda: list(served.temporary.rglob("memo.wav")))
        (memo,) = served.temporary.rglob("memo.wav")
        workers = subprocess.run(
            ["pgrep", "-P", str(served.process.pid)], capture_output=True, text=True
        ).stdout.split()
        served.process.kill()
        served.process.wait()
        asked.result()
        assert memo.exists()
    uploads = Uploads(1.0, tmp_path / "tmp")
    uploads.open()
    assert not memo.exists()
    uploads.close()
    assert list((tmp_path / "tmp").glob("vocalbio-serve-*")) == []
    assert workers
    for number in workers:  # they end by themselves when their work is done
        with suppress(ProcessLookupError):
            os.kill(int(number), signal.SIGKILL)


# The program ------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_everything_in_order(tmp_path):
    secrets = {"VOCALBIO_TOKEN": TOKEN, "VOCALBIO_LOG_KEY": "a pass phrase"}
    with serving(tmp_path / "tmp", "--log", tmp_path / "log.sqlite", **secrets) as served:
        assert served.opened == f"{served.url}/?token=YOUR-TOKEN"
        assert "Not a diagnosis" in served.text
        assert httpx.get(f"{served.url}/healthz", headers=BEARER).json()["encrypted"] is True
        assert TOKEN not in served.text  # it may be written to a journal
        assert "a pass phrase" not in served.text
        assert not (tmp_path / "log.sqlite").read_bytes().startswith(b"SQLite format 3")
        assert httpx.get(f"{served.url}/healthz").status_code == 401
        os.killpg(served.process.pid, signal.SIGINT)  # a terminal sends it to the workers as well
        assert served.wait() == 0
    assert served.lines[-1] == "vocalbio serve: ended\n"
    assert "Traceback" not in served.text
    assert list((tmp_path / "tmp").glob("vocalbio-serve-*")) == []


def test_open_to_others_it_makes_a_token_and_speaks_of_tls(tmp_path):
    with serving(tmp_path / "tmp", "--host", "0.0.0.0") as served:
        token = served.opened.split("?token=")[1]
        assert len(token) >= 32
        assert "without TLS" in served.text
        port = served.url.rsplit(":", 1)[1]
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 401
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_tls_for_phones_nearby(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    options = ("--certificate", certificate, "--key", key, "--token", TOKEN)
    with serving(tmp_path / "tmp", *options) as served:
        assert served.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        told = httpx.get(f"{served.url}/?token={TOKEN}", verify=trusting)
        assert told.status_code == 303
        assert "Secure" in told.headers["set-cookie"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--token", "short"], "token has 5 characters"),
        (["--model", "no-such.vocalbio"], "no-such.vocalbio does not exist"),
        (["--certificate", "cert.pem"], "TLS needs both"),
        (["--log-key-file", "no-such"], "key of the log cannot be read from no-such"),
    ],
)
def test_a_start_that_fails_says_why(vocalbio, options, words):
    code, _, told = vocalbio("serve", "--log", ":memory:", *options)
    assert code == 2
    assert words in told


def test_a_port_in_use_says_so(vocalbio):
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, _, told = vocalbio("serve", "--log", ":memory:", "--port", other.getsockname()[1])
    assert code == 2
    assert "--port 0" in told


def test_a_log_that_cannot_be_opened_says_so(vocalbio, tmp_path):
    (tmp_path / "log.sqlite").write_text("no database, but long enough to be taken for one " * 20)
    code, _, told = vocalbio("serve", "--log", tmp_path / "log.sqlite", "--port", "0")
    assert code == 2
    assert "log.sqlite" in told
    assert "Traceback" not in told


def test_the_key_of_the_log_is_no_option(vocalbio, tmp_path):
    _, told, _ = vocalbio("serve", "--help")
    assert "--log-key-file" in told
    assert "--log-key " not in told
