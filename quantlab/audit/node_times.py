"""Model → how long ONNX Runtime takes for each of its nodes, from the runtime's own profiler.

    time of a node = Σ over the kernels that came from it of their median over runs

A fused kernel's time is that of the node it is named after; nodes that went into it have none of their own. Kernels
that belong to no node (changes of layout) and Q/DQ nodes that stayed are counted apart. Profiling costs time itself,
about a microsecond per kernel: the times compare nodes with each other, and their sum is more than the latency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantlab.audit.onnxruntime import traceable, traced_number
from quantlab.data.batch import Feeds
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model

_CONVERTS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """How long a model's nodes take.

    Attributes:
        by_node: milliseconds by the name of the node; fused ones under the node the kernel is named after.
        converting_ms: of kernels that quantize, dequantize or change layouts.
        batch_size: samples per run.
        runs: how many runs the medians are of.
    """

    by_node: Mapping[str, float]
    converting_ms: float
    batch_size: int
    runs: int

    @property
    def total_ms(self) -> float:
        """The time of all kernels."""
        return sum(self.by_node.values()) + self.converting_ms


def node_times(model: Model, engine: OnnxRuntime, feeds: Feeds, runs: int = 20) -> NodeTimes:
    """Return how long each node of a model takes.

    Args:
        model: float or baked; it is not changed.
        engine: what runs it.
        feeds: one batch.
        runs: how many runs to take medians of, at least 1.

    Raises:
        EngineError: ONNX Runtime refuses the model, or fails while it runs.
    """
    nodes = model.nodes_by_name()
    names = list(nodes)
    told = engine.profile(traceable(model), feeds, runs)
    kernels = {kernel for run in told for kernel in run}
    by_node: dict[str, float] = defaultdict(float)
    converting = 0.0
    for kernel in sorted(kernels):
        milliseconds = float(np.median([run.get(kernel, 0.0) for run in told])) / 1000
        number = traced_number(kernel)
        name = None if number is None else names[number]
        if name is None or nodes[name].op_type in _CONVERTS:
            converting += milliseconds
        else:
            by_node[name] += milliseconds
    return NodeTimes(dict(by_node), converting, next(iter(feeds.values())).shape[0], len(told))
