"""Finds the weights that TensorRT cuts into parts: those of one product that computes Q, K and V together.

    [Q K V] = x [Wq Wk Wv] + b

TensorRT computes each of the parts from its own part of the weight. It cuts a float weight before it rounds it, but a
weight that comes in integers it turns back to float, and multiplies in float. Such a weight is therefore handed over
float, with its QuantizeLinear. Source: builds with TensorRT-RTX 1.7, for two or three parts, cut by Gather, Split or
Slice, with and without bias and factor, whether the attention is quantized or not. Convolutions are not concerned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.targets.graph_queries import activations_of
from quantlab.targets.tensorrt_joins import fused_operand, moves_values
from quantlab.targets.tensorrt_products import Product, product_of


def products_to_cut(model: Model) -> tuple[Product, ...]:
    """Return the products of an activation and a weight whose result is cut into operands of other products."""
    makers = Counter(maker for node in model.graph for value in _operands(node) if (maker := _maker(value)) is not None)
    cut = (product_of(node) for node, parts in makers.items() if parts > 1)
    return tuple(product for product in cut if product is not None)


def _operands(node: ir.Node) -> Iterable[ir.Value]:
    """Return what a product of two activations multiplies; nothing for another node."""
    operands = [value for _, value in activations_of(node)]
    return operands if node.op_type == "MatMul" and len(operands) == 2 else ()


def _maker(value: ir.Value) -> ir.Node | None:
    """Return the matrix product that makes a value, if only moves and pointwise functions lie between."""
    node = value.producer()
    while node is not None and node.op_type not in {"MatMul", "Gemm"}:
        source = node.inputs[0] if moves_values(node) else fused_operand(node)
        node = None if source is None else source.producer()
    return node
