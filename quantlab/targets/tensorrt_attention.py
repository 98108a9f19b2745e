"""Finds attention, which TensorRT runs as one integer kernel or had better run in float.

    scores  = Q Kᵀ                  [batch, heads, queries, keys]
    p       = softmax(scores · factor + mask)
    context = p V                   [batch, heads, queries, size]

Q, K and V are what the two products read, after whatever scales, splits and turns them. Factors and masks may lie
between scores and softmax, or be left out. Unless one integer kernel does it all, INT8 would only stand in the way of
TensorRT's fused half-precision kernel.

Source: builds with TensorRT-RTX 1.7, where Q, K, p and V in INT8 become one `_gemm_mha_v2` layer if all heads have
size 16, 32 or 64, there are at most 512 keys (the limit of modelopt 0.47, too) and INT8 is what reads the context. A
single head with an axis of its own is not fused, nor is it in half precision: it is quantized like the others, and both
products run in INT8.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.targets.graph_queries import (
    activations_of,
    attribute_int,
    constant,
    input_at,
    is_float,
    only_reader,
    shape_of,
)

_MOST_KEYS = 512
_SIZES = (16, 32, 64)
_BETWEEN = frozenset({"Add", "Sub", "Mul", "Div", "Where", "Clip", "Identity"})


@dataclass(frozen=True, slots=True)
class Attention:
    """The nodes of one attention.

    Attributes:
        scores: the MatMul of Q and Kᵀ.
        between: the nodes after it, up to and with the Softmax: factor, mask, Softmax.
        context: the MatMul of the softmax and V.
    """

    scores: ir.Node
    between: tuple[ir.Node, ...]
    context: ir.Node

    @property
    def operands(self) -> tuple[tuple[ir.Node, int], ...]:
        """The four edges to quantize: Q, K, the softmax's output, V."""
        return (self.scores, 0), (self.scores, 1), (self.context, 0), (self.context, 1)

    @property
    def softmax_edge(self) -> tuple[ir.Node, int]:
        """The one of the operands that lies in [0, 1]."""
        return self.context, 0


def find_attentions(model: Model) -> tuple[Attention, ...]:
    """Return every attention that matches the pattern fully, in graph order."""
    found = (_attention_around(node) for node in model.graph if node.op_type == "Softmax")
    return tuple(attention for attention in found if attention is not None)


def reason_for_float_attention(attention: Attention) -> str | None:
    """Return why the sizes of an attention keep it float, or None if the fused integer kernel takes them.

    A size that is free is taken to fit.
    """
    queries, keys, values = (
        shape_of(value)
        for value in (attention.scores.inputs[0], attention.scores.inputs[1], attention.context.inputs[1])
    )
    sizes = [shape[-1] for shape in (queries, values) if shape and shape[-1] is not None]
    if len(set(sizes)) > 1 or any(size not in _SIZES for size in sizes):
        had = " and ".join(map(str, dict.fromkeys(sizes)))
        return f"The fused integer kernel takes heads of one size, 16, 32 or 64, and these have {had}."
    if queries and len(queries) > 1 and queries[-2] == 1:
        return "A single query makes matrix-vector products, which wait for memory, not for arithmetic."
    if keys and keys[-1] is not None and keys[-1] > _MOST_KEYS:
        return f"The fused integer kernel takes {_MOST_KEYS} keys at most, and these are {keys[-1]}."
    return None


def _attention_around(softmax: ir.Node) -> Attention | None:
    """Return the attention whose softmax this is, or None."""
    probabilities = softmax.outputs[0]
    context = only_reader(probabilities)
    if context is None or not _multiplies_activations(context) or context.inputs[0] is not probabilities:
        return None
    rank = len(shape_of(probabilities) or ())
    if attribute_int(softmax, "axis", -1) not in {-1, rank - 1}:
        return None
    between = _path_to_scores(input_at(softmax, 0))
    return None if between is None else Attention(between[0], (*between[1:], softmax), context)


def _path_to_scores(value: ir.Value | None) -> tuple[ir.Node, ...] | None:
    """Return the scores' MatMul and the nodes after it up to a value, or None if another thing makes the value."""
    node = None if value is None else value.producer()
    if value is None or node is None or only_reader(value) is None:
        return None
    if _multiplies_activations(node):
        return (node,)
    if node.op_type not in _BETWEEN:
        return None
    # A mask may itself be computed; only one operand leads back to a product.
    branches = [_path_to_scores(operand) for _, operand in activations_of(node)]
    paths = [path for path in branches if path is not None]
    return (*paths[0], node) if len(paths) == 1 else None


def _multiplies_activations(node: ir.Node) -> bool:
    return node.op_type == "MatMul" and all(
        value is not None and constant(value) is None and is_float(value) for value in node.inputs
    )
