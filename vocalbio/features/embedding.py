"""Embedding: hidden states of a speech encoder, pooled over time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vocalbio.audio import Recording
from vocalbio.errors import ModelFileError, ModelUnavailableError, ParameterError, required_for
from vocalbio.export.runner import SUFFIXES, EncoderRunner
from vocalbio.features.family import Column, Family, Frames, Measured

if TYPE_CHECKING:
    from vocalbio.encoders import Checkpoint, SpeechEncoder
    from vocalbio.encoders.inference import Inference

__all__ = ["Embedding"]

POOLINGS = {"mean": ("",), "mean+std": ("", "_sd")}
COMPACT_HEARD = re.compile(
    r"(^|[/\\])(03-01(-\d\d){4}-(0[1-9]|1[0-6])|[A-Z]{2}\d_(anger|fear|happiness|neutral|sadness|surprised)_\d+)\.\w+$"
)
"""Names of the recordings that the encoder in the wheel was made with: RAVDESS, actors 1 to 16, and nEMO."""
PAPERS = {
    "wav2vec2": "Baevski A et al. wav2vec 2.0. NeurIPS 2020. arXiv:2006.11477",
    "hubert": "Hsu W-N et al. HuBERT. IEEE/ACM TASLP 2021;29:3451-3460. doi:10.1109/TASLP.2021.3122291",
    "whisper": "Radford A et al. Robust speech recognition via large-scale weak supervision. ICML 2023. "
    "arXiv:2212.04356",
    "wavlm": "Chen S et al. WavLM. IEEE J Sel Top Signal Process 2022;16:1505-1518. doi:10.1109/JSTSP.2022.3188113",
}


@dataclass(frozen=True)
class Embedding(Family):
    """
    Hidden states of wav2vec 2.0, HuBERT, WavLM or Whisper's encoder, pooled over the real frames of a recording.

    The columns' prefix names encoder and layer, such as ``wav2vec2_base_960h_L7__017``.

    Parameters
    ----------
    encoder : str or path-like
        ``"compact"``: the small wav2vec 2.0 in the wheel (docs/compact.md; its weights are CC BY-NC-SA 4.0). Or the
        folder of a Hugging Face checkpoint, or its name on the Hub, in which case the Hub is asked if the local cache
        does not have it. Or an exported file, ``.tflite`` or ``.onnx``, which runs without TensorFlow
        (`vocalbio.encoders.SpeechEncoder.export`).
    layer : int, "last", "mean", "all" or sequence of int
        Number of the hidden state: 0 enters the first layer, "last" leaves the last one. "mean": the mean of all
        hidden states. "all" or several numbers: one vector each, columns ``L07_017``, from one pass, so that a layer
        can be chosen later (`vocalbio.extract.LayerChoice`).
    pooling : {"mean", "mean+std"}
        With standard deviations, which divide by the number of frames, in columns ``017_sd``.
    padded : bool
        Whisper only: pad to 30 s of silence as the reference does, and pool over the real part. Costs 30 s for every
        clip, and gives other numbers, so the prefix then ends in ``_30s``.
    weights : str, optional
        Identity of the weights (``sha256:…``), or of the exported file, that is insisted on; a saved model fills it in.

    Notes
    -----
    Every recording is computed as if alone: padding in a batch changes nothing beyond rounding (1e-4 or 1e-5 of the
    largest state). Recordings longer than 20 s (Whisper 30 s) are cut into pieces that overlap by 2.56 s, whose inner
    edges are dropped; the mean is over all frames. Normalised over the whole recording, never by piece, where the
    checkpoint wants it so: level does not reach these models.

    In FeatureExtractor these run in the main process, after the other families, in batches; worker processes load no
    TensorFlow.

    Examples
    --------
    The encoder in the wheel; others are named as ``Embedding("facebook/wav2vec2-base-960h", layer=7)``.

    >>> import numpy as np
    >>> from vocalbio import Embedding, Recording, extract_features
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> X = extract_features([tone], [Embedding("compact", layer=3)])
    >>> X.columns[0], X.shape
    ('compact_L3__000', (1, 264))
    """

    encoder: str
    layer: int | str | tuple[int, ...] = "last"
    pooling: str = "mean"
    padded: bool = False
    weights: str | None = None

    kind: ClassVar[str] = "embedding"

    def __post_init__(self) -> None:
        if not isinstance(self.encoder, (str, os.PathLike)):
            raise ParameterError(f"encoder is {self.encoder!r}; expected a folder or a name on the Hub")
        path = os.fspath(self.encoder)
        if not isinstance(self.encoder, str) and not os.path.dirname(path):
            path = os.path.join(".", path)  # pathlib makes "compact" of "./compact"; a path is never a name
        object.__setattr__(self, "encoder", path)
        if isinstance(self.layer, (list, range, tuple, np.ndarray)):
            object.__setattr__(self, "layer", tuple(_number(layer) for layer in self.layer))
        else:
            object.__setattr__(self, "layer", _number(self.layer))
        if self.pooling not in tuple(POOLINGS):
            raise ParameterError(f"pooling is {self.pooling!r}; expected one of {', '.join(map(repr, POOLINGS))}")
        if self.layer not in ("last", "mean", "all") and not all(
            type(number) is int for number in (self.layer if isinstance(self.layer, tuple) else (self.layer,))
        ):
            raise ParameterError(f"layer is {self.layer!r}; expected a number, several, 'last', 'mean' or 'all'")
        if self.padded and self._is_exported:
            raise ParameterError(f"padded=True, but {self.encoder} takes recordings as they are; use the checkpoint")

    # ---------------------------------------------------------------- names

    @property
    def name(self) -> str:  # type: ignore[override]
        """Prefix of the columns: encoder and layer."""
        base = os.path.basename(os.path.abspath(self.encoder))
        stem = re.sub(r"[^0-9a-z]+", "_", (os.path.splitext(base)[0] if self._is_exported else base).lower()).strip("_")
        if isinstance(self.layer, tuple):
            layer = "_".join(f"L{number}" for number in self.layer)
        elif self.layer == "last":
            layer = f"L{self._n_layers}"
        else:
            layer = f"L{self.layer}"
        return f"{stem}{'_30s' if self.padded else ''}_{layer}"

    @property
    def layers(self) -> list[int]:
        """Hidden states that are computed."""
        if isinstance(self.layer, str):
            return [self._n_layers] if self.layer == "last" else list(range(self._n_layers + 1))
        found = [self.layer] if isinstance(self.layer, int) else list(self.layer)
        if not found or len(set(found)) < len(found) or not all(0 <= number <= self._n_layers for number in found):
            raise ParameterError(f"layer is {self.layer!r}; {self.encoder} has 0 to {self._n_layers}, each once")
        return found

    @property
    def columns(self) -> tuple[Column, ...]:
        """One column a dimension of the hidden state."""
        return _columns(self)

    def settings(self) -> dict[str, Any]:
        """Settings that decide the numbers; the weights by their digest, wherever they lie."""
        layer = list(self.layer) if isinstance(self.layer, tuple) else self.layer
        return {
            "encoder": self.encoder,
            "layer": layer,
            "pooling": self.pooling,
            "padded": self.padded,
            "weights": self._checkpoint.weights,
        }

    def versions(self) -> dict[str, str]:
        """The libraries that compute the numbers."""
        if self._is_exported:
            runtime = "ai-edge-litert" if self.encoder.endswith(SUFFIXES["litert"]) else "onnxruntime"
            return {runtime: version(runtime)}
        with required_for("an embedding", "tensorflow"):
            return {"keras": version("keras"), "transformers": version("transformers")}

    # -------------------------------------------------------------- numbers

    def extract(self, recording: Recording) -> Measured:
        """Pooled states of one recording."""
        return self.extract_many([recording])[0]

    def extract_many(
        self, recordings: Sequence[Recording], advance: Callable[[int], Any] | None = None
    ) -> list[Measured]:
        """
        Pooled states of several recordings, in batches.

        Parameters
        ----------
        recordings : sequence of Recording
            16 kHz, prepared as `Family` says.
        advance : callable, optional
            Told the number of recordings that are done.

        Returns
        -------
        list of Measured
        """
        found = []
        for means, deviations in self.load().pool([recording.samples for recording in recordings], advance):
            parts = [means, deviations][: len(POOLINGS[self.pooling])]
            found.append(Measured(np.stack(parts, axis=1).ravel()))
        return found

    def frames(self, recording: Recording) -> Frames:
        """Hidden states every 20 ms; of several layers side by side."""
        states, times_s = self.load().frames(recording.samples)
        names = [column.name for column in self.columns if not column.name.endswith("_sd")]
        return Frames(states.reshape(len(states), -1), times_s, tuple(names))

    def load(self) -> Inference | EncoderRunner:
        """
        Load the encoder, once a process.

        Returns
        -------
        Inference or EncoderRunner

        Raises
        ------
        ModelUnavailableError
            If the checkpoint is neither here nor within reach, or this process was forked from one that had used it.
        ModelFileError
            If it is damaged, or its weights are not those insisted on.
        ParameterError
            If an exported file does not hold the layers.
        """
        if _inherited and not self._is_exported:
            raise ModelUnavailableError(
                "this process was forked from one that had used an encoder, and TensorFlow hangs in such a process. "
                "Make it by multiprocessing.get_context('spawn'), or leave processes to vocalbio (n_jobs=2), or leave "
                "encoders out: families=('prosody', 'voice')"
            )
        if self.weights is not None and self._checkpoint.weights != self.weights:
            raise ModelFileError(
                f"{self.encoder} has weights {self._checkpoint.weights}; expected {self.weights}: "
                "another checkpoint of the same name? Its numbers cannot be mixed with the others"
            )
        average = self.layer == "mean"
        if isinstance(self._checkpoint, EncoderRunner):
            return self._checkpoint.choose(self.layers, average=average)
        return _inference(self.encoder, self._checkpoint.weights, tuple(self.layers), self.padded, average)

    @property
    def _is_exported(self) -> bool:
        return self.encoder.endswith(tuple(SUFFIXES.values()))

    @property
    def _checkpoint(self) -> Checkpoint | EncoderRunner:
        return _open(self.encoder)

    @property
    def _n_layers(self) -> int:
        config = self._checkpoint.config
        return int(config.get("num_hidden_layers" if config.get("model_type") != "whisper" else "encoder_layers", 12))


def _number(layer: Any) -> Any:
    return int(layer) if isinstance(layer, np.integer) else layer


@lru_cache(maxsize=32)
def _open(encoder: str) -> Checkpoint | EncoderRunner:
    if encoder.endswith(tuple(SUFFIXES.values())):
        return EncoderRunner(encoder)
    with required_for("an embedding", "transformers"):
        from vocalbio.encoders import open_checkpoint
    return open_checkpoint(encoder)


@lru_cache(maxsize=32)
def _columns(family: Embedding) -> tuple[Column, ...]:
    config = family._checkpoint.config
    kind = config.get("model_type", "")
    size = int(config.get("hidden_size") or config.get("d_model") or 768)
    digits = len(str(size - 1))
    several = isinstance(family.layer, tuple) or family.layer == "all"
    wide = len(str(family._n_layers))
    return tuple(
        Column(
            f"{f'L{layer:0{wide}d}_' if several else ''}{i:0{digits}d}{end}",
            "",
            f"{'standard deviation' if end else 'mean'} over time of dimension {i} of "
            f"{'the mean of all hidden states' if family.layer == 'mean' else f'hidden state {layer}'}",
            "some sound",
            f"{kind} {os.path.basename(family.encoder)}",
            PAPERS.get(kind, ""),
        )
        for layer in (family.layers if several else family.layers[:1])
        for end in POOLINGS[family.pooling]
        for i in range(size)
    )


@lru_cache(maxsize=2)
def _encoder(encoder: str, weights: str) -> SpeechEncoder:
    with required_for("an embedding", "tensorflow"):
        from vocalbio.encoders import load_encoder
    return load_encoder(encoder)


_inherited = False


def _note_fork() -> None:
    global _inherited
    _inherited = _encoder.cache_info().currsize > 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@lru_cache(maxsize=8)
def _inference(encoder: str, weights: str, layers: tuple[int, ...], padded: bool, average: bool) -> Inference:
    # one compiled graph for each choice of layers, one set of weights for all of them
    with required_for("an embedding", "tensorflow"):
        from vocalbio.encoders.inference import Inference
    return Inference(_encoder(encoder, weights), layers, padded=padded, average=average)
