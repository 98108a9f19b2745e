"""Where branches meet: which input of a residual sum TensorRT wants in INT8, and which tensors share an encoding.

The sum of a residual block becomes the last step of the convolution that feeds it. That convolution's own result
must not be rounded before; the other operand, the skip, is read as INT8. Which one is the skip: the operand that no
convolution computes, and of two convolutions' results the one whose path from the common ancestor is shorter.

A concatenation moves integers only when its inputs and its output have one encoding, and so does every operator that
only moves values or picks among them.

Sources: TensorRT developer guide, Q/DQ layer-placement recommendations; modelopt/onnx/quantization/graph_utils.py
0.47, functions build_non_residual_input_map and get_concat_eliminated_tensors.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Point, Reader
from quantlab.scheme import Scheme
from quantlab.targets.draft import Draft
from quantlab.targets.graph_queries import (
    activations_of,
    attribute_string,
    constant,
    constant_array,
    input_at,
    is_float,
    reading_nodes,
    shape_of,
)

INT8 = Scheme("int8")

_MOVES = frozenset(
    {
        "MaxPool",
        "GlobalMaxPool",
        "Reshape",
        "Transpose",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Gather",
        "Identity",
        "Expand",
        "Tile",
        "DepthToSpace",
        "SpaceToDepth",
    }
)
FUNCTIONS = frozenset(
    {
        "Relu",
        "Clip",
        "LeakyRelu",
        "PRelu",
        "Elu",
        "Selu",
        "Celu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
        "Gelu",
        "Softplus",
        "Mish",
    }
)
"""Activation functions, which a product takes into its kernel."""


def moves_values(node: ir.Node) -> bool:
    """Whether every output element of a node is one of its input's elements, so that both have one encoding."""
    if node.op_type == "Resize":
        return attribute_string(node, "mode", "nearest") == "nearest"
    if node.op_type == "Pad":  # with a zero, which every symmetric encoding holds, or with elements from the edge
        fill = constant_array(input_at(node, 2))
        return input_at(node, 2) is None or (fill is not None and not np.any(fill))
    return node.op_type in _MOVES


def points_behind(node: ir.Node, draft: Draft) -> list[str]:
    """Return the points that hold what a node computes: its outputs, or what other nodes move them to."""
    waiting, seen, found = [node], {node}, []
    while waiting:
        for output in waiting.pop().outputs:
            if output.name and output.name in draft:
                found.append(output.name)
            movers = [reader for reader in reading_nodes(output) if reader not in seen and moves_values(reader)]
            seen.update(movers)
            waiting.extend(movers)
    return found


def fused_operand(node: ir.Node) -> ir.Value | None:
    """Return the operand of a pointwise node that its kernel carries on from, or None where there is none."""
    if node.op_type in FUNCTIONS:
        return node.inputs[0]
    operands = [value for _, value in activations_of(node)]
    if node.op_type not in {"Add", "Mul", "Sub", "Div"} or not operands:
        return None
    if len(operands) == 1:  # the other is constant
        return operands[0]
    for value, other in (operands, operands[::-1]):  # x · sigmoid(x)
        gate = other.producer()
        if gate is not None and gate.op_type in {"Sigmoid", "HardSigmoid"} and gate.inputs[0] is value:
            return value
    return None


def skip_input(add: ir.Node, integer: Collection[str]) -> int | None:
    """Return which input of an Add is the skip of a residual sum, or None if no convolution takes the sum in.

    Args:
        add: an Add.
        integer: the names of the nodes that run in integers.
    """
    if len(tuple(activations_of(add))) != 2 or not _have_equal_shapes(add):
        return None
    left, right = (value for _, value in activations_of(add))
    convolutions = _convolution_behind(left, integer), _convolution_behind(right, integer)
    if convolutions[0] is convolutions[1]:  # neither, or both from the same
        return None
    to_left, to_right = _distances_to_common_ancestor(left, right)
    if None not in convolutions:
        return 1 if to_left >= to_right else 0
    skip = 0 if convolutions[0] is None else 1
    main = convolutions[1 - skip]
    # x + f(x) where the convolution computes x: it cannot take in a sum that needs its result first.
    upstream = {value.producer() for value in _distances((left, right)[skip])}
    return None if main in upstream else skip


