"""Every rule of the target `tensorrt` that holds everywhere, and every placement as committed text."""

from __future__ import annotations

import pytest

from quantlab.errors import PlanError
from quantlab.scheme import Scheme
from tests.patterns import PATTERNS
from tests.targets.golden import CheckGolden
from tests.targets.placing import edges, place, reason


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_is_placed_as_committed(pattern: str, golden: CheckGolden) -> None:
    golden(place(pattern), pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_tensor_has_a_point_or_a_reason(pattern: str) -> None:
    model, plan = PATTERNS[pattern](), place(pattern)
    told = {point.tensor for point in plan.points} | {skip.tensor for skip in plan.skips}
    computed = {value.name for node in model.graph for value in node.outputs} | {spec.name for spec in model.inputs}
    assert computed <= told
    assert all(reason.endswith(".") for _, reason in plan.float_nodes)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_product_is_an_integer_node_or_has_a_reason(pattern: str) -> None:
    plan = place(pattern)
    products = {
        node.name for node in PATTERNS[pattern]().graph if node.op_type in {"Conv", "ConvTranspose", "Gemm", "MatMul"}
    }
    assert products == set(plan.integer_nodes) | {name for name, _ in plan.float_nodes}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_activations_are_symmetric_int8_per_tensor_and_nothing_is_quantized_at_an_output(pattern: str) -> None:
    for point in place(pattern).of_role("activation"):
        assert point.scheme == Scheme("int8")
        assert not point.is_output


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_bias_is_quantized(pattern: str) -> None:
    assert not place(pattern).of_role("bias")


@pytest.mark.parametrize("pattern", ["conv_relu", "conv_relu6", "conv_silu", "conv_hardswish", "conv_leaky_relu"])
def test_nothing_is_quantized_between_a_convolution_and_its_activation(pattern: str) -> None:
    assert edges(place(pattern)) == {"conv1[0]", "conv2[0]"}


@pytest.mark.parametrize(("pattern", "tensor"), [("average_pool", "a1"), ("global_pool_head", "a")])
def test_averages_are_float(pattern: str, tensor: str) -> None:
    assert "in float" in reason(place(pattern), tensor)


def test_layernorm_and_gelu_stay_float() -> None:
    plan = place("layernorm_mlp_gelu")
    assert edges(plan) == {"up_matmul[0]", "down_matmul[0]"}
    assert "LayerNormalization has no integer kernel" in reason(plan, "x")


def test_an_unquantized_last_layer_leaves_its_input_float() -> None:
    plan = place("conv_relu", "conv2")
    assert edges(plan) == {"conv1[0]"}
    assert plan.float_nodes == (("conv2", "Kept float on request (conv2)."),)
    assert "Kept float on request (conv2)." in reason(plan, "a1")


def test_a_name_that_matches_nothing_is_refused() -> None:
    with pytest.raises(PlanError, match="conv9"):
        place("conv_relu", "conv9")
