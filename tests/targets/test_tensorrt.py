"""Every placement rule of the target `tensorrt`, and every pattern's placement as committed text."""

from __future__ import annotations

import pytest

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Reader
from quantlab.scheme import Scheme
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS, build, integers
from tests.targets.golden import CheckGolden


def place(pattern: str, *keep_float: str) -> Plan:
    return TensorRT().place(PATTERNS[pattern](), keep_float=keep_float)


def edges(plan: Plan, role: str = "activation") -> set[str]:
    """Return the quantized edges as `node[input]`."""
    return {str(reader) for point in plan.points if point.role == role for reader in point.readers}


def reason(plan: Plan, tensor: str) -> str:
    """Return why a tensor is float."""
    return " ".join(skip.reason for skip in plan.skips if skip.tensor == tensor)


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


@pytest.mark.parametrize(
    ("pattern", "tensor", "axis"),
    [("conv_relu", "w1", 0), ("global_pool_head", "w2", 0), ("matmul_bias", "w1", 1)],
)
def test_weights_are_narrow_int8_with_one_scale_per_output_channel(pattern: str, tensor: str, axis: int) -> None:
    assert place(pattern).by_tensor[tensor].scheme == Scheme("int8", axis=axis, narrow=True)


@pytest.mark.parametrize("pattern", ["conv_relu", "conv_relu6", "conv_silu", "conv_hardswish", "conv_leaky_relu"])
def test_nothing_is_quantized_between_a_convolution_and_its_activation(pattern: str) -> None:
    assert edges(place(pattern)) == {"conv1[0]", "conv2[0]"}


def test_a_residual_sum_quantizes_only_the_skip() -> None:
    plan = place("residual_identity")
    assert {"add1[1]", "add2[1]"} <= edges(plan)
    assert not {"add1[0]", "add2[0]"} & edges(plan)
    assert plan.by_tensor["a0"].readers == (Reader("conv1", 0), Reader("add1", 1))


def test_a_projection_shortcut_counts_as_the_skip() -> None:
    plan = place("residual_projection")
    assert plan.by_tensor["p"].readers == (Reader("add", 1),)
    assert "the skip is quantized" in reason(plan, "c2")


def test_the_skip_of_an_inverted_residual_is_the_block_input_whichever_operand_it_is() -> None:
    assert "add[0]" in edges(place("inverted_residual"))
    assert "add[1]" not in edges(place("inverted_residual"))


def test_a_sum_into_a_matrix_product_stays_float() -> None:
    # Nothing takes the sum in, and LayerNormalization reads the stream in float anyway.
    assert not {"add[0]", "add[1]"} & edges(place("layernorm_mlp_gelu"))


def test_a_sum_that_needs_the_convolution_result_twice_is_no_residual() -> None:
    model = build(
        "squared",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y) {
            [conv] c = Conv(x, w) [square] s = Mul(c, c) [norm] n = Softmax<axis=1>(s) [add] y = Add(c, n)
        }""",
        w=(32, 32, 1, 1),
    )
    assert edges(TensorRT().place(model)) == {"conv[0]"}


def test_concatenated_tensors_share_one_encoding_with_the_result() -> None:
    plan = place("concat")
    assert plan.groups == {"a": ("a", "r", "j")}
    assert {"concat[0]", "concat[1]", "conv[0]"} <= edges(plan)


def test_a_chain_of_concatenations_shares_one_encoding() -> None:
    assert place("dense_concat_chain").groups == {"x": ("x", "a1", "j1", "a2", "j2")}


def test_a_concatenation_that_no_product_reads_stays_float() -> None:
    assert not {"join[0]", "join[1]", "detections[0]"} & edges(place("detection_head"))


def test_a_concatenation_behind_a_max_pool_still_shares_one_encoding() -> None:
    model = build(
        "pooled_concat",
        """(float[N,16,8,8] x, float[N,16,8,8] z) => (float[N,32,4,4] y) {
            [concat] j = Concat<axis=1>(x, z)
            [pool] p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(j)
            [conv] y = Conv(p, w)
        }""",
        w=(32, 32, 1, 1),
    )
    plan = TensorRT().place(model)
    assert plan.groups == {"x": ("x", "z", "j", "p")}
    assert edges(plan) == {"concat[0]", "concat[1]", "pool[0]", "conv[0]"}


@pytest.mark.parametrize(
    ("pattern", "before", "edge"), [("maxpool", "a1", "conv2[0]"), ("resize_concat", "t", "concat[0]")]
)
def test_a_pair_sits_behind_what_only_moves_values(pattern: str, before: str, edge: str) -> None:
    plan = place(pattern)
    assert edge in edges(plan)
    assert "sits behind" in reason(plan, before)


def test_a_pooled_tensor_shares_with_its_source_when_both_are_read_in_integers() -> None:
    model = build(
        "stem_and_pool",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y, float[N,32,4,4] z) {
            [fine] y = Conv(x, w)
            [pool] p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(x)
            [coarse] z = Conv(p, v)
        }""",
        w=(32, 32, 1, 1),
        v=(32, 32, 1, 1),
    )
    plan = TensorRT().place(model)
    assert plan.groups == {"x": ("x", "p")}
    assert edges(plan) == {"fine[0]", "pool[0]", "coarse[0]"}


