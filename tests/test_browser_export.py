"""The page of examples/browser in headless Chromium: the numbers are Python's, and nothing leaves the tab."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from golden.make_states import STABLE, TINY, voice

import vocalbio as vb
from vocalbio.encoders import TFWav2Vec2Model, TFWavLMModel, TFWhisperEncoder
from vocalbio.encoders.inference import Inference

PAGE = Path(__file__).parents[1] / "examples" / "browser"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CHROMIUM += ["--disable-component-update", "--disable-sync"]
WHISPER = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
ENCODERS = {
    "whisper": (TFWhisperEncoder, WHISPER),
    "wav2vec2": (TFWav2Vec2Model, TINY),
    "wavlm": (TFWavLMModel, {**TINY, **STABLE, "num_buckets": 16, "max_bucket_distance": 15}),
}
BOUND = 1e-4
"""Between a state in the tab and in Python, of size about 3; measured: 1e-5."""

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """onnxruntime-web: that of the example's folder, or fetched from npm into a folder of the test's."""
    if (PAGE / "node_modules" / "onnxruntime-web").is_dir():
        return PAGE / "node_modules"
    if shutil.which("npm") is None:
        pytest.skip("no npm here to fetch onnxruntime-web with, and no node_modules in examples/browser")
    folder = tmp_path_factory.mktemp("npm")
    shutil.copy(PAGE / "package.json", folder)
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    fetched = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if fetched.returncode:
        pytest.skip(f"npm could not fetch onnxruntime-web: {fetched.stderr[-300:]}")
    return folder / "node_modules"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium here")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        yield running
        running.close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tiny encoders and their ONNX files, each made once, with every layer in it."""
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    made: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in made:
            build, settings = ENCODERS[kind]
            encoder = build(settings)
            folder = tmp_path_factory.mktemp(kind) / "tiny"
            rng = np.random.default_rng(1)
            for weight in encoder.weights:  # of a size that states are of about 1, and not near what they start from
                if len(weight.shape) > 1 and "norm" not in weight.path:
                    weight.assign(rng.normal(size=weight.shape) * np.prod(weight.shape[:-1]) ** -0.5)
            encoder.save_pretrained(folder)
            from vocalbio.encoders import load_encoder

            encoder = load_encoder(folder)
            encoder.export(folder / "encoder.onnx", format="onnx", layers="all")
            made[kind] = SimpleNamespace(encoder=encoder, folder=folder, file=folder / "encoder.onnx")
        return made[kind]

    return get


@pytest.fixture
def opened(browser: Any, runtime: Path, exported: Any, tmp_path: Path) -> Iterator[Any]:
    """Open the page, with some encoder beside it or none; close all at the end."""
    specification = importlib.util.spec_from_file_location("serve", PAGE / "serve.py")
    assert specification is not None
    assert specification.loader is not None
    serve = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(serve)
    context = browser.new_context(viewport={"width": 390, "height": 800})
    folder = tmp_path / "page"
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("node_modules", "*.onnx"))
    (folder / "node_modules").symlink_to(runtime)
    server = serve.server(folder, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def open_page(kind: str | None, **files: Path) -> Any:
        if kind is not None:
            shutil.copy(exported(kind).file, folder / "encoder.onnx")
        for name, file in files.items():
            shutil.copy(file, folder / f"{name}.onnx")
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request))
        page.goto(f"http://localhost:{server.server_port}")
        if kind is not None:
            page.wait_for_selector("#sound-file:enabled")
        return page

    yield open_page
    context.close()
    server.shutdown()
    server.server_close()


