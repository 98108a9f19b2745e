"""A fence changes no value, keeps the tensor's name and keeps ONNX Runtime from merging what is before it."""

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from quantlab.affine import Range, encoding_from_range
from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes
from quantlab.plan import Plan, Point, Reader
from quantlab.qdq import bake, insert, read
from tests.models import ACTIVATION

TEXT = """<ir_version: 10, opset_import: ["": 20]>
pooled (float[1, 4, 8, 8] x) => (float[1, 4, 4, 4] y) <float[1, 4, 4, 4] h> {
    [pool] h = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(x)
    [max] y = MaxPool<kernel_shape = [1, 1]>(h)
}"""
POINTS = (
    Point("x", ACTIVATION, "activation", (Reader("pool", 0),)),
    Point("h", ACTIVATION, "activation", (Reader("max", 0),)),
)
PLAN = Plan("onnxruntime", POINTS, fences=("h",))


def baked(plan: Plan) -> Model:
    encoding = encoding_from_range(Range.of(-3.0, 3.0), ACTIVATION)
    return bake(insert(Model(ir.from_onnx_text(TEXT)), plan, {"x": encoding, "h": encoding}), plan)


def run(model: Model, level: onnxruntime.GraphOptimizationLevel) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_bytes(model), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(1, 4, 8, 8)).astype(np.float32)
    return np.asarray(session.run(None, {"x": x})[0])


def test_a_fence_stands_between_producer_and_rounding_and_the_tensor_keeps_its_name():
    model = baked(PLAN)
    fence = model.nodes_by_name()["h_fence"]
    producer = fence.inputs[0].producer() if fence.inputs[0] is not None else None
    assert (fence.op_type, fence.outputs[0].name) == ("Sum", "h")
    assert producer is not None
    assert producer.name == "pool"
    assert [use.node.op_type for use in fence.outputs[0].uses()] == ["QuantizeLinear"]


def test_a_fence_changes_no_value():
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    np.testing.assert_array_equal(run(baked(PLAN), level), run(baked(replace(PLAN, fences=())), level))


def test_fenced_models_read_back_to_the_same_points():
    assert read(baked(PLAN))[0].points == POINTS


def test_fencing_again_changes_nothing():
    once = baked(PLAN)
    assert str(bake(once, PLAN).graph) == str(once.graph)


def test_a_fence_behind_nothing_is_an_error():
    with pytest.raises(PlanError, match="no node makes 'x'"):
        baked(replace(PLAN, fences=("x",)))
