"""Every placement rule of the target `onnxruntime`, and every pattern's placement as committed text."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Reader
from quantlab.scheme import Scheme
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.patterns import PATTERNS, build, scalar
from tests.targets.golden import CheckGolden
from tests.targets.onnxruntime_patterns import OWN_PATTERNS

ALL_PATTERNS = {**PATTERNS, **OWN_PATTERNS}
PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def place(pattern: str, *keep_float: str) -> Plan:
    return OnnxRuntime().place(ALL_PATTERNS[pattern](), keep_float=keep_float)


def reason(plan: Plan, tensor: str) -> str:
    """Return why a tensor is float."""
    return " ".join(skip.reason for skip in plan.skips if skip.tensor == tensor)


def why_float(plan: Plan, node: str) -> str:
    """Return why a node is float."""
    return dict(plan.float_nodes).get(node, "")


# Every pattern


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_pattern_is_placed_as_committed(pattern: str, golden: CheckGolden) -> None:
    golden(place(pattern), pattern)


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_tensor_has_a_point_or_a_reason(pattern: str) -> None:
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    told = {point.tensor for point in plan.points} | {skip.tensor for skip in plan.skips}
    computed = {value.name for node in model.graph for value in node.outputs} | {spec.name for spec in model.inputs}
    assert computed <= told
    assert all(skip.reason.endswith(".") for skip in plan.skips)


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_product_is_an_integer_node_or_has_a_reason(pattern: str) -> None:
    plan = place(pattern)
    products = {node.name for node in ALL_PATTERNS[pattern]().graph if node.op_type in PRODUCTS}
    assert products <= set(plan.integer_nodes) | {name for name, _ in plan.float_nodes}
    assert not set(plan.integer_nodes) & {name for name, _ in plan.float_nodes}


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_activations_are_uint8_affine_weights_narrow_int8_and_biases_derived_int32(pattern: str) -> None:
    plan = place(pattern)
    assert {point.scheme for point in plan.of_role("activation")} <= {Scheme("uint8", symmetric=False)}
    assert all(point.scheme.dtype == "int8" and point.scheme.narrow for point in plan.of_role("weight"))
    assert all(point.scheme == Scheme("int32", axis=0) and point.derived_from for point in plan.of_role("bias"))


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_an_integer_node_reads_rounded_values_only(pattern: str) -> None:
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    quantized = {reader for point in plan.points for reader in point.readers}
    for name in plan.integer_nodes:
        node = model.nodes_by_name()[name]
        for index, value in enumerate(node.inputs):
            is_left_to_ort = node.op_type == "Resize" or (node.op_type == "Conv" and index == 2)
            if value is not None and value.dtype == ir.DataType.FLOAT and not is_left_to_ort:
                assert Reader(name, index) in quantized, f"{name}[{index}] is read as float"


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_everything_that_reads_an_integer_nodes_output_reads_it_rounded(pattern: str) -> None:
    # ONNX Runtime makes no integer node of one whose output goes anywhere but into one QuantizeLinear.
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    for name in plan.integer_nodes:
        for value in model.nodes_by_name()[name].outputs:
            point = plan.by_tensor.get(value.name or "")
            if point is not None:
                assert set(point.readers) == {Reader(use.node.name or "", use.idx) for use in value.uses()}
                assert point.is_output == value.is_graph_output()


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_what_a_float_node_leaves_is_rounded_only_for_integer_readers(pattern: str) -> None:
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    for point in plan.of_role("activation"):
        producer = model.values_by_name()[point.tensor].producer()
        if producer is None or (producer.name not in plan.integer_nodes and producer.op_type not in ("Relu", "Clip")):
            assert {reader.node for reader in point.readers} <= set(plan.integer_nodes)
            assert not point.is_output


def test_placing_changes_no_model_and_gives_the_same_plan_again() -> None:
    model = PATTERNS["residual_identity"]()
    before = str(model.graph)
    assert OnnxRuntime().place(model) == OnnxRuntime().place(model)
    assert str(model.graph) == before


# Convolutions and their activations


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


# Joins and moves


def test_a_residual_sum_quantizes_both_inputs_and_its_output_behind_the_relu() -> None:
    plan = place("residual_identity")
    assert "add1" in plan.integer_nodes
    assert plan.by_tensor["c2"].readers == (Reader("add1", 0),)
    assert plan.by_tensor["a0"].readers == (Reader("conv1", 0), Reader("add1", 1))
    assert plan.by_tensor["a2"].limits == (0.0, None)
    assert "s1" not in plan.by_tensor


def test_a_projection_shortcut_has_an_encoding_of_its_own() -> None:
    plan = place("residual_projection")
    assert plan.by_tensor["p"].readers == (Reader("add", 1),)
    assert not plan.groups


def test_a_sum_that_no_integer_node_reads_stays_float() -> None:
    assert "nothing that reads it runs in integers" in why_float(place("residual_projection"), "add")
    assert "what it reads is float" in why_float(place("layernorm_mlp_gelu"), "add")


def test_each_input_of_a_concatenation_keeps_its_own_encoding() -> None:
    plan = place("concat")
    assert "concat" in plan.integer_nodes
    assert not plan.groups
    assert plan.by_tensor["a"].limits == (0.0, None)
    assert plan.by_tensor["r"].limits == (None, None)


def test_a_max_pool_passes_its_encoding_and_its_limits_through() -> None:
    plan = place("maxpool")
    assert plan.groups == {"a1": ("a1", "p")}
    assert plan.by_tensor["p"].limits == (0.0, None)


def test_a_chain_of_moves_shares_the_encoding_of_its_beginning() -> None:
    assert place("moves").groups == {"c": ("c", "g", "t", "m", "h1", "h2"), "j": ("j", "u", "s", "k")}


def test_a_nearest_resize_in_a_feature_pyramid_shares_and_the_sum_has_its_own() -> None:
    plan = place("resize_feature_pyramid")
    assert plan.groups == {"t": ("t", "u")}
    assert {"resize", "sum"} <= set(plan.integer_nodes)


def test_a_move_between_float_nodes_stays_float() -> None:
    assert why_float(place("split_attention"), "unfold") == "Reshape only moves values, and what it reads is float."


def test_an_average_pool_is_float_and_fenced_but_a_global_one_is_integer() -> None:
    plan = place("average_pool")
    assert "takes longer" in why_float(plan, "pool")
    assert plan.fences == ("p",)
    assert "pool" in place("global_pool_head").integer_nodes
    assert not place("global_pool_head").groups


def test_the_scale_of_a_global_average_has_a_floor() -> None:
    assert place("global_pool_head").by_tensor["p"].scale_floor == ("a", 1 / 128)


def test_a_squeeze_and_excite_gate_runs_in_integers_throughout() -> None:
    plan = place("squeeze_excite_sigmoid")
    assert {"squeeze", "reduce", "expand", "gate", "excite"} <= set(plan.integer_nodes)
    assert plan.by_tensor["g"].fixed_range == (0.0, 1.0)


def test_a_hardsigmoid_gate_is_float_but_what_it_multiplies_is_not() -> None:
    plan = place("squeeze_excite_hardsigmoid")
    assert {"squeeze", "excite"} <= set(plan.integer_nodes)
    assert {"reduce", "expand"} <= dict(plan.float_nodes).keys()
    assert plan.by_tensor["g"].fixed_range == (0.0, 1.0)


def test_split_attention_is_integer_but_for_its_tiny_branch() -> None:
    plan = place("split_attention")
    assert {"split", "sum", "squeeze", "weigh1", "weigh2", "combine"} <= set(plan.integer_nodes)
    assert {"reduce", "expand", "softmax"} <= dict(plan.float_nodes).keys()


def test_the_decoding_of_a_detection_head_stays_float() -> None:
    plan = place("detection_head")
    assert {"join", "sigmoid", "scale", "detections"} <= dict(plan.float_nodes).keys()
    assert {"conv3", "predict3", "conv4"} <= set(plan.integer_nodes)


# Matrix products


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


# Asked for


def test_a_layer_kept_float_is_fenced_where_ort_would_round_its_weight_by_itself() -> None:
    plan = place("residual_identity", "conv1")
    assert why_float(plan, "conv1") == "Kept float on request (conv1)."
    assert "w1" not in plan.by_tensor
    assert plan.fences == ("a1",)


def test_a_sum_of_which_one_half_is_float_stays_float() -> None:
    plan = place("residual_identity", "conv2")
    assert "too much of what it reads is float" in why_float(plan, "add1")
    assert "c2" not in plan.by_tensor


def test_keeping_an_operator_type_float_keeps_all_of_them() -> None:
    plan = place("residual_identity", "Add")
    assert why_float(plan, "add1") == why_float(plan, "add2") == "Kept float on request (Add)."


def test_a_fence_stands_only_where_all_that_reads_a_float_node_reads_it_rounded() -> None:
    assert place("inverted_residual", "add").fences == ("s",)
    # Here add2, which is float, reads a2 too, and ORT fuses nothing with a rounding that is not the only reader.
    assert place("residual_identity", "add1").fences == ()


def test_keeping_everything_float_leaves_no_point() -> None:
    plan = place("wide_attention", "*")
    assert (plan.points, plan.integer_nodes, plan.fences) == ((), (), ())


def test_keeping_what_is_not_there_is_an_error() -> None:
    with pytest.raises(PlanError, match="did you mean 'conv"):
        place("conv_relu", "convv1")


# Models out of the ordinary


def test_a_half_precision_model_stays_float() -> None:
    text = """<ir_version: 10, opset_import: ["": 20]> half (float16[1,32,8,8] x, float16[32,32,1,1] w) =>
        (float16[1,32,8,8] y) { [conv] y = Conv(x, w) }"""
    parsed = ir.from_onnx_text(text)
    weight = parsed.graph.inputs.pop()
    weight.const_value = ir.tensor(np.ones((32, 32, 1, 1), np.float16), name="w")
    parsed.graph.register_initializer(weight)
    plan = OnnxRuntime().place(Model(parsed))
    assert plan.points == ()
    assert why_float(plan, "conv") == "It computes no float32."


def test_what_the_body_of_a_condition_reads_stays_float() -> None:
    model = build(
        "condition",
        """(float[1,32,8,8] x, bool c) => (float[1,32,8,8] y) {
            [conv] h = Conv(x, w)
            [choose] y = If(c) <then_branch = t () => (float[1,32,8,8] p) { p = Relu(h) },
                                else_branch = e () => (float[1,32,8,8] q) { q = Identity(h) }>
        }""",
        w=(32, 32, 1, 1),
    )
    plan = OnnxRuntime().place(model)
    assert "body of an If" in why_float(plan, "conv")


def test_a_product_with_a_computed_factor_of_equal_size_stays_float() -> None:
    # x · gelu'(x): rounding the factor too would cost accuracy and save nothing; a small gate is another matter.
    model = build(
        "computed_factor",
        """(float[1,32,16,16] x) => (float[1,32,16,16] y) {
            [conv1] c = Conv(x, w) [erf] f = Erf(c) [mul] m = Mul(c, f) [conv2] y = Conv(m, w)
        }""",
        w=(32, 32, 1, 1),
    )
    plan = OnnxRuntime().place(model)
    assert "too much of what it reads is float" in why_float(plan, "mul")
    assert plan.integer_nodes == ("conv1", "conv2")


def test_a_pool_of_what_a_convolution_rounds_too_runs_in_integers() -> None:
    model = build(
        "stem_and_pool",
        """(float[1,32,16,16] x) => (float[1,32,16,16] y, float[1,32,8,8] z) {
            [fine] y = Conv(x, w)
            [pool] p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(x) [coarse] z = Conv(p, w)
        }""",
        w=(32, 32, 1, 1),
    )
    assert OnnxRuntime().place(model).groups == {"x": ("x", "p")}


def test_a_fence_is_found_behind_moves_and_what_ort_folds_into_a_convolution() -> None:
    model = build(
        "moved",
        """(float[1,32,16,16] x) => (float[1,32,16,16] y, float[1,32,16,16] z) {
            [conv] c = Conv(x, w) [turn] t = Transpose<perm=[0,1,3,2]>(c)
            [pool] p = AveragePool<kernel_shape=[3,3],pads=[1,1,1,1]>(t)
            [back] b = Transpose<perm=[0,1,3,2]>(p) [left] y = Conv(b, w)
            [grouped] g = Conv<group=8>(c, v) [shift] s = Add(g, offset) [right] z = Conv(s, w)
        }""",
        w=(32, 32, 1, 1),
        v=(32, 4, 1, 1),
        offset=np.ones((32, 1, 1), np.float32),
    )
    assert OnnxRuntime().place(model).fences == ("b", "s")


def test_a_split_with_an_unread_part_stays_float() -> None:
    model = build(
        "unread",
        """(float[1,64,16,16] x) => (float[1,32,16,16] y) {
            [conv] c = Conv(x, w) [part] a, b = Split<axis=1,num_outputs=2>(c) [next] y = Conv(b, v)
        }""",
        w=(64, 64, 1, 1),
        v=(32, 32, 1, 1),
    )
    assert why_float(OnnxRuntime().place(model), "part") == "Nothing reads one of its outputs."
