"""What a training would do and cost, before it does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from torch import Generator, Tensor

from quantlab.data.batch import Batch
from quantlab.errors import DataError
from quantlab.graph.model import Model
from quantlab.qat.forecast import TrainingForecast, forecast_training
from quantlab.qat.hooks import Hooks
from quantlab.qat.opening import TrainingInputs
from quantlab.qat.run import Place, train_recipe
from quantlab.qat.settings import QatSettings
from quantlab.qat.start import Start
from quantlab.recipe import Recipe
from tests.qat.networks import digits, solved_network


def another_tools(start: Start) -> Model:
    """Return a Q/DQ model that says nothing of its plan."""
    model = start.model.clone()
    model.ir_model.metadata_props.clear()
    return model


RECIPE = Recipe(threads=1, latency_batches=(), samples=64, eval_samples=64)


def told(settings: QatSettings, hooks: Hooks | None = None, **inputs: object) -> TrainingForecast:
    usual = {"model": solved_network(), "data": digits("calibration"), "eval_data": digits("evaluation")}
    given: dict[str, Any] = {**usual, **inputs}
    return forecast_training(RECIPE, settings, TrainingInputs(**given), hooks=hooks or Hooks())


def test_a_forecast_counts_the_samples_and_steps_that_the_training_then_has() -> None:
    settings = QatSettings(epochs=3, train_samples=100, batch_size=16, device="cpu")
    training = told(settings).training
    assert (training.trained_samples, training.held_out_samples, training.steps) == (85, 15, 3 * 6)
    sizes: list[int] = []

    def note(feeds: Mapping[str, Tensor], _: Generator) -> Mapping[str, Tensor]:
        sizes.append(len(feeds["image"]))
        return feeds

    inputs = TrainingInputs(solved_network(), digits("calibration"), digits("evaluation"))
    done = train_recipe(RECIPE, settings, inputs, hooks=Hooks(augment=note), place=Place())
    assert (len(sizes), sum(sizes)) == (3 * 6, 3 * 85)
    assert done.history.start.score.total == training.held_out_samples


def test_times_are_those_of_two_measured_steps() -> None:
    training = told(QatSettings(epochs=3, train_samples=96, batch_size=16, device="cpu")).training
    assert training.step_seconds > 0
    assert training.train_seconds == pytest.approx(training.step_seconds / 16 * (training.trained_samples or 0) * 3)
    assert (training.judge_seconds or 0) > 0


def test_a_step_of_twice_the_samples_keeps_twice_the_bytes_for_its_backward_pass() -> None:
    one, two = (told(QatSettings(batch_size=size, device="cpu")).training.backward_bytes for size in (8, 16))
    # Weights as they are quantized are kept too, whatever the batch.
    assert 1.5 < two / one <= 2


def test_memory_of_parameters_is_that_of_the_optimizer_and_of_the_copies() -> None:
    bare = told(QatSettings(optimizer="sgd", momentum=0, device="cpu")).training.parameter_bytes
    full = told(QatSettings(optimizer="adamw", ema_decay=0.9, device="cpu")).training.parameter_bytes
    model = solved_network().size_bytes
    # Weights, gradients and the best epoch, beside the float model; two moments and the average come on top.
    assert bare == pytest.approx(4 * model, rel=0.1)
    assert full == pytest.approx(7 * model, rel=0.1)


def test_a_forecast_of_a_model_that_is_quantized_already_collects_nothing(start: Start) -> None:
    forecast = told(QatSettings(device="cpu"), model=start.model)
    assert forecast.is_given
    assert forecast.cost.calibration_samples == 0
    assert "collecting" not in str(forecast)
    assert "tensors quantized, as the model has them." in str(
        told(QatSettings(device="cpu"), model=another_tools(start))
    )
    assert str(forecast).startswith("This would train ")


def test_samples_that_only_reading_counts_have_a_time_per_step_only() -> None:
    def batches() -> object:
        yield from (Batch({"image": np.zeros((8, 1, 8, 8), np.float32)}) for _ in range(9))

    forecast = told(QatSettings(device="cpu", batch_size=8), train_data=batches)
    assert (forecast.training.steps, forecast.training.train_seconds) == (None, None)
    assert "2 epochs over samples that only reading counts" in str(forecast)


def test_what_the_training_would_refuse_is_refused_before_it() -> None:
    with pytest.raises(DataError, match="label"):
        told(QatSettings(loss="task", device="cpu"), data=np.zeros((64, 1, 8, 8), np.float32))


def test_a_forecast_in_words_and_as_json_tells_plan_and_cost() -> None:
    forecast = told(QatSettings(epochs=1, train_samples=40, batch_size=34, device="cpu"))
    assert "This would quantize and train" in str(forecast)
    assert "training: 1 epoch over 34 samples, 1 step of " in str(forecast)
    assert "judging: 6 samples held out, 2 times" in str(forecast)
    plain = json.loads(json.dumps(forecast.to_json(), allow_nan=False))
    assert plain["plans"]["onnxruntime"]["points"]
    assert plain["training"]["steps"] == 1
