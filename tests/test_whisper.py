"""Whisper's encoder and its log-mel front end: the reference's numbers, and what shorter windows mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import DATA
from golden.make_states import (
    CONFIGURATIONS,
    EVERY,
    TINY_WHISPER,
    Reference,
    assert_states,
    inputs_of,
    mask_of,
    read_golden,
    reference_states,
    voice,
)
from safetensors.numpy import load_file, save_file

from vocalbio.audio import load_audio
from vocalbio.encoders import LogMel, TFWhisperEncoder, load_encoder
from vocalbio.errors import ModelFileError, ParameterError, VocalbioWarning

RATE = 16_000
NAMES = [name for name in CONFIGURATIONS if name.startswith("whisper")]


def load(name: str, folder: Path, tensors: dict[str, Any] | None = None) -> TFWhisperEncoder:
    golden = read_golden(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(golden.config))
    save_file(golden.tensors if tensors is None else tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return TFWhisperEncoder.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TFWhisperEncoder]:
    """Models with the golden weights, each loaded once; for tests that leave them as they are."""
    loaded: dict[str, TFWhisperEncoder] = {}

    def get(name: str) -> TFWhisperEncoder:
        if name not in loaded:
            loaded[name] = load(name, tmp_path_factory.mktemp(name))
        return loaded[name]

    return get


@pytest.fixture(scope="module")
def whisper_base() -> Path:
    """The folder of real weights; the test skips, saying why, where it is absent."""
    folder = DATA.parent / "models" / "whisper-base-encoder"
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}; VOCALBIO_DATA names the folder beside models")
    return folder


def reference_mel(samples: Any, n_mels: int = 80) -> Any:
    """30 s, padded, by transformers."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=n_mels)(samples, sampling_rate=RATE, return_tensors="np")[
        "input_features"
    ]


def padded(samples: Any, n: int = 30 * RATE) -> Any:
    return np.pad(samples[:n], (0, max(0, n - len(samples))))[None].astype(np.float32)


# The spectrogram


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("kind", ["noise", "voice", "silence", "short", "full", "loud", "click"])
def test_the_spectrogram_is_that_of_transformers(rng, kind, n_mels):
    samples = {
        "noise": 0.1 * rng.normal(size=5 * RATE),
        "voice": voice(3.0),
        "silence": np.zeros(2 * RATE),
        "short": 0.1 * rng.normal(size=700),
        "full": 0.1 * rng.normal(size=30 * RATE),  # no silence at its end
        "loud": np.sign(rng.normal(size=RATE)),
        "click": np.eye(1, RATE, 5_000)[0],
    }[kind]
    expected = reference_mel(samples.astype(np.float32), n_mels)
    found = LogMel(n_mels)(padded(samples)).numpy()
    assert found.shape == expected.shape == (1, n_mels, 3_000)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("n_mels", [80, 128])
def test_the_spectrogram_of_real_speech_is_that_of_transformers(data, n_mels):
    files = sorted((data / "ravdess").rglob("*.flac"))[::400] + sorted((data / "long_speech").rglob("*.flac"))[:1]
    assert len(files) > 2
    for file in files:
        samples = load_audio(file).samples[: 30 * RATE]
        found = LogMel(n_mels)(padded(samples)).numpy()
        assert np.abs(found - reference_mel(samples, n_mels)).max() < 1e-4, file.name


def test_spectrograms_of_a_batch_are_those_of_each_alone(rng):
    layer = LogMel()
    clips = [rng.normal(size=(1, n)).astype(np.float32) * level for n, level in ((16_000, 1.0), (9_600, 1e-3))]
    both = np.concatenate([clips[0], np.pad(clips[1], ((0, 0), (0, 6_400)))])
    found = layer(both, np.array([100, 60])).numpy()
    for row, clip, n in zip(found, clips, (100, 60), strict=True):
        alone = layer(clip, np.array([n])).numpy()[0]
        np.testing.assert_allclose(row[:, :n], alone, atol=1e-5)
        np.testing.assert_array_equal(row[:, n:], 0.0)


def test_a_spectrogram_layer_is_made_again_from_its_configuration():
    layer = LogMel.from_config(json.loads(json.dumps(LogMel(128, name="mel").get_config())))
    assert (layer.name, layer(np.zeros((1, 3_200), np.float32)).shape) == ("mel", (1, 128, 20))


