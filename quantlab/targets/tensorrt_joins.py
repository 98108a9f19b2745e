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
from collections.abc import Collection

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Point, Reader
from quantlab.scheme import Scheme
from quantlab.targets.draft import Draft
from quantlab.targets.graph_queries import activations_of, attribute_string, constant, is_float, reading_nodes, shape_of

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
    return node.op_type in _MOVES or (
        node.op_type == "Resize" and attribute_string(node, "mode", "nearest") == "nearest"
    )


def is_point_behind(node: ir.Node, draft: Draft) -> bool:
    """Whether what a node computes is a point, at once or behind nodes that only move it."""
    waiting, seen = [node], {node}
    while waiting:
        outputs = waiting.pop().outputs
        if any((output.name or "") in draft for output in outputs):
            return True
        for reader in (reader for output in outputs for reader in reading_nodes(output)):
            if reader not in seen and (moves_values(reader) or reader.op_type == "Concat"):
                seen.add(reader)
                waiting.append(reader)
    return False


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
    """Quantize all inputs of a Concat like its output, if that is a point; return whether that is news."""
    joined = node.outputs[0].name or ""
    operands = list(activations_of(node))
    if joined not in draft or len(operands) < len(node.inputs) or not all(is_float(value) for _, value in operands):
        return False
    news = [_add_edge(draft, value, Reader(node.name or "", index), joined) for index, value in operands]
    return any(news)


def _share_moved(node: ir.Node, draft: Draft) -> bool:
    """Let a moved tensor share with its source, if both are points or the source is a concatenation."""
    source = node.inputs[0]
    moved = [value.name for value in node.outputs if value.name and value.name in draft]
    if source is None or constant(source) is not None or not moved:
        return False
    if (source.name or "") not in draft and not _comes_from_concat(source):
        return False
    news = [_add_edge(draft, source, Reader(node.name or "", 0), name) for name in moved]
    return any(news)


def _add_edge(draft: Draft, value: ir.Value, reader: Reader, shared_with: str) -> bool:
    known = draft.point(value.name or "")
    if known is not None and reader in known.readers:
        return False
    draft.add(Point(value.name or "", INT8, "activation", (reader,)))
    draft.share(value.name or "", shared_with)
    return True


def _comes_from_concat(value: ir.Value) -> bool:
    node = value.producer()
    while node is not None and moves_values(node):
        source = node.inputs[0]
        node = None if source is None else source.producer()
    return node is not None and node.op_type == "Concat"


def _convolution_behind(value: ir.Value, integer: Collection[str]) -> ir.Node | None:
    """Return the integer convolution whose kernel computes a value, activation function included, or None."""
    node = value.producer()
    while node is not None and node.op_type != "Conv":
        source = _fused_operand(node)
        node = None if source is None else source.producer()
    return node if node is not None and node.name in integer else None


def _fused_operand(node: ir.Node) -> ir.Value | None:
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
