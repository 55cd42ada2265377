"""Grad-CAM: where on a spectrogram a convolutional network looked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocalbio.errors import ParameterError, required_for

__all__ = ["grad_cam"]


def grad_cam(network: Any, inputs: Any, output: int = 0, *, layer: str | None = None) -> NDArray[np.float64]:
    """
    Where on a picture the evidence for one output of a convolutional network lies.

    The channels of the last convolution are added up, each weighed by the mean slope of the output with regard to it;
    what speaks against the output is cut off [1]_. The map is as coarse as that layer and says where, not what.

    Parameters
    ----------
    network : keras.Model
        With a layer of shape (batch, height, width, channels) somewhere, such as `vocalbio.networks.build_cnn2d`.
    inputs : array_like, or list of them
        One batch, as the network takes it, the pictures first: shape (n, height, width), or channels besides.
    output : int
        Which one. Of one sigmoid, 0 is the positive class.
    layer : str, optional
        Name of the layer; by default the last of that shape that does not only pool.

    Returns
    -------
    numpy.ndarray
        Shape (n, height, width), from 0 to 1 (the most of each picture); all 0 where nothing speaks for the output.

    Raises
    ------
    ParameterError
        If the network has no such layer or output.

    References
    ----------
    .. [1] Selvaraju RR, Cogswell M, Das A, Vedantam R, Parikh D, Batra D. Grad-CAM: visual explanations from deep
       networks via gradient-based localization. ICCV 2017:618-626. doi:10.1109/ICCV.2017.74

    Examples
    --------
    >>> import keras, numpy as np
    >>> from vocalbio.explain import grad_cam
    >>> picture = keras.Input((12, 8, 1))
    >>> hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(picture))
    >>> network = keras.Model(picture, keras.layers.Dense(1, activation="sigmoid")(hidden))
    >>> grad_cam(network, np.ones((2, 12, 8, 1))).shape
    (2, 12, 8)
    """
    with required_for("Grad-CAM", "tensorflow"):
        import keras
        import tensorflow as tf
    n_outputs = int(network.output_shape[-1])
    if not 0 <= output < n_outputs:
        raise ParameterError(f"output is {output!r}; the network has {n_outputs}, counted from 0")
    known = [one.name for one in network.layers if _is_map(one)]
    if not known:
        raise ParameterError(
            "the network has no layer of shape (batch, height, width, channels); Grad-CAM is for convolutions over "
            "pictures, integrated_gradients for every network"
        )
    if layer is not None and layer not in known:
        raise ParameterError(f"layer is {layer!r}; expected one of {', '.join(known)}")
    chosen = network.get_layer(layer or known[-1])
    both = keras.Model(network.inputs, [chosen.output, network.outputs[0]])
    given = [tf.constant(np.asarray(part)) for part in (inputs if isinstance(inputs, list) else [inputs])]
    if given[0].shape.rank not in (3, 4):
        raise ParameterError(f"inputs has shape {tuple(given[0].shape)}; expected pictures, (n, height, width, …)")
    with tf.GradientTape() as tape:
        tape.watch(given)
        channels, said = both(given if len(given) > 1 else given[0], training=False)
        # of the logit, not of the probability: a network that is sure has hardly any slope left
        chance = tf.clip_by_value(tf.cast(said, tf.float32)[:, output], 1e-6, 1 - 1e-6)
        evidence = tf.reduce_sum(tf.math.log(chance) - tf.math.log(1 - chance))
    weights = tf.reduce_mean(tape.gradient(evidence, channels), axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * channels, axis=-1, keepdims=True))
    found = np.asarray(tf.image.resize(maps, given[0].shape[1:3]), float)[..., 0]
    most = found.max(axis=(1, 2), keepdims=True)
    return np.divide(found, most, out=np.zeros_like(found), where=most > 0)


def _is_map(layer: Any) -> bool:
    """Whether a layer gives channels over a picture, of its own making."""
    shape = getattr(getattr(layer, "output", None), "shape", ())
    return len(shape) == 4 and type(layer).__name__ not in ("InputLayer", "Reshape", "MaxPooling2D", "AveragePooling2D")
