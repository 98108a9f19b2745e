"""Decides which nodes of a model run in integers on ONNX Runtime, and says of every other node why it does not.

All nodes that may run in integers start as integer ones. A node that pays only between integers (an addition, a pool,
a depthwise convolution, a tiny product) is then taken back when no more than half of what it reads is rounded anyway,
or nothing that reads it runs in integers; that is repeated until nothing changes, so that a chain of float neighbours
collapses from its ends. The result does not depend on the order.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.targets import graph_queries as ask
from quantlab.targets import onnxruntime_kernels as kernels
from quantlab.targets.onnxruntime_constants import Constants, ConstantsClaimed, is_foldable


class Decisions:
    """Which nodes run in integers, and why the others do not."""

    def __init__(self, model: Model, keep: Mapping[str, str]) -> None:
        self._model = model
        self._keep = keep
        self.reasons: dict[ir.Node, str] = {}
        self.constants: dict[ir.Node, Constants] = {}
        self._conditions: dict[ir.Node, str] = {}
        self._activations: dict[ir.Node, ir.Node] = {}
        claimed = ConstantsClaimed()
        for node in model.graph:
            self._consider(node, claimed)
        self._settle()

    def is_integer(self, node: ir.Node | None) -> bool:
        """Whether a node runs in integers."""
        return node is not None and node.graph is self._model.graph and node not in self.reasons

    def activation_of(self, node: ir.Node) -> ir.Node | None:
        """Return the Relu or Clip that disappears into the rounding of an integer node's output, or None."""
        return self._activations.get(node)

    def output_of(self, node: ir.Node) -> ir.Value:
        """Return the value that an integer node leaves: its first output, or that of its folded activation."""
        return self._activations.get(node, node).outputs[0]

    def maker_of(self, value: ir.Value) -> ir.Node | None:
        """Return the integer node that makes a value, itself or through its folded activation, or None."""
        node = value.producer()
        if node is not None and node.op_type in ("Relu", "Clip"):
            before = node.inputs[0].producer() if node.inputs[0] is not None else None
            if before is not None and self._activations.get(before) is node:
                node = before
        return node if self.is_integer(node) else None

    def has_integer_reader(self, node: ir.Node) -> bool:
        """Whether an integer node reads what a node leaves."""
        values = node.outputs if len(node.outputs) > 1 else (self.output_of(node),)
        return any(self.reads(use.node, use.idx) for value in values for use in value.uses())

    def reads(self, node: ir.Node, index: int) -> bool:
        """Whether a node runs in integers and reads this input as an activation."""
        return self.is_integer(node) and index in kernels.data_inputs(node)

    def _consider(self, node: ir.Node, claimed: ConstantsClaimed) -> None:
        """Look at a node alone: what it is, not what is around it."""
        reason = self._keep.get(node.name or "") or kernels.refusal(node)
        if reason is None and any(ask.is_read_in_body(self._model, value) for value in node.outputs):
            reason = "The body of an If, Loop or Scan reads it, and an edge into a body cannot be quantized."
        constants = claimed.claim(node) if reason is None and kernels.kind_of(node) == "product" else None
        if isinstance(constants, str):
            reason = constants
        elif constants is not None:
            self.constants[node] = constants
        if reason is not None:
            self.reasons[node] = reason
            return
        condition = kernels.pays_only_between_integers(node)
        if condition is not None:
            self._conditions[node] = condition
        if kernels.folds_activation(node):
            reader = ask.only_reader(node.outputs[0])
            if reader is not None and reader.name not in self._keep and self._is_foldable(reader):
                self._activations[node] = reader

    def _is_foldable(self, node: ir.Node) -> bool:
        return is_foldable(node) and not ask.is_read_in_body(self._model, node.outputs[0])

    def _settle(self) -> None:
        is_settled = False
        while not is_settled:
            is_settled = True
            for node, condition in self._conditions.items():
                lack = None if node in self.reasons else self._lack(node)
                if lack is not None:
                    self.reasons[node] = f"{condition}, and {lack}."
                    is_settled = False

    def _lack(self, node: ir.Node) -> str | None:
        rounded, floating = 0, 0
        for index in kernels.data_inputs(node):
            value = node.inputs[index]
            size = ask.size_of_sample(value) or 1
            if value is not None and self._is_rounded_anyway(value, node):
                rounded += size
            else:
                floating += size
        if rounded <= floating:
            return "too much of what it reads is float" if rounded else "what it reads is float"
        if kernels.shrinks(node) or self.has_integer_reader(node):
            return None
        return "nothing that reads it runs in integers"

    def _is_rounded_anyway(self, value: ir.Value, reader: ir.Node) -> bool:
        """Whether an integer node makes a value, or an always paying product reads what a join or move reads too."""
        if self.maker_of(value) is not None:
            return True
        return kernels.kind_of(reader) != "product" and any(
            self.reads(use.node, use.idx) and use.node not in self._conditions for use in value.uses()
        )
