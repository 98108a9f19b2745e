"""The audit says of every planned node what ONNX Runtime made of it, and why not what was planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from quantlab.audit import Audit, AuditRow, audit_onnxruntime, plan_of
from quantlab.errors import EngineError, PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Reader
from quantlab.targets.onnxruntime import OnnxRuntime
from quantlab.targets.tensorrt import TensorRT
from tests.models import model_from_text, noise
from tests.patterns import PATTERNS
from tests.targets.quantize import quantized


def placed(pattern: str, *keep_float: str) -> tuple[Model, Plan]:
    model = PATTERNS[pattern]()
    return model, OnnxRuntime().place(model, keep_float=keep_float)


def audited(pattern: str, change: Callable[[Plan], Plan]) -> Audit:
    """Audit the model of a plan that was spoilt, against the plan as it was."""
    model, plan = placed(pattern)
    return audit_onnxruntime(quantized(model, change(plan)), plan)


def without(*tensors: str) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, points=tuple(point for point in plan.points if point.tensor not in tensors))


def test_a_model_that_runs_as_planned_has_a_share_of_one_and_no_leftovers() -> None:
    model, plan = placed("residual_identity")
    audit = audit_onnxruntime(quantized(model, plan), plan)
    assert audit.share == 1.0
    assert audit.leftovers == ()
    assert [row.node for row in audit.rows] == ["stem", "conv1", "conv2", "add1", "conv3", "conv4", "add2"]
    assert audit.rows[0] == AuditRow(
        node="stem",
        op_type="Conv",
        planned="integer",
        ran_as="QLinearConv",
        is_integer=True,
        precision="int8",
        fused_with=("relu0",),
        multiply_adds=32 * 32 * 3 * 3 * 16 * 16,
    )
    assert "6 of 6 planned nodes run in integers (100%)" in str(audit)


def test_the_share_of_multiply_adds_falls_with_a_convolution_that_stays_float() -> None:
    model, plan = placed("residual_identity", "conv3")
    audit = audit_onnxruntime(quantized(model, plan), plan)
    assert audit.share == 1.0  # all that was planned
    assert audit.multiply_add_share == pytest.approx(4 / 5)


def test_conversions_left_in_the_graph_are_listed_in_order() -> None:
    model, plan = placed("residual_identity")
    conversions = audit_onnxruntime(quantized(model, plan), plan).conversions
    kinds = [conversion.kind for conversion in conversions]
    assert (kinds[0], kinds[-1]) == ("quantize", "dequantize")
    assert "QuantizeLinear" in conversions[0].kernel


def test_a_node_whose_output_is_not_rounded_is_left_over_with_its_reader_named() -> None:
    audit = audited("residual_identity", without("c2"))
    (add, conv) = sorted(audit.leftovers, key=lambda row: row.node)
    assert (conv.node, conv.ran_as, conv.reason) == ("conv2", "FusedConv", "Its float output is read by add1.")
    assert (add.node, add.ran_as, add.reason) == ("add1", "", "It reads c2 as float.")  # it is part of the FusedConv
    assert audit.share == pytest.approx(4 / 6)


def test_an_output_that_is_also_read_as_float_is_named() -> None:
    def drop_reader(plan: Plan) -> Plan:
        a0 = replace(plan.by_tensor["a0"], readers=(Reader("conv1", 0),))
        return replace(plan, points=tuple(a0 if point.tensor == "a0" else point for point in plan.points))

    reasons = {row.node: row.reason for row in audited("residual_identity", drop_reader).leftovers}
    assert reasons == {"stem": "Its float output is read by add1.", "add1": "It reads a0 as float."}


def test_a_clip_that_the_rounding_does_not_make_void_is_named() -> None:
    def widen(plan: Plan) -> Plan:
        points = (
            replace(p, limits=(None, None), fixed_range=(0.0, 7.0)) if p.tensor == "a1" else p for p in plan.points
        )
        return replace(plan, points=tuple(points))

    (row,) = audited("conv_relu6", widen).leftovers
    assert (row.node, row.reason) == ("conv1", "Some integers of a1 stand for values that clip1 clips.")


def test_a_float_node_that_ort_turned_into_an_integer_one_is_against_the_plan() -> None:
    audit = audited("average_pool", lambda plan: replace(plan, fences=()))
    (row,) = audit.leftovers
    assert (row.node, row.planned, row.ran_as) == ("pool", "float", "QLinearAveragePool")
    assert row.reason == "It was to stay float."
    assert audit.share == 1.0
    assert "pool (AveragePool): QLinearAveragePool - It was to stay float." in str(audit)


def test_a_plan_without_integer_nodes_has_a_share_of_one() -> None:
    model, plan = placed("gemv")
    assert audit_onnxruntime(quantized(model, plan), plan).share == 1.0


def test_the_audit_as_json_holds_every_row() -> None:
    audit = audited("conv_relu", lambda plan: plan)
    data = json.loads(audit.to_json())
    assert data["share"] == 1.0
    assert data["engine"].startswith("onnxruntime 1.")
    assert [row["ran_as"] for row in data["rows"]] == ["QLinearConv", "QLinearConv"]


def test_names_that_look_like_fused_ones_are_told_apart() -> None:
    model, plan = placed("conv_relu")
    int8 = quantized(model, plan)
    int8.nodes_by_name()["conv2"].name = "conv1_token_4"
    renamed = replace(plan, integer_nodes=("conv1", "conv1_token_4"))
    assert audit_onnxruntime(int8, renamed).share == 1.0


def test_the_plan_of_another_model_is_refused() -> None:
    model, plan = placed("conv_relu")
    with pytest.raises(PlanError, match="no node 'stem'"):
        audit_onnxruntime(quantized(model, plan), placed("residual_identity")[1])


def test_a_model_that_ort_refuses_is_an_engine_error() -> None:
    model, plan = placed("conv_relu")
    int8 = quantized(model, plan)
    int8.nodes_by_name()["conv2"].op_type = "NoSuchOperator"
    with pytest.raises(EngineError, match="NoSuchOperator"):
        audit_onnxruntime(int8, plan)


def test_the_audited_model_is_unchanged() -> None:
    model, plan = placed("conv_relu")
    int8 = quantized(model, plan)
    before = str(int8.graph)
    audit_onnxruntime(int8, plan)
    assert str(int8.graph) == before


def test_a_convolution_whose_output_nothing_quantizes_is_not_blamed_on_its_bias() -> None:
    model = PATTERNS["conv_relu"]()
    int8 = quantized(model, TensorRT().place(model))  # which leaves outputs float
    left = {row.node: row.reason for row in audit_onnxruntime(int8, plan_of(int8)).leftovers}
    assert left["conv2"] == "Nothing quantizes y, and an integer Conv ends in a QuantizeLinear."


def test_a_float_convolution_of_an_image_in_bytes_is_not_taken_for_an_integer_one() -> None:
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    bytes (uint8[N, 3, 32, 32] image, float[16, 3, 3, 3] w, float[16, 16, 3, 3] w2) => (float[N, 16, 28, 28] y) {
      [cast] pixels = Cast<to = 1>(image)
      [stem] a = Conv(pixels, w)
      [relu] b = Relu(a)
      [second] y = Conv(b, w2)
    }
    """
    model = model_from_text(text, {"w": noise(16, 3, 3, 3), "w2": noise(16, 16, 3, 3)})
    plan = OnnxRuntime().place(model, keep_float=("stem",))
    audit = audit_onnxruntime(quantized(model, plan), plan)
    assert {row.node: row.is_integer for row in audit.rows} == {"stem": False, "second": True}
    assert audit.leftovers == ()
