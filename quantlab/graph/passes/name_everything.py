"""Give every node and value of the main graph a unique name that is the same in every run.

Names that are there and unique stay, so that what a plan or a report says is what the user sees in the file.
Subgraphs are left alone; their names are only avoided.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.queries import listing


def name_everything(model: ir.Model) -> tuple[str, ...]:
    """Name nodes after their operator and first output, values after their node."""
    graph = model.graph
    inner = [node for node in ir.traversal.RecursiveGraphIterator(graph) if node.graph is not graph]
    _name_values(graph, {value.name for node in inner for value in node.outputs if value.name})
    renamed = _name_nodes(graph, {node.name for node in inner if node.name})
    if not renamed:
        return ()
    return (f"{len(renamed)} nodes shared a name with another and were renamed: {listing(renamed)}",)


def _name_nodes(graph: ir.Graph, avoided: set[str]) -> list[str]:
    """Name the nodes that need it, and return the new names of those that had one."""
    taken: set[str] = set()
    unnamed: list[ir.Node] = []
    for node in graph:
        if node.name and node.name not in taken:
            taken.add(node.name)
        else:
            unnamed.append(node)
    taken |= avoided
    renamed: list[str] = []
    for node in unnamed:
        output = next((value.name for value in node.outputs if value.name), "")
        had_name = bool(node.name)
        node.name = _unique(node.name or f"{node.op_type}_{output}", taken)
        renamed += [repr(node.name)] if had_name else []
    return renamed


def _name_values(graph: ir.Graph, avoided: set[str]) -> None:
    """Name the values that need it; the loader saw to it that no two of them share a name."""
    interface = [*graph.inputs, *graph.outputs, *graph.initializers.values()]
    values = [*interface, *(value for node in graph for value in node.outputs)]
    taken = avoided | {value.name for value in values if value.name}
    for value in values:
        # An output that is left out has no name and must not get one.
        if not value.name and value.uses():
            node = value.producer()
            value.name = _unique(f"{node.op_type}_output" if node else "value", taken)


def _unique(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    taken.add(name)
    return name
