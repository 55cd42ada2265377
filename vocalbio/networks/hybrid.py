"""A network with a branch for every family of features, which meet before the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from vocalbio.errors import ParameterError, required_for
from vocalbio.networks.head import attach_output, check_network, seeds

if TYPE_CHECKING:
    import keras

__all__ = ["build_hybrid"]


def build_hybrid(
    branches: Mapping[str, int | Sequence[int]],
    n_outputs: int = 1,
    *,
    preset: str = "published",
    loss: str = "cross_entropy",
    seed: int | None = None,
) -> keras.Model:
    """
    Build and compile a network in which families of features are worked on apart before they are joined.

    Every family gets as many units, however many columns it has, so that a wide embedding does not drown a few voice
    markers (intermediate fusion [1]_).

    Parameters
    ----------
    branches : mapping of str to int or sequence of int
        For each family the number of its columns, in the order in which they stand in the input; or the numbers of
        its columns, from 0, where they do not stand together. Every column belongs to one family.
    n_outputs : int, default 1
        1: one sigmoid, output shape (batch, 1). More: a softmax, output shape (batch, n_outputs), for one-hot
        targets.
    preset : {"published", "small"}
        ``"published"``: for each family Dense 128 ReLU, batch normalisation, dropout 0.4; joined, Dense 64 ReLU,
        dropout 0.3; Adam with learning rate 1e-4. Sizes are ours, between the layers of `build_dense`.
        ``"small"``: dropout 0.2 on the features, for each family Dense 32 ReLU with an L2 penalty of 1e-3; joined,
        dropout 0.4; Adam with learning rate 1e-3. For tens to hundreds of recordings.
    loss : {"cross_entropy", "mse", "ccc"}
        As in `build_dense`.
    seed : int, optional
        Fixes the weights and the dropout. The caller's own random generators are never touched.

    Returns
    -------
    keras.Model
        Compiled as in `build_dense`. One input, of shape (batch, n_features), all families side by side.

    Raises
    ------
    ParameterError
        If the branches do not take every column once, or a size, the preset or the seed is wrong.
    MissingPackageError
        If Keras is not installed.

    References
    ----------
    .. [1] Ngiam J et al. Multimodal deep learning. ICML 2011:689-696.

    Examples
    --------
    >>> from vocalbio.networks import build_hybrid
    >>> network = build_hybrid({"prosody": 88, "voice": 41}, n_outputs=3, preset="small", seed=0)
    >>> network.input_shape, network.output_shape
    ((None, 129), (None, 3))
    """
    columns = _columns(branches)
    n_features = sum(map(len, columns.values()))
    check_network(n_outputs, preset, loss, n_features=n_features)
    seed_of = seeds(seed)
    with required_for("building a network", "tensorflow"):
        import keras
        from keras import layers

        from vocalbio.networks.layers import Columns

    small = preset == "small"

    def dense(units: int, name: str) -> keras.Layer:
        return layers.Dense(
            units,
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(next(seed_of)),
            kernel_regularizer=keras.regularizers.L2(1e-3) if small else None,
            name=name,
        )

    inputs = keras.Input((n_features,), name="features")
    hidden = layers.Dropout(0.2, seed=next(seed_of))(inputs) if small else inputs
    found = []
    for number, which in enumerate(columns.values()):
        branch = dense(32 if small else 128, f"branch_{number}")(Columns(which, name=f"columns_{number}")(hidden))
        if not small:
            branch = layers.Dropout(0.4, seed=next(seed_of))(layers.BatchNormalization()(branch))
        found.append(branch)
    hidden = layers.Concatenate()(found) if len(found) > 1 else found[0]
    if not small:
        hidden = dense(64, "joined")(hidden)
    hidden = layers.Dropout(0.4 if small else 0.3, seed=next(seed_of))(hidden)
    return attach_output(inputs, hidden, n_outputs, 1e-3 if small else 1e-4, next(seed_of), loss)


def _columns(branches: Mapping[str, int | Sequence[int]]) -> dict[str, list[int]]:
    """Numbers of the columns of every branch."""
    if not isinstance(branches, Mapping) or not branches:
        raise ParameterError(f"branches is {branches!r}; expected a dict of family to number of columns")
    columns: dict[str, list[int]] = {}
    start = 0
    for name, which in branches.items():
        if isinstance(which, Integral):
            columns[name] = list(range(start, start + int(which)))
            start += int(which)
        elif isinstance(which, Sequence) and all(isinstance(column, Integral) for column in which):
            columns[name] = [int(column) for column in which]
        else:
            raise ParameterError(f"branch {name!r} is {which!r}; expected a number of columns, or their numbers")
        if not columns[name]:
            raise ParameterError(f"branch {name!r} has no columns; leave it out")
    if sorted(column for which in columns.values() for column in which) != list(range(sum(map(len, columns.values())))):
        raise ParameterError("branches do not take every column once; expected numbers from 0 on, each in one branch")
    return columns
