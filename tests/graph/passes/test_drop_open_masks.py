from __future__ import annotations

import numpy as np
import pytest

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, parsed, prepared

INPUTS = "(float[N,3,4] q, float[N,4,3] k)"
EXPAND = "n = Shape<end = 1>(q)  c = Concat<axis = 0>(n, rest)  e = Expand(mask, c)"
REST = np.array([3, 3])


@pytest.mark.parametrize("order", ["s, e", "e, s"])
def test_zeros_repeated_over_the_batch_are_not_added(order):
    body = f"s = MatMul(q, k)  {EXPAND}  m = Add({order})  [soft] y = Softmax(m)"
    model = parsed(f"g {INPUTS} => (float[N,3,3] y) {{ {body} }}", mask=np.zeros((1, 3, 3), np.float32), rest=REST)
    after = prepared(model)
    assert ops(after) == ["MatMul", "Softmax"]
    assert after.notes == ("1 additions of a mask that masks nothing before Softmax were dropped: 'soft'",)


def test_a_choice_that_always_falls_on_zero_is_not_added():
    model = parsed(
        f"""g {INPUTS} => (float[N,3,3] y) {{ s = MatMul(q, k)  {EXPAND}  w = Where(e, zero, low)  m = Add(s, w)
        y = Softmax(m) }}""",
        mask=np.ones((1, 3, 3), bool),
        rest=REST,
        zero=np.zeros((), np.float32),
        low=np.array(-np.inf, np.float32),
    )
    assert ops(prepared(model)) == ["MatMul", "Softmax"]


def test_scores_that_others_read_keep_their_addition():
    body = "s = MatMul(q, k)  m = Add(s, mask)  y = Softmax(m)  z = Neg(m)"
    model = parsed(f"g {INPUTS} => (float[N,3,3] y, float[N,3,3] z) {{ {body} }}", mask=np.zeros((1, 3, 3), np.float32))
    assert ops(prepared(model)) == ["MatMul", "Add", "Softmax", "Neg"]


@pytest.mark.parametrize(
    ("mask", "inputs"),
    [
        (np.eye(3, dtype=np.float32)[None], INPUTS),
        (np.zeros((5, 1, 3, 3), np.float32), INPUTS),
        (np.zeros((4, 3, 3), np.float32), INPUTS.replace("N", "1")),
    ],
)
def test_a_mask_that_changes_or_widens_the_scores_stays(mask, inputs):
    axes = ",".join("ABCD"[: mask.ndim])
    model = parsed(
        f"g {inputs} => (float[{axes}] y) {{ s = MatMul(q, k)  m = Add(s, mask)  y = Softmax(m) }}", mask=mask
    )
    assert ops(prepare(model)) == ["MatMul", "Add", "Softmax"]
