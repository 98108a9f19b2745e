"""Half-precision model → one whose nodes compute in float32 and whose results are rounded to float16.

    node ─▶ y (float16)     becomes     node ─▶ ─Cast float16─▶ ─Cast float32─▶ y

That is what a GPU does, which multiplies halves and adds up in float32. ONNX Runtime on a CPU, given the half-precision
model itself, casts around every node it has no kernel for, drops the casts between two such nodes, and so neither
rounds nor overflows between them: what it computes looks better than half precision is.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.remove_unused import remove_unused
from quantlab.precision.casting import Casting

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
# Nodes that take either type as it comes: they stay as they are.
_ANY_TYPE = frozenset({"Cast", "QuantizeLinear", "DequantizeLinear"})
# What the type of their results follows stands in an attribute or a scale.
_TYPED_APART = _ANY_TYPE | {"Constant", "ConstantOfShape", "EyeLike"}


def with_float_arithmetic(model: Model) -> Model:
    """Return a model that computes what a half-precision one does on hardware that adds up in float32.

    Args:
        model: with float16 values whose types are known, as `to_half` makes them; it is not changed.
    """
    clone = model.clone()
    casting = Casting(clone)
    for value in list(clone.graph.initializers.values()):
        if value.dtype == _HALF and value.const_value is not None:
            widened = casting.constant(f"{value.name}_float", value.const_value.numpy().astype(np.float32))
            _redirect(value, widened)
    for value in list(clone.graph.inputs):
        if value.dtype == _HALF:
            _redirect(value, casting.cast(value, _FLOAT, "_float"))
    for node in list(clone.graph):
        for value in node.outputs:
            if value.dtype == _HALF:
                _round(casting, node, value)
    remove_unused(clone.ir_model)
    return clone


def _round(casting: Casting, node: ir.Node, value: ir.Value) -> None:
    uses = list(value.uses())
    half = value
    if node.op_type not in _TYPED_APART:
        value.type = ir.TensorType(_FLOAT)
        half = casting.cast(value, _HALF, "_rounded")
        casting.hand_over_outputs(value, half, "_exact")
    wide = casting.cast(half, _FLOAT, "_float")
    for reader, index in uses:
        reader.replace_input_with(index, half if reader.op_type in _ANY_TYPE else wide)


def _redirect(value: ir.Value, wide: ir.Value) -> None:
    for reader, index in list(value.uses()):
        if reader is not wide.producer() and reader.op_type not in _ANY_TYPE:
            reader.replace_input_with(index, wide)
