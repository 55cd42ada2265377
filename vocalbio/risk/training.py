"""One network trained from one seed, and what it says of new rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import required_for
from vocalbio.networks import build_bilstm, build_dense

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = ["NETWORKS", "answer", "train"]

NETWORKS = {"dense": build_dense, "bilstm": build_bilstm}
CHUNK = 256  # rows answered at once


@dataclass
class _Bench:
    """
    A network to train on, over and over.

    What TensorFlow compiles for a training step takes longer than a small network trains, and some of its
    memory (6 MB a network, measured) is never given back. So all networks of one shape are trained in one
    place, which takes over their weights, and gives them back.
    """

    network: keras.Model
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.network.optimizer.build(self.network.trainable_variables)
        self.fresh = [variable.numpy() for variable in self.network.optimizer.variables]

    def train(self, network: keras.Model, dataset: Any, **how: Any) -> None:
        with self.lock:
            _copy(network.variables, self.network.variables)
            _copy(self.fresh, self.network.optimizer.variables)
            self.network.fit(dataset, shuffle=False, **how)
            _copy(self.network.variables, network.variables)


def _copy(values: Any, variables: Any) -> None:
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)


@lru_cache(maxsize=16)
def _bench(network: str, preset: str, n_inputs: int, n_outputs: int) -> _Bench:
    return _Bench(NETWORKS[network](n_inputs, n_outputs, preset=preset))


def train(
    network: str,
    preset: str,
    inputs: list[NDArray[Any]],
    codes: NDArray[np.intp],
    n_classes: int,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    verbose: int = 0,
) -> keras.Model:
    """
    Train a network.

    Parameters
    ----------
    network : {"dense", "bilstm"}
    preset : str
    inputs : list of ndarray, each of shape (n, ...)
        What the network takes.
    codes : ndarray of int, shape (n,)
        Class of each row.
    n_classes : int
    epochs, batch_size : int
        Batches are of equal size, as near to `batch_size` as the rows allow; of the rows that remain, others
        are left out in every epoch.
    seed : int
        Decides weights, order and dropout. No generator but its own is touched.
    verbose : int, default 0
        As in Keras.

    Returns
    -------
    keras.Model
    """
    with required_for("training a network", "tensorflow"):
        import tensorflow as tf

    n_outputs = 1 if n_classes == 2 else n_classes
    order_seed, network_seed = np.random.SeedSequence(seed).generate_state(2).astype(int).tolist()
    shape = (preset, inputs[0].shape[-1], n_outputs)
    trained = NETWORKS[network](*shape[1:], preset=preset, seed=network_seed)
    targets = codes[:, None] if n_outputs == 1 else np.eye(n_classes)[codes]

    n_rows = len(codes)
    steps = -(-n_rows // batch_size)
    size = n_rows // steps
    generator = np.random.default_rng(order_seed)
    order = np.concatenate([generator.permutation(n_rows)[: steps * size] for _ in range(epochs)])
    everything = [tf.constant(array) for array in [*inputs, targets.astype(np.float32)]]

    def rows(places: Any) -> tuple[Any, Any]:
        *values, target = (tf.gather(array, places) for array in everything)
        return (values[0] if len(values) == 1 else tuple(values)), target

    # one dataset for all epochs: a new one for each would cost more than the steps
    dataset = tf.data.Dataset.from_tensor_slices(order).batch(size).map(rows)
    _bench(network, *shape).train(trained, dataset, epochs=epochs, steps_per_epoch=steps, verbose=verbose)
    return trained


def answer(network: keras.Model, inputs: list[NDArray[Any]], n_classes: int) -> NDArray[np.float64]:
    """
    Ask a network.

    Parameters
    ----------
    network : keras.Model
    inputs : list of ndarray, each of shape (n, ...)
    n_classes : int

    Returns
    -------
    ndarray of float, shape (n, n_classes)
        Probabilities, which add up to 1.
    """
    import keras

    found = [np.empty((0, network.output_shape[-1]))]
    for start in range(0, len(inputs[0]), CHUNK):
        chunk = [array[start : start + CHUNK] for array in inputs]
        said = network(chunk[0] if len(chunk) == 1 else chunk, training=False)
        found.append(np.asarray(keras.ops.convert_to_numpy(said), float))
    probabilities = np.concatenate(found)
    if n_classes == 2:
        return np.hstack([1 - probabilities, probabilities])
    return probabilities / probabilities.sum(axis=1, keepdims=True)
