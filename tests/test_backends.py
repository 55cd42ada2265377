"""The encoders under Keras' other backends, JAX and PyTorch: the same numbers. `.ci/backends` runs this with them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from golden.backend_numbers import FEATURES, NAMES, TRAINED, hum, losses
from golden.make_states import EVERY, FOLDER, LENGTHS, Golden, assert_states, read_golden, voice

import vocalbio as vb
from vocalbio.encoders import LogMel, load_encoder

BACKENDS = ("jax", "torch")
WAVES = [name for name in NAMES if not name.startswith("whisper")]


@pytest.fixture(scope="module", params=BACKENDS)
def numbers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the encoders gave in a process of their own under one backend, and the folder of their checkpoints."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed; .ci/backends runs this with it")
    folder = tmp_path_factory.mktemp(request.param)
    command = [sys.executable, str(FOLDER / "backend_numbers.py"), str(folder)]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": request.param}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(folder / "numbers.npz") as file:
        found = {key: file[key] for key in file.files}
    assert str(found["backend"]) == request.param
    return found, folder


@pytest.fixture
def states(numbers: Any) -> Callable[[str], list[np.ndarray]]:
    found, _ = numbers

    def get(key: str) -> list[np.ndarray]:
        return [found[f"{key}:{n}"] for n in range(sum(name.startswith(f"{key}:") for name in found))]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_states_are_those_of_pytorchs_own_classes(states, name):
    golden = read_golden(name)
    assert_states([state[:, :: EVERY.get(name, 1)] for state in states(f"{name}:states")], golden.states)


@pytest.mark.parametrize("name", WAVES)
def test_padding_has_no_say(states, name):
    n = states(f"{name}:alone")[0].shape[1]
    padded = states(f"{name}:padded")
    assert_states([state[1:, :n] for state in padded], states(f"{name}:alone"))
    assert all((state[1, n:] == 0).all() for state in padded)


@pytest.mark.parametrize("name", [name for name in WAVES if read_golden(name).masked])
def test_masked_states_are_those_of_pytorchs_own_classes(states, name):
    golden: Golden = read_golden(name)
    for clip, length in enumerate(LENGTHS):
        n = (length - 400) // 320 + 1
        assert_states([state[clip, :n] for state in states(f"{name}:padded")], [s[clip, :n] for s in golden.masked])


def test_a_voice_below_hum_and_offset_keeps_its_precision(numbers, states):
    """Where the group norm is folded into the convolution, differences of large samples want float64; else no fold."""
    _, folder = numbers
    expected = load_encoder(folder / "wav2vec2_base")(hum()[None], output_hidden_states=True).hidden_states
    assert_states(states("hum"), [np.asarray(state) for state in expected])


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_those_of_tensorflow(numbers, name):
    found, folder = numbers
    clips = [vb.Recording(voice(s, 100.0 + 40.0 * n), 16_000) for n, s in enumerate(FEATURES[name])]
    X = vb.extract_features(clips, [vb.Embedding(folder / name, layer=(0, 2), pooling="mean+std")])
    assert_states([found[f"{name}:features"]], [X.filter(like=f"{name}_L0_L2__").to_numpy()])


def test_whispers_spectrogram_is_that_of_tensorflow(numbers):
    waveforms = np.stack([voice(1.0), voice(1.0, 210.0)])
    np.testing.assert_allclose(numbers[0]["log_mel"], LogMel(80)(waveforms), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_saved_is_the_same_model(numbers, name):
    _, folder = numbers
    found, expected = (load_encoder(folder / name / part) for part in ("again", ""))
    for own, other in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(own, other, err_msg=other.path)


@pytest.mark.parametrize("kind", TRAINED)
def test_training_takes_the_steps_that_it_takes_in_tensorflow(numbers, kind):
    found = numbers[0][f"losses:{kind}"]
    assert found[0] > found[1] > found[2]
    np.testing.assert_allclose(found, losses(kind, np.random.default_rng(list(TRAINED).index(kind))), rtol=1e-3)
