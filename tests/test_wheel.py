"""The wheel: what makes the lazy front door visible, and the pages drawable, is inside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER_CODE = """
import vocalbio as vb
reveal_type(vb.extract_features("memo.wav"))
reveal_type(vb.RiskModel("stress").score_audio)
reveal_type(vb.errors)
vb.extract_featurs
"""
MYPY = """
[mypy]
ignore_missing_imports = True
# reading these takes twenty seconds, and nothing of theirs is asked about
[mypy-numpy.*,matplotlib.*,fastapi.*,starlette.*,pydantic.*,typer.*,huggingface_hub.*,transformers.*,jinja2.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A wheel, built from a copy of the sources and unpacked."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT / "vocalbio", source / "vocalbio", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = built.glob("*.whl")
    assert wheel.stat().st_size < 25e6
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built / "unpacked")
    return built / "unpacked"


def test_stubs_marker_and_templates_are_in_the_wheel(unpacked):
    for name in (
        "__init__.pyi",
        "py.typed",
        "report/templates/page.html",
        "serve/page/index.html",
        "extract/__init__.pyi",
        "encoders/shipped/compact/README.md",
    ):
        assert (unpacked / "vocalbio" / name).is_file(), name
    assert not list(unpacked.rglob("test_*"))


def test_the_front_door_opens_from_the_wheel(unpacked):
    script = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); import vocalbio; print(vocalbio.__file__, vocalbio.Voice)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert str(unpacked) in done.stdout, done.stderr


def test_the_compact_encoder_answers_from_the_wheel_without_a_network(unpacked):
    script = f"""
import socket, sys
sys.path.insert(0, {str(unpacked)!r})

def refuse(*address):
    raise AssertionError(f"asked the network for {{address}}")

socket.socket.connect = socket.getaddrinfo = refuse
import numpy as np
import vocalbio as vb

X = vb.extract_features(vb.Recording(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000))
print(vb.encoders.open_checkpoint("compact").folder, X.filter(like="compact_L6__").notna().sum(axis=1).item())
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(unpacked / "vocalbio/encoders/shipped/compact"), "256"], done.stderr


def test_type_checkers_see_through_the_front_door(unpacked, tmp_path):
    (tmp_path / "user.py").write_text(USER_CODE)
    (tmp_path / "mypy.ini").write_text(MYPY)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=mypy.ini", "user.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"MYPYPATH": str(unpacked), "PATH": "", "MYPY_CACHE_DIR": str(tmp_path)},
    )
    assert "DataFrame" in done.stdout
    assert "Answer" in done.stdout
    assert 'Module has no attribute "extract_featurs"' in done.stdout
