"""
Encoders against PyTorch and the retired TensorFlow class of transformers: the same clips, side by side.

    VOCALBIO_DATA=DATA python benchmarks/encoders.py [--rounds 7]

wav2vec 2.0 base (random weights: speed does not depend on them), float32, 10 s clips one by one and 4 s clips by
eights; Whisper base, 10 s clips. Limit: at least 0.9 of PyTorch's throughput on the 10 s clips. Then the compact
encoder of the wheel in turns with base, limit: a fifth of its time (--compact measures that alone). The first call,
with whatever it compiles, is shown apart. benchmarks/peers.py tells how to make the environments of the peers. With
DATA/../models/whisper-base-encoder at hand, the states of clips without padding are compared with those of padded 30 s.
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

WHISPER = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048,
           "decoder_layers": 1, "decoder_attention_heads": 8, "decoder_ffn_dim": 64}  # fmt: skip
SYSTEMS = [
    ("PyTorch", "torch"),
    ("vocalbio, one graph", None),
    ("vocalbio, XLA", None),
    ("vocalbio, eager", None),
    ("transformers 4 TF, eager", "retired"),
]
TASKS = [("wav2vec2-base", 10, 1), ("wav2vec2-base", 4, 8), ("whisper-base", 10, 1)]
COMPACT = Path(__file__).parents[1] / "vocalbio" / "encoders" / "shipped" / "compact"


def peer(name: str, folder: str) -> None:
    """Run one system: encode clips of noise, give the mean of the last state."""
    made = {}

    def model(encoder: str):
        if encoder in made:
            return made[encoder]
        if name == "PyTorch":
            import torch
            from transformers import Wav2Vec2Model, WhisperConfig
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            if encoder.startswith("whisper"):
                loaded = WhisperEncoder(WhisperConfig(**WHISPER)).eval()
            else:
                loaded = Wav2Vec2Model.from_pretrained(COMPACT if encoder == "compact" else folder).eval()

            def run(x):
                if encoder.startswith("whisper"):  # 30 s of spectrogram, whatever the clip: it takes nothing else
                    x = np.zeros((len(x), 80, 3000), np.float32)
                with torch.inference_mode():
                    return loaded(torch.tensor(x)).last_hidden_state.numpy()
        elif name.startswith("transformers"):
            from transformers import TFWav2Vec2Model, Wav2Vec2Config

            retired = TFWav2Vec2Model(Wav2Vec2Config())

            def run(x):
                return retired(x).last_hidden_state.numpy()
        else:
            import tensorflow as tf

            from vocalbio.encoders import TFWav2Vec2Model, TFWhisperEncoder

            if encoder.startswith("whisper"):
                own = TFWhisperEncoder(WHISPER)
            else:
                own = TFWav2Vec2Model.from_pretrained("compact" if encoder == "compact" else folder)

            def last(x, n=None):
                return own.states(x, n, [own.n_layers])[0][0]

            if name.endswith("one graph"):
                shapes = [tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)]
                graph = tf.function(last, input_signature=shapes)

                def run(x):
                    return graph(x, np.full(len(x), x.shape[1], np.int32)).numpy()
            else:
                compiled = tf.function(last, jit_compile=True) if name.endswith("XLA") else last

                def run(x):
                    return compiled(tf.constant(x)).numpy()

        made[encoder] = run
        return run

    def work(encoder: str, seconds: int, batch: int) -> dict:
        x = np.random.default_rng(0).normal(size=(batch, 16_000 * seconds)).astype(np.float32)
        return {"mean": float(np.abs(model(encoder)(x)).mean())}

    serve(work)


def compare_compact(folder: str, rounds: int) -> None:
    """How long the compact encoder takes beside base."""
    print(f"\n## compact beside wav2vec2-base, float32, {os.cpu_count()} cores, {rounds} rounds\n")
    print("| system | clips | base, RTF | compact, RTF | compact to base, time |\n|---|---|---|---|---|")
    for name, environment in SYSTEMS[:2]:
        if not available(environment):
            continue
        one = Peer(__file__, name, environment, folder)
        for seconds, batch in ((10, 1), (4, 8)):
            tasks = [
                {"encoder": encoder, "seconds": seconds, "batch": batch} for encoder in ("wav2vec2-base", "compact")
            ]
            for task in tasks:
                one.ask(**task)
            times = np.array([[one.ask(**task)["seconds"] for task in tasks] for _ in range(rounds)])
            share, (base, compact) = times[:, 1] / times[:, 0], np.median(times, axis=0) / (seconds * batch)
            print(
                f"| {name} | {batch} x {seconds} s | {base:.4f} | {compact:.4f} | "
                f"{median(share):.3f} [{min(share):.3f}, {max(share):.3f}] |",
                flush=True,
            )
        one.close()


def compare_windows(data: Path) -> None:
    """How far states of short windows are from the reference's padded ones, on real speech."""
    import pandas as pd

    import vocalbio as vb
    from vocalbio.encoders.inference import Inference

    folder = data.parent / "models" / "whisper-base-encoder"
    if not folder.is_dir():
        print(f"skipped: states of short windows ({folder} is not there)")
        return
    files = pd.read_csv(data / "ravdess" / "manifest.csv").file.iloc[::24]
    clips = [vb.load_audio(data / "ravdess" / file).samples for file in files]
    encoder = vb.encoders.load_encoder(folder)
    layers = range(encoder.n_layers + 1)
    short, long = (
        np.stack([means for means, _ in Inference(encoder, layers, padded=padded).pool(clips)])
        for padded in (False, True)
    )
    print(f"\n## Whisper base, {len(clips)} clips of about 4 s: their own length against 30 s, means over time\n")
    print("| layer | cosine, median | centred cosine, median | lowest |\n|---|---|---|---|")
    for layer in layers:
        a, b = short[:, layer], long[:, layer]
        plain, centred = _cosines(a, b), _cosines(a - a.mean(axis=0), b - b.mean(axis=0))
        print(f"| {layer} | {np.median(plain):.3f} | {np.median(centred):.3f} | {centred.min():.3f} |")


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def main() -> None:
    """Print a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compact", action="store_true", help="only that of the compact encoder")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        return peer(given.peer, given.folder)
    from vocalbio.encoders import TFWav2Vec2Model

    with tempfile.TemporaryDirectory() as folder:
        TFWav2Vec2Model({}).save_pretrained(folder)
        compare_compact(folder, given.rounds)
        if given.compact:
            return None
        found = [(name, environment) for name, environment in SYSTEMS if available(environment)]
        for encoder, seconds, batch in TASKS:
            task = {"encoder": encoder, "seconds": seconds, "batch": batch}
            peers = [
                Peer(__file__, name, environment, folder)
                for name, environment in found
                if encoder.startswith("wav2vec2") or environment != "retired"
            ]
            first = [peer.ask(**task) for peer in peers]
            rounds = [[peer.ask(**task) for peer in peers] for _ in range(given.rounds)]
            for one in peers:
                one.close()
            audio_s = seconds * batch
            print(f"\n## {encoder}, float32, {batch} x {seconds} s, {os.cpu_count()} cores, {given.rounds} rounds\n")
            print("| system | RTF, median (best) | throughput to PyTorch's | first call, s | peak memory, MB |")
            print("|---|---|---|---|---|")
            for number, one in enumerate(peers):
                times = [answers[number]["seconds"] for answers in rounds]
                against = [answers[0]["seconds"] / answers[number]["seconds"] for answers in rounds]
                ratio = f"{median(against):.2f} [{min(against):.2f}, {max(against):.2f}]"
                print(
                    f"| {one.name} | {median(times) / audio_s:.4f} ({min(times) / audio_s:.4f}) | "
                    f"{ratio if peers[0].name == 'PyTorch' else ''} | {first[number]['seconds']:.1f} | "
                    f"{rounds[-1][number]['peak_mb']:.0f} |",
                    flush=True,
                )
    compare_windows(given.data)


if __name__ == "__main__":
    sys.exit(main())
