"""
Two small tables of real people, not actors: depression (EMU) and stress before an exam, beside all baselines.

    VOCALBIO_DATA=DATA python benchmarks/clinical_tables.py

Named before the first run of this script, and not changed since:

- RiskModel("depression", preset="small", class_weight="balanced"), all else by default, in both; the exam has no
  condition of its own with two classes, and "depression" is the one that takes any two. Nothing is chosen.
- Ten times five folds of whole people, balanced for class, dealt anew each time. AUROC with a 95 % interval (1000 draws
  of people), beside majority, always positive, sex, loudness, duration where they are known, and logistic regression
  (C = 1) and a linear SVM (C = 0.01) on all feature columns: medians, standardisation, classes weighed alike.
- tables/emu_structured_cleaned.csv (Tlachac et al. 2021): PHQ-9 of 10 or more, one row a person. No features: phq (the
  label's source), q9 (an item of it), gad (another questionnaire, which goes along with it), gender (a baseline of its
  own), id.
- tables/exam_stress_vowels.csv: before an exam ("pre") against baseline, split by student; rows after the exam
  ("post") are not used. No features: condition, VoiceEmission (it never varies), the five pid5_ scales (a
  questionnaire). Students with two conditions that agree bit for bit in all numbers of a vowel are left out: nobody
  knows which one is the copy. Deviations of thousands of Hz (lost decimal points, it seems) are left as they are.
- Duration is no input, as nowhere in vocalbio: columns of duration make the row "duration only".
- For the exam also the fraction of students whose two rows are ranked rightly, since stress is a change in a person.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import vocalbio as vb
from vocalbio.evaluation import Evaluation, cross_validate

SEEDS = range(10)
METRICS = ["auroc", "auprc", "uar", "brier", "ece"]
EMU_REMOVED = ["id", "phq", "q9", "gad", "gender"]
EXAM_REMOVED = ["subject", "condition", "VoiceEmission"]


def linear(model: Any, columns: Sequence[str] | None = None) -> Any:
    """A linear model on standardised columns; all of them unless named."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = [] if columns is None else [ColumnTransformer([("chosen", "passthrough", list(columns))])]
    return make_pipeline(*chosen, SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), model)


def judge(X: pd.DataFrame, y: pd.Series, people: pd.Series, **arguments: Any) -> Evaluation:
    """Ten times five folds of people, beside the baselines."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    logistic = LogisticRegression(max_iter=5000, class_weight="balanced")
    loudness = [column for column in X if "loudness" in column]
    own = {"loudness only (pcm_loudness)": linear(logistic, loudness)} if loudness else {}
    n_features = sum(not column.startswith("quality__") for column in X)
    own[f"logistic regression, {n_features} columns"] = linear(logistic)
    machine = LinearSVC(C=0.01, class_weight="balanced", max_iter=20_000, random_state=0)
    own[f"linear SVM, {n_features} columns"] = linear(machine)
    return cross_validate(
        vb.RiskModel("depression", preset="small", class_weight="balanced"), X, y.to_numpy(), groups=people.to_numpy(),
        cv=5, seeds=tuple(SEEDS), baselines=own, metrics=METRICS, breakdown=[], **arguments,
    )  # fmt: skip


def named(values: pd.DataFrame, duration_s: pd.Series) -> pd.DataFrame:
    """Columns with a family, and duration among the quality columns."""
    return pd.concat([values.add_prefix("acoustic__"), duration_s.rename("quality__duration_s")], axis=1)


def emu(data: Path) -> Evaluation:
    """PHQ-9 of 10 or more."""
    table = pd.read_csv(data / "tables" / "emu_structured_cleaned.csv")
    duration = "F0final__Turn_duration"
    print(f"\n## EMU, PHQ-9 >= 10\n\nRemoved: {', '.join(EMU_REMOVED)}; to duration: {duration}. "
          f"{table.id.nunique()} people, {table.id.duplicated().sum()} with a second row\n")  # fmt: skip
    X = named(table.drop(columns=[*EMU_REMOVED, duration]), table[duration])
    return judge(X, table.phq >= 10, table.id, person=table[["gender"]])


def copies(table: pd.DataFrame, vowels: Sequence[str] = ("a", "i", "u")) -> pd.Series:
    """Rows that agree with another one in all numbers of a vowel."""
    parts = [table.filter(regex=f"_{vowel}$") for vowel in vowels]
    return pd.concat([part.duplicated(keep=False) for part in parts], axis=1).any(axis=1)


def exam(data: Path) -> Evaluation:
    """Before an exam against baseline."""
    table = pd.read_csv(data / "tables" / "exam_stress_vowels.csv")
    questionnaire = [column for column in table if column.startswith("pid5_")]
    copied = copies(table)
    left_out = sorted(set(table.subject[copied]))
    part = table[table.condition.isin(["baseline", "pre"]) & ~table.subject.isin(left_out)].reset_index(drop=True)
    durations = [column for column in table if column.startswith("signalDuration")]
    print(f"\n## Exam, before against baseline\n\nRemoved: {', '.join(EXAM_REMOVED + questionnaire)}; to duration "
          f"(their sum): {', '.join(durations)}. {copied.sum()} of {len(table)} rows agree with another one in a whole "
          f"vowel; their {len(left_out)} students are left out: {', '.join(left_out)}\n")  # fmt: skip
    X = named(part.drop(columns=[*EXAM_REMOVED, *questionnaire, *durations]), part[durations].sum(axis=1))
    return judge(X, part.condition == "pre", part.subject)


def print_pairs(found: Evaluation) -> None:
    """Of each person's two rows, is the positive one ranked higher?"""
    rng = np.random.default_rng(0)
    print('| of a student\'s two rows, "before" is ranked higher | fraction |\n|---|---|')
    for system, lines in found.predictions.groupby("system", sort=False):
        score = lines.pivot_table(index=["seed", "speaker"], columns="y", values="score_True")
        right = (score[True] > score[False]) + 0.5 * (score[True] == score[False])
        people = right.groupby("speaker").mean().to_numpy()
        low, high = np.quantile(rng.choice(people, (1000, len(people))).mean(axis=1), [0.025, 0.975])
        print(f"| {system} | {people.mean():.2f} [{low:.2f}, {high:.2f}] |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    data = Path(parser.parse_args().data)
    warnings.simplefilter("ignore")
    versions = [f"{package} {version(package)}" for package in ("vocalbio", "keras", "scikit-learn")]
    print(date.today(), *versions, sep=", ")
    print(emu(data), flush=True)
    found = exam(data)
    print(found)
    print_pairs(found)


if __name__ == "__main__":
    main()
