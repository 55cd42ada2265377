"""
The fused table against the usual recipe, side by side on the same recordings.

    VOCALBIO_DATA=DATA python benchmarks/pipeline.py [--clips 300]

vocalbio: prosody + voice + wav2vec2-base embedding + quality columns, ``extract_features(..., n_jobs=2)``; and the
embedding alone. The usual recipe, in the environment of transformers 4.57 (see benchmarks/peers.py): librosa.load at 16
kHz, TFWav2Vec2Model eager, file by file, mean over time; librosa MFCC means; it computes neither eGeMAPS nor Praat
markers. All with random weights of the base size: speed does not depend on them. Clips are taken in thirds, turn and
turn about; starting up (imports, weights, compilation) is shown apart, and counted in the last line. Limit: 0.6 of the
recipe's time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from peers import Peer, available, serve

LIMIT = 0.6


def peer(name: str, folder: str) -> None:
    """Run one of them."""
    if name.startswith("vocalbio"):
        import vocalbio as vb

        families = [vb.Embedding(folder, layer="last")]
        if name == "vocalbio":
            families = ["prosody", "voice", *families]

        def work(files):
            X = vb.extract_features(files, families, n_jobs=2)
            return {"rows": len(X), "columns": X.shape[1], "failed": len(vb.errors(X))}
    else:
        import librosa
        from transformers import TFWav2Vec2Model, Wav2Vec2Config, Wav2Vec2FeatureExtractor

        model, prepare = TFWav2Vec2Model(Wav2Vec2Config()), Wav2Vec2FeatureExtractor()

        def work(files):
            rows = []
            for file in files:
                samples, rate = librosa.load(file, sr=16_000)
                given = prepare(samples, sampling_rate=rate, return_tensors="np").input_values
                mean = model(given).last_hidden_state.numpy()[0].mean(axis=0)
                rows.append(np.concatenate([mean, librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=13).mean(axis=1)]))
            return {"rows": len(rows), "columns": len(rows[0]), "failed": 0}

    serve(work)


def main() -> None:
    """Print times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        return peer(given.peer, given.folder)
    import pandas as pd

    from vocalbio.encoders import TFWav2Vec2Model

    manifest = pd.read_csv(given.data / "ravdess" / "manifest.csv").sample(given.clips + 4, random_state=0)
    files = [str(given.data / "ravdess" / file) for file in manifest.file]
    audio_s = manifest.seconds.iloc[4:].sum()
    with tempfile.TemporaryDirectory() as folder:
        TFWav2Vec2Model({}).save_pretrained(folder)
        peers = [Peer(__file__, name, None, folder) for name in ("vocalbio", "vocalbio, embedding and quality only")]
        if available("retired"):
            peers.append(Peer(__file__, "the usual recipe", "retired"))
        first = [one.ask(files=files[:4]) for one in peers]
        thirds = [list(part) for part in np.array_split(files[4:], 3)]
        rounds = []
        for number, part in enumerate(thirds):  # who goes first changes
            order = range(len(peers)) if number % 2 == 0 else reversed(range(len(peers)))
            rounds.append({place: peers[place].ask(files=part) for place in order})
        for one in peers:
            one.close()
    print(f"{given.clips} clips of RAVDESS, {audio_s:.0f} s of sound, {os.cpu_count()} cores\n")
    print("| | columns | failed | time, s | of real time | start and 4 clips, s | peak memory, MB |")
    print("|---|---|---|---|---|---|---|")
    total = []
    for place, one in enumerate(peers):
        total.append(sum(answers[place]["seconds"] for answers in rounds))
        last = rounds[-1][place]
        print(
            f"| {one.name} | {last['columns']} | {sum(r[place]['failed'] for r in rounds)} | {total[-1]:.1f} | "
            f"{total[-1] / audio_s:.3f} | {first[place]['seconds']:.1f} | {last['peak_mb']:.0f} |"
        )
    if len(peers) > 2:
        ratios = [answers[0]["seconds"] / answers[2]["seconds"] for answers in rounds]
        whole = (total[0] + first[0]["seconds"]) / (total[2] + first[2]["seconds"])
        print(
            f"\nratio {total[0] / total[2]:.2f} (thirds: {', '.join(f'{r:.2f}' for r in ratios)}, median "
            f"{median(ratios):.2f}), with start {whole:.2f}; limit {LIMIT}: {'yes' if whole <= LIMIT else 'NO'}"
        )


if __name__ == "__main__":
    sys.exit(main())
