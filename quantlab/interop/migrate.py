"""Float model + what is known of its ranges → INT8 model, without any data.

The target places as always. What it wants quantized but nothing is known of stays float, and so do the nodes that
need it: the placement is repeated without them until every range is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from quantlab.affine import Encoding, Encodings
from quantlab.calibrate import WeightFloors
from quantlab.errors import CalibrationError
from quantlab.graph.model import Model
from quantlab.interop.known import Known, KnownRange, united
from quantlab.interop.spread import spread
from quantlab.plan import Plan, Point
from quantlab.qdq import bake, insert
from quantlab.targets.target import Target


@dataclass(frozen=True, eq=False, slots=True)
class Migration:
    """What came out.

    Attributes:
        model: the prepared float model.
        plan: what is quantized.
        encodings: as `insert` takes them.
        int8_model: what to deploy.
        kept_float: nodes that the target would run in integers, each with the tensor whose range is missing.
        joined: tensors that had ranges of their own and now share one, by the owner of it.
    """

    model: Model
    plan: Plan
    encodings: Encodings
    int8_model: Model
    kept_float: Mapping[str, str]
    joined: Mapping[str, tuple[str, ...]]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""
        notes = [f"{node} stays float: no scale is known for {tensor}" for node, tensor in self.kept_float.items()]
        for owner, others in self.joined.items():
            notes.append(f"{owner} and {', '.join(others)} must share a scale: they got the largest of theirs")
        return tuple(notes)


def migrate(model: Model, target: Target, known: Known, *, keep_float: Sequence[str] = ()) -> Migration:
    """Return a model quantized with known ranges.

    Args:
        model: a prepared float model.
        target: where to quantize.
        known: the ranges; tensors that the model does not have count for nothing.
        keep_float: nodes to leave float, as `Target.place` takes them.

    Raises:
        CalibrationError: nothing that the target quantizes has a known range.
        PlanError: `keep_float` names nothing in the model.
    """
    ranges = spread(model, known.activations)
    kept: dict[str, str] = {}
    while True:
        plan = target.place(model, keep_float=(*keep_float, *kept))
        lacking = _nodes_that_lack(model, plan, ranges, kept)
        if not lacking:
            break
        kept |= lacking
    if not plan.points:
        tensor = next(iter(kept.values()), None)
        lack = f"no scale is known for {tensor!r}" if kept else f"{target.name} would quantize none of it"
        raise CalibrationError(f"{model.name}: nothing is left to quantize, since {lack}; check model and scales")
    plan = _with_reasons(plan, kept)
    encodings = _encodings(model, plan, ranges, known)
    int8_model = bake(insert(model, plan, encodings), plan)
    return Migration(model, plan, encodings, int8_model, kept, _joined(plan, ranges))


def _nodes_that_lack(
    model: Model, plan: Plan, ranges: Mapping[str, KnownRange], kept: Mapping[str, str]
) -> dict[str, str]:
    """Return the nodes to leave float next, each with the tensor whose range is missing."""
    nodes, values = model.nodes_by_name(), model.values_by_name()
    lacking: dict[str, str] = {}
    for point in plan.of_role("activation"):
        if point.fixed_range is None and not _known_members(plan, point, ranges):
            found = [reader.node for reader in point.readers if reader.node not in kept]
            # A target may also want what a node leaves, whoever reads it.
            found = found or [name for name in _makers(values[point.tensor]) if name not in kept and name in nodes]
            lacking |= dict.fromkeys(found, point.tensor)
    return lacking


def _makers(value: ir.Value) -> list[str]:
    """Return the node that makes a value and, of an activation function, the one before it."""
    names = []
    node = value.producer()
    while node is not None:
        names.append(node.name or "")
        source = node.inputs[0] if node.op_type in ("Relu", "Clip") else None
        node = None if source is None else source.producer()
    return names


def _known_members(plan: Plan, point: Point, ranges: Mapping[str, KnownRange]) -> list[KnownRange]:
    members = plan.groups.get(point.shared_with or point.tensor, (point.tensor,))
    return [ranges[name] for name in members if name in ranges]


def _encodings(model: Model, plan: Plan, ranges: Mapping[str, KnownRange], known: Known) -> dict[str, Encoding]:
    encodings: dict[str, Encoding] = {}
    for point in plan.of_role("activation"):
        if point.shared_with is None:
            fixed = [] if point.fixed_range is None else [KnownRange(*point.fixed_range)]
            encodings[point.tensor] = united(_known_members(plan, point, ranges) or fixed).encoded(point)
    floors = WeightFloors(model, plan, encodings)
    for point in plan.of_role("weight"):
        if point.shared_with is None:
            encoding = known.weight_encoding(point, model.constant(point.tensor))
            encodings[point.tensor] = floors.raised(point, encoding)
    return encodings


def _joined(plan: Plan, ranges: Mapping[str, KnownRange]) -> dict[str, tuple[str, ...]]:
    """Return the groups whose members had different ranges."""
    joined = {}
    for owner, members in plan.groups.items():
        if len({ranges[name] for name in members if name in ranges}) > 1:
            joined[owner] = members[1:]
    return joined


def _with_reasons(plan: Plan, kept: Mapping[str, str]) -> Plan:
    """Say of the nodes kept float here why that is."""

    def corrected(text: str) -> str:
        for name, tensor in kept.items():
            text = text.replace(f"Kept float on request ({name}).", f"No scale is known for {tensor}.")
        return text

    skips = tuple(replace(skip, reason=corrected(skip.reason)) for skip in plan.skips)
    return replace(plan, skips=skips, float_nodes=tuple((name, corrected(why)) for name, why in plan.float_nodes))
