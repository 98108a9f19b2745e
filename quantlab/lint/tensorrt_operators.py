"""Operators that TensorRT refuses, or that keep it from fusing an attention.

Sources: builds with TensorRT-RTX 1.7; the operators that its ONNX parser supports.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from quantlab.lint.finding import Hit
from quantlab.lint.rule import Rule
from quantlab.lint.subject import Subject
from quantlab.targets.graph_queries import constant_array, input_at, shape_of

_PREFIXES = ("QLinear", "QOrdered")
_INTEGER = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QMoE",
    }
)


def is_integer_operator(node: ir.Node) -> bool:
    """Whether an operator computes on integers itself, instead of standing between Q/DQ nodes."""
    return node.op_type in _INTEGER or node.op_type.startswith(_PREFIXES)


def integer_operators(subject: Subject) -> Iterator[Hit]:
    """Operators on integers, such as QLinearConv."""
    for node in subject.original.graph:
        if is_integer_operator(node):
            yield Hit(node.name or "", node.outputs[0].name or "", node.op_type)


def window_beyond_map(subject: Subject) -> Iterator[Hit]:
    """Pools whose window is larger than what they pool."""
    for node in subject.plain.graph:
        shape = shape_of(input_at(node, 0)) if node.op_type in ("AveragePool", "MaxPool", "LpPool") else None
        if shape is None:
            continue
        kernel = list(node.attributes.get_ints("kernel_shape", ()))
        pads = list(node.attributes.get_ints("pads", ())) or [0] * 2 * len(kernel)
        room = [
            None if size is None else size + pads[axis] + pads[axis + len(kernel)]
            for axis, size in enumerate(shape[2:])
        ]
        if any(have is not None and size > have for size, have in zip(kernel, room, strict=False)):
            yield Hit(node.name or "", node.outputs[0].name or "", f"a window of {kernel} on a map of {shape[2:]}")


def guarded_softmax(subject: Subject) -> Iterator[Hit]:
    """Where(IsNaN(softmax), 0, softmax), where `prepare` knows that it guards nothing and drops it."""
    needed = subject.prepared.nodes_by_name()
    for node in subject.plain.graph:
        if node.op_type != "Where" or node.name in needed:
            continue
        test = _maker(node, 0)
        softmax = _maker(node, 2)
        is_test = test is not None and test.op_type == "IsNaN" and test.inputs[0] is node.inputs[2]
        zero = constant_array(input_at(node, 1))
        if is_test and softmax is not None and softmax.op_type == "Softmax" and zero is not None and not zero.any():
            yield Hit(node.name or "", node.outputs[0].name or "", f"a guard against NaN behind {softmax.name}")


def nothing_quantized(subject: Subject) -> Iterator[Hit]:
    """Models without a single quantized tensor."""
    if not subject.sites and not any(is_integer_operator(node) for node in subject.original.graph):
        yield Hit("", "", "no node of the model is quantized")


def _maker(node: ir.Node, index: int) -> ir.Node | None:
    value = input_at(node, index)
    return None if value is None else value.producer()


RULES = (
    Rule(
        "TRT201",
        "tensorrt",
        "operator on integers",
        "refused",
        "TensorRT's parser has no operators on integers (QLinearConv, MatMulInteger, ...), only Q/DQ nodes.",
        "Quantize in QDQ format; `--fix` turns those with constant scales into Q/DQ nodes.",
        integer_operators,
    ),
    Rule(
        "TRT202",
        "tensorrt",
        "pool window larger than its map",
        "refused",
        "Exporters write a pool over the whole map as a window of any size; TensorRT refuses one beyond the map.",
        "Use GlobalAveragePool; `--fix` and `quantlab ptq` do.",
        window_beyond_map,
    ),
    Rule(
        "TRT203",
        "tensorrt",
        "guarded softmax",
        "slow",
        "Where(IsNaN(softmax), 0, softmax), which the torch exporter writes, keeps the attention from one kernel.",
        "Drop the guard where no row is masked throughout; `--fix` and `quantlab ptq` do.",
        guarded_softmax,
    ),
    Rule(
        "TRT204",
        "tensorrt",
        "nothing quantized",
        "slow",
        "Without Q/DQ nodes TensorRT 11 computes everything in float; it has no calibrator any more.",
        "Quantize it: `quantlab ptq --target tensorrt`.",
        nothing_quantized,
    ),
)
