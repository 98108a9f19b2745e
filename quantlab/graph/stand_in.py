"""A graph of one node that stands for something built from a model, so that it can be judged beside models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from quantlab.data.batch import InputSpec
from quantlab.graph.model import Model

_DOMAIN = "quantlab"
_OPSET = 21
_IR_VERSION = 10


def stand_in_for(path: Path, operator: str, inputs: Sequence[InputSpec], outputs: Sequence[str]) -> Model:
    """Return a model with the inputs and outputs of what lies in a file.

    Args:
        path: the file.
        operator: what is in it, such as `TensorRTPlan`; no runtime has an operator of this name.
        inputs: what it must be fed.
        outputs: the names of what comes out.
    """
    fed = [_value(spec) for spec in inputs]
    made = [ir.Value(name=name) for name in outputs]
    node = ir.Node(_DOMAIN, operator, fed, outputs=made, name=path.name)
    graph = ir.Graph(fed, made, nodes=[node], opset_imports={"": _OPSET, _DOMAIN: 1}, name=path.stem)
    return Model(ir.Model(graph, ir_version=_IR_VERSION), path)


def is_stand_in(model: Model) -> bool:
    """Whether a model only stands for what lies in its file."""
    return len(model.graph) == 1 and model.graph[0].domain == _DOMAIN


def _value(spec: InputSpec) -> ir.Value:
    shape = None if spec.shape is None else ir.Shape(spec.shape)
    return ir.Value(name=spec.name, shape=shape, type=ir.TensorType(ir.DataType.from_numpy(spec.dtype)))
