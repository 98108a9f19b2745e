"""Write the Attention operator of opset 23 as MatMul, Softmax and MatMul, which can be quantized.

    scores = (scale Q) K^T + mask        Q, K, V: [batch, heads, length, size]
    y = softmax(scores) V

The scale multiplies Q before the product, the order that TensorRT's fused attention asks for.

Source: ONNX operator Attention 23.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from quantlab.graph.passes.infer_shapes import infer_shapes
from quantlab.graph.passes.masks import leaves_every_row_open, mask_array, masks_nothing
from quantlab.graph.passes.queries import (
    fixed_axis,
    input_of,
    is_op,
    is_read,
    label,
    listing,
    new_initializer,
    rank,
    unique_name,
)


def expand_attention(model: ir.Model) -> tuple[str, ...]:
    """Expand every Attention that this covers, and say why the others stay."""
    expanded: list[str] = []
    notes: list[str] = []
    for node in list(model.graph):
        if not is_op(node, "Attention"):
            continue
        reason = _why_not(node)
        if reason is None:
            _expand(model.graph, node)
            expanded.append(repr(node.name))
        else:
            notes.append(f"{label(node)} stays float: {reason}")
    if expanded:
        infer_shapes(model)
        notes.insert(0, f"{len(expanded)} Attention were expanded to MatMul and Softmax: {listing(expanded)}")
    return tuple(notes)


def _why_not(node: ir.Node) -> str | None:
    """Return why an Attention cannot be expanded, or None."""
    attributes = node.attributes
    if any(is_read(value) for value in node.outputs[1:]) or any(value is not None for value in node.inputs[4:]):
        return "it keeps or returns keys and values of earlier steps, or returns its scores"
    if attributes.get_float("softcap", 0.0):
        return "its scores are capped"
    dtype = node.inputs[0].dtype if node.inputs[0] is not None else None
    if dtype is None or attributes.get_int("softmax_precision", dtype.value) != dtype.value:
        return "its softmax has another precision than its inputs, or their type is unknown"
    ranks = {rank(value) for value in node.inputs[:3]}
    if not ranks <= {3, 4} or len(ranks) != 1:
        return "the ranks of its inputs are unknown or mixed"
    if _heads(node, 0) is None or _heads(node, 0) != _heads(node, 1):
        return "keys and queries have different or unknown numbers of heads"
    if _scale(node) is None:
        return "the size of a head is unknown"
    return _why_not_masked(node)


def _why_not_masked(node: ir.Node) -> str | None:
    mask = input_of(node, 3)
    if node.attributes.get_int("is_causal", 0):
        if mask is not None:
            return "it is causal and has a mask besides"
        if _length(node, 0) is None or _length(node, 0) != _length(node, 1):
            return "it is causal and the lengths of queries and keys are free or differ"
    if mask is None:
        return None
    array = mask_array(mask)
    # A row that is blocked whole makes Attention zero, and softmax NaN.
    if array is None:
        return "its mask is computed, so that it may block a whole row"
    if not leaves_every_row_open(array):
        return "its mask blocks a whole row"
    return None


def _heads(node: ir.Node, index: int) -> int | None:
    if rank(node.inputs[index]) == 4:
        return fixed_axis(node.inputs[index], 1)
    return node.attributes.get_int("q_num_heads" if index == 0 else "kv_num_heads", None)


def _length(node: ir.Node, index: int) -> int | None:
    return fixed_axis(node.inputs[index], -2)


def _scale(node: ir.Node) -> float | None:
    size = fixed_axis(node.inputs[0], -1)
    if size is not None and rank(node.inputs[0]) == 3:
        size //= _heads(node, 0) or 1
    default = None if size is None else size**-0.5
    return node.attributes.get_float("scale", default)


@dataclass(slots=True)
class _Builder:
    """New nodes that together replace one, named after it."""

    graph: ir.Graph
    replaced: ir.Node
    nodes: list[ir.Node] = field(default_factory=list)

    def add(self, op_type: str, inputs: list[ir.Value], what: str, **attributes: int | tuple[int, ...]) -> ir.Value:
        """Add a node and return its output."""
        node = ir.node(op_type, inputs, attributes, name=f"{self.replaced.name}/{what}")
        node.outputs[0].name = unique_name(self.graph, f"{self.replaced.outputs[0].name}/{what}")
        self.nodes.append(node)
        return node.outputs[0]

    def constant(self, array: npt.NDArray[Any], what: str) -> ir.Value:
        """Add a constant."""
        return new_initializer(self.graph, f"{self.replaced.outputs[0].name}/{what}", array)


def _expand(graph: ir.Graph, node: ir.Node) -> None:
    build = _Builder(graph, node)
    queries = _by_head(build, 0, "queries", (0, 2, 1, 3))
    keys = _by_head(build, 1, "keys", (0, 2, 3, 1))
    values = _by_head(build, 2, "values", (0, 2, 1, 3))
    if rank(node.inputs[1]) == 4:
        keys = build.add("Transpose", [keys], "transposed_keys", perm=(0, 1, 3, 2))
    dtype = _dtype(node)
    scale = build.constant(np.array(_scale(node), dtype), "scale")
    scores = build.add("MatMul", [build.add("Mul", [queries, scale], "scaled_queries"), keys], "scores")
    mask = _additive_mask(build)
    if mask is not None:
        scores = build.add("Add", [scores, mask], "masked_scores")
    weights = build.add("Softmax", [scores], "softmax", axis=-1)
    result = build.add("MatMul", [weights, values], "weighted_values")
    if rank(node.inputs[0]) == 3:
        merged = build.add("Transpose", [result], "merged_heads", perm=(0, 2, 1, 3))
        result = build.add("Reshape", [merged, build.constant(np.array([0, 0, -1]), "merged_shape")], "merged")
    output = node.outputs[0]
    name, result.type, result.shape = output.name, output.type, output.shape
    graph.insert_before(node, build.nodes)
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    result.name = name


def _dtype(node: ir.Node) -> np.dtype[Any]:
    value = node.inputs[0]
    assert value is not None, "Attention has three inputs"
    assert value.dtype is not None, "checked by _why_not"
    return np.dtype(value.dtype.numpy())


def _by_head(build: _Builder, index: int, what: str, perm: tuple[int, ...]) -> ir.Value:
    """Return an input as [batch, heads, length, size], or keys of rank 3 as [batch, heads, size, length]."""
    value = build.replaced.inputs[index]
    assert value is not None, "Attention has three inputs"
    if rank(value) == 4:
        return value
    shape = build.constant(np.array([0, 0, _heads(build.replaced, min(index, 1)), -1]), f"{what}_shape")
    return build.add("Transpose", [build.add("Reshape", [value, shape], f"split_{what}")], what, perm=perm)


def _additive_mask(build: _Builder) -> ir.Value | None:
    """Return what to add to the scores, or None where nothing is masked."""
    node, dtype = build.replaced, _dtype(build.replaced)
    # Not minus infinity: it means the same where no row is blocked whole, and statistics stay finite.
    lowest = _lowest(dtype)
    if node.attributes.get_int("is_causal", 0):
        length = _length(node, 0)
        assert length is not None, "checked by _why_not_masked"
        open_keys = np.tril(np.ones((length, length), np.bool_))
        return build.constant(np.where(open_keys, np.zeros((), dtype), lowest), "causal_mask")
    mask = input_of(node, 3)
    array = mask_array(mask)
    if mask is None or array is None or masks_nothing(array):
        return None
    if array.dtype != np.bool_:
        return mask
    zero, blocked = build.constant(np.zeros((), dtype), "open"), build.constant(lowest, "blocked")
    return build.add("Where", [mask, zero, blocked], "mask")


def _lowest(dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the most negative finite number of a float type, bfloat16 included."""
    return np.array(ml_dtypes.finfo(dtype).min, dtype)  # type: ignore[no-untyped-call]
