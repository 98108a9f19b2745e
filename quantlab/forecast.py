"""A job → what it would do and about what it would cost, from one measured batch, before anything is written.

    collecting   time of one batch, running and counting, times the number of batches
    evaluating   time of one float sample times the samples times the models; INT8 and FP16 ones count as float ones
    timing       warm-up and timed runs of every model that is timed, at most the limit per batch size

Deciding ranges, looking at single layers and writing files come on top, and are not forecast.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from quantlab.collect import CollectSettings, collect
from quantlab.data.batch import Batches
from quantlab.engines.tensorrt import BuildSettings
from quantlab.evaluation.latency import RUNS_PER_TURN, LatencySettings
from quantlab.half_precision import wants_half
from quantlab.job import Job, first_batch
from quantlab.plan import Plan
from quantlab.run_build import TARGET, settings_to_build
from quantlab.run_folder import plan_name
from quantlab.stats.table import Statistics

_MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """About what a run costs on this machine.

    Attributes:
        tensors: activations that are observed.
        calibration_samples: samples of the one pass that collects, or None where only reading tells; 0 for no pass.
        evaluation_samples: samples of the one pass that every model is judged in, or None likewise.
        models: that are judged: the float one, one per target, and one in half precision beside `tensorrt`.
        activation_bytes: of observed activations held at once while collecting, at most.
        weight_bytes: of the float model.
        collect_seconds: None where the samples are not counted.
        evaluate_seconds: None likewise.
        latency_seconds: of all batch sizes.
    """

    tensors: int
    calibration_samples: int | None
    evaluation_samples: int | None
    models: int
    activation_bytes: int
    weight_bytes: int
    collect_seconds: float | None
    evaluate_seconds: float | None
    latency_seconds: float


@dataclass(frozen=True, eq=False, slots=True)
class Forecast:
    """What a run would do.

    Attributes:
        model: the float model's name.
        calibrator: how ranges would be chosen.
        plans: by target.
        cost: of it.
        build: what TensorRT would be asked for, as a sentence, or None for nothing.
        notes: sentences about model and data.
        warnings: those that a user must see.
    """

    model: str
    calibrator: str
    plans: Mapping[str, Plan]
    cost: Cost
    build: str | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the whole plans included."""
        return {
            "model": self.model,
            "calibrator": self.calibrator,
            "plans": {name: json.loads(plan.to_json()) for name, plan in self.plans.items()},
            "cost": asdict(self.cost),
            "build": self.build,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        lines = [f"This would quantize {self.model}, ranges by {self.calibrator}. Nothing is written.", ""]
        for name, plan in self.plans.items():
            lines += [*plan_lines(name, plan), ""]
        lines += [self.build, ""] if self.build else []
        lines += [*cost_lines(self.cost), ""]
        lines += remark_lines(self.notes, self.warnings)
        return "\n".join(lines)


def forecast(job: Job) -> Forecast:
    """Return what a job would do and cost; two batches are collected and one is run, and nothing is written.

    Raises:
        CalibrationError: a value is NaN or infinite.
        EngineError: the engine fails, or a plan is asked for that no runtime can build here.
        RecipeError: the settings of the build fit neither model nor runtime.
    """
    build = build_sentence(settings_to_build(job))  # first: it refuses at once what cannot be built
    cost = cost_of(job, measure_collecting(job), list(job.plans))
    return Forecast(job.model.name, job.recipe.calibrator, job.plans, cost, build, job.notes, job.warnings)


def build_sentence(settings: BuildSettings | None) -> str | None:
    """Return what TensorRT would be asked for; None for nothing."""
    if settings is None:
        return None
    shapes = "; ".join(f"input {name}: {shape}" for name, shape in settings.shapes.items())
    return f"Then {settings.runtime} would build {plan_name(TARGET)}, {shapes}; how long is not forecast."


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """What collecting from two batches told.

    Attributes:
        statistics: of these batches.
        batch_seconds: how long the second took, where there is one: the first waits for the session to open.
        sample_bytes: of the observed tensors of a sample.
    """

    statistics: Statistics
    batch_seconds: float
    sample_bytes: int


def measure_collecting(job: Job) -> Measured:
    """Collect from two batches, and note what that costs.

    Raises:
        CalibrationError: a value is NaN or infinite.
        EngineError: the engine fails.
    """
    times = [time.perf_counter()]
    settings = CollectSettings(
        memory_cap_bytes=job.recipe.memory_cap_mb * 2**20,
        threads=job.recipe.threads,
        on_progress=lambda _: times.append(time.perf_counter()),
    )
    two: Batches = job.calibration.head(2 * job.calibration.batch_size)
    statistics = collect(job.model, job.observed, job.engine, two, settings=settings)
    values = sum(seen.count for seen in statistics.tensors.values())
    return Measured(statistics, times[-1] - times[-2], 4 * values // statistics.samples)


def cost_of(job: Job, measured: Measured | None, int8_models: Sequence[str]) -> Cost:
    """Return about what a job costs; one batch is run.

    Args:
        job: the float model, the samples and the settings.
        measured: what collecting told; None where nothing is collected.
        int8_models: the targets of the models that are compared with the float one.

    Raises:
        EngineError: the engine fails.
    """
    recipe, per_sample = job.recipe, _float_seconds(job)
    calibration, evaluation = 0 if measured is None else job.calibration.size, job.evaluation.size
    batches = None if calibration is None else math.ceil(calibration / job.calibration.batch_size)
    batch_seconds, sample_bytes = (0.0, 0) if measured is None else (measured.batch_seconds, measured.sample_bytes)
    models = 1 + wants_half(recipe, int8_models) + len(int8_models)
    timed = 1 + sum(name == job.engine.name for name in int8_models)
    return Cost(
        tensors=0 if measured is None else len(job.observed),
        calibration_samples=calibration,
        evaluation_samples=evaluation,
        models=models,
        activation_bytes=min(recipe.memory_cap_mb * 2**20, sample_bytes * job.calibration.batch_size),
        weight_bytes=job.model.size_bytes,
        collect_seconds=None if batches is None else batches * batch_seconds,
        evaluate_seconds=None if evaluation is None else evaluation * per_sample * models,
        latency_seconds=sum(_latency_seconds(per_sample * size * timed) for size in recipe.latency_batches),
    )


def _float_seconds(job: Job) -> float:
    """Return the seconds that the float model takes for a sample, in batches as the evaluation has them."""
    batch = first_batch(job.evaluation)
    with job.engine.open(job.model) as session:
        session.run(batch.feeds)
        begin = time.perf_counter()
        session.run(batch.feeds)
        return (time.perf_counter() - begin) / batch.size


def _latency_seconds(round_seconds: float) -> float:
    """Return what timing takes at one batch size, from the time of one run of every model."""
    settings = LatencySettings()
    return min(settings.seconds, round_seconds * (settings.warmup + settings.turns * (RUNS_PER_TURN + 1)))


def plan_lines(name: str, plan: Plan) -> Iterator[str]:
    """Yield what a plan quantizes, in numbers, and the commonest reasons for what it does not."""
    if not plan.integer_nodes and not plan.float_nodes:  # read from a Q/DQ model, which tells tensors only
        yield f"{name}: {len(plan.points)} tensors quantized, as the model has them."
        return
    yield (
        f"{name}: {len(plan.integer_nodes)} nodes in integers, {len(plan.points)} tensors quantized, "
        f"{len(plan.float_nodes)} nodes kept float."
    )
    reasons = Counter(reason for _, reason in plan.float_nodes).most_common()
    for reason, count in reasons[:_MOST_REASONS]:
        yield f"  {count} node{'' if count == 1 else 's'} float: {reason}"
    if len(reasons) > _MOST_REASONS:
        left_out = len(reasons) - _MOST_REASONS
        yield f"  {left_out} more reasons; `quantlab inspect MODEL --plan --target {name}` tells all."


def cost_lines(cost: Cost, training: Sequence[str] = ()) -> Iterator[str]:
    """Yield what a run costs, stage by stage; lines about a training stand where it does."""
    measured = "a batch and two steps that were measured" if training else "one batch that was measured"
    yield f"About what it costs here, by {measured}:"
    if cost.calibration_samples != 0:
        samples, held = samples_in_words(cost.calibration_samples), cost.activation_bytes / 1e6
        yield f"  collecting: {cost.tensors} tensors in one pass over {samples}, {time_in_words(cost.collect_seconds)}"
        yield f"  memory: {held:.1f} MB of activations at once beside {cost.weight_bytes / 1e6:.1f} MB of weights"
    yield from training
    samples = samples_in_words(cost.evaluation_samples)
    yield f"  evaluating: {cost.models} models in one pass over {samples}, {time_in_words(cost.evaluate_seconds)}"
    yield f"  latency: {time_in_words(cost.latency_seconds) if cost.latency_seconds else 'not measured'}"
    yield "  Deciding ranges, looking at single layers and writing files come on top."


def remark_lines(notes: Sequence[str], warnings: Sequence[str]) -> list[str]:
    """Return the lines that a forecast ends with."""
    return [*(f"Note: {note}" for note in notes), *(f"WARNING: {warning}" for warning in warnings)]


def samples_in_words(count: int | None) -> str:
    """Return a number of samples, or that it is not known."""
    return "samples that only reading counts" if count is None else f"{count} samples"


def time_in_words(seconds: float | None) -> str:
    """Return a time as a person says it, or that it is not known."""
    if seconds is None:
        return "time unknown"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