# The states are the reference's


@pytest.mark.parametrize("name", NAMES)
def test_states_of_every_layer_are_pytorchs(encoder, name):
    golden = read_golden(name)
    model = encoder(name)
    found = model(golden.inputs, output_hidden_states=True)
    every = EVERY.get(name, 1)
    assert_states([state[:, ::every] for state in found.hidden_states], golden.states)
    np.testing.assert_array_equal(found.last_hidden_state, found.hidden_states[-1])
    assert np.asarray(found.frame_mask).all()
    assert model(golden.inputs).hidden_states == ()


def test_real_weights_give_exact_states_as_nearly_as_pytorch(whisper_base):
    """States of 500 make the rounding of real weights larger than the bound, PyTorch's own too."""
    golden = read_golden("whisper_base")
    model = load_encoder(whisper_base)
    assert (type(model), model.n_layers, model.hidden_size) == (TFWhisperEncoder, 6, 512)
    found = model(reference_mel(voice(3.0)), output_hidden_states=True).hidden_states
    for state, exact, rounding in zip(found, golden.states, golden.rounding, strict=True):
        off = np.abs(state[:, :: EVERY["whisper_base"]] - exact).max()
        assert off <= max(1e-4, 4 * rounding), f"off by {off:.1e}, PyTorch by {rounding:.1e}"


@pytest.mark.slow
def test_real_speech_gives_exact_states_as_nearly_as_pytorch(whisper_base, data):
    pytest.importorskip("torch")
    from transformers import WhisperModel

    reference = WhisperModel.from_pretrained(whisper_base).float().eval()
    mel = reference_mel(load_audio(sorted((data / "ravdess").rglob("*.flac"))[7]).samples)
    pytorch = reference_states(reference, mel)
    exact = reference_states(reference.double(), mel.astype(float))
    found = load_encoder(whisper_base)(mel, output_hidden_states=True).hidden_states
    for own, other, state in zip(found, pytorch, exact, strict=True):
        assert np.abs(own - state).max() <= max(1e-4, 4 * np.abs(other - state).max())


@pytest.mark.parametrize("name", NAMES)
def test_states_equal_those_of_the_pytorch_that_is_installed(tmp_path, name):
    pytest.importorskip("torch")
    kind, settings = CONFIGURATIONS[name]
    reference = Reference(kind, settings, seed=1)
    reference.save(tmp_path)
    inputs = inputs_of(reference.config.to_dict())
    found = load_encoder(tmp_path)(inputs, output_hidden_states=True).hidden_states
    assert_states(found, reference.states(inputs))


# Shorter windows, masks


def states_of(model: TFWhisperEncoder, clip: Any) -> list[Any]:
    """As the encoder gives them from samples of one recording."""
    states, _ = model.states(clip[None], np.array([len(clip)]), range(model.n_layers + 1))
    return [state[0].numpy() for state in states]


