"""The least value that a tensor can have, as far as the operators before it tell."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from quantlab.targets.graph_queries import clip_bounds, constant_array, output_range
from quantlab.targets.tensorrt_joins import moves_values

_NOT_NEGATIVE = frozenset({"Abs", "Exp", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Softplus", "Sqrt"})
# Their results lie between the least and the largest of their inputs.
_BETWEEN = frozenset({"AveragePool", "Concat", "GlobalAveragePool", "Max", "Mean", "Min", "ReduceMax", "ReduceMean"})


def lowest(value: ir.Value | None) -> float:
    """Return a value that no element is below, or -inf where the operators do not tell.

    What is fed is taken as 0 or above: no operator before it can be missing.
    """
    array = constant_array(value)
    if array is not None:
        return float(np.asarray(array, np.float64).min(initial=0.0)) if array.size != 1 else float(array.reshape(()))
    node = None if value is None else value.producer()
    if node is None:
        return 0.0
    bounds = clip_bounds(node) or output_range(node)
    if bounds is not None:
        return bounds[0]
    if node.op_type in _NOT_NEGATIVE:
        return 0.0
    return _lowest_of(node)


def _lowest_of(node: ir.Node) -> float:
    """Return the least that a node can make of the least of its inputs."""
    if moves_values(node):
        return lowest(node.inputs[0])
    if node.op_type not in _BETWEEN | {"Add", "Mul", "Sum"}:
        return -math.inf
    least = [lowest(source) for source in node.inputs if source is not None and source.dtype != ir.DataType.INT64]
    if node.op_type in ("Add", "Sum"):
        return sum(least)
    if node.op_type == "Mul":
        return 0.0 if min(least) >= 0.0 else -math.inf
    return min(least)
