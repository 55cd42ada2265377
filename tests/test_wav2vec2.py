"""wav2vec 2.0, HuBERT, WavLM, the emotion model: PyTorch's numbers, whatever padding, from every form of checkpoint."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import ml_dtypes  # noqa: F401 - makes "bfloat16" a dtype
import numpy as np
import pytest
import tensorflow as tf
from golden.make_states import (
    CONFIGURATIONS,
    FOLDER,
    LENGTHS,
    STABLE,
    TINY,
    Golden,
    Reference,
    assert_states,
    inputs_of,
    mask_of,
    read_golden,
    reference_states,
)
from safetensors.numpy import load_file, save_file

from vocalbio.encoders import TFHubertModel, TFWav2Vec2EmotionModel, TFWav2Vec2Model, TFWavLMModel, load_encoder
from vocalbio.errors import ModelFileError, ParameterError, VocalbioWarning

NAMES = [name for name in CONFIGURATIONS if not name.startswith("whisper")]
CLASSES = {
    "wav2vec2": TFWav2Vec2Model,
    "hubert": TFHubertModel,
    "wavlm": TFWavLMModel,
    "emotion": TFWav2Vec2EmotionModel,
}
G, V = "encoder.pos_conv_embed.conv.weight_g", "encoder.pos_conv_embed.conv.weight_v"
NEW_G, NEW_V = (f"encoder.pos_conv_embed.conv.parametrizations.weight.original{n}" for n in "01")


def write(folder: Path, golden: Golden, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """A checkpoint on disk, as published ones are."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**golden.config, **config}))
    save_file(golden.tensors if tensors is None else tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def load(name: str, folder: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Any:
    return CLASSES[name.split("_")[0]].from_pretrained(write(folder, read_golden(name), tensors, **config))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Models with the golden weights, each loaded once; for tests that leave them as they are."""
    loaded: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in loaded:
            loaded[name] = load(name, tmp_path_factory.mktemp(name))
        return loaded[name]

    return get


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(tmp_path / "base", read_golden("wav2vec2_base"))


def weights_of(model: Any) -> dict[str, np.ndarray]:
    return {weight.name: weight.write() for weight in model._named_weights()}


def assert_same_weights(found: Any, expected: Any) -> None:
    found, expected = weights_of(found), weights_of(expected)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


# The states are PyTorch's


@pytest.mark.parametrize("name", [name for name in NAMES if name != "emotion"])
def test_states_of_every_layer_are_pytorchs(encoder, name):
    golden = read_golden(name)
    found = encoder(name)(golden.inputs, output_hidden_states=True)
    assert_states(found.hidden_states, golden.states)
    np.testing.assert_array_equal(found.last_hidden_state, found.hidden_states[-1])
    assert np.asarray(found.frame_mask).all()


def test_without_being_asked_only_the_last_state_is_given(encoder):
    golden = read_golden("wav2vec2_base")
    found = encoder("wav2vec2_base")(golden.inputs)
    assert found.hidden_states == ()
    assert_states([found.last_hidden_state], golden.states[-1:])


@pytest.mark.parametrize("name", ["wav2vec2_large", "hubert_large", "wavlm_large"])
def test_masked_states_of_the_layer_norm_variant_are_pytorchs(encoder, name):
    golden = read_golden(name)
    n_samples = golden.inputs.shape[1]
    found = encoder(name)(golden.inputs, attention_mask=mask_of(LENGTHS, n_samples), output_hidden_states=True)
    assert golden.masked
    for clip, length in enumerate(LENGTHS):
        n = (length - 400) // 320 + 1
        own, other = ([state[clip, :n] for state in states] for states in (found.hidden_states, golden.masked))
        assert_states([np.asarray(state) for state in own], other)


def test_the_emotion_model_scores_as_its_card_tells(encoder):
    golden = read_golden("emotion")
    model = encoder("emotion")
    found = model(golden.inputs)
    assert_states([found.scores, found.pooled], [golden.scores, golden.pooled])
    assert list(model.config.id2label.values()) == ["arousal", "dominance", "valence"]


def test_the_fast_group_norm_holds_for_loud_offsets(encoder, rng):
    """A recorder's constant offset is taken away by the norm, and must not eat the precision."""
    model = encoder("wav2vec2_base")
    waveforms = rng.normal(size=(1, 4_000)).astype(np.float32)
    kernel, gamma, beta = (
        np.asarray(v, float) for v in (model.convs[0].conv.kernel[:, 0], *model.convs[0].norm.weights)
    )
    exact = np.asarray(waveforms + np.float32(100.0), float)
    frames = np.lib.stride_tricks.sliding_window_view(exact, 10, axis=1)[:, ::5]
    plain = frames @ kernel
    normed = (plain - plain.mean(1, keepdims=True)) / np.sqrt(plain.var(1, keepdims=True) + 1e-5) * gamma + beta
    found = model.convs[0](waveforms + np.float32(100.0))
    assert_states([found], [np.asarray(keras.ops.gelu(normed.astype(np.float32), approximate=False))])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "emotion"])
