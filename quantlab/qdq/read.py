"""Q/DQ model → the plan and encodings it holds; the inverse of `insert` (and of `bake`).

Works on the Q/DQ models of other tools too. What the graph does not hold cannot be read: reasons of skips, fixed
ranges, and statistics.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.affine import Encoding
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader, Role
from quantlab.qdq.insert import TARGET_KEY
from quantlab.qdq.pairs import Pair, pairs

UNKNOWN_TARGET = "unknown"
"""The target of a plan that was read from a model which does not say for which runtime it was made."""


def read(model: Model) -> tuple[Plan, dict[str, Encoding]]:
    """Return where a model is quantized and with which encodings.

    Points come in order of their DequantizeLinear nodes. Points that use the same scale initializer are shared;
    the first of them owns it. The baked form `W_quantized ─DQ─▶` is read as the weight `W`.

    Returns:
        The plan, without skips, and the encodings by tensor name (shared points under their owner's name only).

    Raises:
        ModelError: a scale or zero point is not a constant, or of a type quantlab does not know.
    """
    points: dict[str, Point] = {}
    encodings: dict[str, Encoding] = {}
    owners: dict[ir.Value, str] = {}
    for pair in pairs(model.graph):
        name = tensor_name(pair)
        if name in points:  # another DQ of the same Q, as some tools emit: one point with all the readers
            points[name] = _with_readers(points[name], pair)
            continue
        scale = pair.dequantize.inputs[1]
        owner = owners.setdefault(scale, name) if scale is not None else name
        points[name] = _point(name, pair, None if owner == name else owner)
        if owner == name:
            encodings[name] = pair.encoding
    derived = _derive_biases(model, points)
    target = model.ir_model.metadata_props.get(TARGET_KEY, UNKNOWN_TARGET)
    return Plan(target, tuple(derived)), encodings


def tensor_name(pair: Pair) -> str:
    """Return the name users know the quantized tensor by."""
    if pair.output.is_graph_output():
        return pair.output.name or ""
    name = pair.source.name or ""
    return name.removesuffix("_quantized") if pair.quantize is None else name


def _point(name: str, pair: Pair, owner: str | None) -> Point:
    role: Role = "activation"
    if pair.is_constant:
        role = "bias" if pair.encoding.scheme.dtype == "int32" else "weight"
    is_output = pair.output.is_graph_output()
    return Point(name, pair.encoding.scheme, role, _readers(pair), is_output, shared_with=owner)


def _readers(pair: Pair) -> tuple[Reader, ...]:
    return tuple(sorted(Reader(use.node.name or "", use.idx) for use in pair.output.uses()))


def _with_readers(point: Point, pair: Pair) -> Point:
    readers = tuple(sorted({*point.readers, *_readers(pair)}))
    is_output = point.is_output or pair.output.is_graph_output()
    return Point(point.tensor, point.scheme, point.role, readers, is_output, point.shared_with)


def _derive_biases(model: Model, points: dict[str, Point]) -> list[Point]:
    """Say of each bias from which activation and weight its scale derives: the other inputs of its reader."""
    by_reader = {reader: point.tensor for point in points.values() for reader in point.readers}
    result = []
    for point in points.values():
        if point.role == "bias" and point.readers:
            node = point.readers[0].node
            sources = (by_reader.get(Reader(node, 0)), by_reader.get(Reader(node, 1)))
            if sources[0] and sources[1]:
                point = Point(point.tensor, point.scheme, "bias", point.readers, derived_from=(sources[0], sources[1]))
        result.append(point)
    return result
