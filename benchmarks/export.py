"""
Exported encoders against Keras and PyTorch: size, time, and how far the states move.

    VOCALBIO_DATA=DATA python benchmarks/export.py [--rounds 7] [--probe]

The compact encoder of the wheel and Whisper base, DATA/../models/whisper-base-encoder, with trained weights, and
wav2vec 2.0 base with random ones (speed does not depend on them, and of quality they tell nothing). A clip of 10 s,
with two threads and with one; the largest difference of the last state from Keras'; the *centred* cosine of mean states
(less the mean over clips: plain cosines of different clips are 0.97 and more) on 48 clips of RAVDESS. ``--probe``:
neutral, calm, sad and fearful by logistic regression on the mean of layer 4 (compact: 6), leaving one speaker out.
benchmarks/peers.py tells how to make PyTorch's environment.
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

FILES = {
    "LiteRT": "float.tflite",
    "LiteRT, int8": "int8.tflite",
    "ONNX Runtime": "float.onnx",
    "ONNX Runtime, int8": "int8.onnx",
}
SYSTEMS = ["PyTorch", "Keras, one graph", *FILES]
SECONDS = 10
N_CLIPS = 48
PROBED = ["neutral", "calm", "sad", "fearful"]
PROBED_LAYERS = {"compact": 6, "whisper-base": 4}


def clip(encoder: str) -> np.ndarray:
    """Noise of the loudness that the encoder wants."""
    samples = np.random.default_rng(0).normal(size=16_000 * SECONDS).astype(np.float32)
    return 0.1 * samples if encoder == "whisper-base" else samples


def peer(name: str, folder: str, n_threads: int) -> None:
    """Run one system on the clip."""
    made = {}

    def model(encoder: str):
        place = Path(folder, encoder)
        if name == "PyTorch":
            import torch
            from transformers import Wav2Vec2Model, WhisperConfig
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            torch.set_num_threads(n_threads)
            if encoder == "whisper-base":  # 30 s of spectrogram, whatever the clip: it takes nothing else
                loaded = WhisperEncoder(WhisperConfig.from_pretrained(place / "checkpoint")).eval()
            else:
                loaded = Wav2Vec2Model.from_pretrained(place / "checkpoint").eval()

            def run(x):
                x = np.zeros((80, 3000), np.float32) if encoder == "whisper-base" else x
                with torch.inference_mode():
                    return loaded(torch.tensor(x[None])).last_hidden_state[0].numpy()
        elif name.startswith("Keras"):
            import tensorflow as tf

            from vocalbio.encoders import load_encoder

            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
            own = load_encoder(place / "checkpoint")
            shapes = [tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)]
            graph = tf.function(lambda x, n: own.states(x, n, [own.n_layers])[0][0], input_signature=shapes)

            def run(x):
                return graph(x[None], np.array([len(x)], np.int32))[0].numpy()
        else:
            from vocalbio.export import EncoderRunner

            runner = EncoderRunner(place / FILES[name], n_threads=n_threads)

            def run(x):
                return runner.run(x[None])["states"][-1]

        return run

    def work(encoder: str) -> dict:
        if encoder not in made:
            made[encoder] = model(encoder)
        states = made[encoder](clip(encoder))
        np.save(Path(folder, encoder, f"{name}.npy"), states)
        return {"mean": float(np.abs(states).mean())}

    serve(work)


def prepare(folder: Path, trained: Path) -> list[str]:
    """Checkpoints and exported files, those encoders that there are."""
    from vocalbio.encoders import TFWav2Vec2Model, load_encoder

    made = {"wav2vec2-base": TFWav2Vec2Model({}), "compact": load_encoder("compact")}
    if trained.is_dir():
        made["whisper-base"] = load_encoder(trained)
    else:
        print(f"skipped: Whisper ({trained} is not there)")
    for name, encoder in made.items():
        (folder / name).mkdir()
        encoder.save_pretrained(folder / name / "checkpoint")
        for file in FILES.values():
            format = "litert" if file.endswith("tflite") else "onnx"
            encoder.export(folder / name / file, format, "int8" if file.startswith("int8") else None)
    return list(made)


def time_systems(folder: Path, encoder: str, n_threads: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each system; they take turns."""
    peers = [
        Peer(__file__, name, "torch" if name == "PyTorch" else None, str(folder), str(n_threads))
        for name in SYSTEMS
        if available("torch" if name == "PyTorch" else None)
    ]
    for one in peers:
        one.ask(encoder=encoder)
    times = [[one.ask(encoder=encoder)["seconds"] for one in peers] for _ in range(rounds)]
    for one in peers:
        one.close()
    return {one.name: [row[number] for row in times] for number, one in enumerate(peers)}


