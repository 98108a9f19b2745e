"""Which nodes of a model quantize or compute in integers already: such a model must not be quantized again."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.model import Model

_PREFIXES = ("QLinear", "DynamicQuantize", "QOrdered")
_PAIRS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_OPS = frozenset(
    {
        "ConvInteger",
        "MatMulInteger",
        # ONNX Runtime's own (domain com.microsoft).
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QMoE",
    }
)


def quantized_nodes(model: Model) -> tuple[str, ...]:
    """Return what users call the nodes that quantize, dequantize or compute in integers, in graph order."""
    nodes = ir.traversal.RecursiveGraphIterator(model.graph)
    return tuple(_label(node) for node in nodes if node.op_type in _PAIRS or _is_integer(node))


def integer_nodes(model: Model) -> tuple[str, ...]:
    """Return what users call the nodes that compute in integers, without those of Q/DQ pairs, in graph order."""
    return tuple(_label(node) for node in ir.traversal.RecursiveGraphIterator(model.graph) if _is_integer(node))


def is_quantized(model: Model) -> bool:
    """Return whether any node of the model quantizes, dequantizes or computes in integers."""
    return bool(quantized_nodes(model))


def _is_integer(node: ir.Node) -> bool:
    return node.op_type in _OPS or node.op_type.startswith(_PREFIXES)


def _label(node: ir.Node) -> str:
    name = node.name or next((value.name for value in node.outputs if value.name), "")
    return f"{node.op_type} {name!r}"
