"""Says of every tensor that a TensorRT plan leaves float, wholly or for some of its readers, why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Reader
from quantlab.targets.draft import Draft
from quantlab.targets.graph_queries import constant, input_at, is_float
from quantlab.targets.tensorrt_joins import FUNCTIONS, moves_values, points_behind

_AVERAGES = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})
_POINTWISE = FUNCTIONS | frozenset(
    {"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "Min", "Max", "Where", "Erf", "Exp", "Log", "Sqrt"}
)
_BIAS = "TensorRT adds biases in float."
_OUTPUT = "A graph output is handed over in float."
_BODY = "The body of an If, Loop or Scan reads it in float."


@dataclass(frozen=True, slots=True)
class Explainer:
    """Finds the reasons once everything else is decided.

    Attributes:
        draft: it holds all points; skips are added.
        known: the reasons that placement rules gave, by the edge they are about.
        integer: the names of the nodes that run in integers.
    """

    draft: Draft
    known: Mapping[Reader, str]
    integer: Collection[str]

    def explain(self, model: Model) -> None:
        """Add a skip for every float tensor of the draft's model that something reads in float."""
        fed = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
        for value in (*fed, *(output for node in model.graph for output in node.outputs)):
            if is_float(value):
                self._explain_tensor(value, model.graph)
        for node in model.graph:
            bias = input_at(node, 2)
            if node.name in self.integer and bias is not None and constant(bias) is not None:
                self.draft.skip(bias.name or "", _BIAS)

    def _explain_tensor(self, value: ir.Value, graph: ir.Graph) -> None:
        name = value.name or ""
        point = self.draft.point(name)
        reasons: dict[str, list[Reader]] = {}
        for use in value.uses():
            edge = Reader(use.node.name or "", use.idx)
            if use.node.graph is not graph:
                reasons[_BODY] = []
            elif point is None or edge not in point.readers:
                reasons.setdefault(self.known.get(edge) or self._reason(value, use.node), []).append(edge)
        if value.is_graph_output() and not value.uses():
            reasons[_OUTPUT] = []
        is_about_all = len(reasons) == 1 and point is None
        for reason, edges in reasons.items():
            self.draft.skip(name, reason, () if is_about_all else edges)

    def _reason(self, value: ir.Value, reader: ir.Node) -> str:
        """Return why a node that no rule is about reads a value in float."""
        producer = value.producer()
        if reader.op_type in _AVERAGES:
            return f"TensorRT computes {reader.op_type} in float; INT8 would only add conversions."
        if moves_values(reader) or reader.op_type == "Concat":
            if points_behind(reader, self.draft):
                return f"The Q/DQ pair sits behind {reader.op_type}, where a product reads; TensorRT moves it across."
            return f"Nothing behind {reader.op_type} is computed in integers from what it moves."
        if reader.op_type not in _POINTWISE:
            return f"{reader.op_type} has no integer kernel in TensorRT."
        if producer is not None and producer.name in self.integer:
            return f"{producer.op_type} and what follows it become one kernel; nothing is rounded between them."
        return f"{reader.op_type} is computed in float, in one kernel with its neighbours."
