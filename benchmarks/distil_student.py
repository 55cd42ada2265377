"""
Distil a compact wav2vec 2.0 encoder from Whisper's: prepare the material, train, write a checkpoint.

    python benchmarks/distil_student.py prepare --wider --teacher MODELS/whisper-base-encoder
    python benchmarks/distil_student.py train A                  # 2,400 steps; has never heard half B
    python benchmarks/distil_student.py train B
    python benchmarks/distil_student.py train A-2 --start A --wider --rate 5e-4
    python benchmarks/distil_student.py train B-2 --start B --wider --rate 5e-4
    python benchmarks/distil_student.py train all-2 --start A --wider --rate 5e-4 --steps 3000
    python benchmarks/distil_student.py ship all-2               # into the package, in float16

The student sees raw audio with noise, reverberation and missing bands; its targets come from the clean audio: states of
several of the teacher's layers, frame by frame, their mean over the piece (what an embedding is), openSMILE's low-level
descriptors and the log-mel spectrum, each through a linear projection that is thrown away.

Halves are speakers: A is actors 01 to 08 and two speakers of nEMO, B the others. Resumes where it was stopped; writes
WORK/<name>/log.csv, and the student in WORK/<name>/student/ in Hugging Face's format.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHIPPED = Path(__file__).parents[1] / "vocalbio/encoders/shipped/compact"
RATE = 16_000
FRAME = 320
LAYERS = (2, 4)
N_MELS = 80
HALF_A = {*(f"A{n:02d}" for n in range(1, 9)), "EB0", "WR0"}
"""Four women and four men of RAVDESS, one of each of nEMO; half B are the others."""
HALVES = ("A", "B", "all")
SPEEDS = (0.88, 1.14)
SHARES = {"ravdess": 0.4, "nemo": 0.28, "synthetic": 0.12, "sounds": 0.2}
MADE = {"synthetic": 900, "sounds": 900}
"""Corpora that are made, and of how many clips."""
SOUNDS = ("snore", "inhale", "exhale", "cough", "alarm", "steps", "rustle", "handling", "fan", "tones", "noise")
PIECES = ((1.6, 30), (2.4, 20), (4.0, 12))  # seconds and pieces a step: 48 s of sound each
VOICES = ("en", "en-us", "pl", "de", "fr-fr", "es", "it", "pt", "nl", "sv", "cs", "ru", "tr", "hu", "fi", "el")
VARIANTS = ("", *(f"+m{n}" for n in range(1, 8)), *(f"+f{n}" for n in range(1, 6)), "+croak", "+whisper")

STUDENT = {
    "conv_dim": (64, 96, 128, 160, 192, 192, 192),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_bias": False,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "intermediate_size": 1024,
    "num_attention_heads": 4,
    "num_conv_pos_embeddings": 64,
    "num_conv_pos_embedding_groups": 8,
    "feat_extract_norm": "group",
    "do_stable_layer_norm": True,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
    "vocab_size": 32,
}
STUDENT_LAYERS = (3, 6)
"""Layers of the student that the teacher's are projected from."""


# ---------------------------------------------------------------- material


def material(wider: bool) -> list[tuple[str, float]]:
    """Corpora and speeds that are trained on."""
    plain = [(corpus, 1.0) for corpus in SHARES if wider or corpus != "sounds"]
    return plain + [(corpus, speed) for speed in SPEEDS for corpus in ("ravdess", "nemo")] * wider


