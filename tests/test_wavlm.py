"""What WavLM adds to wav2vec 2.0: attention that knows distances. The rest is in test_wav2vec2.py, with the others."""

from __future__ import annotations

import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from golden.make_states import STABLE, TINY, Golden, Reference, assert_states, mask_of, read_golden
from safetensors.numpy import save_file

import vocalbio as vb
from vocalbio.encoders import TFWav2Vec2Model, TFWavLMModel, load_encoder
from vocalbio.encoders.wavlm import RelativePositions
from vocalbio.errors import ParameterError

NEW = ("gru_rel_pos_const", "gru_rel_pos_linear.weight", "gru_rel_pos_linear.bias", "rel_attn_embed.weight")


def write(folder: Path, golden: Golden, **tensors: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(golden.config))
    save_file({**golden.tensors, **tensors}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def bucket_of(distance: int, n_buckets: int, farthest: int) -> int:
    """As the paper writes it, for one distance."""
    half, single = n_buckets // 2, n_buckets // 4
    d = abs(distance)
    if d >= single:
        d = math.floor(single + (math.log(d) - math.log(single)) / (math.log(farthest) - math.log(single)) * single)
    return min(d, half - 1) + (half if distance > 0 else 0)


@pytest.mark.parametrize(("n_buckets", "farthest"), [(320, 800), (16, 15)])
def test_each_distance_has_the_bucket_of_the_paper(n_buckets, farthest):
    positions = RelativePositions("r", 2, n_buckets, farthest)
    positions.embedding.assign(np.stack([np.arange(n_buckets), 1000.0 + np.arange(n_buckets)], axis=1))
    n = 900
    found = np.asarray(positions(np.zeros((1, n, 4), np.float32)))
    assert found.shape == (2, n, n)
    ahead = [bucket_of(key, n_buckets, farthest) for key in range(n)]
    back = [bucket_of(key - (n - 1), n_buckets, farthest) for key in range(n)]
    np.testing.assert_array_equal(found[0, 0], ahead)
    np.testing.assert_array_equal(found[0, -1], back)
    np.testing.assert_array_equal(found[1] - found[0], 1000.0)
    # the same along every diagonal
    np.testing.assert_array_equal(found[:, 1:, 1:], found[:, :-1, :-1])


@pytest.mark.parametrize("name", ["wavlm_base", "wavlm_large"])
def test_where_distance_means_nothing_it_is_wav2vec2(tmp_path, name):
    golden = read_golden(name)
    embedding = "encoder.layers.0.attention.rel_attn_embed.weight"
    indifferent = TFWavLMModel.from_pretrained(
        write(tmp_path / "wavlm", golden, **{embedding: np.zeros_like(golden.tensors[embedding])})
    )
    plain = {key: values for key, values in golden.tensors.items() if not key.endswith(NEW)}
    assert len(golden.tensors) - len(plain) == 3 * 3 + 1
    other = write(tmp_path / "plain", Golden(**{**vars(golden), "tensors": plain}))
    (other / "config.json").write_text(json.dumps({**golden.config, "model_type": "wav2vec2"}))
    mask = mask_of([5_000, 8_000], 8_000)
    for given in ({}, {"attention_mask": mask}):
        found = indifferent(golden.inputs, output_hidden_states=True, **given).hidden_states
        expected = TFWav2Vec2Model.from_pretrained(other)(golden.inputs, output_hidden_states=True, **given)
        assert_states(found, expected.hidden_states)


def test_a_wider_gate_changes_what_a_layer_gives(tmp_path):
    golden = read_golden("wavlm_base")
    scale = {"encoder.layers.0.attention.gru_rel_pos_const": np.full((1, 4, 1, 1), 3.0, np.float32)}
    found = load_encoder(write(tmp_path, golden, **scale))(golden.inputs, output_hidden_states=True).hidden_states
    assert_states(found[:1], golden.states[:1])
    assert np.abs(np.asarray(found[1]) - golden.states[1]).max() > 0.01


def test_a_gradient_reaches_the_distances_and_the_gates(rng):
    import tensorflow as tf

    model = TFWavLMModel({**TINY, "num_hidden_layers": 2, "num_buckets": 16, "max_bucket_distance": 10})
    for block in model.blocks:  # zeros have no gradient to pass on
        block.attention.gate.kernel.assign(rng.normal(size=(4, 8)))
    x = rng.normal(size=(2, 8_000)).astype(np.float32)
    learned = [model.relative_positions.embedding]
    for block in model.blocks:
        learned += [block.attention.scale, block.attention.gate.kernel, block.attention.gate.bias]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, attention_mask=mask_of([8_000, 4_000], 8_000)).last_hidden_state[..., 0])
    for variable, gradient in zip(learned, tape.gradient(loss, [v.value for v in learned]), strict=True):
        assert isinstance(gradient, tf.Tensor), variable.path  # dense: whoever scales gradients may just multiply
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0, variable.path


