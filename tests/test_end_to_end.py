"""Encoders trained end to end: PyTorch's gradients, padding without a say, what is frozen, masks, rates, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden.make_gradients import NAMES, SHARES, TRUTH, gradients_of, head, lengths_of, recordings
from golden.make_states import (
    CONFIGURATIONS,
    FOLDER,
    STABLE,
    TINY,
    Reference,
    assert_states,
    mask_of,
    read_golden,
    reference_states,
)
from safetensors.numpy import load_file, save_file

from vocalbio.encoders import TFWav2Vec2Model, TFWhisperEncoder, load_encoder
from vocalbio.errors import ParameterError
from vocalbio.networks import build_end_to_end
from vocalbio.networks.speech import LayerwiseAdamW, SpecAugment

CALM = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
SMALL = {**TINY, **CALM, "num_hidden_layers": 2}
WHISPER = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
ENCODERS = pytest.mark.parametrize(
    "make",
    [lambda: TFWav2Vec2Model(SMALL), lambda: TFWav2Vec2Model({**SMALL, **STABLE}), lambda: TFWhisperEncoder(WHISPER)],
    ids=["group", "layer", "whisper"],
)
CLIPS = (6_000, 4_321, 5_000, 3_333)
TARGETS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]


@pytest.fixture(autouse=True)
def _same_start() -> None:
    keras.utils.set_random_seed(0)


def clips_of(rng: np.random.Generator) -> list[np.ndarray]:
    return [0.1 * rng.normal(size=n).astype(np.float32) for n in CLIPS]


def batch(clips: list[np.ndarray], n: int | None = None, filling: float = 0.0) -> dict[str, np.ndarray]:
    lengths = [len(clip) for clip in clips]
    mask = mask_of(lengths, n or max(lengths)).astype(bool)
    waveform = np.full(mask.shape, filling, np.float32)
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    return {"waveform": waveform, "mask": mask}


def weights_of(encoder: Any) -> dict[str, np.ndarray]:
    return {weight.name: weight.write() for weight in encoder._named_weights()}


def gradients(network: Any, inputs: dict[str, Any], targets: Any) -> tuple[float, list[np.ndarray | None]]:
    """Of the weights that are trained, in training."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets, network(inputs, training=True)))
    return float(loss), tape.gradient(loss, [weight.value for weight in network.trainable_weights])


# Gradients are PyTorch's


def checkpoint(name: str, folder: Path, tensors: dict[str, Any], config: dict[str, Any]) -> Any:
    calm = CALM | {"dropout": 0.0} if name.startswith("whisper") else CALM
    (folder / "config.json").write_text(json.dumps({**config, **calm}))
    save_file(tensors, folder / "model.safetensors")
    return load_encoder(folder)


def assert_gradients(name: str, encoder: Any, expected: dict[str, np.ndarray]) -> None:
    """The loss, and the gradient of every parameter to 1e-4 of its size."""
    network = build_end_to_end(encoder, "stress", freeze=None, time_masks=0, dropout=0)
    network.get_layer("layers").shares.assign(SHARES)
    network.get_layer("probability").kernel.assign(head(encoder.hidden_size))
    network.get_layer("standardised").trainable = False
    inputs = {"waveform": recordings(name), "mask": mask_of(lengths_of(name), max(lengths_of(name))).astype(bool)}
    loss, found = gradients(network, inputs, np.eye(3, dtype=np.float32)[list(TRUTH)])
    np.testing.assert_allclose(loss, expected["loss"], rtol=1e-5)
    by_path = {weight.path: g for weight, g in zip(network.trainable_weights, found, strict=True)}
    size = np.sqrt(sum(np.sum(np.square(values)) for key, values in expected.items() if key != "loss"))
    compared = 0
    for weight in encoder._named_weights():
        if weight.variable.path not in by_path:
            continue
        own = np.asarray(by_path[weight.variable.path])
        own, other = own if weight.axes is None else own.transpose(weight.axes), expected[weight.name]
        off = np.linalg.norm(own - other)
        # where the gradient is 0 by nature (a constant added to all keys), both are rounding
        assert off <= 1e-4 * max(np.linalg.norm(other), 1e-3 * size), f"{weight.name}: {off / np.linalg.norm(other)}"
        compared += 1
    # embed_positions of Whisper and the vector of masked frames are not trained
    assert compared == len(expected.keys() - {"loss", "embed_positions.weight", "masked_spec_embed"})


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_every_parameter_are_pytorchs(tmp_path, name):
    golden = read_golden(name)
    with np.load(FOLDER / "gradients.npz") as file:
        expected = {key.removeprefix(f"{name}:"): file[key] for key in file.files if key.startswith(f"{name}:")}
    assert_gradients(name, checkpoint(name, tmp_path, golden.tensors, golden.config), expected)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_those_of_the_pytorch_that_is_installed(tmp_path, name):
    pytest.importorskip("torch")
    reference = Reference(*CONFIGURATIONS[name], seed=1)
    encoder = checkpoint(name, tmp_path, reference.tensors(), reference.config.to_dict())
    assert_gradients(name, encoder, gradients_of(name, reference))