@pytest.mark.parametrize("filling", [1e3, np.nan])
@pytest.mark.parametrize("name", NAMES)
def test_states_in_a_padded_batch_are_those_of_the_recording_alone(encoder, rng, name, filling):
    model = encoder(name)
    lengths = [7_777, 9_600, 320, 4_000]
    n_frames = [length // 320 for length in lengths]
    clips = [rng.normal(size=length).astype(np.float32) * 0.1 for length in lengths]
    batch = (filling * rng.normal(size=(4, 9_600))).astype(np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    found, mask = model.states(batch, np.array(lengths), range(model.n_layers + 1))
    np.testing.assert_array_equal(mask, mask_of(n_frames, 30).astype(bool))
    for number, (clip, n) in enumerate(zip(clips, n_frames, strict=True)):
        assert_states([state[number, :n] for state in found], states_of(model, clip))
        for state in found:
            np.testing.assert_array_equal(state[number, n:], 0.0)


@pytest.mark.parametrize("filling", [1e3, np.nan])
def test_masked_spectrograms_have_the_states_that_they_have_alone(encoder, rng, filling):
    model = encoder("whisper_128")
    mel = rng.normal(size=(3, 128, 60)).astype(np.float32)
    lengths = [60, 31, 2]
    batch = np.where(mask_of(lengths, 60)[:, None] == 1, mel, np.float32(filling))
    found = model(batch, attention_mask=mask_of(lengths, 60), output_hidden_states=True)
    np.testing.assert_array_equal(found.frame_mask, mask_of([30, 15, 1], 30).astype(bool))
    for number, length in enumerate(lengths):
        alone = model(mel[number : number + 1, :, :length], output_hidden_states=True)
        n = length // 2
        assert_states(
            [state[number, :n] for state in found.hidden_states], [state[0].numpy() for state in alone.hidden_states]
        )
        for state in found.hidden_states:
            np.testing.assert_array_equal(state[number, n:], 0.0)


def test_a_shorter_window_is_the_reference_with_fewer_positions(tmp_path, encoder):
    """As documented: positions and attention end with the recording; nothing else differs."""
    golden = read_golden("whisper_80")
    tensors = dict(golden.tensors)
    name = "model.encoder.embed_positions.weight"
    tensors[name] = tensors[name][:50]
    (tmp_path / "config.json").write_text(json.dumps({**golden.config, "max_source_positions": 50}))
    save_file(tensors, tmp_path / "model.safetensors")
    short = golden.inputs[..., :100]
    expected = TFWhisperEncoder.from_pretrained(tmp_path)(short, output_hidden_states=True).hidden_states
    found = encoder("whisper_80")(short, output_hidden_states=True).hidden_states
    assert_states(found, [state.numpy() for state in expected])
    whole = encoder("whisper_80")(golden.inputs, output_hidden_states=True).hidden_states
    # no frame but the last sees other samples; from the first layer on, each attends to others
    assert_states([found[0][:, :49]], [whole[0][:, :49].numpy()])
    assert np.abs(found[1] - whole[1][:, :50]).max() > 0.01


def test_more_than_thirty_seconds_are_refused():
    model = TFWhisperEncoder({**TINY_WHISPER, "max_source_positions": 40})
    with pytest.raises(ParameterError, match=r"input_features have 82 frames; expected at most 80"):
        model(np.zeros((1, 80, 82), np.float32))


def test_a_frame_is_centred_on_what_the_convolutions_see():
    model = TFWhisperEncoder(TINY_WHISPER)
    for variable in (model.conv1.kernel, model.conv2.kernel):
        variable.assign(np.ones(variable.shape))  # symmetric
    mel = tf.Variable(np.zeros((1, 80, 40), np.float32))
    with tf.GradientTape() as tape:
        found = tf.reduce_sum(model(mel, output_hidden_states=True).hidden_states[0][0, 7])
    seen = np.abs(tape.gradient(found, mel).numpy()[0]).sum(axis=0)
    centre = (seen * np.arange(40)).sum() / seen.sum() * 160  # the first mel frame is centred on the first sample
    assert centre == pytest.approx(7 * model.frame_hop + model.frame_centre)


# Checkpoints


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_is_loaded_bit_for_bit(encoder, tmp_path, name):
    model = encoder(name)
    model.save_pretrained(tmp_path)
    again = TFWhisperEncoder.from_pretrained(tmp_path)
    for own, other in zip(again._named_weights(), model._named_weights(), strict=True):
        assert own.name == other.name
        np.testing.assert_array_equal(own.write(), other.write(), err_msg=own.name, strict=True)
    assert not [name for name in load_file(tmp_path / "model.safetensors") if "decoder" in name]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_is_what_pytorch_loads(encoder, tmp_path, name):
    pytest.importorskip("torch")
    from transformers import WhisperModel

    golden = read_golden(name)
    encoder(name).save_pretrained(tmp_path)
    loaded, told = WhisperModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not [key for key in told["missing_keys"] if not key.startswith("decoder.")]
    assert not told["unexpected_keys"]
    found = reference_states(loaded.eval(), golden.inputs)
    assert_states([state[:, :: EVERY.get(name, 1)] for state in found], golden.states)


def test_half_precision_is_read_as_the_numbers_it_holds(tmp_path):
    tensors = {name: values.astype(np.float16) for name, values in read_golden("whisper_128").tensors.items()}
    found = load("whisper_128", tmp_path / "half", tensors)
    same = load("whisper_128", tmp_path / "same", {name: v.astype(np.float32) for name, v in tensors.items()})
    for own, other in zip(found.weights, same.weights, strict=True):
        assert own.dtype == "float32"
        np.testing.assert_array_equal(own, other)


def test_the_decoder_is_left_out_in_silence_and_all_else_is_told(tmp_path, recwarn):
    load("whisper_80", tmp_path / "whole")
    assert not [told for told in recwarn if issubclass(told.category, VocalbioWarning)]
    tuned = {**read_golden("whisper_80").tensors, "projector.weight": np.zeros((4, 8), np.float32)}
    with pytest.warns(VocalbioWarning, match=r"projector\.weight"):
        load("whisper_80", tmp_path / "tuned", tuned)


def test_a_checkpoint_that_lacks_weights_is_refused_naming_them(tmp_path):
    tensors = {n: v for n, v in read_golden("whisper_80").tensors.items() if "embed_positions" not in n}
    with pytest.raises(ModelFileError, match=r"lacks 1 weights of TFWhisperEncoder, such as embed_positions\.weight"):
        load("whisper_80", tmp_path, tensors)


# A model of Keras like others


def test_a_configuration_makes_the_same_model_again(encoder):
    model, golden = encoder("whisper_128"), read_golden("whisper_128")
    again = TFWhisperEncoder.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(golden.inputs).last_hidden_state, model(golden.inputs).last_hidden_state)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_the_references_encoder_is_a_weight(encoder, name):
    tensors = read_golden(name).tensors
    expected = sum(v.size for n, v in tensors.items() if n.startswith(("encoder.", "model.encoder.")))
    assert encoder(name).count_params() == expected


def test_a_gradient_step_on_a_cpu_changes_weights_and_lowers_the_loss(rng):
    model = TFWhisperEncoder(TINY_WHISPER)
    mel = rng.normal(size=(2, 80, 40)).astype(np.float32)
    wanted = rng.normal(size=(2, 20, 8)).astype(np.float32)
    optimizer = keras.optimizers.SGD(1e-2)
    before, losses = [v.numpy() for v in model.trainable_weights], []
    with tf.device("/CPU:0"):
        for _ in range(3):
            with tf.GradientTape() as tape:
                states = model(mel, attention_mask=mask_of([40, 30], 40), training=True).last_hidden_state
                loss = tf.reduce_mean(tf.square(states - wanted))
            optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
            losses.append(float(loss))
    assert losses[0] > losses[1] > losses[2]
    assert all(not np.array_equal(old, v) for old, v in zip(before, model.trainable_weights, strict=True))
    # sinusoids, which stay as they are in the reference too
    assert all(v is not model.positions for v in model.trainable_weights)


def test_dropout_works_in_training_alone(rng):
    model = TFWhisperEncoder({**TINY_WHISPER, "dropout": 0.5})
    mel = rng.normal(size=(1, 80, 40)).astype(np.float32)
    calm, trained = (model(mel, training=training).last_hidden_state.numpy() for training in (False, True))
    np.testing.assert_array_equal(model(mel).last_hidden_state, calm)
    assert np.abs(trained - calm).max() > 0.1


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_it_is_the_same(encoder, rng, jit_compile):
    model = encoder("whisper_80")
    samples = 0.1 * rng.normal(size=(2, 9_600)).astype(np.float32)
    lengths = np.array([9_600, 5_000], np.int32)

    @tf.function(jit_compile=jit_compile)
    def graph(x, n):
        return model.states(x, n, [0, 2, 3])[0]

    expected = [state.numpy() for state in model.states(samples, lengths, [0, 2, 3])[0]]
    assert_states(graph(tf.constant(samples), tf.constant(lengths)), expected)


def test_it_is_part_of_a_keras_model_from_samples_to_answer(tmp_path, rng):
    samples = keras.Input((None,))
    mask = keras.Input((None,), dtype="int32")
    keras.utils.set_random_seed(0)
    inner = TFWhisperEncoder({**TINY_WHISPER, "encoder_layers": 1})
    output = inner(LogMel()(samples), attention_mask=mask, output_hidden_states=True)  # Keras takes no None here
    pooled = keras.layers.GlobalAveragePooling1D()(output.last_hidden_state)
    model = keras.Model([samples, mask], keras.layers.Dense(1)(pooled))
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=False)
    given = [0.1 * rng.normal(size=(4, 3_200)).astype(np.float32), mask_of([20, 20, 16, 12], 20)]
    before = inner.conv1.kernel.numpy()
    losses = model.fit(given, np.array([[0.0], [1.0], [0.0], [1.0]]), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(inner.conv1.kernel, before)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(given), model(given), atol=1e-5)
