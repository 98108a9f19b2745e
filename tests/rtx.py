"""Builds models with TensorRT-RTX on a machine without a GPU, and asks which nodes of a plan became INT8 layers.

That is a proof of which nodes became integer layers, and of nothing else: no kernel is chosen and nothing runs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import pytest

from quantlab.audit.tensorrt import runs_in_int8
from quantlab.engines import tensorrt
from quantlab.engines.tensorrt import BuildSettings, EngineLayer, parse_layers
from quantlab.graph.model import Model
from quantlab.plan import Plan

__all__ = ["BuiltEngine", "EngineLayer", "build_engines", "parse_layers", "requires_rtx"]

requires_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="the package tensorrt-rtx is not installed"
)


class BuiltEngine:
    """What the builder made of a model."""

    def __init__(self, engine: tensorrt.BuiltEngine) -> None:
        self.layers = engine.layers
        self.seconds = engine.seconds

    def float_nodes_of(self, plan: Plan) -> tuple[str, ...]:
        """Return the integer nodes of a plan that no layer computes from integers, weights included."""
        weighted = {reader.node for point in plan.of_role("weight") for reader in point.readers}
        return tuple(
            node for node in plan.integer_nodes if not runs_in_int8(self.layers_of(node), has_weight=node in weighted)
        )

    def layers_of(self, node: str) -> tuple[EngineLayer, ...]:
        """Return the layers that compute an ONNX node."""
        return tuple(layer for layer in self.layers if node in layer.nodes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.layers))


def build_engines(models: Mapping[str, Model], *, timeout_s: float = 300.0) -> dict[str, BuiltEngine]:
    """Build every model in one process of its own.

    Args:
        models: by a name that may be a file's; free axes are built for sizes 1 to 8.
        timeout_s: limit for all builds together.

    Raises:
        EngineError: the builder refused a model, crashed on it or took too long; the message names the model.
    """
    settings = BuildSettings(runtime="tensorrt_rtx", timeout_s=timeout_s)
    engines = tensorrt.build_engines(models, settings, batches=(1, 4, 8))
    return {name: BuiltEngine(engine) for name, engine in engines.items()}
