"""From a TensorFlow function to one file that tells what it is."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocalbio import __version__
from vocalbio.conditions import DISCLAIMER
from vocalbio.errors import ParameterError, required_for
from vocalbio.export.quantization import quantize_litert, quantize_onnx
from vocalbio.export.runner import FORMAT, MEMBER, SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_export", "write_export"]

OPSET = 18
LARGE = 100_000
"""Bytes of a weight that does not go through tf2onnx."""
QUANTIZATIONS = (None, "int8")


def check_export(path: str | os.PathLike[str], format: str, quantize: str | None) -> None:
    """
    Refuse what cannot become a file, before anything is computed.

    Raises
    ------
    ParameterError
        If format, quantisation or the ending of the path is wrong.
    MissingPackageError
        If a package that the format needs is absent.
    """
    if format not in SUFFIXES:
        raise ParameterError(f"format is {format!r}; expected one of {', '.join(map(repr, SUFFIXES))}")
    if quantize not in QUANTIZATIONS:
        raise ParameterError(f"quantize is {quantize!r}; expected None or 'int8'")
    if not str(path).endswith(SUFFIXES[format]):
        raise ParameterError(
            f"path is {os.fspath(path)!r}; format {format!r} takes a name ending in {SUFFIXES[format]}"
        )
    with required_for("exporting a model", "tensorflow"):
        import tensorflow  # noqa: F401
    if format == "litert":
        with required_for("exporting to LiteRT", "vocalbio[litert]"):
            import ai_edge_litert  # noqa: F401
    else:
        with required_for("exporting to ONNX", "vocalbio[onnx]"):
            import onnx  # noqa: F401
            import tf2onnx  # noqa: F401


def write_export(
    path: str | os.PathLike[str],
    function: Callable[[Any], Mapping[str, Any]],
    signature: Any,
    metadata: Mapping[str, Any],
    *,
    format: str,
    quantize: str | None = None,
) -> None:
    """
    Convert a function of one tensor and write it, all or nothing, with its description inside.

    Parameters
    ----------
    path : path-like
        Ending in ``.tflite`` or ``.onnx``.
    function : callable
        A tensor to a dict of tensors by name.
    signature : tensorflow.TensorSpec
        Name, shape and type of the input; None for what is open.
    metadata : mapping
        Plain JSON, read again by the runners. Versions, date and disclaimer are added.
    format : {"litert", "onnx"}
    quantize : {None, "int8"}

    Raises
    ------
    ParameterError
        If an argument is wrong, an operation is unknown to the format (the text names it), or nothing can be written
        there.
    MissingPackageError
        If a package that the format needs is absent.
    """
    check_export(path, format, quantize)
    import tensorflow as tf

    graph = tf.function(function, input_signature=[signature], autograph=False)
    described = {
        "format": FORMAT,
        "vocalbio": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "quantize": quantize,
        "disclaimer": DISCLAIMER,
        **metadata,
    }
    text = json.dumps(described, allow_nan=False)
    content = _litert(graph, quantize) if format == "litert" else _onnx(graph, quantize, text)
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            made = Path(folder, path.name)
            made.write_bytes(content)
            if format == "litert":  # files beside a LiteRT model are a zip at its end, where its runtime does not look
                with zipfile.ZipFile(made, "a") as archive:
                    archive.writestr(MEMBER, text)
            os.replace(made, path)
    except OSError as error:
        raise ParameterError(f"cannot write to {path}: {error.strerror}; choose a folder that exists") from error


def _litert(graph: Any, quantize: str | None) -> bytes:
    import flatbuffers
    import tensorflow as tf
    from ai_edge_litert import schema_py_generated as schema

    function = graph.get_concrete_function()
    try:
        content = tf.lite.TFLiteConverter.from_concrete_functions([function], graph).convert()
    except Exception as error:  # whatever its parts raise, it tells the operations in its text
        found = sorted(set(re.findall(r"tf\.(\w+)\(", str(error))))
        raise _unsupported("LiteRT", found or [str(error).strip().splitlines()[0]]) from error
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if quantize is not None:
        quantize_litert(model)
    (whole, *_) = model.subgraphs
    ends = [graph.input_signature[0].name], sorted(function.structured_outputs)
    model.signatureDefs = [
        schema.SignatureDefT(
            *(
                [schema.TensorMapT(name, place) for name, place in zip(names, places, strict=True)]
                for names, places in zip(ends, (whole.inputs, whole.outputs), strict=True)
            ),
            signatureKey="serving_default",
        )
    ]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _onnx(graph: Any, quantize: str | None, text: str) -> bytes:
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it does not know is told below
    definition, weights, names = _without_weights(graph)
    model, _ = tf2onnx.convert.from_graph_def(
        definition,
        input_names=[f"{graph.input_signature[0].name}:0", *weights],
        output_names=list(names),
        tensors_to_rename={f"{graph.input_signature[0].name}:0": graph.input_signature[0].name, **names},
        opset=OPSET,
    )
    unknown = {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, OPSET, node.domain)}
    if unknown:
        raise _unsupported("ONNX", sorted(unknown))
    for entry in [entry for entry in model.graph.input if entry.name in weights]:
        model.graph.input.remove(entry)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights[entry.name], entry.name))
    if quantize is not None:
        quantize_onnx(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = MEMBER, text
    return bytes(model.SerializeToString())


def _without_weights(graph: Any) -> tuple[Any, dict[str, NDArray[Any]], dict[str, str]]:
    """
    Take large weights out of a graph: carried through all of its steps, they cost tf2onnx forty times their size.

    Returns
    -------
    definition, weights, names
        The graph with inputs in their place, the weights by these inputs, and what its outputs are called.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = graph.get_concrete_function()
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
    outputs = [tensor.name for tensor in frozen.outputs]
    definition = frozen.graph.as_graph_def()
    weights = {}
    for node in definition.node:
        if node.op == "Const" and node.ByteSize() > LARGE:
            value = tf.make_ndarray(node.attr["value"].tensor)
            weights[f"{node.name}:0"] = value
            node.op = "Placeholder"
            del node.attr["value"]
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return definition, weights, dict(zip(outputs, sorted(function.structured_outputs), strict=True))


def _unsupported(format: str, operations: list[str]) -> ParameterError:
    return ParameterError(
        f"this network cannot be exported: {format} has no {', '.join(operations)}; try the other format, or "
        "replace the layer that needs it"
    )
