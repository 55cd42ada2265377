"""What every test may ask for: the folder of real recordings, a seeded generator, made-up voices."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import opensmile  # noqa: F401 - before TensorFlow: loaded after it, without vocalbio's care, it crashes
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

DATA = Path(os.environ.get("VOCALBIO_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings; the test skips, saying why, where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no recordings at {DATA}; set VOCALBIO_DATA to the folder that holds them")
    return DATA


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261121)


@pytest.fixture
def vocalbio(capsys, monkeypatch):
    """The program, in this process: exit code, what it printed, and what it told on stderr."""

    from vocalbio.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vocalbio", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return code or 0, told.out, told.err

    return run
