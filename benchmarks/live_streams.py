"""
Many sleepers at once: how long a block of live sound waits until it has been heard, and whether one is ever lost.

    python benchmarks/live_streams.py [--streams 20] [--seconds 60] [--aligned] [--data FOLDER]

Starts `vocalbio serve` in its own process and plays recordings to it in real time, 100 ms a message, half of the
streams at 16 and half at 48 kHz, each with its night in the log. The time of a block runs from before it is sent until
its acknowledgement, which comes when the monitor has heard it, has been read. Streams begin at random moments, as
people do; `--aligned`: all in the same moment, so that all seconds end together, the worst case.
Limit: no sample lost, 99 % of the blocks in less than 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
import soxr
from websockets.asyncio.client import ClientConnection, connect

import vocalbio as vb
from vocalbio.datasets import NightClips, simulate_night

BLOCK_S = 0.1
KINDS = {"speech": "long_speech/manifest.csv", "snoring": "bedroom/manifest.csv", "breathing": "breathing/manifest.csv"}


def sounds(folder: Path, seconds: float) -> dict[str, np.ndarray]:
    """Sound of each kind, so long or longer, at 48 kHz."""
    found = {}
    for kind, name in KINDS.items():
        table = pd.read_csv(folder / name)
        rows = table[(table["seconds"] > 5) & ((kind != "snoring") | (table["label"] == "snoring"))]
        pieces: list[np.ndarray] = []
        for file in itertools.islice(itertools.cycle(rows["file"]), 1000):
            pieces.append(vb.load_audio((folder / name).parent / file, 48_000).samples)
            if sum(map(len, pieces)) >= seconds * 48_000:
                break
        found[kind] = np.concatenate(pieces)
    night = simulate_night(
        NightClips(), duration_s=max(seconds, 600), snr_db=20, apneas_per_hour=30, hypopneas_per_hour=0, seed=1
    )
    found["made-up night"] = soxr.resample(night.recording().samples, 16_000, 48_000)
    return found


async def read(socket: ClientConnection, waiting: deque[tuple[int, float]], times: list[float]) -> tuple[int, dict]:
    """Samples that were taken, and the report."""
    taken = 0
    async for text in socket:
        now = time.perf_counter()
        message = json.loads(text)
        if message["type"] == "ack":
            taken = message["samples"]
            while waiting and waiting[0][0] <= taken:
                times.append(now - waiting.popleft()[1])
        elif message["type"] == "report":
            return taken, message["night"]
        elif message["type"] in ("error", "warning"):
            print(message)
    return taken, {}


async def stream(address: str, samples: np.ndarray, rate: int, begin: float, times: list[float]) -> tuple[int, int]:
    """One sleeper: samples sent and taken."""
    size = int(rate * BLOCK_S)
    waiting: deque[tuple[int, float]] = deque()
    blocks = [samples[start : start + size].tobytes() for start in range(0, len(samples) - size + 1, size)]
    async with connect(address, compression=None, proxy=None) as socket:
        await socket.send(json.dumps({"sampling_rate_hz": rate}))
        await socket.recv()
        reading = asyncio.create_task(read(socket, waiting, times))
        for number, block in enumerate(blocks):
            await asyncio.sleep(max(0.0, begin + number * BLOCK_S - time.perf_counter()))
            waiting.append(((number + 1) * size, time.perf_counter()))
            await socket.send(block)
        await socket.send('{"type": "finish"}')
        taken, report = await reading
    assert round(3600 * report["summary"]["recorded_h"]) == round(len(blocks) * BLOCK_S)
    return len(blocks) * size, taken


def memory_mb(pid: int, field: str) -> float:
    """``VmRSS`` or ``VmHWM`` of a process (Linux)."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def play(address: str, pid: int, given: argparse.Namespace) -> None:
    kinds = sounds(given.data, given.seconds)
    rng = random.Random(3)
    times: list[float] = []
    before_mb, before_s = memory_mb(pid, "VmRSS"), cpu_s(pid)
    start = time.perf_counter() + 2
    jobs = []
    for number in range(given.streams):
        whole = kinds[list(kinds)[number % len(kinds)]]
        rate = (16_000, 48_000)[number // len(kinds) % 2]
        samples = whole[: int(given.seconds * 48_000)]
        samples = np.ascontiguousarray(samples.reshape(-1, 3).mean(axis=1) if rate == 16_000 else samples, "<f4")
        begin = start + (0.0 if given.aligned else rng.random())
        jobs.append(stream(address, samples, rate, begin, times))
    counts = await asyncio.gather(*jobs)
    passed_s = time.perf_counter() - start
    sent, taken = (sum(column) for column in zip(*counts, strict=True))
    ms = 1000 * np.array(times)
    p50, p95, p99 = np.percentile(ms, [50, 95, 99])
    print(f"{given.streams} streams of {given.seconds:g} s, {'aligned' if given.aligned else 'random starts'}:")
    print(f"  blocks {len(ms)}, samples sent {sent}, taken {taken}, lost {sent - taken}")
    print(f"  time of a block in ms: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}, max {ms.max():.1f}")
    load = (cpu_s(pid) - before_s) / passed_s
    print(f"  server: {before_mb:.0f} MB before, {memory_mb(pid, 'VmHWM'):.0f} MB at most, {load:.0%} of one core")
    if sent != taken or p99 >= 100:
        raise SystemExit("beyond the limit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--aligned", action="store_true")
    default = os.environ.get("VOCALBIO_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-u", "-m", "vocalbio", "serve", "--port", "0", "--log", f"{folder}/log.sqlite"]
        command += ["--max-streams", str(given.streams)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().split()[-1].replace("http", "ws") + "ws/monitor"
            time.sleep(20)  # its worker loads models
            asyncio.run(play(address, server.pid, given))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
