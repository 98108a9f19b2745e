"""An engine for tests: it computes a handful of operators in numpy, and can be told to fail or to count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Session
from quantlab.engines.tap import add_taps
from quantlab.errors import EngineError
from quantlab.graph.model import Model


def _quantize(x: Array, scale: Array, zero: Array) -> Array:
    limits = np.iinfo(zero.dtype)
    quantized: Array = np.clip(np.rint(x / scale) + zero, limits.min, limits.max).astype(zero.dtype)
    return quantized


def _dequantize(q: Array, scale: Array, zero: Array) -> Array:
    return (q.astype(np.float32) - zero.astype(np.float32)) * scale


_OPERATORS: Mapping[str, Callable[..., Array]] = {
    "Abs": np.abs,
    "Neg": np.negative,
    "Add": np.add,
    "Mul": np.multiply,
    "MatMul": np.matmul,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Shape": lambda x: np.array(x.shape, np.int64),
    "Identity": np.copy,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}


@dataclass(frozen=True, slots=True)
class FakeEngine:
    """Computes in numpy.

    Attributes:
        is_simulation: what it says of itself.
        opened: the taps of each session opened, in order.
        batch_sizes: the size of each batch run, in order, over all sessions.
    """

    is_simulation: bool = False
    opened: list[tuple[str, ...]] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "fake"

    def open(self, model: Model, taps: Sequence[str] = ()) -> Session:
        self.opened.append(tuple(taps))
        tapped = add_taps(model, taps)
        for node in tapped.graph:
            if node.op_type not in _OPERATORS:
                raise EngineError(f"fake: node {node.name!r}: operator {node.op_type} is unknown")
        return _FakeSession(tapped, self.batch_sizes)

    def describe(self) -> dict[str, str]:
        return {"engine": "fake", "version": "0"}


class _FakeSession(Session):
    def __init__(self, model: Model, batch_sizes: list[int]) -> None:
        super().__init__(model.inputs, model.outputs)
        self._graph = model.graph
        self._batch_sizes = batch_sizes

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        self._batch_sizes.append(next(iter(feeds.values())).shape[0])
        values = dict(feeds)
        for name, value in self._graph.initializers.items():
            assert value.const_value is not None
            values[name] = value.const_value.numpy()
        for node in self._graph:
            arguments = [values[v.name or ""] for v in node.inputs if v is not None]
            values[_name(node.outputs[0])] = np.asarray(_OPERATORS[node.op_type](*arguments))
        return {name: values[name] for name in self.outputs}


def _name(value: ir.Value) -> str:
    return value.name or ""
