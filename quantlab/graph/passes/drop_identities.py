"""Remove nodes that hand their input on: Identity, and Dropout outside training."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.queries import constant, input_of, is_op, is_read, label


def drop_identities(model: ir.Model) -> tuple[str, ...]:
    """Remove Identity and inference Dropout; the names of inputs and outputs stay."""
    notes: list[str] = []
    for node in list(model.graph):
        if is_op(node, "Dropout") and (reason := _why_it_acts(node)):
            notes.append(f"{label(node)} stays: {reason}")
        elif is_op(node, "Identity", "Dropout"):
            _bypass(model.graph, node)
    return tuple(notes)


def _why_it_acts(node: ir.Node) -> str | None:
    """Return why a Dropout cannot go, or None where it only hands its input on."""
    if len(node.outputs) > 1 and is_read(node.outputs[1]):
        return "its mask is used"
    training = input_of(node, 2)
    if training is None:
        return None
    flag = constant(training)
    if flag is None:
        return "whether it is in training mode is computed"
    return "it is in training mode; export the model with training off" if flag.any() else None


def _bypass(graph: ir.Graph, node: ir.Node) -> None:
    source, output = node.inputs[0], node.outputs[0]
    if source is None:
        return
    if output.is_graph_output():
        producer = source.producer()
        # The output's name must stay, so it moves to the source; that must be a value free to be renamed.
        if producer is None or producer.graph is not graph or source.is_graph_output():
            return
        source.name = output.name
    ir.convenience.replace_all_uses_with(output, source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
