"""Model + plan + encodings → the same model with a QuantizeLinear/DequantizeLinear pair at every point.

    activation x:    x ─Q─▶ x_quantized ─DQ─▶ x_dequantized ─▶ the point's readers (all others keep x)
    weight W:        W ─Q─▶ W_quantized ─DQ─▶ W_dequantized ─▶ the point's readers
    graph output y:  y_float ─Q─▶ y_quantized ─DQ─▶ y, when the point is an output: the name users know stays
    bias:            stays float here, so that it can be trained; `bake` turns it into int32

Scale and zero point are initializers, `<owner>_scale` and `<owner>_zero_point`, of rank 0 per tensor: TensorRT
runs a convolution in float, silently, when the scale has rank 1. Points that share an encoding share the two
initializers, so that it is one parameter to train and one thing to read back.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.affine import Encoding, Encodings
from quantlab.data.batch import Array
from quantlab.errors import ModelError, PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader

TARGET_KEY = "quantlab.target"
"""Where a Q/DQ model says, in its metadata, for which target it was made."""


def insert(model: Model, plan: Plan, encodings: Encodings) -> Model:
    """Return a clone of a prepared model with Q/DQ pairs at the plan's activations and weights.

    Args:
        model: the prepared model the plan was made from; it is not changed.
        plan: where to quantize.
        encodings: one per activation and weight of the plan, by tensor name.

    Raises:
        PlanError: the plan names a tensor, node or reader the model does not have, or an encoding is missing.
        ModelError: the opset is below 13, which has no per-channel DequantizeLinear.
    """
    if model.opset < 13:
        raise ModelError(f"{model.name}: opset {model.opset} has no per-channel Q/DQ; prepare the model first")
    clone = model.clone()
    inserter = _Inserter(clone, encodings)
    for point in plan.points:
        if point.role != "bias":
            inserter.add(point)
    clone.ir_model.metadata_props[TARGET_KEY] = plan.target
    return clone


class _Inserter:
    """Adds one Q/DQ pair after another to a model it owns."""

    def __init__(self, model: Model, encodings: Encodings) -> None:
        self._graph = model.graph
        self._values = model.values_by_name()
        self._nodes = model.nodes_by_name()
        self._encodings = encodings
        self._parameters: dict[str, tuple[ir.Value, ir.Value]] = {}

    def add(self, point: Point) -> None:
        source = self._values.get(point.tensor)
        if source is None:
            raise PlanError(f"plan: the model has no tensor {point.tensor!r}; make the plan from this very model")
        quantize, dequantize = self._pair(point, source)
        producer = source.producer()
        if producer is not None:
            self._graph.insert_after(producer, [quantize, dequantize])
        else:
            self._graph.insert_before(self._graph[0], [quantize, dequantize])
        for reader in point.readers:
            self._redirect(reader, source, dequantize.outputs[0])
        if point.is_output:
            self._expose(source, dequantize.outputs[0])

    def _pair(self, point: Point, source: ir.Value) -> tuple[ir.Node, ir.Node]:
        name = point.tensor
        scale, zero_point = self._scale_and_zero_point(point)
        axis = {} if point.scheme.axis is None else {"axis": point.scheme.axis}
        quantized = ir.val(self._fresh(f"{name}_quantized"), zero_point.dtype, source.shape)
        dequantized = ir.val(self._fresh(f"{name}_dequantized"), source.dtype, source.shape)
        inputs = [source, scale, zero_point]
        quantize = ir.node("QuantizeLinear", inputs, axis, outputs=[quantized], name=f"{name}_QuantizeLinear")
        inputs = [quantized, scale, zero_point]
        dequantize = ir.node("DequantizeLinear", inputs, axis, outputs=[dequantized], name=f"{name}_DequantizeLinear")
        return quantize, dequantize

    def _scale_and_zero_point(self, point: Point) -> tuple[ir.Value, ir.Value]:
        owner = point.shared_with or point.tensor
        if owner not in self._parameters:
            encoding = self._encoding(owner)
            self._parameters[owner] = (
                self._initializer(f"{owner}_scale", encoding.scale),
                self._initializer(f"{owner}_zero_point", encoding.zero_point),
            )
        return self._parameters[owner]

    def _encoding(self, owner: str) -> Encoding:
        try:
            return self._encodings[owner]
        except KeyError:
            raise PlanError(f"plan: there is no encoding for {owner!r}; calibrate with this very plan") from None

    def _initializer(self, name: str, array: Array) -> ir.Value:
        value = initializer(self._fresh(name), array)
        self._graph.register_initializer(value)
        return value

    def _redirect(self, reader: Reader, source: ir.Value, target: ir.Value) -> None:
        node = self._nodes.get(reader.node)
        if node is None or reader.index >= len(node.inputs) or node.inputs[reader.index] is not source:
            raise PlanError(f"plan: {source.name!r} is not read by {reader}; make the plan from this very model")
        node.replace_input_with(reader.index, target)

    def _expose(self, source: ir.Value, dequantized: ir.Value) -> None:
        if source.producer() is None:
            raise PlanError(f"plan: {source.name!r} is input and output of the model at once; keep it float")
        name = source.name or ""
        for index, output in enumerate(self._graph.outputs):
            if output is source:
                self._graph.outputs[index] = dequantized
        source.name = self._fresh(f"{name}_float")
        dequantized.name = name

    def _fresh(self, name: str) -> str:
        """Return `name`, or a numbered form of it where the model uses it already."""
        candidate, number = name, 1
        while candidate in self._values:
            number += 1
            candidate = f"{name}_{number}"
        self._values[candidate] = ir.val(candidate)
        return candidate


def initializer(name: str, array: Array) -> ir.Value:
    """Return a graph value that holds a constant array."""
    tensor = ir.tensor(array, name=name)
    return ir.val(name, tensor.dtype, list(array.shape), const_value=tensor)
