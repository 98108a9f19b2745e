"""Attention runs in integers as one kernel, or in float."""

from __future__ import annotations

import pytest

from quantlab.graph.model import Model
from quantlab.plan import Reader
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import build
from tests.targets.placing import edges, place


@pytest.mark.parametrize("pattern", ["attention", "attention_scaled_scores_masked", "attention_fused_qkv"])
def test_attention_quantizes_q_k_v_and_the_softmax(pattern: str) -> None:
    plan = place(pattern)
    assert {"scores[0]", "scores[1]", "context[0]", "context[1]"} <= edges(plan)
    assert "p" in plan.observed


def test_the_mask_of_an_attention_stays_float() -> None:
    plan = place("attention_scaled_scores_masked")
    assert not {edge for edge in edges(plan) if edge.startswith(("mask_add", "scale", "softmax"))}


@pytest.mark.parametrize("kept", ["softmax", "context", "mask_add"])
def test_attention_is_quantized_whole_or_not_at_all(kept: str) -> None:
    plan = place("attention_scaled_scores_masked", kept)
    assert not {edge for edge in edges(plan) if edge.startswith(("scores", "context"))}
    assert {"scores", "context"} <= {name for name, _ in plan.float_nodes}


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"keys": 513}, "512 keys at most"),
        ({"size": 48, "values": 48}, "these have 48"),
        ({"size": 16, "values": 32}, "these have 16 and 32"),
        ({"queries": 1}, "A single query"),
        ({"keys": 512, "size": 64, "values": 64}, None),
    ],
)
def test_attention_that_no_fused_integer_kernel_takes_stays_float(sizes: dict[str, int], words: str | None) -> None:
    plan = TensorRT().place(_attention(**sizes))
    assert ("scores" in plan.integer_nodes) is (words is None)
    assert words is None or words in dict(plan.float_nodes)["scores"]
    assert plan.integer_nodes[-1] == "out"


def test_attention_that_is_not_read_in_integers_stays_float() -> None:
    plan = TensorRT().place(_attention(), keep_float=["out"])
    assert not plan.integer_nodes
    assert "nothing reads them" in dict(plan.float_nodes)["context"]


def test_the_softmax_is_calibrated_unless_its_scale_is_fixed_on_request() -> None:
    plan = TensorRT().place(_attention())
    assert plan.by_tensor["p"].fixed_range is None
    assert "p" in plan.observed
    assert TensorRT(fixed_softmax=True).place(_attention()).by_tensor["p"].fixed_range == (0.0, 1.0)


def test_a_weight_that_is_cut_into_q_k_and_v_stays_float_before_its_rounding() -> None:
    assert place("attention_fused_qkv").unbaked == ("wqkv",)
    assert place("attention_fused_qkv", "softmax").unbaked == ("wqkv",)
    assert place("attention_fused_qkv", "qkv_matmul").unbaked == ()
    assert place("attention").unbaked == ()


def test_projections_of_one_input_share_its_pair() -> None:
    assert place("qkv_shared_input").by_tensor["n"].readers == tuple(
        Reader(f"{which}_matmul", 0) for which in ("q", "k", "v")
    )


def test_a_product_of_two_activations_outside_attention_stays_float() -> None:
    assert edges(place("dynamic_matmul")) == {"linear[0]"}


def _attention(*, queries: int = 24, keys: int = 24, size: int = 16, values: int = 16) -> Model:
    return build(
        "attention_core",
        f"""(float[N,4,{queries},{size}] q, float[N,4,{size},{keys}] k, float[N,4,{keys},{values}] v)
            => (float[N,4,{queries},64] y) {{
            [scores] s = MatMul(q, k) [softmax] p = Softmax(s) [context] c = MatMul(p, v) [out] y = MatMul(c, w)
        }}""",
        w=(values, 64),
    )
