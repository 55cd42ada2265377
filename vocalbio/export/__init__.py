"""Models for elsewhere: Keras to LiteRT and ONNX, and runners that need neither Keras nor TensorFlow."""

import lazy_loader as _lazy

# running a file must not load what makes one
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
