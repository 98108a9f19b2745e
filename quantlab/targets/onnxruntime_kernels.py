"""Turns a node into what ONNX Runtime's CPU provider can do with it in integers: its kind, or why it stays float.

What fuses was read off optimized models of ONNX Runtime 1.31 (and `qdq_selectors.cc`, `weight_bias_quantization.cc`,
`matmul_add_fusion.cc` of its source); what pays was measured with it on an x86-64 CPU with AVX512-VNNI, batch 1,
1 thread. Times are of a node, or of the node and the conversions it needs, in microseconds, float against integer:

    dense conv 32→32 3×3, 56×56       499 : 156     grouped conv, 4 per group, 56×56       1100 : 4000
    dense conv 8→8 3×3, 56×56          69 : 89      grouped conv, 8 per group, 28×28        790 : 1106
    conv 3→32 3×3, 56×56               59 : 98      grouped conv, 16 per group, 14×14       267 : 311
    conv 3→64 7×7 + next, 224×224    2830 : 1754    grouped conv, 32 per group, 14×14       493 : 258
    depthwise 144 3×3, 56×56          108 : 176     two inverted residuals around it       1126 : 703
    average pool 3×3/2 + convs, 56×56 230 : 445     softmax of attention, 197 tokens          1 : 3 (ratio)
    product 197×768×768              2080 : 631     product 24×64×64                        7.9 : 7.9
"""

from __future__ import annotations

import math
from typing import Literal

import onnx_ir as ir

from quantlab.targets import graph_queries as ask

