"""The stages of post-training quantization in order: read this file first.

    open → prepare → place (per target) → collect (once) → calibrate → insert → bake → audit → evaluate → report

Every stage is a function of its own module and can be called alone; here they are only called one after another.
`Job` holds what is fixed before any decision, `Run` what came out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quantlab.audit import audit_onnxruntime
from quantlab.calibrate import calibrate
from quantlab.calibrators.calibrator import Calibrator
from quantlab.collect import CollectSettings, collect
from quantlab.data.guard import chance_warning
from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.evaluation import Evaluation, EvaluationSettings, evaluate
from quantlab.graph.model import Model
from quantlab.job import Inputs, Job, open_job
from quantlab.plan import Plan
from quantlab.progress import Progress, silent
from quantlab.qdq import bake, insert
from quantlab.recipe import Recipe
from quantlab.report.build import Outcome, Quantized, build_report
from quantlab.report.report import Report
from quantlab.run_folder import RunFolder
from quantlab.stats.table import Statistics

_logger = logging.getLogger(__name__)

FLOAT = "fp32"
"""What the float model is called beside the INT8 models."""

_SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """What one run made.

    Attributes:
        recipe: what was asked for.
        model: the prepared float model.
        statistics: of every tensor that any plan quantizes.
        quantized: plan, encodings, INT8 model and audit by target.
        evaluation: accuracy, agreement and latency, side by side.
        report: all of it, as it is saved and shown.
        folder: where the files are, or None.
    """

    recipe: Recipe
    model: Model
    statistics: Statistics
    quantized: Mapping[str, Quantized]
    evaluation: Evaluation
    report: Report
    folder: Path | None = None

    def __str__(self) -> str:
        return str(self.evaluation)


def ptq(
    model: object = "digits",
    data: object = "digits",
    *,
    eval_data: object = None,
    out: str | Path | None = None,
    progress: Progress = silent,
    **settings: object,
) -> Run:
    """Quantize a float network after training, and say what that costs and gains.

    Args:
        model: the path or bytes of an ONNX file, a `Model`, or `digits` for the bundled network.
        data: calibration samples: what `--data` takes, or any re-iterable of arrays, dictionaries or tuples, a torch
            DataLoader included.
        eval_data: evaluation samples, likewise; None for the samples of `data` that do not calibrate.
        out: the folder to write, or None to write nothing.
        progress: how long steps show themselves.
        **settings: fields of `Recipe`, such as `calibrator="entropy"` or `targets=("onnxruntime", "tensorrt")`.

    Returns:
        The run; `print(run)` shows the comparison.

    Raises:
        QuantlabError: one of the tree in `quantlab.errors`; every message says what to do.
    """
    named = {"model": model, "data": data, "eval_data": eval_data}
    words = {name: value for name, value in named.items() if isinstance(value, str | Path)}
    recipe = Recipe.of({**settings, **{name: str(value) for name, value in words.items()}})
    given = {name: value for name, value in named.items() if name not in words}
    return run_job(open_job(recipe, Inputs(**given)), out=out, progress=progress)


def run_recipe(recipe: Recipe, *, out: str | Path | None = None, progress: Progress = silent) -> Run:
    """Do what a recipe says; see `ptq`."""
    return run_job(open_job(recipe), out=out, progress=progress)


def run_job(job: Job, *, out: str | Path | None = None, progress: Progress = silent) -> Run:
    """Do what a job says; with a folder, go on from what an interrupted run left there, and write the results."""
    folder = None if out is None else RunFolder(out)
    if folder:
        folder.write_recipe(job.recipe)
        folder.write_plans(job.plans)
    statistics = collect_for(job, folder=folder, progress=progress)
    calibrator = job.recipe.calibrator_with_options()
    quantized = {target: quantize(job, plan, statistics, calibrator) for target, plan in job.plans.items()}
    if folder:
        folder.write_models(job.model, {target: made.model for target, made in quantized.items()})
    evaluation = evaluate_for(job, {target: made.model for target, made in quantized.items()}, progress=progress)
    outcome = Outcome(job, statistics, quantized, evaluation, _late_warnings(job, evaluation))
    report = build_report(outcome)
    if folder:
        folder.write_report(report.to_json())
    return Run(job.recipe, job.model, statistics, quantized, evaluation, report, folder.path if folder else None)


def collect_for(job: Job, *, folder: RunFolder | None = None, progress: Progress = silent) -> Statistics:
    """Return the statistics of a job: from the folder if they are there, else from a pass over the samples."""
    fingerprint = job.fingerprint() if folder else ""  # all weights are hashed, only so that a folder can resume
    saved = folder.saved_statistics(fingerprint) if folder else None
    if saved is not None and saved.is_complete:
        _logger.info("statistics of %d samples were there already", saved.statistics.samples)
        return saved.statistics
    resume = saved.statistics if saved is not None else None
    done = resume.samples if resume else 0
    size = job.calibration.size
    with progress("collecting statistics", None if size is None else size - done) as advance:
        settings = CollectSettings(
            memory_cap_bytes=job.recipe.memory_cap_mb * 2**20,
            threads=job.recipe.threads,
            on_progress=advance,
            on_partial=_saver(folder, fingerprint) if folder else None,
        )
        statistics = collect(job.model, job.observed, job.engine, job.calibration, settings=settings, resume=resume)
    if folder:
        folder.write_statistics(statistics, fingerprint, is_complete=True)
    return statistics


def quantize(job: Job, plan: Plan, statistics: Statistics, calibrator: Calibrator) -> Quantized:
    """Return what a plan and a calibrator make of a job's model."""
    encodings = calibrate(job.model, plan, statistics, calibrator, weights=job.recipe.weights)
    model = bake(insert(job.model, plan, encodings), plan)
    audit = audit_onnxruntime(model, plan) if plan.target == "onnxruntime" else None
    return Quantized(plan, encodings, model, audit)