# Padding has no say


@ENCODERS
def test_neither_padding_nor_what_stands_in_it_changes_an_answer_or_a_gradient(rng, make):
    network = build_end_to_end(make(), "stress", freeze=None, pooling="attention", time_masks=0, dropout=0, seed=0)
    network.get_layer("standardised").trainable = False
    network.get_layer("pooling").score.assign(rng.normal(size=(16, 1)))
    clips = clips_of(rng)
    alone = np.concatenate([network(batch([clip])) for clip in clips])
    loss, expected = gradients(network, batch(clips), TARGETS)
    for inputs in (batch(clips), batch(clips, 9_000), batch(clips, 9_000, np.nan)):
        np.testing.assert_allclose(network(inputs), alone, atol=2e-5)
        other, found = gradients(network, inputs, TARGETS)
        assert other == pytest.approx(loss, rel=1e-5)
        for own, reference in zip(found, expected, strict=True):
            np.testing.assert_allclose(own, reference, atol=1e-4 * max(1.0, np.abs(reference).max()))


@pytest.mark.parametrize("normalizes", [True, False])
def test_recordings_come_as_they_are_and_are_normalised_inside(rng, normalizes):
    encoder = TFWav2Vec2Model(SMALL, preprocessor={"do_normalize": normalizes})
    network = build_end_to_end(encoder, "stress", layer="last", pooling="mean")
    clips = [3 * clip + 0.5 for clip in clips_of(rng)]
    pooled = keras.Model(network.inputs, network.get_layer("pooling").output)(batch(clips))
    expected = [np.mean(encoder(encoder.normalize(clip)[None]).last_hidden_state, axis=(0, 1)) for clip in clips]
    np.testing.assert_allclose(pooled, expected, atol=1e-4)


# Trained, saved, loaded


def dataset(rng: np.random.Generator) -> Any:
    """A pitch for each class, lengths as they are; each batch is padded by itself."""
    pitches = TARGETS @ [200.0, 800.0, 3000.0]
    clips = [clip + np.sin(f * np.arange(len(clip)) / 2_500) for clip, f in zip(clips_of(rng), pitches, strict=True)]
    clips = [clip.astype(np.float32) for clip in clips]
    ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(clips), CLIPS)
    data = tf.data.Dataset.from_tensor_slices((ragged, TARGETS))
    data = data.map(lambda sound, target: ({"waveform": sound, "mask": tf.ones_like(sound, "bool")}, target))
    return data.padded_batch(4)


@pytest.mark.parametrize(
    ("make", "settings", "epochs"),
    [
        (lambda: TFWav2Vec2Model({**SMALL, "num_hidden_layers": 1}), {"pooling": "attention"}, 8),
        (lambda: TFWhisperEncoder(WHISPER), {"layer": 1, "freeze": None, "pooling": "mean", "feature_masks": 0.05}, 30),
    ],
    ids=["wav2vec2", "whisper"],
)
def test_it_learns_clips_of_any_length_and_its_file_goes_on_where_it_stopped(tmp_path, rng, make, settings, epochs):
    network = build_end_to_end(make(), "stress", learning_rate=0.01, encoder_rate=0.2, seed=0, **settings)
    network.run_eagerly = epochs < 10  # a graph takes TensorFlow longer than so few steps
    losses = network.fit(dataset(rng), epochs=epochs, verbose=0).history["loss"]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:2])
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    inputs = batch(clips_of(rng))
    np.testing.assert_allclose(again(inputs), network(inputs), atol=1e-6)
    assert (
        weights_of(again.get_layer("speech").encoder).keys() == weights_of(network.get_layer("speech").encoder).keys()
    )
    assert len(again.trainable_weights) == len(network.trainable_weights)
    np.testing.assert_allclose(again.optimizer.learning_rate, 0.01)
    assert again.optimizer.rates == network.optimizer.rates
    assert len(again.optimizer.variables) == len(network.optimizer.variables)
    for own, other in zip(again.optimizer.variables, network.optimizer.variables, strict=True):
        np.testing.assert_array_equal(own, other)


