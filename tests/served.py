"""A service in a process of its own, as `vocalbio serve` starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 60


class Served:
    """A running service: its process, the address that it printed, and all that it printed."""

    def __init__(self, folder: Path, *options: object, **environment: str) -> None:
        self.temporary = folder
        folder.mkdir(exist_ok=True)
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder), **environment}
        command = [sys.executable, "-m", "vocalbio", "serve", "--port", "0", *map(str, options)]
        if "--log" not in command:
            command += ["--log", ":memory:"]
        self.process = subprocess.Popen(
            command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.lines: list[str] = []
        self._opened = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._opened.wait(WAIT_S), "".join(self.lines)
        found = re.search(r"open (https?://\S+)", "".join(self.lines))
        assert found, "".join(self.lines)
        self.opened = found[1]
        self.url = self.opened.split("/?")[0].rstrip("/")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if "Ctrl-C" in line:
                self._opened.set()
        self._opened.set()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait(self) -> int:
        """Wait for the end and for the last words; the exit code."""
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code


@contextmanager
def serving(folder: Path, *options: object, **environment: str) -> Iterator[Served]:
    served = Served(folder, *options, **environment)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait(WAIT_S)