Kind = Literal["product", "join", "move"]
"""product: has weights or multiplies matrices. join: computes, and its output has an encoding of its own.
move: only moves values, so that input and output share one encoding."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul"), "product"),
    **dict.fromkeys(("Add", "Mul", "Concat", "Sigmoid", "LeakyRelu", "GlobalAveragePool"), "join"),
    **dict.fromkeys(("AveragePool", "Softmax", "Where"), "join"),
    **dict.fromkeys(("MaxPool", "Resize", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"), "move"),
    **dict.fromkeys(("Slice", "Gather", "Expand", "Tile", "Split", "ReduceMax", "ReduceMin"), "move"),
}

_SLOWER = {
    "AveragePool": "The integer AveragePool takes longer than the float one with its conversions.",
    "Softmax": "The integer Softmax takes three times as long as the float one.",
    "Where": "What Where selects between is often a constant as large as infinity, which leaves no steps for the rest.",
}

# Below this many multiply-adds the call costs more than the arithmetic (a tie was measured at 24×64×64).
_FEWEST_MULTIPLY_ADDS = 2**16
_FEWEST_CHANNELS = 16
_FEWEST_WEIGHTS_OF_IMAGE_CONV = 1296


def kind_of(node: ir.Node) -> Kind | None:
    """Return the kind of a node that has an integer kernel, or None if its operator has none."""
    return _KINDS.get(node.op_type) if node.domain in ("", "ai.onnx") else None


def data_inputs(node: ir.Node) -> tuple[int, ...]:
    """Return the indices of the inputs that hold activations an integer kernel would read."""
    if kind_of(node) == "move" or node.op_type in ("Conv", "Gemm"):
        return (0,)
    return tuple(index for index, _ in ask.activations_of(node))


def refusal(node: ir.Node) -> str | None:
    """Return why a node can never, or should never, run in integers; None if it may.

    A node without an integer kernel is refused, as is one whose integer kernel is slower whatever its neighbours.
    """
    kind = kind_of(node)
    if kind is None:
        return f"ONNX Runtime has no integer kernel for {node.op_type}."
    if node.op_type in _SLOWER:
        return _SLOWER[node.op_type]
    if node.outputs[0].dtype not in (ir.DataType.FLOAT, None):
        return "It computes no float32."
    if kind == "product":
        return _product_refusal(node)
    if kind == "move":
        return _move_refusal(node)
    if any(ask.constant(value) is not None for value in node.inputs):
        return "One input is constant; a single scale for it would cost more accuracy than the integer kernel is worth."
    return None


def shrinks(node: ir.Node) -> bool:
    """Whether a node leaves so much less than it reads that it pays to convert behind it instead of before it."""
    return node.op_type == "GlobalAveragePool"


def pays_only_between_integers(node: ir.Node) -> str | None:
    """Return why a node pays only if what it reads and what reads it is integer anyway, or None if it always pays."""
    if kind_of(node) == "move":
        return f"{node.op_type} only moves values"
    if kind_of(node) == "join":
        return f"Converting for {node.op_type} alone costs more than its integer kernel saves"
    if ask.is_depthwise(node):
        return "A depthwise convolution is slower in integers"
    if node.op_type == "Conv" and _has_few_channels(node):
        return "So small a convolution is slower in integers"
    inner, multiply_adds = _inner_size(node), multiply_adds_of(node)
    is_narrow = node.op_type != "Conv" and inner is not None and inner < _FEWEST_CHANNELS
    if is_narrow or (multiply_adds is not None and multiply_adds < _FEWEST_MULTIPLY_ADDS):
        return "So small a product gains nothing in integers"
    return None


def multiply_adds_of(node: ir.Node) -> int | None:
    """Return the multiply-adds of a Conv, Gemm or MatMul for a batch of 1, or None where the shapes are not known."""
    outputs, inner = ask.size_of_sample(node.outputs[0]), _inner_size(node)
    return None if outputs is None or inner is None else outputs * inner


def _inner_size(node: ir.Node) -> int | None:
    """How many products are summed into one output element, or None where the shapes are not known."""
    if node.op_type == "Conv":
        weight = ask.shape_of(ask.input_at(node, 1))
        sizes = weight[1:] if weight is not None else (None,)
        return None if None in sizes else math.prod(size or 1 for size in sizes)
    rows = ask.shape_of(node.inputs[0])
    return rows[-1] if rows else None


def folds_activation(node: ir.Node) -> bool:
    """Whether a Relu or Clip behind the integer form of a node may disappear into its rounding."""
    return kind_of(node) in ("product", "join")


def _product_refusal(node: ir.Node) -> str | None:
    weight = ask.input_at(node, 1)
    shape = ask.shape_of(weight)
    if node.op_type == "MatMul":
        return _matmul_refusal(node)
    if weight is None or ask.constant(weight) is None or shape is None:
        return "Its weight is computed at run time."
    bias = ask.input_at(node, 2)
    if bias is not None and (ask.constant(bias) is None or len(ask.shape_of(bias) or ()) != 1):
        return "Its bias is not a constant vector."
    if node.op_type == "Gemm":
        scaled = ask.attribute_float(node, "alpha", 1.0) != 1.0 or ask.attribute_float(node, "beta", 1.0) != 1.0
        return "It scales its operands (alpha, beta)." if scaled or ask.attribute_int(node, "transA", 0) else None
    groups = ask.attribute_int(node, "group", 1)
    per_group = min(int(shape[1] or 0), int(shape[0] or 0) // groups)
    if groups > 1 and not ask.is_depthwise(node) and per_group < _FEWEST_CHANNELS:
        return f"A convolution with {per_group} channels per group is slower in integers."
    return None


def _matmul_refusal(node: ir.Node) -> str | None:
    if ask.constant(node.inputs[0]) is not None:
        return "Its first operand is constant."
    for value in node.inputs:
        shape = ask.shape_of(value)
        if shape is not None and len(shape) < 2:
            return "One operand is a vector."
    return None


def _move_refusal(node: ir.Node) -> str | None:
    if ask.constant(node.inputs[0]) is not None:
        return "It reads a constant."
    if node.op_type == "Resize" and ask.attribute_string(node, "mode", "nearest") != "nearest":
        return "Only nearest-neighbour Resize has an integer form; others compute new values."
    is_read = [bool(value.uses()) or value.is_graph_output() for value in node.outputs]
    if node.op_type == "Split":
        return None if all(is_read) else "Nothing reads one of its outputs."
    return "It has a second output." if any(is_read[1:]) else None


def _has_few_channels(node: ir.Node) -> bool:
    shape = ask.shape_of(ask.input_at(node, 1))
    if shape is None or None in shape:
        return False
    outputs, inputs, *kernel = (int(axis or 0) for axis in shape)
    if inputs <= 3:
        return outputs * inputs * math.prod(kernel) < _FEWEST_WEIGHTS_OF_IMAGE_CONV
    return max(inputs, outputs) < _FEWEST_CHANNELS
