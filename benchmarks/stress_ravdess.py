"""
Acted sadness and fear on RAVDESS, leave one speaker out: fused families and Whisper's encoder against eGeMAPS.

    VOCALBIO_DATA=DATA python benchmarks/stress_ravdess.py

Named before the first run of this script, and not changed since:

- DATA/ravdess, neutral / sad / fearful (taken for anxious), leave one speaker out, every clip one recording.
- RiskModel("stress", preset="small", class_weight="balanced"), all else by default (fixed epochs, temperature
  calibration on five speaker-disjoint inner folds), seeds 0 to 4. Nothing is chosen, so nothing can be chosen wrongly.
- Families: (a) prosody + voice + spectral; (b) those + whisper-base, layer 4; (c) prosody + voice; (d) prosody + voice
  + whisper-base, layer 4; (e) whisper-base, layer 4, alone. The layer is not innocent: of the layers that were tried
  earlier with a logistic regression on these very speakers it was the best (UAR 0.81-0.85). No other is tried here.
- Reference: logistic regression on eGeMAPS (median imputation, standardisation, classes weighed alike). Beside it
  logistic regression on each of the tables above, and the usual baselines of cross_validate.
- Differences: paired over speakers, 1000 draws of speakers; of systems with seeds, the mean over seeds.
- Calibration: ECE (top class, 10 bins of equal size) without and with it. Balanced weights make probabilities speak of
  a world in which classes are equally common, and neutral has half as many clips as the others, so (a) and (b) are
  repeated with class_weight=None. "perfect" is the ECE that chance alone would give to probabilities that are right.
- All of it for all clips, and for clips of normal intensity (trained and tested on these alone).
- Aims: (a) 0.75 and (b) 0.87 UAR, lower bounds of their differences from the reference above 0, ECE at most 0.08.

With --afterwards: what was named after seeing the first run, and is no headline: five networks instead of one in (a),
(b) and (d), not calibrated; and logistic regression on whichever of Whisper's seven hidden states is best for the
training speakers (five inner folds of them, in each fold anew), which tells what it was worth to know of layer 4.

Acted emotion is not clinical stress.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from feature_tables import kept

import vocalbio as vb
from vocalbio.evaluation import Evaluation, compare, cross_validate
from vocalbio.evaluation.text import cell

SEEDS = range(5)
EMBEDDING, LAYERS = "whisper_base_encoder_L4", "whisper_base_encoder_Lall"
TABLES = {
    "(a) prosody + voice + spectral": ["prosody", "voice", "spectral"],
    "(b) prosody + voice + spectral + whisper L4": ["prosody", "voice", "spectral", EMBEDDING],
    "(c) prosody + voice": ["prosody", "voice"],
    "(d) prosody + voice + whisper L4": ["prosody", "voice", EMBEDDING],
    "(e) whisper L4": [EMBEDDING],
}
A, B, C, D, E = TABLES
REFERENCE = "logistic regression, eGeMAPS"
METRICS = ["uar", "auroc", "brier", "ece"]


def read_manifest(data: Path) -> pd.DataFrame:
    """Clips of the three classes."""
    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    manifest = manifest[manifest.emotion.isin(["neutral", "sad", "fearful"])].reset_index(drop=True)
    return manifest.assign(label=manifest.emotion.replace({"fearful": "anxious"}))


def read_table(files: list[Path], families: list[Any], cache: Path) -> pd.DataFrame:
    """Features; extracted where the cache has other settings."""
    extractor = vb.FeatureExtractor(families, n_jobs=1, progress=True)
    return kept(cache, extractor, lambda: extractor.transform(files))


def logistic(*first: Any) -> Any:
    """The linear model of the baselines, for other tables than eGeMAPS; after other steps, if any."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        *first,
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=5000, class_weight="balanced"),
    )


def dense(**settings: Any) -> vb.RiskModel:
    """The network, as named."""
    return vb.RiskModel("stress", **({"preset": "small", "class_weight": "balanced"} | settings))


