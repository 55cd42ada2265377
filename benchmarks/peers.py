"""
Systems measured side by side, each in a process and, where need be, an environment of its own.

A peer answers requests, one JSON line each; while one works the others wait. So what else the machine is doing hits all
of them alike, and ratios are taken within a round. The environments of the peers:

    python -m venv TORCH && TORCH/bin/pip install torch==2.13.0 transformers soundfile
    python -m venv RETIRED && RETIRED/bin/pip install transformers==4.57.6 tf-keras tensorflow-cpu librosa
    export VOCALBIO_TORCH_PYTHON=TORCH/bin/python VOCALBIO_RETIRED_PYTHON=RETIRED/bin/python
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

ENVIRONMENTS = {"torch": "VOCALBIO_TORCH_PYTHON", "retired": "VOCALBIO_RETIRED_PYTHON"}


class Peer:
    """A process that runs ``script --peer name`` and answers requests."""

    def __init__(self, script: str, name: str, environment: str | None = None, *arguments: str) -> None:
        self.name = name
        python = sys.executable if environment is None else os.environ[ENVIRONMENTS[environment]]
        self.process = subprocess.Popen(
            [python, script, "--peer", name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("VOCALBIO_VERBOSE") else subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """What the peer's function returns, with ``seconds`` and ``peak_mb``."""
        print(json.dumps(request), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries greet on stdout
                return json.loads(line)
        raise SystemExit(f"{self.name} stopped; run again with VOCALBIO_VERBOSE=1 to see why")

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def available(environment: str | None) -> bool:
    """Whether the peer's environment is named; says so where it is not."""
    if environment is None or os.environ.get(ENVIRONMENTS[environment]):
        return True
    print(f"skipped: {environment} (name its python in {ENVIRONMENTS[environment]})", flush=True)
    return False


def serve(function: Callable[..., dict[str, Any] | None]) -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        start = time.perf_counter()
        found = function(**json.loads(line)) or {}
        seconds = time.perf_counter() - start
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peak_mb += resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, **found}), flush=True)
