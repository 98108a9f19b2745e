"""Finds the float nodes that ONNX Runtime would turn into integer kernels by itself, and fences them.

It does so with every operator it has an integer kernel for that stands between dequantized inputs and a
QuantizeLinear; and of a Conv, ConvTranspose or Gemm it rounds a float weight there, with one scale for the whole
tensor. A Relu or Clip before the QuantizeLinear does not stop it, nor does the bias Add of a MatMul, nor a node that
only moves values: past those it pulls both conversions towards the node (ORT's QDQPropagation).
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Reader
from quantlab.targets import graph_queries as ask
from quantlab.targets import onnxruntime_kernels as kernels
from quantlab.targets.draft import Draft
from quantlab.targets.onnxruntime_constants import bias_add_of
from quantlab.targets.onnxruntime_decisions import Decisions

_ROUNDED_BY_ORT = ("Conv", "ConvTranspose", "Gemm")
_PASSED_BY_CONVERSIONS = ("MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice")


def place_fences(model: Model, draft: Draft, decisions: Decisions) -> None:
    """Fence the tensors whose rounding would turn a float node into an integer one."""
    for node in model.graph:
        if not decisions.is_integer(node) and _reads_integers_only(draft, node):
            tensor = _rounded_output(model, draft, node)
            if tensor is not None:
                draft.fence(tensor)


def _reads_integers_only(draft: Draft, node: ir.Node) -> bool:
    """Whether every operand that decides about the kernel is dequantized."""
    if node.op_type in _ROUNDED_BY_ORT or (node.op_type == "MatMul" and bias_add_of(node)):
        return _is_dequantized(draft, node, 0)
    if kernels.kind_of(node) in (None, "move"):
        return False
    return all(_is_dequantized(draft, node, index) for index, value in enumerate(node.inputs) if value is not None)


def _is_dequantized(draft: Draft, node: ir.Node, index: int) -> bool:
    value = ask.input_at(node, index)
    if value is None:
        return False
    point = draft.point(value.name or "")
    if point is not None and Reader(node.name or "", index) in point.readers:
        return True
    producer = value.producer()
    return producer is not None and producer.op_type in _PASSED_BY_CONVERSIONS and _is_dequantized(draft, producer, 0)


def _rounded_output(model: Model, draft: Draft, node: ir.Node) -> str | None:
    """Return the tensor behind a node that goes into a QuantizeLinear and nowhere else, or None."""
    value = (bias_add_of(node) or node).outputs[0]
    while (point := draft.point(value.name or "")) is None:
        reader = ask.only_reader(value)
        if reader is None or not _lets_pass(node, reader):
            return None
        value = reader.outputs[0]
    is_read_float = set(ask.readers(model, value)) != set(point.readers) or ask.is_read_in_body(model, value)
    return None if is_read_float or (value.is_graph_output() and not point.is_output) else point.tensor


def _lets_pass(node: ir.Node, reader: ir.Node) -> bool:
    """Whether ORT looks past a reader for the rounding of a node: past clips, moves, and what it folds into a Conv."""
    if reader.op_type in ("Relu", "Clip", *_PASSED_BY_CONVERSIONS):
        return True
    has_constant = any(ask.constant(value) is not None for value in reader.inputs)
    return node.op_type == "Conv" and reader.op_type in ("Add", "Mul", "BatchNormalization") and has_constant
