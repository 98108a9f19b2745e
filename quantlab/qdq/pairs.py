"""The Q/DQ structure of a graph, as `bake` and `read` both see it.

Three forms stand for a quantized tensor:

    x ─Q─▶ ─DQ─▶        an activation, or (x an initializer) a weight that still is float
    integers ─DQ─▶      a baked weight or bias (integers an initializer)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from quantlab.affine import Encoding
from quantlab.data.batch import Array
from quantlab.errors import ModelError
from quantlab.scheme import IntegerType, Scheme

_TYPES: dict[str, IntegerType] = {"int8": "int8", "uint8": "uint8", "int32": "int32"}


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """One quantized tensor in a graph.

    Attributes:
        source: the float tensor that is quantized, or the integer initializer of a baked constant.
        quantize: the QuantizeLinear node, or None for a baked constant.
        dequantize: the DequantizeLinear node.
        encoding: scale, zero point and scheme, as the nodes hold them.
    """

    source: ir.Value
    quantize: ir.Node | None
    dequantize: ir.Node
    encoding: Encoding

    @property
    def is_constant(self) -> bool:
        """Whether the tensor is an initializer (a weight or bias)."""
        return self.source.const_value is not None

    @property
    def output(self) -> ir.Value:
        """The float tensor that readers see."""
        return self.dequantize.outputs[0]


def pairs(graph: ir.Graph) -> Iterator[Pair]:
    """Yield the quantized tensors of a graph in order of their DequantizeLinear nodes.

    Raises:
        ModelError: a scale or zero point is not a constant, or the integers are not int8, uint8 or int32.
    """
    for node in graph:
        if node.op_type != "DequantizeLinear" or node.domain not in ("", "com.microsoft"):
            continue
        integers = node.inputs[0]
        if integers is None:
            continue
        producer = integers.producer()
        if producer is not None and producer.op_type == "QuantizeLinear" and producer.inputs[0] is not None:
            yield Pair(producer.inputs[0], producer, node, encoding_of(node))
        elif integers.const_value is not None:
            yield Pair(integers, None, node, encoding_of(node))


def encoding_of(dequantize: ir.Node) -> Encoding:
    """Return the encoding that a DequantizeLinear node holds.

    Symmetric is what has a zero point of 0 and a signed type; symmetric int8 constants count as narrow, since ±127
    is the convention for weights. A scale of shape [1] counts as per tensor.
    """
    integers = dequantize.inputs[0]
    scale = _constant(dequantize, 1, "scale").astype(np.float32)
    has_zero_point = len(dequantize.inputs) > 2 and dequantize.inputs[2] is not None
    if has_zero_point:
        zero_point = _constant(dequantize, 2, "zero point")
        dtype = str(zero_point.dtype)
    else:
        dtype = "uint8" if integers is None or integers.dtype is None else str(integers.dtype.numpy())
        zero_point = np.zeros(scale.shape, dtype if dtype in _TYPES else "uint8")
    if dtype not in _TYPES:
        raise ModelError(f"node {dequantize.name!r}: {dtype} integers; quantlab reads int8, uint8 and int32")
    if scale.shape == (1,):
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    is_symmetric = dtype != "uint8" and not np.any(zero_point)
    is_weight = is_symmetric and integers is not None and _is_constant_rooted(integers) and dtype == "int8"
    axis = None if scale.ndim == 0 else _axis_of(dequantize)
    return Encoding(scale, zero_point, Scheme(_TYPES[dtype], symmetric=is_symmetric, axis=axis, narrow=is_weight))


def _is_constant_rooted(integers: ir.Value) -> bool:
    producer = integers.producer()
    if producer is None:
        return integers.const_value is not None
    source = producer.inputs[0] if producer.op_type == "QuantizeLinear" else None
    return source is not None and source.const_value is not None


def _axis_of(node: ir.Node) -> int:
    attribute = node.attributes.get("axis")
    return 1 if attribute is None else attribute.as_int()  # 1 is ONNX's default


def _constant(node: ir.Node, index: int, what: str) -> Array:
    value = node.inputs[index] if index < len(node.inputs) else None
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise ModelError(f"node {node.name!r}: its {what} is computed at run time; quantlab needs a constant one")
    return np.asarray(tensor.numpy())
