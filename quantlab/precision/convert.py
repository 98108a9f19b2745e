"""Float32 model, with or without Q/DQ pairs → the same model with float16 wherever numbers allow.

    x ─▶ node ─▶ y                 becomes   x ─Cast─▶ node ─▶ y                        float16 from the cast on
    y ─Q─▶ ─DQ─▶ node              becomes   y ─Cast─▶ Q ─▶ DQ ─Cast─▶ node             scales stay float32
    integers ─DQ─▶ node            becomes   integers ─DQ─Cast─▶ node

Inputs and outputs keep their types. Strong typing refuses a node whose inputs differ in type, and scales in float16
would be rounded (and are no valid ONNX below opset 19), so Q/DQ nodes stay float32 between casts; TensorRT-RTX 1.7
makes the same layers of this form as of `output_dtype`, which needs opset 23.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.infer_shapes import infer_shapes
from quantlab.graph.passes.lift_constants import lift_constants
from quantlab.graph.passes.name_everything import name_everything
from quantlab.graph.passes.queries import constant
from quantlab.graph.passes.remove_unused import remove_unused
from quantlab.precision.casting import Casting
from quantlab.precision.choose import LARGEST, is_mask, reasons_for_float

# Inputs that are float32 whatever the node computes in: roi and scales of Resize.
_ALWAYS_FLOAT: Mapping[str, tuple[int, ...]] = {"Resize": (1, 2)}
_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def to_half(model: Model, *, magnitudes: Mapping[str, float] | None = None) -> Model:
    """Return the model in half precision; a note says which nodes stay float32 and why.

    Args:
        model: float32, with or without Q/DQ pairs; it is not changed.
        magnitudes: the largest magnitude seen of tensors, by name, so that none overflows.
    """
    clone = model.clone()
    for run_pass in (lift_constants, name_everything, infer_shapes):
        run_pass(clone.ir_model)
    reasons = reasons_for_float(clone, magnitudes)
    _Converter(clone, frozenset(reasons)).convert()
    remove_unused(clone.ir_model)
    return Model(clone.ir_model, model.path, (*model.notes, *_notes(clone, reasons)))


def _notes(model: Model, reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence per reason; Q/DQ pairs and casts are float32 by their nature."""
    nodes = model.nodes_by_name()
    told: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if name in nodes and nodes[name].op_type not in ("QuantizeLinear", "DequantizeLinear", "Cast"):
            told.setdefault(reason, []).append(name)
    return tuple(
        f"half precision: {names[0]}{f' and {len(names) - 1} more stay' if names[1:] else ' stays'} float32. {reason}"
        for reason, names in told.items()
    )


class _Converter:
    """Gives the nodes that may run in half precision half-precision inputs and outputs, in a model it owns."""

    def __init__(self, model: Model, floats: frozenset[str]) -> None:
        self._casting = Casting(model)
        self._half_nodes = [node for node in model.graph if node.name not in floats]
        self._is_half = set(self._half_nodes)
        self._halves: dict[tuple[ir.Value, bool], ir.Value] = {}

    def convert(self) -> None:
        # First what nodes read, while every type still says what was; then what they write.
        for node in self._half_nodes:
            self._narrow_inputs(node)
        for node in self._half_nodes:
            for value in node.outputs:
                if value.dtype == _FLOAT:
                    self._narrow_output(value)

    def _narrow_inputs(self, node: ir.Node) -> None:
        for index, value in enumerate(node.inputs):
            is_float = value is not None and value.dtype == _FLOAT
            if value is not None and is_float and self._reads_half(node, index) and not self._comes_half(value):
                node.replace_input_with(index, self._half_of(value, node))

    def _comes_half(self, value: ir.Value) -> bool:
        return value.producer() in self._is_half

    def _half_of(self, value: ir.Value, node: ir.Node) -> ir.Value:
        """Return a value in half precision: a constant of its own, or what a cast leaves."""
        array = constant(value)
        clipped = array is not None and is_mask(node, array)
        if (value, clipped) not in self._halves:
            if array is None:
                half = self._casting.cast(value, _HALF, "_half")
            else:
                numbers = np.maximum(array, -LARGEST) if clipped else array
                half = self._casting.constant(f"{value.name}_half", numbers.astype(np.float16))
            self._halves[value, clipped] = half
        return self._halves[value, clipped]

    def _narrow_output(self, value: ir.Value) -> None:
        """Make an output half precision; who must read float32, graph outputs included, reads it behind a cast."""
        others = [use for use in value.uses() if not self._reads_half(use.node, use.idx)]
        if others or value.is_graph_output():
            wide = self._casting.cast(value, _FLOAT, "_float")
            for node, index in others:
                node.replace_input_with(index, wide)
            self._casting.hand_over_outputs(value, wide, "_half")
        value.type = ir.TensorType(_HALF)

    def _reads_half(self, node: ir.Node, index: int) -> bool:
        return node in self._is_half and index not in _ALWAYS_FLOAT.get(node.op_type, ())
