"""The constants of a graph: which there are, and which of them training changes.

Trained is what weighs data: kernels and biases of convolutions and matrix products, the gain and shift of
normalizations, tables that indices look up, and vectors that are added or multiplied to features. Left alone is what
says how to compute: a single number, a mask, a grid of positions, bounds, the factors of a resize. Quantization and
changes of layout lie between a weight and its reader often, so they are looked through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.torchgraph.registry import find_op

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})

# Operators that hand on their first input, or parts of it, in another layout or with a rounding.
_LOOKED_THROUGH = frozenset(
    {
        "Cast",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_VECTOR_OPS = frozenset({"Add", "Mul"})


def constants(model: Model) -> Mapping[str, ir.TensorProtocol]:
    """Return every constant of the main graph by name: initializers, and what Constant nodes hold."""
    found = {
        name: value.const_value for name, value in model.graph.initializers.items() if value.const_value is not None
    }
    for node in model.graph:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            value = node.outputs[0]
            tensor = ir.convenience.get_const_tensor(value)
            if tensor is not None and value.name:
                found[value.name] = tensor
    return found


def trained_weights(model: Model) -> tuple[str, ...]:
    """Return the names of the constants that training changes, in graph order."""
    by_name = model.values_by_name()
    found = constants(model)
    return tuple(name for name in found if found[name].dtype in _FLOATS and _is_weight(by_name[name], model))


def trained_scales(model: Model) -> tuple[str, ...]:
    """Return the names of the constant scales of QuantizeLinear nodes, in graph order.

    What is an integer before training has no range to learn, so the scales of baked constants are not among them.
    """
    found = constants(model)
    scales = (node.inputs[1] for node in model.graph if node.op_type == "QuantizeLinear")
    names = (scale.name for scale in scales if scale is not None and scale.name)
    return tuple(dict.fromkeys(name for name in names if name in found))


def _is_weight(value: ir.Value, model: Model) -> bool:
    tensor = ir.convenience.get_const_tensor(value)
    assert tensor is not None
    for node, index in _readers(value):
        found = find_op(node.domain, node.op_type, model.ir_model.opset_imports.get(node.domain, 1))
        if found is not None and index in found.weights:
            return True
        if node.op_type in _VECTOR_OPS and len(tensor.shape) == 1 and tensor.size > 1:
            return True
    return False


def _readers(value: ir.Value) -> Iterator[tuple[ir.Node, int]]:
    """Yield (node, input) where a value is read, possibly in another layout."""
    for use in value.uses():
        if use.node.op_type in _LOOKED_THROUGH and use.idx == 0:
            for output in use.node.outputs:
                yield from _readers(output)
        else:
            yield use.node, use.idx
