"""A training → what it would do and about what it would cost, from two measured steps, before anything is written.

    training    time of a step over its samples, times the samples trained on, times the epochs
    judging     time of judging a sample, times the samples held out, before training and after every epoch
    memory      what the backward pass of a step keeps, parameters with what the optimizer holds of each, samples

The rest is what `quantlab.forecast` tells of a run. The two steps train as the training would, and are thrown away.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from quantlab.forecast import (
    Cost,
    Measured,
    build_sentence,
    cost_lines,
    cost_of,
    measure_collecting,
    plan_lines,
    remark_lines,
    time_in_words,
)
from quantlab.job import Job
from quantlab.plan import Plan
from quantlab.progress import Advance, Progress
from quantlab.qat.hooks import Hooks
from quantlab.qat.loop import Training, fit
from quantlab.qat.opening import Opened, TrainingInputs, open_start
from quantlab.qat.run import cut_for, training_of
from quantlab.qat.samples import held_out_count
from quantlab.qat.settings import QatSettings
from quantlab.recipe import Recipe
from quantlab.resume import Collected


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """About what a training costs on this machine.

    Attributes:
        trained_samples: samples of an epoch, or None where only reading tells.
        held_out_samples: samples that choose the epoch, or None likewise.
        steps: of all epochs, or None likewise.
        step_seconds: of one step.
        train_seconds: of all steps; None where the samples are not counted.
        judge_seconds: of all judging; None likewise.
        backward_bytes: kept from the forward to the backward pass of a step.
        parameter_bytes: both models' parameters, gradients, what the optimizer holds, the best epoch and the average.
        sample_bytes: of samples in memory, at most; None where they are not counted.
    """

    trained_samples: int | None
    held_out_samples: int | None
    steps: int | None
    step_seconds: float
    train_seconds: float | None
    judge_seconds: float | None
    backward_bytes: int
    parameter_bytes: int
    sample_bytes: int | None


@dataclass(frozen=True, eq=False, slots=True)
class TrainingForecast:
    """What a training would do.

    Attributes:
        model: the name of the model that is trained.
        is_given: whether it was quantized already.
        target: the runtime it is for.
        plan: where it is quantized.
        settings: how it would be trained.
        cost: of everything but the training.
        training: of the training.
        build: what TensorRT would be asked for, as a sentence, or None for nothing.
        notes: sentences about model and data.
        warnings: those that a user must see.
    """

    model: str
    is_given: bool
    target: str
    plan: Plan
    settings: QatSettings
    cost: Cost
    training: TrainingCost
    build: str | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the whole plan included."""
        return {
            "model": self.model,
            "is_given": self.is_given,
            "plans": {self.target: json.loads(self.plan.to_json())},
            "settings": self.settings.to_plain(),
            "cost": asdict(self.cost),
            "training": asdict(self.training),
            "build": self.build,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        done = "train" if self.is_given else "quantize and train"
        loss, epochs = self.settings.loss, self.settings.epochs
        lines = [f"This would {done} {self.model}, {_counted(epochs, 'epoch')}, loss {loss}. Nothing is written.", ""]
        lines += [*plan_lines(self.target, self.plan), ""]
        lines += [self.build, ""] if self.build else []
        lines += [*cost_lines(self.cost, list(self._training_lines())), ""]
        lines += remark_lines(self.notes, self.warnings)
        return "\n".join(lines)

    def _training_lines(self) -> Iterator[str]:
        cost, epochs = self.training, _counted(self.settings.epochs, "epoch")
        if cost.steps is None:
            yield f"  training: {epochs} over samples that only reading counts, {cost.step_seconds:.2g} s a step"
        else:
            over = f"{epochs} over {_counted(cost.trained_samples or 0, 'sample')}, {_counted(cost.steps, 'step')}"
            yield f"  training: {over} of {cost.step_seconds:.2g} s, {time_in_words(cost.train_seconds)}"
            judged = f"{_counted(cost.held_out_samples or 0, 'sample')} held out, {self.settings.epochs + 1} times"
            yield f"  judging: {judged}, {time_in_words(cost.judge_seconds)}"
        held = [
            f"{cost.backward_bytes / 1e6:.1f} MB for the backward pass of a step",
            f"{cost.parameter_bytes / 1e6:.1f} MB of parameters and what is held of each",
        ]
        held += [] if cost.sample_bytes is None else [f"{cost.sample_bytes / 1e6:.1f} MB of samples"]
        yield f"  memory while training: {', '.join(held)}"


def forecast_training(
    recipe: Recipe, settings: QatSettings, inputs: TrainingInputs, *, hooks: Hooks
) -> TrainingForecast:
    """Return what a training would do and cost; two batches are collected, two steps are taken, nothing is written.

    Args:
        recipe: how the model is quantized before.
        settings: how it is trained.
        inputs: what to train on.
        hooks: a user's own functions, which the steps call too, and how opening and measuring show themselves.

    Raises:
        QuantlabError: as the training itself, as far as two steps tell.
    """
    measured: list[Measured] = []

    def collecting(job: Job) -> Collected:
        with hooks.progress("measuring a batch", 1):
            measured.append(measure_collecting(job))
        return Collected(measured[0].statistics, None)

    given = inputs.for_loss(hooks.task_loss)
    opened = open_start(recipe, settings, given, collecting=collecting, progress=hooks.progress)
    with hooks.progress("measuring two steps", 1):
        training = _training_cost(opened, settings, hooks)
        cost = cost_of(opened.job, measured[0] if measured else None, [opened.target] * 2)
    return TrainingForecast(
        model=opened.start.model.name,
        is_given=not measured,
        target=opened.target,
        plan=opened.start.plan,
        settings=settings,
        cost=cost,
        training=training,
        build=build_sentence(opened.build),
        notes=(*opened.job.notes, *opened.notes),
        warnings=(*opened.job.warnings, *opened.warnings),
    )


def _training_cost(opened: Opened, settings: QatSettings, hooks: Hooks) -> TrainingCost:
    """Take two steps on the first samples, each followed by judging as many."""
    cut = cut_for(opened.job, settings)
    few = replace(opened, samples=opened.samples.head(2 * cut.batch_size))
    clock = _Clock()
    watched = Hooks(hooks.augment, hooks.task_loss, progress=clock)
    training = training_of(few, replace(settings, held_out=0.5, epochs=2), watched)
    with _counting_kept_bytes(training) as kept:
        fit(training)
    *_, step, judging = clock.seconds
    per_sample, judged = step / training.samples.trained_size, judging / training.samples.held_out_size
    batch = next(iter(few.samples))
    sample_bytes = sum(array.nbytes for array in batch.feeds.values()) // batch.size
    size, parameter_bytes = opened.samples.size, _parameter_bytes(training, settings)
    if size is None:
        return TrainingCost(None, None, None, step, None, None, max(kept), parameter_bytes, None)
    held_out = held_out_count(size, cut)
    trained = size - held_out
    steps = trained // cut.batch_size if cut.has_fixed_batch else math.ceil(trained / cut.batch_size)
    return TrainingCost(
        trained_samples=trained,
        held_out_samples=held_out,
        steps=steps * settings.epochs,
        step_seconds=per_sample * min(cut.batch_size, trained),
        train_seconds=per_sample * trained * settings.epochs,
        judge_seconds=judged * held_out * (settings.epochs + 1),
        backward_bytes=max(kept),
        parameter_bytes=parameter_bytes,
        sample_bytes=held_out * sample_bytes + min(cut.cache_bytes, trained * sample_bytes),
    )


class _Clock(Progress):
    """Shows nothing, and notes how long each step took."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextlib.contextmanager
    def __call__(self, label: str, total: int | None) -> Iterator[Advance]:
        begun = time.perf_counter()
        yield lambda units: None
        self.seconds.append(time.perf_counter() - begun)


@contextlib.contextmanager
def _counting_kept_bytes(training: Training) -> Iterator[list[int]]:
    """Note, while the block runs, what each step keeps for its backward pass: every storage once, parameters aside."""
    own = {parameter.untyped_storage().data_ptr() for parameter in training.module.parameters()}
    kept: list[int] = [0]
    alive: set[int] = set()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.data_ptr() not in alive:
            alive.add(storage.data_ptr())
            kept[-1] += storage.nbytes()
        return tensor

    def give(tensor: Tensor) -> Tensor:
        if alive:  # the backward pass has begun
            alive.clear()
            kept.append(0)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, give):
        yield kept


def _parameter_bytes(training: Training, settings: QatSettings) -> int:
    """Return the bytes of parameters, each with its gradient, its moments, its best value and its average."""
    moments = 2 if settings.optimizer == "adamw" else int(settings.momentum > 0)
    copies = 3 + moments + int(settings.ema_decay > 0)
    own = sum(parameter.nbytes for parameter in training.module.parameters())
    return copies * own + sum(parameter.nbytes for parameter in training.teacher.parameters())


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
