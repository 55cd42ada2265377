"""
A window model for nights, trained on simulated ones: normal, snore or event for every second.

    python benchmarks/train_night_model.py --data DATA --output FILE

Trains on nights put together from the training clips of `night_clips`, and prints how it answers the seconds of other
such nights (other seeds, the same clips: how it does on sleepers that it never heard, a benchmark on test clips tells).

- Nights: 30 of 40 minutes, room noise 6 to 25 dB below the breathing or none, 8 to 28 apneas and 4 to 16 hypopneas an
  hour, all disturbances. One in four is held out to end training and to calibrate.
- Model: settings as in MODEL. What else was tried, on nights of training clips, stands in docs/night_models.md.

Simulated nights are no nights: nothing here tells how a patient's events are found.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from night_clips import train_clips

from vocalbio.datasets.nights import NightClips, SimulatedNight, simulate_night
from vocalbio.risk.window import WindowModel

MODEL: dict[str, Any] = {"network": "bilstm", "window_s": 60, "epochs": 12, "patience": 3}
SNRS_DB = (25.0, 20.0, 15.0, 10.0, 6.0, None)
NIGHT_S = 2400.0
TRAIN_SEED, CHECK_SEED = 100, 200
LICENCE = "figures only: the snores it was trained on come without a licence"


def make_nights(clips: NightClips, n: int, first_seed: int) -> list[SimulatedNight]:
    """Nights of many kinds of sleepers and rooms."""
    nights = []
    for seed in range(first_seed, first_seed + n):
        rng = np.random.default_rng(seed)
        nights.append(
            simulate_night(
                clips,
                duration_s=NIGHT_S,
                snr_db=SNRS_DB[seed % len(SNRS_DB)],
                apneas_per_hour=rng.uniform(8, 28),
                hypopneas_per_hour=rng.uniform(4, 16),
                seed=seed,
            )
        )
    return nights


def summarise(counts: pd.DataFrame) -> str:
    """Confusion of seconds, with recall and precision."""
    right = np.diag(counts)
    table = counts.assign(recall=(right / counts.sum(axis=1)).round(3))
    table.loc["precision"] = [*(right / counts.sum(axis=0)).round(3), np.nan]
    return table.to_string(na_rep="")


def main() -> None:
    """Train, check, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with snore/ and breathing/")
    parser.add_argument("--output", type=Path, required=True, help="model file to write, such as night.vocalbio")
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--network", choices=("bilstm", "cnn", "tcn"), default=MODEL["network"])
    parser.add_argument("--preset", help="of the network")
    parser.add_argument("--features", default="log_mel", help="log_mel, or an encoder's folder or name")
    parser.add_argument("--window-s", type=int, default=MODEL["window_s"])
    given = parser.parse_args()
    clips = train_clips(given.data)
    settings = MODEL | {"network": given.network, "features": given.features, "window_s": given.window_s}
    model = WindowModel("apnea", preset=given.preset, **settings)
    begun = time.monotonic()
    model.fit(make_nights(clips, given.nights, TRAIN_SEED), groups=range(given.nights))
    model.save(given.output, licence=LICENCE)
    watched = ", ".join(f"{loss:.3f}" for loss in model.history_["val_loss"])
    print(f"{given.output}: trained in {time.monotonic() - begun:.0f} s; loss on held-out nights {watched}")
    print(summarise(model.confusion(make_nights(clips, len(SNRS_DB), CHECK_SEED))))


if __name__ == "__main__":
    main()
