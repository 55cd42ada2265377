"""What every network shares: checked sizes, seeds of its own, an output layer, compilation."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    import keras

__all__ = ["check_sizes", "draw_seeds", "finish"]


def check_sizes(n_features: Any, n_outputs: Any, preset: Any, presets: tuple[str, ...]) -> None:
    """
    Refuse sizes and names that no graph can be built from.

    Parameters
    ----------
    n_features, n_outputs : int
        At least 1.
    preset : str
    presets : tuple of str
        What `preset` may be.

    Raises
    ------
    ParameterError
        If one of them is something else.
    """
    for name, size in (("n_features", n_features), ("n_outputs", n_outputs)):
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ParameterError(f"{name} is {size!r}; expected a whole number, at least 1")
    if preset not in presets:
        raise ParameterError(f"preset is {preset!r}; expected one of {', '.join(map(repr, presets))}")


def draw_seeds(seed: int | None, n_seeds: int) -> list[int]:
    """
    Seeds for the layers of one network, each with its own stream.

    Layers without a seed of their own would draw one from Python's global generator, and so disturb the
    caller's.

    Parameters
    ----------
    seed : int or None
        None: from the operating system's entropy.
    n_seeds : int

    Returns
    -------
    list of int

    Raises
    ------
    ParameterError
        If `seed` is not a whole number from 0 on.
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0):
        raise ParameterError(f"seed is {seed!r}; expected a whole number from 0 on, or None")
    entropy = None if seed is None else int(seed)
    return np.random.SeedSequence(entropy).generate_state(n_seeds).astype(int).tolist()


def finish(name: str, inputs: Any, hidden: Any, n_outputs: int, *, learning_rate: float, seed: int) -> keras.Model:
    """
    Put the output layer on, and compile.

    Parameters
    ----------
    name : str
        What Keras calls the network.
    inputs : KerasTensor or list of KerasTensor
    hidden : KerasTensor of shape (batch, n_hidden)
    n_outputs : int
        1: sigmoid; more: softmax.
    learning_rate : float
        Of Adam.
    seed : int
        Of the output layer's weights.

    Returns
    -------
    keras.Model
        Compiled with cross-entropy (targets of shape (batch, n_outputs): 0 or 1, or one-hot), accuracy and
        the area under the ROC curve (of several classes: the mean of one against the rest).
    """
    with required_for("building a network", "keras"):
        import keras

    binary = n_outputs == 1
    outputs = keras.layers.Dense(
        n_outputs,
        activation="sigmoid" if binary else "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        name="probability",
    )(hidden)
    model = keras.Model(inputs, outputs, name=name)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy" if binary else "categorical_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auc", multi_label=not binary)],
        jit_compile=False,  # compiling takes longer than a small network trains
    )
    return model