def trained(name: str, folder: Path, rng: np.random.Generator) -> Any:
    """An encoder of the golden weights after a step, from the network's file."""
    golden = read_golden(name)
    encoder = checkpoint(name, folder, golden.tensors, golden.config)
    encoder.preprocessor = {"do_normalize": False}
    network = build_end_to_end(encoder, "stress", learning_rate=0.1, time_masks=0, seed=0)
    network.run_eagerly = True
    network.train_on_batch(batch(clips_of(rng)), TARGETS)
    network.save(folder / "network.keras")
    return keras.saving.load_model(folder / "network.keras").get_layer("speech").encoder


TUNED = pytest.mark.parametrize("name", ["wav2vec2_base", "hubert_large", "whisper_128"])


@TUNED
def test_a_trained_encoder_goes_back_to_a_checkpoint_with_the_names_it_came_with(tmp_path, rng, name):
    encoder = trained(name, tmp_path, rng)
    encoder.save_pretrained(tmp_path / "after")
    again = load_encoder(tmp_path / "after")
    assert again.preprocessor["do_normalize"] is False
    found, expected = weights_of(again), weights_of(encoder)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, atol=1e-7, err_msg=key)
    before = {
        key.removeprefix("encoder." * name.startswith("whisper")): v for key, v in read_golden(name).tensors.items()
    }
    after = load_file(tmp_path / "after" / "model.safetensors")
    after = {key.removeprefix("model.encoder."): values for key, values in after.items()}
    assert after.keys() == {key for key in before if "decoder" not in key}
    changed = {key for key, values in after.items() if not np.array_equal(values, before[key])}
    assert {"layer_norm.weight", "encoder.layers.0.attention.q_proj.weight"} & changed
    assert not any("conv_layers" in key or key.startswith(("conv1", "conv2", "embed_positions")) for key in changed)


@TUNED
def test_pytorch_loads_a_trained_encoder_and_its_states_are_equal(tmp_path, rng, name):
    pytest.importorskip("torch")
    import transformers

    encoder, inputs = trained(name, tmp_path, rng), read_golden(name).inputs
    encoder.save_pretrained(tmp_path / "after")
    loaded = getattr(transformers, CONFIGURATIONS[name][0]).from_pretrained(tmp_path / "after").eval()
    found = encoder(inputs, output_hidden_states=True).hidden_states
    assert_states(found, reference_states(loaded, inputs))
    assert np.abs(found[-1] - read_golden(name).states[-1]).max() > 0.01


# What is frozen


@pytest.mark.parametrize(
    ("freeze", "still"),
    [
        (None, ()),
        ("front", ("feature_extractor",)),
        (0, ("feature_extractor", "feature_projection", "encoder.pos_conv_embed", "encoder.layer_norm")),
        (
            1,
            (
                "feature_extractor",
                "feature_projection",
                "encoder.pos_conv_embed",
                "encoder.layer_norm",
                "encoder.layers.0",
            ),
        ),
        ("all", ("feature_extractor", "feature_projection", "encoder")),
    ],
)
def test_what_is_frozen_stays_and_costs_no_gradient(rng, freeze, still):
    encoder = TFWav2Vec2Model({**SMALL, "hidden_dropout": 0.1})
    network = build_end_to_end(encoder, "stress", freeze=freeze, weight_decay=0.1, time_masks=0.0)
    trained = {id(weight) for weight in network.trainable_weights}
    inputs = batch(clips_of(rng))
    for weight in encoder._named_weights():
        frozen = weight.name.startswith(still) or weight.name == "masked_spec_embed"
        assert (id(weight.variable) not in trained) == frozen, weight.name
    with tf.GradientTape() as tape:
        values = [weight.variable.value for weight in encoder._named_weights() if weight.name.startswith(still)]
        tape.watch(values)
        loss = tf.reduce_sum(network(inputs, training=True) * TARGETS)
    assert all(found is None for found in tape.gradient(loss, values))