def share_encodings(model: Model, draft: Draft, kept: Collection[str]) -> None:
    """Give one encoding to what a concatenation joins or an operator moves, where an integer kernel reads it.

    Args:
        model: the model of the draft.
        draft: it holds the operands of every integer product; points and shared encodings are added.
        kept: names of nodes to leave alone.
    """
    nodes = [node for node in reversed(list(model.graph)) if node.name not in kept]
    has_changed = True
    while has_changed:  # a point added for one node may concern another that was looked at already
        has_changed = False
        for node in nodes:
            if node.op_type == "Concat":
                has_changed |= _share_concat(node, draft)
            elif moves_values(node):
                has_changed |= _share_moved(node, draft)


def _share_concat(node: ir.Node, draft: Draft) -> bool:
    """Quantize all inputs of a Concat like the points behind it, if there are any; return whether that is news."""
    joined, operands = points_behind(node, draft), list(activations_of(node))
    if not joined or len(operands) < len(node.inputs) or not all(is_float(value) for _, value in operands):
        return False
    return _share(draft, [(value, Reader(node.name or "", index)) for index, value in operands], joined)


def _share_moved(node: ir.Node, draft: Draft) -> bool:
    """Quantize what a node moves like the points behind it, if it is a point itself; return whether that is news."""
    source = node.inputs[0]
    if source is None or (source.name or "") not in draft or constant(source) is not None:
        return False
    return _share(draft, [(source, Reader(node.name or "", 0))], points_behind(node, draft))


def _share(draft: Draft, edges: Iterable[tuple[ir.Value, Reader]], points: Sequence[str]) -> bool:
    has_changed = False
    for value, reader in edges if points else ():
        name = value.name or ""
        known = draft.point(name)
        if known is None or reader not in known.readers:
            draft.add(Point(name, INT8, "activation", (reader,)))
            has_changed = True
        for point in points:
            draft.share(point, name)
    return has_changed


def _convolution_behind(value: ir.Value, integer: Collection[str]) -> ir.Node | None:
    """Return the integer convolution whose kernel computes a value, activation function included, or None."""
    node = value.producer()
    while node is not None and node.op_type != "Conv":
        source = fused_operand(node)
        node = None if source is None else source.producer()
    return node if node is not None and node.name in integer else None


def _have_equal_shapes(add: ir.Node) -> bool:
    left, right = (shape_of(value) for value in add.inputs)
    if left is None or right is None:
        return True  # unknown: a residual sum is by far the likelier
    return len(left) == len(right) and all(a == b or None in (a, b) for a, b in zip(left, right, strict=True))


def _distances_to_common_ancestor(left: ir.Value, right: ir.Value) -> tuple[float, float]:
    """Return how many nodes lie between two values and their nearest common ancestor; infinite if they have none."""
    to_left, to_right = _distances(left), _distances(right)
    common = [value for value in to_left if value in to_right]
    nearest = min(common, key=lambda value: to_left[value] + to_right[value], default=None)
    return (math.inf, math.inf) if nearest is None else (to_left[nearest], to_right[nearest])


def _distances(value: ir.Value) -> dict[ir.Value, int]:
    """Return every value upstream of a value, itself included, by its distance in nodes."""
    distances, waiting = {value: 0}, deque([value])
    while waiting:
        current = waiting.popleft()
        node = current.producer()
        for _, source in activations_of(node) if node is not None else ():
            if source not in distances:
                distances[source] = distances[current] + 1
                waiting.append(source)
    return distances
