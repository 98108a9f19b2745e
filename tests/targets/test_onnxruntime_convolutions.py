"""Where the target `onnxruntime` places Q/DQ pairs around convolutions and their activations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.plan import Reader
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.patterns import build, scalar
from tests.targets.onnxruntime_plans import ALL_PATTERNS, place, reason, why_float


@pytest.mark.parametrize(("pattern", "limits"), [("conv_relu", (0.0, None)), ("conv_relu6", (0.0, 6.0))])
def test_a_relu_or_clip_disappears_into_the_rounding_behind_it(pattern: str, limits: tuple[float, float]) -> None:
    plan = place(pattern)
    assert "c1" not in plan.by_tensor
    assert "run as one node" in reason(plan, "c1")
    assert plan.by_tensor["a1"].limits == limits


def test_a_relu_behind_a_value_that_others_read_too_stays_a_node() -> None:
    model = build(
        "branch",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y, float[N,32,8,8] z) {
            [conv] c = Conv(x, w) [relu] a = Relu(c) [left] y = Conv(a, w) [right] z = Conv(c, w)
        }""",
        w=(32, 32, 1, 1),
    )
    plan = OnnxRuntime().place(model)
    assert plan.by_tensor["c"].readers == (Reader("relu", 0), Reader("right", 0))
    assert plan.by_tensor["a"].readers == (Reader("left", 0),)


def test_a_clip_that_begins_below_zero_does_not_disappear() -> None:
    # No integer zero point makes the lowest integer stand for exactly -1.
    plan = place("hard_clip")
    assert plan.by_tensor["c"].readers == (Reader("clip", 0),)
    assert plan.by_tensor["a"].limits == (None, None)


@given(bound=st.floats(min_value=2.0**-10, max_value=2.0**10, width=32))
def test_the_highest_integer_never_stands_for_more_than_a_clip_lets_through(bound: float) -> None:
    model = build(
        "clipped",
        "(float[N,32,16,16] x) => (float[N,32,16,16] y) { [conv] c = Conv(x, w) [clip] y = Clip(c, zero, high) }",
        w=(32, 32, 1, 1),
        zero=scalar(0.0),
        high=scalar(bound),
    )
    high = OnnxRuntime().place(model).by_tensor["y"].limits[1]
    assert high is not None
    scale = np.float32(high / 255)
    assert scale * np.float32(255) <= np.float32(bound)
    assert high >= bound * (1 - 1e-6)


def test_silu_runs_in_integers_and_its_sigmoid_has_a_fixed_range() -> None:
    plan = place("conv_silu")
    assert {"sigmoid1", "mul1"} <= set(plan.integer_nodes)
    assert plan.by_tensor["s1"].fixed_range == (0.0, 1.0)
    assert plan.by_tensor["c1"].readers == (Reader("sigmoid1", 0), Reader("mul1", 0))


@pytest.mark.parametrize(
    ("pattern", "tensor", "operator"),
    [
        ("conv_hardswish", "y", "HardSwish"),
        ("conv_transpose", "u", "ConvTranspose"),
        ("squeeze_excite_hardsigmoid", "", "HardSigmoid"),
        ("layernorm_mlp_gelu", "", "Gelu"),
        ("attention_scaled_scores_masked", "sd", "Div"),
    ],
)
def test_operators_without_an_integer_kernel_stay_float(pattern: str, tensor: str, operator: str) -> None:
    plan = place(pattern)
    types = {node.name: node.op_type for node in ALL_PATTERNS[pattern]().graph}
    assert operator not in {types[name] for name in plan.integer_nodes}
    assert not tensor or reason(plan, tensor) == f"ONNX Runtime has no integer kernel for {operator}."


def test_a_convolution_that_is_the_models_output_is_rounded_there() -> None:
    assert place("graph_output_conv").by_tensor["y"].is_output


def test_a_depthwise_convolution_is_integer_between_integers_and_float_beside_float() -> None:
    assert "depthwise" in place("inverted_residual").integer_nodes
    assert "what it reads is float" in why_float(place("mobile_gate"), "depthwise")


def test_a_grouped_convolution_with_few_channels_per_group_stays_float() -> None:
    plan = place("grouped_conv")
    assert "even" in plan.integer_nodes
    assert why_float(plan, "odd") == "A convolution with 6 channels per group is slower in integers."


def test_the_first_convolution_is_integer_only_if_it_is_large() -> None:
    plan = place("image_stems")
    assert "large" in plan.integer_nodes
    assert "So small a convolution is slower" in why_float(plan, "small")


def test_convolutions_over_one_and_three_axes_are_integer() -> None:
    assert place("conv1d").integer_nodes == place("conv3d").integer_nodes == ("conv1", "conv2")


def test_a_convolution_whose_weight_is_computed_stays_float() -> None:
    assert why_float(place("computed_weight"), "dynamic") == "Its weight is computed at run time."


def test_a_weight_that_two_convolutions_read_is_one_point_with_a_bias_for_the_first() -> None:
    plan = place("shared_weight")
    assert plan.by_tensor["w"].readers == (Reader("fine", 1), Reader("coarse", 1))
    assert plan.by_tensor["b"].readers == (Reader("fine", 2),)