def test_what_is_frozen_hears_the_same_in_training_as_afterwards(rng):
    """No dropout there: frozen states may be computed once."""
    encoder = TFWav2Vec2Model({**TINY, "hidden_dropout": 0.5})
    build_end_to_end(encoder, "stress", freeze=2)
    clips = [rng.normal(size=4_000).astype(np.float32) for _ in range(2)]
    inputs = batch(clips)["waveform"]
    lengths = np.array([4_000, 3_000], np.int32)
    (below, top), mask = encoder.states(inputs, lengths, [2, 3], training=False)
    (same, other), _ = encoder.states(inputs, lengths, [2, 3], training=True)
    np.testing.assert_array_equal(below, same)
    assert np.abs(np.asarray(other) - top).max() > 0.1
    (found,) = encoder.transform(below, mask, [3], first=2)
    np.testing.assert_allclose(found, top, atol=1e-5)


def test_layers_above_the_one_that_is_pooled_are_left_alone():
    encoder = TFWav2Vec2Model({**TINY, **STABLE})
    network = build_end_to_end(encoder, "stress", layer=2, freeze=1)
    assert {path.split("_")[2] for path in (w.path for w in encoder.trainable_weights)} == {"1"}
    assert not any("layers_2" in weight.path for weight in network.trainable_weights)


# Masks in training


def test_masks_cover_the_share_that_chance_leaves_and_nothing_beyond_the_recording():
    """3 masks of 10 among 51 starts: a frame in the middle stays clear with the chance that no start is among 10."""
    layer = SpecAugment(time_masks=0.5, time_length=10, seed=1)
    values = np.ones((2_000, 100, 1), np.float32)
    found = np.asarray(layer(values, lengths=np.full(2_000, 60)))[..., 0]
    assert (found[:, 60:] == 1).all()
    clear = np.prod([(41 - k) / (51 - k) for k in range(3)])
    assert found[:, 30].mean() == pytest.approx(clear, abs=0.03)
    lengths = np.diff(np.flatnonzero(np.diff(np.pad(1 - found[0], 1))))[::2]
    assert (lengths >= 10).all()
    assert set(np.sum(found[:, :60] == 0, axis=1)) <= set(range(10, 31))


def test_the_number_of_masks_is_rounded_by_chance_and_fits():
    """0.05 * 100 / 10 = 0.5: none or one; at least one if asked for; none where it does not fit."""
    values = np.ones((4_000, 100, 1), np.float32)
    some = np.asarray(SpecAugment(time_masks=0.05, seed=0)(values))[..., 0]
    assert set(np.sum(some == 0, axis=1)) == {0, 10}
    assert np.mean(np.any(some == 0, axis=1)) == pytest.approx(0.5, abs=0.03)
    one = np.asarray(SpecAugment(time_masks=0.001, time_fewest=1, seed=0)(values, lengths=np.arange(4_000) % 20))[
        ..., 0
    ]
    assert (np.sum(one == 0, axis=1) == 10 * (np.arange(4_000) % 20 >= 10)).all()


def test_masked_frames_become_what_is_told_and_masked_features_zero(rng):
    values = rng.normal(size=(3, 40, 30)).astype(np.float32)
    fill = rng.normal(size=30).astype(np.float32)
    found = np.asarray(SpecAugment(time_masks=0.5, time_length=5, seed=0)(values, None, fill))
    changed = (found != values).any(axis=-1)
    assert 0.2 < changed.mean() < 0.6
    np.testing.assert_array_equal(found[changed], np.broadcast_to(fill, (changed.sum(), 30)))
    found = np.asarray(SpecAugment(feature_masks=0.5, feature_length=5, seed=0)(values))
    gone = (found == 0).all(axis=1)
    assert 0.2 < gone.mean() < 0.6
    np.testing.assert_array_equal(found, np.where(gone[:, None], 0, values))


