"""
Do augmented copies in training help, on clean and on degraded recordings of new speakers?

    python benchmarks/augmentation.py --data DATA

Named before the first run of this script, and not changed since:

- DATA/ravdess, neutral / sad / fearful (taken for anxious), all 320 clips, prosody + voice, leave one speaker out;
  RiskModel("stress", preset="small", class_weight="balanced", calibration=None), all else by default, seeds 0 to 2.
- Training: (a) clean clips; (b) clean clips three times over, which is as many steps as (d) without any augmentation;
  (c) and one, (d) and two copies of each clip through channels: pink noise 5-30 dB, a room of 0.2-0.6 s, +-10 dB, one
  of mp3, Opus, AAC, G.711 telephone, each with probability 0.5; (e) and two copies of another voice: tempo 0.9-1.1,
  pitch -2 to 2 semitones.
- Copies of the tested speaker are never in training.
- Tested on the clean clips; with white noise at 10 dB; through the telephone (a kind that c and d were trained on);
  through AMR, a mobile call (a kind that none was trained on).
- UAR, mean over seeds, interval and paired difference to (a) from 1000 draws of speakers.

With --afterwards, what was named after seeing the first run: (f) and (g), as (a) and (d) but of those columns alone
that the reliability atlas calls stable against codecs and noise (measured on some of these clips, without labels).

Tables are kept in --work-dir. Needs the extra [augment]. Acted emotion is not clinical stress.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import vocalbio as vb
from vocalbio.augment import Augmentation, Codec, Gain, Noise, PitchShift, Room, TimeStretch, copies
from vocalbio.datasets import check_disjoint, speaker_folds
from vocalbio.metrics import bootstrap, paired_difference
from vocalbio.reliability import select_reliable

SEEDS = range(3)
CHANNEL = Augmentation(
    [Room((0.2, 0.6)), Noise((5, 30), "pink"), Gain((-10, 10)), Codec(("mp3", "opus", "aac", "telephone"))], 0.5
)
VOICE = Augmentation([TimeStretch((0.9, 1.1)), PitchShift((-2, 2))])
TESTS = {
    "clean": None,
    "white noise, 10 dB": Augmentation([Noise(10)]),
    "telephone": Augmentation([Codec(("telephone",))]),
    "mobile call": Augmentation([Codec(("mobile",))]),
}
ARMS = {
    "(a) clean": (None, 0),
    "(b) clean, three times": (None, 2),
    "(c) + 1 copy, channels": ("channel", 1),
    "(d) + 2 copies, channels": ("channel", 2),
    "(e) + 2 copies, voices": ("voice", 2),
}
AFTERWARDS = {
    "(f) clean, stable columns": (None, 0),
    "(g) + 2 copies, channels, stable columns": ("channel", 2),
}


def read_table(path: Path, files: list[Path], recipe: Augmentation | None, n: int, seed: int) -> pd.DataFrame:
    """Features of the clips, or of copies of them; made where they are not there yet."""
    if not path.exists():
        extractor = vb.FeatureExtractor(["prosody", "voice"], quality=False, progress=False)
        X = extractor.transform(files) if recipe is None else copies(files, recipe, n, seed).measure(extractor)
        X.to_parquet(path)
        print(path.stem, len(X), flush=True)
    return pd.read_parquet(path)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--work-dir", type=Path, default=Path("benchmarks/results/augmentation"))
    parser.add_argument("--afterwards", action="store_true", help="what was named after the first run")
    given = parser.parse_args()
    arms = ARMS | (AFTERWARDS if given.afterwards else {})
    work = given.work_dir
    work.mkdir(parents=True, exist_ok=True)
    manifest = pd.read_csv(Path(given.data) / "ravdess" / "manifest.csv")
    manifest = manifest[manifest.emotion.isin(["neutral", "sad", "fearful"])].reset_index(drop=True)
    y = manifest.emotion.replace({"fearful": "anxious"}).to_numpy()
    speakers = manifest.speaker.to_numpy()
    files = [Path(given.data) / "ravdess" / file for file in manifest.file]

    tests = {
        name: read_table(work / f"test_{number}.parquet", files, recipe, 1, 1000)
        for number, (name, recipe) in enumerate(TESTS.items())
    }
    clean = tests["clean"]
    made = {
        name: read_table(work / f"train_{name}.parquet", files, recipe, 2, 0)
        for name, recipe in (("channel", CHANNEL), ("voice", VOICE))
    }
    warnings.simplefilter("ignore")
    n_clips = len(files)
    answers: dict[tuple[str, str], list[np.ndarray]] = {}
    for arm, (kind, n) in arms.items():
        names = list(select_reliable(clean) if arm in AFTERWARDS else clean)
        X = pd.concat([clean, *[clean] * n]) if kind is None else pd.concat([clean, made[kind].iloc[: n * n_clips]])
        originals = np.tile(np.arange(n_clips), n + 1)
        for seed in SEEDS:
            found = {test: np.empty(n_clips, dtype=object) for test in TESTS}
            for train, test in speaker_folds(y, speakers):
                rows = np.flatnonzero(np.isin(originals, train))
                own = originals[rows]
                check_disjoint(speakers[own], speakers[test])
                model = vb.RiskModel(
                    "stress", preset="small", class_weight="balanced", calibration=None, interval_folds=0,
                    random_state=seed,
                )  # fmt: skip
                model.fit(X[names].iloc[rows], y[own], groups=speakers[own])
                for name, table in tests.items():
                    found[name][test] = model.predict(table[names].iloc[test])
            for name, said in found.items():
                answers.setdefault((arm, name), []).append(said.astype(str))
        print(arm, len(names), "columns", flush=True)
    print("\n| training | " + " | ".join(TESTS) + " |\n" + "| --- " * (len(TESTS) + 1) + "|")
    for arm in arms:
        print(
            f"| {arm} | " + " | ".join(str(bootstrap("uar", y, answers[arm, test], speakers)) for test in TESTS) + " |"
        )
    print("\n| difference to (a) | " + " | ".join(TESTS) + " |\n" + "| --- " * (len(TESTS) + 1) + "|")
    for arm in list(arms)[1:]:
        cells = [
            paired_difference("uar", y, answers[arm, test], answers["(a) clean", test], speakers) for test in TESTS
        ]
        text = [f"{cell.estimate:+.3f} [{cell.low:+.3f}, {cell.high:+.3f}]" for cell in cells]
        print(f"| {arm} | " + " | ".join(text) + " |")


if __name__ == "__main__":
    main()
