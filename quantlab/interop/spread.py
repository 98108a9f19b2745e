"""Ranges of some tensors → ranges of more, where the graph tells: what is moved, joined or clipped.

    y = Reshape(x), Transpose(x), ...    x and y have one range
    y = Pad(x)                           y and x have one range, where what is added is zeros or copies
    y = MaxPool(x), Slice(x), ...        y has that of x; and of a MaxPool behind a Relu, x that of y
    y = Concat(a, b, ...)                y has the range that holds all; each of them has at most that of y
    y = Relu(x), Clip(x)                 y has that of x, clipped
    y = Softmax(x), Sigmoid(x), ...      what the function can give

A range that is known is never changed. Tools put Q/DQ pairs on either side of such nodes, and a placement may want them
on the other one.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.queries import constant, input_of, is_op
from quantlab.interop.known import KnownRange, united
from quantlab.targets.graph_queries import clip_bounds, output_range
from quantlab.targets.tensorrt_joins import moves_values


def spread(model: Model, known: Mapping[str, KnownRange]) -> dict[str, KnownRange]:
    """Return the known ranges and those that follow from them.

    Args:
        model: a float model; what `prepare` takes out of it, such as a Pad, tells of its neighbours only before.
        known: by the name of the tensor; names that the model does not have stay.
    """
    ranges = dict(known)
    nodes = list(model.graph)
    for node in nodes:
        _forward(node, ranges)
    for node in reversed(nodes):
        _backward(node, ranges)
    for node in nodes:
        _forward(node, ranges)
    for node in nodes:
        bounds = output_range(node)
        if bounds is not None:
            ranges.setdefault(node.outputs[0].name or "", KnownRange(*bounds))
    return ranges


def _forward(node: ir.Node, ranges: dict[str, KnownRange]) -> None:
    found = _range_behind(node, ranges)
    for output in node.outputs if found is not None else ():
        if output.name and found is not None:
            ranges.setdefault(output.name, found)


def _range_behind(node: ir.Node, ranges: Mapping[str, KnownRange]) -> KnownRange | None:
    sources = [None if value is None else ranges.get(value.name or "") for value in node.inputs]
    if node.op_type == "Concat":
        parts = [source for source in sources if source is not None]
        return united(parts) if len(parts) == len(sources) else None
    source = sources[0] if sources else None
    if source is None:
        return None
    bounds = clip_bounds(node)
    if bounds is not None:
        return source.clipped(*bounds)
    return source if moves_values(node) or _adds_nothing_new(node) else None


def _backward(node: ir.Node, ranges: dict[str, KnownRange]) -> None:
    behind = [ranges.get(output.name or "") for output in node.outputs]
    found = [known for known in behind if known is not None]
    if len(found) < len(behind) or not _tells_its_input(node):
        return
    for source in node.inputs if node.op_type == "Concat" else node.inputs[:1]:
        if source is not None and source.name:
            ranges.setdefault(source.name, united(found))


def _tells_its_input(node: ir.Node) -> bool:
    """Whether what a node reads has no value beyond the range of what it leaves."""
    if node.op_type != "MaxPool":
        return node.op_type in _WHOLE or _adds_nothing_new(node)
    source = node.inputs[0]
    before = None if source is None else source.producer()
    bounds = None if before is None else clip_bounds(before)
    return bounds is not None and bounds[0] >= 0.0  # every encoding reaches 0, and no window hides a maximum


def _adds_nothing_new(node: ir.Node) -> bool:
    """Whether a node is a Pad that cuts nothing off and adds zeros, which every encoding reaches, or copies."""
    pads = constant(input_of(node, 1)) if is_op(node, "Pad") else None
    fill = input_of(node, 2) if pads is not None else None
    if pads is None or (pads < 0).any():
        return False
    added = constant(fill)
    return fill is None or (added is not None and not added.any())


# All of their input is in their output.
_WHOLE = frozenset(
    {"Concat", "DepthToSpace", "Expand", "Flatten", "Identity", "Reshape", "SpaceToDepth", "Split", "Squeeze"}
) | {"Tile", "Transpose", "Unsqueeze"}
