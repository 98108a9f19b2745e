"""Turns a model and the names of inner tensors into a model that also outputs these tensors."""

from __future__ import annotations

from collections.abc import Sequence

from quantlab.errors import EngineError
from quantlab.graph.model import Model


def add_taps(model: Model, taps: Sequence[str]) -> Model:
    """Return a clone of a model with further outputs, after its own and in the order given.

    Args:
        model: left as it is.
        taps: names of tensors of the main graph: inputs, or what nodes compute; those that are outputs already, or
            named twice, are added once.

    Raises:
        EngineError: there is no such tensor, or it is a constant.
    """
    tapped = model.clone()
    graph = tapped.graph
    by_name = {value.name: value for value in graph.inputs if value.name not in graph.initializers}
    by_name |= {value.name: value for node in graph for value in node.outputs}
    present = set(tapped.outputs)
    for tap in dict.fromkeys(taps):
        if tap in present:
            continue
        if tap in graph.initializers:
            raise EngineError(f"tap {tap!r}: it is a constant of {model.name}; read it from the model")
        if tap not in by_name or not tap:
            raise EngineError(f"tap {tap!r}: {model.name} has no such tensor in its main graph")
        graph.outputs.append(by_name[tap])
    return tapped
