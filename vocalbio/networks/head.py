"""What all networks share: checked sizes, seeds, the output and how it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from numbers import Integral
from typing import TYPE_CHECKING, Any

from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    import keras

__all__ = ["attach_output", "check_network", "seeds"]

PRESETS = ("published", "small")


def check_network(n_features: int, n_outputs: int, preset: str) -> None:
    """Refuse sizes that make no network."""
    for name, value in (("n_features", n_features), ("n_outputs", n_outputs)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ParameterError(f"{name} is {value!r}; expected a whole number of at least 1")
    if n_outputs == 2:
        raise ParameterError("n_outputs is 2; two classes take one sigmoid output: n_outputs=1")
    if preset not in PRESETS:
        raise ParameterError(f"preset is {preset!r}; expected one of {', '.join(map(repr, PRESETS))}")


def seeds(seed: int | None) -> Iterator[int | None]:
    """One seed a layer, so that no two layers start alike and no global state is touched."""
    if seed is not None and (not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0):
        raise ParameterError(f"seed is {seed!r}; expected None or a whole number of at least 0")
    return (None if seed is None else 1000 * int(seed) + number for number in count())


def attach_output(inputs: Any, hidden: Any, n_outputs: int, learning_rate: float, seed: int | None) -> keras.Model:
    """Sigmoid or softmax, cross-entropy, Adam, accuracy and AUC."""
    with required_for("a network", "tensorflow"):
        import keras
    outputs = keras.layers.Dense(
        n_outputs,
        activation="sigmoid" if n_outputs == 1 else "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        name="probability",
    )(hidden)
    model = keras.Model(inputs, outputs)
    several = {} if n_outputs == 1 else {"multi_label": True, "num_labels": n_outputs}
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy" if n_outputs == 1 else "categorical_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auc", **several)],
    )
    return model
