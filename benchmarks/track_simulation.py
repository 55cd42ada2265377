"""
False alarms, power and coverage of `vocalbio.track` on made-up people whose truth is known.

    python benchmarks/track_simulation.py [--people 1000]

Each has 37 days (7 of baseline, 30 after), one or two memos a day with a spread of 0.5 within the day, and a spread of
1 from day to day. A step or drift is in units of that spread.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

import vocalbio as vb

DAYS = 37


def simulate(
    rng: np.random.Generator, *, step: float = 0.0, drift: float = 0.0, carry: float = 0.0, shown: Any = np.positive
) -> vb.Track:
    """Follow one made-up person; `carry` is the correlation from day to day, `shown` makes scores of it."""
    noise = rng.standard_normal(DAYS)
    for day in range(1, DAYS):
        noise[day] = carry * noise[day - 1] + np.sqrt(1 - carry**2) * noise[day]
    truth = noise + step * (np.arange(DAYS) >= 17) + drift * np.arange(DAYS) / 7
    memos = rng.integers(1, 3, DAYS)
    dates = np.repeat(pd.date_range("2026-01-01", periods=DAYS), memos)
    return vb.track(None, shown(np.repeat(truth, memos) + 0.5 * rng.standard_normal(memos.sum())), dates=dates)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1000)
    people = parser.parse_args().people
    print(f"{people} people each, {DAYS} days, baseline 7 days, level 95 %\n")
    print("| truth | days beyond | days of reliable change | people with any | last 3 days reliable | slope covered |")
    print("|---|---|---|---|---|---|")
    for name, kind in {
        "no change": {},
        "no change, days correlated 0.3": {"carry": 0.3},
        "no change, rounded to whole numbers": {"shown": np.round},
        "no change, probabilities (log-odds around -2)": {"shown": lambda x: 1 / (1 + np.exp(2 - x))},
        "step of 2 on day 18": {"step": 2.0},
        "step of 3 on day 18": {"step": 3.0},
        "step of 4 on day 18": {"step": 4.0},
        "drift of 0.5 a week": {"drift": 0.5},
        "drift of 0.5 a week, days correlated 0.3": {"drift": 0.5, "carry": 0.3},
    }.items():
        found = [simulate(np.random.default_rng([1, number]), **kind) for number in range(people)]
        after = [one.days[~one.days["in_baseline"]] for one in found]
        slope = kind.get("drift", 0.0)
        covered = np.mean([one.trend["low"] <= slope <= one.trend["high"] for one in found])
        print(
            f"| {name} | {np.mean([(one['beyond'] != 0).mean() for one in after]):.3f} | "
            f"{np.mean([one['reliable'].mean() for one in after]):.3f} | "
            f"{np.mean([one['reliable'].any() for one in after]):.2f} | "
            f"{np.mean([one.recent['reliable'] for one in found]):.3f} | "
            f"{'' if 'step' in kind or 'shown' in kind else f'{covered:.3f}'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
