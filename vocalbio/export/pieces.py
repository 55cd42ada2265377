"""Pieces of a long recording: the rule by which encoders hear it, with Keras or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["CONTEXT_FRAMES", "Piece", "cut"]

CONTEXT_FRAMES = 64
"""Dropped at inner edges: half of the reach of wav2vec 2.0's positional convolution, 1.28 s."""


class Cutting(Protocol):
    """What the rule asks of an encoder."""

    @property
    def chunk_s(self) -> float:
        """Longer recordings are cut into pieces of this length."""

    @property
    def frame_hop(self) -> int:
        """Samples from one frame to the next."""

    def frame_count(self, n_samples: Any) -> Any:
        """Frames of a recording of so many samples."""


@dataclass(frozen=True)
class Piece:
    """
    A part of a recording that is computed at once.

    Attributes
    ----------
    start, end : int
        Samples.
    first, last : int
        Frames of the piece that are kept, `last` not included.
    """

    start: int
    end: int
    first: int
    last: int


def cut(n_samples: int, encoder: Cutting) -> list[Piece]:
    """
    Cut a recording by the fixed rule: whole if it fits, else overlapping pieces whose inner edges are dropped.

    Parameters
    ----------
    n_samples : int
    encoder : SpeechEncoder or EncoderRunner

    Returns
    -------
    list of Piece
        What they keep covers every frame once. All but the last are of equal length, and so is the last, which is moved
        back to end with the recording (to a frame, so up to 20 ms shorter).

    Examples
    --------
    >>> from vocalbio.encoders import TFWav2Vec2Model
    >>> from vocalbio.export.pieces import cut
    >>> model = TFWav2Vec2Model({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
    ...     "intermediate_size": 8, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
    ...     "num_conv_pos_embedding_groups": 1})
    >>> [(piece.start / 16_000, piece.end / 16_000, piece.last - piece.first) for piece in cut(480_000, model)]
    [(0.0, 20.0, 935), (10.0, 30.0, 564)]
    """
    chunk, hop = round(encoder.chunk_s * 16_000), encoder.frame_hop
    if n_samples <= chunk:
        return [Piece(0, n_samples, 0, encoder.frame_count(n_samples))]
    n_frames = encoder.frame_count(chunk)
    pieces: list[Piece] = []
    done = 0
    while True:
        start = 0 if not done else (done - CONTEXT_FRAMES) * hop
        if start + chunk >= n_samples:
            start = -(-(n_samples - chunk) // hop) * hop
            return [*pieces, Piece(start, n_samples, done - start // hop, encoder.frame_count(n_samples - start))]
        pieces.append(Piece(start, start + chunk, done - start // hop, n_frames - CONTEXT_FRAMES))
        done = start // hop + n_frames - CONTEXT_FRAMES
