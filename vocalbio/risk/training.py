"""Networks trained from one seed or from where they stand, and what they say of new samples."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import required_for
from vocalbio.networks import build_bilstm, build_cnn, build_dense, build_hybrid, build_tcn, build_transformer

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = [
    "EPOCHS",
    "NETWORKS",
    "PRESETS",
    "SCHEDULES",
    "SEQUENTIAL",
    "Material",
    "Plan",
    "join",
    "members",
    "predict",
    "train",
]

SEQUENTIAL: dict[str, Callable[..., keras.Model]] = {
    "bilstm": build_bilstm,
    "tcn": build_tcn,
    "transformer": build_transformer,
    "cnn": build_cnn,
}
"""Networks that take sequences."""
NETWORKS: dict[str, Callable[..., keras.Model]] = {"dense": build_dense, "hybrid": build_hybrid, **SEQUENTIAL}
PRESETS = {name: ["published", "small"] for name in NETWORKS} | {
    "dense": ["published", "small", "wav2vec2"],
    "bilstm": ["published", "small", "night"],
}
EPOCHS = {"published": 120, "small": 80, "wav2vec2": 80, "night": 80}
"""Passes over the training rows by preset: it learns slowly, or fast enough to have settled."""
SCHEDULES = ("constant", "cosine")
CHUNK = 256  # samples answered at once


@dataclass(frozen=True)
class Plan:
    """
    How a network is trained.

    Attributes
    ----------
    network, preset, loss : str
        As in `vocalbio.networks`.
    epochs : int
        Passes over the samples.
    horizon : int
        Passes after which a falling learning rate would reach 0: `epochs`, or more if training ends early.
    schedule : {"constant", "cosine"}
    batch_size : int
        Batches are of equal size, as near to it as the samples allow; what remains is left out of that epoch.
    pooling : str or None
        As in `vocalbio.networks`, for a network of sequences.
    families : tuple of str
        For network ``"hybrid"``: the family of each input.
    """

    network: str
    preset: str
    loss: str
    epochs: int
    horizon: int
    schedule: str
    batch_size: int
    pooling: str | None = None
    families: tuple[str, ...] = ()

    def build(self, n_inputs: int, n_outputs: int, seed: int) -> keras.Model:
        """Make the network, untrained."""
        settings: dict[str, Any] = {"preset": self.preset, "loss": self.loss, "seed": seed}
        if self.network == "hybrid":
            families = np.array(self.families)
            branches = {name: np.flatnonzero(families == name).tolist() for name in dict.fromkeys(self.families)}
            return build_hybrid(branches, n_outputs, **settings)
        if self.network in SEQUENTIAL:
            settings["pooling"] = self.pooling
        return NETWORKS[self.network](n_inputs, n_outputs, **settings)


@dataclass(frozen=True, eq=False)
class Material:
    """
    Samples as a network takes them.

    Attributes
    ----------
    rows : ndarray of float32, shape (n_rows, n_inputs)
        Samples, or the segments of all samples one after another.
    lengths : ndarray of int, shape (n,), or None
        Segments of each sample.
    targets : ndarray of float, shape (n, n_outputs)
    weights : ndarray of float, shape (n,)
        Of each sample in the loss.
    """

    rows: NDArray[np.float32]
    lengths: NDArray[np.int64] | None
    targets: NDArray[np.float64]
    weights: NDArray[np.float64]


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
        self.learning_rate = float(model.optimizer.learning_rate)

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

        @tf.function(reduce_retracing=True)
        def judge(inputs: Any, targets: Any, weights: Any) -> Any:
            said = model(inputs if len(inputs) > 1 else inputs[0], training=False)
            return model.compute_loss(inputs, targets, said, weights)

        self.run, self.judge = run, judge


def _copy(values: Any, variables: Any) -> None:
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)


@lru_cache(maxsize=16)
def _bench(plan: Plan, n_inputs: int, n_outputs: int) -> _Bench:
    return _Bench(plan.build(n_inputs, n_outputs, seed=0))


def train(
    plan: Plan,
    material: Material,
    seed: int,
    *,
    start: keras.Model | None = None,
    watched: Material | None = None,
    patience: int | None = None,
    verbose: int = 0,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """
    Train a network.

    Parameters
    ----------
    plan : Plan
    material : Material
    seed : int
        Decides weights, order and dropout. No generator but its own is touched.
    start : keras.Model, optional
        Trained weights to go on from; it stays as it is.
    watched : Material, optional
        Samples that are not trained on, whose loss is taken after each epoch.
    patience : int, optional
        End after so many epochs without a lower loss of `watched`.
    verbose : int
        0 quiet, else a progress bar.

    Returns
    -------
    network : keras.Model
        As it is after the last epoch.
    history : dict of str to list of float
        ``loss`` of every epoch, and ``val_loss`` where something is watched.
    """
    with required_for("training a network", "tensorflow"):
        import tensorflow as tf
    from tqdm.auto import tqdm

    n_inputs, (n, n_outputs) = material.rows.shape[1], material.targets.shape
    trained = plan.build(n_inputs, n_outputs, seed)
    if start is not None:
        _copy([variable.numpy() for variable in start.weights], trained.weights)
    inputs, targets, weights = _tensors(material)
    steps = -(-n // plan.batch_size)
    size = n // steps
    generator = np.random.default_rng(seed)
    # how long it is trained is no part of its shape
    bench = _bench(replace(plan, epochs=0, horizon=0, schedule="", batch_size=0), n_inputs, n_outputs)
    history: dict[str, list[float]] = {"loss": []} if watched is None else {"loss": [], "val_loss": []}
    with bench.lock:
        _copy(trained.variables, bench.model.variables)
        _copy(bench.fresh, bench.model.optimizer.variables)
        for epoch in tqdm(range(plan.epochs), desc="Training", unit="epoch", disable=not verbose):
            if plan.schedule == "cosine":
                fraction = 0.5 * (1 + math.cos(math.pi * epoch / plan.horizon))
                bench.model.optimizer.learning_rate.assign(bench.learning_rate * fraction)
            order = generator.permutation(n)[: steps * size].reshape(steps, size)
            history["loss"].append(float(bench.run(tf.constant(order), inputs, targets, weights)))
            if watched is not None:
                history["val_loss"].append(_loss(bench, watched))
                if patience is not None and epoch - int(np.argmin(history["val_loss"])) >= patience:
                    break
        _copy(bench.model.variables, trained.variables)
    return trained, history


def _tensors(material: Material) -> tuple[list[Any], Any, Any]:
    import tensorflow as tf

    inputs = [tf.constant(array) for array in _inputs(material.rows, material.lengths)]
    return inputs, tf.constant(material.targets, tf.float32), tf.constant(material.weights, tf.float32)


def _loss(bench: _Bench, material: Material) -> float:
    """Mean loss of samples that are not trained on, in chunks."""
    inputs, targets, weights = _tensors(material)
    n = len(targets)
    total = 0.0
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        loss = bench.judge([array[part] for array in inputs], targets[part], weights[part])
        total += float(loss) * len(targets[part])
    return total / n


def join(networks: Sequence[keras.Model]) -> keras.Model:
    """
    Make one network of several: the mean of what they say.

    Parameters
    ----------
    networks : sequence of keras.Model
        Of the same shape.

    Returns
    -------
    keras.Model
        The network itself where there is only one.
    """
    if len(networks) == 1:
        return networks[0]
    import keras

    parts = [
        keras.Model(network.inputs, network.outputs, name=f"network_{number}")
        for number, network in enumerate(networks)
    ]
    inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in networks[0].inputs]
    said = [part(inputs if len(inputs) > 1 else inputs[0]) for part in parts]
    said = [one[0] if isinstance(one, (list, tuple)) else one for one in said]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], keras.layers.Average(name="mean")(said))


def members(network: keras.Model) -> list[keras.Model]:
    """Take the networks apart that `join` put together."""
    found = [layer for layer in network.layers if layer.name.startswith("network_")]
    return found or [network]


def predict(network: keras.Model, rows: NDArray[np.float32], lengths: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """
    Ask a network.

    Parameters
    ----------
    network : keras.Model
    rows, lengths : ndarray
        As in `Material`.

    Returns
    -------
    ndarray of float, shape (n, n_outputs)
    """
    inputs = _inputs(rows, lengths)
    found = [np.empty((0, network.output_shape[-1]))]
    for start in range(0, len(inputs[0]), CHUNK):
        chunk = [array[start : start + CHUNK] for array in inputs]
        found.append(np.asarray(network(chunk if len(chunk) > 1 else chunk[0], training=False), float))
    return np.concatenate(found)


def _inputs(rows: NDArray[np.float32], lengths: NDArray[np.int64] | None) -> list[NDArray[Any]]:
    """Rows as they are, or samples padded on the right and their mask."""
    if lengths is None:
        return [rows]
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    values = np.zeros((*mask.shape, rows.shape[1]), np.float32)
    values[mask] = rows
    return [values, mask]
