"""Networks over sequences, pictures and families; pooling; more than one task; what RiskModel makes of them."""

from __future__ import annotations

import io
import json
import random
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vocalbio import RiskModel, Sequences
from vocalbio.errors import ModelFileError, ParameterError
from vocalbio.networks import (
    build_bilstm,
    build_cnn,
    build_cnn2d,
    build_dense,
    build_hybrid,
    build_multitask,
    build_tcn,
    build_transformer,
)
from vocalbio.risk.files import keras_from_bytes, keras_to_bytes

keras = pytest.importorskip("keras")
layers = pytest.importorskip("vocalbio.networks.layers")

OVER_TIME = [build_tcn, build_transformer, build_cnn]
POOLINGS = ["average", "attention", "max", "last"]
LENGTHS = np.array([6, 3, 1, 4])


def small(build: Any, n_outputs: int = 3, **settings: Any) -> Any:
    """A small network for what `example` gives."""
    settings = {"preset": "small", "seed": 0} | settings
    if build is build_cnn2d:
        return build(6, 5, n_outputs, **settings)
    return build({"voice": 2, "prosody": 3} if build is build_hybrid else 5, n_outputs, **settings)


def example(build: Any, rng: np.random.Generator) -> Any:
    """Four samples: rows of five, pictures of 6 x 5, or sequences of one to six steps and their mask."""
    values = rng.normal(size=(4, 6, 5)).astype("float32")
    if build is build_cnn2d:
        return values
    return values[:, 0] if build is build_hybrid else [values, np.arange(6) < LENGTHS[:, None]]


def ask(network: Any, inputs: Any) -> np.ndarray:
    return np.asarray(network(inputs, training=False))


def longer(values: np.ndarray, mask: np.ndarray, length: int, filling: float) -> list[np.ndarray]:
    """The same sequences, padded with something else."""
    wide, wide_mask = np.full((len(values), length, values.shape[2]), filling, "float32"), np.zeros((4, length), bool)
    wide_mask[:, :6] = mask
    wide[wide_mask] = values[mask]
    return [wide, wide_mask]


def kinds(network: Any) -> list[tuple[Any, ...]]:
    """Layers with what is told of them in papers."""
    found = []
    for layer in network.layers:
        config = layer.get_config()
        size = [config[key] for key in ("filters", "units", "rate", "pool_size") if key in config]
        found.append((type(layer).__name__, *size, *([config["kernel_size"]] if "kernel_size" in config else [])))
    return found


# Published architectures ---------------------------------------------------------------------------------------


def test_the_head_for_wav2vec2_is_the_published_one() -> None:
    assert kinds(build_dense(768, 3, preset="wav2vec2")) == [
        *(("InputLayer",), ("Dense", 256), ("Dropout", 0.1), ("Dense", 3))
    ]


def test_the_night_s_bilstm_is_the_published_one() -> None:
    network = build_bilstm(32, 3, preset="night")
    assert [kind for kind in kinds(network) if kind[0] != "InputLayer"] == [
        *(("Bidirectional",), ("Dense", 64), ("Dropout", 0.3), ("Dense", 3))
    ]
    lstm = network.get_layer("lstm")
    assert lstm.forward_layer.units == lstm.backward_layer.units == 256
    assert lstm.output.shape == (None, 512)  # last states


def test_the_night_s_convolutions_are_the_published_ones() -> None:
    assert kinds(build_cnn2d(60, 32)) == [
        *(("InputLayer",), ("Reshape",), ("Conv2D", 16, (3, 3)), ("MaxPooling2D", (2, 2)), ("Flatten",)),
        *(("Dense", 128), ("Dropout", 0.3), ("Dense", 1)),
    ]


