"""Models for elsewhere: Keras to LiteRT and ONNX, and a runner that needs neither Keras nor TensorFlow."""
