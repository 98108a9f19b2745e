"""For which runtime a Q/DQ model is trained: what it says itself, else what is asked for."""

from __future__ import annotations

import pytest

import quantlab
from quantlab.errors import RecipeError
from quantlab.graph.model import Model
from quantlab.qat.start import Start, meant_for, start_from_model
from quantlab.qdq.insert import TARGET_KEY
from quantlab.targets import TARGETS
from tests.models import noise, two_convs

pytestmark = pytest.mark.torch


def made_for(target: str) -> Model:
    """Return an INT8 model of a target."""
    images = noise(16, 3, 8, 8)
    run = quantlab.ptq(two_convs(channels=32), images, threads=1, samples=8, latency_batches=(), targets=(target,))
    return run.quantized[target].model


def foreign(model: Model) -> Start:
    """Return the start from a model that does not say who made it, or for which runtime."""
    clone = model.clone()
    del clone.ir_model.metadata_props[TARGET_KEY]
    return start_from_model(clone)


@pytest.mark.parametrize("target", TARGETS)
def test_symmetric_int8_may_be_for_any_runtime(target: str):
    start = foreign(made_for("tensorrt"))
    meant = meant_for(start, target)
    assert meant.plan.target == meant.model.ir_model.metadata_props[TARGET_KEY] == target
    assert TARGET_KEY not in start.model.ir_model.metadata_props


def test_uint8_is_for_onnxruntime_alone():
    start = foreign(made_for("onnxruntime"))
    assert meant_for(start, "onnxruntime").plan.target == "onnxruntime"
    with pytest.raises(RecipeError, match="is uint8 affine, and TensorRT takes symmetric int8 only; give --target"):
        meant_for(start, "tensorrt")


def test_a_model_that_says_for_what_it_was_made_stays_so():
    start = start_from_model(made_for("tensorrt"))
    # What a command says that names no target.
    assert meant_for(start, "onnxruntime") is start
    with pytest.raises(RecipeError, match="was made for onnxruntime; quantize the float model anew"):
        meant_for(start_from_model(made_for("onnxruntime")), "tensorrt")
