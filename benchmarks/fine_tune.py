"""
An encoder fine-tuned on RAVDESS against its frozen twin: neutral, sad, fearful (taken for anxious), speakers apart.

    VOCALBIO_DATA=DATA python benchmarks/fine_tune.py ENCODER --freeze 2 --seeds 3
    VOCALBIO_DATA=DATA python benchmarks/fine_tune.py STUDENT_OF_A --encoder-for-half A=STUDENT_OF_B --freeze front

- Four folds of four actors, two women and two men each; test speakers are never trained on. Half A is A01 to A08, half
  B the others. An encoder that was itself trained on one half is asked only about speakers of the other: ENCODER about
  half B, that of --encoder-for-half about half A.
- Both networks: the same weighted sum of hidden states, mean and deviation over time, standardisation, dropout and
  output, clips at their own length, AdamW, cosine schedule with warm-up, classes weighed alike, a fixed number of
  epochs, the same seeds. Nothing is chosen on test speakers. One of them trains the encoder above what --freeze says,
  with SpecAugment (--time-masks); the other leaves it as it was, and has no masks.
- Hidden states that no training changes are computed once (always for the twin; with --time-masks 0 and --freeze of a
  number for the other).
- UAR over clips; the difference is paired over speakers, 1000 draws, the mean over seeds.
- Finished folds are kept in benchmarks/results/fine_tune.work, so that a second call goes on where one stopped.
- --trial SECONDS times a few steps and says what the whole would cost; it trains nothing else.

Acted emotion is not clinical stress.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import vocalbio as vb
from vocalbio.conditions import get_condition
from vocalbio.evaluation import Evaluation, compare, cross_validate

CLASSES = get_condition("stress").classes or ()
HALF_A = {f"A{n:02d}" for n in range(1, 9)}
WORK = Path("benchmarks/results/fine_tune.work")
BATCH = 16
LEARNING_RATE, ENCODER_RATE, LAYER_DECAY, DROPOUT = 2e-3, 0.05, 0.9, 0.2


def read_manifest(data: Path) -> pd.DataFrame:
    """Clips of the three classes."""
    manifest = pd.read_csv(data / "ravdess" / "manifest.csv")
    manifest = manifest[manifest.emotion.isin(["neutral", "sad", "fearful"])].reset_index(drop=True)
    return manifest.assign(label=manifest.emotion.replace({"fearful": "anxious"}))


@cache
def read_clips(data: Path) -> list[np.ndarray]:
    """Samples, in the order of the manifest."""
    return [vb.load_audio(data / "ravdess" / file).samples for file in read_manifest(data).file]


class EndToEnd(ClassifierMixin, BaseEstimator):
    """
    An encoder, its pooling and its head, trained on rows of the manifest: X holds their numbers.

    Parameters
    ----------
    data : path
        Folder of the recordings.
    encoder, encoder_a : path
        Checkpoint for test speakers of half B, and of half A.
    freeze : {"front", "all"} or int
        See `vocalbio.networks.build_end_to_end`.
    epochs : int
    time_masks : float
    random_state : int
    """

    def __init__(self, data: Any, encoder: Any, encoder_a: Any, freeze: Any = "all", epochs: int = 12,
                 time_masks: float = 0.0, random_state: int = 0) -> None:  # fmt: skip
        self.data, self.encoder, self.encoder_a, self.freeze = data, encoder, encoder_a, freeze
        self.epochs, self.time_masks, self.random_state = epochs, time_masks, random_state

    def fit(self, X: Any, y: Any, groups: Any) -> EndToEnd:
        """Train on all rows that are given, for the fixed number of epochs."""
        self.classes_ = np.array(CLASSES)
        rows = np.asarray(X)[:, 0].astype(int)
        self.build_(groups, -(-len(rows) // BATCH) * self.epochs)
        order, targets = np.random.default_rng(self.random_state), np.eye(3)[[CLASSES.index(name) for name in y]]
        weight = len(y) / (3 * targets.sum(axis=0))
        weights = dict(enumerate(weight))
        for _ in range(self.epochs):
            shuffled = order.permutation(len(rows))
            for part in np.array_split(shuffled, -(-len(rows) // BATCH)):
                self.network_.train_on_batch(self.inputs_(rows[part]), targets[part], class_weight=weights)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities in the order of the classes."""
        rows = np.asarray(X)[:, 0].astype(int)
        parts = np.array_split(rows, -(-len(rows) // BATCH))
        return np.concatenate([self.network_.predict_on_batch(self.inputs_(part)) for part in parts])

    def build_(self, groups: Any, n_steps: int) -> None:
        """The network, in front of which what never changes is cut off, and what it hears."""
        import keras

        from vocalbio.encoders import load_encoder
        from vocalbio.networks import build_end_to_end

        gc.collect()
        tested = set(read_manifest(self.data).speaker) - set(groups)
        checkpoint = self.encoder_a if tested <= HALF_A else self.encoder
        if self.encoder_a != self.encoder and tested & HALF_A and tested - HALF_A:
            raise ValueError(f"tested are {sorted(tested)}, of both halves: no encoder is new to all of them")
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, n_steps, warmup_target=LEARNING_RATE, warmup_steps=n_steps // 10
        )
        clips, encoder = read_clips(self.data), load_encoder(checkpoint)
        network = build_end_to_end(
            encoder, "stress", freeze=self.freeze, time_masks=self.time_masks, learning_rate=schedule,
            encoder_rate=ENCODER_RATE, layer_decay=LAYER_DECAY, dropout=DROPOUT, seed=self.random_state,
        )  # fmt: skip
        first = encoder.n_layers if self.freeze == "all" else self.freeze
        if isinstance(first, str) or self.time_masks:
            self.network_, self.inputs_ = network, lambda rows: padded([clips[row] for row in rows])
            return
        # states up to the first trained layer, once for all; the rest of the network goes on from there
        states = frozen_states(self.data, checkpoint, first)
        given = keras.Input((None, first + 1, encoder.hidden_size)), keras.Input((None,), dtype="bool")
        below = [given[0][:, :, number] for number in range(first + 1)]
        above = upper_layers(encoder, first)(below[-1], mask=given[1]) if first < encoder.n_layers else []
        head = keras.Model(network.get_layer("speech").output, network.output)
        self.network_ = keras.Model(given, head([*below, *above, given[1]]))
        self.network_.compile(network.optimizer, network.loss, jit_compile=False)
        self.inputs_ = lambda rows: list(padded([states[row] for row in rows]).values())


def upper_layers(encoder: Any, first: int) -> Any:
    """What an encoder has above one of its layers, as a layer of Keras."""
    import keras

    class Above(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def call(self, x: Any, mask: Any, training: bool = False) -> Any:
            return encoder.transform(x, mask, range(first + 1, encoder.n_layers + 1), training, first=first)

        def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
            return None

    return Above()


@cache
def frozen_states(data: Path, checkpoint: Path, last: int) -> list[np.ndarray]:
    """Hidden states 0 to `last` of every clip, (n_frames, last + 1, hidden_size)."""
    from vocalbio.encoders import load_encoder
    from vocalbio.encoders.inference import Inference

    inference = Inference(load_encoder(checkpoint), range(last + 1))
    return [inference.frames(samples)[0] for samples in read_clips(data)]


def padded(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of unequal lengths as one, and where they are real."""
    mask = np.arange(max(map(len, arrays))) < np.array([len(array) for array in arrays])[:, None]
    waveform = np.zeros((*mask.shape, *arrays[0].shape[1:]), np.float32)
    waveform[mask] = np.concatenate(arrays)
    return {"waveform": waveform, "mask": mask}


def folds(manifest: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Four actors are tested at a time, neighbours by number: two women and two men, of one half."""
    block = (manifest.speaker.str[1:].astype(int) - 1) // 4
    for number in sorted(set(block)):
        yield np.flatnonzero(block != number), np.flatnonzero(block == number)


def judge(model: EndToEnd, seeds: int) -> Evaluation:
    """Train and test on every fold."""
    from vocalbio.encoders import open_checkpoint

    manifest = read_manifest(model.data)
    # a fold is known by the model's parameters; other weights or rates have a folder of their own
    recipe = [BATCH, LEARNING_RATE, ENCODER_RATE, LAYER_DECAY, DROPOUT]
    weights = [open_checkpoint(folder).weights for folder in (model.encoder, model.encoder_a)]
    work = WORK / hashlib.sha256(json.dumps([recipe, weights]).encode()).hexdigest()[:12]
    return cross_validate(
        model, np.arange(len(manifest), dtype=float)[:, None], manifest.label.to_numpy(),
        groups=manifest.speaker.to_numpy(), cv=list(folds(manifest)), seeds=tuple(range(seeds)), baselines=False,
        breakdown=[], check_audio=False, metrics=["uar", "auroc", "brier", "ece"], work_dir=work, progress=True,
    )  # fmt: skip


def trial(model: EndToEnd, seconds: float, seeds: int) -> str:
    """What all folds of a model would cost, by a few steps of the first one."""
    manifest = read_manifest(model.data)
    train, _ = next(iter(folds(manifest)))
    began = time.perf_counter()
    model.build_(manifest.speaker.to_numpy()[train], 100)
    targets = np.eye(3)[[CLASSES.index(name) for name in manifest.label]]
    losses, times = [], []
    rows = np.random.default_rng(0).permutation(train)[:BATCH]
    model.network_.train_on_batch(model.inputs_(rows), targets[rows])  # builds the graph
    built = time.perf_counter() - began
    computing = time.process_time()
    while sum(times) < seconds:
        began = time.perf_counter()
        losses.append(model.network_.train_on_batch(model.inputs_(rows), targets[rows], return_dict=True)["loss"])
        times.append(time.perf_counter() - began)
    computing = (time.process_time() - computing) / len(times)
    step, n_steps = float(np.median(times)), -(-len(train) // BATCH) * model.epochs
    return (
        f"freeze={model.freeze!r}: {built:.0f} s before the first step, {step:.2f} s a step of {BATCH} clips "
        f"({computing:.2f} s of processors), loss on "
        f"them {losses[0]:.3f} → {losses[-1]:.3f} in {len(losses)} steps; {n_steps} steps a fold, in all "
        f"{seeds * 4 * (built + step * n_steps) / 60:.0f} min for {seeds} seeds"
    )


def report(tuned: Evaluation, frozen: Evaluation) -> str:
    """Both, and the difference."""
    lines = ["| | UAR [95 % over speakers] | AUROC | Brier | ECE |", "| --- | --- | --- | --- | --- |"]
    for name, found in (("fine-tuned", tuned), ("frozen twin", frozen)):
        summary = found.summary("recording", ["uar", "auroc", "brier", "ece"]).loc[found.model]
        lines.append(f"| {name} | {' | '.join(summary)} |")
    found = compare(tuned, frozen, level="recording")
    lines += ["", "Fine-tuned − frozen, paired over speakers:", ""]
    lines += [
        f"- {metric}: {line['difference']:+.3f} [{line['low']:+.3f}, {line['high']:+.3f}]"
        for metric, line in found.loc[["uar", "auroc", "brier", "ece"]].iterrows()
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path, help="folder of a checkpoint")
    parser.add_argument("--encoder-for-half", metavar="A=FOLDER", help="the encoder that never heard half A")
    parser.add_argument("--data", type=Path, default=os.environ.get("VOCALBIO_DATA", "../shared/data"))
    parser.add_argument("--freeze", default="front", help="front, or the number of layers that stay as they are")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--time-masks", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--trial", type=float, metavar="SECONDS")
    given = parser.parse_args()
    half, _, folder = (given.encoder_for_half or f"A={given.encoder}").partition("=")
    if half != "A" or not folder:
        parser.error(f"--encoder-for-half is {given.encoder_for_half!r}; expected A=FOLDER")
    freeze = int(given.freeze) if given.freeze.isdigit() else given.freeze
    shared = {"data": Path(given.data), "encoder": given.encoder, "encoder_a": Path(folder), "epochs": given.epochs}
    tuned = EndToEnd(**shared, freeze=freeze, time_masks=given.time_masks)
    frozen = EndToEnd(**shared, freeze="all")
    warnings.simplefilter("ignore")
    if given.trial:
        for model in (tuned, frozen):
            print(trial(model, given.trial, given.seeds), flush=True)
        return
    print(report(judge(tuned, given.seeds), judge(frozen, given.seeds)))


if __name__ == "__main__":
    main()