def recordings(corpus: str, data: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Speaker and samples of every clip of a corpus."""
    import vocalbio as vb

    if corpus in MADE:
        yield from {"synthetic": synthetic_voices, "sounds": made_sounds}[corpus](MADE[corpus])
        return
    table = pd.read_csv(data / corpus / "manifest.csv")
    for row in table.itertuples():
        yield row.speaker, vb.load_audio(data / corpus / row.file).samples


def synthetic_voices(n: int) -> Iterator[tuple[str, np.ndarray]]:
    """Made-up words by espeak-ng, at many pitches, rates and accents."""
    import soundfile
    import soxr

    rng = np.random.default_rng(0)
    onsets = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "sh", "ch", "st", "tr")
    vowels, codas = ("a", "e", "i", "o", "u", "ai", "ou"), ("", "n", "r", "s", "t")
    for number in range(n):
        words = [
            "".join(rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas) for _ in range(rng.integers(1, 4)))
            for _ in range(rng.integers(2, 8))
        ]
        voice = rng.choice(VOICES) + rng.choice(VARIANTS)
        spoken = subprocess.run(
            ["espeak-ng", "-v", voice, "-s", str(rng.integers(90, 280)), "-p", str(rng.integers(5, 96)), "--stdout",
             " ".join(words) + rng.choice([".", "?", "!"])],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        samples, rate = soundfile.read(io.BytesIO(spoken), dtype="float32")
        yield f"synthetic{number}", soxr.resample(samples, rate, RATE).astype("float32")


def made_sounds(n: int) -> Iterator[tuple[str, np.ndarray]]:
    """Snores, breaths, coughs, alarms, steps and the like, by formulas: one to three kinds, again and again."""
    for number in range(n):
        rng = np.random.default_rng([2, number])
        length = int(rng.uniform(2.0, 6.0) * RATE)
        samples = np.zeros(length)
        for kind in rng.choice(SOUNDS, rng.integers(1, 4), replace=False):
            start, gap = int(rng.uniform(0, 0.5) * RATE), rng.uniform(0.0, 1.5) * RATE
            sound, gain = made_sound(str(kind), rng), 10 ** rng.uniform(-1.0, 0.0)
            while start < length:
                part = sound[: length - start]
                samples[start : start + len(part)] += gain * rng.uniform(0.5, 1.0) * part
                start += len(sound) + int(gap * rng.uniform(0.7, 1.3))
        yield f"sound{number}", samples.astype("float32")


def made_sound(kind: str, rng: np.random.Generator) -> np.ndarray:
    """One sound, faster or slower than its formula has it; at most 1."""
    import soxr

    from vocalbio.datasets.nights import _synthetic

    times = np.arange(int(rng.uniform(0.2, 4.0) * RATE)) / RATE
    swell = np.abs(np.sin(np.pi * rng.uniform(0.2, 6.0) * times + rng.uniform(0, 3))) ** rng.uniform(0.0, 3.0)
    if kind == "tones":  # harmonic, gliding: cries, music, engines
        f0 = np.exp(rng.uniform(np.log(40), np.log(1200))) * 2 ** (
            rng.uniform(0, 0.5) * np.sin(rng.uniform(0, 12) * times)
        )
        phase, fall = 2 * np.pi * np.cumsum(f0) / RATE, rng.uniform(0.5, 2.0)
        made = swell * sum(np.sin(k * phase) / k**fall for k in range(1, int(rng.integers(2, 30))))
    elif kind == "noise":  # rain, wind, water, doors
        spectrum = np.fft.rfft(rng.standard_normal(len(times)))
        hertz = np.fft.rfftfreq(len(times), 1 / RATE)
        shape = np.interp(np.log(hertz + 20), np.linspace(3, 9, 12), rng.uniform(-40, 0, 12))
        made = swell * np.fft.irfft(spectrum * 10 ** (shape / 20), len(times))
        made *= np.exp(-times / rng.choice([0.05, 0.3, 100.0]))
    else:
        made = soxr.resample(_synthetic(kind, rng), RATE * rng.uniform(0.7, 1.4), RATE)
    return made / (np.abs(made).max() + 1e-9)


def prepare(corpus: str, speed: float, data: Path, teacher: Path, work: Path) -> None:
    """Write what training reads, at one speed: samples, and targets for every frame of 20 ms."""
    import soxr
    import tensorflow as tf
    from tqdm import tqdm

    import vocalbio as vb

    folder = work / "material" / f"{corpus}@{speed}"
    if (folder / "index.csv").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    encoder = vb.encoders.load_encoder(teacher)

    @tf.function(reduce_retracing=True)
    def states(waveforms: Any, lengths: Any) -> Any:
        mel = encoder.log_mel(waveforms, 2 * encoder.frame_count(lengths))
        return tf.concat(encoder.states(waveforms, lengths, LAYERS)[0], -1), tf.transpose(mel, (0, 2, 1))

    index: list[dict[str, Any]] = []
    n_samples = n_frames = 0
    batch: list[np.ndarray] = []
    with (
        open(folder / "samples.i2", "wb") as audio,
        open(folder / "states.f2", "wb") as deep,
        open(folder / "signal.f2", "wb") as near,
    ):

        def flush() -> None:
            lengths = [len(clip) for clip in batch]
            width = -(-max(lengths) // RATE) * RATE
            padded = np.stack([np.pad(clip, (0, width - len(clip))) for clip in batch])
            found, mel = (part.numpy() for part in states(tf.constant(padded), tf.constant(lengths, "int32")))
            for clip, state, bands in zip(batch, found, mel, strict=True):
                n = len(clip) // FRAME
                frames = vb.extract_frames(vb.Recording(clip, RATE), "prosody")
                slots = np.clip((frames.times_s * RATE / FRAME).astype(int), 0, n - 1)
                lld = pd.DataFrame(frames.values).groupby(slots).mean().reindex(range(n)).to_numpy()
                both = bands[: 2 * n].reshape(n, 2, N_MELS).mean(axis=1)
                np.clip(clip * 32767, -32767, 32767).astype("<i2").tofile(audio)
                state[:n].astype("<f2").tofile(deep)
                np.concatenate([both, lld], axis=1).astype("<f2").tofile(near)
            batch.clear()

        for speaker, samples in tqdm(recordings(corpus, data), desc=corpus, mininterval=20):
            clip = samples if speed == 1 else soxr.resample(samples, RATE * speed, RATE).astype("float32")
            clip = clip[: 12 * RATE] / max(1e-4, 14 * np.sqrt(np.mean(np.square(clip))))
            clip = np.clip(clip - clip.mean(), -1, 1).astype("float32")
            n = len(clip) // FRAME
            if n < 40:
                continue
            place = {"sample": n_samples, "n_samples": len(clip), "frame": n_frames, "n_frames": n}
            index.append({"speaker": speaker, **place})
            n_samples, n_frames = n_samples + len(clip), n_frames + n
            batch.append(clip)
            if len(batch) == 16:
                flush()
        if batch:
            flush()
    pd.DataFrame(index).to_csv(folder / "index.csv", index=False)


@dataclass
class Material:
    """Clips of one corpus on disk."""

    index: pd.DataFrame
    samples: np.ndarray
    states: np.ndarray
    signal: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Material:
        """Map the files; nothing is read yet."""
        index = pd.read_csv(folder / "index.csv")
        n = int(index.n_frames.sum())
        states = np.memmap(folder / "states.f2", "<f2", "r").reshape(n, -1)
        signal = np.memmap(folder / "signal.f2", "<f2", "r").reshape(n, -1)
        return cls(index, np.memmap(folder / "samples.i2", "<i2", "r"), states, signal)

    def of(self, half: str, corpus: str) -> Material:
        """Clips of one half's speakers."""
        if half not in HALVES:
            raise SystemExit(f"half is {half!r}; expected one of {', '.join(HALVES)}")
        if half == "all" or corpus in MADE:
            return self
        heard = self.index.speaker.isin(HALF_A) == (half == "A")
        return Material(self.index[heard], self.samples, self.states, self.signal)


# ---------------------------------------------------------------- pieces


class Pieces:
    """Random pieces of the material: noisy samples in, clean targets out."""

    def __init__(self, parts: list[tuple[Material, float]], noises: list[np.ndarray], seed: int) -> None:
        self.parts, self.noises = parts, noises
        self.shares = np.array([share for _, share in parts]) / sum(share for _, share in parts)
        self.rng = np.random.default_rng(seed)

    def batch(self) -> tuple[np.ndarray, ...]:
        """Samples (n, n_samples), real samples of each, teacher's states, signal targets."""
        seconds, count = PIECES[self.rng.integers(len(PIECES))]
        n_frames = round(seconds * 50)
        width = n_frames * FRAME + 80
        audio = np.zeros((count, width), "float32")
        lengths = np.zeros(count, "int32")
        states = np.zeros((count, n_frames, self.parts[0][0].states.shape[1]), "float16")
        signal = np.full((count, n_frames, self.parts[0][0].signal.shape[1]), np.nan, "float16")
        for i in range(count):
            part = self.parts[self.rng.choice(len(self.parts), p=self.shares)][0]
            row = part.index.iloc[self.rng.integers(len(part.index))]
            begin = int(self.rng.integers(0, max(1, row.n_frames - n_frames + 1)))
            n = min(n_frames, int(row.n_frames) - begin)
            start = int(row["sample"]) + begin * FRAME
            stop = min(start + n * FRAME + 80, int(row["sample"]) + int(row.n_samples))
            piece = part.samples[start:stop].astype("float32") / 32768
            n = min(n, (len(piece) - 400) // FRAME + 1)
            lengths[i] = len(piece)
            audio[i, : len(piece)] = self.disturbed(piece)
            states[i, :n] = part.states[int(row.frame) + begin :][:n]
            signal[i, :n] = part.signal[int(row.frame) + begin :][:n]
        return audio, lengths, states, signal

    def disturbed(self, piece: np.ndarray) -> np.ndarray:
        """Perhaps a room, a narrow band, noise; then as the encoder's own normalisation has it."""
        rng = self.rng
        if rng.random() < 0.25:
            tail = rng.standard_normal(int(rng.uniform(0.1, 0.5) * RATE)).astype("float32")
            tail *= np.exp(-6.9 * np.arange(len(tail)) / len(tail)) * rng.uniform(0.02, 0.15)
            tail[0] = 1.0
            n = len(piece) + len(tail)
            piece = np.fft.irfft(np.fft.rfft(piece, n) * np.fft.rfft(tail, n), n)[: len(piece)]
        if rng.random() < 0.25:
            spectrum = np.fft.rfft(piece)
            hertz = np.fft.rfftfreq(len(piece), 1 / RATE)
            tilt = (np.maximum(hertz, 50) / 1000) ** rng.uniform(-0.4, 0.4)
            lowest, highest = rng.uniform(20, 300), rng.uniform(3000, 9000)
            spectrum *= tilt / (1 + (hertz / highest) ** 8) / (1 + (lowest / (hertz + 1)) ** 4)
            piece = np.fft.irfft(spectrum, len(piece))
        if rng.random() < 0.5:
            if rng.random() < 0.4:
                noise = rng.standard_normal(len(piece))
            else:
                source = self.noises[rng.integers(len(self.noises))]
                noise = np.take(source, np.arange(len(piece)) + rng.integers(len(source)), mode="wrap")
            level = np.sqrt(np.mean(piece**2) / max(1e-12, np.mean(noise**2))) * 10 ** (-rng.uniform(5, 35) / 20)
            piece = piece + level * noise
        piece = piece - piece.mean()
        return (piece / np.sqrt(np.mean(piece**2) + 1e-7)).astype("float32")


def load_noises(data: Path) -> list[np.ndarray]:
    """Sounds that are no speech: only ever mixed in."""
    import vocalbio as vb

    snore = pd.read_csv(data / "snore" / "manifest.csv").query("label == 'non_snoring'").file
    return [vb.load_audio(data / "snore" / name).samples for name in snore]


# ---------------------------------------------------------------- training


class Scales:
    """How the targets are standardised: frames by channel, means of pieces along their principal directions."""

    def __init__(self, parts: list[Material], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        frames, means, near = [], [], []
        for part in parts:
            for row in part.index.iloc[rng.permutation(len(part.index))[:500]].itertuples():
                block = np.asarray(part.states[row.frame : row.frame + row.n_frames], "float32")
                frames.append(block[::5])
                means.append(block.mean(axis=0))
                near.append(np.asarray(part.signal[row.frame : row.frame + row.n_frames][::5], "float32"))
        every = np.concatenate(frames)
        self.mean, self.std = every.mean(axis=0), every.std(axis=0) + 1e-3
        signal = np.concatenate(near)
        self.near_mean, self.near_std = np.nanmean(signal, axis=0), np.nanstd(signal, axis=0) + 1e-3
        # between pieces, by layer: directions that tell clips apart, all made equally loud but for the least
        size = len(self.mean) // len(LAYERS)
        pieces = (np.stack(means) - self.mean) / self.std
        self.directions = []
        for number in range(len(LAYERS)):
            block = pieces[:, number * size : (number + 1) * size]
            values, vectors = np.linalg.eigh(np.cov(block.T))
            keep = np.argsort(values)[::-1][:128]
            scale = np.sqrt(values[keep] + 0.1 * values[keep].mean())
            self.directions.append((vectors[:, keep] / scale).astype("float32"))


def train(
    name: str, start: str | None, steps: int, work: Path, data: Path, rate: float, without: list[str], wider: bool
) -> None:
    """Train for so many steps, from fresh weights or those of another run."""
    import keras
    import tensorflow as tf
    from transformers import Wav2Vec2Config

    import vocalbio as vb

    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    half = name.split("-")[0]
    if start and half not in ("all", start.split("-")[0]):
        raise SystemExit(f"{name} cannot start from {start}: it would have heard the other half")
    recipe = {"start": start, "steps": steps, "rate": rate, "without": without, "wider": wider}
    parts = []
    for corpus, share in SHARES.items():
        folders = [work / "material" / f"{corpus}@{speed}" for made, speed in material(wider) if made == corpus]
        parts += [(Material.open(found).of(half, corpus), share / len(folders)) for found in folders]
    scales = Scales([part for part, _ in parts])

    gpu = bool(tf.config.list_physical_devices("GPU"))
    keras.config.set_dtype_policy("mixed_bfloat16")
    student = vb.encoders.TFWav2Vec2Model(Wav2Vec2Config(**STUDENT))
    n_deep, n_near = scales.mean.size // len(LAYERS), scales.near_mean.size
    heads = [keras.layers.Dense(n_deep, dtype="float32", name=f"layer_{layer}") for layer in LAYERS]
    heads.append(keras.layers.Dense(n_near, dtype="float32", name="signal"))
    student(np.zeros((1, 16_000), "float32"))
    for head in heads:
        head.build((None, STUDENT["hidden_size"]))
    variables = [*student.trainable_variables, *(v for head in heads for v in head.trainable_variables)]
    optimizer = keras.optimizers.AdamW(0.0, weight_decay=0.01, clipnorm=5.0, beta_2=0.98)
    optimizer.build(variables)
    everything = [*variables, *optimizer.variables]
    checkpoint = folder / "state.npz"
    step, spent = 0, 0.0
    if checkpoint.exists():
        with np.load(checkpoint) as held:
            for number, variable in enumerate(everything):
                variable.assign(held[f"v{number}"])
            step, spent = int(held["step"]), float(held["spent"])
        print(f"goes on from step {step}, {spent / 3600:.2f} h", flush=True)
    elif start:
        with np.load(work / start / "state.npz") as held:
            for number, variable in enumerate(variables):
                variable.assign(held[f"v{number}"])

    weights = (0.5, 1.0)
    share = {name: 0.0 if name in without else 0.5 for name in ("angle", "mean", "signal")}

    @tf.function(reduce_retracing=True)
    def learn(audio: Any, lengths: Any, states: Any, signal: Any) -> Any:
        deep = (tf.cast(states, tf.float32) - scales.mean) / scales.std
        near = (tf.cast(signal, tf.float32) - scales.near_mean) / scales.near_std
        known = tf.math.is_finite(near)
        near = tf.where(known, tf.clip_by_value(near, -4.0, 4.0), 0.0)
        with tf.GradientTape() as tape:
            found, mask = student.states(audio, lengths, (*STUDENT_LAYERS, 2), training=True)
            real = tf.cast(mask, tf.float32)[..., None]
            n_real = tf.reduce_sum(real)
            losses = []
            for number in range(len(LAYERS)):
                part = slice(number * n_deep, (number + 1) * n_deep)
                truth = deep[..., part]
                said = heads[number](tf.cast(found[number], tf.float32))
                away = tf.abs(said - tf.clip_by_value(truth, -6.0, 6.0)) * real
                distance = tf.reduce_sum(away) / n_real / n_deep
                sizes = tf.norm(said + 1e-6, axis=-1) * tf.norm(truth, axis=-1) + 1e-6
                alike = tf.reduce_sum(said * truth, -1) / sizes
                angle = 1 - tf.reduce_sum(alike * real[..., 0]) / n_real
                between = tf.reduce_sum((said - truth) * real, 1) / tf.reduce_sum(real, 1)
                mean = tf.reduce_mean(tf.abs(tf.matmul(between, scales.directions[number])))
                losses.append((distance, angle, mean))
            heard = heads[-1](tf.cast(found[-1], tf.float32))
            seen = tf.cast(known, tf.float32) * real
            close = tf.reduce_sum(tf.abs(heard - near) * seen) / tf.reduce_sum(seen)
            total = share["signal"] * close
            for weight, (d, a, m) in zip(weights, losses, strict=True):
                total += weight * (d + share["angle"] * a + share["mean"] * m)
        optimizer.apply(tape.gradient(total, variables), variables)
        return tf.stack([total, *losses[1], losses[0][0], close])

    def keep() -> None:
        np.savez(folder / "part.npz", step=step, spent=spent,
                 **{f"v{number}": np.asarray(v) for number, v in enumerate(everything)})  # fmt: skip
        os.replace(folder / "part.npz", checkpoint)
        student.save_pretrained(folder / "student")

    queue: Queue[tuple[np.ndarray, ...] | Exception] = Queue(4)
    pieces = Pieces(parts, load_noises(data), seed=step)

    def feed() -> None:
        try:
            while True:
                queue.put(pieces.batch())
        except Exception as error:  # whoever waits for pieces raises it
            queue.put(error)

    Thread(target=feed, daemon=True).start()
    shown, last = [], time.monotonic()
    while step < steps:
        falling = 0.5 * (1 + np.cos(np.pi * step / steps))
        optimizer.learning_rate.assign(rate * min(1.0, (step + 1) / 150) * falling + 1e-6)
        batch = queue.get()
        if isinstance(batch, Exception):
            raise batch
        shown.append(learn(*map(tf.constant, batch)).numpy())
        step += 1
        now = time.monotonic()
        spent += min(now - last, 20.0)  # a pause does not count
        last = now
        if step % 50 == 0:
            line = [step, round(spent), *np.mean(shown, axis=0).round(4)]
            with open(folder / "log.csv", "a", newline="") as file:
                csv.writer(file).writerow(line)
            print(line, flush=True)
            shown.clear()
        if step % 250 == 0:
            keep()
    keep()
    (folder / "done.json").write_text(json.dumps({**recipe, "hours": spent / 3600, "gpu": gpu}))


def finished(work: Path, suffix: str = "") -> dict[str, Path]:
    """The students of both halves, made to the end and in the same way."""
    folders = {half: work / f"{half}{suffix}" for half in "AB"}
    recipes = []
    for folder in folders.values():
        if not (folder / "done.json").exists():
            raise SystemExit(f"{folder} is not there, or not trained to the end")
        recipe = json.loads((folder / "done.json").read_text())
        recipes.append({key: recipe[key] for key in ("steps", "rate", "without", "wider")})
    if recipes[0] != recipes[1]:
        raise SystemExit(f"the students were not made in the same way: {recipes[0]} and {recipes[1]}")
    return {half: folder / "student" for half, folder in folders.items()}


def ship(name: str, work: Path) -> None:
    """Put a student into the package, in float16; its card lies there already."""
    from safetensors.numpy import load_file, save_file

    source = work / name / "student"
    if name.split("-")[0] != "all" or not (work / name / "done.json").exists():
        raise SystemExit(f"{name} is not a student of everybody that was trained to the end")
    tensors = load_file(source / "model.safetensors")
    SHIPPED.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "preprocessor_config.json"):
        content = json.loads((source / file).read_text())
        if file == "config.json":
            content["dtype"] = "float32"  # what to compute in: else transformers 5 takes the type of the file
        (SHIPPED / file).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    halved = {name: values.astype(np.float16) for name, values in sorted(tensors.items())}
    save_file(halved, SHIPPED / "model.safetensors", metadata={"format": "pt"})
    (SHIPPED / "model.safetensors").chmod(0o644)
    n = sum(values.size for values in halved.values())
    print(f"{n:,} parameters, {(SHIPPED / 'model.safetensors').stat().st_size / 1e6:.2f} MB in {SHIPPED}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "train", "ship"])
    parser.add_argument("name", nargs="?", default="all", help="A, B or all, perhaps with a suffix: A-wide")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("VOCALBIO_DATA", "../shared/data")))
    parser.add_argument("--teacher", type=Path, default=Path("../shared/models/whisper-base-encoder"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/results/student.work"))
    parser.add_argument("--start", help="name of the run whose weights this one starts from")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument(
        "--without", nargs="*", default=[], choices=["angle", "mean", "signal"],
        help="losses to leave out: to see what they are worth",
    )  # fmt: skip
    parser.add_argument("--wider", action="store_true", help="clips at other speeds and made sounds too")
    given = parser.parse_args()
    if given.what == "prepare":
        for corpus, speed in material(given.wider):
            prepare(corpus, speed, given.data, given.teacher, given.work)
    elif given.what == "ship":
        ship(given.name, given.work)
    else:
        train(given.name, given.start, given.steps, given.work, given.data, given.rate, given.without, given.wider)
