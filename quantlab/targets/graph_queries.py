"""Questions that placement rules ask about a graph: who reads a value, is it constant, which axis is the channel.

Nothing here changes the graph, and nothing knows of a runtime.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Reader


def readers(model: Model, value: ir.Value) -> tuple[Reader, ...]:
    """Return the node inputs of the main graph that read a value."""
    return tuple(Reader(use.node.name or "", use.idx) for use in value.uses() if use.node.graph is model.graph)


def reading_nodes(value: ir.Value) -> tuple[ir.Node, ...]:
    """Return the nodes that read a value, each once; nodes inside If, Loop and Scan bodies are among them."""
    return tuple(dict.fromkeys(use.node for use in value.uses()))


def only_reader(value: ir.Value) -> ir.Node | None:
    """Return the node that alone reads a value through one input, or None if more do or it is a graph output."""
    uses = tuple(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def is_read_in_body(model: Model, value: ir.Value) -> bool:
    """Whether a node inside an If, Loop or Scan body reads the value; Q/DQ cannot be placed on such an edge."""
    return any(use.node.graph is not model.graph for use in value.uses())


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """Return an input of a node, or None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Return the tensor of an initializer or a Constant node, or None for a value computed at run time.

    An initializer that is also a graph input may be fed another value, so it is none.
    """
    if value is None or value.is_graph_input():
        return None
    return ir.convenience.get_const_tensor(value)


def constant_array(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    """Return a constant as an array, or None; for small constants such as bounds and shapes."""
    tensor = constant(value)
    return None if tensor is None else np.asarray(tensor.numpy())


def activations_of(node: ir.Node) -> Iterator[tuple[int, ir.Value]]:
    """Yield (index, value) of the inputs that are computed at run time or fed."""
    for index, value in enumerate(node.inputs):
        if value is not None and constant(value) is None:
            yield index, value


def is_float(value: ir.Value) -> bool:
    """Whether a value is known to be float32."""
    return value.dtype == ir.DataType.FLOAT


def shape_of(value: ir.Value | None) -> tuple[int | None, ...] | None:
    """Return a shape with None for free axes, or None if even the rank is unknown."""
    if value is None:
        return None
    tensor = value.const_value
    shape = value.shape if value.shape is not None else (None if tensor is None else tensor.shape)
    if shape is None:
        return None
    return tuple(int(axis) if isinstance(axis, int) else None for axis in shape)


def size_of_sample(value: ir.Value | None) -> int | None:
    """Return the number of elements with every free first axis taken as 1, or None if another axis is free."""
    shape = shape_of(value)
    if shape is None or any(axis is None for axis in shape[1:]):
        return None
    return math.prod(1 if axis is None else axis for axis in shape)


def attribute_int(node: ir.Node, name: str, default: int) -> int:
    """Return an integer attribute of a node."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def attribute_float(node: ir.Node, name: str, default: float) -> float:
    """Return a float attribute of a node."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_float()


def attribute_string(node: ir.Node, name: str, default: str) -> str:
    """Return a string attribute of a node."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def weight_axis(node: ir.Node) -> int | None:
    """Return the axis of input 1 that counts the output channels of a weighted node.

    Conv [out, in/groups, ...]: 0. ConvTranspose [in, out/groups, ...]: 1, or None with groups, where axis 1 mixes
    them. MatMul [K, N]: 1, or None for a batched constant. Gemm: 0 if transB, else 1. Others: None.
    """
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attribute_int(node, "group", 1) == 1 else None
    if node.op_type == "MatMul":
        shape = shape_of(input_at(node, 1))
        return 1 if shape is not None and len(shape) == 2 else None
    if node.op_type == "Gemm":
        return 0 if attribute_int(node, "transB", 0) else 1
    return None


def is_depthwise(node: ir.Node) -> bool:
    """Whether a Conv has one input channel per group, and more than one group."""
    shape = shape_of(input_at(node, 1))
    groups = attribute_int(node, "group", 1)
    return node.op_type == "Conv" and groups > 1 and shape is not None and shape[1] == 1


def clip_bounds(node: ir.Node) -> tuple[float, float] | None:
    """Return (low, high) of a Relu or Clip (±inf where open), or None if another node or bounds not constant."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip":
        return None
    bounds = [attribute_float(node, "min", -math.inf), attribute_float(node, "max", math.inf)]  # before opset 11
    for index in (1, 2):
        value = input_at(node, index)
        if value is not None:
            array = constant_array(value)
            if array is None or array.size != 1:
                return None
            bounds[index - 1] = float(array.reshape(()))
    return bounds[0], bounds[1]


def output_range(node: ir.Node) -> tuple[float, float] | None:
    """Return the range that every output of an operator lies in whatever its input, or None if it is open."""
    return _OUTPUT_RANGES.get(node.op_type)


_OUTPUT_RANGES: dict[str, tuple[float, float]] = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Sin": (-1.0, 1.0),
    "Cos": (-1.0, 1.0),
    "Erf": (-1.0, 1.0),
}