@pytest.mark.parametrize("make", [lambda: TFWav2Vec2Model(SMALL), lambda: TFWhisperEncoder(WHISPER)])
def test_masks_are_drawn_in_training_alone_and_by_the_seed(rng, make):
    inputs = batch(clips_of(rng))

    def said(seed: int, training: bool = True) -> np.ndarray:
        keras.utils.set_random_seed(seed)  # weights
        network = build_end_to_end(
            make(), "stress", freeze="all", time_masks=0.5, feature_masks=0.2, dropout=0.0, seed=3
        )
        network.get_layer("standardised").trainable = False
        return np.asarray(network(inputs, training=training))

    trained = said(0)
    np.testing.assert_array_equal(trained, said(0))
    assert np.abs(trained - said(0, training=False)).max() > 1e-3


def test_a_seed_decides_dropout_and_touches_no_other_generator(rng):
    def losses() -> list[float]:
        encoder = TFWav2Vec2Model({**TINY, "hidden_dropout": 0.2})
        encoder.set_weights([np.full(w.shape, 0.01) + 0.1 * np.sin(np.arange(w.size)).reshape(w.shape)
                             for w in encoder.get_weights()])  # fmt: skip
        network = build_end_to_end(encoder, "stress", seed=5)
        return [gradients(network, inputs, TARGETS)[0] for _ in range(2)]

    inputs = batch(clips_of(rng))
    first = losses()
    keras.utils.set_random_seed(99)
    assert losses() == pytest.approx(first, abs=1e-5)
    assert first[0] != first[1]


# Rates


def test_the_step_itself_is_scaled_not_the_gradient():
    """Adam's first step is the learning rate, whatever the size of a gradient."""
    lower, upper = (keras.Variable(np.ones((2, 2), np.float32), name=name) for name in ("lower", "upper"))
    LayerwiseAdamW(0.1, {lower.path: 0.25}).apply([np.full((2, 2), 7.0), np.full((2, 2), 7.0)], [lower, upper])
    np.testing.assert_allclose(lower, np.full((2, 2), 1 - 0.025), atol=1e-5)
    np.testing.assert_allclose(upper, np.full((2, 2), 1 - 0.1), atol=1e-5)


def test_weight_decay_follows_the_rate_and_spares_vectors():
    """Without a gradient a matrix shrinks by rate times decay."""
    lower, upper, bias = (
        keras.Variable(np.ones(shape, np.float32), name=name)
        for name, shape in (("lower", (2, 2)), ("upper", (2, 2)), ("bias", (2,)))
    )
    optimizer = LayerwiseAdamW(0.1, {lower.path: 0.25}, weight_decay=0.5)
    optimizer.apply([np.zeros(v.shape, np.float32) for v in (lower, upper, bias)], [lower, upper, bias])
    np.testing.assert_allclose([lower[0, 0], upper[0, 0], bias[0]], [1 - 0.0125, 1 - 0.05, 1.0], atol=1e-6)


def test_with_one_rate_for_all_it_is_adamw(rng):
    ours, theirs = (keras.Variable(np.ones((3, 2), np.float32)) for _ in range(2))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    first = LayerwiseAdamW(schedule, weight_decay=0.2, global_clipnorm=1.0)
    second = keras.optimizers.AdamW(schedule, weight_decay=0.2, global_clipnorm=1.0)
    for _ in range(5):
        gradient = rng.normal(size=(3, 2)).astype(np.float32)
        first.apply([gradient], [ours])
        second.apply([gradient], [theirs])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    again = LayerwiseAdamW.from_config(first.get_config())
    assert again.get_config() == first.get_config()


@pytest.mark.parametrize("variant", [{}, STABLE], ids=["group", "layer"])
def test_rates_fall_from_layer_to_layer(variant):
    encoder = TFWav2Vec2Model({**TINY, **variant})
    network = build_end_to_end(encoder, "stress", freeze=None, learning_rate=1e-2, encoder_rate=0.5, layer_decay=0.8)
    rates = network.optimizer.rates
    assert rates.keys() == {weight.path for weight in encoder.trainable_weights}
    norm = 3 if variant else 0  # before the first layer, or after the last
    for path, layers in {
        "feature_extractor_conv_layers_0_conv/kernel": -1,
        "feature_projection_projection/kernel": 0,
        "encoder_layer_norm/gamma": norm,
        "encoder_layers_0_attention_q_proj/kernel": 1,
        "encoder_layers_2_feed_forward_output_dense/bias": 3,
    }.items():
        assert rates[path] == pytest.approx(0.5 * 0.8 ** (3 - layers)), path
    assert len({weight.path for weight in network.trainable_weights}) == len(network.trainable_weights)


