"""
Which recordings simulated nights are made of: train and test clips share no recording.

    python benchmarks/night_clips.py --write FOLDER --data DATA [--n 2] [--hours 1] [--part train]

Train: the one-second snores and noises of ``snore/`` and the breathing of the session ``main_audio_no_delay``.
Test: the snorers and noises of ``bedroom/`` and the other breathing recordings (two with a video in the background are
left out). Whether the breathing of both is one person's is not known. Kinds of noise that a part lacks are synthesised.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from vocalbio.audio import Recording, load_audio
from vocalbio.datasets.nights import NightClips, simulate_night
from vocalbio.errors import AudioError

TRAIN_NOISES = {
    "people_talking": "speech",
    "baby_crying": "other",
    "door": "other",
    "rain_thunder": "other",
    "toilet_flush": "other",
}
TEST_NOISES = {  # by the number in the name, or the beginning of it; start and end in seconds where not all is of use
    "139057": ("other", None, None),  # music box
    "164606": ("speech", None, None),
    "178997": ("cough", 0.5, 5.0),
    "194825": ("steps", None, None),
    "198962": ("steps", None, None),
    "223152": ("steps", None, None),
    "244533": ("other", None, None),
    "252240": ("cough", None, None),
    "259646": ("steps", None, None),
    "273192": ("speech", None, None),
    "345687": ("alarm", None, None),  # whistle
    "365690": ("other", None, None),  # grinding of teeth
    "401334": ("cough", 0.1, 3.2),
    "428777": ("speech", None, 3.5),
    "435518": ("fan", 3.0, None),
    "48212": ("steps", None, None),
    "69012": ("alarm", 0.1, 1.9),
    "Matt_Script_-_SINGLE": ("other", None, None),
    "Matt_Script_-_TEETH": ("other", None, None),
    "veryclearrepeating": ("alarm", None, None),
}
TRAIN_BREATHING = "learn_main_audio_no_delay"
LEFT_OUT_BREATHING = "video"


def train_clips(data: Path) -> NightClips:
    """Snores and noises of ``snore/``, breathing of one session."""
    listed = pd.read_csv(data / "snore" / "manifest.csv")
    listed = listed.loc[listed["file"].map(_number).sort_values().index]
    snores: list[Recording] = []
    noises: dict[str, list[Recording]] = {}
    for row in listed.itertuples():
        clip = load_audio(data / "snore" / str(row.file))
        if row.label == "snoring":
            snores.extend(sounding_parts(clip))
        elif usable(clip):
            noises.setdefault(TRAIN_NOISES[str(row.label2)], []).append(clip)
    inhales, exhales = _breathing(data, train=True)
    return NightClips({"snore_A": snores}, inhales, exhales, (), noises)


def test_clips(data: Path) -> NightClips:
    """Snorers and noises of ``bedroom/``, breathing of the other sessions."""
    snores: dict[str, list[Recording]] = {}
    noises: dict[str, list[Recording]] = {}
    for row in pd.read_csv(data / "bedroom" / "manifest.csv").itertuples():
        clip = load_audio(data / "bedroom" / str(row.file))
        if row.label == "snoring":
            snores[str(row.group)] = sounding_parts(clip)
        else:
            (entry,) = (entry for start, entry in TEST_NOISES.items() if str(row.file).startswith(start))
            kind, start_s, end_s = entry
            noises.setdefault(kind, []).append(clip.cut(start_s or 0.0, end_s))
    inhales, exhales = _breathing(data, train=False)
    return NightClips(snores, inhales, exhales, (), noises)


test_clips.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of its name


def apnea_event_clips(data: Path) -> list[tuple[Recording, str]]:
    """The 22 recorded events of one person's night, as `simulate_night` takes them for `splices`."""
    listed = pd.read_csv(data / "apnea_events" / "manifest.csv")
    return [
        (load_audio(data / "apnea_events" / file), "hypopnea" if label == "Hypopnea" else "apnea")
        for file, label in zip(listed["file"], listed["label"], strict=True)
    ]


def usable(clip: Recording) -> bool:
    """Not silent, and not clipped in more than one sample of a thousand."""
    return bool(np.abs(clip.samples).max() > 0.003 and np.mean(np.abs(clip.samples) > 0.985) < 1e-3)


def sounding_parts(recording: Recording, depth_db: float = 15.0, shortest_s: float = 0.4) -> list[Recording]:
    """Cut the stretches of 0.4 s or longer that are at most 15 dB (25 ms RMS, smoothed) below the loudest."""
    size = round(0.025 * recording.sampling_rate_hz)
    frames = recording.samples[: len(recording.samples) // size * size].reshape(-1, size).astype(float)
    power = np.convolve(np.mean(frames**2, axis=1), np.ones(5) / 5, "same")
    loud = np.concatenate([[False], power > power.max() * 10 ** (-depth_db / 10), [False]])
    edges = np.flatnonzero(np.diff(loud.astype(int))).reshape(-1, 2) * size / recording.sampling_rate_hz
    parts = [recording.cut(start, end) for start, end in edges if end - start >= shortest_s]
    return [part for part in parts if usable(part)]


def _breathing(data: Path, *, train: bool) -> tuple[dict[str, list[Recording]], dict[str, list[Recording]]]:
    phases: dict[str, dict[str, list[Recording]]] = {"inhale": {}, "exhale": {}}
    for path in sorted((data / "breathing").glob("*.flac")):
        if path.name.startswith(TRAIN_BREATHING) != train or LEFT_OUT_BREATHING in path.name:
            continue
        try:
            recording = load_audio(path)
        except AudioError as error:
            warnings.warn(f"left out, so these are not the nights of the docs: {error}", stacklevel=2)
            continue
        for row in pd.read_csv(path.with_suffix(".csv")).to_dict("records"):
            end_s = min(row["end_s"], recording.duration_s)
            if end_s - row["start_s"] < 0.4:
                continue
            clip = recording.cut(row["start_s"], end_s)
            if usable(clip):
                phases[row["phase"]].setdefault(path.stem, []).append(clip)
    return phases["inhale"], phases["exhale"]


def _number(file: str) -> tuple[int, ...]:
    return tuple(int(part) for part in Path(file).stem.split("_"))


def main() -> None:
    """Write nights for listening."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=2)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--part", choices=["train", "test"], default="train")
    given = parser.parse_args()
    given.write.mkdir(parents=True, exist_ok=True)
    clips = (train_clips if given.part == "train" else test_clips)(given.data)
    for seed in range(given.n):
        path = given.write / f"simulated_night_{given.part}_{seed}.flac"
        night = simulate_night(clips, duration_s=3600 * given.hours, snr_db=None if seed % 2 else 15.0, seed=seed)
        night.write(path)
        print(f"{path}: {len(night.events)} events, {night.description['sources']}")


if __name__ == "__main__":
    main()
