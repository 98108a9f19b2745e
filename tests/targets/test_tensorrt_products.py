"""Which convolutions and matrix products run in integers under TensorRT, and how their weights are encoded."""

from __future__ import annotations

import pytest

from quantlab.plan import Reader
from quantlab.scheme import Scheme
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS, build, integers
from tests.targets.placing import edges, place


@pytest.mark.parametrize(
    ("pattern", "tensor", "axis"),
    [("conv_relu", "w1", 0), ("global_pool_head", "w2", 0), ("matmul_bias", "w1", 1)],
)
def test_weights_are_narrow_int8_with_one_scale_per_output_channel(pattern: str, tensor: str, axis: int) -> None:
    assert place(pattern).by_tensor[tensor].scheme == Scheme("int8", axis=axis, narrow=True)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_on_request_weights_have_one_scale_and_everything_else_stays(pattern: str) -> None:
    model = PATTERNS[pattern]()
    usual, whole = TensorRT().place(model), TensorRT(weight_scales="per-tensor").place(model)
    assert all(point.scheme == Scheme("int8", narrow=True) for point in whole.of_role("weight"))
    assert set(whole.of_role("activation")) >= set(usual.of_role("activation"))
    assert set(whole.integer_nodes) >= set(usual.integer_nodes)  # two axes of a shared weight are no matter any more


def test_depthwise_convolutions_stay_float_unless_asked_for() -> None:
    model = PATTERNS["depthwise"]()
    assert edges(TensorRT().place(model)) == {"pointwise[0]"}
    assert edges(TensorRT(depthwise=True).place(model)) == {"depthwise[0]", "pointwise[0]"}


@pytest.mark.parametrize(
    ("pattern", "node", "words"),
    [
        ("grouped_conv", "odd", "multiples of 4"),
        ("small_channels", "inner", "8 to 12 channels are too few"),
        ("conv_transpose", "up", "run in float all the same"),
        ("computed_weight", "dynamic", "computed at run time"),
        ("gemv", "one_row", "One row"),
        ("gemv", "one_column", "One column"),
        ("tiny_gemm", "few_inputs", "8 inputs are too few"),
        ("tiny_gemm", "few_outputs", "4 outputs are too few"),
        ("global_pool_head", "classifier", "10 outputs are too few"),
        ("squeeze_excite_sigmoid", "reduce", "One pixel per sample"),
        ("squeeze_excite_hardsigmoid", "expand", "One pixel per sample"),
    ],
)
def test_products_that_integers_do_not_speed_up_stay_float(pattern: str, node: str, words: str) -> None:
    plan = place(pattern)
    assert words in dict(plan.float_nodes)[node]
    assert not {edge for edge in edges(plan) if edge.startswith(f"{node}[")}


@pytest.mark.parametrize(
    ("pattern", "node"), [("grouped_conv", "even"), ("first_conv", "stem"), ("small_channels", "widen")]
)
def test_convolutions_of_few_channels_run_in_integers_where_there_is_a_kernel(pattern: str, node: str) -> None:
    assert node in place(pattern).integer_nodes


def test_a_shared_weight_is_one_point() -> None:
    assert place("shared_weight").by_tensor["w"].readers == (Reader("fine", 1), Reader("coarse", 1))


def test_a_weight_shared_along_two_axes_is_quantized_for_the_first_reader_only() -> None:
    model = build(
        "tied",
        """(float[N,24,32] x) => (float[N,24,32] y) {
            [matmul] h = MatMul(x, w) [flatten] f = Reshape(h, rows)
            [gemm] g = Gemm<transB=1>(f, w) [fold] y = Reshape(g, back)
        }""",
        w=(32, 32),
        rows=integers(-1, 32),
        back=integers(-1, 24, 32),
    )
    plan = TensorRT().place(model)
    assert plan.integer_nodes == ("matmul",)
    assert "shares its weight with matmul" in dict(plan.float_nodes)["gemm"]


def test_a_constant_on_the_left_of_a_product_has_its_channels_on_axis_0() -> None:
    model = build("left", "(float[N,64,32] x) => (float[N,48,32] y) { [mix] y = MatMul(w, x) }", w=(48, 64))
    plan = TensorRT().place(model)
    assert plan.by_tensor["w"].scheme.axis == 0
    assert edges(plan) == {"mix[1]"}
