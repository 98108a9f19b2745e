"""Finds attention, which TensorRT runs as one kernel when all of it is INT8, and not at all when a part is.

    scores  = Q Kᵀ                  [batch, heads, queries, keys]
    p       = softmax(scores · factor + mask)
    context = p V                   [batch, heads, queries, size]

Q, K and V are what the two products read, after whatever scales, splits and turns them. Factor and mask may lie
between scores and softmax, or be left out. Source: builds with TensorRT-RTX 1.7, where INT8 Q, K, p and V give one
`_gemm_mha_v2` layer with or without factor and mask; the limit of keys is that of modelopt 0.47.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.targets.graph_queries import attribute_int, constant, input_at, is_float, only_reader, shape_of

_MOST_KEYS = 512
_TILE = 16


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
    """Return why an attention stays float, or None if the fused integer kernel takes it."""
    shape, keys = shape_of(attention.scores.inputs[0]), shape_of(attention.scores.inputs[1])
    size = shape[-1] if shape else None
    if size is not None and size < _TILE:
        return f"Heads of size {size} are too small for integer kernels, which multiply {_TILE} at a time."
    if shape and len(shape) > 1 and shape[-2] == 1:
        return "A single query makes matrix-vector products, which wait for memory, not for arithmetic."
    if keys and keys[-1] is not None and keys[-1] > _MOST_KEYS:
        return f"There are {keys[-1]} keys, and the fused integer kernel stops at {_MOST_KEYS}."
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
    if node.op_type not in {"Add", "Mul", "Div", "Where"}:
        return None
    # A mask may itself be computed; only one operand leads back to a product.
    branches = [_path_to_scores(operand) for operand in node.inputs if constant(operand) is None]
    paths = [path for path in branches if path is not None]
    return (*paths[0], node) if len(paths) == 1 else None


def _multiplies_activations(node: ir.Node) -> bool:
    return node.op_type == "MatMul" and all(
        value is not None and constant(value) is None and is_float(value) for value in node.inputs
    )
