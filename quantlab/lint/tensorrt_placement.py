"""Q/DQ pairs where TensorRT cannot use them, and missing where it needs them.

Sources: TensorRT developer guide, Q/DQ layer-placement recommendations; builds with TensorRT-RTX 1.7.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from quantlab.interop.sites import Site
from quantlab.interop.weights import PRODUCTS
from quantlab.lint.finding import Hit
from quantlab.lint.rule import Rule
from quantlab.lint.subject import Subject
from quantlab.targets.graph_queries import constant, input_at
from quantlab.targets.tensorrt_attention import find_attentions
from quantlab.targets.tensorrt_joins import FUNCTIONS, skip_input

_AVERAGES = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})
_FLOAT_ONLY = frozenset(
    {
        "BatchNormalization",
        "Gelu",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "LogSoftmax",
        "RMSNormalization",
        "Softmax",
    }
)


def between_product_and_function(subject: Subject) -> Iterator[Hit]:
    """Pairs between a product and its batch norm or activation function."""
    values, nodes = subject.plain.values_by_name(), subject.plain.nodes_by_name()
    for site in subject.activations():
        maker = _product_behind(values.get(site.tensor))
        if maker is None or not subject.multiplies_integers(maker):
            continue
        for reader in site.readers:
            node = nodes.get(reader.node)
            if node is not None and node.op_type in FUNCTIONS | {"BatchNormalization"}:
                yield Hit(site.node, site.tensor, f"a pair between {maker.name} and {node.op_type} {node.name}")
                break


def _product_behind(value: ir.Value | None) -> ir.Node | None:
    """Return the product that makes a value, itself or through its batch norm, or None."""
    node = None if value is None else value.producer()
    if node is not None and node.op_type == "BatchNormalization":
        return _product_behind(node.inputs[0])
    return node if node is not None and node.op_type in PRODUCTS else None


def pair_before_sum(subject: Subject) -> Iterator[Hit]:
    """Pairs between a convolution and the residual sum that it takes in."""
    for add, skip in _residual_sums(subject):
        site = subject.site_at(add, 1 - skip)
        if site is not None:
            yield Hit(site.node, site.tensor, f"a pair between a convolution and the sum {add.name}")


def float_skip(subject: Subject) -> Iterator[Hit]:
    """Residual sums that read their skip in float."""
    for add, skip in _residual_sums(subject):
        if not subject.is_quantized(add, skip):
            value = add.inputs[skip]
            yield Hit(add.name or "", "" if value is None else value.name or "", "the skip of a residual sum is float")


def _residual_sums(subject: Subject) -> Iterator[tuple[ir.Node, int]]:
    """Yield the sums that a convolution takes in, each with the index of its skip."""
    graph = subject.prepared.graph
    integer = {node.name or "" for node in graph if node.op_type == "Conv" and subject.multiplies_integers(node)}
    for node in graph:
        skip = skip_input(node, integer) if node.op_type == "Add" else None
        if skip is not None:
            yield node, skip


def unequal_concat(subject: Subject) -> Iterator[Hit]:
    """Concatenations whose inputs and output are quantized differently."""
    for node in subject.prepared.graph:
        if node.op_type != "Concat":
            continue
        inputs = [site for index in range(len(node.inputs)) if (site := subject.site_at(node, index)) is not None]
        sites = [*inputs, *subject.sites_of(node.outputs[0])]
        others = [site for site in sites[1:] if not site.rounds_like(sites[0])] if inputs else []
        if others:
            scales = ", ".join(dict.fromkeys(map(_scale, sites)))
            yield Hit(node.name or "", node.outputs[0].name or "", f"it joins and leaves scales of {scales}")


def _scale(site: Site) -> str:
    return f"{float(site.scale.reshape(-1)[0]):.6g}" if site.is_per_tensor and site.scale is not None else "other kinds"


def half_quantized(subject: Subject) -> Iterator[Hit]:
    """Products of which one factor is quantized and the other is not."""
    attended = {node.name for attention in find_attentions(subject.prepared) for node, _ in attention.operands}
    for node in subject.prepared.graph:
        if node.op_type not in PRODUCTS or node.name in attended:
            continue
        first, second = subject.is_quantized(node, 0), subject.is_quantized(node, 1)
        is_weight_only = second and constant(input_at(node, 1)) is not None and node.op_type in ("Gemm", "MatMul")
        if first != second and not is_weight_only:  # TensorRT has kernels for matrices with an int8 weight
            value = node.inputs[1 if first else 0]
            name = "" if value is None else value.name or ""
            yield Hit(node.name or "", name, f"{node.op_type} reads {name} in float, and its other factor in INT8")


def part_of_attention(subject: Subject) -> Iterator[Hit]:
    """Attentions of whose four operands only some are quantized."""
    for attention in find_attentions(subject.prepared):
        missing = [edge for edge in attention.operands if not subject.is_quantized(*edge)]
        if missing and len(missing) < len(attention.operands):
            node, index = missing[0]
            value = node.inputs[index]
            name = "" if value is None else value.name or ""
            what = f"{len(missing)} of the four operands of an attention are float, first {name}"
            yield Hit(node.name or "", name, what)


def float_operator(subject: Subject) -> Iterator[Hit]:
    """Operators that compute in float, and read a value that was rounded for them."""
    for node in subject.plain.graph:
        site = subject.site_at(node, 0)
        if site is None or site.role != "activation":
            continue
        is_float = node.op_type in _FLOAT_ONLY and _product_behind(node.inputs[0]) is None
        if is_float or (node.op_type in _AVERAGES and not subject.sites_of(node.outputs[0])):
            yield Hit(site.node, site.tensor, f"a pair before {node.op_type} {node.name}")


RULES = (
    Rule(
        "TRT301",
        "tensorrt",
        "pair between product and activation function",
        "slow",
        "TensorRT takes the function into the product's kernel; a pair between them rounds twice and gains nothing.",
        "Put the pair behind the function; `--fix` does it.",
        between_product_and_function,
    ),
    Rule(
        "TRT302",
        "tensorrt",
        "pair before a residual sum",
        "slow",
        "The convolution before a residual sum takes it in, unless a pair forces the two apart.",
        "Quantize the skip alone; `--fix` does it.",
        pair_before_sum,
    ),
    Rule(
        "TRT303",
        "tensorrt",
        "float skip",
        "slow",
        "The skip decides what the convolution that takes in the sum leaves: a float one keeps a second, float copy.",
        "Quantize the skip. `--fix` does where it knows the range; else calibrate the float model: `quantlab ptq`.",
        float_skip,
    ),
    Rule(
        "TRT304",
        "tensorrt",
        "unequal scales around Concat",
        "slow",
        "A concatenation moves integers only if its inputs and its output have one scale; else it converts each.",
        "Give them one scale, the largest; `--fix` does it.",
        unequal_concat,
    ),
    Rule(
        "TRT305",
        "tensorrt",
        "one factor in float",
        "slow",
        "A product with one quantized factor runs in float, and the rounding costs accuracy for nothing.",
        "Quantize both factors or none; `--fix` does the one where the scale is known, else the other.",
        half_quantized,
    ),
    Rule(
        "TRT306",
        "tensorrt",
        "part of an attention",
        "slow",
        "The integer kernel for attention needs Q, K, V and the softmax in INT8; less becomes several kernels.",
        "Quantize all four or none; `--fix` does.",
        part_of_attention,
    ),
    Rule(
        "TRT307",
        "tensorrt",
        "pair before a float operator",
        "slow",
        "TensorRT computes it in float, so that the pair costs a conversion and accuracy, and gains nothing.",
        "Leave the pair out; an average may have pairs on both sides. `--fix` leaves it out.",
        float_operator,
    ),
)
