"""A model in memory: an onnx-ir graph that stages hand to each other.

Stages never change a model they were given: they `clone` it, which copies the nodes and shares the tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir

from quantlab.data.batch import Array, InputSpec
from quantlab.errors import ModelError


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """An ONNX graph and where it came from.

    Attributes:
        ir_model: the graph; read it freely, change it only in a clone.
        path: the file it was loaded from, or None.
        notes: sentences about what `prepare` did or refused to do, in order.
    """

    ir_model: ir.Model
    path: Path | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def graph(self) -> ir.Graph:
        """The main graph."""
        return self.ir_model.graph

    @property
    def name(self) -> str:
        """What reports call the model."""
        return self.path.name if self.path else (self.graph.name or "model")

    @property
    def opset(self) -> int:
        """The version of the default ONNX domain."""
        return self.ir_model.opset_imports.get("", 1)

    def clone(self) -> Model:
        """Return a model whose nodes may be changed; the tensors are shared."""
        return Model(self.ir_model.clone(), self.path, self.notes)

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The inputs a caller must feed (initializers that are listed as inputs are not among them)."""
        return tuple(input_spec(v) for v in self.graph.inputs if v.name not in self.graph.initializers)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs, in order."""
        return tuple(v.name or "" for v in self.graph.outputs)

    def values_by_name(self) -> dict[str, ir.Value]:
        """Return every value of the main graph by name: inputs, initializers, outputs of nodes."""
        values = {v.name: v for v in self.graph.inputs if v.name}
        values |= dict(self.graph.initializers)
        values |= {v.name: v for node in self.graph for v in node.outputs if v.name}
        return values

    def nodes_by_name(self) -> dict[str, ir.Node]:
        """Return every named node of the main graph by name."""
        return {node.name: node for node in self.graph if node.name}

    def constant(self, name: str) -> Array:
        """Return the values of an initializer.

        Raises:
            ModelError: the main graph has no initializer of that name.
        """
        value = self.graph.initializers.get(name)
        if value is None or value.const_value is None:
            raise ModelError(f"{self.name}: no initializer named {name!r}; plans belong to the prepared model")
        return np.asarray(value.const_value.numpy())

    @property
    def size_bytes(self) -> int:
        """Bytes of all initializers of the main graph."""
        tensors = (v.const_value for v in self.graph.initializers.values())
        return sum(int(t.nbytes) for t in tensors if t is not None)

    def __str__(self) -> str:
        lines = [f"{self.name}: opset {self.opset}, {len(self.graph)} nodes, {self.size_bytes / 1e6:.2f} MB of weights"]
        lines += [f"  input  {spec}" for spec in self.inputs]
        lines += [f"  output {name}" for name in self.outputs]
        return "\n".join(lines)


def input_spec(value: ir.Value) -> InputSpec:
    """Return the name, numpy type and shape of a graph input."""
    shape: tuple[int | str | None, ...] | None = None
    if value.shape is not None:
        shape = tuple(d if isinstance(d, int) else d.value for d in value.shape)
    dtype = np.dtype(np.float32) if value.dtype is None else value.dtype.numpy()
    return InputSpec(value.name or "", dtype, shape)
