"""A plan in the making: rules add points, skips and decisions in any order, `freeze` turns them into a `Plan`.

The draft merges what several rules say about one tensor (a value read by three nodes is one point with three
readers), follows shared encodings to their owner, and puts everything in graph order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import onnx_ir as ir

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader, Skip

_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"})


class Draft:
    """A mutable plan.

        draft = Draft(model, "onnxruntime")
        draft.add(Point("x", UINT8, "activation", (Reader("conv", 0),)))
        draft.skip("z", "LayerNormalization has no integer kernel.")
        draft.share("pooled", "relu_out")
        draft.integer("conv")
        plan = draft.freeze()

    Raises:
        PlanError: a node has no name, two nodes have the same, or the model is quantized already.
    """

    def __init__(self, model: Model, target: str) -> None:
        _check(model)
        self._target = target
        self._points: dict[str, Point] = {}
        self._skips: dict[tuple[str, str], Skip] = {}
        self._integer: set[str] = set()
        self._float: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._fences: set[str] = set()
        self._unbaked: set[str] = set()
        self._node_order = {node.name or "": index for index, node in enumerate(model.graph)}
        self._tensor_order = _tensor_order(model)

    def __contains__(self, tensor: str) -> bool:
        return tensor in self._points

    def point(self, tensor: str) -> Point | None:
        """Return the point of a tensor as it stands now, or None."""
        return self._points.get(tensor)

    def add(self, point: Point) -> None:
        """Add a point; if the tensor has one already, its readers and `is_output` are merged into it.

        `shared_with` of the point is understood as a call of `share`.

        Raises:
            PlanError: the tensor is unknown, or was added with another scheme, role, bias source or fixed range.
        """
        if point.tensor not in self._tensor_order:
            raise PlanError(f"plan: {point.tensor!r} is no tensor of the model's main graph")
        if point.shared_with:
            self.share(point.tensor, point.shared_with)
            point = replace(point, shared_with=None)
        known = self._points.get(point.tensor)
        if known is None:
            self._points[point.tensor] = replace(point, readers=self._sorted(point.readers))
            return
        merged = replace(
            point,
            readers=self._sorted((*known.readers, *point.readers)),
            is_output=known.is_output or point.is_output,
        )
        if replace(known, readers=(), is_output=False) != replace(point, readers=(), is_output=False):
            raise PlanError(f"plan: two rules disagree about {point.tensor!r}: ({known}) and ({point})")
        self._points[point.tensor] = merged

    def skip(self, tensor: str, reason: str, readers: Iterable[Reader] = ()) -> None:
        """Say why a tensor (or only some of the nodes that read it) stays float; equal sentences are merged."""
        about = self._sorted(readers)
        known = self._skips.get((tensor, reason))
        if known is not None:
            about = self._sorted((*known.readers, *about)) if known.readers and about else ()
        self._skips[tensor, reason] = Skip(tensor, reason, about)

    def share(self, tensor: str, owner: str) -> None:
        """Make a tensor use the encoding of another; chains and groups that meet end at one owner."""
        first, second = self._root(tensor), self._root(owner)
        if first != second:
            self._owner[first] = second

    def integer(self, node: str) -> None:
        """Say that a node must run in integers for the plan to pay."""
        self._integer.add(node)

    def leave_float(self, node: str, reason: str) -> None:
        """Say why a node of a kind the target could quantize stays float; the first reason stands."""
        self._float.setdefault(node, reason)

    def fence(self, tensor: str) -> None:
        """Keep the runtime from merging a tensor's QuantizeLinear with the float node before it."""
        self._fences.add(tensor)

    def leave_unbaked(self, weight: str) -> None:
        """Have a weight stay float, with its QuantizeLinear, in the INT8 model; see `Plan.unbaked`."""
        self._unbaked.add(weight)

    def freeze(self) -> Plan:
        """Return the plan, in graph order.

        The owner of a shared group is its first member in graph order. The group has a fixed range only when
        every member has one (their union); otherwise all are observed. Its limits are the narrowest of its members'.

        Raises:
            PlanError: a shared or derived encoding points at a tensor that has no point.
        """
        points = sorted(self._points.values(), key=lambda point: self._tensor_order[point.tensor])
        for tensor in (*self._owner, *self._owner.values()):
            if tensor not in self._points:
                raise PlanError(f"plan: {tensor!r} shares an encoding but has no point")
        groups: dict[str, list[Point]] = {}
        for point in points:
            groups.setdefault(self._root(point.tensor), []).append(point)
        end = (len(self._node_order), 0)
        return Plan(
            target=self._target,
            points=tuple(_in_group(point, groups[self._root(point.tensor)]) for point in points),
            skips=tuple(sorted(self._skips.values(), key=lambda skip: self._tensor_order.get(skip.tensor, end))),
            integer_nodes=tuple(sorted(self._integer, key=self._node_order.__getitem__)),
            float_nodes=tuple(sorted(self._float.items(), key=lambda item: self._node_order[item[0]])),
            fences=tuple(sorted(self._fences, key=self._tensor_order.__getitem__)),
            unbaked=tuple(sorted(self._unbaked, key=self._tensor_order.__getitem__)),
        )

    def _root(self, tensor: str) -> str:
        while tensor in self._owner:
            tensor = self._owner[tensor]
        return tensor

    def _sorted(self, readers: Iterable[Reader]) -> tuple[Reader, ...]:
        return tuple(sorted(set(readers), key=lambda reader: (self._node_order[reader.node], reader.index)))


def _in_group(point: Point, members: list[Point]) -> Point:
    """Return a point as a member of its shared group (itself included), the first member owning the encoding."""
    owner = members[0]
    if point.scheme != owner.scheme:
        raise PlanError(f"plan: {point.tensor!r} ({point.scheme}) cannot share with {owner.tensor!r} ({owner.scheme})")
    ranges = [member.fixed_range for member in members if member.fixed_range is not None]
    fixed = (min(low for low, _ in ranges), max(high for _, high in ranges)) if len(ranges) == len(members) else None
    lows = [member.limits[0] for member in members if member.limits[0] is not None]
    highs = [member.limits[1] for member in members if member.limits[1] is not None]
    limits = (max(lows, default=None), min(highs, default=None))
    return replace(point, shared_with=None if owner is point else owner.tensor, fixed_range=fixed, limits=limits)


def _check(model: Model) -> None:
    seen: set[str] = set()
    for index, node in enumerate(model.graph):
        if not node.name or node.name in seen:
            fault = f"the name {node.name!r} of another node" if node.name else "no name"
            raise PlanError(f"{model.name}: node {index} ({node.op_type}) has {fault}; prepare the model first")
        seen.add(node.name)
        if node.op_type in _QUANTIZED:
            raise PlanError(f"{model.name}: node {node.name!r} ({node.op_type}) shows that it is quantized already")


def _tensor_order(model: Model) -> dict[str, tuple[int, int]]:
    """Where each tensor of the main graph is first met: (node, slot), constants at their first reader."""
    order: dict[str, tuple[int, int]] = {}

    def meet(value: ir.Value | None, node: int, slot: int) -> None:
        if value is not None and value.name:
            order.setdefault(value.name, (node, slot))

    for slot, fed in enumerate(model.graph.inputs):
        if fed.name not in model.graph.initializers:
            meet(fed, -1, slot)
    for index, node in enumerate(model.graph):
        for slot, value in enumerate((*node.inputs, *node.outputs)):
            meet(value, index, slot)
    return order
