"""The stages of post-training quantization in order: read this file first.

    open → prepare → place (per target) → collect (once) → calibrate → insert → bake → audit → build → evaluate → report

Every stage is a function of its own module and can be called alone; here they are only called one after another.
`Job` holds what is fixed before any decision, `Run` what came out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from quantlab.audit import audit_onnxruntime
from quantlab.calibrate import calibrate
from quantlab.calibrators.calibrator import Calibrator
from quantlab.data.guard import chance_warning
from quantlab.deployable import Deployable
from quantlab.diagnosis import Diagnosis, diagnose
from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.tensorrt import BuildSettings
from quantlab.evaluation import Evaluation, EvaluationSettings, evaluate
from quantlab.evaluation.evaluation import Row
from quantlab.evaluation.judge import fixed_batch
from quantlab.evaluation.resources import Monitor
from quantlab.graph.model import Model
from quantlab.half_precision import half_beside, overflow_warning, underflow_warning
from quantlab.job import Inputs, Job, open_job
from quantlab.layerwise import LayerSettings, Layerwise, look_at_layers
from quantlab.plan import Plan
from quantlab.progress import Progress, silent
from quantlab.qdq import bake, insert
from quantlab.ranks import ALONE, Ranks
from quantlab.recipe import Recipe
from quantlab.report.build import Outcome, Quantized, build_report
from quantlab.report.html import to_html
from quantlab.resume import collect_for
from quantlab.run import Run as Run
from quantlab.run_build import TARGET, build_into, check_build, settings_to_build
from quantlab.run_folder import PAGE, REPORT, RunFolder
from quantlab.stats.table import Statistics

FLOAT = "fp32"
"""What the float model is called beside the INT8 models."""

OPENING = "opening model and data"
"""What the first step of a run is called where it shows itself."""

REPORTING = "writing the report"
"""What the last step is called."""


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
    recipe = Recipe.of({**settings, **{name: _in_words(value) for name, value in named.items()}})
    given: dict[str, Any] = {name: value for name, value in named.items() if not isinstance(value, str | Path)}
    with progress(OPENING, 1):
        job = open_job(recipe, Inputs(**given))
    return run_job(job, out=out, progress=progress)


def _in_words(value: object) -> str | None:
    """Return what a recipe calls a model or data; an object has no name to find it by again."""
    if value is None or isinstance(value, str | Path):
        return None if value is None else str(value)
    return f"<{type(value).__name__} from Python>"


def run_recipe(
    recipe: Recipe,
    *,
    out: str | Path | None = None,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
    ranks: Ranks = ALONE,
) -> Run:
    """Do what a recipe says; see `ptq`. The report tells the command line, if there is one.

    Of several processes the first calls this, the others `assist_recipe`.
    """
    with progress(OPENING, 1):
        job = open_job(recipe)
    return run_job(job, out=out, progress=progress, command=command, ranks=ranks)


def assist_recipe(recipe: Recipe, ranks: Ranks) -> None:
    """Do this process's part of what a recipe says, which the first process finishes: collect statistics."""
    collect_for(open_job(recipe), ranks=ranks)


def run_job(
    job: Job,
    *,
    out: str | Path | None = None,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
    ranks: Ranks = ALONE,
) -> Run:
    """Do what a job says; with a folder, go on from what an interrupted run left there, and write the results."""
    folder = None if out is None else RunFolder(out)
    check_build(job.recipe, folder)
    how_to_build = settings_to_build(job)
    with Monitor() as monitor:
        watched = monitor.watching(progress)
        collected = collect_for(job, folder=folder, progress=watched, ranks=ranks)
        quantized = _quantize_all(job, collected.statistics, watched)
        int8_models = {target: made.model for target, made in quantized.items()}
        if folder:
            with watched("writing models", 1):
                folder.write_recipe(job.recipe)
                folder.write_plans(job.plans)
                folder.write_models(job.model, int8_models)
        if folder and how_to_build:
            quantized[TARGET] = build_for(quantized[TARGET], folder, how_to_build, watched)
        evaluation = evaluate_for(job, int8_models, progress=watched)
        changed = {target: made.model for target, made in quantized.items() if made.plan.points}
        layerwise = layers_for(job, changed, progress=watched)
        diagnoses = diagnoses_for(job, collected.statistics, progress=watched)
    outcome = Outcome(
        job=job,
        statistics=collected.statistics,
        quantized=quantized,
        evaluation=evaluation,
        notes=() if collected.note is None else (collected.note,),
        warnings=late_warnings(job, collected.statistics, evaluation),
        files=folder.entries() if folder else {},
        command=command,
        layerwise=layerwise,
        diagnoses=diagnoses,
        resources=monitor.result(),
        collected_by=collected.collected_by,
    )
    with progress(REPORTING, 1):
        report = build_report(outcome)
        if folder:
            folder.write_text(PAGE, to_html(report))
            folder.write_text(REPORT, report.to_json())
            folder.publish()
    path = folder.path if folder else None
    return Run(job.recipe, job.model, collected.statistics, quantized, evaluation, report, job.evaluation, path)


