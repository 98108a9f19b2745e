from __future__ import annotations

import numpy as np

from quantlab.graph.prepare import prepare
from tests.graph.models import parsed, prepared

SQUARE = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)


def read_by(model):
    return {node.name: [value.name for value in node.inputs[1:] if value is not None] for node in model.graph}


def test_a_weight_read_along_two_axes_gets_a_copy():
    model = parsed(
        """g (float[N,4] x) => (float[N,4] y) { [a] t = MatMul(x, w)  [b] u = Gemm<transB = 1>(t, w)
        [c] y = MatMul(u, w) }""",
        w=SQUARE,
    )
    after = prepared(model)
    assert read_by(after) == {"a": ["w"], "b": ["w/axis0"], "c": ["w"]}
    copies = after.graph.initializers
    assert copies["w"].const_value is copies["w/axis0"].const_value
    assert after.notes == ("1 copies of shared weights were made, one per encoding: 'w'",)


def test_a_weight_read_along_one_axis_stays_shared():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { [a] t = MatMul(x, w)  [b] y = Gemm(t, w) }", w=SQUARE)
    after = prepared(model)
    assert read_by(after) == {"a": ["w"], "b": ["w"]}
    assert after.notes == ()


def test_a_bias_that_exporters_shared_gets_one_copy_per_layer():
    model = parsed(
        """g (float[N,4,2,2] x) => (float[N,4,2,2] y) { [a] t = Conv(x, w, b)  [b] u = Conv(t, w, b)
        [c] y = ConvTranspose(u, w, b) }""",
        w=SQUARE.reshape(4, 4, 1, 1),
        b=np.ones(4, np.float32),
    )
    after = prepared(model)
    assert read_by(after) == {"a": ["w", "b"], "b": ["w", "b/b"], "c": ["w/axis1", "b/c"]}


def test_a_bias_that_is_also_added_elsewhere_gets_a_copy_and_an_embedding_does_not():
    model = parsed(
        """g (float[N,4] x, int64[N] i) => (float[N,4] y) { e = Gather(w, i)  [a] t = Gemm<transB = 1>(x, w, b)
        u = Add(t, b)  y = Add(u, e) }""",
        w=SQUARE,
        b=np.ones(4, np.float32),
    )
    after = prepare(model)
    assert read_by(after)["a"] == ["w", "b"]
    assert read_by(after)["Add_u"] == ["b/constant"]
    assert "w/axis0" not in after.graph.initializers


def test_a_bias_that_two_adds_give_to_their_products_gets_a_copy():
    model = parsed(
        """g (float[N,2,4] x) => (float[N,2,4] y) { [a] t = MatMul(x, w)  [b] u = Add(b, t)
        [c] v = MatMul(u, w)  [d] y = Add(v, b) }""",
        w=SQUARE,
        b=np.ones(4, np.float32),
    )
    after = prepared(model)
    adds = [[value and value.name for value in node.inputs] for node in after.graph if node.op_type == "Add"]
    assert adds == [["b", "t"], ["v", "b/d"]]
