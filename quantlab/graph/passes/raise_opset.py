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
from quantlab.graph.passes.queries import is_read, label

OPSET = 13
# The first IR version that may hold opset 13.
_IR_VERSION = 7


def raise_opset(model: ir.Model) -> tuple[str, ...]:
    """Convert a model below opset 13; a later one stays as it is.

    Raises:
        ModelError: an operator cannot be converted.
    """
    before = model.opset_imports.get("", 1)
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
    # Before 13, axis k stood for all axes from k on; the converter knows that of Softmax only.
    is_hardmax = node.op_type == "Hardmax"
    # Before 12, what the mask holds outside training was not said.
    has_mask = opset < 12 and node.op_type == "Dropout" and len(node.outputs) > 1 and is_read(node.outputs[1])
    if not node.domain and (is_hardmax or has_mask):
        what = "its meaning changed" if is_hardmax else "its mask is used, and what it holds changed"
        raise ModelError(
            f"opset {opset} cannot be raised to {OPSET}: {label(node)} ({what}); "
            f"export the model again with opset {OPSET} or later"
        )


def _keep_old_resize(graph: ir.Graph) -> None:
    """Write out what Resize meant before opset 11; the converter leaves it to the new defaults, which differ."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        if node.op_type != "Resize" or node.domain:
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
