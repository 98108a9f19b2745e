"""What TensorRT refuses as it was exported, and takes once it is prepared. Nothing runs: no GPU is needed."""

from __future__ import annotations

from typing import Any

import pytest

from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.save import to_bytes
from tests.graph.models import parsed

trt: Any = pytest.importorskip("tensorrt_rtx", reason="needs the TensorRT-RTX builder")
pytestmark = [pytest.mark.slow, pytest.mark.tensorrt]

LARGE_KERNEL = """g (float[2,8,7,7] x) => (float[2,8,1,1] y) { t = Relu(x)  y = AveragePool<
    kernel_shape = [1280, 1280], strides = [1280, 1280], ceil_mode = 1>(t) }"""
ATTENTION = (
    "g (float[2,3,17,8] q, float[2,3,17,8] k, float[2,3,17,8] v) => (float[2,3,17,8] y) { y = Attention(q, k, v) }"
)


def is_taken(model: Model) -> bool:
    """Return whether TensorRT-RTX parses the model and builds an engine for it."""
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
    is_parsed: bool = parser.parse(to_bytes(model))
    return is_parsed and builder.build_serialized_network(network, builder.create_builder_config()) is not None


@pytest.mark.parametrize(("graph", "opset"), [(LARGE_KERNEL, 17), (ATTENTION, 23)])
def test_a_prepared_model_is_taken(graph, opset):
    model = parsed(graph, opset, ir_version=10)
    assert not is_taken(model)
    assert is_taken(prepare(model))
