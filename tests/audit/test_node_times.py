"""How long nodes take, from profiles of ONNX Runtime."""

import pytest

import quantlab
from quantlab.audit.node_times import node_times
from quantlab.engines.onnxruntime import OnnxRuntime, kernel_times
from quantlab.errors import EngineError
from tests.runs import UNTIMED, classifier, images

ENGINE = OnnxRuntime(threads=1)


def test_a_profile_is_cut_into_its_runs():
    def kernel(name, dur):
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": dur}

    run = {"cat": "Session", "name": "model_run", "dur": 9}
    events = [{"cat": "Session", "name": "model_loading"}, kernel("a", 2), kernel("b", 3), run, kernel("a", 4), run]
    assert kernel_times(events) == [{"a": 2.0, "b": 3.0}, {"a": 4.0}]


def test_float_nodes_have_their_times_and_a_fused_activation_that_of_its_convolution():
    times = node_times(classifier(), ENGINE, {"image": images(4)}, runs=3)
    assert {"conv1", "conv2", "linear"} <= set(times.by_node)
    assert "relu1" not in times.by_node
    assert all(time > 0 for time in times.by_node.values())
    assert (times.batch_size, times.runs) == (4, 3)
    assert times.total_ms >= sum(times.by_node.values())


def test_int8_nodes_go_by_the_names_of_the_float_model():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    times = node_times(run.quantized["onnxruntime"].model, ENGINE, {"image": images(1)}, runs=3)
    assert {"conv1", "conv2"} <= set(times.by_node)
    assert times.converting_ms > 0  # the input is quantized


def test_feeds_that_do_not_fit_are_told():
    with pytest.raises(EngineError):
        node_times(classifier(), ENGINE, {"image": images(1)[:, :1]}, runs=1)
