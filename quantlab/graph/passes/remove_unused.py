"""Remove nodes of the main graph whose outputs nobody reads, and constants likewise."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.queries import is_read


def remove_unused(model: ir.Model) -> tuple[str, ...]:
    """Remove what does not reach an output; inputs stay."""
    graph = model.graph
    for node in reversed(graph):
        if not any(is_read(value) for value in node.outputs):
            graph.remove(node, safe=True)
    for name, value in list(graph.initializers.items()):
        if not is_read(value) and not value.is_graph_input():
            del graph.initializers[name]
    return ()
