"""Gives every reader of a quantized weight a DequantizeLinear and integers of its own, which compute the same.

Needed before ONNX Runtime's `session.x64quantprecision` on x86-64 without VNNI: it makes uint8 of the int8 weights of
one node after another, under a name derived from the weight's, and refuses the model when two nodes share one.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.model import Model


def unshare_weights(model: Model) -> None:
    """Copy the DequantizeLinear of each weight, and what it reads, until each has one reader; the model is changed.

    The copies share their memory until they are written. What a graph outputs keeps its name.
    """
    graph = model.graph
    for node in [node for node in graph if _dequantizes_a_weight(graph, node)]:
        uses = sorted(node.outputs[0].uses(), key=lambda use: (use.node.name or "", use.idx))
        keeps_first = not node.outputs[0].is_graph_output()
        for number, (reader, index) in enumerate(uses[1:] if keeps_first else uses):
            if reader.graph is graph:
                reader.replace_input_with(index, _copy(graph, node, number))
    for node in [node for node in graph if _dequantizes_a_weight(graph, node)]:
        for index, value in enumerate(node.inputs):
            if value is not None and len(value.uses()) > 1 and value.name in graph.initializers:
                node.replace_input_with(index, _copy_constant(graph, value))


def _dequantizes_a_weight(graph: ir.Graph, node: ir.Node) -> bool:
    weight = node.inputs[0] if node.op_type == "DequantizeLinear" else None
    return weight is not None and weight.name in graph.initializers


def _copy(graph: ir.Graph, node: ir.Node, number: int) -> ir.Value:
    """Return the output of a copy of a DequantizeLinear."""
    copy = ir.Node(
        node.domain,
        node.op_type,
        node.inputs,
        list(node.attributes.values()),
        overload=node.overload,
        name=f"{node.name}/copy{number}",
    )
    made, original = copy.outputs[0], node.outputs[0]
    made.name, made.type, made.shape = f"{original.name}/copy{number}", original.type, original.shape
    graph.insert_after(node, copy)
    return made


def _copy_constant(graph: ir.Graph, value: ir.Value) -> ir.Value:
    number = len(value.uses())
    copy = ir.Value(
        name=f"{value.name}/reader{number}", type=value.type, shape=value.shape, const_value=value.const_value
    )
    graph.register_initializer(copy)
    return copy
