"""What the target `onnxruntime` leaves float: on request, and in models out of the ordinary."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.patterns import build
from tests.targets.onnxruntime_plans import place, why_float


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