def test_states_equal_those_of_the_pytorch_that_is_installed(tmp_path, name):
    pytest.importorskip("torch")
    kind, settings = CONFIGURATIONS[name]
    reference = Reference(kind, settings, seed=1)
    reference.save(tmp_path)
    model = load_encoder(tmp_path)
    inputs = inputs_of(golden := reference.config.to_dict())
    assert golden["model_type"] == model.model_type
    assert_states(model(inputs, output_hidden_states=True).hidden_states, reference.states(inputs))


@pytest.mark.slow
@pytest.mark.parametrize("variant", [{}, {**STABLE, "conv_bias": True}])
def test_the_base_size_equals_pytorch(tmp_path, rng, variant):
    pytest.importorskip("torch")
    reference = Reference("Wav2Vec2Model", variant)
    reference.save(tmp_path)
    model = load_encoder(tmp_path)
    assert (model.n_layers, model.hidden_size) == (12, 768)
    inputs = rng.normal(size=(2, 16_000)).astype(np.float32)
    assert_states(model(inputs, output_hidden_states=True).hidden_states, reference.states(inputs))
    one = TFWav2Vec2Model.from_pretrained(tmp_path)(inputs[:1, :9_000], output_hidden_states=True)
    both = model(inputs, attention_mask=mask_of([9_000, 16_000], 16_000), output_hidden_states=True)
    assert_states(
        [state[0, :27] for state in both.hidden_states], [np.asarray(state)[0] for state in one.hidden_states]
    )


# Padding has no say


