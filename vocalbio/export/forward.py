"""Encoders in the form that other runtimes take: one recording of any length, and no shape made while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocalbio.encoders import SpeechEncoder

__all__ = ["EXACT", "encoder_form"]

EXACT = "exact"
"""Name scope of products that stay float32 when the others become int8."""
N_FFT, HOP = 400, 160

Step = Callable[[Any], Any]


def encoder_form(encoder: SpeechEncoder, layers: Sequence[int], *, as_products: bool = False) -> Step:
    """
    Write an encoder in TensorFlow's own operations, with constant weights.

    Shapes are told by constants of which at most one is left open, so that LiteRT plans a whole graph anew when a
    recording has another length, and its fast kernels stay in use. Queries, keys and values are one product.

    Parameters
    ----------
    encoder : SpeechEncoder
    layers : sequence of int
        Hidden states to give; nothing is computed beyond the highest.
    as_products : bool
        Convolutions of wav2vec 2.0's front end as products of matrices: for int8, which takes the inputs of a product
        frame by frame, and those of a convolution with one scale for the whole recording.

    Returns
    -------
    callable
        Samples of shape (1, n_samples), normalised if the encoder wants it so, to a dict of ``"states"``, of shape
        (n_layers, n_frames, hidden_size). As `SpeechEncoder.states` with `lengths`.

    Raises
    ------
    ParameterError
        If encoders of this type cannot be exported.
    """
    import tensorflow as tf

    if encoder.model_type not in FORMS:
        raise ParameterError(f"an encoder of type {encoder.model_type!r} has no exported form; expected {_known()}")
    states = FORMS[encoder.model_type](encoder, as_products)

    def run(waveform: Any) -> dict[str, Any]:
        found = dict(zip(range(max(layers) + 1), states(waveform), strict=False))
        return {"states": tf.stack([found[number] for number in layers])}

    return run


def _known() -> str:
    return ", ".join(map(repr, FORMS))


# Parts ----------------------------------------------------------------------------------------------------------


def _array(variable: Any) -> NDArray[np.float32]:
    from keras import ops

    return np.array(ops.convert_to_numpy(variable), np.float32)


def _linear(layer: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    kernel = _array(layer.kernel)
    return kernel, np.zeros(kernel.shape[1], np.float32) if layer.bias is None else _array(layer.bias)


def _product(kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Step:
    import tensorflow as tf

    return lambda x: tf.matmul(x, kernel) + bias


def _norm(layer: Any) -> Step:
    import tensorflow as tf

    gamma, beta, epsilon = _array(layer.gamma), _array(layer.beta), layer.epsilon

    def run(x: Any) -> Any:
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
        return centred * tf.math.rsqrt(variance + epsilon) * gamma + beta

    return run


def _gelu(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * x * (1.0 + tf.math.erf(x * math.sqrt(0.5)))


def _conv(layer: Any, as_product: bool = False) -> Step:
    """Convolution over time, (n, n_in) to (fewer, n_out)."""
    import tensorflow as tf

    kernel, stride, padding = _array(layer.kernel), layer.stride, layer.padding
    bias = 0.0 if layer.bias is None else _array(layer.bias)
    size = len(kernel)

    def run(x: Any) -> Any:
        if padding:
            x = tf.pad(x, [[padding, padding], [0, 0]])
        if not as_product:
            return tf.nn.conv1d(x[None], kernel, stride, "VALID")[0] + bias
        # rows under the kernel side by side; ends that count from the end make them equally many
        rows = tf.concat([x[i : (i - size + 1) or None : stride] for i in range(size)], axis=-1)
        return tf.matmul(rows, kernel.reshape(-1, kernel.shape[2])) + bias

    return run


def _places(x: Any) -> Any:
    """0, 1, 2, … for the rows of `x`, without asking for their number."""
    import tensorflow as tf

    return tf.cumsum(tf.ones_like(x[:, 0], tf.int32)) - 1


def _attention(layer: Any) -> Callable[..., Any]:
    import tensorflow as tf

    n_heads, size = layer.n_heads, layer.size
    width = size // n_heads
    parts = [_linear(part) for part in (layer.q_proj, layer.k_proj, layer.v_proj)]
    factors = (width**-0.5, 1.0, 1.0)
    project = _product(
        np.concatenate([factor * kernel for factor, (kernel, _) in zip(factors, parts, strict=True)], axis=1),
        np.concatenate([factor * bias for factor, (_, bias) in zip(factors, parts, strict=True)]),
    )
    join = _product(*_linear(layer.out_proj))
    gate = _gates(layer) if hasattr(layer, "gate") else None

    def run(x: Any, positions: Any = None) -> Any:
        heads = tf.transpose(tf.reshape(project(x), (-1, 3 * n_heads, width)), (1, 0, 2))
        queries, keys, values = (heads[i * n_heads : (i + 1) * n_heads] for i in range(3))
        scores = tf.matmul(queries, keys, transpose_b=True)
        if gate is not None:
            scores = scores + positions * gate(x)
        found = tf.transpose(tf.matmul(tf.nn.softmax(scores), values), (1, 0, 2))
        return join(tf.reshape(found, (-1, size)))

    return run


def _gates(layer: Any) -> Step:
    """How much distance counts in WavLM, (n_heads, n_frames, 1); sums of four outputs are made in the weights."""
    import tensorflow as tf

    kernel, bias = _linear(layer.gate)
    measure = _product(kernel.reshape(-1, 2, 4).sum(axis=-1), bias.reshape(2, 4).sum(axis=-1))
    scale = _array(layer.scale).reshape(-1, 1, 1)

    def run(x: Any) -> Any:
        gates = tf.sigmoid(measure(tf.reshape(x, (-1, len(kernel)))))
        gates = tf.transpose(tf.reshape(gates, (-1, layer.n_heads, 2)), (1, 0, 2))
        return gates[..., :1] * (gates[..., 1:] * scale - 1.0) + 2.0

    return run


def _feed_forward(layer: Any) -> Step:
    widen, narrow = _product(*_linear(layer.first)), _product(*_linear(layer.second))
    return lambda x: narrow(layer.act(widen(x)))


def _block(norms: Sequence[Any], attention: Any, feed_forward: Any) -> tuple[Any, Any, Any, Any]:
    return _norm(norms[0]), _attention(attention), _norm(norms[1]), _feed_forward(feed_forward)


# Architectures --------------------------------------------------------------------------------------------------


def _whisper(encoder: Any, as_products: bool) -> Callable[[Any], Iterator[Any]]:
    import tensorflow as tf

    # runtimes know a Fourier transform of powers of two at most; written out, it is a hundredth of the encoder's work
    angles = 2 * np.pi / N_FFT * np.outer(np.arange(N_FFT), np.arange(N_FFT // 2 + 1))
    taper = encoder.log_mel.window.astype(float)[:, None]
    fourier = (taper * np.hstack([np.cos(angles), np.sin(angles)])).astype(np.float32)
    filters = np.tile(encoder.log_mel.filters, (2, 1)).astype(np.float32)
    positions, norm = _array(encoder.positions), _norm(encoder.layer_norm)
    convs = [_conv(encoder.conv1), _conv(encoder.conv2)]
    blocks = [_block((b.self_attn_layer_norm, b.final_layer_norm), b.self_attn, b.feed_forward) for b in encoder.blocks]

    def spectrogram(waveform: Any) -> Any:
        mirrored = tf.reverse(waveform[:, 1 : N_FFT // 2 + 1], [1])
        padded = tf.concat([mirrored, tf.pad(waveform, [[0, 0], [0, N_FFT // 2]])], axis=1)[..., None]
        # frames by pairs, so that their number is even, as the second convolution wants it
        pairs = [
            tf.nn.conv1d(part, fourier[:, None], 2 * HOP, "VALID")[0]
            for part in (padded[:, : -2 * HOP], padded[:, HOP:-HOP])
        ]
        power = tf.square(tf.reshape(tf.stack(pairs, axis=1), (-1, fourier.shape[1])))
        log = tf.math.log(tf.maximum(tf.matmul(power, filters), 1e-10)) * (1 / math.log(10))
        return (tf.maximum(log, tf.reduce_max(log) - 8.0) + 4.0) / 4.0

    def states(waveform: Any) -> Iterator[Any]:
        with tf.name_scope(EXACT):  # int8 here would cost more than in all layers together, and save a tenth
            x = spectrogram(waveform)
            for conv in convs:
                x = _gelu(conv(x))
        x = x + tf.gather(positions, _places(x))
        yield norm(x) if not blocks else x
        for number, (first_norm, attend, second_norm, feed) in enumerate(blocks, 1):
            x = x + attend(first_norm(x))
            x = x + feed(second_norm(x))
            yield norm(x) if number == len(blocks) else x

    return states


def _wav2vec2(encoder: Any, as_products: bool) -> Callable[[Any], Iterator[Any]]:
    import tensorflow as tf

    stable, norm = bool(encoder.config.do_stable_layer_norm), _norm(encoder.layer_norm)
    convs = [_front(layer, as_products) for layer in encoder.convs]
    project_norm = None if encoder.projection_norm is None else _norm(encoder.projection_norm)
    project, add_position = _product(*_linear(encoder.projection)), _positional(encoder.position)
    distances = _distances(encoder.relative_positions) if hasattr(encoder, "relative_positions") else None
    blocks = [_block((b.layer_norm, b.final_layer_norm), b.attention, b.feed_forward) for b in encoder.blocks]

    def states(waveform: Any) -> Iterator[Any]:
        x = tf.transpose(waveform)
        for conv in convs:
            x = conv(x)
        x = add_position(project(x if project_norm is None else project_norm(x)))
        if not stable:
            x = norm(x)
        positions = None if distances is None else distances(x)
        yield norm(x) if stable and not blocks else x
        for number, (first_norm, attend, second_norm, feed) in enumerate(blocks, 1):
            if stable:
                x = x + attend(first_norm(x), positions)
                x = x + feed(second_norm(x))
            else:
                x = first_norm(x + attend(x, positions))
                x = second_norm(x + feed(x))
            yield norm(x) if stable and number == len(blocks) else x

    return states


def _front(layer: Any, as_product: bool) -> Step:
    import tensorflow as tf

    if not hasattr(layer, "stride"):  # normalised frame by frame, or not at all
        conv, norm = _conv(layer.conv, as_product), None if layer.norm is None else _norm(layer.norm)
        return lambda x: layer.act(conv(x) if norm is None else norm(conv(x)))
    kernel, gamma, beta = _array(layer.conv.kernel), _array(layer.norm.gamma), _array(layer.norm.beta)

    def run(x: Any) -> Any:  # over time: a bias goes with the mean, and so does the recorder's constant offset
        with tf.name_scope(EXACT):
            y = tf.nn.conv1d((x - tf.reduce_mean(x))[None], kernel, layer.stride, "VALID")[0]
            mean = tf.reduce_mean(y, axis=0, keepdims=True)
            variance = tf.reduce_mean(tf.square(y), axis=0, keepdims=True) - tf.square(mean)
            scale = tf.math.rsqrt(variance + layer.norm.epsilon) * gamma
            return layer.act(y * scale + (beta - mean * scale))

    return run


def _positional(layer: Any) -> Step:
    import tensorflow as tf

    kernel, bias, half = _array(layer.kernel), _array(layer.bias), layer.width // 2
    groups = [slice(g * layer.n_in, (g + 1) * layer.n_in) for g in range(layer.n_groups)]

    def run(x: Any) -> Any:
        padded = tf.pad(x, [[half, half - (layer.width + 1) % 2], [0, 0]])[None]
        parts = [tf.nn.conv1d(padded[..., own], kernel[..., own], 1, "VALID")[0] for own in groups]
        return x + layer.act(tf.concat(parts, axis=-1) + bias)

    return run


def _distances(layer: Any) -> Step:
    """What each of WavLM's heads adds for a distance, (n_heads, n_frames, n_frames)."""
    import tensorflow as tf

    farthest, known = layer.farthest, _array(layer.embedding)[layer.buckets]

    def run(x: Any) -> Any:
        frame = _places(x)
        distance = tf.clip_by_value(frame[None, :] - frame[:, None], -farthest, farthest)
        return tf.transpose(tf.gather(known, distance + farthest), (2, 0, 1))

    return run


FORMS = {"wav2vec2": _wav2vec2, "hubert": _wav2vec2, "wavlm": _wav2vec2, "whisper": _whisper}
