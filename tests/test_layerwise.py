"""What each layer costs, and that a run does not fail where that cannot be measured."""

import pytest

import quantlab
from quantlab.data.arrays import ArraySource
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.layerwise import LayerSettings, look_at_layers
from tests.runs import UNTIMED, classifier, images


@pytest.fixture(scope="module")
def run():
    return quantlab.ptq(classifier(), images(), **{**UNTIMED, "layer_samples": 5, "latency_batches": (2,)})


def test_every_layer_has_its_noise_and_time(run):
    layers = run.report.content["targets"]["onnxruntime"]["layers"]
    rows = {row["node"]: row for row in layers["rows"]}
    assert list(rows) == ["conv1", "relu1", "conv2", "pool", "flatten", "linear"]
    assert layers["noise_samples"] == 5
    assert layers["times"]["batch_size"] == 2
    assert rows["linear"]["sqnr_db"] > 10
    assert rows["conv2"]["float_ms"] > 0
    assert rows["conv2"]["int8_ms"] > 0
    assert rows["conv2"]["tensor"] in {
        tensor["tensor"] for tensor in run.report.content["targets"]["onnxruntime"]["tensors"]
    }
    assert all(row["reason"] for row in rows.values() if row["planned"] == "float")


def test_what_was_not_asked_for_has_its_reason():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    layers = run.report.content["targets"]["onnxruntime"]["layers"]
    assert layers["noise_reason"] == "Not measured: layer_samples is 0."
    assert layers["times_reason"] == "Not measured: latencies were not asked for."


def test_models_that_cannot_be_compared_are_told_and_nothing_is_raised(run):
    batches = Batches(ArraySource("x", run.model.inputs, {"image": images(4)[:, :1]}), 4)
    seen = look_at_layers(
        run.model, run.quantized["onnxruntime"].model, OnnxRuntime(threads=1), batches, LayerSettings(4, 1, 10**8)
    )
    assert (seen.noise_reason or "").startswith("Not measured: ")
    assert (seen.times_reason or "").startswith("Not measured: ")
