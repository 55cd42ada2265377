"""
Extraction of prosody + voice against real time and against openSMILE alone, with a profile of where the time goes.

    VOCALBIO_DATA=DATA python benchmarks/extraction.py

Side by side in one run, on two worker processes: all of DATA/ravdess through extract_features, and the same files
through opensmile's own process_files on two workers (eGeMAPS only: no Praat markers, no quality columns). Limit: 0.06
of real time. The compact encoder, the third of the default families, runs after the others and is shown beside them.
Then, in one process, the share of each step.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import vocalbio as vb
from vocalbio.extract.rows import prepare
from vocalbio.features import voice
from vocalbio.quality import measure_quality

LIMIT = 0.06


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the ratios and the profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--profiled", type=int, default=60, help="files in the profile")
    options = parser.parse_args()
    folder = Path(options.data) / "ravdess"
    manifest = pd.read_csv(folder / "manifest.csv")
    files = [str(folder / file) for file in manifest.file]
    real_s = manifest.seconds.sum()

    ours = timed(lambda: vb.extract_features(files, ["prosody", "voice"], n_jobs=2, progress=True))
    compact = timed(lambda: vb.extract_features(files, ["compact"], progress=True))
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, num_workers=2, multiprocessing=True)
    theirs = timed(lambda: smile.process_files(files))
    print(f"{len(files)} files, {real_s:.0f} s of sound, two worker processes")
    print(f"  vocalbio, prosody + voice + quality  {ours:6.1f} s  {ours / real_s:.4f} of real time (limit {LIMIT})")
    print(f"  vocalbio, compact + quality          {compact:6.1f} s  {compact / real_s:.4f} of real time, all cores")
    print(f"  opensmile alone, eGeMAPS             {theirs:6.1f} s  {theirs / real_s:.4f} of real time")
    print(f"  ratio {ours / theirs:.2f}; within the limit: {'yes' if ours / real_s <= LIMIT else 'NO'}")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  peak memory of a worker {children:.0f} MiB")

    spent: dict[str, float] = {}

    def spend(step: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        spent[step] = spent.get(step, 0.0) + time.perf_counter() - start
        return result

    prosody, family = vb.Prosody(), vb.Voice()
    chosen = files[:: max(1, len(files) // options.profiled)]
    prosody.extract(prepare(vb.load_audio(chosen[0])))  # the first call also loads
    profiled_s = 0.0
    for file in chosen:
        recording = spend("decode", lambda: prepare(vb.load_audio(file)))  # noqa: B023 - called at once
        profiled_s += recording.duration_s
        spend("quality", lambda: measure_quality(recording))  # noqa: B023
        spend("openSMILE", lambda: prosody.extract(recording))  # noqa: B023
        analysis = spend("Praat: two-pass pitch", lambda: voice._Analysis(recording, family))  # noqa: B023
        for name in ("pitch", "pulses", "noise", "formants", "level", "breaks", "pauses", "creak"):
            measure = getattr(voice, f"_{name}")
            step = "HNR and CPPS" if name == "noise" else name
            spend(f"Praat: {step}", lambda: measure(analysis))  # noqa: B023
    total = sum(spent.values())
    print(f"\nOne process, {len(chosen)} files: {1000 * total / profiled_s:.1f} ms per second of sound")
    for step, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {step:<24}{1000 * seconds / profiled_s:6.2f} ms/s  {seconds / total:4.0%}")


if __name__ == "__main__":
    main()
