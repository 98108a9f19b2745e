"""Compute once what depends on constants only, and shapes that are known, by onnxscript's folding."""

from __future__ import annotations

import math

import onnx_ir as ir

from quantlab.graph.passes.queries import is_op
from quantlab.graph.quiet import without_logs_of

# A result may be this large, or as large as the constants that it replaces.
_LIMIT_ELEMENTS = 2**20
_ANY_SIZE = 2**62


def fold_constants(model: ir.Model) -> tuple[str, ...]:
    """Replace nodes of the main graph whose inputs are constant by their result.

    A result is kept only up to 1 Mi elements, or up to the size of the constants that disappear with it.
    """
    # onnxscript takes a moment to import and is needed here only.
    from onnxscript import optimizer

    graph = model.graph

    def should_fold(node: ir.Node) -> bool | None:
        if node.graph is not graph or _grows(node):
            return False
        # onnxscript keeps these for the sake of size; small ones, such as the shape of an Expand, may go.
        return True if is_op(node, "ConstantOfShape") else None

    notes: tuple[str, ...] = ()
    try:
        # It warns about each operator that it has no evaluator for; that is no trouble of the user's.
        with without_logs_of("onnxscript"):
            optimizer.fold_constants(
                model,
                onnx_shape_inference=True,
                input_size_limit=_ANY_SIZE,
                output_size_limit=_LIMIT_ELEMENTS,
                should_fold=should_fold,
            )
    except RuntimeError as error:
        # It works node by node, so that what is folded so far stays right.
        notes = (f"constants after one node were not folded: {error}",)
    for value in [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]:
        value.metadata_props.pop(optimizer.FOLDED_FROM_KEY, None)
    return notes


def _grows(node: ir.Node) -> bool:
    """Return whether computing the node could make a tensor that is larger than the limit and than its inputs."""
    sizes = [value.const_value.size for value in node.inputs if value is not None and value.const_value is not None]
    shape = node.outputs[0].shape
    if shape is None or not all(isinstance(size, int) for size in shape):
        # Unknown until computed, so let nothing start that is large already, or that makes size from nothing.
        return sum(sizes) > _LIMIT_ELEMENTS or is_op(node, "ConstantOfShape", "Expand", "Tile", "Range")
    return math.prod(int(str(size)) for size in shape) > max(_LIMIT_ELEMENTS, *sizes, 0)
