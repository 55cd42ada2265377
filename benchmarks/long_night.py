"""
Eight hours of sound: time and memory of `vocalbio night`, and the same report after SIGKILL half-way.

    python benchmarks/long_night.py [--hours 8] [--work FOLDER]

Makes a simulated night at 16 kHz (flac, deleted afterwards unless `--work` is given), screens it in its own process,
then again in one that is killed when half of it has been measured, and once more to the end.
Limits: 1 GB, 10 minutes on two cores.
"""

from __future__ import annotations

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vocalbio import NightReport
from vocalbio.datasets import NightClips, simulate_night


def command(recording: Path, folder: Path) -> list[str]:
    """The command line that screens the recording."""
    screen = [sys.executable, "-m", "vocalbio", "night", str(recording), "-o", str(folder), "--close-ups", "0"]
    return [*screen, "--work-dir", str(folder / "work"), "--no-progress"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.work or Path(temporary)
        recording = folder / "simulated_night.flac"
        if not recording.exists():
            simulate_night(NightClips(), duration_s=3600 * given.hours, snr_db=15.0, seed=8).write(recording)
        begun = time.perf_counter()
        subprocess.run(command(recording, folder / "whole"), check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{given.hours:g} h: {seconds:.0f} s, {peak:.0f} MB at most")

        rows = folder / "killed" / "work" / "rows.f32"
        half = (folder / "whole" / "work" / "rows.f32").stat().st_size / 2
        process = subprocess.Popen(command(recording, folder / "killed"), stdout=subprocess.DEVNULL)
        while process.poll() is None and not (rows.exists() and rows.stat().st_size >= half):
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = rows.stat().st_size / (2 * half)
        subprocess.run(command(recording, folder / "killed"), check=True, stdout=subprocess.DEVNULL)
        reports = [NightReport.from_json(folder / name / "night.json") for name in ("whole", "killed")]
        same = reports[0] == reports[1] and reports[0].events.equals(reports[1].events)
        print(f"killed with {kept:.0%} measured, taken up again: {len(reports[1].events)} events, same report: {same}")


if __name__ == "__main__":
    main()
