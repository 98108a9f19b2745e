"""What a model is made of, and what targets would quantize in it, without any data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quantlab.affine import Encodings
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.quantized import is_quantized
from quantlab.opening import open_model
from quantlab.plan import Plan
from quantlab.qdq import read
from quantlab.targets import target_named


@dataclass(frozen=True, eq=False, slots=True)
class Inspection:
    """What there is to see.

    Attributes:
        model: as it was given, or prepared if plans were asked for.
        operators: how often each operator occurs, most frequent first.
        plans: by target; for a quantized model the one it holds, under `as it is`.
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
            "weight_bytes": self.model.size_bytes,
            "inputs": [str(spec) for spec in self.model.inputs],
            "outputs": list(self.model.outputs),
            "operators": dict(self.operators),
            "notes": list(self.model.notes),
            "plans": {name: json.loads(plan.to_json()) for name, plan in self.plans.items()},
            "encodings": {name: str(encoding) for name, encoding in self.encodings.items()},
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.operators.items())
        lines = [str(self.model), f"  operators: {counts}"]
        lines += [f"  note: {note}" for note in self.model.notes]
        lines += [str(plan) for plan in self.plans.values()]
        lines += [f"  {name}: {encoding}" for name, encoding in self.encodings.items()]
        return "\n".join(lines)


def inspect_model(model: object, *, targets: Sequence[str] = (), keep_float: Sequence[str] = ()) -> Inspection:
    """Look at a model.

    Args:
        model: as `open_model` takes it.
        targets: whose plans to make; a quantized model has its own plan and gets no other.
        keep_float: what `quantlab ptq --keep-float` takes.

    Raises:
        ModelError: the model cannot be read or prepared.
        PlanError: `keep_float` names nothing in the model.
    """
    opened = open_model(model)
    if is_quantized(opened):
        plan, encodings = read(opened)
        return Inspection(opened, _operators(opened), {"as it is": plan}, encodings)
    shown = prepare(opened) if targets else opened
    plans = {name: target_named(name).place(shown, keep_float=keep_float) for name in targets}
    return Inspection(shown, _operators(shown), plans, {})


def _operators(model: Model) -> dict[str, int]:
    names = (f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in model.graph)
    return dict(Counter(names).most_common())
