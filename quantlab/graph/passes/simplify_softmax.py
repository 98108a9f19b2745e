"""Drop the guard Where(IsNaN(softmax), 0, softmax) where the softmax cannot be NaN.

The torch exporter writes it for attention; it keeps TensorRT from fusing the attention. A row of softmax is NaN only
where every score is minus infinity, which takes a mask.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.masks import leaves_every_row_open, open_scores
from quantlab.graph.passes.queries import constant, is_op, label, listing, rank


def simplify_softmax(model: ir.Model) -> tuple[str, ...]:
    """Replace the guarded softmax by the softmax, or say why the guard stays."""
    dropped: list[str] = []
    notes: list[str] = []
    for node in list(model.graph):
        softmax = _guarded_softmax(node)
        if softmax is None:
            continue
        if reason := _why_nan(softmax):
            notes.append(f"{label(node)} stays: it guards {label(softmax)} against NaN, and {reason}")
            continue
        output = node.outputs[0]
        if output.is_graph_output():
            notes.append(f"{label(node)} stays: it is an output of the graph")
            continue
        ir.convenience.replace_all_uses_with(output, softmax.outputs[0])
        model.graph.remove(node, safe=True)
        dropped.append(repr(softmax.name))
    if dropped:
        notes.insert(0, f"{len(dropped)} guards against NaN behind Softmax were dropped: {listing(dropped)}")
    return tuple(notes)


def _guarded_softmax(node: ir.Node) -> ir.Node | None:
    """Return the softmax of Where(IsNaN(softmax), 0, softmax)."""
    if not is_op(node, "Where") or any(value is None for value in node.inputs):
        return None
    condition, zero, value = node.inputs
    test = condition.producer() if condition is not None else None
    softmax = value.producer() if value is not None else None
    array = constant(zero)
    is_guard = is_op(test, "IsNaN") and test is not None and test.inputs[0] is value
    if softmax is None or not is_guard or not _is_by_row(softmax) or array is None or array.any():
        return None
    # A zero of a larger shape would widen the result.
    return softmax if array.size == 1 and array.ndim <= (len(value.shape) if value and value.shape else 0) else None


def _is_by_row(node: ir.Node) -> bool:
    """Return whether the node is a Softmax along the last axis."""
    axis = node.attributes.get_int("axis", -1)
    return is_op(node, "Softmax") and (axis == -1 or axis + 1 == rank(node.inputs[0]))


def _why_nan(softmax: ir.Node) -> str | None:
    """Return why a row of the softmax may be NaN, or None where that takes inputs that are not finite."""
    is_open = open_scores(softmax.inputs[0])
    if is_open is None:
        return "its scores may be masked by what is fed, a whole row at once"
    return None if leaves_every_row_open(is_open) else "its mask blocks a whole row"
