"""
Weights of the breathing detector: what speaks for an apnea or hypopnea, learnt on simulated nights of the train clips.

    python benchmarks/fit_breathing_detector.py --data DATA [--jobs 2]

Findings of the detector (pauses, reductions) with their signs, from: 18 nights of an hour (6 seeds, 3 noise levels) and
6 without events, made of the train clips of `night_clips.py`; 8 half-synthetic nights; 12 half hours of plain breathing
with pauses by formula, so that an abrupt silence counts without snores; RAVDESS utterances with pauses; and each train
recording of breathing repeated for nine minutes. A finding is true if it overlaps a true event (IoU of 0.2). Logistic
regression, and its cross-validated result by night. Prints the table for `vocalbio/stream/detector.py`, whose numbers
were fitted on the same material by an earlier form of this script. Test clips are never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from night_clips import TRAIN_BREATHING, train_clips
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold, cross_val_predict

import vocalbio as vb
from vocalbio.datasets import NightClips, simulate_night
from vocalbio.evaluation import match_events
from vocalbio.stream.detector import BreathingDetector
from vocalbio.stream.frames import Second, measure_seconds

RATE = 16_000
RANGES = {
    "rise_db": (-10, 12),
    "return_db": (-15, 10),
    "trend_db": (-10, 10),
    "inside_s": (0, 15),
    "excess_db": (5, 40),
    "n_low": (2, 8),
    "change": (0, 8),
    "low_change": (0, 8),
    "inside_level_db": (-30, 0),
    "spread_db": (0, 6),
}
SIGNS = {
    "apnea": ["rise_db", "return_db", "trend_db", "inside_s", "excess_db"],
    "hypopnea": ["rise_db", "trend_db", "n_low", "change", "low_change", "inside_level_db", "spread_db"],
}
NO_EVENTS = pd.DataFrame({"start_s": [], "end_s": [], "kind": []})


def nights() -> Iterator[tuple[str, int, float | None, bool]]:
    """What to listen to: kind, seed, SNR, whether there are events."""
    yield from (("train", seed, snr, True) for seed in range(6) for snr in (None, 20.0, 10.0))
    yield from (("train", 100 + seed, snr, False) for seed in range(3) for snr in (None, 10.0))
    yield from (
        (kind, seed, snr, True) for kind in ("synthetic", "unsnored") for seed in (20, 21) for snr in (None, 15.0)
    )
    yield from (("formula", seed, None, True) for seed in range(12))
    yield from (("speech", seed, None, False) for seed in range(2))
    yield ("breathing", 0, None, False)


def plain_breathing(seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Half an hour of filtered noise in the rhythm of breathing, with pauses of 11 to 60 s."""
    rng = np.random.default_rng(seed)
    pauses, at = [], 60.0
    while at < 1700:
        length = float(rng.choice([11, 14, 18, 24, 32, 45, 60]))
        pauses.append((at, at + length))
        at += length + float(rng.uniform(40, 120))
    time = np.arange(1800 * RATE) / RATE
    cycle = np.sin(2 * np.pi * time / rng.uniform(3, 6))
    loudness = np.abs(cycle) * np.where(cycle > 0, 1, 0.35 if seed % 3 else 0)
    for start, end in pauses:
        loudness[(time > start) & (time < end)] = 0
    noise = np.convolve(rng.standard_normal(len(time)), np.ones(1 + 3 * (seed % 4)), "same")
    room = rng.standard_normal(len(time)) * 10 ** (-float(rng.choice([40, 25, 15, 10])) / 20)
    truth = pd.DataFrame(pauses, columns=["start_s", "end_s"]).assign(kind="apnea")
    return (0.03 * (loudness * noise / noise.std() + room)).astype(np.float32), truth


def sound(data: Path, kind: str, seed: int, snr_db: float | None, events: bool) -> tuple[np.ndarray, pd.DataFrame]:
    """The samples of one night, and its true events."""
    if kind == "formula":
        return plain_breathing(seed)
    rng = np.random.default_rng(seed)
    if kind == "speech":
        files = sorted((data / "ravdess").rglob("*.flac"))[seed::3]
        longest_s = (20, 4)[seed]
        pieces = []
        for number in rng.permutation(len(files)):
            pause = 2e-4 * rng.standard_normal(round(rng.uniform(0.5, longest_s) * RATE))
            pieces += [vb.load_audio(files[number]).samples, pause.astype(np.float32)]
        return np.concatenate(pieces)[: 3600 * RATE], NO_EVENTS
    if kind == "breathing":
        pieces = []
        for path in sorted((data / "breathing").glob(f"{TRAIN_BREATHING}*.flac")):
            samples = vb.load_audio(path).samples
            pieces += [np.resize(samples, 540 * RATE), np.full(200 * RATE, np.nan, np.float32)]
        return np.concatenate(pieces), NO_EVENTS
    clips = NightClips() if kind == "synthetic" else train_clips(data)
    if kind == "unsnored":
        clips = NightClips(inhales=clips.inhales, exhales=clips.exhales, noises=clips.noises)
    rates = {} if events else {"apneas_per_hour": 0, "hypopneas_per_hour": 0}
    night = simulate_night(clips, snr_db=snr_db, seed=seed, **rates)
    return night.recording().samples, night.events[["start_s", "end_s", "kind"]]


def findings(data: Path, kind: str, seed: int, snr_db: float | None, events: bool) -> pd.DataFrame:
    """All findings of one night, with their signs and whether they are true."""
    samples, truth = sound(data, kind, seed, snr_db, events)
    detector = BreathingDetector()
    for row in measure_seconds(samples[: len(samples) // RATE * RATE]):
        detector.update(Second(row))
    detector.finish()
    rows = []
    for found in detector.take():
        alone = pd.DataFrame([(found.start_s, found.end_s, found.kind)], columns=["start_s", "end_s", "kind"])
        is_true = match_events(truth, alone)["iou"].notna().any() if len(truth) else False
        # what the detector refuses outright is no finding
        if found.confidence > 0:
            rows.append({"night": f"{kind}{seed}", "kind": found.kind, "true": is_true, **found.signs})
    return pd.DataFrame(rows)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    tables = Parallel(given.jobs, verbose=5)(delayed(findings)(given.data, *night) for night in nights())
    table = pd.concat([part for part in tables if len(part)], ignore_index=True)
    for kind, signs in SIGNS.items():
        part = table[table["kind"] == kind]
        values = pd.DataFrame({name: part[name].clip(*RANGES[name]) for name in signs})
        spread = values.std()
        model = LogisticRegression(max_iter=1000)
        chances = cross_val_predict(
            model, values / spread, part["true"], groups=part["night"], cv=GroupKFold(8), method="predict_proba"
        )[:, 1]
        model.fit(values / spread, part["true"])
        precision = average_precision_score(part["true"], chances)
        print(f"{kind}: {len(part)} findings, {part['true'].sum()} true, average precision {precision:.3f}")
        for name, weight in zip(signs, model.coef_[0] / spread, strict=True):
            print(f'        ("{name}", {float(RANGES[name][0])}, {float(RANGES[name][1])}, {weight:.3f}),')
        print(f"    bias {model.intercept_[0]:.2f}")


if __name__ == "__main__":
    main()