def _quantize_all(job: Job, statistics: Statistics, progress: Progress) -> dict[str, Quantized]:
    calibrator = job.recipe.calibrator_with_options()
    return {target: quantize(job, plan, statistics, calibrator, progress) for target, plan in job.plans.items()}


def quantize(
    job: Job, plan: Plan, statistics: Statistics, calibrator: Calibrator, progress: Progress = silent
) -> Quantized:
    """Return what a plan and a calibrator make of a job's model."""
    points = len(plan.of_role("activation")) + len(plan.of_role("weight"))
    with progress(f"quantizing for {plan.target}", points) as advance:
        weights = job.recipe.weight_ranges
        encodings = calibrate(job.model, plan, statistics, calibrator, weights=weights, on_progress=advance)
        model = bake(insert(job.model, plan, encodings), plan)
        audit = audit_onnxruntime(model, plan) if plan.target == "onnxruntime" else None
    return Quantized(plan, encodings, model, audit)


def build_for(made: Quantized, folder: RunFolder, settings: BuildSettings, progress: Progress = silent) -> Quantized:
    """Return an INT8 model for TensorRT with what became of its plan, which is left in the folder."""
    with progress("building the TensorRT plan", 1) as advance:
        built = build_into(folder, Deployable(made.model, made.plan), settings)
        advance(1)
    return made.with_build(built)


def evaluate_for(job: Job, int8_models: Mapping[str, Model], *, progress: Progress = silent) -> Evaluation:
    """Return how INT8 models compare with a job's float model on its evaluation samples.

    Beside models for TensorRT stands the float model in half precision, unless the recipe leaves it out.

    Args:
        job: the float model, the samples and the settings.
        int8_models: by what the table calls them: `TARGET`, or `TARGET ...` with more words behind.
        progress: how long steps show themselves.
    """
    beside = half_beside(job, {name.split()[0] for name in int8_models})
    engines: dict[str, Engine] = {FLOAT: job.engine, **beside.engines}
    engines |= {name: _engine_for(job, name.split()[0]) for name in int8_models}
    settings = EvaluationSettings(
        output=job.recipe.output,
        top_k=job.recipe.top_k,
        latency_batch_sizes=_latency_batches(job),
        seed=job.recipe.seed,
    )
    models = {FLOAT: job.model, **beside.models, **int8_models}
    evaluation = evaluate(models, engines, job.evaluation, settings=settings, progress=progress)
    return replace(evaluation, notes=(*evaluation.notes, *beside.notes))


def layers_for(job: Job, int8_models: Mapping[str, Model], *, progress: Progress = silent) -> Mapping[str, Layerwise]:
    """Return what each layer of INT8 models costs, by target."""
    recipe, timed = job.recipe, _latency_batches(job)
    settings = LayerSettings(recipe.layer_samples, timed[0] if timed else None, recipe.memory_cap_mb * 2**20)
    found = {}
    with progress("looking at layers", len(int8_models)) as advance:
        for target, model in int8_models.items():
            found[target] = look_at_layers(job.model, model, _engine_for(job, target), job.evaluation, settings)
            advance(1)
    return found


def diagnoses_for(job: Job, statistics: Statistics, *, progress: Progress = silent) -> Mapping[str, Diagnosis]:
    """Return what each node costs, by target, where the recipe asks for it and anything is quantized."""
    plans = {target: plan for target, plan in job.plans.items() if plan.integer_nodes}
    if not job.recipe.sensitivity_samples:
        return {}

    without_half = replace(job, recipe=replace(job.recipe, fp16=False))  # that has been judged

    def judge(target: str, int8_model: Model) -> Row:
        return evaluate_for(without_half, {target: int8_model}, progress=progress).row(target)

    return {t: diagnose(job, plan, statistics, partial(judge, t), progress=progress) for t, plan in plans.items()}


def _engine_for(job: Job, target: str) -> OnnxRuntime:
    """Return what judges a target's model here: ONNX Runtime for its own, a literal simulation for others."""
    is_deployed = target == "onnxruntime"
    optimization: Literal["all", "none"] = "all" if is_deployed else "none"
    return OnnxRuntime(job.recipe.threads, optimization=optimization, libraries=job.recipe.libraries)


def _latency_batches(job: Job) -> tuple[int, ...]:
    fixed = fixed_batch(job.model.inputs)
    return job.recipe.latency_batches if fixed is None or not job.recipe.latency_batches else (fixed,)


def late_warnings(job: Job, statistics: Statistics, evaluation: Evaluation) -> tuple[str, ...]:
    """Return what only the evaluation can tell: a float model that guesses, or numbers that half precision has not."""
    beyond = (warn(job.model, statistics, evaluation) for warn in (overflow_warning, underflow_warning))
    return tuple(warning for warning in (_chance_warning(job, evaluation), *beyond) if warning is not None)


def _chance_warning(job: Job, evaluation: Evaluation) -> str | None:
    output = next((v for v in job.model.graph.outputs if v.name == evaluation.output), None)
    classes = output.shape[-1] if output is not None and output.shape else None
    correct = evaluation.reference.correct
    if correct is None or not isinstance(classes, int):
        return None
    return chance_warning(int(correct.sum()), int(correct.size), classes)
