"""What all networks share: checked sizes, seeds, the output and how it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from numbers import Integral
from typing import TYPE_CHECKING, Any

from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    import keras

__all__ = ["attach_output", "ccc_loss", "check_network", "seeds", "sequence_inputs"]

LOSSES = ("cross_entropy", "mse", "ccc")


def check_network(
    n_outputs: int, preset: str, loss: str, *, presets: tuple[str, ...] = ("published", "small"), **sizes: Any
) -> None:
    """Refuse sizes that make no network; `sizes` are those of its input, by name."""
    for name, value in {**sizes, "n_outputs": n_outputs}.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ParameterError(f"{name} is {value!r}; expected a whole number of at least 1")
    if n_outputs == 2:
        raise ParameterError("n_outputs is 2; two classes take one sigmoid output: n_outputs=1")
    if preset not in presets:
        raise ParameterError(f"preset is {preset!r}; expected one of {', '.join(map(repr, presets))}")
    if loss not in LOSSES:
        raise ParameterError(f"loss is {loss!r}; expected one of {', '.join(map(repr, LOSSES))}")
    if loss != "cross_entropy" and n_outputs != 1:
        raise ParameterError(f"n_outputs is {n_outputs}; loss {loss!r} is for one value: n_outputs=1")


def seeds(seed: int | None) -> Iterator[int | None]:
    """One seed a layer, so that no two layers start alike and no global state is touched."""
    if seed is not None and (not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0):
        raise ParameterError(f"seed is {seed!r}; expected None or a whole number of at least 0")
    return (None if seed is None else 1000 * int(seed) + number for number in count())


def sequence_inputs(n_features: int) -> tuple[Any, Any]:
    """Values (batch, n_steps, n_features), and the mask (batch, n_steps), True for steps that exist."""
    import keras

    return keras.Input((None, n_features), name="values"), keras.Input((None,), dtype="bool", name="mask")


def ccc_loss(truth: Any, said: Any) -> Any:
    """
    One minus the concordance correlation coefficient of a batch [1]_, for every row alike.

    Parameters
    ----------
    truth, said : tensor of shape (batch, 1)

    Returns
    -------
    tensor of shape (batch,)
        The same value for each row, so that it can be weighted and averaged like any other loss.

    References
    ----------
    .. [1] Lin LI. A concordance correlation coefficient to evaluate reproducibility. Biometrics 1989;45:255-268.
       doi:10.2307/2532051
    """
    from keras import ops

    truth = ops.cast(truth, said.dtype)
    truth_mean, said_mean = ops.mean(truth), ops.mean(said)
    together = ops.mean((truth - truth_mean) * (said - said_mean))
    spread = ops.var(truth) + ops.var(said) + ops.square(truth_mean - said_mean)
    # the small number: a batch of one value, said exactly, is no error
    return ops.ones_like(said[:, 0]) * (1 - (2 * together + 1e-8) / (spread + 1e-8))


def attach_output(inputs: Any, hidden: Any, n_outputs: int, optimizer: Any, seed: int | None, loss: str) -> keras.Model:
    """Attach probabilities (cross-entropy, accuracy, AUC) or a value (squared error, concordance); a rate is Adam's."""
    with required_for("a network", "tensorflow"):
        import keras
    is_value = loss != "cross_entropy"
    outputs = keras.layers.Dense(
        n_outputs,
        activation="linear" if is_value else "sigmoid" if n_outputs == 1 else "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        dtype="float32",  # in mixed precision too
        name="value" if is_value else "probability",
    )(hidden)
    model = keras.Model(inputs, outputs)
    several = {} if n_outputs == 1 else {"multi_label": True, "num_labels": n_outputs}
    losses = {"mse": "mean_squared_error", "ccc": ccc_loss}
    model.compile(
        optimizer=keras.optimizers.Adam(optimizer) if isinstance(optimizer, float) else optimizer,
        loss=losses.get(loss, "binary_crossentropy" if n_outputs == 1 else "categorical_crossentropy"),
        metrics=["mae"] if is_value else ["accuracy", keras.metrics.AUC(name="auc", **several)],
    )
    return model
