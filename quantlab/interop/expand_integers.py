"""Operators on integers → their float operators between Q/DQ nodes, which mean the same.

    y = QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)   becomes   y = Q(Conv(DQ(x), DQ(w), DQ(b)))

The bias has the scale sx · sw. Covered are the operators that ONNX Runtime's quantizer writes in QOperator format.
Operators that find their scales at run time are not: there is nothing to take over from them.

Sources: ONNX operators QLinearConv 10 and QLinearMatMul 21; ONNX Runtime's docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.queries import new_initializer, unique_name
from quantlab.interop.sites import known_constant
from quantlab.targets.graph_queries import attribute_int, input_at, shape_of


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where an operator has its inputs; each operand is followed by its scale and zero point.

    Attributes:
        op_type: the float operator.
        operands: indices of the integers.
        output: the index of the output's scale, or -1 where the output is float.
        bias: the index of an int32 bias, or None.
    """

    op_type: str
    operands: tuple[int, ...]
    output: int
    bias: int | None = None


_LAYOUTS = {
    "QLinearConv": _Layout("Conv", (0, 3), 6, bias=8),
    "QLinearMatMul": _Layout("MatMul", (0, 3), 6),
    "QGemm": _Layout("Gemm", (0, 3), 7, bias=6),
    "QLinearAdd": _Layout("Add", (0, 3), 6),
    "QLinearMul": _Layout("Mul", (0, 3), 6),
    "QLinearSigmoid": _Layout("Sigmoid", (0,), 3),
    "QLinearLeakyRelu": _Layout("LeakyRelu", (0,), 3),
    "QLinearSoftmax": _Layout("Softmax", (0,), 3),
    "QLinearAveragePool": _Layout("AveragePool", (0,), 3),
    "QLinearGlobalAveragePool": _Layout("GlobalAveragePool", (0,), 3),
    "QLinearConcat": _Layout("Concat", (), 0),
}
# Attributes that only the integer form has.
_OWN_ATTRIBUTES = ("channels_last", "opset")


def expand_integers(model: Model) -> Model:
    """Return a clone in which the operators that are covered stand between Q/DQ nodes; others stay.

    Args:
        model: its nodes and values are named.
    """
    clone = model.clone()
    for node in list(clone.graph):
        layout = _LAYOUTS.get(node.op_type)
        if layout is not None and not attribute_int(node, "channels_last", 0):
            _Expansion(clone.graph, node).replace(layout)
    return clone


class _Expansion:
    """One operator on integers and what takes its place."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self._graph = graph
        self._node = node
        self._new: list[ir.Node] = []

    def replace(self, layout: _Layout) -> None:
        node = self._node
        operands = layout.operands or tuple(range(2, len(node.inputs), 3))
        inputs = [self._dequantized(index) for index in operands]
        bias = None if layout.bias is None else input_at(node, layout.bias)
        if bias is not None:
            inputs.append(self._dequantized_bias(bias))
        attributes = [a for name, a in node.attributes.items() if name not in _OWN_ATTRIBUTES]
        old = node.outputs[0]
        output = ir.val(unique_name(self._graph, f"{old.name}_float"), ir.DataType.FLOAT, old.shape)
        self._new.append(ir.Node("", layout.op_type, inputs, attributes, outputs=[output], name=node.name))
        scale = input_at(node, layout.output)
        result = output if scale is None else self._quantized(output, scale, input_at(node, layout.output + 1))
        name, result.type = old.name, result.type or old.type
        ir.convenience.replace_all_uses_with(old, result, replace_graph_outputs=True)
        self._graph.insert_before(node, self._new)
        self._graph.remove(node, safe=True)
        result.name = name

    def _dequantized(self, index: int) -> ir.Value:
        integers = self._node.inputs[index]
        assert integers is not None, "an operand is never left out"
        parameters = [input_at(self._node, index + 1), input_at(self._node, index + 2)]
        scale = known_constant(parameters[0])
        is_per_channel = scale is not None and scale.size > 1
        return self._pair_node("DequantizeLinear", [integers, *parameters], self._axis() if is_per_channel else None)

    def _dequantized_bias(self, bias: ir.Value) -> ir.Value:
        first, second = known_constant(self._node.inputs[1]), known_constant(self._node.inputs[4])
        if first is None or second is None:
            return bias
        scale = new_initializer(self._graph, f"{bias.name}_scale", (first * second).astype(np.float32))
        return self._pair_node("DequantizeLinear", [bias, scale], 0 if second.size > 1 else None)

    def _quantized(self, value: ir.Value, scale: ir.Value, zero_point: ir.Value | None) -> ir.Value:
        return self._pair_node("QuantizeLinear", [value, scale, zero_point], None)

    def _pair_node(self, op_type: str, inputs: list[ir.Value | None], axis: int | None) -> ir.Value:
        source = inputs[0]
        assert source is not None
        suffix = "dequantized" if op_type == "DequantizeLinear" else "quantized"
        name = unique_name(self._graph, f"{source.name}_{suffix}_for_{self._node.name}")
        if op_type == "DequantizeLinear":
            kind: ir.DataType | None = ir.DataType.FLOAT
        else:
            kind = ir.DataType.UINT8 if inputs[2] is None else inputs[2].dtype
        output = ir.val(name, kind, source.shape)
        attributes = {} if axis is None else {"axis": axis}
        self._new.append(ir.node(op_type, inputs, attributes, outputs=[output], name=f"{op_type}_{name}"))
        return output

    def _axis(self) -> int:
        """Return the axis of the output channels of the weight, which is the second operand."""
        if self._node.op_type == "QLinearConv":
            return 0
        if self._node.op_type == "QGemm":
            return 0 if attribute_int(self._node, "transB", 0) else 1
        return len(shape_of(self._node.inputs[3]) or (0, 0)) - 1