def perfect_ece(found: Evaluation, n_draws: int = 200) -> float:
    """Mean ECE of these probabilities over labels drawn from them: what chance gives to somebody who is right."""
    rng, values = np.random.default_rng(0), []
    own = found.predictions[found.predictions["system"] == found.model]
    for _, run in own.groupby("seed"):
        scores = run[found.task.columns].to_numpy(float)
        right = rng.random((n_draws, len(scores))) < scores.max(axis=1)
        values += [vb.metrics.ece(draw, scores.max(axis=1)) for draw in right]
    return float(np.mean(values))


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ["---"] * len(lines[0]), *lines[1:]]) + "\n"


def signed(line: pd.Series) -> str:
    return f"{line['difference']:+.3f} [{line['low']:+.3f}, {line['high']:+.3f}]"


class Cohort:
    """Some of the clips, and what is found on them."""

    def __init__(self, X: pd.DataFrame, manifest: pd.DataFrame, work_dir: Path | None) -> None:
        self.X, self.manifest, self.work_dir = X, manifest, work_dir
        self.found: dict[str, tuple[Evaluation, str]] = {}

    def judge(self, name: str, model: Any, families: list[str], **more: Any) -> Evaluation:
        """Leave one speaker out, with some of the families."""
        columns = [column for column in self.X if column.split("__")[0] in (*families, "quality")]
        result = cross_validate(
            model, self.X[columns], self.manifest.label.to_numpy(), groups=self.manifest.speaker.to_numpy(),
            seeds=tuple(SEEDS), metrics=METRICS, breakdown=[], work_dir=self.work_dir,
            **({"baselines": False, "check_audio": False} | more),
        )  # fmt: skip
        self.found[name] = result, result.model
        return result

    def difference(self, name: str, other: str) -> str:
        (a, model_a), (b, model_b) = self.found[name], self.found[other]
        return signed(compare(a, b, systems=(model_a, model_b)).loc["uar"])

    def run(self) -> None:
        """Everything that was named, printed."""
        sex = self.manifest[["sex"]].set_axis(self.X.index)
        networks = {name: f"dense small, {name}" for name in TABLES}
        linear = {name: f"logistic regression, {name}" for name in TABLES}
        usual: dict[str, tuple[Evaluation, str]] = {}
        for name, families in TABLES.items():
            first = name == C  # the usual baselines are taken from here, and the split is the same for all
            result = self.judge(networks[name], dense(), families, baselines={linear[name]: logistic()},
                                check_audio=first, person=sex if first else None)  # fmt: skip
            self.found[linear[name]] = result, linear[name]
            if first:
                systems = result.predictions["system"].unique()
                usual = {system: (result, system) for system in systems if system not in (result.model, linear[name])}
        self.found |= usual
        self.print_systems([*networks.values(), *linear.values(), *usual])
        pairs = [(networks[D], networks[C]), (networks[B], networks[A]), (networks[B], networks[E]),
                 *((networks[name], linear[name]) for name in TABLES)]  # fmt: skip
        lines = [[f"{a} − {b}", self.difference(a, b)] for a, b in pairs]
        print(markdown(["paired over speakers", "difference in UAR"], lines), flush=True)
        self.print_calibration([*((name, "balanced") for name in TABLES), (A, None), (B, None)])

    def run_afterwards(self, layers: pd.DataFrame) -> None:
        """What was named after the first run, printed."""
        self.found[REFERENCE] = self.judge("first", dense(), TABLES[C], baselines=True), REFERENCE
        five = {name: f"dense small, five networks, {name}" for name in (A, B, D)}
        for name, title in five.items():
            self.judge(title, dense(n_networks=5, calibration=None), TABLES[name])
        self.print_systems(list(five.values()))
        candidates = {f"layer {n}": logistic(vb.LayerChoice(n)) for n in range(7)}
        every = Cohort(pd.concat([self.X, layers], axis=1), self.manifest, self.work_dir)
        every.judge(REFERENCE, logistic(), ["prosody"])
        chosen = {
            "logistic regression, whisper, chosen layer": [LAYERS],
            "logistic regression, prosody + voice + whisper, chosen layer": ["prosody", "voice", LAYERS],
        }
        for title, families in chosen.items():
            result = every.judge(title, candidates, families)
            print(title, result.chosen["chosen"].value_counts().to_dict(), "\n")
        every.print_systems(list(chosen))

    def print_systems(self, names: list[str]) -> None:
        lines = []
        for name in names:
            result, system = self.found[name]
            line = result.table.xs(result.level).loc[(system, "uar")]
            difference = "" if name == REFERENCE else self.difference(name, REFERENCE)
            spread = f" ± {line['seeds_sd']:.3f}" if line["seeds_sd"] > 0 else ""
            lines.append([name, f"{line['estimate']:.3f} [{line['low']:.2f}, {line['high']:.2f}]{spread}", difference,
                          cell(result.table.xs(result.level).loc[(system, "auroc")])])  # fmt: skip
        heads = ["system", "UAR [95 % over speakers] ± SD of seeds", f"difference to {REFERENCE}", "AUROC"]
        print(markdown(heads, lines), flush=True)

    def print_calibration(self, settings: Iterable[tuple[str, str | None]]) -> None:
        lines = []
        for name, weight in settings:
            title = f"{name}, {weight or 'plain'}"
            before = self.judge(f"{title}, before", dense(class_weight=weight, calibration=None), TABLES[name])
            after = (
                self.found[f"dense small, {name}"][0]
                if weight
                else self.judge(f"{title}, after", dense(class_weight=None), TABLES[name])
            )
            said = [result.summary(metrics=["ece", "brier", "uar"]).loc[result.model] for result in (before, after)]
            lines.append([title, *(part["ece"] for part in said), f"{perfect_ece(after):.2f}",
                          *(part["brier"] for part in said), *(part["uar"] for part in said)])  # fmt: skip
        heads = ["dense small", "ECE before", "ECE after", "perfect", "Brier before", "Brier after", "UAR before",
                 "UAR after"]  # fmt: skip
        print(markdown(heads, lines), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--work-dir", type=Path, help="keeps finished folds")
    parser.add_argument("--afterwards", action="store_true", help="what was named after the first run")
    given = parser.parse_args()
    data, results = Path(given.data), Path("benchmarks/results")
    manifest, encoder = read_manifest(data), data.parent / "models" / "whisper-base-encoder"
    files = [data / "ravdess" / file for file in manifest.file]
    families = ["prosody", "voice", "spectral", vb.Embedding(encoder, layer=4)]
    X = read_table(files, families, results / "stress_ravdess.cache.parquet")
    warnings.simplefilter("ignore")
    import tensorflow as tf  # its distribution is called tensorflow, tensorflow-cpu, …

    packages = ("vocalbio", "keras", "scikit-learn", "opensmile", "praat-parselmouth", "librosa")
    versions = [f"{package} {version(package)}" for package in packages]
    print(date.today(), *versions, f"tensorflow {tf.__version__}", sep=", ")
    if given.afterwards:
        layers = read_table(files, [vb.Embedding(encoder, layer="all")], results / "stress_layers.cache.parquet")
        layers = layers.filter(like=LAYERS)
    for title, rows in (
        ("all clips", manifest.index),
        ("normal intensity", manifest.query("intensity == 'normal'").index),
    ):
        part = manifest.loc[rows]
        counts = ", ".join(f"{label} {count}" for label, count in part.label.value_counts().items())
        print(f"\n## {title}: {len(part)} clips ({counts}), {part.speaker.nunique()} speakers\n", flush=True)
        cohort = Cohort(X.iloc[rows], part, given.work_dir)
        cohort.run_afterwards(layers.iloc[rows]) if given.afterwards else cohort.run()


if __name__ == "__main__":
    main()
