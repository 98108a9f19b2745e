"""Fill in the type and shape of every value, as far as ONNX's inference and the file know them.

What inference finds wins over what the file says, which may be stale, as when somebody edited the batch of a model;
the file fills in what inference does not find, as behind an operator of another domain. There a type is also known from
those who read it: a Conv whose weight is float32 reads float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from quantlab.errors import ModelError
from quantlab.graph.load import inferred, of_one_type
from quantlab.graph.passes.queries import listing
from quantlab.graph.passes.raise_opset import OPSET

_Dimension = int | ir.SymbolicDim


def infer_shapes(model: ir.Model) -> tuple[str, ...]:
    """Infer types and shapes; symbols such as the batch stay symbols."""
    written = {value: value.shape for value in _inner_values(model.graph) if value.shape is not None}
    for value in written:
        value.shape = None
    try:
        _take_over(model.graph, inferred(model))
        stale = [repr(value.name) for value, shape in written.items() if _merge(value, shape)]
        if _take_types_of_readers(model) or written:
            _take_over(model.graph, inferred(model))
    except ModelError as error:
        return (f"shapes are known only as far as the file says: {error}",)
    if not stale:
        return ()
    return (f"the shapes that the file gives to {len(stale)} tensors contradict its graph: {listing(stale)}",)


def _inner_values(graph: ir.Graph) -> Iterator[ir.Value]:
    return (value for node in graph for value in node.outputs if not value.is_graph_output())


def _take_over(graph: ir.Graph, found: ir.Graph) -> None:
    by_name = ir.convenience.create_value_mapping(found)
    for value in (value for node in graph for value in node.outputs if value.name in by_name):
        known = by_name[value.name or ""]
        value.type = known.type or value.type
        value.shape = known.shape if known.shape is not None else value.shape


def _take_types_of_readers(model: ir.Model) -> bool:
    """Type what inference, which knows one direction only, left open; return whether there was any."""
    found = False
    for node in reversed(model.graph):
        for values in of_one_type(node, model.opset_imports.get("", OPSET)):
            known = next((value.type for value in values if value.type is not None), None)
            for value in values if known is not None else ():
                found |= value.type is None
                value.type = value.type or known
    return found


def _merge(value: ir.Value, written: ir.Shape) -> bool:
    """Fill what inference left open from the file, and return whether the two contradict each other."""
    found = value.shape
    if found is None:
        value.shape = written
        return False
    if len(found) != len(written):
        return True
    pairs = list(zip(found, written, strict=True))
    value.shape = ir.Shape([old if _is_blank(new) else new for new, old in pairs])
    return any(isinstance(new, int) and isinstance(old, int) and new != old for new, old in pairs)


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


def _dimension(axis: int, size: int, batch: ir.SymbolicDim | None, *, is_fixed: bool) -> _Dimension | None:
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


def _is_blank(dimension: _Dimension | None) -> bool:
    # onnx's inference names dimensions that it knows nothing about unk__0, unk__1, ...
    if dimension is None:
        return True
    return isinstance(dimension, ir.SymbolicDim) and (dimension.value is None or dimension.value.startswith("unk__"))
