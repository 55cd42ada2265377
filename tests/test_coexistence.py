"""openSMILE and TensorFlow in one process, in either order: the same numbers, and no crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if sys.argv[1] == "tensorflow first":
    import tensorflow
if sys.argv[1] == "opensmile by hand after tensorflow":
    import tensorflow, opensmile
import numpy as np
import vocalbio as vb
time = np.arange(48_000) / 16_000
rng = np.random.default_rng(0)
for _ in range(10):
    samples = 0.1 * np.sin(2 * np.pi * 150 * time) + 0.02 * rng.normal(size=len(time))
    X = vb.extract_features(vb.Recording(samples, 16_000), ["prosody"], on_error="raise")
print(X.iloc[0, :88].sum().hex())
"""


def run(order: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SCRIPT, order], capture_output=True, text=True, check=False)


def test_prosody_is_the_same_whether_tensorflow_was_loaded_before_or_not():
    alone, together = run("no tensorflow"), run("tensorflow first")
    assert alone.returncode == 0, alone.stderr
    assert together.returncode == 0, together.stderr[-500:]
    assert alone.stdout == together.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux looks symbols up across libraries")
def test_an_order_that_would_crash_is_refused_in_words():
    refused = run("opensmile by hand after tensorflow")
    assert refused.returncode == 1
    assert "opensmile was imported after tensorflow" in refused.stderr