def show_times(folder: Path, encoder: str, rounds: int) -> None:
    """Print a table of sizes, times and differences."""
    found = {n_threads: time_systems(folder, encoder, n_threads, rounds) for n_threads in (2, 1)}
    print(f"\n## {encoder}, {SECONDS} s, {os.cpu_count()} cores, {rounds} rounds\n")
    print("| system | MB | 2 threads, s | to PyTorch | 1 thread, s | to PyTorch | max abs difference |")
    print("|---|---|---|---|---|---|---|")
    reference = np.load(folder / encoder / "Keras, one graph.npy")
    for name in found[2]:
        file = folder / encoder / FILES.get(name, "checkpoint/model.safetensors")
        cells = [name, f"{file.stat().st_size / 1e6:.0f}"]
        for times in found.values():
            ratios = [peer / own for peer, own in zip(times.get("PyTorch", []), times[name], strict=False)]
            cells += [f"{median(times[name]):.3f}", f"{median(ratios):.2f}" if ratios else ""]
        states = np.load(folder / encoder / f"{name}.npy")
        cells.append(f"{np.abs(states - reference).max():.1e}" if states.shape == reference.shape else "")
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\nlargest state {np.abs(reference).max():.1f}")


def compare_states(data: Path, folder: Path, name: str, probe: bool) -> None:
    """Print centred cosines of every layer, and what a probe loses."""
    import pandas as pd

    import vocalbio as vb
    from vocalbio.encoders.inference import Inference
    from vocalbio.export import EncoderRunner

    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    manifest = manifest[manifest.emotion.isin(PROBED)] if probe else manifest.iloc[:: len(manifest) // N_CLIPS]
    clips = [vb.load_audio(data / "ravdess" / file).samples for file in manifest.file]
    encoder = vb.encoders.load_encoder(folder / name / "checkpoint")
    layers = list(range(encoder.n_layers + 1))
    means = {"Keras": np.stack([mean for mean, _ in Inference(encoder, layers).pool(clips)])}
    for system, file in FILES.items():
        if "int8" in system:
            path = folder / f"all_{file}"
            encoder.export(path, "litert" if file.endswith("tflite") else "onnx", "int8", layers="all")
            means[system] = np.stack([mean for mean, _ in EncoderRunner(path).pool(clips)])
    print(f"\n## {name}, {len(clips)} clips, centred cosine to Keras: median (5 %, lowest)\n")
    print("| layer |", " | ".join(list(means)[1:]), "|")
    print("|---|" + "---|" * (len(means) - 1))
    for layer in layers:
        cells = [str(layer)]
        for system in list(means)[1:]:
            a, b = (found[:, layer] - found[:, layer].mean(axis=0) for found in (means["Keras"], means[system]))
            cosines = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            cells.append(f"{np.median(cosines):.4f} ({np.quantile(cosines, 0.05):.3f}, {cosines.min():.3f})")
        print("| " + " | ".join(cells) + " |")
    if probe:
        layer = PROBED_LAYERS[name]
        states = {system: found[:, layer] for system, found in means.items()}
        show_probe(states, layer, manifest.emotion.to_numpy(), manifest.speaker.to_numpy())


def show_probe(means: dict[str, np.ndarray], layer: int, labels: np.ndarray, speakers: np.ndarray) -> None:
    """Print the unweighted average recall of a probe on one layer, all speakers unheard."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    print(f"\n## Probe: {', '.join(PROBED)}, {len(labels)} clips, one speaker left out, layer {layer}\n")
    for name, states in means.items():
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        said = cross_val_predict(probe, states, labels, groups=speakers, cv=LeaveOneGroupOut())
        print(f"- {name}: UAR {balanced_accuracy_score(labels, said):.3f}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        return peer(given.peer, given.arguments[0], int(given.arguments[1]))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for encoder in prepare(folder, given.data.parent / "models" / "whisper-base-encoder"):
            show_times(folder, encoder, given.rounds)
        for encoder in PROBED_LAYERS:
            if (folder / encoder).is_dir() and given.data.is_dir():
                compare_states(given.data, folder, encoder, given.probe)


if __name__ == "__main__":
    sys.exit(main())