@pytest.mark.parametrize(("pattern", "tensor"), [("average_pool", "a1"), ("global_pool_head", "a")])
def test_averages_are_float(pattern: str, tensor: str) -> None:
    assert "in float" in reason(place(pattern), tensor)


@pytest.mark.parametrize("pattern", ["attention", "attention_scaled_scores_masked", "attention_fused_qkv"])
def test_attention_quantizes_q_k_v_and_the_softmax_with_a_fixed_range(pattern: str) -> None:
    plan = place(pattern)
    assert {"scores[0]", "scores[1]", "context[0]", "context[1]"} <= edges(plan)
    assert plan.by_tensor["p"].fixed_range == (0.0, 1.0)
    assert "p" not in plan.observed


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


def test_the_softmax_is_calibrated_on_request() -> None:
    plan = TensorRT(observe_softmax=True).place(_attention())
    assert plan.by_tensor["p"].fixed_range is None
    assert "p" in plan.observed


def test_projections_of_one_input_share_its_pair() -> None:
    assert place("qkv_shared_input").by_tensor["n"].readers == tuple(
        Reader(f"{which}_matmul", 0) for which in ("q", "k", "v")
    )


def test_layernorm_and_gelu_stay_float() -> None:
    plan = place("layernorm_mlp_gelu")
    assert edges(plan) == {"up_matmul[0]", "down_matmul[0]"}
    assert "LayerNormalization has no integer kernel" in reason(plan, "x")


def test_a_product_of_two_activations_outside_attention_stays_float() -> None:
    assert edges(place("dynamic_matmul")) == {"linear[0]"}


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
        ("tiny_gemm", "few_inputs", "K = 8"),
        ("tiny_gemm", "few_outputs", "N = 4"),
        ("global_pool_head", "classifier", "N = 10"),
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


def test_an_unquantized_last_layer_leaves_its_input_float() -> None:
    plan = place("conv_relu", "conv2")
    assert edges(plan) == {"conv1[0]"}
    assert plan.float_nodes == (("conv2", "Kept float on request (conv2)."),)
    assert "Kept float on request (conv2)." in reason(plan, "a1")


def test_a_sum_and_a_concatenation_can_be_kept_float() -> None:
    assert not {"add1[1]", "add2[1]"} & edges(place("residual_identity", "Add"))
    assert not place("concat", "Concat").groups


def test_a_name_that_matches_nothing_is_refused() -> None:
    with pytest.raises(PlanError, match="conv9"):
        place("conv_relu", "conv9")


def _attention(*, queries: int = 24, keys: int = 24, size: int = 16, values: int = 16) -> Model:
    return build(
        "attention_core",
        f"""(float[N,4,{queries},{size}] q, float[N,4,{size},{keys}] k, float[N,4,{keys},{values}] v)
            => (float[N,4,{queries},64] y) {{
            [scores] s = MatMul(q, k) [softmax] p = Softmax(s) [context] c = MatMul(p, v) [out] y = MatMul(c, w)
        }}""",
        w=(values, 64),
    )
