"""Adds casts and constants to a graph, under names that are free."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.data.batch import Array
from quantlab.graph.model import Model
from quantlab.qdq.insert import initializer


class Casting:
    """Adds to one model, which it changes."""

    def __init__(self, model: Model) -> None:
        self._graph = model.graph
        self._names = set(model.values_by_name())
        for node in ir.traversal.RecursiveGraphIterator(model.graph):
            self._names |= {value.name for value in node.outputs if value.name}

    def cast(self, value: ir.Value, dtype: ir.DataType, suffix: str) -> ir.Value:
        """Return a value in another type, by a cast right behind it."""
        output = ir.Value(name=self.fresh(f"{value.name}{suffix}"), type=ir.TensorType(dtype), shape=value.shape)
        cast = ir.node("Cast", [value], {"to": dtype}, outputs=[output], name=f"{output.name}_Cast")
        producer = value.producer()
        if producer is not None:
            self._graph.insert_after(producer, cast)
        else:
            self._graph.insert_before(self._graph[0], cast)
        return output

    def constant(self, name: str, array: Array) -> ir.Value:
        """Return a new constant."""
        value = initializer(self.fresh(name), array)
        self._graph.register_initializer(value)
        return value

    def hand_over_outputs(self, old: ir.Value, new: ir.Value, suffix: str) -> None:
        """Put one value in the place of another among the graph's outputs, under the name that users know."""
        if not old.is_graph_output():
            return
        for index, output in enumerate(self._graph.outputs):
            if output is old:
                self._graph.outputs[index] = new
        name = old.name
        old.name = self.fresh(f"{name}{suffix}")
        new.name = name

    def fresh(self, wanted: str) -> str:
        """Return a free name, and take it."""
        name, number = wanted, 1
        while name in self._names:
            name, number = f"{wanted}_{number}", number + 1
        self._names.add(name)
        return name
