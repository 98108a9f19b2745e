"""How many multiply-adds each node of a model does: what an INT8 engine saves is in proportion to them.

    Conv             outputs · inputs per group · kernel
    ConvTranspose    inputs · outputs per group · kernel
    Gemm, MatMul     outputs · K
    LSTM, GRU, RNN   steps · batch · (weights of the input and of the state)

A free axis counts as 1, or as it is in the shapes given. Nodes inside If, Loop and Scan are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.infer_shapes import infer_shapes
from quantlab.targets.graph_queries import attribute_int, input_at

Sizes = tuple[int, ...]


def multiply_adds(model: Model, shapes: Mapping[str, Sizes] | None = None) -> dict[str, int]:
    """Return how many multiply-adds each convolution, matrix product and recurrent layer does, by name.

    Args:
        model: float or quantized; it is not changed.
        shapes: what the inputs are fed; of a missing input, free axes count as 1.
    """
    fixed = model.clone()
    for value in fixed.graph.inputs:
        if value.shape is not None:
            value.shape = ir.Shape((shapes or {}).get(value.name or "", _sizes(value)))
    infer_shapes(fixed.ir_model)
    counts = ((node.name or "", _count(node)) for node in fixed.graph)
    return {name: count for name, count in counts if count}


def _count(node: ir.Node) -> int:
    left, right = (_sizes(input_at(node, index)) for index in (0, 1))
    output = math.prod(_sizes(node.outputs[0]))
    if node.op_type in ("Conv", "ConvTranspose") and len(right) > 1:
        return (math.prod(left) if node.op_type == "ConvTranspose" else output) * math.prod(right[1:])
    if node.op_type == "Gemm" and left:
        return output * left[0 if attribute_int(node, "transA", 0) else -1]
    if node.op_type == "MatMul" and left:
        return output * left[-1]
    if node.op_type in ("LSTM", "GRU", "RNN") and len(left) > 2:
        return left[0] * left[1] * (math.prod(right) + math.prod(_sizes(input_at(node, 2))))
    return 0


def _sizes(value: ir.Value | None) -> Sizes:
    """Return a shape with 1 for every axis that is free; empty where the rank is unknown."""
    if value is None:
        return ()
    tensor = value.const_value
    shape = value.shape if value.shape is not None else (None if tensor is None else tensor.shape)
    return () if shape is None else tuple(axis if isinstance(axis, int) else 1 for axis in shape)
