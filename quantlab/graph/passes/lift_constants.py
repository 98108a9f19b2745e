"""Make every constant of the main graph an initializer that no caller can feed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.graph.passes.queries import is_op

# The attributes of Constant besides `value`, and what they hold.
_PLAIN = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def lift_constants(model: ir.Model) -> tuple[str, ...]:
    """Turn Constant nodes into initializers, and take initializers off the list of inputs."""
    graph = model.graph
    for node in list(graph):
        if is_op(node, "Constant") and not node.outputs[0].is_graph_output():
            _lift(graph, node)
    # Before IR version 4 every initializer had to be listed as an input too.
    defaults = [value for value in graph.inputs if value.name in graph.initializers]
    for value in defaults:
        graph.inputs.remove(value)
    if not defaults:
        return ()
    return (f"{len(defaults)} inputs that have a value in the file were made constants",)


def _lift(graph: ir.Graph, node: ir.Node) -> None:
    tensor = _tensor_of(node)
    if tensor is None:
        return
    old = node.outputs[0]
    name = old.name
    # A view under the name of the value: tensors are shared between clones, names are not.
    new = ir.Value(
        name=name,
        type=ir.TensorType(tensor.dtype),
        shape=ir.Shape(tensor.shape.numpy()),
        const_value=ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=name),
    )
    ir.convenience.replace_all_uses_with(old, new)
    graph.remove(node, safe=True)
    graph.register_initializer(new)


def _tensor_of(node: ir.Node) -> ir.TensorProtocol | None:
    """Return what a Constant holds, or None for text and sparse tensors, which stay nodes."""
    name, attribute = next(iter(node.attributes.items()))
    if name == "value" and attribute.as_tensor().dtype != ir.DataType.STRING:
        return attribute.as_tensor()
    if name in _PLAIN:
        return ir.tensor(np.array(attribute.value, _PLAIN[name]))
    return None
