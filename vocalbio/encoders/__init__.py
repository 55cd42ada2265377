"""Speech encoders in Keras 3: wav2vec 2.0, HuBERT, WavLM and Whisper's encoder, from Hugging Face checkpoints."""

import lazy_loader as _lazy

# reading what a checkpoint is must not load Keras
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
