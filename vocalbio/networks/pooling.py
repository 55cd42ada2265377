"""Pooling: from the steps of a sequence to one vector, whatever its length and padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vocalbio.errors import ParameterError

__all__ = ["POOLINGS", "check_pooling", "pool"]

POOLINGS = ("average", "attention", "max", "last")
ATTENTION_UNITS = 16


def check_pooling(pooling: str | None) -> None:
    """Refuse what is no pooling; None stands for that of the preset."""
    if pooling is not None and pooling not in POOLINGS:
        raise ParameterError(f"pooling is {pooling!r}; expected None or one of {', '.join(map(repr, POOLINGS))}")


def pool(hidden: Any, mask: Any, pooling: str, seed_of: Iterator[int | None]) -> Any:
    """
    Attach a pooling layer.

    Parameters
    ----------
    hidden : tensor of shape (batch, n_steps, n)
    mask : tensor of bool, shape (batch, n_steps)
        Steps that exist.
    pooling : {"average", "attention", "max", "last"}
        ``"attention"``: `vocalbio.networks.layers.AttentivePooling`, twice as many columns.
    seed_of : iterator of int

    Returns
    -------
    tensor of shape (batch, n) or (batch, 2 n)
    """
    import keras

    from vocalbio.networks import layers

    if pooling == "attention":
        start = keras.initializers.GlorotUniform(next(seed_of))
        return layers.AttentivePooling(ATTENTION_UNITS, start, name="attention")(hidden, mask=mask)
    if pooling == "average":
        return keras.layers.GlobalAveragePooling1D(name="average")(hidden, mask=mask)
    layer = layers.MaxOverTime(name="max") if pooling == "max" else layers.LastStep(name="last")
    return layer(hidden, mask=mask)