def test_in_mixed_precision_states_are_near_those_of_float32(tmp_path):
    golden = read_golden("wavlm_large")
    folder = write(tmp_path, golden)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = load_encoder(folder)(golden.inputs, attention_mask=mask_of([8_000, 5_000], 8_000)).last_hidden_state
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == "bfloat16"
    assert np.abs(np.asarray(keras.ops.cast(found, "float32"))[0] - golden.states[-1][0]).max() < 0.5


def test_it_is_part_of_a_keras_model_that_is_saved(tmp_path, rng):
    x = keras.Input((None,))
    inner = TFWavLMModel({**TINY, "num_hidden_layers": 1})
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(inner(x).last_hidden_state))
    samples = rng.normal(size=(2, 3_000)).astype(np.float32)
    np.testing.assert_allclose(model(samples), np.mean(inner(samples).last_hidden_state, axis=1), atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(samples), model(samples), atol=1e-5)


def test_as_features_a_clip_has_the_means_of_its_own_states(tmp_path, rng):
    golden = read_golden("wavlm_base")
    folder = write(tmp_path / "wavlm", golden)
    clips = [vb.Recording(0.1 * rng.normal(size=n).astype(np.float32), 16_000) for n in (16_000, 11_000)]
    X = vb.extract_features(clips, [vb.Embedding(folder, layer=2)])
    assert list(X.filter(like="wavlm_L2__").columns[:2]) == ["wavlm_L2__00", "wavlm_L2__01"]
    model = load_encoder(folder)
    for row, clip in zip(X.filter(like="wavlm_L2__").to_numpy(), clips, strict=True):
        states = model(model.normalize(clip.samples)[None], output_hidden_states=True).hidden_states[2]
        np.testing.assert_allclose(row, np.mean(states, axis=(0, 1)), atol=1e-4)


def test_buckets_that_leave_no_room_for_wide_distances_are_refused():
    with pytest.raises(ParameterError, match=r"max_bucket_distance 80 .* not beyond the 80 single distances .* 320"):
        TFWavLMModel({**TINY, "max_bucket_distance": 80})


def test_the_published_base_size_has_its_number_of_parameters():
    """94,381,936 with weight norm's 128 lengths apart, by transformers' own count."""
    assert TFWavLMModel({}).count_params() == 94_381_936 - 128


@pytest.mark.slow
@pytest.mark.parametrize("variant", [{}, STABLE])
def test_the_base_size_equals_pytorch_over_more_frames_than_the_farthest_distance(tmp_path, rng, variant):
    pytest.importorskip("torch")
    reference = Reference("WavLMModel", {**variant, "num_hidden_layers": 2})
    reference.save(tmp_path)
    inputs = rng.normal(size=(1, 320_000)).astype(np.float32)
    found = load_encoder(tmp_path)(inputs, output_hidden_states=True)
    assert found.last_hidden_state.shape == (1, 999, 768)
    assert_states(found.hidden_states, reference.states(inputs))
