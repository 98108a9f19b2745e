"""Puts a node that changes nothing between a float node and the QuantizeLinear behind it.

A runtime merges DequantizeLinear → operator → QuantizeLinear into an integer kernel whether the plan wants that or not.
A Sum of one input is the identity, no runtime met so far removes or merges it, and it costs one copy of the tensor:

    y = AveragePool(...) ─Q─▶          becomes          y_unfenced = AveragePool(...) ─Sum─▶ y ─Q─▶
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan

_SUFFIX = "_unfenced"


def fence(model: Model, plan: Plan) -> None:
    """Put a one-input Sum behind the producer of every tensor in `plan.fences`, unless there is one already.

    The tensor keeps its name; what the producer leaves is called `<name>_unfenced`.

    Args:
        model: a Q/DQ model; it is changed.
        plan: the plan it was made with.

    Raises:
        PlanError: the plan fences a tensor that no node of the model makes.
    """
    values = model.values_by_name()
    for name in plan.fences:
        value = values.get(name)
        producer = None if value is None else value.producer()
        if value is None or producer is None:
            raise PlanError(f"plan: no node makes {name!r}, which it fences; make the plan from this very model")
        if producer.op_type == "Sum" and len(producer.inputs) == 1:
            continue
        fenced = ir.val(f"{name}{_SUFFIX}", value.dtype, value.shape)
        node = ir.node("Sum", [value], outputs=[fenced], name=f"{name}_fence")
        value.replace_all_uses_with(fenced)
        node.replace_input_with(0, value)
        value.name, fenced.name = fenced.name, name
        model.graph.insert_after(producer, node)
