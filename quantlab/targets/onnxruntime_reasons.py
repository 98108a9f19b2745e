"""Says of every float tensor and every float node of a known kind why it stays float."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.targets import onnxruntime_kernels as kernels
from quantlab.targets.draft import Draft
from quantlab.targets.onnxruntime_constants import bias_add_of
from quantlab.targets.onnxruntime_decisions import Decisions


def explain(model: Model, draft: Draft, decisions: Decisions) -> None:
    """Add a skip for every float tensor without a point, and a reason for every float node that has a kernel."""
    bias_adds = _bias_adds(model, decisions)
    for fed in model.graph.inputs:
        name = fed.name or ""
        if name not in draft and name not in model.graph.initializers and _is_float(fed):
            draft.skip(name, "No integer node reads it.")
    for node in model.graph:
        reason = _reason(node, decisions, bias_adds)
        if reason is not None and (kernels.kind_of(node) is not None or node.op_type == "ConvTranspose"):
            draft.leave_float(node.name or "", reason)
        for value in node.outputs:
            if value.name and value.name not in draft and _is_float(value):
                draft.skip(value.name, reason or _why_unrounded(node, draft, decisions))


def _bias_adds(model: Model, decisions: Decisions) -> set[ir.Node]:
    """The Adds that carry the bias of an integer MatMul."""
    adds = (bias_add_of(node) for node in model.graph if node.op_type == "MatMul" and decisions.is_integer(node))
    return {add for add in adds if add is not None}


def _reason(node: ir.Node, decisions: Decisions, bias_adds: set[ir.Node]) -> str | None:
    """Why a node is float, or None if it is not."""
    if node in bias_adds:
        return "It adds the bias of the product before it, which leaves float."
    return decisions.reasons.get(node)


def _why_unrounded(node: ir.Node, draft: Draft, decisions: Decisions) -> str:
    """Why an integer node leaves a tensor without a point."""
    activation = decisions.activation_of(node)
    if activation is not None and (activation.outputs[0].name or "") in draft:
        return f"{node.op_type} and {activation.op_type} run as one node, which rounds once."
    return f"Only float nodes read it, and an integer {node.op_type} can leave float."


def _is_float(value: ir.Value) -> bool:
    return value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16, None)