# Mixed precision


@pytest.mark.parametrize(
    ("make", "policy", "globally"),
    [
        (lambda: TFWav2Vec2Model(SMALL), "mixed_bfloat16", False),
        (lambda: TFWav2Vec2Model({**SMALL, **STABLE}), "mixed_float16", True),
        (lambda: TFWhisperEncoder(WHISPER), "mixed_float16", False),
    ],
    ids=["group", "layer", "whisper"],
)
def test_in_half_precision_answers_stay_near_and_weights_are_float32(rng, make, policy, globally):
    plain = build_end_to_end(make(), "stress", freeze=None, time_masks=0, seed=0)
    try:
        keras.config.set_dtype_policy(policy if globally else "float32")
        half = build_end_to_end(make(), "stress", freeze=None, time_masks=0, dtype=None if globally else policy, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(plain.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    clips = clips_of(rng)
    inputs = batch([clip + 5 for clip in clips], 12_000)  # an offset that half precision would not survive
    found, expected = half(inputs), plain(inputs)
    assert found.dtype == "float32"
    assert 0 < np.abs(np.asarray(found) - expected).max() < 0.02
    states = keras.Model(half.inputs, half.get_layer("speech").output)(inputs)
    assert states[1].dtype == policy.removeprefix("mixed_")
    loss, slopes = gradients(half, inputs, TARGETS)
    assert np.isfinite(loss)
    assert all(np.isfinite(np.asarray(slope)).all() for slope in slopes)
    scaled = isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_half_precision_is_kept_in_the_file(tmp_path, rng):
    network = build_end_to_end(TFWav2Vec2Model(SMALL), "stress", dtype="mixed_bfloat16", seed=0)
    network.save(tmp_path / "network.keras")
    inputs = batch(clips_of(rng))
    again = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again(inputs), network(inputs))
    assert again.get_layer("speech").encoder.blocks[0].compute_dtype == "bfloat16"


# What is asked


@pytest.mark.parametrize(("condition", "n"), [("depression", 1), ("stress", 3), ("apnea", 3)])
def test_a_condition_decides_the_outputs(rng, condition, n):
    network = build_end_to_end(TFWhisperEncoder(WHISPER), condition, layer=0)
    said = np.asarray(network(batch(clips_of(rng))))
    assert said.shape == (4, n)
    assert ((said > 0) & (said < 1)).all()
    if n > 1:
        np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"condition": "anger"}, "condition is 'anger'; expected one of 'depression'"),
        ({"layer": 3}, "layer is 3; expected 'weighted', 'last' or a number from 0 to 2"),
        ({"layer": True}, "layer is True; expected"),
        ({"pooling": "max"}, r"pooling is 'max'; expected one of 'mean', 'mean\+std', 'attention'"),
        ({"freeze": 3}, "freeze is 3; expected None, 'front', 'all' or a number of layers, 0 to 2"),
        ({"freeze": True}, "freeze is True; expected None"),
        ({"freeze": [1]}, r"freeze is \[1\]; expected None"),
        ({"time_masks": 1.5}, "time_masks is 1.5; expected a number of at least 0 and at most 1"),
        ({"encoder_rate": -1}, "encoder_rate is -1; expected a number of at least 0$"),
        ({"learning_rate": 0}, "learning_rate is 0; expected a number above 0, or a schedule"),
        ({"dtype": "float64"}, "dtype is 'float64'; expected one of None, 'float32', 'mixed_bfloat16'"),
        ({"seed": -1}, "seed is -1; expected None or a whole number"),
        ({"encoder": "facebook/wav2vec2-base"}, "encoder is 'facebook/wav2vec2-base'; expected .* load_encoder"),
    ],
)
def test_what_makes_no_network_is_refused_in_words(settings, words):
    given = {"encoder": TFWav2Vec2Model(SMALL), "condition": "stress", **settings}
    with pytest.raises(ParameterError, match=words):
        build_end_to_end(**given)
