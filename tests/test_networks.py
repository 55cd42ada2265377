"""What the networks promise: repeatable, saved and loaded unchanged, blind to padding."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vocalbio.errors import ParameterError
from vocalbio.metrics import ccc
from vocalbio.networks import build_bilstm, build_dense
from vocalbio.networks.head import ccc_loss

keras = pytest.importorskip("keras")

BUILDERS = [build_dense, build_bilstm]
PRESETS = ["published", "small"]
LENGTHS = np.array([6, 3, 1, 4])


def example(build: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """Four samples of five features: rows, or sequences of one to six segments and their mask."""
    if build is build_dense:
        return [rng.normal(size=(4, 5)).astype("float32")]
    mask = np.arange(6) < LENGTHS[:, None]
    return [(rng.normal(size=(4, 6, 5)) * mask[..., None]).astype("float32"), mask]


def ask(network: Any, inputs: list[np.ndarray]) -> np.ndarray:
    return np.asarray(network(inputs if len(inputs) > 1 else inputs[0], training=False))


def test_the_published_dense_network_is_the_published_one() -> None:
    for n_outputs, activation in ((1, "sigmoid"), (3, "softmax")):
        network = build_dense(88, n_outputs)
        layers = [(type(layer).__name__, layer.get_config()) for layer in network.layers]
        assert [
            (kind, config.get("units", config.get("rate")), config.get("activation")) for kind, config in layers
        ] == [
            ("InputLayer", None, None),
            ("Dense", 512, "relu"),
            ("BatchNormalization", None, None),
            ("Dropout", 0.4, None),
            ("Dense", 256, "relu"),
            ("Dropout", 0.3, None),
            ("Dense", 64, "relu"),
            ("Dense", n_outputs, activation),
        ]
        assert isinstance(network.optimizer, keras.optimizers.Adam)
        assert float(network.optimizer.learning_rate) == pytest.approx(1e-4)
        assert network.loss == ("binary_crossentropy" if n_outputs == 1 else "categorical_crossentropy")


@pytest.mark.parametrize("build", BUILDERS)
def test_steps_of_training_lower_the_loss(build: Any, rng: np.random.Generator) -> None:
    network, inputs = build(5, preset="small", seed=0), example(build, rng)
    inputs, targets = inputs if len(inputs) > 1 else inputs[0], np.array([[0.0], [1.0], [0.0], [1.0]])
    network.optimizer.learning_rate = 0.05
    before = network.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"]
    network.fit(inputs, targets, epochs=10, verbose=0)
    assert network.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"] < 0.8 * before


@pytest.mark.parametrize("preset", PRESETS)
def test_the_order_of_segments_counts(preset: str, rng: np.random.Generator) -> None:
    network = build_bilstm(5, preset=preset, seed=0)
    values, mask = rng.normal(size=(1, 6, 5)).astype("float32"), np.ones((1, 6), bool)
    assert abs(ask(network, [values, mask]) - ask(network, [values[:, ::-1], mask])).max() > 1e-4


@pytest.mark.parametrize(("preset", "n_outputs"), [("published", 3), ("small", 3), ("small", 1)])
@pytest.mark.parametrize("build", BUILDERS)
def test_it_gives_probabilities_and_learns_a_step(
    build: Any, preset: str, n_outputs: int, rng: np.random.Generator
) -> None:
    network, inputs = build(5, n_outputs, preset=preset, seed=0), example(build, rng)
    probabilities = ask(network, inputs)
    assert probabilities.shape == (4, n_outputs)
    if n_outputs > 1:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    before = [weight.copy() for weight in network.get_weights()]
    targets = np.eye(3, dtype="float32")[[0, 1, 2, 0]][:, :n_outputs]
    logs = network.train_on_batch(inputs if len(inputs) > 1 else inputs[0], targets, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert {"accuracy", "auc"} <= set(logs)
    assert not np.array_equal(network.get_weights()[0], before[0])
    assert not np.array_equal(network.get_weights()[-1], before[-1])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("build", BUILDERS)
def test_saved_and_rebuilt_it_says_the_same(build: Any, preset: str, rng: np.random.Generator, tmp_path: Path) -> None:
    network, inputs = build(5, 3, preset=preset, seed=0), example(build, rng)
    network.save(tmp_path / "network.keras")
    np.testing.assert_array_equal(
        ask(keras.saving.load_model(tmp_path / "network.keras"), inputs), ask(network, inputs)
    )
    rebuilt = keras.Model.from_config(network.get_config())
    rebuilt.set_weights(network.get_weights())
    np.testing.assert_array_equal(ask(rebuilt, inputs), ask(network, inputs))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("build", BUILDERS)
def test_a_seed_decides_the_weights_and_touches_no_other_generator(build: Any, preset: str) -> None:
    python, legacy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, same, other = (build(5, preset=preset, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


def test_both_directions_of_an_lstm_start_from_weights_of_their_own() -> None:
    layer = build_bilstm(5, preset="small", seed=0).layers[2]
    forward, backward = layer.forward_layer.get_weights(), layer.backward_layer.get_weights()
    assert not np.array_equal(forward[0], backward[0])
    assert not np.array_equal(forward[1], backward[1])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("length", [7, 40])
def test_longer_padding_does_not_change_a_score_whatever_it_is_filled_with(
    preset: str, length: int, rng: np.random.Generator
) -> None:
    network = build_bilstm(5, 3, preset=preset, seed=0)
    values, mask = example(build_bilstm, rng)
    longer = np.full((4, length, 5), 1e3, "float32")
    longer[:, :6][mask] = values[mask]
    longer_mask = np.zeros((4, length), bool)
    longer_mask[:, :6] = mask
    np.testing.assert_allclose(ask(network, [longer, longer_mask]), ask(network, [values, mask]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_segment_of_zeros_is_data_and_not_padding(preset: str) -> None:
    network = build_bilstm(5, preset=preset, seed=0)
    values = np.ones((1, 3, 5), "float32")
    values[:, 2] = 0
    whole = ask(network, [values, np.array([[True, True, True]])])
    shorter = ask(network, [values, np.array([[True, True, False]])])
    assert not np.array_equal(whole, shorter)


@pytest.mark.parametrize("build", BUILDERS)
def test_impossible_sizes_are_refused_in_words(build: Any) -> None:
    with pytest.raises(ParameterError, match=r"n_features is 0; expected a whole number"):
        build(0)
    with pytest.raises(ParameterError, match=r"n_outputs is 1\.5; expected a whole number"):
        build(5, 1.5)
    with pytest.raises(ParameterError, match=r"n_outputs is 2; two classes take one sigmoid"):
        build(5, 2)
    for seed in ("a", -1, 1.5, True):
        with pytest.raises(ParameterError, match=f"seed is {seed!r}; expected None or a whole number of at least 0"):
            build(5, seed=seed)
    assert build(np.int64(5), preset="small", seed=np.int64(1)).output_shape == (None, 1)
    with pytest.raises(ParameterError, match=r"preset is 'huge'; expected one of 'published', 'small'"):
        build(5, preset="huge")


@pytest.mark.parametrize("build", BUILDERS)
def test_for_a_severity_there_is_one_value_without_bounds(build: Any, rng: np.random.Generator) -> None:
    inputs = example(build, rng)
    for loss in ("mse", "ccc") if build is build_dense else ("ccc",):
        network = build(5, preset="small", loss=loss, seed=0)
        assert network.output_shape == (None, 1)
        assert network.layers[-1].get_config()["activation"] == "linear"
        before = [weight.copy() for weight in network.get_weights()]
        targets = np.array([[0.0], [1.0], [-1.0], [3.0]])
        logs = network.train_on_batch(inputs if len(inputs) > 1 else inputs[0], targets, return_dict=True)
        assert np.isfinite(logs["loss"])
        assert not np.array_equal(network.get_weights()[0], before[0])
    with pytest.raises(ParameterError, match="loss is 'mae'; expected one of 'cross_entropy', 'mse', 'ccc'"):
        build(5, loss="mae")
    with pytest.raises(ParameterError, match="n_outputs is 3; loss 'ccc' is for one value"):
        build(5, 3, loss="ccc")


def test_the_concordance_loss_is_one_minus_the_concordance(rng: np.random.Generator) -> None:
    truth, said = rng.normal(10, 4, (50, 1)), rng.normal(8, 2, (50, 1))
    said += 0.5 * truth
    found = np.asarray(ccc_loss(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(said)))
    assert found.shape == (50,)
    np.testing.assert_allclose(found, 1 - ccc(truth[:, 0], said[:, 0]), rtol=1e-5)
    same = keras.ops.ones((4, 1))
    np.testing.assert_allclose(np.asarray(ccc_loss(same, same)), 0, atol=1e-6)  # no spread, no error, no NaN
