"""The plan: which tensors are quantized and how, and for every tensor left float a sentence why.

A plan is made by a target from a prepared model. It knows names only, no arrays and no runtime, so it prints,
compares, saves as JSON and is tested as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from quantlab.errors import PlanError
from quantlab.fragments import folded, fragment, small_table
from quantlab.scheme import Scheme

Role = Literal["activation", "weight", "bias"]


@dataclass(frozen=True, slots=True, order=True)
class Reader:
    """One input of one node: the edge on which a quantized value is read."""

    node: str
    index: int

    def __str__(self) -> str:
        return f"{self.node}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Point:
    """A tensor to quantize.

    Attributes:
        tensor: the ONNX name of the tensor.
        scheme: how it is encoded.
        role: an activation, a constant weight, or a constant bias.
        readers: the node inputs that read the quantized value; all others go on reading the float one.
        is_output: whether the graph output of this name reads the quantized value too.
        shared_with: the tensor whose encoding this one uses, or None for its own. Never a chain.
        derived_from: (activation, weight) whose scales multiply to this one's (a bias), or None.
        fixed_range: (low, high) known without data, such as (0, 1) after a sigmoid, or None.
        limits: (low, high) that the encoding's range must stay within, None where open: a Relu or Clip disappears
            into the rounding only if no integer stands for a value that it would have clipped.
        scale_floor: (tensor, share): the scale is at least this share of that earlier tensor's, because a kernel
            that reads the one and leaves the other refuses a finer one; or None.
    """

    tensor: str
    scheme: Scheme
    role: Role
    readers: tuple[Reader, ...]
    is_output: bool = False
    shared_with: str | None = None
    derived_from: tuple[str, str] | None = None
    fixed_range: tuple[float, float] | None = None
    limits: tuple[float | None, float | None] = (None, None)
    scale_floor: tuple[str, float] | None = None

    def __str__(self) -> str:
        head = f"{self.tensor}: {self.role} {self.scheme} -> {' '.join(map(str, self.readers)) or '-'}"
        return ", ".join([head, *self.conditions])

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the encoding is held to besides its scheme, in words."""
        parts = ["graph output"] if self.is_output else []
        parts += [f"shared with {self.shared_with}"] if self.shared_with else []
        parts += [f"derived from {' x '.join(self.derived_from)}"] if self.derived_from else []
        parts += [f"fixed [{self.fixed_range[0]:g}, {self.fixed_range[1]:g}]"] if self.fixed_range else []
        low, high = ("..." if end is None else f"{end:g}" for end in self.limits)
        parts += [f"within [{low}, {high}]"] if self.limits != (None, None) else []
        parts += [f"scale at least {self.scale_floor[1]:g} of {self.scale_floor[0]}"] if self.scale_floor else []
        return tuple(parts)

    def within_limits(self, low: float, high: float) -> tuple[float, float]:
        """Return a range cut to the limits."""
        lowest, highest = self.limits
        return low if lowest is None else max(low, lowest), high if highest is None else min(high, highest)


