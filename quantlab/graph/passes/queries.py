"""Questions that passes ask about nodes and values, and how notes name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir


def label(node: ir.Node) -> str:
    """Return what notes and errors call a node."""
    name = node.name or next((value.name for value in node.outputs if value.name), "")
    return f"{node.op_type} {name!r}"


def listing(names: Iterable[str], limit: int = 4) -> str:
    """Return names in one line, the first few where there are many."""
    all_names = list(names)
    more = len(all_names) - limit
    return ", ".join(all_names[:limit]) + (f" and {more} more" if more > 0 else "")


def is_op(node: ir.Node | None, *op_types: str) -> bool:
    """Return whether the node is one of these operators of the default domain."""
    return node is not None and not node.domain and node.op_type in op_types


def is_read(value: ir.Value) -> bool:
    """Return whether a node reads the value or the graph puts it out."""
    return bool(value.uses()) or value.is_graph_output()


def is_read_only_by(value: ir.Value, node: ir.Node) -> bool:
    """Return whether nothing but this node sees the value."""
    return not value.is_graph_output() and {user for user, _ in value.uses()} == {node}


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """Return an input, or None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def constant(value: ir.Value | None) -> npt.NDArray[Any] | None:
    """Return the array of an initializer that no caller can feed, or None for any other value."""
    if value is None or value.const_value is None or not value.is_initializer() or value.is_graph_input():
        return None
    return value.const_value.numpy()


def rank(value: ir.Value | None) -> int | None:
    """Return how many axes a value has, or None where it is unknown."""
    return None if value is None or value.shape is None else len(value.shape)


def fixed_axis(value: ir.Value | None, axis: int) -> int | None:
    """Return the size of an axis, or None where it is free or unknown."""
    if value is None or value.shape is None or not -len(value.shape) <= axis < len(value.shape):
        return None
    size = value.shape[axis]
    return size if isinstance(size, int) else None


def unique_name(graph: ir.Graph, wanted: str) -> str:
    """Return `wanted`, with a number behind it where a value of the graph has that name."""
    taken = {value.name for node in ir.traversal.RecursiveGraphIterator(graph) for value in node.outputs}
    taken |= {value.name for inner in (graph, *graph.subgraphs()) for value in inner.inputs}
    taken |= {name for inner in (graph, *graph.subgraphs()) for name in inner.initializers}
    name, number = wanted, 1
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name


def new_initializer(graph: ir.Graph, wanted: str, array: npt.NDArray[Any]) -> ir.Value:
    """Add a constant to the graph under `wanted`, or a name like it where that is taken."""
    name = unique_name(graph, wanted)
    tensor = ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor)
    graph.register_initializer(value)
    return value