@pytest.mark.parametrize("filling", [1e3, np.nan])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "emotion"])
def test_states_in_a_padded_batch_are_those_of_the_clip_alone(encoder, rng, name, filling):
    model = encoder(name)
    lengths = [6_000, 8_000, 720, 4_321]
    n_frames = [int(model.frame_count(length)) for length in lengths]
    clips = [rng.normal(size=length).astype(np.float32) for length in lengths]
    batch = (filling * rng.normal(size=(4, 8_000))).astype(np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    found = model(batch, attention_mask=mask_of(lengths, 8_000), output_hidden_states=True)
    np.testing.assert_array_equal(found.frame_mask, mask_of(n_frames, max(n_frames)).astype(bool))
    for number, (clip, n) in enumerate(zip(clips, n_frames, strict=True)):
        alone = model(clip[None], output_hidden_states=True)
        assert_states(
            [state[number, :n] for state in found.hidden_states],
            [np.asarray(state)[0] for state in alone.hidden_states],
        )
        for state in found.hidden_states:
            np.testing.assert_array_equal(state[number, n:], 0.0)


def test_emotions_in_a_padded_batch_are_those_of_the_clip_alone(encoder):
    golden, model = read_golden("emotion"), encoder("emotion")
    found = model(golden.inputs, attention_mask=mask_of(LENGTHS, golden.inputs.shape[1]))
    for number, length in enumerate(LENGTHS):
        alone = model(golden.inputs[number : number + 1, :length])
        assert_states([found.scores[number], found.pooled[number]], [alone.scores[0], alone.pooled[0]])


def test_frames_are_counted_as_the_reference_counts_them(encoder):
    model = encoder("wav2vec2_base")
    for length in (400, 719, 720, 5_555, 16_000):
        assert model(np.zeros((1, length), np.float32)).last_hidden_state.shape[1] == model.frame_count(length)
    assert [model.frame_count(n) for n in (400, 719, 720, 16_000, 160_000, 480_000)] == [1, 1, 2, 49, 499, 1499]


def test_recordings_are_normalised_as_the_feature_extractor_does(base, tmp_path, rng):
    from transformers import Wav2Vec2FeatureExtractor

    samples = (0.1 * rng.normal(size=5_000) + 0.05).astype(np.float32)
    expected = Wav2Vec2FeatureExtractor()(samples, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    np.testing.assert_allclose(TFWav2Vec2Model.from_pretrained(base).normalize(samples), expected, atol=1e-6)
    (base / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    model = TFWav2Vec2Model.from_pretrained(base)
    np.testing.assert_array_equal(model.normalize(samples), samples)
    model.save_pretrained(tmp_path / "again")
    np.testing.assert_array_equal(TFWav2Vec2Model.from_pretrained(tmp_path / "again").normalize(samples), samples)


# Checkpoints


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_is_loaded_bit_for_bit(encoder, tmp_path, name):
    model = encoder(name)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert_same_weights(again, model)
    again.save_pretrained(tmp_path / "twice")
    assert (tmp_path / "model.safetensors").read_bytes() == (tmp_path / "twice" / "model.safetensors").read_bytes()
    assert again.config.to_dict() == {**model.config.to_dict(), **_given_when_written(model)}


def _given_when_written(model: Any) -> dict[str, Any]:
    return {key: value for key, value in model._written_config().items() if key in ("architectures", "dtype")}


@pytest.mark.parametrize(
    "name", ["wav2vec2_base", "wav2vec2_odd", "wav2vec2_large", "hubert_large", "wavlm_base", "wavlm_large"]
)
def test_a_saved_model_is_what_pytorch_loads(encoder, tmp_path, name):
    pytest.importorskip("torch")
    import transformers

    model, golden = encoder(name), read_golden(name)
    model.save_pretrained(tmp_path)
    loaded, told = getattr(transformers, CONFIGURATIONS[name][0]).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    assert_states(reference_states(loaded.eval(), golden.inputs), golden.states)


def test_both_spellings_of_weight_norm_are_read(encoder, tmp_path):
    tensors = read_golden("wav2vec2_base").tensors
    old = {{NEW_G: G, NEW_V: V}.get(name, name): values for name, values in tensors.items()}
    assert G in old
    assert_same_weights(load("wav2vec2_base", tmp_path, old), encoder("wav2vec2_base"))


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
def test_half_precision_is_read_as_the_numbers_it_holds(encoder, tmp_path, stored):
    tensors = read_golden("wav2vec2_large").tensors
    halves = {name: values.astype(stored) for name, values in tensors.items()}
    found = load("wav2vec2_large", tmp_path / "half", halves)
    same = load("wav2vec2_large", tmp_path / "same", {n: values.astype(np.float32) for n, values in halves.items()})
    assert_same_weights(found, same)
    assert {variable.dtype for variable in found.weights} == {"float32"}


def test_shards_hold_the_same_model(encoder, base):
    tensors = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    # weight norm's two tensors in different files
    shards = {n: f"model-{1 + (i % 2)}-of-2.safetensors" for i, n in enumerate(sorted(tensors))}
    assert shards[NEW_G] != shards[NEW_V]
    for shard in set(shards.values()):
        save_file({name: tensors[name] for name in tensors if shards[name] == shard}, base / shard)
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert_same_weights(TFWav2Vec2Model.from_pretrained(base), encoder("wav2vec2_base"))


def test_pytorchs_own_file_holds_the_same_model(encoder, base):
    (base / "model.safetensors").unlink()
    (base / "pytorch_model.bin").write_bytes((FOLDER / "wav2vec2_base.bin").read_bytes())
    assert_same_weights(TFWav2Vec2Model.from_pretrained(base), encoder("wav2vec2_base"))


def test_a_fine_tuned_recogniser_loads_without_its_head_and_says_so(encoder, tmp_path):
    tensors = read_golden("wav2vec2_base").tensors
    tuned = {f"wav2vec2.{name}": values for name, values in tensors.items()}
    tuned |= {"lm_head.weight": np.ones((32, 16), np.float32), "lm_head.bias": np.ones(32, np.float32)}
    with pytest.warns(VocalbioWarning, match=r"ignored .*head.*lm_head\.bias, lm_head\.weight") as told:
        model = load("wav2vec2_base", tmp_path, tuned)
    assert len(told) == 1
    assert_same_weights(model, encoder("wav2vec2_base"))


def test_what_only_pretraining_needs_is_left_out_in_silence(encoder, tmp_path):
    tensors = read_golden("wav2vec2_base").tensors
    pretraining = {f"wav2vec2.{name}": values for name, values in tensors.items()}
    for name in ("quantizer.codevectors", "quantizer.weight_proj.bias", "project_q.weight", "project_hid.bias"):
        pretraining[name] = np.ones(3, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", VocalbioWarning)
        model = load("wav2vec2_base", tmp_path, pretraining)
    assert_same_weights(model, encoder("wav2vec2_base"))


def test_the_emotion_models_body_is_an_encoder_like_others(encoder, tmp_path):
    golden = read_golden("emotion")
    with pytest.warns(VocalbioWarning, match=r"classifier\.dense, classifier\.out_proj"):
        body = load_encoder(write(tmp_path, golden))
    assert_states([keras.ops.mean(body(golden.inputs).last_hidden_state, axis=1)], [golden.pooled])


def test_a_checkpoint_without_the_masking_vector_is_complete(encoder, tmp_path):
    golden = read_golden("wav2vec2_base")
    tensors = {name: values for name, values in golden.tensors.items() if name != "masked_spec_embed"}
    assert len(tensors) == len(golden.tensors) - 1
    model = load("wav2vec2_base", tmp_path, tensors)
    assert_states(model(golden.inputs, output_hidden_states=True).hidden_states, golden.states)


def test_a_checkpoint_that_lacks_weights_is_refused_naming_them(tmp_path):
    tensors = read_golden("wav2vec2_base").tensors
    lost = ["encoder.layers.1.attention.k_proj.bias", NEW_V]
    with pytest.raises(ModelFileError, match=r"lacks 2 weights .*pos_conv_embed\.conv\.weight, .*layers\.1\.attention"):
        load("wav2vec2_base", tmp_path, {name: values for name, values in tensors.items() if name not in lost})


def test_weights_of_another_size_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"intermediate_dense\.bias has shape \(24,\); .*\(32,\)"):
        load("wav2vec2_base", tmp_path, intermediate_size=32)


def test_a_checkpoint_of_another_type_is_refused(tmp_path):
    golden = read_golden("hubert_base")
    with pytest.raises(ModelFileError, match=r"is of type 'hubert'; TFWav2Vec2Model reads 'wav2vec2'.*load_encoder"):
        TFWav2Vec2Model.from_pretrained(write(tmp_path / "hubert", golden))
    with pytest.raises(ModelFileError, match=r"is of type 'sew'; expected one of wav2vec2, hubert, wavlm, whisper"):
        load_encoder(write(tmp_path / "sew", golden, model_type="sew"))
    with pytest.raises(ModelFileError, match="is of type None"):
        load_encoder(write(tmp_path / "nothing", golden, model_type=None))


@pytest.mark.parametrize("name", ["wav2vec2_base", "hubert_large", "wavlm_large"])
def test_a_checkpoint_says_by_itself_which_model_it_is(tmp_path, name):
    assert type(load_encoder(write(tmp_path, read_golden(name)))) is CLASSES[name.split("_")[0]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"add_adapter": True}, "add_adapter=True, which is not supported"),
        ({"adapter_attn_dim": 16}, r"adapter_attn_dim \(language adapters\), not supported"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm is 'batch'; expected 'group' or 'layer'"),
        ({"hidden_act": "tanh"}, "activation 'tanh' of the configuration is unknown; expected one of gelu"),
        ({"num_attention_heads": 3}, "16 of the configuration does not divide by 3 heads"),
    ],
)
def test_an_architecture_that_is_not_offered_is_refused_in_words(settings, words):
    with pytest.raises(ParameterError, match=words):
        TFWav2Vec2Model({**TINY, **settings})


def test_huberts_batch_norm_is_refused_in_words():
    with pytest.raises(ParameterError, match="conv_pos_batch_norm=True, which is not supported"):
        TFHubertModel({**TINY, "conv_pos_batch_norm": True})


# A model of Keras like others

SMALL = {**TINY, "num_hidden_layers": 2}
DROPOUTS = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
VARIANTS = pytest.mark.parametrize(
    ("kind", "settings"),
    [(TFWav2Vec2Model, SMALL), (TFHubertModel, {**SMALL, **STABLE}), (TFWavLMModel, SMALL)],
    ids=["group", "layer", "gated"],
)


@pytest.mark.parametrize("name", ["wav2vec2_odd", "hubert_large", "wavlm_base", "emotion"])
def test_a_configuration_makes_the_same_model_again(encoder, name):
    model = encoder(name)
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert again.name == model.name
    assert [tuple(weight.shape) for weight in again.weights] == [tuple(weight.shape) for weight in model.weights]
    again.set_weights(model.get_weights())
    golden = read_golden(name)
    for own, other in zip(again(golden.inputs), model(golden.inputs), strict=True):
        if other is not None:
            np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_the_reference_is_a_weight(encoder, name):
    tensors = read_golden(name).tensors
    # weight norm's length is part of the kernel here
    expected = sum(values.size for key, values in tensors.items() if not key.endswith("original0"))
    assert encoder(name).count_params() == expected


def test_the_published_base_size_has_its_number_of_parameters():
    """94,371,712 with weight norm's 128 lengths apart, by transformers' own count."""
    assert TFWav2Vec2Model({}).count_params() == 94_371_712 - 128


@VARIANTS
def test_a_gradient_step_on_a_cpu_changes_every_weight_and_lowers_the_loss(rng, kind, settings):
    model = kind({**settings, **dict.fromkeys(DROPOUTS, 0.0)})
    for variable in model.trainable_weights:  # zeros have no gradient to pass on
        variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    x = rng.normal(size=(2, 4_000)).astype(np.float32)
    mask = mask_of([4_000, 3_000], 4_000)
    wanted = rng.normal(size=(2, 12, 16)).astype(np.float32)
    optimizer = keras.optimizers.SGD(1e-3)
    before, losses = [variable.numpy() for variable in model.trainable_weights], []
    with tf.device("/CPU:0"):
        for _ in range(3):
            with tf.GradientTape() as tape:
                states = model(x, attention_mask=mask, training=True).last_hidden_state
                loss = tf.reduce_mean(tf.square(states - wanted))
            gradients = tape.gradient(loss, model.trainable_weights)
            optimizer.apply(gradients, model.trainable_weights)
            losses.append(float(loss))
    assert losses[0] > losses[1] > losses[2]
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    same = [v.path for old, v in zip(before, model.trainable_weights, strict=True) if np.array_equal(old, v)]
    # a constant added to every key changes no attention, and a norm over time takes a bias away
    assert all("k_proj/bias" in path for path in same), same


@VARIANTS
def test_dropout_works_in_training_alone(rng, kind, settings):
    model = kind({**settings, "hidden_dropout": 0.5})
    x = rng.normal(size=(1, 4_000)).astype(np.float32)
    calm, trained = (np.asarray(model(x, training=training).last_hidden_state) for training in (False, True))
    np.testing.assert_array_equal(model(x).last_hidden_state, calm)
    assert np.abs(trained - calm).max() > 0.1
    assert np.abs(np.asarray(model(x, training=True).last_hidden_state) - trained).max() > 0.1


@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [("wav2vec2_base", True), ("wav2vec2_base", False), ("wav2vec2_large", False), ("wavlm_base", True)],
)
def test_compiled_it_is_the_same(encoder, name, jit_compile):
    model, golden = encoder(name), read_golden(name)
    mask = mask_of(LENGTHS, golden.inputs.shape[1])

    @tf.function(jit_compile=jit_compile)
    def graph(x, mask):
        return model(x, attention_mask=mask, output_hidden_states=True).hidden_states

    expected = model(golden.inputs, attention_mask=mask, output_hidden_states=True).hidden_states
    assert_states(graph(tf.constant(golden.inputs), tf.constant(mask)), expected)