def test_published_sizes_are_those_of_the_papers() -> None:
    tcn = build_tcn(88)
    assert tcn.count_params() == 88 * 25 * 7 + 25 + 15 * (25 * 25 * 7 + 25) + (88 * 25 + 25) + 25 + 1
    convolutions = [layer for layer in tcn.layers if isinstance(layer, layers.MaskedConv1D)]
    assert [layer.dilation_rate[0] for layer in convolutions if layer.kernel_size == (7,)] == [
        2 ** (number // 2) for number in range(16)
    ]
    assert build_cnn(88).count_params() == 88 * 100 * (3 + 4 + 5) + 300 + 300 + 1
    block = 4 * (512 * 512 + 512) + 512 * 2048 + 2048 + 2048 * 512 + 512 + 2 * 2 * 512
    assert build_transformer(88).count_params() == 88 * 512 + 512 + 6 * block + 2 * 512 + 512 + 1


# Padding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("build", [build_bilstm, *OVER_TIME])
def test_padding_never_changes_a_score_whatever_its_length_and_content(
    build: Any, pooling: str, rng: np.random.Generator
) -> None:
    network = small(build, pooling=pooling)
    values, mask = example(build, rng)
    expected = ask(network, [values, mask])
    for length, filling in ((6, np.nan), (7, 1e3), (40, np.nan)):
        np.testing.assert_allclose(ask(network, longer(values, mask, length, filling)), expected, atol=1e-6, rtol=0)
    for number, length in enumerate(LENGTHS):  # alone and without padding
        alone = [values[number : number + 1, :length], np.ones((1, length), bool)]
        np.testing.assert_allclose(ask(network, alone)[0], expected[number], atol=1e-6, rtol=0)


@pytest.mark.parametrize("build", OVER_TIME)
def test_padding_does_not_change_the_score_of_a_published_network(build: Any, rng: np.random.Generator) -> None:
    network = build(5, 3, seed=0)
    values, mask = example(build, rng)
    found = ask(network, longer(values, mask, 23, np.nan))
    np.testing.assert_allclose(found, ask(network, [values, mask]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("build", OVER_TIME)
def test_padding_teaches_nothing(build: Any, rng: np.random.Generator) -> None:
    import tensorflow as tf

    network = small(build, 1, pooling="attention")
    values, mask = example(build, rng)
    with tf.GradientTape() as tape:
        wide, wide_mask = map(tf.constant, longer(values, mask, 9, 1e3))
        tape.watch(wide)
        said = network([wide, wide_mask], training=False)
    gradient = np.asarray(tape.gradient(said, wide))
    assert not gradient[~np.asarray(wide_mask)].any()
    assert gradient[np.asarray(wide_mask)].all(axis=1).any()


@pytest.mark.parametrize("build", OVER_TIME)
def test_the_order_of_steps_counts_and_a_step_of_zeros_is_data(build: Any, rng: np.random.Generator) -> None:
    network, values, mask = small(build), rng.normal(size=(1, 6, 5)).astype("float32"), np.ones((1, 6), bool)
    assert abs(ask(network, [values, mask]) - ask(network, [values[:, ::-1], mask])).max() > 1e-4
    values[:, 5] = 0
    shorter = mask.copy()
    shorter[:, 5] = False
    assert abs(ask(network, [values, mask]) - ask(network, [values, shorter])).max() > 1e-5


def test_a_tcn_looks_back_as_far_as_it_says_and_never_ahead(rng: np.random.Generator) -> None:
    network = small(build_tcn, pooling="last")
    hidden = keras.Model(network.inputs, network.get_layer("last").input[0])
    values, mask = rng.normal(size=(1, 60, 5)).astype("float32"), np.ones((1, 60), bool)
    changed = values.copy()
    changed[:, 20] += 1
    moved = np.abs(ask(hidden, [changed, mask]) - ask(hidden, [values, mask]))[0].max(axis=1) > 0
    assert np.flatnonzero(moved).min() == 20
    assert np.flatnonzero(moved).max() <= 20 + 28  # it sees 29 steps, its own among them
    assert moved[21:45].any()


# Layers against a second computation -------------------------------------------------------------------------


def test_attentive_pooling_is_a_weighted_mean_and_deviation(rng: np.random.Generator) -> None:
    values, mask = example(build_tcn, rng)
    layer = layers.AttentivePooling(3)
    layer.build(values.shape)
    np.testing.assert_allclose(  # before anything is learnt every step weighs alike
        np.asarray(layer(values, mask=mask))[:, :5],
        [row[:length].mean(axis=0) for row, length in zip(values, LENGTHS, strict=True)],
        atol=1e-6,
    )
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    kernel, bias, score = layer.get_weights()
    for row, length, found in zip(values, LENGTHS, np.asarray(layer(values, mask=mask)), strict=True):
        steps = row[:length]
        weights = np.exp(np.tanh(steps @ kernel + bias) @ score)
        weights = weights / weights.sum()
        mean = (weights * steps).sum(axis=0)
        deviation = np.sqrt((weights * (steps - mean) ** 2).sum(axis=0))
        np.testing.assert_allclose(found, np.concatenate([mean, deviation]), atol=2e-3)
    np.testing.assert_allclose(np.asarray(layer.weigh(values, mask)).sum(axis=1), 1, atol=1e-6)


def test_attention_is_that_of_keras(rng: np.random.Generator) -> None:
    query, key, value = (rng.normal(size=(4, 6, 8)).astype("float32") for _ in range(3))
    mask = np.arange(6) < LENGTHS[:, None]
    theirs = keras.layers.MultiHeadAttention(2, 4, use_bias=False)
    theirs.build(query.shape, value.shape)
    theirs.set_weights([np.eye(8).reshape(weight.shape) for weight in theirs.get_weights()])
    expected = np.asarray(theirs(query, value, key, attention_mask=mask[:, None].repeat(6, axis=1)))
    found = np.asarray(layers.MaskedAttention(2)([query, key, value], mask=mask))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_positions_are_sines_and_cosines_of_the_paper() -> None:
    found = np.asarray(layers.SinusoidalPositions()(np.zeros((1, 7, 6), "float32")))[0]
    for step in range(7):
        angles = step / 10_000 ** (np.arange(3) / 3)
        np.testing.assert_allclose(found[step], [*np.sin(angles), *np.cos(angles)], atol=1e-5)


def test_the_last_and_the_largest_are_of_steps_that_exist(rng: np.random.Generator) -> None:
    values, mask = example(build_tcn, rng)
    values -= 10  # below what padding holds
    last, largest = (np.asarray(layer(values, mask=mask)) for layer in (layers.LastStep(), layers.MaxOverTime()))
    for row, length, one, other in zip(values, LENGTHS, last, largest, strict=True):
        np.testing.assert_array_equal(one, row[length - 1])
        np.testing.assert_array_equal(other, row[:length].max(axis=0))


# What holds for every network ----------------------------------------------------------------------------------

ALL = [*OVER_TIME, build_cnn2d, build_hybrid]


@pytest.mark.parametrize("build", ALL)
def test_training_lowers_the_loss(build: Any, rng: np.random.Generator) -> None:
    network, inputs = small(build), example(build, rng)
    targets = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    network.optimizer.learning_rate = 0.02
    weights = [weight.copy() for weight in network.get_weights()]
    # without dropout, and in a fixed order: what came before in the process must not matter
    before = network.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"]
    network.fit(inputs, targets, epochs=40, shuffle=False, verbose=0)
    assert network.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"] < 0.8 * before
    assert not any(np.array_equal(old, new) for old, new in zip(weights, network.get_weights(), strict=True))


@pytest.mark.parametrize("build", ALL)
def test_saved_and_rebuilt_it_says_the_same(build: Any, rng: np.random.Generator, tmp_path: Path) -> None:
    pooled = {"pooling": "attention"} if build in OVER_TIME else {}
    for settings in ({}, pooled, {"preset": "published"} if build in (build_hybrid, build_cnn) else {}):
        network, inputs = small(build, **settings), example(build, rng)
        expected = ask(network, inputs)
        np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(ask(keras_from_bytes(keras_to_bytes(network), "a file"), inputs), expected)
    network.save(tmp_path / "network.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an optimiser that made no step yet
        again = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_array_equal(ask(again, inputs), expected)


@pytest.mark.parametrize("build", ALL)
def test_compiled_it_says_what_it_says_otherwise(build: Any, rng: np.random.Generator) -> None:
    import tensorflow as tf

    network, inputs = small(build), example(build, rng)
    compiled = tf.function(lambda x: network(x, training=False))
    np.testing.assert_allclose(np.asarray(compiled(inputs)), ask(network, inputs), atol=1e-6)


@pytest.mark.parametrize("build", ALL)
def test_a_seed_decides_the_weights_and_touches_no_other_generator(build: Any) -> None:
    python, legacy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, same, other = (small(build, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002
    drawn = [weight for weight in one if weight.ndim > 1 and weight.any()]
    for number, weight in enumerate(drawn):  # no two layers start alike
        assert not any(np.array_equal(weight, later) for later in drawn[number + 1 :])


@pytest.mark.parametrize("build", ALL)
def test_for_a_severity_there_is_one_value_without_bounds(build: Any) -> None:
    network = small(build, 1, loss="ccc")
    assert network.output_shape == (None, 1)
    assert network.layers[-1].get_config()["activation"] == "linear"
    with pytest.raises(ParameterError, match="n_outputs is 3; loss 'mse' is for one value"):
        small(build, 3, loss="mse")


@pytest.mark.parametrize("build", ALL)
def test_impossible_settings_are_refused_in_words(build: Any) -> None:
    with pytest.raises(ParameterError, match=r"n_outputs is 2; two classes take one sigmoid"):
        small(build, 2)
    with pytest.raises(ParameterError, match=r"preset is 'huge'; expected one of 'published', 'small'"):
        small(build, preset="huge")
    with pytest.raises(ParameterError, match="seed is -1; expected None or a whole number"):
        small(build, seed=-1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_tcn(0), "n_features is 0; expected a whole number of at least 1"),
        (lambda: build_cnn2d(60, 2.5), "n_bands is 2.5; expected a whole number"),
        (lambda: build_cnn2d(0, 32), "n_frames is 0; expected"),
        (lambda: build_dense(5, preset="night"), "expected one of 'published', 'small', 'wav2vec2'"),
        (lambda: build_bilstm(5, preset="wav2vec2"), "expected one of 'published', 'small', 'night'"),
        (lambda: build_cnn(5, pooling="sum"), "pooling is 'sum'; expected None or one of 'average', 'attention'"),
        (lambda: build_hybrid({}), "branches is {}; expected a dict of family to number of columns"),
        (lambda: build_hybrid({"voice": 0}), "branch 'voice' has no columns; leave it out"),
        (lambda: build_hybrid({"voice": [0, 1], "prosody": [1]}), "do not take every column once"),
        (lambda: build_hybrid({"voice": [0], "prosody": [2]}), "do not take every column once"),
        (lambda: build_hybrid({"voice": 2.5}), "branch 'voice' is 2.5; expected a number of columns"),
        (lambda: build_hybrid({"voice": "ab"}), "branch 'voice' is 'ab'; expected a number of columns"),
        (lambda: build_hybrid(88), "branches is 88; expected a dict"),
        (lambda: build_multitask(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), severity=True), "such"),
        (lambda: build_multitask(build_dense(3)), "neither severity nor adversary is asked for"),
        (lambda: build_multitask(build_dense(3), adversary=1), "adversary is 1; expected None or a number of classes"),
        (lambda: build_multitask(build_dense(3), adversary=2, reversal=-1), "reversal is -1; expected a number"),
    ],
)
def test_what_makes_no_network_is_refused_in_words(call: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


# Families apart ------------------------------------------------------------------------------------------------


def test_a_hybrid_keeps_families_apart_until_they_are_joined(rng: np.random.Generator) -> None:
    network = build_hybrid({"voice": [0, 3], "prosody": [1, 2, 4]}, preset="small", seed=0)
    rows = rng.normal(size=(8, 5)).astype("float32")
    changed = rows.copy()
    changed[:, [0, 3]] += 1
    for number, moved in ((0, True), (1, False)):
        branch = keras.Model(network.input, network.get_layer(f"branch_{number}").output)
        assert bool(abs(ask(branch, changed) - ask(branch, rows)).max() > 0) == moved
    together = build_hybrid({"voice": 2, "prosody": 3}, preset="small", seed=0)
    np.testing.assert_array_equal(ask(together, rows[:, [0, 3, 1, 2, 4]]), ask(network, rows))


# More than one task --------------------------------------------------------------------------------------------


def test_reversal_turns_gradients_around_and_leaves_values(rng: np.random.Generator) -> None:
    import tensorflow as tf

    values = tf.constant(rng.normal(size=(5, 3)).astype("float32"))
    layer = layers.GradientReversal(0.3)
    with tf.GradientTape() as tape:
        tape.watch(values)
        passed = layer(values)
        cost = tf.reduce_sum(passed**2)
    np.testing.assert_array_equal(np.asarray(passed), np.asarray(values))
    np.testing.assert_allclose(np.asarray(tape.gradient(cost, values)), -0.3 * 2 * np.asarray(values), rtol=1e-5)


@pytest.fixture
def voices(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The first column tells the condition and its severity, the second the sex."""
    X = rng.normal(size=(200, 4)).astype("float32")
    ill, sex = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    X[:, 0] += 4 * ill - 2
    X[:, 1] += 4 * sex - 2
    return X, {"condition": ill[:, None], "severity": X[:, :1] / 2, "adversary": sex}


def test_the_shared_layers_learn_for_the_condition_and_against_the_adversary(voices: Any) -> None:
    import tensorflow as tf

    X, targets = voices
    network = build_dense(4, preset="wav2vec2", seed=0)
    learner = build_multitask(network, adversary=2, reversal=0.5, seed=0)
    shared = network.layers[1].trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        said = learner(X, training=False)
        ill = tf.reduce_mean(keras.losses.binary_crossentropy(targets["condition"], said["condition"]))
        sex = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(targets["adversary"], said["adversary"]))
        told = learner.compute_loss(X, {key: targets[key] for key in said}, said)
        # what the adversary's loss would be without reversal, from its own weights
        hidden = network.layers[1](X)
        head = learner.get_layer("adversary")(learner.get_layer("adversary_hidden")(hidden))
        plain = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(targets["adversary"], head))
    np.testing.assert_allclose(float(told), float(ill) + float(sex), rtol=1e-5)
    for all_of_it, condition, adversary in zip(
        *(tape.gradient(loss, shared) for loss in (told, ill, plain)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(all_of_it), np.asarray(condition - 0.5 * adversary), atol=1e-6)
        assert np.abs(np.asarray(adversary)).max() > 1e-3


def test_condition_and_severity_are_learnt_while_the_adversary_is_held_down(voices: Any) -> None:
    X, targets = voices
    told = {}
    for reversal in (0.0, 1.0):
        network = build_dense(4, preset="wav2vec2", seed=0)
        network.optimizer.learning_rate = 2e-3
        learner = build_multitask(network, severity=True, adversary=2, reversal=reversal, seed=0)
        curves = learner.fit(X, targets, epochs=25, batch_size=50, verbose=0).history
        assert curves["severity_loss"][-1] < 0.5 * curves["severity_loss"][0]
        # the network itself was trained along, and answers by itself
        answered = ask(network, X)
        assert np.mean((answered > 0.5) == targets["condition"]) > 0.95
        np.testing.assert_array_equal(np.asarray(learner(X)["condition"]), answered)
        told[reversal] = curves["adversary_accuracy"][-1]
    assert told[0.0] > 0.95
    assert told[1.0] < told[0.0] - 0.1


def test_sequences_take_further_heads_too_and_are_saved_with_them(rng: np.random.Generator, tmp_path: Path) -> None:
    network, inputs = small(build_tcn), example(build_tcn, rng)
    learner = build_multitask(network, severity=True, adversary=4, seed=0)
    learner.save(tmp_path / "learner.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an optimiser that made no step yet
        again = keras.saving.load_model(tmp_path / "learner.keras")
    for name, shape in (("condition", (4, 3)), ("severity", (4, 1)), ("adversary", (4, 4))):
        found = np.asarray(learner(inputs, training=False)[name])
        assert found.shape == shape
        np.testing.assert_array_equal(np.asarray(again(inputs, training=False)[name]), found)


# RiskModel -------------------------------------------------------------------------------------------------------

Y = np.arange(48) % 2
SPEAKERS = np.arange(48) // 4


def quick(network: str, **settings: Any) -> RiskModel:
    defaults = {"preset": "small", "epochs": 40, "interval_folds": 2, "random_state": 0, "batch_size": 12}
    return RiskModel("depression", network, **(defaults | settings))


def sequences(rng: np.random.Generator) -> Sequences:
    values = [(rng.normal(size=(rng.integers(1, 7), 3)) + np.array([3 * y, 0, 0])).astype("float32") for y in Y]
    return Sequences(list(range(48)), values, ["voice__a", "voice__b", "prosody__c"])


@pytest.mark.parametrize(("network", "pooling"), [("tcn", None), ("transformer", "attention"), ("cnn", "max")])
def test_sequences_are_learnt_and_the_model_is_saved(
    network: str, pooling: str | None, rng: np.random.Generator, tmp_path: Path
) -> None:
    X = sequences(rng)
    model = quick(network, pooling=pooling).fit(X, Y, groups=SPEAKERS)
    assert model.score(X, Y) > 0.85
    assert (pooling or "average") in [layer.name for layer in model.network_.layers]
    model.save(tmp_path / "model.vocalbio")
    again = RiskModel.load(tmp_path / "model.vocalbio")
    assert (again.network, again.pooling) == (network, pooling)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ParameterError, match=r"Sequences\.from_table"):
        quick(network).fit(pd.DataFrame({"voice__a": Y}), Y, groups=SPEAKERS)


def test_a_hybrid_gets_its_branches_from_the_families_of_the_columns(rng: np.random.Generator, tmp_path: Path) -> None:
    names = ["voice__a", "prosody__b", "voice__c", "spectral__d"]
    X = pd.DataFrame(rng.normal(size=(48, 4)), columns=names)
    X["voice__a"] += 3 * Y
    X.loc[5, "prosody__b"] = np.nan  # gets an indicator, which belongs to prosody
    model = quick("hybrid", n_networks=2).fit(X, Y, groups=SPEAKERS)
    part = model.network_.get_layer("network_0")
    assert [part.get_layer(f"columns_{number}").columns for number in range(3)] == [[0, 2], [1, 4], [3]]
    assert model.score(X, Y) > 0.85
    model.save(tmp_path / "model.vocalbio")
    np.testing.assert_array_equal(RiskModel.load(tmp_path / "model.vocalbio").predict_proba(X), model.predict_proba(X))
    plain = quick("hybrid", epochs=1, interval_folds=0).fit(X.fillna(0).to_numpy(), Y, groups=SPEAKERS)
    assert plain.network_.get_layer("columns_0").columns == [0, 1, 2, 3]  # an array has no families


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        ("dense", {"pooling": "attention"}, "pooling is 'attention'; network 'dense' takes one row a recording"),
        ("tcn", {"pooling": "sum"}, "pooling is 'sum'; expected None or one of"),
        ("tcn", {"preset": "night"}, "preset is 'night'; expected one of published, small"),
        ("dense", {"preset": "night"}, "preset is 'night'; expected one of published, small, wav2vec2"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(network: str, settings: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        quick(network, **settings).fit(np.ones((48, 2)), Y, groups=SPEAKERS)


@pytest.mark.parametrize(
    "forged",
    [
        {"module": "evil.layers"},
        {"registered_name": "evil>MaskedConv1D"},
        {"class_name": "GradientReversal", "registered_name": "vocalbio>GradientReversal"},
        {"class_name": "Popen", "registered_name": "vocalbio>Popen"},
    ],
)
def test_a_layer_that_only_says_it_is_ours_is_refused(forged: dict[str, str]) -> None:
    with zipfile.ZipFile(io.BytesIO(keras_to_bytes(small(build_cnn)))) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    [ours] = [layer for layer in config["config"]["layers"] if layer["class_name"] == "MaskedConv1D"]
    ours |= forged
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in (contents | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match="is not a part of our networks"):
        keras_from_bytes(packed.getvalue(), "a file")
