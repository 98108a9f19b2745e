"""Fill in the type and shape of every value, as far as ONNX's inference knows the operators."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass


def infer_shapes(model: ir.Model) -> tuple[str, ...]:
    """Infer types and shapes; symbols such as the batch stay symbols."""
    # Not strict: an operator of another domain leaves its outputs unknown instead of ending the inference.
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
    return ()


def fill_shapes(model: ir.Model, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """Take the shapes that inference could not find from a run, then infer the rest from them.

    One run tells only one size. Hence axis 0 keeps the batch symbol where the inputs have one, and where an input is
    free in another axis too, only the number of axes is taken.

    Args:
        model: changed in place.
        shapes: the shape that each tensor had in the run, by name.
    """
    batch, is_fixed_otherwise = _freedom(model.graph)
    filled = 0
    for value in (value for node in model.graph for value in node.outputs):
        seen = shapes.get(value.name or "")
        if seen is None or _is_known(value.shape):
            continue
        before = value.shape if value.shape is not None and len(value.shape) == len(seen) else [None] * len(seen)
        value.shape = ir.Shape(
            [
                known if not _is_blank(known) else _dimension(axis, size, batch, is_fixed=is_fixed_otherwise)
                for axis, (known, size) in enumerate(zip(before, seen, strict=True))
            ]
        )
        filled += 1
    if not filled:
        return ()
    return (*infer_shapes(model), f"the shapes of {filled} tensors could not be inferred and were taken from a run")


def _dimension(axis: int, size: int, batch: ir.SymbolicDim | None, *, is_fixed: bool) -> int | ir.SymbolicDim | None:
    if axis == 0 and batch is not None:
        return batch
    return size if is_fixed else None


def _freedom(graph: ir.Graph) -> tuple[ir.SymbolicDim | None, bool]:
    """Return the symbol of a free batch, and whether all other axes of the inputs are fixed."""
    shapes = [value.shape for value in graph.inputs if value.name not in graph.initializers]
    batch = next((s[0] for s in shapes if s is not None and len(s) and isinstance(s[0], ir.SymbolicDim)), None)
    is_fixed = all(s is not None and all(isinstance(d, int) for d in s[1:]) for s in shapes)
    return batch, is_fixed


def _is_known(shape: ir.Shape | None) -> bool:
    return shape is not None and not any(_is_blank(dimension) for dimension in shape)


def _is_blank(dimension: int | ir.SymbolicDim | None) -> bool:
    # onnx's inference names dimensions that it knows nothing about unk__0, unk__1, ...
    if dimension is None:
        return True
    return isinstance(dimension, ir.SymbolicDim) and (dimension.value is None or dimension.value.startswith("unk__"))
