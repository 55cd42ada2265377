"""Keras networks whose recurrent layers are plain loops, which every runtime knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["plain_loops"]


@contextmanager
def plain_loops(network: Any) -> Iterator[None]:
    """
    Let the LSTMs of a network run as one small loop each, while it is traced for export.

    Keras' own loop needs operations that LiteRT has only with all of TensorFlow beside it, and unrolled it gives NaN.

    Parameters
    ----------
    network : keras.Model
        Traced with one sample a batch, whose number of steps may be open.
    """
    import keras

    recurrent = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.LSTM)]
    for layer in recurrent:
        layer.__dict__["call"] = _loop(layer)
    try:
        yield
    finally:
        for layer in recurrent:
            del layer.__dict__["call"]


def _loop(layer: Any) -> Any:
    import tensorflow as tf

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        n_units = layer.units
        entered = tf.matmul(sequences[0], layer.cell.kernel.value) + layer.cell.bias.value
        kept = tf.ones_like(entered[:, :1]) if mask is None else tf.cast(mask[0], tf.float32)[:, None]
        if layer.go_backwards:
            entered, kept = tf.reverse(entered, [0]), tf.reverse(kept, [0])
        n_steps = tf.shape(entered)[0]
        outputs = tf.TensorArray(tf.float32, n_steps, element_shape=(1, n_units))

        def step(number: Any, state: Any, memory: Any, outputs: Any) -> Any:
            gates = entered[number][None] + tf.matmul(state, layer.cell.recurrent_kernel.value)
            let_in, keep, content, let_out = tf.split(gates, 4, axis=1)
            new = tf.sigmoid(keep) * memory + tf.sigmoid(let_in) * tf.tanh(content)
            # steps that do not exist leave everything as it was
            there = kept[number]
            memory = there * new + (1 - there) * memory
            state = there * (tf.sigmoid(let_out) * tf.tanh(new)) + (1 - there) * state
            return number + 1, state, memory, outputs.write(number, state)

        nothing = tf.zeros((1, n_units))
        _, state, _, outputs = tf.while_loop(
            lambda number, *_: number < n_steps, step, (0, nothing, nothing, outputs), parallel_iterations=1
        )
        if not layer.return_sequences:
            return state
        return tf.reshape(outputs.stack(), (1, -1, n_units))

    return call
