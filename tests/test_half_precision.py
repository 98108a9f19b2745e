"""Beside INT8 models for TensorRT stands the float model in half precision, and what overflows there is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantlab
from quantlab.errors import EngineError
from quantlab.forecast import forecast
from quantlab.graph.model import Model
from quantlab.half_precision import HALF
from quantlab.job import Inputs, open_job
from quantlab.precision import LARGEST, SMALLEST, HalfPrecision, to_half
from quantlab.recipe import Recipe
from tests.models import model_from_text
from tests.runs import UNTIMED, classifier, images, labels

FOR_TENSORRT: dict[str, Any] = {**UNTIMED, "targets": ("tensorrt",)}


def scaled_up(factor: float) -> Model:
    """A product, its result times a factor through a second one, and back: nothing in float32 but for rounding."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(32, 32)).astype(np.float32)
    weights = {
        "w": w,
        "up": np.eye(32, dtype=np.float32) * np.float32(factor),
        "down": np.eye(32, dtype=np.float32) / np.float32(factor),
    }
    text = """<ir_version: 10, opset_import: ["": 18]>
    scaled (float[N, 32] x, float[32, 32] w, float[32, 32] up, float[32, 32] down) => (float[N, 32] y) {
        a = MatMul(x, w) b = MatMul(a, up) y = MatMul(b, down)
    }"""
    return model_from_text(text, weights)


def samples(count: int = 64) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 32)).astype(np.float32)


def names(run: quantlab.Run) -> list[str]:
    return [row.name for row in run.evaluation.rows]


def test_a_run_for_tensorrt_has_a_row_in_half_precision_behind_the_float_model():
    run = quantlab.ptq(classifier(), (images(), labels()), **FOR_TENSORRT)
    assert names(run) == ["fp32", HALF, "tensorrt"]
    row = run.evaluation.row(HALF)
    assert row.is_simulated
    assert row.drop is not None
    assert row.size.weight_bytes < run.evaluation.reference.size.weight_bytes
    assert any("every result rounded to float16" in note for note in run.evaluation.notes)
    assert not any(HALF in warning for warning in run.report.warnings)
    assert HALF in run.report.content["flips"]["models"]
    # The verdict is on the INT8 models.
    assert [line.split(":")[0] for line in run.report.content["verdict"].splitlines()] == ["tensorrt"]


@pytest.mark.parametrize("settings", [{"targets": ("onnxruntime",)}, {"targets": ("tensorrt",), "fp16": False}])
def test_other_targets_and_those_who_leave_it_out_have_no_such_row(settings: dict[str, Any]):
    run = quantlab.ptq(classifier(), images(), **{**UNTIMED, **settings})
    assert HALF not in names(run)
    assert not any("float16" in note for note in run.evaluation.notes)


def test_a_model_in_half_precision_stands_there_already():
    run = quantlab.ptq(to_half(classifier()), images(), **FOR_TENSORRT)
    assert names(run) == ["fp32", "tensorrt"]


def test_the_forecast_counts_it():
    for fp16, models in ((True, 3), (False, 2)):
        recipe = Recipe.of({**FOR_TENSORRT, "fp16": fp16})
        job = open_job(recipe, Inputs(classifier(), images()))
        assert forecast(job).cost.models == models


def test_what_overflows_is_a_warning_that_names_tensor_and_number():
    x = samples()
    largest = np.abs(x[:16] @ np.array(scaled_up(1.0).constant("w"))).max()
    fits, passes = (quantlab.ptq(scaled_up(f / largest), x, **FOR_TENSORRT) for f in (LARGEST / 4, LARGEST * 4))
    assert not any(HALF in warning for warning in fits.report.warnings)
    (warning,) = [warning for warning in passes.report.warnings if HALF in warning]
    assert f"half precision ends at 65504, and b reaches {LARGEST * 4:.3g}" in warning


def test_what_becomes_zero_as_a_whole_is_a_warning_that_names_tensor_and_number():
    x = samples()
    largest = np.abs(x).max()
    fits, vanishes = (quantlab.ptq(scaled_up(1.0), x * f, **FOR_TENSORRT) for f in (1.0, SMALLEST / 100 / largest))
    assert not any("becomes zero" in warning for warning in fits.report.warnings)
    (warning,) = [warning for warning in vanishes.report.warnings if "becomes zero" in warning]
    assert "half precision has nothing below 6e-08 but zero, and a reaches no more than " in warning


def test_nan_is_a_warning_and_no_crash():
    # So large a factor makes infinities, and infinity times the zeros of `down` is NaN.
    run = quantlab.ptq(scaled_up(LARGEST), samples(), **FOR_TENSORRT)
    row = run.evaluation.row(HALF)
    assert row.nan_samples == run.evaluation.samples
    (warning,) = [warning for warning in run.report.warnings if HALF in warning]
    assert f"NaN for {row.nan_samples} of {row.nan_samples} samples" in warning
    assert row.agreement is not None
    assert row.agreement.agreeing == 0


def test_a_run_does_not_fail_over_a_runtime_that_refuses_it(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise EngineError("no such kernel")

    monkeypatch.setattr(HalfPrecision, "open", refuse)
    run = quantlab.ptq(classifier(), images(), **FOR_TENSORRT)
    assert names(run) == ["fp32", "tensorrt"]
    assert any("fp16 was not evaluated: no such kernel" in note for note in run.evaluation.notes)
