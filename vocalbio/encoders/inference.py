"""Recordings of any length through an encoder: cut by a fixed rule, batched by length, pooled over real frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from vocalbio.encoders.encoder import SpeechEncoder
from vocalbio.errors import ParameterError
from vocalbio.export.pieces import Piece, cut

__all__ = ["Inference"]

BATCH_S = {"cpu": 16.0, "gpu": 640.0}
"""Audio a step. On two cores nothing is gained by more; see ``benchmarks/encoders.py``."""


class Inference:
    """
    States of recordings, of some layers, pooled or over time.

    Parameters
    ----------
    encoder : SpeechEncoder
    layers : sequence of int
        0 (what enters the first layer) to ``encoder.n_layers``. Nothing is computed beyond the highest, and nothing
        kept of the others.
    padded : bool
        Whisper only: pad every piece to 30 s with silence, as the reference does, at the cost of 30 s.
    average : bool
        The mean of the layers, as if it were one layer.

    Raises
    ------
    ParameterError
        If there is no such layer, or the encoder takes no padding.

    Notes
    -----
    One graph for all lengths: TensorFlow compiles it once, whatever lengths come. Under other backends of Keras the
    operations run one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.encoders import TFWhisperEncoder
    >>> from vocalbio.encoders.inference import Inference
    >>> model = TFWhisperEncoder({"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2,
    ...     "encoder_ffn_dim": 32})
    >>> found = Inference(model, [0, 2]).pool([np.zeros(16_000, "float32"), np.zeros(8_000, "float32")])
    >>> [means.shape for means, deviations in found]
    [(2, 16), (2, 16)]
    """

    def __init__(
        self, encoder: SpeechEncoder, layers: Sequence[int], *, padded: bool = False, average: bool = False
    ) -> None:
        unknown = [layer for layer in layers if not 0 <= layer <= encoder.n_layers]
        if unknown or not len(layers):
            raise ParameterError(f"layers are {list(layers)}; expected some of 0 to {encoder.n_layers}")
        if padded and encoder.model_type != "whisper":
            raise ParameterError(f"padded=True, which is for Whisper; {encoder.model_type!r} takes any length")
        self.encoder, self.layers, self.padded, self.average = encoder, list(layers), padded, average

    def pool(
        self, recordings: Sequence[NDArray[np.float32]], advance: Callable[[int], Any] | None = None
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """
        Mean and standard deviation over the frames of each recording.

        Parameters
        ----------
        recordings : sequence of numpy.ndarray of float32, shape (n_samples,)
            Mono, 16 kHz.
        advance : callable, optional
            Told the number of recordings that are done.

        Returns
        -------
        list of (means, deviations)
            In the order of `recordings`, each of shape (n_layers, hidden_size); deviations divide by the number of
            frames.

        Raises
        ------
        ParameterError
            If a recording is too short for one frame.
        """
        pieces = [self._cut(samples) for samples in recordings]
        sums: list[list[Any]] = [[] for _ in recordings]
        results: list[Any] = [None] * len(recordings)
        normalized: dict[int, NDArray[np.float32]] = {}
        waiting = [len(own) for own in pieces]
        for batch in self._batches(pieces):
            for number, _ in batch:
                if number not in normalized:
                    normalized[number] = self.encoder.normalize(np.asarray(recordings[number], np.float32))
            found = self._run(self._pooled, [(normalized[number], piece) for number, piece in batch])
            for (number, piece), mean, square in zip(batch, *found, strict=True):
                sums[number].append((piece, mean, square))
                waiting[number] -= 1
                if not waiting[number]:
                    results[number] = _joined(sums[number])
                    del normalized[number]
                    if advance is not None:
                        advance(1)
        return results

    def frames(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """
        States over time.

        Parameters
        ----------
        samples : numpy.ndarray of float32, shape (n_samples,)
            Mono, 16 kHz.

        Returns
        -------
        states : numpy.ndarray of float32, shape (n_frames, n_layers, hidden_size)
        times_s : numpy.ndarray, shape (n_frames,)
            Centre of what the convolutions see for each frame; attention sees the whole recording.

        Raises
        ------
        ParameterError
            If the recording is too short for one frame.
        """
        normalized = self.encoder.normalize(np.asarray(samples, np.float32))
        parts = []
        for piece in self._cut(samples):
            (states,) = self._run(self._kept, [(normalized, piece)])
            parts.append(states[0, piece.first : piece.last])
        states = np.concatenate(parts)
        times_s = (np.arange(len(states)) * self.encoder.frame_hop + self.encoder.frame_centre) / 16_000
        return states, times_s

    # ------------------------------------------------------------------ inside

    def _cut(self, samples: NDArray[np.float32]) -> list[Piece]:
        if len(samples) < self.encoder.fewest_samples:
            raise ParameterError(
                f"a recording has {len(samples)} samples; the encoder needs {self.encoder.fewest_samples} at least"
            )
        return cut(len(samples), self.encoder)

    def _batches(self, pieces: list[list[Piece]]) -> Iterator[list[tuple[int, Piece]]]:
        """Pieces of about one length together; the longest first, so that too little memory is noticed at once."""
        order = sorted(
            ((number, piece) for number, own in enumerate(pieces) for piece in own),
            key=lambda entry: (entry[1].start - entry[1].end, entry[0], entry[1].start),
        )
        most = BATCH_S["gpu" if _has_gpu() else "cpu"] * 16_000
        batch: list[tuple[int, Piece]] = []
        for number, piece in order:
            longest = self._width(batch[0][1]) if batch else 0
            if batch and (len(batch) + 1) * longest > most:
                yield batch
                batch = []
            batch.append((number, piece))
        if batch:
            yield batch

    def _run(self, graph: Any, batch: list[tuple[NDArray[np.float32], Piece]]) -> list[NDArray[np.float32]]:
        lengths = np.array([piece.end - piece.start for _, piece in batch], np.int32)
        longest = max(self._width(piece) for _, piece in batch)
        if keras.backend.backend() == "jax":  # compiles each operation anew for every length: whole seconds
            longest = -(-longest // 16_000) * 16_000
        waveforms = np.zeros((len(batch), longest), np.float32)
        for row, (samples, piece) in zip(waveforms, batch, strict=True):
            row[: piece.end - piece.start] = samples[piece.start : piece.end]
        kept = np.array([[piece.first, piece.last] for _, piece in batch], np.int32)
        return [ops.convert_to_numpy(array) for array in graph(waveforms, lengths, kept)]

    def _width(self, piece: Piece) -> int:
        """Samples that a piece costs."""
        return round(self.encoder.chunk_s * 16_000) if self.padded else piece.end - piece.start

    def _states(self, waveforms: Any, lengths: Any) -> Any:
        states, _ = self.encoder.states(waveforms, None if self.padded else lengths, self.layers)
        stacked = ops.stack(states, axis=2)
        return ops.mean(stacked, axis=2, keepdims=True) if self.average else stacked

    @cached_property
    def _pooled(self) -> Any:
        def pooled(waveforms: Any, lengths: Any, kept: Any) -> tuple[Any, Any]:
            states = self._states(waveforms, lengths)
            frame = ops.arange(ops.shape(states)[1])
            inside = (frame >= kept[:, :1]) & (frame < kept[:, 1:])
            weight = ops.cast(inside, "float32")[:, :, None, None]
            n = ops.cast(kept[:, 1] - kept[:, 0], "float32")[:, None, None]
            mean = ops.sum(states * weight, axis=1) / n
            square = ops.sum(ops.square(states - mean[:, None]) * weight, axis=1) / n
            return mean, square

        return _compiled(pooled)

    @cached_property
    def _kept(self) -> Any:
        return _compiled(lambda waveforms, lengths, kept: (self._states(waveforms, lengths),))


def _joined(parts: list[tuple[Piece, NDArray[np.float32], NDArray[np.float32]]]) -> tuple[Any, Any]:
    """Mean and deviation of a whole from those of its parts."""
    n = np.array([piece.last - piece.first for piece, _, _ in parts], float)
    order = np.argsort([piece.start for piece, _, _ in parts])  # sums do not depend on how batches fell
    weights = (n / n.sum())[order][:, None, None]
    means = np.stack([mean for _, mean, _ in parts]).astype(float)[order]
    squares = np.stack([square for _, _, square in parts]).astype(float)[order]
    mean = np.sum(weights * means, axis=0)
    variance = np.sum(weights * (squares + np.square(means - mean)), axis=0)
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)


def _compiled(function: Callable[..., Any]) -> Any:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 2], tf.int32)]
        return tf.function(function, input_signature=signature)
    if backend == "torch":
        import torch

        function = torch.no_grad()(function)
    # jax.jit would compile every length anew, and on a CPU runs slower than its operations one by one
    return lambda *arrays: function(*map(ops.convert_to_tensor, arrays))


def _has_gpu() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
