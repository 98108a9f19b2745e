"""What a model is made of, and what targets would quantize in it, without any data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quantlab.affine import Encoding, Encodings
from quantlab.errors import ModelError
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.quantized import is_quantized
from quantlab.opening import check_torch_settings, open_model
from quantlab.plan import Plan
from quantlab.qdq import read
from quantlab.targets import target_named
from quantlab.torchmodels import TorchSettings

AS_IT_IS = "as it is"
"""What the plan of a model that is quantized already is called."""


@dataclass(frozen=True, eq=False, slots=True)
class Inspection:
    """What there is to see.

    Attributes:
        model: as it was given, or prepared if plans were asked for.
        operators: how often each operator occurs, most frequent first.
        plans: by target; for a quantized model the one it holds, under `AS_IT_IS`.
        encodings: of a quantized model, by tensor.
    """

    model: Model
    operators: Mapping[str, int]
    plans: Mapping[str, Plan]
    encodings: Encodings

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.model.name,
            "opset": self.model.opset,
            "nodes": len(self.model.graph),
            "weight_bytes": self.model.size_bytes,
            "inputs": [str(spec) for spec in self.model.inputs],
            "outputs": list(self.model.outputs),
            "operators": dict(self.operators),
            "notes": list(self.model.notes),
            "plans": {name: json.loads(plan.to_json()) for name, plan in self.plans.items()},
            "encodings": {name: _plain(encoding) for name, encoding in self.encodings.items()},
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.operators.items())
        lines = [str(self.model), f"  operators: {counts}"]
        lines += [f"  note: {note}" for note in self.model.notes]
        for name, plan in self.plans.items():
            lines += ["", *_plan_lines(name, plan, self.encodings)]
        return "\n".join(lines)


def inspect_model(
    model: object,
    *,
    targets: Sequence[str] = (),
    keep_float: Sequence[str] = (),
    torch: TorchSettings | None = None,
) -> Inspection:
    """Look at a model.

    Args:
        model: as `open_model` takes it.
        targets: whose plans to make; a quantized model has its own plan and gets no other.
        keep_float: what `quantlab ptq --keep-float` takes.
        torch: how a torch model is filled with weights and exported.

    Raises:
        ModelError: the model cannot be read or prepared.
        PlanError: `keep_float` names nothing in the model.
        RecipeError: a target is unknown.
    """
    wanted = {name: target_named(name) for name in targets}
    check_torch_settings([model], torch or TorchSettings())
    opened = open_model(model, torch)
    if is_quantized(opened):
        return _inspect_quantized(opened)
    shown = prepare(opened) if targets else opened
    plans = {name: target.place(shown, keep_float=keep_float) for name, target in wanted.items()}
    return Inspection(shown, _operators(shown), plans, {})


def _inspect_quantized(model: Model) -> Inspection:
    try:
        plan, encodings = read(model)
    except ModelError as error:
        noted = Model(model.ir_model, model.path, (*model.notes, f"what it quantizes cannot be shown: {error}"))
        return Inspection(noted, _operators(model), {}, {})
    return Inspection(model, _operators(model), {AS_IT_IS: plan}, encodings)


def _operators(model: Model) -> dict[str, int]:
    names = (f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in model.graph)
    return dict(Counter(names).most_common())


def _plan_lines(name: str, plan: Plan, encodings: Encodings) -> Iterator[str]:
    """Return a plan in sections, each led by how much it holds."""
    title = f"Quantized already, for {plan.target}" if name == AS_IT_IS else f"Target {name}"
    counts = f"{len(plan.integer_nodes)} nodes in integers, {len(plan.float_nodes)} kept float; "
    yield f"{title}: {'' if name == AS_IT_IS else counts}{len(plan.points)} tensors quantized"
    if plan.integer_nodes:
        yield f"  Nodes in integers: {', '.join(plan.integer_nodes)}"
    yield from _section("Nodes kept float, and why", [f"{node}: {reason}" for node, reason in plan.float_nodes])
    yield from _section("Tensors quantized", [f"{point}{_told(encodings, point.tensor)}" for point in plan.points])
    yield from _section("Tensors left float, and why", list(map(str, plan.skips)))
    if plan.fences:
        yield f"  Not to be fused with the node before: {', '.join(plan.fences)}"


def _section(title: str, items: Sequence[str]) -> list[str]:
    return [f"  {title}:", *(f"    {item}" for item in items)] if items else []


def _told(encodings: Encodings, tensor: str) -> str:
    """Return scale and zero point of a tensor for the end of its line; its scheme stands there already."""
    return f", {str(encodings[tensor]).rpartition(' (')[0]}" if tensor in encodings else ""


def _plain(encoding: Encoding) -> dict[str, Any]:
    return {
        "dtype": str(encoding.scheme.dtype),
        "axis": encoding.scheme.axis,
        "scale": encoding.scale.tolist(),
        "zero_point": encoding.zero_point.tolist(),
    }
