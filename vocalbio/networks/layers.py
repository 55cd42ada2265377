"""Layers of our own: each sees the steps that exist, as the mask tells, and nothing of the padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

__all__ = [
    "AttentivePooling",
    "Columns",
    "GradientReversal",
    "LastStep",
    "MaskedAttention",
    "MaskedConv1D",
    "MaxOverTime",
    "SinusoidalPositions",
    "StatisticsPooling",
    "WeightedSum",
]

NEVER = -1e9
"""Added to a score, it leaves exactly nothing after a softmax in float32; unlike infinity it makes no NaN."""

registered = keras.saving.register_keras_serializable("vocalbio")


class _Masked(keras.layers.Layer):
    """A layer that is given its mask each time and hands none on."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Nothing: every layer that needs the mask is told."""


@registered
class MaskedConv1D(_Masked, keras.layers.Conv1D):
    """
    Convolution over time that takes steps which do not exist for zeros, whatever they hold.

    Arguments are those of `keras.layers.Conv1D`. With ``padding`` ``"same"`` or ``"causal"`` and a stride of 1, what is
    said of a step does not depend on how far a sequence was padded.
    """

    def call(self, values: Any, mask: Any = None) -> Any:
        """Values (batch, n_steps, n_in), mask (batch, n_steps) of bool -> (batch, n_steps, filters)."""
        return super().call(_zeroed(values, mask))


@registered
class AttentivePooling(_Masked):
    """
    Attentive statistics pooling [1]_: weighted mean and standard deviation of the steps, weights learnt.

    The weight of a step is the softmax, over the steps that exist, of ``v @ tanh(W @ h + b)``.

    Parameters
    ----------
    units : int
        Rows of ``W``.
    kernel_initializer : initializer
        Of ``W``. ``v`` starts from zero, that is from all steps weighing alike.

    References
    ----------
    .. [1] Okabe K, Koshinaka T, Shinoda K. Attentive statistics pooling for deep speaker embedding. Interspeech
       2018:2252-2256. doi:10.21437/Interspeech.2018-993
    """

    def __init__(self, units: int, kernel_initializer: Any = "glorot_uniform", **settings: Any) -> None:
        super().__init__(**settings)
        self.units, self.kernel_initializer = units, keras.initializers.get(kernel_initializer)

    def build(self, shape: Any) -> None:
        """Make the weights for values of this shape."""
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.score = self.add_weight(shape=(self.units, 1), initializer="zeros", name="score")

    def call(self, values: Any, mask: Any = None) -> Any:
        """Values (batch, n_steps, n), mask (batch, n_steps) of bool -> (batch, 2 n)."""
        values = _zeroed(values, mask)
        return _statistics(values, self.weigh(values, mask))

    def weigh(self, values: Any, mask: Any = None) -> Any:
        """Weights of the steps, (batch, n_steps, 1), adding up to 1."""
        scores = ops.matmul(ops.tanh(ops.matmul(values, self.kernel) + self.bias), self.score)
        if mask is not None:
            scores = ops.where(mask[..., None], scores, NEVER)
        return _softmax(scores, 1)

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "units": self.units, "kernel_initializer": initializer}


@registered
class StatisticsPooling(_Masked):
    """Mean and standard deviation of the steps that exist."""

    def call(self, values: Any, mask: Any = None) -> Any:
        """Values (batch, n_steps, n), mask (batch, n_steps) of bool -> (batch, 2 n)."""
        exist = ops.ones_like(values[..., 0]) if mask is None else ops.cast(mask, values.dtype)
        return _statistics(_zeroed(values, mask), (exist / ops.sum(exist, axis=1, keepdims=True))[..., None])


@registered
class WeightedSum(_Masked):
    """
    One sequence of several, weighted as is learnt; weights add up to 1 and start alike [1]_.

    References
    ----------
    .. [1] Yang S et al. SUPERB: speech processing universal performance benchmark. Interspeech 2021:1194-1198.
       doi:10.21437/Interspeech.2021-1775
    """

    def build(self, shapes: Any) -> None:
        """Make one weight for each."""
        self.shares = self.add_weight(shape=(len(shapes),), initializer="zeros", name="shares")

    def call(self, values: Any) -> Any:
        """Several of shape (batch, n_steps, n) -> (batch, n_steps, n)."""
        shares = _softmax(self.shares, 0)
        return sum(shares[number] * part for number, part in enumerate(values))


@registered
class MaxOverTime(_Masked):
    """Largest value of each channel, over the steps that exist."""

    def call(self, values: Any, mask: Any = None) -> Any:
        """Values (batch, n_steps, n), mask (batch, n_steps) of bool -> (batch, n)."""
        if mask is not None:
            values = ops.where(mask[..., None], values, NEVER)
        return ops.max(values, axis=1)


