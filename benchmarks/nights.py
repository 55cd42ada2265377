"""
Events of nights: how many are found, how many are false, on simulated nights and on recordings without events.

    python benchmarks/nights.py --data DATA [--model MODEL] [--nights 30] [--jobs 2] [--output FOLDER]

Nights of one hour, made of the test clips (`night_clips.py`), which no threshold and no model has seen. Without
`--model` the default detector alone. Writes `nights.json`, prints the tables of docs/nights.md and, with `--output`,
draws `nights_scores.png` there. Nights that are done are kept in `--work` and not made again.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from night_clips import apnea_event_clips, test_clips
from tqdm import tqdm

import vocalbio as vb
from vocalbio.datasets import simulate_night
from vocalbio.errors import AudioError
from vocalbio.evaluation import match_events, score_nights

LEVELS: dict[str, float | None] = {"quiet": None, "10 dB": 10.0, "5 dB": 5.0}
SPLICE_DB = 15.0
LOOP_S = 600
RATE = 16_000


def sleeping(data: Path, level: str, seed: int) -> Any:
    """One simulated night."""
    return simulate_night(test_clips(data), snr_db=LEVELS[level], seed=1000 + seed)


def spliced(data: Path, seed: int) -> Any:
    """A night in which the real events are the only ones."""
    clips = apnea_event_clips(data)
    return simulate_night(
        test_clips(data),
        snr_db=SPLICE_DB,
        apneas_per_hour=0,
        hypopneas_per_hour=0,
        splices=clips,
        seed=2000 + seed,
    )


def recordings(data: Path) -> Iterator[tuple[str, Path]]:
    """Recordings in which nobody has an apnea, by kind."""
    for path in sorted((data / "breathing").glob("*.flac")):
        yield "breathing", path
    for row in pd.read_csv(data / "bedroom" / "manifest.csv").itertuples():
        yield ("snoring" if row.label == "snoring" else "other bedroom sounds"), data / "bedroom" / str(row.file)
    for path in sorted((data / "long_speech").rglob("*")):
        if path.suffix in {".wav", ".flac", ".mp3", ".ogg"}:
            yield "speech", path
            yield "speech with pauses of 5 to 20 s", path


def looped(kind: str, path: Path) -> np.ndarray:
    """Play a recording again and again, for ten minutes."""
    samples = vb.load_audio(path, RATE).samples
    rng = np.random.default_rng(0)
    pieces, length = [], 0
    while length < LOOP_S * RATE:
        start = 0
        while start < len(samples):
            stop = start + (round(rng.uniform(2, 8) * RATE) if "pauses" in kind else len(samples))
            pieces.append(samples[start:stop])
            if "pauses" in kind:
                pieces.append(1e-4 * rng.standard_normal(round(rng.uniform(5, 20) * RATE)).astype(np.float32))
            start = stop
        length = sum(map(len, pieces))
    return np.concatenate(pieces)[: LOOP_S * RATE]


def listen(samples: np.ndarray, model: Path | None) -> dict[str, pd.DataFrame]:
    """Events of each detector."""
    found = {"default": vb.screen_night(vb.Recording(samples, RATE)).events}
    if model is not None:
        trained = vb.WindowModel.load(model)
        found["model"] = vb.screen_night(vb.Recording(samples, RATE), model=trained).events
    return found


def one_night(data: Path, level: str, seed: int, model: Path | None, work: Path) -> dict[str, Any]:
    """Truth and events of one night, from `work` where it is there."""
    name = f"{level.replace(' ', '')}_{seed:02d}"
    kept = work / f"{name}{'' if model is None else '_' + model.stem}.pkl"
    if not kept.exists():
        night = spliced(data, seed) if level == "spliced" else sleeping(data, level, seed)
        found = listen(night.recording().samples, model)
        joblib.dump({"name": name, "level": level, "truth": night.events, "found": found}, kept)
    return dict(joblib.load(kept))


def one_recording(kind: str, path: Path, model: Path | None) -> dict[str, Any] | None:
    """How many events are found where there are none."""
    try:
        found = listen(looped(kind, path), model)
    except AudioError as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return None
    return {"kind": kind, "file": path.name, **{name: len(events) for name, events in found.items()}}


def by_kind(nights: list[dict[str, Any]], system: str) -> dict[str, float]:
    """Share of the true events found (IoU of 0.2), by kind, whatever they were called."""
    hits: dict[str, list[bool]] = {}
    for night in nights:
        truth = night["truth"].reset_index(drop=True)
        pairs = match_events(truth[["start_s", "end_s", "kind"]], night["found"][system])
        matched = set(pairs.loc[pairs["iou"].notna(), "reference"])
        for number, kind in enumerate(truth["kind"]):
            hits.setdefault(kind, []).append(number in matched)
    return {kind: float(np.mean(found)) for kind, found in sorted(hits.items())}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "results" / "nights.work")
    parser.add_argument("--output", type=Path, help="folder for the figure")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    systems = ["default", *(["model"] if given.model else [])]
    jobs = [(level, seed) for level in LEVELS for seed in range(given.nights)] + [("spliced", 0), ("spliced", 1)]
    parallel = joblib.Parallel(given.jobs, return_as="generator_unordered")
    made = parallel(joblib.delayed(one_night)(given.data, *job, given.model, given.work) for job in jobs)
    nights = sorted(tqdm(made, total=len(jobs), unit="night"), key=lambda night: night["name"])

    lines, bars = [], {}
    for system in systems:
        for level in LEVELS:
            chosen = [night for night in nights if night["level"] == level]
            columns = ["start_s", "end_s", "kind"]
            scores = score_nights((n["name"], n["truth"][columns], n["found"][system], 1.0) for n in chosen)
            text = {
                name: f"{row.estimate:.2f} [{row.low:.2f}, {row.high:.2f}]" for name, row in scores.summary.iterrows()
            }
            bars[f"{system}, {level}"] = scores.summary.loc["iou_f1", ["estimate", "low", "high"]].tolist()
            found = by_kind(chosen, system)
            lines.append(
                {
                    "detector": system,
                    "noise": level,
                    "F1": text["iou_f1"],
                    "precision": text["iou_precision"],
                    "recall": text["iou_recall"],
                    "recall, apneas": f"{found['apnea']:.2f}",
                    "recall, hypopneas": f"{found['hypopnea']:.2f}",
                    "F1 by half overlap": text["overlap_f1"],
                    "false an hour": text["iou_false_per_hour"],
                }
            )
        chosen = [night for night in nights if night["level"] == "spliced"]
        print(f"{system}: recall of the recorded events {by_kind(chosen, system)} of {len(chosen[0]['truth'])} a night")
    table = pd.DataFrame(lines)
    print(table.to_string(index=False))

    alone = joblib.Parallel(given.jobs)(
        joblib.delayed(one_recording)(kind, path, given.model) for kind, path in recordings(given.data)
    )
    quiet = pd.DataFrame([row for row in alone if row is not None])
    rates = quiet.groupby("kind")[systems].agg("sum").div(quiet.groupby("kind").size() * LOOP_S / 3600, axis=0)
    rates.insert(0, "recordings", quiet.groupby("kind").size())
    print(rates.round(2).to_string())
    print(quiet[quiet[systems].gt(0).any(axis=1)].to_string(index=False))
    done = {"table": lines, "false_per_hour": rates.to_dict("index"), "recordings": quiet.to_dict("records")}
    (given.work.parent / "nights.json").write_text(json.dumps(done, indent=1))
    if given.output:
        systems_table = pd.DataFrame(bars, index=["estimate", "low", "high"]).T
        figure = vb.figures.plot_intervals(
            systems_table, title="Events found in simulated nights", x_label="Event F1 (IoU of 0.2 or more)"
        )
        (given.output / "nights_scores.png").write_bytes(vb.figures.to_png_bytes(figure))


if __name__ == "__main__":
    main()
