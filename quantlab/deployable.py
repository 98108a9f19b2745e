"""What a user names → the models that a runtime is to run, and each in the precision asked for.

    fp32         the float model as it is                       fp16         the float model in half precision
    int8         the Q/DQ model as it is: the rest is float32   int8+fp16    the Q/DQ model with halves around the pairs

Strong typing runs every layer in the types that stand in the model, so a precision is a model of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import onnx_ir as ir

from quantlab.audit import plan_of
from quantlab.errors import QuantlabError, RecipeError, RunError
from quantlab.graph.model import Model
from quantlab.graph.quantized import is_quantized
from quantlab.interop.requantize import place_anew
from quantlab.opening import open_model
from quantlab.plan import Plan
from quantlab.precision import to_half
from quantlab.run_folder import int8_name
from quantlab.torchmodels import TorchSettings, torch_name

Precision = Literal["fp32", "fp16", "int8", "int8+fp16"]
"""What the layers of an engine compute in."""


@dataclass(frozen=True, eq=False, slots=True)
class Deployable:
    """A model that a runtime is to run.

    Attributes:
        model: float or INT8.
        plan: what it was quantized by; None for a float model.
        precision: the one that was asked for, or None.
    """

    model: Model
    plan: Plan | None
    precision: Precision | None = None

    @property
    def target(self) -> str:
        """The runtime it was made for; `unknown` for the models of other tools."""
        return "unknown" if self.plan is None else self.plan.target


def in_precision(
    source: object, precision: Precision | None = None, *, torch: TorchSettings | None = None
) -> Deployable:
    """Return the model for TensorRT that a source holds, in a precision.

    Args:
        source: a float or Q/DQ model, or the folder of a run, which holds both.
        precision: see above; None for the model as it is, of a run the INT8 one.
        torch: how a torch model is filled with weights and exported.

    Raises:
        ModelError, RunError, PlanError: as `deployables`.
        RecipeError: the precision is unknown, or the source has no model for it.
    """
    if precision is None:
        return deployables(source, target="tensorrt", torch=torch)[0]
    if precision not in get_args(Precision):
        raise RecipeError(f"precision {precision!r} is unknown; choose one of {', '.join(get_args(Precision))}")
    wants_integers = precision.startswith("int8")
    if isinstance(source, str | Path) and Path(source).is_dir() and not wants_integers:
        deployables(source)  # says whether this is a run at all
        source = Path(source) / "model.fp32.onnx"
    found = deployables(source, target="tensorrt", torch=torch)[0]
    _check(found, precision)
    model = to_half(found.model) if precision.endswith("fp16") else found.model
    return Deployable(model, found.plan, precision)


def _check(found: Deployable, precision: Precision) -> None:
    name = found.model.name
    if precision.startswith("int8") and found.plan is None:
        raise RecipeError(
            f"precision {precision}: {name} is a float model; quantize it with `quantlab ptq --target tensorrt` first"
        )
    if not precision.startswith("int8") and found.plan is not None:
        raise RecipeError(
            f"precision {precision}: {name} has Q/DQ pairs; give the float model that it was made of, or the folder "
            "of its run"
        )
    halves = [value.name for value in found.model.graph.initializers.values() if value.dtype == ir.DataType.FLOAT16]
    if halves and not precision.endswith("fp16"):
        raise RecipeError(f"precision {precision}: {name} is in half precision ({halves[0]}); give its float32 model")


def deployables(
    source: object, *, target: str | None = None, torch: TorchSettings | None = None
) -> tuple[Deployable, ...]:
    """Return the models that a source holds.

    Args:
        source: a model, or the folder of a run.
        target: of a run, only the model made for this one; of a model, whose rules say why a node is float.
        torch: how a torch model is filled with weights and exported.

    Raises:
        ModelError: the model cannot be opened.
        RunError: the folder is no run, or it has no model for the target.
        PlanError: the run's plan cannot be read.
    """
    if isinstance(source, str | Path) and _looks_like_a_folder(source):
        raise RunError(f"{source}: there is no such folder; give a model, or the folder of a run")
    if not isinstance(source, str | Path) or not Path(source).is_dir():
        model = open_model(source, torch)
        return (Deployable(model, _read_plan(model, target) if is_quantized(model) else None),)
    folder = Path(source)
    try:
        plans = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{folder}: this is no run (plan.json: {reason}); give a folder that quantlab wrote") from error
    wanted = [name for name in plans if target in (None, name)]
    if not wanted:
        raise RunError(f"{folder}: this run has no model for {target}, only for {', '.join(plans)}")
    return tuple(
        Deployable(open_model(folder / int8_name(name)), Plan.from_json(json.dumps(plans[name]))) for name in wanted
    )


def _looks_like_a_folder(source: str | Path) -> bool:
    """Whether a name that nothing has can only have been meant as that of a run's folder."""
    path = Path(source)
    return len(path.parts) > 1 and not path.suffix and not path.exists() and torch_name(str(source)) is None


def _read_plan(model: Model, target: str | None) -> Plan:
    """Return the plan that stands in a Q/DQ model, with what the target's rules say of the nodes left float."""
    plan = plan_of(model)
    target = target or ("onnxruntime" if plan.target == "unknown" else plan.target)
    try:
        placed = place_anew(model, target)
    except QuantlabError:
        return plan  # the graph is beyond the rules; what stands in it is known all the same
    rules = dict(placed.float_nodes)
    could = dict.fromkeys(placed.integer_nodes, f"The target {target} would run it in integers.")
    explained = (
        (node, f"{reason} {rules.get(node) or could.get(node, '')}".strip()) for node, reason in plan.float_nodes
    )
    return replace(plan, float_nodes=tuple(explained))
