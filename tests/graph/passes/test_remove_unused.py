from __future__ import annotations

import numpy as np

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, parsed, prepared


def test_what_reaches_no_output_goes_and_inputs_stay():
    model = parsed(
        "g (float[N,4] x, float[N,4] z) => (float[N,4] y) { a = Neg(x)  b = Add(a, w)  y = Relu(x) }",
        w=np.ones(4, np.float32),
    )
    after = prepared(model)
    assert ops(after) == ["Relu"]
    assert not after.graph.initializers
    assert [spec.name for spec in after.inputs] == ["x", "z"]


def test_what_only_a_subgraph_reads_stays():
    model = parsed(
        """g (float[N,4] x, bool c) => (float[N,4] y) { a = Neg(x)  y = If(c) <
        then_branch = t () => (float[N,4] p) { p = Add(a, w) },
        else_branch = e () => (float[N,4] q) { q = Abs(x) }> }""",
        w=np.ones(4, np.float32),
    )
    after = prepare(model)
    assert ops(after) == ["Neg", "If"]
    assert list(after.graph.initializers) == ["w"]