@dataclass(frozen=True, slots=True)
class Skip:
    """A tensor left float, and why.

    Attributes:
        tensor: the ONNX name of the tensor.
        reason: one sentence for the user.
        readers: the node inputs the reason is about; empty means every one.
    """

    tensor: str
    reason: str
    readers: tuple[Reader, ...] = ()

    def __str__(self) -> str:
        about = f" ({' '.join(map(str, self.readers))})" if self.readers else ""
        return f"{self.tensor}{about}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a target quantizes in one model.

    Attributes:
        target: the name of the target that made it.
        points: the tensors to quantize, in graph order.
        skips: the tensors left float, in graph order.
        integer_nodes: names of the nodes that must run in integers for the plan to pay, in graph order.
        float_nodes: (name, reason) of nodes of the kinds the target could quantize, but that stay float.
        fences: tensors whose QuantizeLinear the runtime must not merge with the node before it, which would then run
            in integers against the plan; `bake` puts a node between that changes nothing.
        unbaked: weights that the runtime rearranges before it rounds them, and computes in float if they are integers
            already; `bake` leaves them float with their QuantizeLinear.
    """

    target: str
    points: tuple[Point, ...]
    skips: tuple[Skip, ...] = ()
    integer_nodes: tuple[str, ...] = ()
    float_nodes: tuple[tuple[str, str], ...] = ()
    fences: tuple[str, ...] = ()
    unbaked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [point.tensor for point in self.points]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise PlanError(f"plan: tensor {twice[0]!r} is planned twice; give it one point with all its readers")
        by_name = self.by_tensor
        for point in self.points:
            for needed in (point.shared_with, *(point.derived_from or ()), point.scale_floor and point.scale_floor[0]):
                if needed and needed not in by_name:
                    raise PlanError(f"plan: {point.tensor!r} needs the encoding of {needed!r}, which has none")
            if point.shared_with and by_name[point.shared_with].shared_with:
                owner = by_name[point.shared_with].shared_with
                raise PlanError(
                    f"plan: {point.tensor!r} shares with {point.shared_with!r}, which shares with {owner!r}; "
                    "name the owner itself"
                )

    @property
    def by_tensor(self) -> Mapping[str, Point]:
        """The points by the name of their tensor."""
        return {point.tensor: point for point in self.points}

    def of_role(self, role: Role) -> tuple[Point, ...]:
        """The points of one role, in graph order."""
        return tuple(point for point in self.points if point.role == role)

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the activations whose statistics are needed, in graph order, members of shared groups included."""
        return tuple(p.tensor for p in self.points if p.role == "activation" and p.fixed_range is None)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The tensors of each shared encoding by the name of its owner; groups of one are left out."""
        members: dict[str, list[str]] = {}
        for point in self.points:
            if point.shared_with:
                members.setdefault(point.shared_with, [point.shared_with]).append(point.tensor)
        return {owner: tuple(names) for owner, names in members.items()}

    def __str__(self) -> str:
        lines = [f"target {self.target}: {len(self.points)} points, {len(self.skips)} skips"]
        lines += [f"  {point}" for point in self.points]
        lines += [f"  float {skip}" for skip in self.skips]
        lines += [f"  integer node {name}" for name in self.integer_nodes]
        lines += [f"  float node {name}: {reason}" for name, reason in self.float_nodes]
        lines += [f"  fence before the rounding of {name}" for name in self.fences]
        lines += [f"  weight {name} stays float before its QuantizeLinear" for name in self.unbaked]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        points = [
            (point.tensor, point.role, str(point.scheme), *map(_joined, (point.readers, point.conditions)))
            for point in self.points
        ]
        skips = [(skip.tensor, skip.reason) for skip in self.skips]
        return fragment(
            f"Plan for {self.target}: {len(self.integer_nodes)} nodes in integers, {len(points)} tensors quantized",
            folded("What is quantized", small_table(("tensor", "role", "scheme", "read by", "held to"), points)),
            folded("Which nodes stay float, and why", small_table(("node", "reason"), self.float_nodes)),
            folded("Which tensors stay float, and why", small_table(("tensor", "reason"), skips)),
        )

    def to_json(self) -> str:
        """Return the plan as JSON text that `from_json` reads back to an equal plan."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan that `to_json` wrote.

        Raises:
            PlanError: the text is not JSON, or not that of a plan.
        """
        try:
            data = json.loads(text)
            return cls(
                target=data["target"],
                points=tuple(_point_from_json(item) for item in data["points"]),
                skips=tuple(
                    Skip(_name(item["tensor"]), item["reason"], _readers_from_json(item["readers"]))
                    for item in data["skips"]
                ),
                integer_nodes=tuple(data["integer_nodes"]),
                float_nodes=tuple((name, reason) for name, reason in data["float_nodes"]),
                fences=tuple(data["fences"]),
                unbaked=tuple(data["unbaked"]),
            )
        except (ValueError, LookupError, TypeError) as error:
            raise PlanError(f"plan: this is not a saved plan ({error}); make it anew with `quantlab ptq`") from error


def _joined(things: Iterable[object]) -> str:
    return ", ".join(map(str, things)) or "-"


def _readers_from_json(items: Iterable[Mapping[str, Any]]) -> tuple[Reader, ...]:
    return tuple(Reader(item["node"], item["index"]) for item in items)


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name of a tensor")
    return value


def _point_from_json(item: Mapping[str, Any]) -> Point:
    derived, fixed, limits, floor = (item[key] for key in ("derived_from", "fixed_range", "limits", "scale_floor"))
    return Point(
        tensor=_name(item["tensor"]),
        scheme=Scheme(**item["scheme"]),
        role=item["role"],
        readers=_readers_from_json(item["readers"]),
        is_output=item["is_output"],
        shared_with=item["shared_with"],
        derived_from=None if derived is None else (derived[0], derived[1]),
        fixed_range=None if fixed is None else (fixed[0], fixed[1]),
        limits=(limits[0], limits[1]),
        scale_floor=None if floor is None else (floor[0], floor[1]),
    )
