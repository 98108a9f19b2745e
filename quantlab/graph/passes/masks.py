"""What an attention mask holds, where that is known before the model runs.

Exporters write a constant mask as an Expand over the free batch and a choice between 0 and minus infinity, which no
folding removes. Repeating changes neither the values nor which of them stand in one row, so that it may be ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from quantlab.graph.passes.queries import constant, is_op

Mask = npt.NDArray[Any]
# Finite where their inputs are.
_PRODUCTS = ("MatMul", "Gemm", "Einsum", "Conv")
_SUMS = ("Add", "Sub", "Mul", "Div")
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")


def mask_array(mask: ir.Value | None) -> Mask | None:
    """Return the array that a mask repeats, broadcastable to the mask, or None where it is computed from inputs."""
    array = constant(mask)
    node = mask.producer() if mask is not None else None
    if array is not None or node is None:
        return array
    if is_op(node, "Expand"):
        return mask_array(node.inputs[0])
    if is_op(node, "Where"):
        condition, yes, no = (mask_array(value) for value in node.inputs)
        if condition is not None and yes is not None and no is not None:
            return np.where(condition, yes, no)
    return None


def masks_nothing(mask: Mask) -> bool:
    """Return whether a mask lets everything through unchanged: all True, or all 0."""
    return bool(mask.all() if mask.dtype == np.bool_ else not mask.any())


def leaves_every_row_open(mask: Mask) -> bool:
    """Return whether no row (last axis) of a mask is blocked whole: all False, or all minus infinity."""
    is_open = np.atleast_1d(mask if mask.dtype == np.bool_ else np.isfinite(mask))
    return bool(is_open.any(axis=-1).all())


def open_scores(scores: ir.Value | None) -> Mask | None:
    """Return which attention scores are finite whatever is fed, bool, broadcastable to the scores.

    None stands for scores about which nothing is known, such as those under a mask that is fed.
    """
    array = mask_array(scores)
    node = scores.producer() if scores is not None else None
    if array is not None:
        return np.isfinite(array)
    if node is None or is_op(node, *_PRODUCTS):
        return None if node is None else np.ones((), np.bool_)
    if is_op(node, "Where"):
        condition = mask_array(node.inputs[0])
        yes, no = open_scores(node.inputs[1]), open_scores(node.inputs[2])
        if yes is None or no is None:
            return None
        return yes & no if condition is None else np.where(condition, yes, no)
    if is_op(node, *_SUMS):
        first, second = open_scores(node.inputs[0]), open_scores(node.inputs[1])
        return None if first is None or second is None else first & second
    moved = open_scores(node.inputs[0]) if is_op(node, *_MOVES) else None
    # Which row a blocked score ends up in is not followed.
    return moved if moved is not None and moved.all() else None
