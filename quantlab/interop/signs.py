"""Whether a value can be negative, as far as the operators before it tell."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.targets.graph_queries import clip_bounds, constant_array, output_range
from quantlab.targets.tensorrt_joins import moves_values

_NEVER = frozenset({"Abs", "Exp", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Softplus", "Sqrt"})
# These give nothing negative if nothing negative goes in.
_OF_ITS_INPUTS = frozenset(
    {"Add", "AveragePool", "Concat", "GlobalAveragePool", "Max", "Mean", "Min", "Mul", "ReduceMean", "ReduceMax", "Sum"}
)


def may_be_negative(value: ir.Value | None) -> bool:
    """Whether a value that a node makes may be negative; what is fed is taken as it was calibrated, and may not."""
    array = constant_array(value)
    if array is not None:
        return bool(np.any(np.asarray(array, np.float64) < 0.0))
    node = None if value is None else value.producer()
    if node is None:
        return False
    bounds = clip_bounds(node) or output_range(node)
    if bounds is not None:
        return bounds[0] < 0.0
    if node.op_type in _OF_ITS_INPUTS:
        return any(may_be_negative(source) for source in node.inputs if source is not None)
    if moves_values(node):
        return may_be_negative(node.inputs[0])
    return node.op_type not in _NEVER
