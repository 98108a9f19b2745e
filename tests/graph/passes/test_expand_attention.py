from __future__ import annotations

import numpy as np
import pytest

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, parsed, prepared

FOUR = "(float[N,2,5,8] q, float[N,2,7,8] k, float[N,2,7,6] v)"
OUT = "(float[N,2,5,6] y)"


def attention(inputs: str, outputs: str, call: str, **weights: np.ndarray):
    return parsed(f"g {inputs} => {outputs} {{ {call} }}", 23, 11, **weights)


@pytest.mark.parametrize("attributes", ["", "<scale = 0.3>"])
def test_attention_of_split_heads_is_expanded(attributes):
    after = prepared(attention(FOUR, OUT, f"[att] y = Attention{attributes}(q, k, v)"))
    assert ops(after) == ["Transpose", "Mul", "MatMul", "Softmax", "MatMul"]
    assert after.notes == ("1 Attention were expanded to MatMul and Softmax: 'att'",)
    assert all(node.name and node.name.startswith("att/") for node in after.graph)


def test_attention_of_merged_heads_is_expanded():
    model = attention(
        "(float[N,5,16] q, float[N,7,16] k, float[N,7,12] v)",
        "(float[N,5,12] y)",
        "y = Attention<q_num_heads = 2, kv_num_heads = 2>(q, k, v)",
    )
    assert "Attention" not in ops(prepared(model))


def test_causal_attention_of_known_length_is_expanded():
    model = attention(
        "(float[N,2,5,8] q, float[N,2,5,8] k, float[N,2,5,6] v)", OUT, "y = Attention<is_causal = 1>(q, k, v)"
    )
    after = prepared(model)
    assert ops(after) == ["Transpose", "Mul", "MatMul", "Add", "Softmax", "MatMul"]


@pytest.mark.parametrize("kind", [np.bool_, np.float32])
def test_a_constant_mask_is_added(kind):
    is_open = np.random.default_rng(0).random((5, 7)) < 0.6
    is_open[:, 0] = True
    mask = is_open if kind is np.bool_ else np.where(is_open, 0.5, -np.inf).astype(np.float32)
    after = prepared(attention(FOUR, OUT, "y = Attention(q, k, v, m)", m=mask))
    assert "Add" in ops(after)


@pytest.mark.parametrize("mask", [np.ones((5, 7), bool), np.zeros((5, 7), np.float32)])
def test_a_mask_that_masks_nothing_goes(mask):
    after = prepared(attention(FOUR, OUT, "y = Attention(q, k, v, m)", m=mask))
    assert ops(after) == ["Transpose", "Mul", "MatMul", "Softmax", "MatMul"]


def test_a_mask_repeated_over_the_batch_is_seen_through():
    call = """n = Shape<start = 0, end = 1>(q)  s = Concat<axis = 0>(n, rest)  e = Expand(m, s)
    y = Attention(q, k, v, e)"""
    model = attention(FOUR, OUT, call, m=np.ones((1, 1, 5, 7), bool), rest=np.array([1, 5, 7]))
    assert ops(prepared(model)) == ["Transpose", "Mul", "MatMul", "Softmax", "MatMul"]


@pytest.mark.parametrize(
    ("inputs", "call", "reason"),
    [
        (FOUR, "y = Attention<softcap = 2.0>(q, k, v)", "capped"),
        (FOUR[:-1] + ", bool[5,7] m)", "y = Attention(q, k, v, m)", "mask is computed"),
        (FOUR, "y = Attention(q, k, v, blocked)", "blocks a whole row"),
        (FOUR, "y = Attention<is_causal = 1>(q, k, v)", "lengths of queries and keys"),
        (FOUR, "y = Attention<is_causal = 1>(q, k, v, open)", "a mask besides"),
        ("(float[N,4,5,8] q, float[N,2,7,8] k, float[N,2,7,6] v)", "y = Attention(q, k, v)", "numbers of heads"),
        ("(float[N,2,5,D] q, float[N,2,7,D] k, float[N,2,7,6] v)", "y = Attention(q, k, v)", "size of a head"),
        (FOUR, "y = Attention<softmax_precision = 11>(q, k, v)", "another precision"),
        (
            FOUR[:-1] + ", float[N,2,3,8] pk, float[N,2,3,6] pv)",
            "y, a, b = Attention(q, k, v, , pk, pv)",
            "earlier steps",
        ),
    ],
)
def test_an_attention_that_is_not_covered_stays_with_its_reason(inputs, call, reason):
    heads = "4" if "N,4" in inputs else "2"
    masks = {"blocked": np.zeros((5, 7), bool), "open": np.ones((5, 7), bool)}
    used = {name: mask for name, mask in masks.items() if name in call}
    after = prepare(attention(inputs, f"(float[N,{heads},5,6] y)", f"[att] {call}", **used))
    assert "Attention" in ops(after)
    assert after.notes[0].startswith("Attention 'att' stays float: ")
    assert reason in after.notes[0]
