"""INT8 model → Q/DQ model: weights become floats with a Q/DQ pair, biases floats, so that training can move them.

    integers ─DQ─▶          becomes   W ─Q─▶ ─DQ─▶      int8 and uint8, with the encoding that the DQ node holds
    int32 bias ─DQ─▶        becomes   bias              float while it is trained; `qdq.bake` makes integers of it again

The float values are those that the integers stand for, so the outputs stay the same. Works on the models of `qdq.bake`
and on those of other tools, whose float weights are lost; what lay between two of their integers is not restored.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.affine import Encoding, FloatArray, dequantize
from quantlab.data.batch import Array
from quantlab.graph.model import Model
from quantlab.scheme import IntegerType, Scheme

# What `qdq.insert` and others end the names of integer constants with.
_SUFFIX = "_quantized"
_TYPES: dict[ir.DataType, IntegerType] = {
    ir.DataType.INT8: "int8",
    ir.DataType.UINT8: "uint8",
    ir.DataType.INT32: "int32",
}


def unbake(model: Model) -> Model:
    """Return a clone in which dequantized constants are floats again.

    A constant `W_quantized` gives `W`, where that name is free. Constants quantized in blocks stay.

    Args:
        model: an INT8 model; it is not changed.
    """
    clone = model.clone()
    names = _Names(clone)
    weights: dict[tuple[ir.Value | None, ...], ir.Value] = {}
    for node in list(clone.graph):
        integers = node.inputs[0] if node.op_type == "DequantizeLinear" else None
        if integers is None or not _is_known_constant(node) or node.outputs[0].is_graph_output():
            continue
        if integers.dtype == ir.DataType.INT32:
            _free_bias(clone.graph, node, names)
        else:
            _free_weight(clone.graph, node, names, weights)
    _drop_unread_constants(clone.graph)
    return clone


class _Names:
    """The names that a model's values have."""

    def __init__(self, model: Model) -> None:
        self._taken = set(model.values_by_name())

    def free(self, wanted: str) -> str:
        """Return a name that no value has, `wanted` if possible, and take it."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def _free_bias(graph: ir.Graph, node: ir.Node, names: _Names) -> None:
    value = _float_constant(graph, node, names)
    node.outputs[0].replace_all_uses_with(value)
    graph.remove(node, safe=True)


def _free_weight(
    graph: ir.Graph, node: ir.Node, names: _Names, weights: dict[tuple[ir.Value | None, ...], ir.Value]
) -> None:
    """Put a QuantizeLinear node before a DequantizeLinear node; nodes that read one constant alike share it."""
    key = tuple(node.inputs)
    if _input(node, 2) is None:  # without a zero point, QuantizeLinear would give uint8
        zeros = np.zeros(_array(node, 1).shape, _array(node, 0).dtype)
        zero_point = _initializer(graph, names.free(f"{node.name}_zero_point"), zeros)
        node.resize_inputs(3)
        node.replace_input_with(2, zero_point)
    if key not in weights:
        weights[key] = _quantized(graph, node, names)
    node.replace_input_with(0, weights[key])


def _quantized(graph: ir.Graph, node: ir.Node, names: _Names) -> ir.Value:
    value = _float_constant(graph, node, names)
    integers, scale, zero_point = node.inputs
    assert integers is not None
    output = ir.val(names.free(f"{value.name}{_SUFFIX}"), integers.dtype, integers.shape)
    axis = {name: attribute.as_int() for name, attribute in node.attributes.items() if name == "axis"}
    name = f"{value.name}_QuantizeLinear"
    quantize = ir.node("QuantizeLinear", [value, scale, zero_point], axis, outputs=[output], name=name)
    graph.insert_before(node, quantize)
    return output


def _float_constant(graph: ir.Graph, node: ir.Node, names: _Names) -> ir.Value:
    integers = node.inputs[0]
    assert integers is not None
    name = names.free((integers.name or "constant").removesuffix(_SUFFIX))
    return _initializer(graph, name, _dequantized(node))


def _initializer(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    tensor = ir.tensor(array, name=name)
    value = ir.val(name, tensor.dtype, list(array.shape), const_value=tensor)
    graph.register_initializer(value)
    return value


def _dequantized(node: ir.Node) -> FloatArray:
    integers, scale = _array(node, 0), _array(node, 1)
    zero_point = np.zeros(scale.shape, integers.dtype) if _input(node, 2) is None else _array(node, 2)
    if scale.size == 1:
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    axis = node.attributes.get("axis")
    scheme = Scheme(_TYPES[ir.DataType.from_numpy(integers.dtype)], axis=1 if axis is None else axis.as_int())
    floats = dequantize(integers, Encoding(scale.astype(np.float32), zero_point, scheme))
    return floats.astype(scale.dtype, copy=False)


def _is_known_constant(node: ir.Node) -> bool:
    inputs = [value for value in node.inputs if value is not None]
    are_constant = all(ir.convenience.get_const_tensor(value) is not None for value in inputs)
    return are_constant and inputs[0].dtype in _TYPES and "block_size" not in node.attributes


def _array(node: ir.Node, index: int) -> Array:
    value = _input(node, index)
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return np.asarray(tensor.numpy())


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _drop_unread_constants(graph: ir.Graph) -> None:
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output() and not value.is_graph_input():
            del graph.initializers[name]
