"""Which nodes of a model may run in half precision, and why the others may not.

Half precision holds magnitudes up to 65,504 with 11 significant bits, from 6.1e-5 down with fewer, and nothing below
6.0e-8. Products and pointwise functions keep within that where their inputs do, and GPUs add up in float32. What does
not keep within is left in float32: sums and squares over many values, exponentials, and nodes with a constant that
half precision cannot hold.

Sources: IEEE 754 binary16; NVIDIA's guide to mixed precision training, on reductions and exponentials.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from quantlab.data.batch import Array
from quantlab.graph.model import Model
from quantlab.graph.passes.queries import constant, is_op

LARGEST = 65504.0
"""The largest magnitude of half precision."""

SMALLEST = 2.0**-24
"""The smallest magnitude of half precision; half of it and less becomes zero."""

# Half the distance between two neighbours is at most 2^-12 of a number; a constant that loses 16 times as much lies
# mostly among the numbers that half precision holds with fewer bits, or not at all.
_MOST_LOST = 2.0**-8

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul"})
# Softmax subtracts the maximum first, and norms add up in float32 whatever they read (`stash_type`, or the kernel).
_NORMS = frozenset(
    {
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"),
        *("RMSNormalization", "Softmax", "LogSoftmax", "Attention"),
    }
)
_POINTWISE = frozenset(
    {
        *("Abs", "Add", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu", "Erf", "Floor", "Gelu", "HardSigmoid"),
        *("HardSwish", "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Relu", "Round", "Selu"),
        *("Sigmoid", "Sign", "Sin", "Softsign", "Sqrt", "Sub", "Swish", "Tanh", "ThresholdedRelu", "Where"),
    }
)
_MOVING = frozenset(
    {
        *("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad"),
        *("Reshape", "Resize", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze"),
        *("Tile", "Transpose", "Trilu", "Unsqueeze"),
    }
)
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMin"})
HALF_OPERATORS = _PRODUCTS | _NORMS | _POINTWISE | _MOVING | _POOLS
"""Operators whose result half precision holds where it holds what they read."""


def reasons_for_float(model: Model, magnitudes: Mapping[str, float] | None = None) -> dict[str, str]:
    """Return the nodes of the main graph that must stay float32, and why each.

    Args:
        model: every node and value named, constants lifted.
        magnitudes: the largest magnitude seen of tensors, by name; of other tensors nothing is known.
    """
    found = {node.name or "": _reason(node, magnitudes or {}) for node in model.graph}
    return {name: reason for name, reason in found.items() if reason is not None}


def is_mask(node: ir.Node, array: Array) -> bool:
    """Whether a constant of an Add or Where only has to make a softmax ignore places, however negative it is.

    Clipped to the lowest half-precision number it still does: the exponential of -65504 is 0.
    """
    readers = [use.node for use in node.outputs[0].uses()]
    return (
        is_op(node, "Add", "Where")
        and any(is_op(reader, "Softmax") for reader in readers)
        and _is_held(np.maximum(array, -LARGEST))
    )


def _reason(node: ir.Node, magnitudes: Mapping[str, float]) -> str | None:
    if not is_op(node, *HALF_OPERATORS):
        return f"{node.op_type} is not among the operators whose results half precision is sure to hold."
    for value in node.inputs:
        if value is not None and value.dtype is None:
            return f"The type of {value.name} is not known."
        array = constant(value)
        if value is not None and array is not None and not _fits(node, array):
            return f"Half precision cannot hold its constant {value.name}."
    for value in (*node.inputs, *node.outputs):
        seen = 0.0 if value is None else magnitudes.get(value.name or "", 0.0)
        if value is not None and seen > LARGEST / 2:
            return f"{value.name} reaches {seen:.3g}, and half precision ends at {LARGEST:.0f}."
    return None


def _fits(node: ir.Node, array: Array) -> bool:
    return array.dtype != np.float32 or _is_held(array) or is_mask(node, array)


def _is_held(array: Array) -> bool:
    """Whether half precision holds an array's numbers: none overflows, and hardly any of its energy is lost."""
    if not array.size:
        return True
    finite = array[np.isfinite(array)].astype(np.float64)
    if finite.size and np.abs(finite).max() > LARGEST:
        return False
    lost = finite - finite.astype(np.float16).astype(np.float64)
    return float(np.linalg.norm(lost)) <= _MOST_LOST * float(np.linalg.norm(finite))
