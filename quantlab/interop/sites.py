"""Where a model is quantized, as any tool wrote it, faults included.

    x ─Q─▶ ─DQ─▶ node         one site per DequantizeLinear; several may hang on one QuantizeLinear
    integers ─DQ─▶ node       a baked weight or bias
    x ─Q─▶ MaxPool ─DQ─▶      two sites, x for the pool and its result for what comes next

`qdq.read` gives the same of a sound model as a plan; here nothing is refused, so that it can be said what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from quantlab.plan import Reader, Role

_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
Constant = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Site:
    """One place where a tensor is quantized.

    Attributes:
        tensor: the float tensor, by its name in the model without Q/DQ nodes.
        quantize: the name of the QuantizeLinear node, or None for a baked constant.
        dequantize: the name of the DequantizeLinear node, or None where integers go on to another node.
        domain: of the nodes; empty for ONNX's own.
        scale: as the nodes hold it, or None where it is computed at run time.
        zero_point: likewise; None also where it is left out.
        has_zero_point: whether the QuantizeLinear, or of a baked constant the DequantizeLinear, has one.
        dtype: the integers' type, by ONNX's rules where no zero point says it.
        axis: of the channels, as the nodes say, or 1, ONNX's default.
        is_blocked: whether one scale is for a block of values.
        role: weights and biases are what depends on constants only.
        readers: the node inputs that read the quantized value, in the model without Q/DQ nodes.
        is_output: whether it is an output of the model.
    """

    tensor: str
    quantize: str | None
    dequantize: str | None
    domain: str
    scale: Constant | None
    zero_point: Constant | None
    has_zero_point: bool
    dtype: ir.DataType | None
    axis: int
    is_blocked: bool
    role: Role
    readers: tuple[Reader, ...]
    is_output: bool

    @property
    def node(self) -> str:
        """The node to point at: the first of the two."""
        return self.quantize or self.dequantize or ""

    @property
    def is_per_tensor(self) -> bool:
        """Whether one constant scale is for the whole tensor."""
        return self.scale is not None and self.scale.size == 1

    def rounds_like(self, other: Site) -> bool:
        """Whether both sites have equal constant parameters."""
        if self.scale is None or other.scale is None or self.dtype != other.dtype:
            return False
        return np.array_equal(self.scale.ravel(), other.scale.ravel()) and self.offset == other.offset

    @property
    def offset(self) -> int:
        """The largest magnitude among the zero points, 0 where they are left out."""
        return 0 if self.zero_point is None else int(np.abs(self.zero_point.astype(np.int64)).max(initial=0))


def is_quantize(node: ir.Node | None) -> bool:
    """Whether a node is a QuantizeLinear of ONNX or of ONNX Runtime."""
    return node is not None and node.op_type == "QuantizeLinear" and node.domain in _DOMAINS


def is_dequantize(node: ir.Node | None) -> bool:
    """Whether a node is a DequantizeLinear of ONNX or of ONNX Runtime."""
    return node is not None and node.op_type == "DequantizeLinear" and node.domain in _DOMAINS


def known_constant(value: ir.Value | None) -> Constant | None:
    """Return a constant, computed from others where that takes few steps, or None.

    Exporters put scales and zero points behind Identity, Cast, Reshape, and a division by 127.
    """
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is not None:
        return np.asarray(tensor.numpy())
    node = value.producer()
    sources = [known_constant(source) for source in node.inputs] if node is not None else []
    known = [source for source in sources if source is not None]
    if node is None or not known or len(known) < len(sources):
        return None
    if node.op_type in _ARITHMETIC:
        return np.asarray(_ARITHMETIC[node.op_type](*known), known[0].dtype)
    return _retyped(node, known[0])


_ARITHMETIC: dict[str, Callable[..., Constant]] = {
    "Identity": lambda x: x,
    "Abs": np.abs,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
}


def _retyped(node: ir.Node, source: Constant) -> Constant | None:
    if node.op_type == "Cast":
        return np.asarray(source.astype(ir.DataType(node.attributes["to"].as_int()).numpy()))
    if node.op_type not in ("Reshape", "Squeeze", "Unsqueeze", "Flatten"):
        return None
    shape = node.outputs[0].shape
    sizes = [size for size in shape or () if isinstance(size, int)]
    return source.reshape(sizes) if shape is not None and len(sizes) == len(shape) else None


def is_constant_rooted(value: ir.Value | None) -> bool:
    """Whether a value depends on constants only."""
    if value is None:
        return True
    node = value.producer()
    if node is None:
        return value.const_value is not None and not value.is_graph_input()
    return bool(node.inputs) and all(is_constant_rooted(source) for source in node.inputs)


def integer_type(node: ir.Node) -> ir.DataType | None:
    """Return the type of the integers that a QuantizeLinear makes or a DequantizeLinear reads."""
    zero_point = node.inputs[2] if len(node.inputs) > 2 else None
    if zero_point is not None and zero_point.dtype is not None:
        return zero_point.dtype
    if is_dequantize(node):
        integers = node.inputs[0]
        return None if integers is None else integers.dtype
    named = node.attributes.get("output_dtype")
    return ir.DataType.UINT8 if named is None or not named.as_int() else ir.DataType(named.as_int())


def axis_of(node: ir.Node) -> int:
    """Return the axis that a QuantizeLinear or DequantizeLinear node says, or ONNX's default."""
    attribute = node.attributes.get("axis")
    return 1 if attribute is None else attribute.as_int()


def is_blocked(node: ir.Node) -> bool:
    """Whether a QuantizeLinear or DequantizeLinear node has a scale per block of values."""
    attribute = node.attributes.get("block_size")
    scale = known_constant(node.inputs[1])
    return (attribute is not None and attribute.as_int() > 0) or (scale is not None and scale.ndim > 1)


def clipped_range(quantize: ir.Node) -> tuple[float, float] | None:
    """Return the range of a QuantizeLinear whose lowest integer stands for 0, or None of another."""
    scale = known_constant(quantize.inputs[1])
    zero_point = known_constant(quantize.inputs[2]) if len(quantize.inputs) > 2 else None
    if scale is None or zero_point is None or scale.size > 1 or zero_point.dtype.kind not in "iu":
        return None
    limits, offset = np.iinfo(zero_point.dtype), int(zero_point.reshape(-1)[0])
    return (0.0, float(limits.max - offset) * float(scale.reshape(-1)[0])) if offset == limits.min else None
