"""Weights of eight bits, for LiteRT and for ONNX: of products and convolutions that are large and not marked exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from vocalbio.export.forward import EXACT

__all__ = ["quantize_litert", "quantize_onnx"]

FEWEST = 1024
"""Smaller weights gain nothing."""
BLOCK = 32
"""Weights that share a scale in ONNX."""
PLAIN = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
"""Settings of ONNX's Gemm that make it a product and a sum."""
VERSIONS = {"FULLY_CONNECTED": 12, "CONV_2D": 5}
"""Of LiteRT's operators: since when they take int8 weights with a scale for each channel beside float32 inputs."""


def quantize_litert(model: Any) -> None:
    """
    Make the weights of a LiteRT model int8, one scale a channel, in place; its runtime makes inputs int8 as it goes.

    TensorFlow's converter can do that too, but to all weights: a spectrogram from int8 sines is of no use.

    Parameters
    ----------
    model : ai_edge_litert.schema_py_generated.ModelT
        Of float32.
    """
    from ai_edge_litert import schema_py_generated as schema

    wanted = {getattr(schema.BuiltinOperator, name): version for name, version in VERSIONS.items()}
    kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for graph in model.subgraphs:
        for operation in graph.operators:
            kind = kinds[operation.opcodeIndex]
            if kind not in wanted or EXACT in graph.tensors[operation.outputs[0]].name.decode():
                continue
            weight = graph.tensors[operation.inputs[1]]
            buffer = model.buffers[weight.buffer]
            if weight.type != schema.TensorType.FLOAT32 or buffer.data is None or len(buffer.data) < 4 * FEWEST:
                continue
            rows = np.frombuffer(np.asarray(buffer.data).tobytes(), np.float32).reshape(weight.shape[0], -1)
            values, scales = _rounded(rows)
            buffer.data = values.view(np.uint8).ravel()
            weight.type = schema.TensorType.INT8
            weight.quantization = schema.QuantizationParametersT(
                scale=scales, zeroPoint=np.zeros(len(scales), np.int64), quantizedDimension=0
            )
            if kind == schema.BuiltinOperator.FULLY_CONNECTED:
                operation.builtinOptions.asymmetricQuantizeInputs = True
            code = model.operatorCodes[operation.opcodeIndex]
            code.version = max(code.version, wanted[kind])


def quantize_onnx(model: Any) -> None:
    """
    Make the weights of products in an ONNX model int8, one scale for each 32 of a channel, in place.

    ``MatMulNBits`` of ONNX Runtime also makes its inputs int8 by 32. The standard's ``DynamicQuantizeLinear`` has one
    scale for all frames, and Whisper has a channel a hundred times as large as the others (``docs/export.md``).

    Parameters
    ----------
    model : onnx.ModelProto
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, replaced = [], set()
    for node in graph.node:
        settings = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        is_product = node.op_type in ("MatMul", "Gemm") and PLAIN | settings == PLAIN
        weight = weights.get(node.input[1]) if is_product else None
        if weight is None or EXACT in node.name or len(weight.dims) != 2 or np.prod(weight.dims) < FEWEST:
            nodes.append(node)
            continue
        replaced.add(weight.name)
        n_in, n_out = weight.dims
        rows = np.zeros((n_out, -(-n_in // BLOCK) * BLOCK), np.float32)
        rows[:, :n_in] = numpy_helper.to_array(weight).T
        values, scales = _rounded(rows.reshape(-1, BLOCK))
        (found,) = node.output
        parts = {
            f"{found}/values": (values.astype(np.int16) + 128).astype(np.uint8).reshape(n_out, -1, BLOCK),
            f"{found}/scales": scales,
        }
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in parts.items())
        bias = list(node.input[2:])  # of Gemm
        product = f"{found}/product" if bias else found
        sizes = {"K": n_in, "N": n_out, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        inputs = [node.input[0], *parts]
        nodes.append(helper.make_node("MatMulNBits", inputs, [product], product, domain="com.microsoft", **sizes))
        if bias:
            nodes.append(helper.make_node("Add", [product, *bias], [found], found))
    del graph.node[:]
    graph.node.extend(nodes)
    for name in replaced - {name for node in nodes for name in node.input}:
        graph.initializer.remove(weights[name])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _rounded(rows: Any) -> tuple[Any, Any]:
    """Whole numbers from -127 to 127, and the scale of each row."""
    scales = np.maximum(np.abs(rows).max(axis=1) / 127, 1e-20).astype(np.float32)
    return np.round(rows / scales[:, None]).astype(np.int8), scales
