"""Where the target `onnxruntime` places Q/DQ pairs around matrix products."""

from __future__ import annotations

import pytest

from quantlab.plan import Reader
from quantlab.scheme import Scheme
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.patterns import build
from tests.targets.onnxruntime_plans import ALL_PATTERNS, place, reason, why_float


@pytest.mark.parametrize("pattern", ["wide_attention", "free_attention"])
def test_attention_multiplies_integers_and_its_softmax_is_float_within_0_and_1(pattern: str) -> None:
    plan = place(pattern)
    assert {"scores", "context"} <= set(plan.integer_nodes)
    assert plan.by_tensor["p"].limits == (0.0, 1.0)
    assert plan.by_tensor["p"].fixed_range is None
    assert "three times" in why_float(plan, "softmax")
    assert plan.groups == {"c": ("c", "ct", "cm")}


def test_scores_leave_float_for_the_softmax() -> None:
    assert "can leave float" in reason(place("wide_attention"), "s")


@pytest.mark.parametrize("pattern", ["fixed_mlp", "matmul_bias", "layernorm_mlp_gelu"])
def test_what_an_add_gives_to_a_matmul_is_an_int32_bias(pattern: str) -> None:
    # Otherwise ORT makes a Gemm of MatMul and Add that is float, with weights unpacked anew in every run.
    plan = place(pattern)
    types = {node.name: node.op_type for node in ALL_PATTERNS[pattern]().graph}
    matmuls = [name for name in plan.integer_nodes if types[name] == "MatMul"]
    assert len(plan.of_role("bias")) == len(matmuls) > 0
    assert {types[point.readers[0].node] for point in plan.of_role("bias")} == {"Add"}


def test_a_bias_that_two_products_add_is_derived_for_one_and_the_other_is_rounded_before_it() -> None:
    plan = place("shared_bias")
    assert plan.by_tensor["b"].readers == (Reader("left_bias", 1),)
    assert plan.by_tensor["r"].readers == (Reader("right_bias", 0),)


def test_a_fully_connected_layer_leaves_float_unless_an_integer_node_or_a_relu_reads_it() -> None:
    plan = place("gemm_head")
    assert plan.integer_nodes == ("first", "second", "third")
    assert plan.by_tensor["ar"].readers == (Reader("second", 0),)
    assert plan.by_tensor["br"].readers == (Reader("norm", 0),)  # ORT gives up at a Relu without a rounding
    assert "can leave float" in reason(plan, "y")


def test_a_matrix_product_before_a_sum_of_matrices_is_rounded() -> None:
    assert place("matrix_mlp").by_tensor["d"].readers == (Reader("residual", 0),)


@pytest.mark.parametrize(
    ("call", "weight", "axis"),
    [("MatMul(x, w)", (64, 32), 1), ("Gemm(x, w)", (64, 32), 1), ("Gemm<transB=1>(x, w)", (32, 64), 0)],
)
def test_a_weight_has_one_scale_per_output_channel(call: str, weight: tuple[int, int], axis: int) -> None:
    model = build("linear", f"(float[64,64] x) => (float[64,32] y) {{ [n] y = {call} }}", w=weight)
    assert OnnxRuntime().place(model).by_tensor["w"].scheme == Scheme("int8", axis=axis, narrow=True)


def test_a_batch_of_constant_matrices_has_one_scale() -> None:
    model = build("batched", "(float[4,64,64] x) => (float[4,64,64] y) { [n] y = MatMul(x, w) }", w=(4, 64, 64))
    assert OnnxRuntime().place(model).by_tensor["w"].scheme == Scheme("int8", narrow=True)


def test_a_product_too_small_to_gain_is_float_between_floats() -> None:
    plan = place("tiny_gemm")
    assert plan.integer_nodes == ("wide",)
    assert "So small a product gains nothing" in why_float(plan, "few_inputs")


@pytest.mark.parametrize("attribute", ["alpha=0.5", "beta=0.5", "transA=1"])
def test_a_gemm_that_scales_or_turns_its_operands_stays_float(attribute: str) -> None:
    model = build(
        "scaled",
        f"(float[64,64] x) => (float[64,64] y) {{ [n] y = Gemm<{attribute}>(x, w, b) }}",
        w=(64, 64),
        b=(64,),
    )
    assert OnnxRuntime().place(model).points == ()