def wav(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> Path:
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


def result_of(page: Any, file: Path) -> dict[str, Any]:
    """What the page saves as JSON."""
    page.set_input_files("#sound-file", file)
    page.wait_for_selector("#result:not([hidden])")
    with page.expect_download() as download:
        page.click("#download")
    return json.loads(Path(download.value.path()).read_text())


@pytest.mark.parametrize("kind", ENCODERS)
def test_means_in_the_tab_are_those_of_python(opened, exported, tmp_path, kind):
    file = wav(tmp_path / "voice.wav", voice(2.3))
    found = result_of(opened(kind), file)
    samples = vb.load_audio(file).samples
    encoder = exported(kind).encoder
    (means, _), *_ = Inference(encoder, range(encoder.n_layers + 1)).pool([samples])
    assert (found["recording"], found["seconds"], found["frames"]) == ("voice.wav", 2.3, encoder.frame_count(36_800))
    assert list(found["means"]) == [str(layer) for layer in range(encoder.n_layers + 1)]
    np.testing.assert_allclose(list(found["means"].values()), means, atol=BOUND)


@pytest.mark.parametrize(
    ("kind", "seconds", "bound"),
    # a norm over 20 s sums 64,000 values, which WebAssembly does one by one in float32: 1.4e-4 was measured
    [("wav2vec2", 2.0, BOUND), ("wav2vec2", 41.0, 5 * BOUND), ("whisper", 33.3, BOUND)],
)
def test_every_frame_in_the_tab_is_that_of_python_also_of_long_recordings(opened, exported, kind, seconds, bound):
    page = opened(kind)
    samples = voice(seconds)
    # the page's own worker, asked for all states instead of their picture
    found = page.evaluate(
        """async ([samples, encoder]) => {
          const worker = new Worker("encoder.js", { type: "module" });
          const ask = (question) => new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) => data.progress || (data.error ? reject(data.error) : resolve(data.answer));
            worker.postMessage(question);
          });
          await ask({ ask: "encoder", bytes: await (await fetch(encoder)).arrayBuffer() });
          const { states, frames, size } = await ask({ ask: "encode", samples: Float32Array.from(samples) });
          return { states: Array.from(states), frames, size };
        }""",
        [samples.tolist(), "encoder.onnx"],
    )
    encoder = exported(kind).encoder
    expected, _ = Inference(encoder, range(encoder.n_layers + 1)).frames(samples)
    states = np.reshape(found["states"], (-1, found["frames"], found["size"])).transpose(1, 0, 2)
    assert states.shape == expected.shape
    print(f"max|Δ| {np.abs(states - expected).max():.1e}")
    assert np.abs(states - expected).max() < bound
    assert np.abs(expected).max() > 1


def test_a_recording_at_another_rate_is_resampled_in_the_tab(opened, exported, tmp_path):
    t = np.arange(3 * 44_100) / 44_100
    stereo = np.stack([0.3 * np.sin(2 * np.pi * f * t) for f in (150.0, 440.0)], axis=1)
    file = wav(tmp_path / "tones.wav", stereo, 44_100)
    found = result_of(opened("whisper"), file)
    assert found["frames"] == 150
    encoder = exported("whisper").encoder
    (means, _), *_ = Inference(encoder, [2]).pool([vb.load_audio(file).samples])
    # two resamplers differ near half of the rate alone, where these tones are not
    np.testing.assert_allclose(found["means"]["2"], means[0], atol=0.05)


def test_nothing_leaves_the_tab(opened, tmp_path):
    page = opened("whisper")
    origin = page.evaluate("location.origin")
    loaded = len(page.asked)
    result_of(page, wav(tmp_path / "voice.wav", voice(2.0)))
    assert page.asked[loaded:] == [] or all(request.url.startswith("blob:") for request in page.asked[loaded:])
    assert {request.method for request in page.asked} == {"GET"}
    assert all(request.url.startswith((origin, "data:", "blob:")) for request in page.asked)


def test_the_page_may_speak_to_nobody_else(opened):
    page = opened("whisper")
    blocked = page.evaluate(
        """async () => {
          const told = new Promise((resolve) =>
            addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective), { once: true }));
          const sent = fetch("http://127.0.0.1:9/x", { method: "POST", body: "voice" });
          return [await sent.then(() => false, () => true), await told];
        }"""
    )
    assert blocked == [True, "connect-src"]
    # nor may the worker, which has the samples
    assert page.evaluate("async () => (await fetch('encoder.js')).headers.get('content-security-policy')").count(
        "connect-src 'self'"
    )
    assert page.evaluate("async () => (await fetch('/', { method: 'POST', body: 'voice' })).status") == 501


def test_a_risk_model_on_the_encoders_states_answers_in_the_tab(opened, exported, tmp_path):
    whisper = exported("whisper")
    rng = np.random.default_rng(0)
    clips = [vb.Recording(voice(0.5, f0) * gain, 16_000) for f0, gain in rng.uniform((90, 0.3), (300, 1), (40, 2))]
    X = vb.extract_features(clips, [vb.Embedding(whisper.folder, layer=1)])
    X = X.filter(regex="_L1__")
    model = vb.RiskModel("depression", preset="small", interval_folds=0, random_state=0, epochs=2)
    model.fit(X, np.arange(40) % 2, groups=np.arange(40) // 4)
    model.export(tmp_path / "risk.onnx", format="onnx")
    file = wav(tmp_path / "voice.wav", voice(1.5))
    found = result_of(opened("whisper", risk=tmp_path / "risk.onnx"), file)["risk"]
    own = vb.extract_features([file], [vb.Embedding(whisper.folder, layer=1)]).filter(regex="_L1__")
    np.testing.assert_allclose(list(found.values()), model.predict_proba(own)[0], atol=1e-4)


def test_what_cannot_be_done_is_told_in_words(opened, exported, tmp_path):
    page = opened(None)
    page.wait_for_selector("#model:has-text('There is no encoder.onnx')")
    assert page.is_disabled("#record")
    (tmp_path / "notes.onnx").write_bytes(b"\x08\x07 something else")
    page.set_input_files("#encoder-file", tmp_path / "notes.onnx")
    page.wait_for_selector("#error:not([hidden])")
    page.set_input_files("#encoder-file", exported("whisper").file)
    page.wait_for_selector("#sound-file:enabled")
    for name, content, words in (
        ("text.wav", b"no sound", "cannot decode this file"),
        ("short.wav", wav(tmp_path / "s.wav", voice(0.01)).read_bytes(), "160 samples; the encoder needs 320 at least"),
    ):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#sound-file", tmp_path / name)
        page.wait_for_selector(f"#error:has-text('{words}')")


def test_it_fits_a_phone(opened, tmp_path):
    page = opened("whisper")
    result_of(page, wav(tmp_path / "voice.wav", voice(2.0)))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.getElementById('picture').width") >= 300
