"""
Measure the reliability atlas: how stable every feature is against codec, noise, room, microphone, level, repetition.

    python benchmarks/reliability_atlas.py --data DATA --output vocalbio/reliability/shipped/atlas.csv --docs docs

Named before the first run, and not changed since but for the telephone, whose filter was at first twice as steep as
that of any telephone:

- Speech: DATA/ravdess, 16 actors x neutral, sad, fearful of normal intensity x 2 sentences, first repetition: 96 clips;
  the second repetition is compared with the first. Acted, in a studio.
- Vowels: DATA/vowels, /a/ and /i/ of 33 speakers (ALS and healthy), read at 16 kHz; the two halves are compared.
- Perturbations as in vocalbio.reliability.PERTURBATIONS, one seeded draw a clip. Features are always measured at
  16 kHz, so a microphone of 8 kHz or more changes nothing, by construction.
- ICC(2,1), ICC(3,1), median shift, missing share; intervals from 1000 draws of speakers.

Finished tables are kept in --work-dir, so that a second call goes on where the first one stopped. Needs the extra
[augment]. About 20 minutes on one core. --families measures some of them anew; the lines of the others stay.

The compact encoder was made with these actors, and so that noise and rooms move it little: its lines may flatter it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from feature_tables import kept

import vocalbio as vb
from vocalbio import reliability
from vocalbio.augment import Augmentation, Bandwidth, Codec, Gain, Noise, Room
from vocalbio.figures.atlas import plot_atlas
from vocalbio.figures.style import to_png_bytes
from vocalbio.reliability import MARKERS, PERTURBATIONS, agreement, atlas
from vocalbio.reliability.table import MEASURES

FAMILIES = ("prosody", "voice", "spectral", "compact")
RECIPES = {
    "mp3_32k": Codec(("mp3",)),
    "opus_16k": Codec(("opus",)),
    "telephone": Codec(("telephone",)),
    "mobile": Codec(("mobile",)),
    "noise_20db": Noise(20, "pink"),
    "noise_10db": Noise(10, "pink"),
    "room_small": Room(0.3, 0.5, (4.0, 3.0, 2.5)),
    "room_large": Room(0.8, 2.0, (10.0, 8.0, 3.5)),
    "band_6khz": Bandwidth(6000),
    "band_4khz": Bandwidth(4000),
    "soft_10db": Gain(-10),
    "loud_10db": Gain(10),
}
HEADER = """\
# Reliability of vocalbio's features, measured {measured_with} (benchmarks/reliability_atlas.py)
# Licence: CC BY-NC-SA 4.0. Derived from RAVDESS (Livingstone & Russo 2018, doi:10.1371/journal.pone.0196391,
# CC BY-NC-SA 4.0) and Minsk2020 (Vashkevich & Rushkevich 2021, arXiv:2012.07347, GPL-3); holds no recordings.
# perturbation.measure: icc ICC(2,1) with 95 % interval over speakers, consistency ICC(3,1), shift_sd median shift in SD
# between clips, missing share of values lost, n pairs. Empty: not defined. See docs/reliability.md
"""


def read_speech(data: Path) -> tuple[list[Path], list[Path], np.ndarray]:
    """First and second repetitions, and speakers."""
    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    manifest = manifest[manifest.emotion.isin(["neutral", "sad", "fearful"]) & (manifest.intensity == "normal")]
    manifest = manifest.sort_values(["speaker", "emotion", "statement", "repetition"])
    first, second = (manifest[manifest.repetition == number] for number in (1, 2))
    keys = ["speaker", "emotion", "statement"]
    if first[keys].to_numpy().tolist() != second[keys].to_numpy().tolist():
        raise SystemExit("the repetitions of DATA/ravdess do not pair up")
    files = [[data / "ravdess" / file for file in part.file] for part in (first, second)]
    return files[0], files[1], first.speaker.to_numpy()


def measured(
    path: Path, make: Callable[[], list[vb.Recording]], families: tuple[str, ...], n_jobs: int
) -> pd.DataFrame:
    """A table; made where it is not there yet, or was made in another way."""
    extractor = vb.FeatureExtractor(families, n_jobs=n_jobs, progress=False)

    def extract() -> pd.DataFrame:
        X = extractor.transform(make())
        print(path.stem, len(X), "rows", flush=True)
        return X

    return kept(path, extractor, extract)


def halves(clips: list[vb.Recording], number: int) -> list[vb.Recording]:
    cuts = [clip.duration_s / 2 for clip in clips]
    return [
        vb.Recording(part.samples, part.sampling_rate_hz, part.file)
        for clip, cut in zip(clips, cuts, strict=True)
        for part in [clip.cut(0, cut) if number == 0 else clip.cut(cut)]
    ]


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--docs", type=Path, help="folder for the pictures, of the atlas that is shipped")
    parser.add_argument("--work-dir", type=Path, default=Path("benchmarks/results/reliability_atlas"))
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--n-jobs", type=int, default=1)
    given = parser.parse_args()
    families = tuple(given.families)
    data, work = Path(given.data), given.work_dir / "-".join(families)
    work.mkdir(parents=True, exist_ok=True)

    first, second, actors = read_speech(data)
    vowels = pd.read_csv(data / "vowels" / "manifest.csv")
    sung = [data / "vowels" / file for file in vowels.file]
    parts = []
    for material, files, speakers in (("speech", first, actors), ("vowel", sung, vowels.speaker.to_numpy())):
        clips = [vb.load_audio(file) for file in files]

        def table(name: str, make: Callable[[], list[vb.Recording]], material: str = material) -> pd.DataFrame:
            return measured(work / f"{material}_{name}.parquet", make, families, given.n_jobs)

        clean = table("clean", lambda clips=clips: clips)  # type: ignore[misc]
        pairs = {}
        for name, transform in RECIPES.items():
            recipe = Augmentation([transform])
            pairs[name] = clean, table(name, lambda recipe=recipe, clips=clips: [recipe(clip) for clip in clips])  # type: ignore[misc]
        if material == "speech":
            pairs["repetition"] = clean, table("repetition", lambda: [vb.load_audio(file) for file in second])
        else:
            both = [table(f"half{k}", lambda k=k, clips=clips: halves(clips, k)) for k in (0, 1)]  # type: ignore[misc]
            pairs["halves"] = both[0], both[1]
        for name, (one, other) in pairs.items():
            parts.append(agreement(one, other, speakers).assign(material=material, perturbation=name))
    found = pd.concat(parts).reset_index()
    if families != FAMILIES:
        kept = atlas()
        found = pd.concat([kept[~kept["column"].isin(set(found["column"]))], found])
    write(found, given.output)
    if given.docs:
        reliability.table._read.cache_clear()  # what was written just now
        draw(atlas(), given.docs)


def write(table: pd.DataFrame, output: Path) -> None:
    """One line a column and material, two decimals: text that a diff can be read of."""
    wide = table.pivot(index=["column", "material"], columns="perturbation", values=list(MEASURES))
    wide = wide.swaplevel(axis=1)[[(name, measure) for name in PERTURBATIONS for measure in MEASURES]]
    order = list(vb.describe_columns(FAMILIES).index)
    wide = wide.sort_index(key=lambda level: level.map(order.index) if level.name == "column" else level)
    wide.columns = [".".join(pair) for pair in wide.columns]
    cells = wide.map(lambda value: "" if pd.isna(value) else f"{value:.2f}".rstrip("0").rstrip("."))
    cells = cells.replace("-0", "0")
    packages = ("vocalbio", "opensmile", "praat-parselmouth", "librosa", "keras", "av", "pyroomacoustics")
    made_with = "with " + ", ".join(f"{package} {version(package)}" for package in packages)
    output.write_text(HEADER.format(measured_with=made_with) + cells.to_csv(lineterminator="\n"), encoding="utf-8")
    print(f"{output}: {len(cells)} lines, {output.stat().st_size / 1000:.0f} kB")


NAMED = {
    "pitch variability": ["voice__f0_sd_st", "voice__f0_range_st", "prosody__F0semitoneFrom27.5Hz_sma3nz_stddevNorm"],
    "pauses": ["voice__pause_fraction", "voice__pause_rate_per_min", "voice__pause_mean_s"],
    "rate": ["voice__speech_rate_per_s", "voice__articulation_rate_per_s", "prosody__loudnessPeaksPerSec"],
    "jitter": ["voice__jitter_local", "prosody__jitterLocal_sma3nz_amean"],
    "shimmer": ["voice__shimmer_local", "prosody__shimmerLocaldB_sma3nz_amean"],
    "HNR": ["voice__hnr_db", "prosody__HNRdBACF_sma3nz_amean"],
    "CPPS": ["voice__cpps_db"],
    "loudness": ["prosody__loudness_sma3_amean", "voice__intensity_sd_db"],
    "formants": ["voice__f1_median_hz", "voice__f2_median_hz", "prosody__F1frequency_sma3nz_amean"],
}
"""Markers that the literature of depression and stress speaks of."""


def draw(table: pd.DataFrame, folder: Path) -> None:
    """The pictures, and the table of named markers."""
    speech = table[table["material"] == "speech"]
    speech = speech.sort_values("marker", key=lambda names: names.map(list(MARKERS).index), kind="stable")
    n = f"{speech['n'].max()} clips of 16 actors"
    pictures = {
        "reliability.png": plot_atlas(
            speech,
            title="Which voice features survive what",
            subtitle=f"ICC(2,1) × 100 with the clean recording, median of the columns in parentheses; {n}",
        ),
        "reliability_columns.png": plot_atlas(
            speech,
            columns=[column for own in NAMED.values() for column in own],
            title="Markers of depression and stress, one by one",
            subtitle=f"ICC(2,1) × 100 with the clean recording; p: prosody, v: voice; {n}",
        ),
        "reliability_extremes.png": plot_atlas(
            speech,
            columns=extremes(speech),
            title="The ten steadiest and the ten shakiest columns",
            subtitle=f"By median ICC(2,1) × 100, log-mel and encoder left out; p: prosody, s: spectral, v: voice; {n}",
        ),
    }
    for name, figure in pictures.items():
        (folder / name).write_bytes(to_png_bytes(figure))
    lines = speech.set_index(["column", "perturbation"])
    for marker, columns in NAMED.items():
        for column in columns:
            own = lines.loc[column]
            cells = [
                f"{line.icc:.2f} [{line.icc_low:.2f}, {line.icc_high:.2f}]" if np.isfinite(line.icc) else "–"
                for line in own.loc[list(SHOWN)].itertuples()
            ]
            print(f"| {marker} | `{column}` | " + " | ".join(cells) + " |")


SHOWN = ("opus_16k", "mobile", "telephone", "noise_20db", "noise_10db", "room_small", "room_large", "repetition")


def extremes(speech: pd.DataFrame, n: int = 10) -> list[str]:
    """Columns with the highest and the lowest median coefficient; none of log-mel and the encoder, which are many."""
    own = speech[~speech["marker"].isin(["log-mel", "compact encoder"])]
    middle = own.groupby("column")["icc"].agg(lambda values: values.median(skipna=False)).dropna().sort_values()
    return [*middle.index[::-1][:n], *middle.index[:n][::-1]]


if __name__ == "__main__":
    main()
