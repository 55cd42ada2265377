"""The front door: every public name is there, and nothing heavy is loaded before it is needed."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import vocalbio as vb

HEAVY = (
    "tensorflow",
    "keras",
    "transformers",
    "librosa",
    "opensmile",
    "parselmouth",
    "sklearn",
    "matplotlib",
    "torch",
)
STUB = Path(vb.__file__).with_suffix(".pyi")
PUBLIC = [
    alias.asname or alias.name
    for statement in ast.parse(STUB.read_text(encoding="utf-8")).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_vocalbio_is_quick_and_light() -> None:
    program = f"""
import sys, time
began = time.process_time()
import vocalbio
print(time.process_time() - began, *[name for name in {HEAVY} if name in sys.modules])
"""
    runs = [run(program).split() for _ in range(3)]
    assert [loaded for _, *loaded in runs] == [[], [], []]
    assert min(float(seconds) for seconds, *_ in runs) < 0.3


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(vb, name) is not None
    assert name in dir(vb)
    assert name in vb.__all__


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="extract_featurs"):
        vb.extract_featurs  # noqa: B018
    assert not hasattr(vb, "Embeddings")


@pytest.mark.parametrize(
    "statement", ["import vocalbio.errors", "from vocalbio.errors import AudioError", "import vocalbio.audio"]
)
def test_errors_stays_the_function(statement: str) -> None:
    program = f"""
{statement}
import vocalbio as vb, pandas as pd
index = pd.MultiIndex.from_tuples([], names=["file", "start", "end"])
print(len(vb.errors(pd.DataFrame(index=index))), vb.errors.__module__)
"""
    assert run(program) == "0 vocalbio.extract.table"
    assert importlib.import_module("vocalbio.errors").AudioError is vb.AudioError


def test_a_worker_process_loads_no_model_software() -> None:
    """What joblib sends to a worker: a function of vocalbio.extract.rows and its arguments."""
    program = """
import sys
from vocalbio.extract.rows import Plan, measure_request
from vocalbio.extract.requests import parse_audio
from vocalbio.features.prosody import Prosody
from vocalbio.features.voice import Voice
import numpy as np
from vocalbio.audio import Recording
noise = Recording(np.random.default_rng(0).standard_normal(16_000) * 0.1, 16_000)
[row] = measure_request(parse_audio(noise)[0], Plan((Prosody(), Voice()), None, None, False, "record"))
assert row.quality["ok"] == 1
print(*[name for name in ("tensorflow", "keras", "transformers", "sklearn", "matplotlib") if name in sys.modules])
"""
    assert run(program) == ""


@pytest.mark.parametrize(
    ("use", "allowed"),
    [
        ("vb.conditions.CONDITIONS", set()),
        ("vb.Prosody(), vb.Voice(), vb.Spectral(), vb.Recording", set()),
        (
            "vb.extract_features([vb.Recording([0.0] * 16_000, 16_000)], ['voice'])",
            {"parselmouth", "sklearn"},
        ),
    ],
)
def test_a_name_loads_what_it_needs_and_no_more(use: str, allowed: set[str]) -> None:
    loaded = run(f"import sys, vocalbio as vb; {use}; print(*[name for name in {HEAVY} if name in sys.modules])")
    assert set(loaded.split()) <= allowed


def test_a_function_that_uses_the_library_can_be_sent_to_workers() -> None:
    import pickle

    cloudpickle = pytest.importorskip("cloudpickle")

    import vocalbio

    assert pickle.loads(pickle.dumps(vocalbio)) is vocalbio
    assert pickle.loads(cloudpickle.dumps(vocalbio)) is vocalbio
