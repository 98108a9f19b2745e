from __future__ import annotations

import pytest

from quantlab.graph.quantized import is_quantized, quantized_nodes
from tests.graph.models import parsed


def test_a_float_model_is_not_quantized():
    assert not is_quantized(parsed("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }"))


@pytest.mark.parametrize(
    ("graph", "first"),
    [
        (
            """g (float[N,4] x) => (float[N,4] y) <float s = {0.1}, uint8 z = {0}> {
            [quantize] q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }""",
            "QuantizeLinear 'quantize'",
        ),
        (
            """g (uint8[N,4] x, uint8[4,3] w) => (int32[N,3] y) { y = MatMulInteger(x, w) }""",
            "MatMulInteger 'y'",
        ),
        (
            """g (float[N,4] x, bool c) => (float[N,4] y) <float s = {0.1}, uint8 z = {0}> {
            y = If(c) <
            then_branch = t () => (float[N,4] a) { q = QuantizeLinear(x, s, z)  a = DequantizeLinear(q, s, z) },
            else_branch = e () => (float[N,4] b) { b = Relu(x) }> }""",
            "QuantizeLinear 'q'",
        ),
    ],
)
def test_integer_nodes_are_found_and_named(graph, first):
    model = parsed(graph)
    assert is_quantized(model)
    assert quantized_nodes(model)[0] == first
