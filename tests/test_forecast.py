"""What a run would do and cost, before it does it."""

import json

import pytest

from quantlab.forecast import forecast
from quantlab.job import Inputs, Job, open_job
from quantlab.recipe import Recipe
from tests.models import model_from_text, noise
from tests.runs import classifier, images


def job_of(model: object, data: object, **settings: object) -> Job:
    recipe = Recipe.of({"model": "m", "data": "d", "threads": 1, **settings})
    return open_job(recipe, Inputs(model=model, data=data))


def test_a_forecast_counts_what_the_run_will_read_and_hold():
    job = job_of(
        classifier(), images(), samples=16, batch_size=4, latency_batches=(), targets=("onnxruntime", "tensorrt")
    )
    cost = forecast(job).cost
    assert (cost.calibration_samples, cost.evaluation_samples, cost.models) == (16, 8, 4)
    assert cost.tensors == len(job.observed)
    sizes = {"image": 3 * 64, "hidden": 32 * 64, "deep": 32 * 64, "pooled": 32, "flat": 32, "scores": 10}
    assert cost.activation_bytes == 4 * 4 * sum(sizes[name] for name in job.observed)
    assert cost.weight_bytes == job.model.size_bytes
    assert cost.latency_seconds == 0
    assert cost.collect_seconds is not None
    assert cost.collect_seconds > 0


def test_activations_are_never_forecast_above_the_cap():
    job = job_of(classifier(), noise(100, 3, 8, 8), samples=96, batch_size=96, memory_cap_mb=1, latency_batches=())
    assert forecast(job).cost.activation_bytes == 2**20


def test_timing_is_forecast_within_its_limit_for_every_batch_size():
    job = job_of(classifier(), images(), samples=16, latency_batches=(1, 4, 100_000))
    assert 20 < forecast(job).cost.latency_seconds <= 60


def test_samples_that_only_reading_counts_have_no_time():
    def batches():
        for _ in range(5):
            yield images(4)

    cost = forecast(job_of(classifier(), batches, samples=8, latency_batches=())).cost
    assert cost.evaluation_samples is None
    assert cost.evaluate_seconds is None
    told = str(forecast(job_of(classifier(), batches, samples=8, latency_batches=())))
    assert "samples that only reading counts, time unknown" in told


def test_a_model_in_which_nothing_is_quantized_is_forecast_too():
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    nothing (float[N, 4] x) => (float[N, 4] y) { y = Elu (x) }
    """
    told = forecast(job_of(model_from_text(text, {}), noise(20, 4), samples=8, latency_batches=()))
    assert told.cost.tensors == 0
    assert "WARNING: target onnxruntime: nothing is quantized" in str(told)


@pytest.mark.parametrize("samples", [1, 3])
def test_one_batch_is_enough_to_measure(samples):
    assert forecast(job_of(classifier(), images(), samples=samples, latency_batches=())).cost.collect_seconds


def test_a_forecast_in_words_and_as_json_tells_plan_and_cost():
    told = forecast(job_of(classifier(), images(), samples=16))
    plan = told.plans["onnxruntime"]
    assert f"onnxruntime: {len(plan.integer_nodes)} nodes in integers, {len(plan.points)} tensors quantized" in str(
        told
    )
    plain = json.loads(json.dumps(told.to_json(), allow_nan=False))
    assert plain["plans"]["onnxruntime"]["points"]
    assert plain["cost"]["calibration_samples"] == 16
