"""
Dense network on prosody + voice against logistic regression on eGeMAPS alone: RAVDESS, leave one speaker out.

    VOCALBIO_DATA=DATA python benchmarks/stress_ravdess.py

Named before the first run, and not changed since: RiskModel("stress", preset="small"), families prosody + voice, seeds
0 to 4, no early stopping. That run showed that the reference (UAR 0.69) weighs classes alike, as UAR does (neutral has
half as many clips), so every system is shown both ways: plain, as named, and with class_weight="balanced". Reference:
LogisticRegression() after median imputation and standardisation. Labels: neutral, sad, fearful (= anxious) of the
manifest. All intervals: 1000 resamples of the speakers. Acted emotion is not clinical stress.
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
from vocalbio.evaluation import out_of_fold
from vocalbio.metrics import bootstrap, paired_difference

SEEDS = range(5)
LOUDNESS = [f"prosody__loudness_sma3_{f}" for f in ("amean", "percentile20.0", "percentile50.0", "percentile80.0",
                                                    "pctlrange0-2")]  # fmt: skip


def read_table(data: Path, cache: Path) -> pd.DataFrame:
    """Features of the three classes, extracted once: delete the cache when a family changes."""
    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    manifest = manifest[manifest.emotion.isin(["neutral", "sad", "fearful"])]
    if cache.exists():
        X = pd.read_parquet(cache)
    else:
        X = vb.extract_features([data / "ravdess" / file for file in manifest.file], n_jobs=2, progress=True)
        cache.parent.mkdir(exist_ok=True)
        X.to_parquet(cache)
    y = manifest.emotion.replace({"fearful": "anxious"}).to_numpy()
    return X, y, manifest.speaker.to_numpy(), manifest.intensity.to_numpy()


def main() -> None:
    """Print the table of results."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    X, y, speakers, intensity = read_table(
        Path(parser.parse_args().data), Path("benchmarks/results/stress_ravdess.cache.parquet")
    )
    warnings.simplefilter("ignore")
    prosody = [c for c in X if c.startswith("prosody__")]
    voice = [c for c in X if c.startswith("voice__")]

    def logistic(weight: str | None = "balanced") -> object:
        return make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(max_iter=5000, class_weight=weight),
        )

    def labels(model: object, columns: list[str], rows: np.ndarray) -> np.ndarray:
        found = out_of_fold(model, X.loc[rows, columns], y[rows], speakers[rows], progress=True)
        return found.columns.to_numpy()[found.to_numpy().argmax(axis=1)]

    def dense(preset: str, rows: np.ndarray, weight: str | None = "balanced") -> list[np.ndarray]:
        return [
            labels(
                vb.RiskModel("stress", preset=preset, class_weight=weight, interval_folds=0, random_state=seed),
                prosody + voice,
                rows,
            )
            for seed in SEEDS
        ]

    for title, rows in (
        ("all clips", np.ones(len(y), bool)),
        ("normal intensity only", intensity == "normal"),
    ):
        systems = {
            "five loudness columns, logistic": labels(logistic(), LOUDNESS, rows),
            "eGeMAPS, logistic": labels(logistic(), prosody, rows),
            "eGeMAPS, logistic, plain": labels(logistic(None), prosody, rows),
            "prosody + voice, logistic": labels(logistic(), prosody + voice, rows),
            "prosody + voice, dense small": dense("small", rows),
            "prosody + voice, dense small, plain": dense("small", rows, None),
            "prosody + voice, dense published": dense("published", rows),
        }
        truth, groups = y[rows], speakers[rows]
        reference = systems["eGeMAPS, logistic"]
        print(f"\n## {title}: {rows.sum()} clips, {len(set(groups))} speakers\n")
        print("| system | UAR [95 % over speakers] | seeds (mean ± SD) | difference to eGeMAPS, logistic |")
        print("|---|---|---|---|")
        for name, found in systems.items():
            several = isinstance(found, list)
            runs = found if several else [found]
            each = [vb.metrics.uar(truth, run) for run in runs]
            spread = f"{np.mean(each):.3f} ± {np.std(each, ddof=1):.3f}" if several else ""
            against = [reference] * len(found) if several else reference
            difference = "" if found is reference else str(paired_difference("uar", truth, found, against, groups))
            print(f"| {name} | {bootstrap('uar', truth, found, groups)} | {spread} | {difference} |")


if __name__ == "__main__":
    main()
