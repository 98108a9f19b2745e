"""Scales, zero points and integer types that TensorRT misreads or refuses.

Sources: builds with TensorRT-RTX 1.7; NvInfer.h 11.1, IQuantizeLayer and IDequantizeLayer; ONNX QuantizeLinear 21.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from quantlab.interop.sites import Site
from quantlab.lint.finding import Hit
from quantlab.lint.rule import Rule
from quantlab.lint.subject import Subject
from quantlab.targets.graph_queries import constant, input_at, reading_nodes, shape_of, weight_axis
from quantlab.targets.tensorrt_joins import moves_values

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
# What TensorRT knows besides int8, or a rule of its own is about.
_OTHER_TYPES = frozenset({ir.DataType.INT32, ir.DataType.INT4, ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT4E2M1})


def _hit(site: Site, what: str) -> Hit:
    return Hit(site.node, site.tensor, what)


def unsigned(subject: Subject) -> Iterator[Hit]:
    """uint8 activations with zero point 0."""
    for site in subject.activations():
        if site.dtype == ir.DataType.UINT8 and site.has_zero_point and not site.offset:
            yield _hit(site, "uint8 integers")


def without_zero_point(subject: Subject) -> Iterator[Hit]:
    """A QuantizeLinear that leaves its zero point out, and does not say its type otherwise."""
    for site in subject.sites:
        if site.quantize is not None and not site.has_zero_point and site.dtype == ir.DataType.UINT8:
            yield _hit(site, "no zero point, hence uint8")


def asymmetric(subject: Subject) -> Iterator[Hit]:
    """Zero points other than 0."""
    return (_hit(site, f"zero point {site.offset}") for site in subject.sites if site.offset)


def other_type(subject: Subject) -> Iterator[Hit]:
    """Integer types that TensorRT does not have; uint8 activations have a rule of their own."""
    for site in subject.sites:
        is_unsigned_weight = site.dtype == ir.DataType.UINT8 and site.role != "activation" and site.has_zero_point
        is_known = site.dtype in _OTHER_TYPES or site.dtype in (ir.DataType.INT8, ir.DataType.UINT8, None)
        if is_unsigned_weight or not is_known:
            yield _hit(site, f"{site.dtype.name.lower() if site.dtype else 'unknown'} integers")


def bad_scale(subject: Subject) -> Iterator[Hit]:
    """Scales that are 0, negative, infinite or NaN."""
    for site in subject.sites:
        scale = None if site.scale is None else site.scale.astype(np.float64).ravel()
        bad = np.flatnonzero(~(np.isfinite(scale) & (scale > 0.0))) if scale is not None else np.zeros(0, np.int64)
        if scale is not None and bad.size:
            where = f" at index {bad[0]}" if scale.size > 1 else ""
            yield _hit(site, f"scale {scale[bad[0]]:g}{where}")


def run_time_scale(subject: Subject) -> Iterator[Hit]:
    """Scales that are no constants."""
    return (_hit(site, "its scale is computed at run time") for site in subject.sites if site.scale is None)


def rank_one_scale(subject: Subject) -> Iterator[Hit]:
    """Activation scales of shape [1] that reach a convolution, directly or through what moves values."""
    nodes = subject.plain.nodes_by_name()
    for site in subject.activations():
        if site.scale is not None and site.scale.shape == (1,):
            readers = [nodes[reader.node] for reader in site.readers if reader.node in nodes]
            reached = next(filter(None, map(_convolution_at, readers)), None)
            if reached is not None:
                yield _hit(site, f"a scale of shape [1] before the convolution {reached}")


def _convolution_at(node: ir.Node) -> str | None:
    """Return the name of a convolution that reads what a node moves, itself included, or None."""
    if node.op_type == "Conv":
        return node.name
    if node.op_type != "Concat" and not moves_values(node):
        return None
    behind = (_convolution_at(reader) for output in node.outputs for reader in reading_nodes(output))
    return next(filter(None, behind), None)


def per_channel_activation(subject: Subject) -> Iterator[Hit]:
    """Activations with a scale per channel."""
    for site in subject.activations():
        if site.scale is not None and site.scale.size > 1:
            yield _hit(site, f"{site.scale.size} scales for an activation")


def wrong_axis(subject: Subject) -> Iterator[Hit]:
    """Weights whose scales do not run along the output channels."""
    for node in subject.plain.graph:
        for index in (0, 1):
            found, axis = subject.weight_at(node, index), _output_axis(node, index)
            if found is None or found.axis is None or found.site.scale is None or found.site.scale.size == 1:
                continue
            shape = shape_of(input_at(node, index)) or ()
            if axis is not None and found.axis != axis and not found.site.is_blocked:
                what = f"scales along axis {found.axis} of the weight {list(shape)}; {node.op_type} wants axis {axis}"
                yield _hit(found.site, what)


def _output_axis(node: ir.Node, index: int) -> int | None:
    """Return the axis of the output channels in a weight that is input `index`, or None where there is none."""
    if index == 1:
        axis = weight_axis(node)
        rank = len(shape_of(input_at(node, 1)) or ())
        return rank - 1 if axis is None and node.op_type == "MatMul" and rank > 2 else axis
    return 0 if node.op_type == "MatMul" and len(shape_of(input_at(node, 0)) or ()) == 2 else None


def blocked(subject: Subject) -> Iterator[Hit]:
    """int8 with a scale per block of values."""
    for site in subject.sites:
        if site.is_blocked and site.dtype == ir.DataType.INT8:
            yield _hit(site, "one scale per block of values")


def integer_bias(subject: Subject) -> Iterator[Hit]:
    """Biases in integers."""
    for site in subject.sites:
        if site.role == "bias":
            kind = "unknown" if site.dtype is None else site.dtype.name.lower()
            yield _hit(site, f"a bias in {kind}")


def other_float_type(subject: Subject) -> Iterator[Hit]:
    """Products whose float bias has another type than what they multiply."""
    for node in subject.plain.graph:
        bias = input_at(node, 2) if node.op_type in ("Conv", "ConvTranspose", "Gemm") else None
        factor = node.inputs[0] if bias is not None else None
        if bias is None or factor is None or constant(bias) is None or not subject.multiplies_integers(node):
            continue
        if {bias.dtype, factor.dtype} <= _FLOATS and bias.dtype != factor.dtype:
            assert bias.dtype is not None
            assert factor.dtype is not None
            what = f"a {bias.dtype.name.lower()} bias beside {factor.dtype.name.lower()} scales"
            yield Hit(node.name or "", bias.name or "", what)


_MAKE_SYMMETRIC = "Calibrate with symmetric int8; `--fix` does it, with the same largest magnitude."

RULES = (
    Rule(
        "TRT101",
        "tensorrt",
        "uint8 activation",
        "wrong",
        "TensorRT reads uint8 with zero point 0 as int8, after a warning only: what lies above 127 steps is clipped.",
        _MAKE_SYMMETRIC,
        unsigned,
    ),
    Rule(
        "TRT102",
        "tensorrt",
        "missing zero point",
        "wrong",
        "Without a zero point ONNX means uint8, and TensorRT takes it for int8: everything else reads other numbers.",
        "Give it an int8 zero point of 0; `--fix` does it.",
        without_zero_point,
    ),
    Rule(
        "TRT103",
        "tensorrt",
        "zero point other than 0",
        "refused",
        "TensorRT's encodings are symmetric; its message speaks of a flag that is for DLA only.",
        _MAKE_SYMMETRIC,
        asymmetric,
    ),
    Rule(
        "TRT104",
        "tensorrt",
        "type without kernels",
        "refused",
        "TensorRT knows int8 alone among 8- and 16-bit integers, and says 'Failed to import initializer' of others.",
        "Quantize to int8; `--fix` does it.",
        other_type,
    ),
    Rule(
        "TRT105",
        "tensorrt",
        "scale not positive",
        "refused",
        "Scales must be positive and finite. A channel that is 0 throughout often gets a scale of 0.",
        "Give a dead channel any positive scale, such as 1; look for NaN in the data otherwise. `--fix` leaves float "
        "what has no usable scale, and takes a weight's scales from its values.",
        bad_scale,
    ),
    Rule(
        "TRT106",
        "tensorrt",
        "scale computed at run time",
        "refused",
        "The parser accepts it, and then the builder crashes (segmentation fault).",
        "Fold the constants before, or quantize the float model with fixed scales: `quantlab ptq`.",
        run_time_scale,
    ),
    Rule(
        "TRT107",
        "tensorrt",
        "scale of rank 1",
        "slow",
        "The convolution runs in float, silently, when the scale of its input has shape [1] instead of [].",
        "Give scale and zero point rank 0; `--fix` does it.",
        rank_one_scale,
    ),
    Rule(
        "TRT108",
        "tensorrt",
        "activation with a scale per channel",
        "slow",
        "Only constant weights may have a scale per channel; what reads this activation runs in float, silently.",
        "Calibrate one scale for the tensor; `--fix` takes the largest.",
        per_channel_activation,
    ),
    Rule(
        "TRT109",
        "tensorrt",
        "weight scales along the wrong axis",
        "slow",
        "The product runs in float, silently. The axis that ONNX assumes where none is written is 1.",
        "Put the scales along the output channels: Conv 0, MatMul [K, N] 1, Gemm with transB 0; `--fix` does it.",
        wrong_axis,
    ),
    Rule(
        "TRT110",
        "tensorrt",
        "int8 in blocks",
        "refused",
        "Scales per block are for int4, fp8 and fp4. Of int8 a build fails with words about constants, or keeps one "
        "scale for all blocks.",
        "Give an int8 weight one scale per output channel; make it anew from the float model.",
        blocked,
    ),
    Rule(
        "TRT111",
        "tensorrt",
        "integer bias",
        "refused",
        "TensorRT adds biases in float; it refuses int32 with a list of 8-bit types, and does not say 'bias'.",
        "Leave the bias float (QuantizeBias=False in ONNX Runtime's quantizer); `--fix` restores it.",
        integer_bias,
    ),
    Rule(
        "TRT112",
        "tensorrt",
        "bias of another float type",
        "refused",
        "A product's bias must have the type that its DequantizeLinear gives, which is that of the scale.",
        "Give the scales the type of the bias, or cast one of them.",
        other_float_type,
    ),
)
