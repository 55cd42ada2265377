"""Recordings of any length through an encoder: how they are cut, batched and pooled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DATA
from golden.make_states import STABLE, TINY, TINY_WHISPER, assert_states, bound, voice
from numpy.typing import NDArray

from vocalbio.encoders import LogMel, TFWav2Vec2Model, TFWhisperEncoder, load_encoder
from vocalbio.encoders.inference import Inference
from vocalbio.errors import ParameterError
from vocalbio.export.pieces import CONTEXT_FRAMES, cut

RATE = 16_000
SECONDS = 4.0
"""Pieces of the models below: long recordings without long tests."""


class ShortWav2Vec2(TFWav2Vec2Model):
    chunk_s = SECONDS


class ShortWhisper(TFWhisperEncoder):
    chunk_s = SECONDS


@pytest.fixture(scope="module")
def encoders() -> dict[str, Any]:
    """Random weights, biases and gains too."""
    rng = np.random.default_rng(3)
    models = {
        "group": ShortWav2Vec2(TINY),
        "layer": ShortWav2Vec2({**TINY, **STABLE}),
        "whisper": ShortWhisper({**TINY_WHISPER, "max_source_positions": round(50 * SECONDS)}),
    }
    for model in models.values():
        for variable in model.weights:
            variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    return models


@pytest.fixture(params=["group", "layer", "whisper"])
def encoder(request: pytest.FixtureRequest, encoders: dict[str, Any]) -> Any:
    return encoders[request.param]


@pytest.fixture(scope="module")
def inferences(encoders: dict[str, Any]) -> dict[str, Inference]:
    """One for most tests, since each traces its graphs."""
    return {name: Inference(encoder, [0, 1, 3]) for name, encoder in encoders.items()}


@pytest.fixture
def inference(encoder: Any, inferences: dict[str, Inference]) -> Inference:
    return next(inference for inference in inferences.values() if inference.encoder is encoder)


@pytest.fixture
def recordings() -> list[NDArray[np.float32]]:
    """Short, long (up to four pieces), and of one length."""
    seconds = [0.6, 9.3, 1.5, 4.0, 4.01, 0.6, 2.2, 7.0]
    return [voice(length, 100.0 + 20 * number) for number, length in enumerate(seconds)]


def assert_pooled(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for own, other in zip(found, expected, strict=True):
        for part, wanted in zip(own, other, strict=True):
            assert_states(list(part), list(wanted))


# Cutting


def lengths(encoder: Any) -> Iterator[int]:
    """Around every edge, and at random up to half an hour."""
    chunk, hop = round(encoder.chunk_s * RATE), encoder.frame_hop
    step = chunk - 2 * CONTEXT_FRAMES * hop
    yield from range(encoder.fewest_samples, encoder.fewest_samples + 700, 37)
    for around in (chunk, chunk + step, chunk + 2 * step, 2 * chunk, 60 * RATE):
        yield from range(around - 2 * hop, around + 2 * hop + 1, 29)
        yield from (around - 1, around, around + 1, around + hop - 1, around + hop + 1)
    yield from np.random.default_rng(0).integers(chunk, 1800 * RATE, 300).tolist()


@pytest.mark.parametrize("kind", [TFWav2Vec2Model, TFWhisperEncoder])
def test_pieces_keep_every_frame_once(kind):
    model = kind({"wav2vec2": TINY, "whisper": TINY_WHISPER}[kind.model_type])
    chunk, hop = round(model.chunk_s * RATE), model.frame_hop
    for n in lengths(model):
        pieces = cut(n, model)
        kept = [piece.start // hop + frame for piece in pieces for frame in range(piece.first, piece.last)]
        assert kept == list(range(model.frame_count(n))), n
        assert (pieces[0].start, pieces[-1].end) == (0, n)
        if n <= chunk:
            assert len(pieces) == 1
            continue
        for piece in pieces:
            assert piece.start % hop == 0
            assert 0 <= piece.first < piece.last <= model.frame_count(piece.end - piece.start)
        assert {piece.end - piece.start for piece in pieces[:-1]} == {chunk}
        assert chunk - hop < pieces[-1].end - pieces[-1].start <= chunk
        # inner edges are dropped on both sides
        assert all(piece.first >= CONTEXT_FRAMES for piece in pieces[1:])
        assert all(piece.last == model.frame_count(chunk) - CONTEXT_FRAMES for piece in pieces[:-1])


def test_published_encoders_are_cut_at_twenty_and_thirty_seconds():
    assert (TFWav2Vec2Model.chunk_s, TFWhisperEncoder.chunk_s) == (20.0, 30.0)


# Frames


def test_a_short_recordings_frames_are_the_encoders_states(encoder, inference):
    samples = voice(1.3)
    states, times_s = inference.frames(samples)
    found, _ = encoder.states(encoder.normalize(samples)[None], np.array([len(samples)]), [0, 1, 3])
    assert_states(list(np.moveaxis(states, 1, 0)), [state[0].numpy() for state in found])
    assert len(states) == len(times_s) == encoder.frame_count(len(samples))
    first = {"wav2vec2": 0.0125, "whisper": 0.0}[encoder.model_type]
    np.testing.assert_allclose(times_s, first + 0.02 * np.arange(len(times_s)), atol=1e-9)


def test_a_long_recordings_frames_are_those_of_its_pieces(encoder, inference):
    """By the rule as it is written: context is dropped, the normalisation is that of the whole."""
    samples = voice(9.3) * np.linspace(0.2, 1.0, round(9.3 * RATE), dtype=np.float32)
    states, times_s = inference.frames(samples)
    assert len(states) == len(times_s) == encoder.frame_count(len(samples))
    whole = encoder.normalize(samples)
    piece = next(piece for piece in cut(len(samples), encoder) if piece.start > 0)
    found, _ = encoder.states(whole[None, piece.start : piece.end], np.array([piece.end - piece.start]), [3])
    offset = piece.start // 320
    assert_states(
        [states[offset + piece.first : offset + piece.last, 2]], [found[0][0, piece.first : piece.last].numpy()]
    )


# Pooling


def test_pooled_are_mean_and_deviation_of_the_frames(inference, recordings):
    found = inference.pool(recordings)
    for samples, (means, deviations) in zip(recordings, found, strict=True):
        states, _ = inference.frames(samples)
        assert_states([means, deviations], [states.mean(axis=0, dtype=float), states.std(axis=0, dtype=float)])


def test_the_mean_of_layers_is_pooled_as_one_layer(encoder, recordings):
    every = range(encoder.n_layers + 1)
    samples = recordings[2]
    [(means, deviations)] = Inference(encoder, every, average=True).pool([samples])
    found, _ = encoder.states(encoder.normalize(samples)[None], np.array([len(samples)]), every)
    states = np.mean([state[0].numpy() for state in found], axis=0)
    assert_states([means, deviations], [states.mean(axis=0)[None], states.std(axis=0)[None]])


@pytest.mark.parametrize("batch_s", [0.1, 4.5, 1e6])
def test_a_recordings_numbers_do_not_depend_on_the_others(monkeypatch, inference, recordings, batch_s):
    alone = [inference.pool([samples])[0] for samples in recordings]
    monkeypatch.setattr("vocalbio.encoders.inference.BATCH_S", {"cpu": batch_s, "gpu": batch_s})
    assert_pooled(inference.pool(recordings), alone)
    order = np.random.default_rng(1).permutation(len(recordings))
    assert_pooled(inference.pool([recordings[number] for number in order]), [alone[number] for number in order])
    assert_pooled(inference.pool(recordings[1:2] * 3), [alone[1]] * 3)


def test_batches_hold_no_more_than_they_may(monkeypatch, inference, recordings):
    """No more audio than the limit, padding counted, but for a piece that is longer by itself."""
    monkeypatch.setattr("vocalbio.encoders.inference.BATCH_S", {"cpu": 6.0, "gpu": 6.0})
    held: list[list[int]] = []
    run = inference._run
    monkeypatch.setattr(
        inference,
        "_run",
        lambda graph, batch: held.append([piece.end - piece.start for _, piece in batch]) or run(graph, batch),
    )
    inference.pool(recordings)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= 6 * RATE for batch in held)
    assert max(map(len, held)) > 1
    assert sum(map(len, held)) == sum(len(cut(len(samples), inference.encoder)) for samples in recordings)


def test_progress_counts_recordings(inference, recordings):
    told: list[int] = []
    inference.pool(recordings, told.append)
    assert told == [1] * len(recordings)


def test_nothing_is_nothing(inference):
    assert inference.pool([]) == []


def test_the_level_of_a_recording_does_not_matter_where_it_is_normalised(inferences):
    inference = inferences["layer"]
    samples = voice(9.3)
    assert_pooled(inference.pool([4 * samples]), inference.pool([samples]))


def test_one_graph_serves_all_lengths(inference):
    for length in (0.5, 0.7, 1.9, 4.0, 6.5):
        inference.pool([voice(length), voice(length / 2)])
        inference.frames(voice(length))
    assert inference._pooled.experimental_get_tracing_count() == 1
    assert inference._kept.experimental_get_tracing_count() == 1


def test_nothing_is_computed_beyond_the_highest_layer(monkeypatch, encoder):
    def never(*_: Any, **__: Any) -> None:
        raise RuntimeError("the last layer was computed")

    monkeypatch.setattr(encoder.blocks[-1], "call", never)
    samples = voice(0.5)[None]
    states, _ = encoder.states(samples, None, [2, 0])
    assert [state.shape[-1] for state in states] == [encoder.hidden_size] * 2
    with pytest.raises(RuntimeError, match="last layer"):
        encoder.states(samples, None, [3])


# Whisper padded as the reference pads


def test_padded_is_the_reference_pooled_over_the_real_part(recordings):
    model = TFWhisperEncoder(TINY_WHISPER)
    inference = Inference(model, [0, 2, 3], padded=True)
    recordings = [recordings[0], recordings[2]]
    found = inference.pool(recordings)
    for samples, (means, deviations) in zip(recordings, found, strict=True):
        mel = LogMel(80)(np.pad(samples, (0, 30 * RATE - len(samples)))[None])
        states = [model(mel, output_hidden_states=True).hidden_states[layer] for layer in (0, 2, 3)]
        real = np.stack([state[0, : len(samples) // 320].numpy() for state in states])
        assert_states([means, deviations], [real.mean(axis=1), real.std(axis=1)])
        frames, _ = inference.frames(samples)
        assert_states([frames[:, layer] for layer in range(3)], list(real))
    [(shorter, _)] = Inference(model, [0, 2, 3]).pool(recordings[:1])
    assert np.abs(found[0][0] - shorter).max() > 100 * bound(shorter)


# What is refused


def test_too_short_for_a_frame_is_told(encoder, inference):
    fewest = {"wav2vec2": 400, "whisper": 320}[encoder.model_type]
    with pytest.raises(ParameterError, match=rf"has {fewest - 1} samples; the encoder needs {fewest} at least"):
        inference.pool([voice(1.0), np.zeros(fewest - 1, np.float32)])
    with pytest.raises(ParameterError, match=rf"needs {fewest} at least"):
        inference.frames(np.zeros(fewest - 1, np.float32))
    states, _ = inference.frames(voice(1.0)[:fewest])
    assert len(states) == 1


@pytest.mark.parametrize("layers", [[4], [-1], [0, 9], []])
def test_layers_that_are_not_there_are_told(encoder, layers):
    with pytest.raises(ParameterError, match=r"layers are \[.*\]; expected some of 0 to 3"):
        Inference(encoder, layers)


def test_padding_is_for_whisper(encoders):
    with pytest.raises(ParameterError, match="padded=True, which is for Whisper; 'wav2vec2' takes any length"):
        Inference(encoders["group"], [0], padded=True)


# Real weights


@pytest.fixture(scope="module")
def whisper_base() -> Path:
    """The folder of real weights; the test skips, saying why, where it is absent."""
    folder = DATA.parent / "models" / "whisper-base-encoder"
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}; VOCALBIO_DATA names the folder beside models")
    return folder


def test_real_embeddings_do_not_depend_on_the_batch(whisper_base, data):
    from vocalbio.audio import load_audio

    files = sorted((data / "ravdess").rglob("*.flac"))[::240]
    clips = [load_audio(file).samples for file in files]
    clips.append(clips[0][:9_000])
    model = load_encoder(whisper_base)
    inference = Inference(model, range(model.n_layers + 1))
    for clip, (means, deviations) in zip(clips, inference.pool(clips), strict=True):
        [(own, spread)] = inference.pool([clip])
        assert_states([*means, *deviations], [*own, *spread])
