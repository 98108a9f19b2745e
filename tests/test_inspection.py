import json

import numpy as np
import onnx_ir as ir
import pytest

import quantlab
from quantlab.errors import PlanError, RecipeError
from quantlab.inspection import AS_IT_IS, inspect_model
from quantlab.targets import TARGETS
from tests.lint.build import model
from tests.runs import UNTIMED, classifier, images


@pytest.fixture(scope="module")
def run() -> quantlab.Run:
    return quantlab.ptq(classifier(), images(), **UNTIMED)


def test_a_float_model_tells_its_inputs_outputs_and_operators():
    inspection = inspect_model(classifier())
    text = str(inspection)
    assert "input  image: float32[batch, 3, 8, 8]" in text
    assert "output scores" in text
    assert "Conv 2" in text
    assert inspection.plans == {}


def test_with_targets_every_tensor_is_quantized_or_has_a_reason():
    inspection = inspect_model(classifier(), targets=tuple(TARGETS))
    assert set(inspection.plans) == set(TARGETS)
    text = str(inspection)
    for name, plan in inspection.plans.items():
        assert f"Target {name}: {len(plan.integer_nodes)} nodes in integers" in text
        assert all(str(skip) in text for skip in plan.skips)
        assert all(reason in text for _, reason in plan.float_nodes)


def test_nodes_kept_float_are_left_out_of_the_plan():
    plan = inspect_model(classifier(), targets=("onnxruntime",), keep_float=("conv2",)).plans["onnxruntime"]
    assert "conv2" not in plan.integer_nodes
    with pytest.raises(PlanError, match="'conv9' matches no node"):
        inspect_model(classifier(), targets=("onnxruntime",), keep_float=("conv9",))


def test_a_quantized_model_tells_its_own_plan_and_encodings(run):
    made = run.quantized["onnxruntime"]
    inspection = inspect_model(made.model, targets=tuple(TARGETS))
    assert list(inspection.plans) == [AS_IT_IS]
    assert {p.tensor for p in inspection.plans[AS_IT_IS].points} == {p.tensor for p in made.plan.points}
    assert "Quantized already, for onnxruntime" in str(inspection)
    scale = float(made.encodings["hidden"].scale)
    assert f"scale={scale:.6g}" in str(inspection)
    assert inspection.to_json()["encodings"]["hidden"]["scale"] == pytest.approx(scale)


def test_integers_that_are_not_read_are_named_and_the_rest_is_shown():
    text = "(float[N,8] x) => (float[N,8] y) { [dq] w_d = DequantizeLinear(w, s) [fc] y = MatMul(x, w_d) }"
    inspection = inspect_model(model(text, w=np.zeros((8, 8), ir.DataType.INT4.numpy())))
    assert "DequantizeLinear 1, MatMul 1" in str(inspection)
    assert "cannot be shown: node 'dq': int4 integers" in str(inspection)
    assert inspection.plans == {}


def test_the_plain_values_are_json(run):
    for inspection in (
        inspect_model(classifier(), targets=tuple(TARGETS)),
        inspect_model(run.quantized["onnxruntime"].model),
    ):
        content = json.loads(json.dumps(inspection.to_json(), allow_nan=False))
        assert content["nodes"] == len(inspection.model.graph)


def test_an_unknown_target_is_refused_before_the_model_is_read():
    with pytest.raises(RecipeError, match="'cpu' is unknown"):
        inspect_model("nowhere.onnx", targets=("cpu",))