@registered
class LastStep(_Masked):
    """Values of the last step that exists."""

    def call(self, values: Any, mask: Any = None) -> Any:
        """Values (batch, n_steps, n), mask (batch, n_steps) of bool -> (batch, n)."""
        if mask is None:
            return values[:, -1]
        places = ops.arange(ops.shape(values)[1])[None]
        last = ops.max(ops.where(mask, places, 0), axis=1)
        return ops.take_along_axis(values, last[:, None, None], axis=1)[:, 0]


@registered
class MaskedAttention(_Masked):
    """
    Scaled dot-product attention with several heads [1]_, to steps that exist; projections are layers of their own.

    Parameters
    ----------
    n_heads : int
        Divides the channels.
    dropout : float
        Share of attention weights that are dropped in training.
    seed : int, optional
        Of dropout.

    References
    ----------
    .. [1] Vaswani A et al. Attention is all you need. NeurIPS 2017. arXiv:1706.03762
    """

    def __init__(self, n_heads: int, dropout: float = 0.0, seed: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.n_heads, self.rate, self.seed = n_heads, dropout, seed
        self.dropout = keras.layers.Dropout(dropout, seed=seed)

    def build(self, shape: Any) -> None:
        """Nothing to make: the weights are those of the projections."""

    def call(self, values: Any, mask: Any = None, training: bool = False) -> Any:
        """Queries, keys and values, each (batch, n_steps, n), mask (batch, n_steps) of bool -> (batch, n_steps, n)."""
        queries, keys, contents = (self._split(part) for part in values)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))) * int(keys.shape[-1]) ** -0.5
        if mask is not None:
            scores = ops.where(mask[:, None, None], scores, NEVER)
        weights = self.dropout(_softmax(scores, -1), training=training)
        found = ops.transpose(ops.matmul(weights, contents), (0, 2, 1, 3))
        return ops.reshape(found, ops.shape(values[0]))

    def _split(self, values: Any) -> Any:
        shape = (ops.shape(values)[0], ops.shape(values)[1], self.n_heads, values.shape[-1] // self.n_heads)
        return ops.transpose(ops.reshape(values, shape), (0, 2, 1, 3))

    def compute_output_shape(self, shapes: Any) -> Any:
        """That of the queries."""
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        return {**super().get_config(), "n_heads": self.n_heads, "dropout": self.rate, "seed": self.seed}


@registered
class SinusoidalPositions(keras.layers.Layer):
    """Add sines and cosines that tell how many steps have gone before (Vaswani et al. 2017, section 3.5)."""

    def call(self, values: Any) -> Any:
        """Values (batch, n_steps, n), with n even -> the same."""
        half = values.shape[-1] // 2
        steps = ops.cast(ops.arange(ops.shape(values)[1]), values.dtype)
        rates = ops.exp(ops.arange(half, dtype=values.dtype) * (-9.210340371976184 / half))  # 10000 ** (-i / half)
        angles = steps[:, None] * rates
        return values + ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


@registered
class GradientReversal(keras.layers.Layer):
    """
    Pass values on as they are, and their gradients back with the sign turned [1]_.

    What comes after learns to tell something; what comes before learns to make it untellable.

    Parameters
    ----------
    strength : float
        Factor of the turned gradients.

    References
    ----------
    .. [1] Ganin Y et al. Domain-adversarial training of neural networks. J Mach Learn Res 2016;17(59):1-35.
       arXiv:1505.07818
    """

    def __init__(self, strength: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.strength = strength

    def call(self, values: Any) -> Any:
        """Any shape -> the same."""
        return values + (ops.stop_gradient(values) - values) * (1 + self.strength)

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        return {**super().get_config(), "strength": self.strength}


@registered
class Columns(keras.layers.Layer):
    """
    Some of the columns.

    Parameters
    ----------
    columns : sequence of int
    """

    def __init__(self, columns: Sequence[int], **settings: Any) -> None:
        super().__init__(**settings)
        self.columns = [int(column) for column in columns]

    def call(self, values: Any) -> Any:
        """Values (batch, n) -> (batch, n_columns)."""
        return ops.take(values, ops.convert_to_tensor(self.columns, "int32"), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments, for a file."""
        return {**super().get_config(), "columns": self.columns}


def _zeroed(values: Any, mask: Any) -> Any:
    return values if mask is None else ops.where(mask[..., None], values, 0)


def _statistics(values: Any, weights: Any) -> Any:
    """Weighted mean and standard deviation over the steps."""
    mean = ops.sum(weights * values, axis=1)
    variance = ops.sum(weights * ops.square(values - mean[:, None]), axis=1)
    # the small number: the root of nothing has no gradient
    return ops.concatenate([mean, ops.sqrt(variance + 1e-6)], axis=-1)


def _softmax(scores: Any, axis: int) -> Any:
    """Written out, since Keras warns where there is one step only."""
    weights = ops.exp(scores - ops.max(scores, axis=axis, keepdims=True))
    return weights / ops.sum(weights, axis=axis, keepdims=True)