def evaluate_for(job: Job, int8_models: Mapping[str, Model], *, progress: Progress = silent) -> Evaluation:
    """Return how INT8 models compare with a job's float model on its evaluation samples.

    Args:
        job: the float model, the samples and the settings.
        int8_models: by what the table calls them: `TARGET`, or `TARGET ...` with more words behind.
        progress: how long steps show themselves.
    """
    engines: dict[str, Engine] = {FLOAT: job.engine}
    engines |= {name: _engine_for(job, name.split()[0]) for name in int8_models}
    settings = EvaluationSettings(
        output=job.recipe.output,
        top_k=job.recipe.top_k,
        latency_batch_sizes=_latency_batches(job),
        seed=job.recipe.seed,
    )
    with progress("evaluating", job.evaluation.size) as advance:
        models = {FLOAT: job.model, **int8_models}
        return evaluate(models, engines, job.evaluation, settings=settings, on_progress=advance)


def _engine_for(job: Job, target: str) -> Engine:
    """Return what judges a target's model here: ONNX Runtime for its own, a literal simulation for others."""
    if target == "onnxruntime":
        return job.engine
    return OnnxRuntime(job.recipe.threads, optimization="none", libraries=job.recipe.libraries)


def _latency_batches(job: Job) -> tuple[int, ...]:
    fixed = next((spec.fixed_batch for spec in job.model.inputs if spec.fixed_batch is not None), None)
    return job.recipe.latency_batches if fixed is None else (fixed,)


def _saver(folder: RunFolder, fingerprint: str) -> Callable[[Callable[[], Statistics]], None]:
    """Return what saves the statistics so far, not more often than every few seconds."""
    last = time.monotonic()

    def save(statistics_so_far: Callable[[], Statistics]) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_SAVES:
            folder.write_statistics(statistics_so_far(), fingerprint, is_complete=False)
            last = time.monotonic()

    return save


def _late_warnings(job: Job, evaluation: Evaluation) -> tuple[str, ...]:
    """Return what only the float model's accuracy can tell."""
    output = next((v for v in job.model.graph.outputs if v.name == evaluation.output), None)
    classes = output.shape[-1] if output is not None and output.shape else None
    correct = evaluation.reference.correct
    if correct is None or not isinstance(classes, int):
        return ()
    warning = chance_warning(int(correct.sum()), int(correct.size), classes)
    return () if warning is None else (warning,)
