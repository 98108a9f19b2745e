"""Make a model of half precision one of float32, which is what targets place, training trains and CPUs compute.

    x ─Cast─▶ float16 node ─Cast─▶ y     becomes   x ─▶ float32 node ─▶ y

Every float16 and bfloat16 value becomes float32, of equal value where it is a constant; what the casts rounded is
rounded no longer. Inputs and outputs keep their types, behind a cast.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from quantlab.graph.passes.infer_shapes import infer_shapes
from quantlab.graph.passes.queries import is_op, unique_name

_FLOAT = ir.DataType.FLOAT
_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
# Attributes that name a type of floats: of Cast, of what draws random numbers, of DequantizeLinear.
_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")


def widen_halves(model: ir.Model) -> tuple[str, ...]:
    """Turn float16 and bfloat16 into float32 in all graphs of a model, constants lifted or not.

    Returns:
        A sentence that says so, or nothing where the model has no such value.
    """
    graphs = [model.graph, *model.graph.subgraphs()]
    if not any(value.dtype in _HALVES for graph in graphs for value in _values(graph)):
        return ()
    infer_shapes(model)
    inputs = [value for value in model.graph.inputs if value.dtype in _HALVES]
    outputs = [(index, value.dtype) for index, value in enumerate(model.graph.outputs) if value.dtype in _HALVES]
    for graph in graphs:
        _widen_constants(graph)
        for node in graph:
            _widen_attributes(node)
        for value in _values(graph):
            if value.dtype in _HALVES and value not in inputs:
                value.dtype = _FLOAT
    for value in inputs:
        _cast_input(model.graph, value)
    for graph in graphs:
        _spare_casts(graph)
    for index, dtype in outputs:
        _cast_output(model.graph, index, dtype)
    return ("half precision became float32",)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _widen_constants(graph: ir.Graph) -> None:
    for value in graph.initializers.values():
        if value.const_value is not None and value.const_value.dtype in _HALVES:
            value.const_value = _widened(value.const_value)


def _widen_attributes(node: ir.Node) -> None:
    for name, attribute in list(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in _HALVES:
            node.attributes[name] = ir.AttrTensor(name, _widened(attribute.as_tensor()))
        elif name in _TYPE_ATTRIBUTES and attribute.value in _HALVES:
            node.attributes[name] = ir.AttrInt64(name, int(_FLOAT))


def _widened(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.tensor(np.asarray(tensor.numpy()).astype(np.float32), name=tensor.name)


def _spare_casts(graph: ir.Graph) -> None:
    """Make an Identity of every cast from float32 to float32."""
    for node in graph:
        source = node.inputs[0] if is_op(node, "Cast") else None
        if source is not None and source.dtype == _FLOAT and node.attributes["to"].as_int() == _FLOAT:
            node.op_type = "Identity"
            node.attributes.clear()


def _cast_input(graph: ir.Graph, value: ir.Value) -> None:
    uses = list(value.uses())
    cast = _cast(graph, value, _FLOAT, f"{value.name}_float32")
    for use in uses:
        use.node.replace_input_with(use.idx, cast.outputs[0])
    graph.insert_before(graph[0], cast)


def _cast_output(graph: ir.Graph, index: int, dtype: ir.DataType | None) -> None:
    """Hand out what the model computes in the type it had, under the name that users know."""
    source = graph.outputs[index]
    name = source.name
    assert dtype is not None
    if source.is_graph_input() and source.dtype == dtype:
        return
    source.name = unique_name(graph, f"{name}_float32")
    cast = _cast(graph, source, dtype, name or "")
    graph.append(cast)
    graph.outputs[index] = cast.outputs[0]


def _cast(graph: ir.Graph, source: ir.Value, dtype: ir.DataType, name: str) -> ir.Node:
    output = ir.Value(name=name, type=ir.TensorType(dtype), shape=source.shape)
    return ir.node("Cast", [source], {"to": int(dtype)}, outputs=[output], name=f"{name}_Cast")
