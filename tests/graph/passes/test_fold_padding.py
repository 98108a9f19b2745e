from __future__ import annotations

import numpy as np
import pytest

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, parsed, prepared

WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
HEAD = "g (float[N,3,8,8] x) => (float[N,4,A,B] y)"


@pytest.mark.parametrize("attributes", ["", "<pads = [1, 1, 0, 0], strides = [2, 2]>", '<auto_pad = "VALID">'])
@pytest.mark.parametrize("zero", ["", ", zero"])
def test_zeros_around_the_map_are_left_to_the_convolution(attributes, zero):
    model = parsed(
        f"{HEAD} {{ [pad] p = Pad(x, pads{zero})  [conv] y = Conv{attributes}(p, w) }}",
        w=WEIGHT,
        pads=np.array([0, 0, 0, 1, 0, 0, 2, 1]),
        zero=np.zeros((), np.float32),
    )
    after = prepared(model)
    assert [node.name for node in after.graph] == ["conv"]
    assert after.notes == ("1 Pad were folded into the Conv behind them: 'pad'",)


def test_borders_of_named_axes_are_left_to_the_convolution():
    model = parsed(
        f"{HEAD} {{ p = Pad(x, pads, , axes)  y = Conv(p, w) }}",
        18,
        w=WEIGHT,
        pads=np.array([1, 0, 2, 3]),
        axes=np.array([-1, 2]),
    )
    assert ops(prepared(model)) == ["Conv"]


@pytest.mark.parametrize(
    ("body", "pads"),
    [
        ("p = Pad(x, pads, one)  y = Conv(p, w)", [0, 0, 1, 1, 0, 0, 1, 1]),
        ('p = Pad<mode = "reflect">(x, pads)  y = Conv(p, w)', [0, 0, 1, 1, 0, 0, 1, 1]),
        ("p = Pad(x, pads)  y = Conv(p, w)", [0, 0, -1, 1, 0, 0, 1, 1]),
        ("p = Pad(x, pads)  y = Conv(p, w)", [0, 1, 0, 0, 0, -1, 1, 1]),
        ('p = Pad(x, pads)  y = Conv<auto_pad = "SAME_UPPER">(p, w)', [0, 0, 1, 1, 0, 0, 1, 1]),
        (
            "p = Pad(x, pads)  c = Conv(p, w)  m = ReduceMax<axes = [1, 2, 3]>(p)  y = Add(c, m)",
            [0, 0, 1, 1, 0, 0, 1, 1],
        ),
    ],
)
def test_every_other_pad_stays(body, pads):
    model = parsed(f"{HEAD} {{ {body} }}", w=WEIGHT, pads=np.array(pads), one=np.ones((), np.float32))
    after = prepared(model)
    assert "Pad" in ops(after)
    assert after.notes == ()


def test_borders_that_are_fed_stay():
    model = parsed(
        "g (float[N,3,8,8] x, int64[8] pads) => (float[N,4,A,B] y) { p = Pad(x, pads)  y = Conv(p, w) }", w=WEIGHT
    )
    assert ops(prepare(model)) == ["Pad", "Conv"]
