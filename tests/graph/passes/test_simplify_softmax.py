from __future__ import annotations

import numpy as np
import pytest

from quantlab.graph.prepare import prepare
from tests.graph.models import assert_same_outputs, ops, parsed, prepared, random_feeds

GUARD = "n = IsNaN(p)  [guard] w = Where(n, zero, p)  y = MatMul(w, v)"
INPUTS = "(float[N,3,4] q, float[N,4,3] k, float[N,3,4] v)"
ZERO = np.zeros((), np.float32)
BLOCKED = -np.inf


def test_a_guard_behind_a_plain_softmax_goes():
    model = parsed(f"g {INPUTS} => (float[N,3,4] y) {{ s = MatMul(q, k)  [soft] p = Softmax(s)  {GUARD} }}", zero=ZERO)
    after = prepared(model)
    assert ops(after) == ["MatMul", "Softmax", "MatMul"]
    assert after.notes == ("1 guards against NaN behind Softmax were dropped: 'soft'",)


def test_a_guard_behind_a_mask_that_leaves_every_row_open_goes():
    mask = np.where(np.tril(np.ones((3, 3), bool)), 0, BLOCKED).astype(np.float32)
    model = parsed(
        f"""g {INPUTS} => (float[N,3,4] y) {{ s = MatMul(q, k)  c = Div(s, two)  m = Add(c, mask)
        p = Softmax(m)  {GUARD} }}""",
        zero=ZERO,
        two=np.array(2, np.float32),
        mask=mask,
    )
    assert ops(prepared(model)) == ["MatMul", "Div", "Add", "Softmax", "MatMul"]


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.array([[0, 0, 0], [BLOCKED] * 3, [0, 0, 0]], np.float32), "blocks a whole row"),
        (None, "masked by what is fed"),
    ],
)
def test_a_guard_that_a_mask_makes_needed_stays_with_its_reason(mask, reason):
    extra = {} if mask is None else {"mask": mask}
    feed = ", float[3,3] mask" if mask is None else ""
    model = parsed(
        f"g {INPUTS[:-1]}{feed}) => (float[N,3,4] y) {{ s = MatMul(q, k)  m = Add(s, mask)  p = Softmax(m)  {GUARD} }}",
        zero=ZERO,
        **extra,
    )
    after = prepare(model)
    assert "Where" in ops(after)
    assert "'guard' stays" in after.notes[0]
    assert reason in after.notes[0]
    feeds = random_feeds(model)
    if mask is None:
        feeds["mask"] = np.full((3, 3), BLOCKED, np.float32)
    assert_same_outputs(model, after, feeds)


@pytest.mark.parametrize(
    "body",
    [
        """b = Shape<end = 1>(q)  c = Concat<axis = 0>(b, rest)  e = Expand(open, c)  t = Where(e, zero, low)
        m = Add(s, t)  p = Softmax(m)""",
        "m = Where(open, s, low)  p = Softmax(m)",
        "m = Where(shut, low, s)  p = Softmax(m)",
        "f = Flatten(s)  h = Shape(s)  m = Reshape(f, h)  p = Softmax<axis = 2>(m)",
    ],
)
def test_constant_masks_in_every_form_are_seen_through(body):
    model = parsed(
        f"g {INPUTS} => (float[N,3,4] y) {{ s = MatMul(q, k)  {body}  {GUARD} }}",
        zero=ZERO,
        low=np.array(BLOCKED, np.float32),
        open=np.tril(np.ones((1, 3, 3), bool)),
        shut=~np.tril(np.ones((1, 3, 3), bool)),
        rest=np.array([3, 3]),
    )
    assert "IsNaN" not in ops(prepared(model))


@pytest.mark.parametrize(
    "body",
    [
        "m = Where(shut, s, low)  p = Softmax(m)",
        "m = Where(open, low, s)  p = Softmax(m)",
        "c = IsInf(s)  m = Where(c, low, s)  p = Softmax(m)",
        "t = Where(shut, zero, low)  a = Add(s, t)  m = Transpose<perm = [0, 2, 1]>(a)  p = Softmax(m)",
        "p = Softmax<axis = 1>(s)",
    ],
)
def test_a_mask_that_may_block_a_row_keeps_the_guard(body):
    model = parsed(
        f"g {INPUTS} => (float[N,3,4] y) {{ s = MatMul(q, k)  {body}  {GUARD} }}",
        zero=ZERO,
        low=np.array(BLOCKED, np.float32),
        open=np.tril(np.ones((1, 3, 3), bool)),
        shut=~np.tril(np.ones((1, 3, 3), bool)),
    )
    assert "IsNaN" in ops(prepared(model))


@pytest.mark.parametrize(
    "body",
    [
        "s = MatMul(q, k)  p = Softmax(s)  n = IsNaN(p)  w = Where(n, one, p)  y = MatMul(w, v)",
        "s = MatMul(q, k)  p = Softmax(s)  n = IsNaN(s)  w = Where(n, zero, p)  y = MatMul(w, v)",
        "s = MatMul(q, k)  p = Sqrt(s)  n = IsNaN(p)  w = Where(n, zero, p)  y = MatMul(w, v)",
        "s = MatMul(q, k)  p = Softmax(s)  n = IsInf(p)  w = Where(n, zero, p)  y = MatMul(w, v)",
    ],
)
def test_what_only_looks_like_a_guard_stays(body):
    model = parsed(f"g {INPUTS} => (float[N,3,4] y) {{ {body} }}", zero=ZERO, one=np.ones((), np.float32))
    assert "Where" in ops(prepared(model))
