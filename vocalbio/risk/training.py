"""One network trained from one seed, and what it says of new samples."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import required_for
from vocalbio.networks import build_bilstm, build_dense

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = ["EPOCHS", "NETWORKS", "predict", "train"]

NETWORKS = {"dense": build_dense, "bilstm": build_bilstm}
EPOCHS = {"published": 120, "small": 80}
"""Passes over the training rows by preset: it learns slowly, or is small enough to have settled."""
CHUNK = 256  # samples answered at once


class _Bench:
    """
    A network to train on, over and over.

    What TensorFlow compiles for a training step takes longer than a small network trains, and megabytes of it are
    never given back. So all networks of one shape are trained in one place, which takes over their weights and
    then returns them.
    """

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf

        self.model, self.lock = model, threading.Lock()
        model.optimizer.build(model.trainable_variables)
        self.fresh = [variable.numpy() for variable in model.optimizer.variables]

        # what is given by the caller, not captured, does not have to be compiled again for the next cohort
        @tf.function(reduce_retracing=True)
        def run(order: Any, inputs: Any, targets: Any, weights: Any) -> Any:
            loss = 0.0
            for step in tf.range(tf.shape(order)[0]):
                rows = order[step]
                x, y = [tf.gather(array, rows) for array in inputs], tf.gather(targets, rows)
                with tf.GradientTape() as tape:
                    said = model(x if len(x) > 1 else x[0], training=True)
                    cost = model.compute_loss(x, y, said, tf.gather(weights, rows))
                gradients = tape.gradient(cost, model.trainable_variables)
                model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
                loss += cost
            return loss / tf.cast(tf.shape(order)[0], tf.float32)

        self.run = run


def _copy(values: Any, variables: Any) -> None:
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)


@lru_cache(maxsize=16)
def _bench(network: str, preset: str, n_inputs: int, n_outputs: int) -> _Bench:
    return _Bench(NETWORKS[network](n_inputs, n_outputs, preset=preset, seed=0))


def train(
    network: str,
    preset: str,
    rows: NDArray[np.float32],
    lengths: NDArray[np.int64] | None,
    codes: NDArray[np.int64],
    n_classes: int,
    *,
    class_weight: str | None,
    epochs: int | None,
    batch_size: int,
    seed: int,
    verbose: int = 0,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """
    Train a network.

    Parameters
    ----------
    network : {"dense", "bilstm"}
    preset : {"published", "small"}
    rows : ndarray of float32, shape (n_rows, n_inputs)
        Samples, or the segments of all samples one after another.
    lengths : ndarray of int, shape (n,), or None
        Segments of each sample.
    codes : ndarray of int, shape (n,)
        Class of each sample.
    n_classes : int
    class_weight : {None, "balanced"}
        Balanced: every class has the same weight in the loss, whatever its size.
    epochs : int or None
        None: what `EPOCHS` says of the preset.
    batch_size : int
        Batches are of equal size, as near to it as the samples allow; what remains is left out of that epoch.
    seed : int
        Decides weights, order and dropout. No generator but its own is touched.
    verbose : int
        0 quiet, else a progress bar.

    Returns
    -------
    network : keras.Model
    history : dict of str to list of float
        ``loss`` of every epoch.
    """
    with required_for("training a network", "tensorflow"):
        import tensorflow as tf
    from tqdm.auto import tqdm

    n_outputs = 1 if n_classes == 2 else n_classes
    trained = NETWORKS[network](rows.shape[1], n_outputs, preset=preset, seed=seed)
    targets = codes[:, None] if n_outputs == 1 else np.eye(n_classes)[codes]
    weights = np.ones(n_classes)
    if class_weight == "balanced":
        counts = np.bincount(codes, minlength=n_classes)
        weights = len(codes) / (n_classes * np.maximum(counts, 1))
    inputs = [tf.constant(array) for array in _inputs(rows, lengths)]
    targets, weight_of_row = tf.constant(targets, tf.float32), tf.constant(weights[codes], tf.float32)

    steps = -(-len(codes) // batch_size)
    size = len(codes) // steps
    generator = np.random.default_rng(seed)
    bench = _bench(network, preset, rows.shape[1], n_outputs)
    history = []
    with bench.lock:
        _copy(trained.variables, bench.model.variables)
        _copy(bench.fresh, bench.model.optimizer.variables)
        passes = EPOCHS[preset] if epochs is None else epochs
        for _ in tqdm(range(passes), desc="Training", unit="epoch", disable=not verbose):
            order = generator.permutation(len(codes))[: steps * size].reshape(steps, size)
            history.append(float(bench.run(tf.constant(order), inputs, targets, weight_of_row)))
        _copy(bench.model.variables, trained.variables)
    return trained, {"loss": history}


def predict(network: keras.Model, rows: NDArray[np.float32], lengths: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """
    Ask a network.

    Parameters
    ----------
    network : keras.Model
    rows, lengths : ndarray
        As in `train`.

    Returns
    -------
    ndarray of float, shape (n, n_classes)
        Probabilities, which add up to 1.
    """
    inputs = _inputs(rows, lengths)
    found = [np.empty((0, network.output_shape[-1]))]
    for start in range(0, len(inputs[0]), CHUNK):
        chunk = [array[start : start + CHUNK] for array in inputs]
        found.append(np.asarray(network(chunk if len(chunk) > 1 else chunk[0], training=False), float))
    probabilities = np.concatenate(found)
    if probabilities.shape[1] == 1:
        return np.hstack([1 - probabilities, probabilities])
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _inputs(rows: NDArray[np.float32], lengths: NDArray[np.int64] | None) -> list[NDArray[Any]]:
    """Rows as they are, or samples padded on the right and their mask."""
    if lengths is None:
        return [rows]
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    values = np.zeros((*mask.shape, rows.shape[1]), np.float32)
    values[mask] = rows
    return [values, mask]
