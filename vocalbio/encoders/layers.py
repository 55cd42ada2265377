"""The parts that the encoders are made of; each knows its name in a Hugging Face checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from vocalbio.errors import ParameterError

__all__ = ["Attention", "Conv", "FeedForward", "LayerNorm", "Linear", "Weight", "activation", "gelu"]


@dataclass(frozen=True)
class Weight:
    """
    One variable, and how a checkpoint spells it.

    Attributes
    ----------
    name : str
        Name in the checkpoint.
    variable : keras.Variable
    axes : tuple of int or None
        Order of the variable's axes in the checkpoint; None: the same.
    """

    name: str
    variable: Any
    axes: tuple[int, ...] | None = None

    def read(self, array: np.ndarray) -> None:
        """Take over an array of the checkpoint."""
        self.variable.assign(array if self.axes is None else array.transpose(np.argsort(self.axes)))

    def write(self) -> np.ndarray:
        """Give the array that a checkpoint holds."""
        array = ops.convert_to_numpy(self.variable)
        return np.ascontiguousarray(array if self.axes is None else array.transpose(self.axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in the checkpoint."""
        shape = tuple(self.variable.shape)
        return shape if self.axes is None else tuple(shape[axis] for axis in self.axes)


def gelu(x: Any) -> Any:
    """GELU by the error function; written out it takes half the time of TensorFlow's own on a CPU."""
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


def activation(name: str) -> Callable[[Any], Any]:
    """
    Look up an activation by its name in a configuration.

    Raises
    ------
    ParameterError
        If there is none of that name here.
    """
    known: dict[str, Callable[[Any], Any]] = {
        "gelu": gelu,
        "gelu_new": lambda x: ops.gelu(x, approximate=True),
        "relu": ops.relu,
        "silu": ops.silu,
        "swish": ops.silu,
    }
    if name not in known:
        raise ParameterError(f"activation {name!r} of the configuration is unknown; expected one of {', '.join(known)}")
    return known[name]


class Linear(keras.layers.Layer):
    """``x @ kernel + bias``."""

    def __init__(self, path: str, n_in: int, n_out: int, *, bias: bool = True) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.stem, self.n_in, self.n_out, self.use_bias = path, n_in, n_out, bias
        self.kernel = self.add_weight(shape=(n_in, n_out), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(n_out,), initializer="zeros", name="bias") if bias else None
        self.built = True

    def call(self, x: Any) -> Any:
        """Shape (..., n_in) to (..., n_out)."""
        # two dimensions make one large product; TensorFlow multiplies three as a batch of small ones
        shape = ops.shape(x)
        y = ops.matmul(ops.reshape(x, (-1, self.n_in)), self.kernel)
        if self.bias is not None:
            y = y + self.bias
        return ops.reshape(y, (*shape[:-1], self.n_out))

    def tensors(self) -> list[Weight]:
        """Variables by their names in a checkpoint."""
        found = [Weight(f"{self.stem}.weight", self.kernel, (1, 0))]
        return found + ([Weight(f"{self.stem}.bias", self.bias)] if self.bias is not None else [])


class Conv(keras.layers.Layer):
    """Convolution over time, without padding, or with the padding that it is told."""

    def __init__(
        self,
        path: str,
        n_in: int,
        n_out: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.stem, self.stride, self.padding = path, stride, padding
        self.kernel = self.add_weight(shape=(size, n_in, n_out), initializer="he_normal", name="kernel")
        self.bias = self.add_weight(shape=(n_out,), initializer="zeros", name="bias") if bias else None
        self.built = True

    def call(self, x: Any) -> Any:
        """Shape (batch, n, n_in) to (batch, fewer, n_out)."""
        if self.padding:
            x = ops.pad(x, [[0, 0], [self.padding, self.padding], [0, 0]])
        y = ops.conv(x, self.kernel, strides=self.stride, padding="valid")
        return y if self.bias is None else y + self.bias

    def tensors(self) -> list[Weight]:
        """Variables by their names in a checkpoint."""
        found = [Weight(f"{self.stem}.weight", self.kernel, (2, 1, 0))]
        return found + ([Weight(f"{self.stem}.bias", self.bias)] if self.bias is not None else [])


class LayerNorm(keras.layers.Layer):
    """Layer normalisation over the last axis."""

    def __init__(self, path: str, size: int, epsilon: float = 1e-5) -> None:
        super().__init__(name=path.replace(".", "_"))
        self.stem, self.epsilon = path, epsilon
        self.gamma = self.add_weight(shape=(size,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(size,), initializer="zeros", name="beta")
        self.built, self.autocast = True, False  # float32 inside, also in mixed precision

    def call(self, x: Any) -> Any:
        """Shape as it was."""
        x = ops.cast(x, self.variable_dtype)
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        return ops.cast(centred * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta, self.compute_dtype)

    def tensors(self) -> list[Weight]:
        """Variables by their names in a checkpoint."""
        return [Weight(f"{self.stem}.weight", self.gamma), Weight(f"{self.stem}.bias", self.beta)]


class Attention(keras.layers.Layer):
    """
    Self-attention with several heads.

    Parameters
    ----------
    path : str
    size : int
    n_heads : int
    dropout : float
        Of the attention weights, in training.
    key_bias : bool
        Whisper's keys have none.
    """

    def __init__(self, path: str, size: int, n_heads: int, dropout: float = 0.0, *, key_bias: bool = True) -> None:
        super().__init__(name=path.replace(".", "_"))
        if size % n_heads:
            raise ParameterError(f"hidden size {size} of the configuration does not divide by {n_heads} heads")
        self.n_heads, self.size = n_heads, size
        self.q_proj = Linear(f"{path}.q_proj", size, size)
        self.k_proj = Linear(f"{path}.k_proj", size, size, bias=key_bias)
        self.v_proj = Linear(f"{path}.v_proj", size, size)
        self.out_proj = Linear(f"{path}.out_proj", size, size)
        self.dropout = keras.layers.Dropout(dropout)
        self.built, self.autocast = True, False  # the bias stays float32

    def call(self, x: Any, bias: Any = None, training: bool = False) -> Any:
        """``bias`` of shape (batch, 1, 1, n_frames) is added to the scores: very negative where nothing is."""
        shape = ops.shape(x)

        def split(projected: Any) -> Any:
            heads = ops.reshape(projected, (shape[0], shape[1], self.n_heads, self.size // self.n_heads))
            return ops.transpose(heads, (0, 2, 1, 3))

        query = split(self.q_proj(x) * (self.size // self.n_heads) ** -0.5)
        scores = ops.matmul(query, ops.transpose(split(self.k_proj(x)), (0, 1, 3, 2)))
        scores = ops.cast(scores, self.variable_dtype)
        if bias is not None:
            scores = scores + bias
        weights = self.dropout(ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype), training=training)
        found = ops.transpose(ops.matmul(weights, split(self.v_proj(x))), (0, 2, 1, 3))
        return self.out_proj(ops.reshape(found, (shape[0], shape[1], self.size)))


class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between."""

    def __init__(self, paths: tuple[str, str], size: int, inner: int, act: str, dropouts: tuple[float, float]) -> None:
        super().__init__(name=paths[0].replace(".", "_") + "_block")
        self.first = Linear(paths[0], size, inner)
        self.second = Linear(paths[1], inner, size)
        self.act = activation(act)
        self.inner_dropout, self.outer_dropout = (keras.layers.Dropout(rate) for rate in dropouts)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Shape as it was."""
        hidden = self.inner_dropout(self.act(self.first(x)), training=training)
        return self.outer_dropout(self.second(hidden), training=training)
