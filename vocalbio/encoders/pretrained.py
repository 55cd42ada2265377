"""Encoders by the name of their checkpoint."""

from __future__ import annotations

import os

from vocalbio.encoders.checkpoint import open_checkpoint
from vocalbio.encoders.encoder import SpeechEncoder
from vocalbio.encoders.wav2vec2 import TFHubertModel, TFWav2Vec2Model
from vocalbio.encoders.wavlm import TFWavLMModel
from vocalbio.encoders.whisper import TFWhisperEncoder
from vocalbio.errors import ModelFileError

__all__ = ["load_encoder"]

ENCODERS: dict[str, type[SpeechEncoder]] = {
    cls.model_type: cls for cls in (TFWav2Vec2Model, TFHubertModel, TFWavLMModel, TFWhisperEncoder)
}


def load_encoder(
    name_or_path: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> SpeechEncoder:
    """
    Load a checkpoint of any of the architectures known here.

    Parameters
    ----------
    name_or_path, revision, local_files_only
        As in `SpeechEncoder.from_pretrained`.

    Returns
    -------
    SpeechEncoder

    Raises
    ------
    ModelUnavailableError
        If there is no such checkpoint here or within reach.
    ModelFileError
        If its files are damaged, or of an architecture that is not known here.

    Examples
    --------
    >>> import tempfile
    >>> from vocalbio.encoders import TFWhisperEncoder, load_encoder
    >>> folder = tempfile.mkdtemp()
    >>> TFWhisperEncoder({"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2,
    ...     "encoder_ffn_dim": 32}).save_pretrained(folder)
    >>> type(load_encoder(folder)).__name__
    'TFWhisperEncoder'
    """
    checkpoint = open_checkpoint(name_or_path, revision=revision, local_files_only=local_files_only)
    found = checkpoint.config.get("model_type")
    if found not in ENCODERS:
        raise ModelFileError(f"{checkpoint.name} is of type {found!r}; expected one of {', '.join(ENCODERS)}")
    return ENCODERS[found].from_checkpoint(checkpoint)