def test_it_is_part_of_a_keras_model_that_trains_and_is_saved(tmp_path, rng):
    x = keras.Input((None,))
    mask = keras.Input((None,), dtype="int32")
    keras.utils.set_random_seed(0)
    inner = TFWav2Vec2Model({**TINY, "num_hidden_layers": 1, **dict.fromkeys(DROPOUTS, 0.0)})
    output = inner(x, attention_mask=mask)
    pooled = keras.layers.GlobalAveragePooling1D()(output.last_hidden_state, mask=output.frame_mask)
    model = keras.Model([x, mask], keras.layers.Dense(1)(pooled))
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=False)
    samples = rng.normal(size=(4, 3_000)).astype(np.float32)
    wanted = np.array([[0.0], [1.0], [0.0], [1.0]], np.float32)
    given = [samples, mask_of([3_000, 2_000, 3_000, 2_500], 3_000)]
    before = inner.projection.kernel.numpy()
    losses = model.fit(given, wanted, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(inner.projection.kernel, before)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(given), model(given), atol=1e-5)


def test_it_is_part_of_a_keras_model_without_a_mask():
    x = keras.Input((3_000,))
    inner = TFWav2Vec2Model({**TINY, "num_hidden_layers": 1})
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(inner(x).last_hidden_state))
    samples = np.ones((2, 3_000), np.float32)
    np.testing.assert_allclose(model(samples), np.mean(inner(samples).last_hidden_state, axis=1), atol=1e-5)
