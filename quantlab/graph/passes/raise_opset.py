"""Raise models below opset 13 to it: per-channel QuantizeLinear and DequantizeLinear start there.

13 and not more: every step of the converter is a chance to fail or to change a meaning, and ONNX Runtime and TensorRT
take all opsets from 13 on.

Source: ONNX operator changelog, Resize versions 10 and 11, and Upsample version 9.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.errors import ModelError
from quantlab.graph.load import converted
from quantlab.graph.passes.queries import is_op, is_read, label

OPSET = 13
# The first IR version that may hold opset 13.
_IR_VERSION = 7


def raise_opset(model: ir.Model) -> tuple[str, ...]:
    """Convert a model below opset 13; a later one stays as it is.

    Raises:
        ModelError: an operator cannot be converted.
    """
    # A model that uses other domains only names no version of this one.
    before = model.opset_imports.setdefault("", OPSET)
    if before >= OPSET:
        return ()
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        _refuse_what_changes_meaning(node, before)
    model.graph = converted(model, OPSET)
    model.ir_version = max(model.ir_version or 0, _IR_VERSION)
    if before < 11:
        _keep_old_resize(model.graph)
    return (f"opset {before} was raised to {OPSET}, the first with per-channel quantization",)


def _refuse_what_changes_meaning(node: ir.Node, opset: int) -> None:
    """Refuse the operators that the converter takes over although they mean something else afterwards."""
    reason = None
    if is_op(node, "Hardmax"):
        # The converter knows this change of Softmax only.
        reason = "below 13 its axis stands for all axes from there on"
    elif is_op(node, "Scan") and opset < 9:
        reason = "below 9 its inputs have a batch axis"
    elif is_op(node, "Dropout") and opset < 12 and len(node.outputs) > 1 and is_read(node.outputs[1]):
        reason = "its mask is used, and below 12 it was left open what that holds"
    if reason:
        raise ModelError(
            f"opset {opset} cannot be raised to {OPSET}: {label(node)} ({reason}); "
            f"export the model again with opset {OPSET} or later"
        )


def _keep_old_resize(graph: ir.Graph) -> None:
    """Write out what Resize meant before opset 11; the converter leaves it to the new defaults, which differ."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        if not is_op(node, "Resize"):
            continue
        node.attributes["coordinate_transformation_mode"] = ir.AttrString(
            "coordinate_transformation_mode", "asymmetric"
        )
        if node.attributes.get_string("mode", "nearest") == "nearest":
            node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", _old_rounding(node))


def _old_rounding(node: ir.Node) -> str:
    scales = node.inputs[2] if len(node.inputs) > 2 else None
    tensor = ir.convenience.get_const_tensor(scales) if scales is not None else None
    if tensor is None:
        raise ModelError(
            f"{label(node)}: its scales are computed, and below opset 11 they decide the "
            "rounding; export the model again with opset 13 or later"
        )
    factors = np.asarray(tensor.numpy())
    if (factors >= 1).all():
        return "floor"
    if (factors <= 1).all():
        return "ceil"
    raise ModelError(
        f"{label(node)}: it enlarges one axis and shrinks another, which opset "
        f"{OPSET} rounds differently; export the model again with opset 13 or later"
    )
