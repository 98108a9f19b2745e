"""Q/DQ pairs that are missing for ONNX Runtime's optimizer to make an integer node, or that it cannot use.

A node fuses when all that it reads is dequantized and its one output goes into exactly one QuantizeLinear, through a
Relu or Clip that folds. A Gemm or MatMul may also leave float.

Sources: models optimized by ONNX Runtime 1.31; its qdq_selectors.cc and weight_bias_quantization.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from quantlab.interop.weights import PRODUCTS
from quantlab.lint.finding import Hit
from quantlab.lint.rule import Rule
from quantlab.lint.subject import Subject
from quantlab.targets.graph_queries import clip_bounds, constant, input_at, only_reader, reading_nodes
from quantlab.targets.onnxruntime_kernels import kind_of

_ROUNDED_BY_ORT = frozenset({"Conv", "ConvTranspose", "Gemm"})


def float_output(subject: Subject) -> Iterator[Hit]:
    """Integer convolutions whose output goes into no QuantizeLinear."""
    for node in subject.plain.graph:
        if node.op_type == "Conv" and subject.multiplies_integers(node) and not _rounded_output(subject, node):
            others = ", ".join(dict.fromkeys(reader.op_type for reader in reading_nodes(node.outputs[0])))
            into = f"into {others}" if others else "out of the model"
            yield Hit(node.name or "", node.outputs[0].name or "", f"its output goes {into} in float")


def several_readers(subject: Subject) -> Iterator[Hit]:
    """Integer convolutions whose output goes into more than one QuantizeLinear."""
    for node in subject.plain.graph:
        value = _last_output(node)
        sites = subject.sites_of(value) if node.op_type == "Conv" and subject.multiplies_integers(node) else []
        if not sites:
            continue
        quantizers = {site.quantize for site in sites}
        quantized = {reader for site in sites for reader in site.readers}
        in_float = [use.node for use in value.uses() if not any(r.node == use.node.name for r in quantized)]
        if len(quantizers) > 1:
            yield Hit(node.name or "", value.name or "", f"{len(quantizers)} QuantizeLinear nodes read its output")
        elif in_float or (value.is_graph_output() and not any(site.is_output for site in sites)):
            reader = in_float[0].name if in_float else "the model's output"
            yield Hit(node.name or "", value.name or "", f"{reader} reads its output in float, beside a QuantizeLinear")


def float_input(subject: Subject) -> Iterator[Hit]:
    """Weights quantized for nothing, and sums of integers and a float that a product left."""
    for node in subject.plain.graph:
        if node.op_type in ("Conv", "Gemm") and subject.weight_at(node, 1) and not subject.is_quantized(node, 0):
            value = node.inputs[0]
            yield Hit(
                node.name or "", "" if value is None else value.name or "", "its weight is quantized, its input not"
            )
        elif node.op_type in ("Add", "Mul") and subject.sites_of(node.outputs[0]):
            floats = [value for value in _float_inputs(subject, node) if _is_of_integer_product(subject, value)]
            if floats and len(floats) < len(node.inputs):
                yield Hit(node.name or "", floats[0].name or "", f"it reads {floats[0].name} in float")


def weight_left_to_round(subject: Subject) -> Iterator[Hit]:
    """Products with a float weight between a dequantized input and a QuantizeLinear."""
    for node in subject.plain.graph:
        if node.op_type not in _ROUNDED_BY_ORT or not subject.is_quantized(node, 0) or subject.weight_at(node, 1):
            continue
        if constant(input_at(node, 1)) is not None and _rounded_output(subject, node):
            weight = node.inputs[1]
            yield Hit(node.name or "", "" if weight is None else weight.name or "", "its weight is float")


def float_gemm(subject: Subject) -> Iterator[Hit]:
    """Gemms with a float bias and a float output."""
    for node in subject.plain.graph:
        bias = input_at(node, 2) if node.op_type == "Gemm" and subject.multiplies_integers(node) else None
        if bias is not None and subject.site_at(node, 2) is None and not _rounded_output(subject, node):
            yield Hit(node.name or "", bias.name or "", "its bias and its output are float")


def changed_by_moving(subject: Subject) -> Iterator[Hit]:
    """Operators that only move values, and have other scales behind than before."""
    for node in subject.plain.graph:
        before = subject.site_at(node, 0) if kind_of(node) == "move" and node.inputs else None
        for output in node.outputs if before is not None else ():
            behind = subject.sites_of(output)
            if before is not None and behind and not before.rounds_like(behind[0]):
                yield Hit(node.name or "", output.name or "", "its input and its output have different scales")


def idle_pair(subject: Subject) -> Iterator[Hit]:
    """Pairs between nodes of which none computes on integers."""
    nodes, values = subject.plain.nodes_by_name(), subject.plain.values_by_name()
    for site in subject.activations():
        value = values.get(site.tensor)
        makers = [] if value is None else _makers(value)
        readers = [nodes[reader.node] for reader in site.readers if reader.node in nodes]
        if site.dequantize is not None and not any(_is_integer(subject, node) for node in (*makers, *readers)):
            around = readers[0] if readers else (makers[0] if makers else None)
            yield Hit(
                site.node, site.tensor, f"a pair beside {around.op_type if around is not None else 'no operator'}"
            )


def _last_output(node: ir.Node) -> ir.Value:
    """Return what a node leaves, through a Relu or Clip that alone reads it."""
    reader = only_reader(node.outputs[0])
    is_clip = reader is not None and clip_bounds(reader) is not None
    return reader.outputs[0] if is_clip and reader is not None else node.outputs[0]


def _rounded_output(subject: Subject, node: ir.Node) -> bool:
    return any(subject.sites_of(value) for value in {node.outputs[0], _last_output(node)})


def _float_inputs(subject: Subject, node: ir.Node) -> list[ir.Value]:
    return [v for index, v in enumerate(node.inputs) if v is not None and not subject.is_quantized(node, index)]


def _makers(value: ir.Value) -> list[ir.Node]:
    """Return the node that makes a value and, of a Relu or Clip, the one before it."""
    node = value.producer()
    if node is None:
        return []
    before = input_at(node, 0) if clip_bounds(node) is not None else None
    return [node, *(_makers(before) if before is not None else ())]


def _is_of_integer_product(subject: Subject, value: ir.Value) -> bool:
    return any(subject.multiplies_integers(node) for node in _makers(value))


def _is_integer(subject: Subject, node: ir.Node) -> bool:
    """Whether a node has an integer kernel, and what it needs for it."""
    kind = kind_of(node)
    is_rounded = _rounded_output(subject, node)
    if node.op_type in PRODUCTS:
        is_rounded_by_ort = is_rounded and constant(input_at(node, 1)) is not None and subject.is_quantized(node, 0)
        return kind is not None and (subject.multiplies_integers(node) or is_rounded_by_ort)
    if kind is None or not is_rounded:
        return False
    return subject.is_quantized(node, 0) if kind == "move" else not _float_inputs(subject, node)


RULES = (
    Rule(
        "ORT201",
        "onnxruntime",
        "convolution without rounded output",
        "slow",
        "An integer convolution ends in a QuantizeLinear; without one it stays float, its weights dequantized.",
        "Quantize outputs too. `--fix` does where it knows the range; else calibrate: `quantlab ptq`.",
        float_output,
    ),
    Rule(
        "ORT202",
        "onnxruntime",
        "output read twice",
        "slow",
        "A node fuses only if its output goes into exactly one QuantizeLinear and nowhere else.",
        "Let all readers share one pair; `--fix` does it.",
        several_readers,
    ),
    Rule(
        "ORT203",
        "onnxruntime",
        "one operand in float",
        "slow",
        "A node with a float operand stays float, and the rounding of the other costs accuracy for nothing.",
        "Quantize every operand. `--fix` does where it knows the range, and else leaves the node float.",
        float_input,
    ),
    Rule(
        "ORT204",
        "onnxruntime",
        "float weight rounded by the session",
        "wrong",
        "Between integers ONNX Runtime rounds a float weight itself, with one scale for all channels: the session "
        "computes other numbers than the file says.",
        "Quantize the weight per channel; `--fix` does it.",
        weight_left_to_round,
    ),
    Rule(
        "ORT205",
        "onnxruntime",
        "Gemm with float bias and output",
        "slow",
        "Such a Gemm stays float; with an int32 bias, or none, it may leave float.",
        "Quantize the bias to int32; `--fix` does it.",
        float_gemm,
    ),
    Rule(
        "ORT206",
        "onnxruntime",
        "scale changed by moving",
        "slow",
        "Integers can be moved only if they mean the same before and after; else the node moves floats.",
        "Use one scale on both sides; `--fix` does it.",
        changed_by_moving,
    ),
    Rule(
        "ORT207",
        "onnxruntime",
        "idle pair",
        "slow",
        "Neither the node before the pair nor one behind it computes on integers: it costs time and accuracy.",
        "Leave the pair out; `--fix` does it.",
        idle_pair,
    ),
)
