"""The stages of quantization-aware training in order: read this file first.

    open → quantize after training, or take a Q/DQ model → train → write back → bake → evaluate → report

Everything but the training itself is the pipeline of `ptq`: the start is one of its rows, and the trained model is
compared with it and with the float model on the same evaluation samples, which training never sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quantlab.audit import audit_onnxruntime
from quantlab.engines.engine import engine_in_words
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.torch import Torch
from quantlab.engines.torch_device import device_named
from quantlab.evaluation import Evaluation
from quantlab.evaluation.judge import fixed_batch
from quantlab.evaluation.resources import Monitor
from quantlab.fingerprint import fingerprint
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.job import Job
from quantlab.pipeline import REPORTING, build_for, evaluate_for, layers_for
from quantlab.qat.history import History
from quantlab.qat.hooks import Hooks
from quantlab.qat.loop import Training, fit
from quantlab.qat.losses import Objective, check_features
from quantlab.qat.module import QuantizedModule, finish
from quantlab.qat.opening import Opened, TrainingInputs, open_training
from quantlab.qat.parity import Parity, parity_of
from quantlab.qat.recipe_table import table_of
from quantlab.qat.report import Trained, build_qat_report
from quantlab.qat.samples import Cut, TrainingSamples
from quantlab.qat.settings import QatSettings
from quantlab.qdq import read
from quantlab.ranks import ALONE, Ranks
from quantlab.recipe import Recipe
from quantlab.report.build import Quantized
from quantlab.report.html import to_html
from quantlab.report.report import Report
from quantlab.run_build import check_build
from quantlab.run_folder import CHECKPOINT, PAGE, REPORT, RunFolder
from quantlab.torchgraph.module import GraphModule

# So many samples tell whether what is deployed is what was trained.
_PARITY_SAMPLES = 256


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run writes.

    Attributes:
        out: the folder, or None to write nothing.
        resume: go on from the checkpoint in the folder, if there is one.
        command: the command line, for the report.
        ranks: the processes that train together; only the first writes.
    """

    out: str | Path | None = None
    resume: bool = False
    command: Sequence[str] | None = None
    ranks: Ranks = ALONE


@dataclass(frozen=True, eq=False, slots=True)
class QatRun:
    """What one training made.

    Attributes:
        recipe: how the model was quantized before.
        settings: how it was trained.
        model: the float model.
        qdq_model: the trained Q/DQ model, weights and biases float: what further training starts from.
        int8_model: the trained model, for deployment.
        history: the epochs.
        evaluation: the float model, the start and the trained model, side by side.
        report: all of it, as it is saved and shown.
        folder: where the files are, or None.
    """

    recipe: Recipe
    settings: QatSettings
    model: Model
    qdq_model: Model
    int8_model: Model
    history: History
    evaluation: Evaluation
    report: Report
    folder: Path | None = None

    def __str__(self) -> str:
        return f"{self.history}\n{self.evaluation}"


def train(
    model: object = "digits",
    data: object = "digits",
    *,
    settings: QatSettings | None = None,
    hooks: Hooks | None = None,
    out: str | Path | None = None,
    **others: object,
) -> QatRun:
    """Quantize a float network, or take a Q/DQ model, train it, and say what that gained.

    Args:
        model: the path or bytes of an ONNX file, float or with Q/DQ pairs (also another tool's), a `Model`, or
            `digits` for the bundled network.
        data: calibration samples, and training samples where there is no `train_data`: what `--data` takes, or any
            re-iterable of arrays, dictionaries or tuples, a torch DataLoader included.
        settings: how to train.
        hooks: a user's own code: augmentation, a loss, what watches the epochs.
        out: the folder to write, or None to write nothing.
        **others: `train_data`, `eval_data` (as `data`), `reference` (the float model of a Q/DQ model), `resume=True`
            (go on from the checkpoint in `out`), and fields of `Recipe`, such as `calibrator="entropy"` or `seed=1`.

    Returns:
        The run. Where no epoch is better than the start on the samples held out, it holds the start, and says so.

    Raises:
        QuantlabError: one of the tree in `quantlab.errors`; every message says what to do.
    """
    resume = bool(others.pop("resume", False))
    names = ("train_data", "eval_data", "reference")
    named = {"model": model, "data": data, **{name: others.pop(name) for name in names if name in others}}
    words = {name: str(value) for name, value in named.items() if isinstance(value, str | Path)}
    in_recipe: dict[str, object] = {n: words[n] for n in ("model", "data", "eval_data") if n in words}
    given: dict[str, Any] = {name: value for name, value in named.items() if name not in in_recipe}
    inputs = TrainingInputs(**given)
    recipe, place = Recipe.of({**others, **in_recipe}), Place(out, resume)
    return train_recipe(recipe, settings or QatSettings(), inputs, hooks=hooks or Hooks(), place=place)


def train_recipe(
    recipe: Recipe, settings: QatSettings, inputs: TrainingInputs, *, hooks: Hooks, place: Place
) -> QatRun:
    """Do what a recipe and settings say; see `train`."""
    folder = None if place.out is None else RunFolder(place.out)
    check_build(recipe, folder)
    progress = hooks.progress
    with Monitor() as monitor:
        hooks = replace(hooks, progress=monitor.watching(progress))
        opened, training, history = _fitted(recipe, settings, inputs, hooks, place)
        qdq_model, int8_model = training.module.qdq_model(), finish(training.module)
        if folder:
            folder.write_recipe(replace(recipe, qat=table_of(settings, inputs, recipe.qat)))
            _write(folder, opened, settings, qdq_model, int8_model)
        quantized = _quantized(opened, qdq_model, int8_model)
        if folder and opened.build:
            quantized = build_for(quantized, folder, opened.build, hooks.progress)
        trained = _judged(opened, training, history, quantized)
    before, files = read(opened.start.model)[1], folder.entries() if folder else {}
    with progress(REPORTING, 1):
        report = build_qat_report(trained, before, files=files, command=place.command, resources=monitor.result())
        if folder:
            folder.write_text(PAGE, to_html(report))
            folder.write_text(REPORT, report.to_json())
            folder.publish()
            (folder.path / CHECKPOINT).unlink(missing_ok=True)
    path = folder.path if folder else None
    return QatRun(recipe, settings, opened.job.model, qdq_model, int8_model, history, trained.evaluation, report, path)


def assist_training(
    recipe: Recipe, settings: QatSettings, inputs: TrainingInputs, *, hooks: Hooks, place: Place
) -> None:
    """Do this process's part of a training that the first process finishes; see `train_recipe`."""
    _fitted(recipe, settings, inputs, hooks, place)


def _fitted(
    recipe: Recipe, settings: QatSettings, inputs: TrainingInputs, hooks: Hooks, place: Place
) -> tuple[Opened, Training, History]:
    folder = RunFolder(place.out) if place.out is not None and place.ranks.is_first else None
    given = inputs.for_loss(hooks.task_loss)
    opened = open_training(recipe, settings, given, folder=folder, progress=hooks.progress, ranks=place.ranks)
    training = replace(training_of(opened, settings, hooks), ranks=place.ranks)
    checkpoint = None if place.out is None else Path(place.out) / CHECKPOINT
    return opened, training, fit(training, _fingerprint(opened, settings), checkpoint, resume=place.resume)


def training_of(opened: Opened, settings: QatSettings, hooks: Hooks) -> Training:
    """Return what is trained, on what and how, on its device."""
    job = opened.job
    device = device_named(settings.device)
    module = QuantizedModule(opened.start, learn_scales=settings.learn_scales)
    teacher = GraphModule(job.model)
    check_features(settings.features, module, teacher)
    return Training(
        module=module.to(device),
        teacher=teacher.to(device).requires_grad_(requires_grad=False),
        samples=TrainingSamples(opened.samples, cut_for(job, settings)),
        objective=Objective(settings, job.model, output=job.recipe.output, task_loss=hooks.task_loss),
        settings=settings,
        hooks=hooks,
        device=device,
        seed=job.recipe.seed,
        threads=job.recipe.threads,
    )


def cut_for(job: Job, settings: QatSettings) -> Cut:
    """Return how the samples of a training are divided; a model's fixed batch counts before the settings'."""
    fixed = fixed_batch(job.model.inputs)
    return Cut(
        held_out=settings.held_out,
        batch_size=fixed or settings.batch_size,
        has_fixed_batch=fixed is not None,
        cache_bytes=settings.cache_mb * 2**20,
        seed=job.recipe.seed,
    )


def _fingerprint(opened: Opened, settings: QatSettings) -> str:
    """Return what tells this training from others; see `quantlab.fingerprint` for what it knows of the samples."""
    # On another device the same training goes on, within rounding.
    decisive = sorted((name, str(value)) for name, value in settings.to_plain().items() if name != "device")
    recipe = opened.job.recipe
    teacher = fingerprint(opened.job.model, opened.samples.head(1), ())
    return fingerprint(opened.start.model, opened.samples, (teacher, str(decisive), str((recipe.seed, recipe.output))))


def _judged(opened: Opened, training: Training, history: History, quantized: Quantized) -> Trained:
    """Return what a training made, compared with the float model and with the start."""
    target, model, progress = opened.target, quantized.model, training.hooks.progress
    models = {f"{target} {opened.stage}": opened.before.model, f"{target} qat": model}
    return Trained(
        opened=opened,
        settings=training.settings,
        samples=training.samples,
        quantized=quantized,
        history=history,
        evaluation=evaluate_for(opened.job, models, progress=progress),
        layerwise=layers_for(opened.job, {target: model}, progress=progress)[target],
        parity=_parity(opened, training, model),
        trained_by=engine_in_words(Torch(str(training.device)), training.ranks.size),
    )


def _parity(opened: Opened, training: Training, int8_model: Model) -> Parity:
    recipe = opened.job.recipe
    is_deployed = opened.target == "onnxruntime"
    engine = OnnxRuntime(recipe.threads, optimization="all" if is_deployed else "none", libraries=recipe.libraries)
    # Whole batches, where the model's batch is fixed.
    size = training.samples.fixed_batch or 1
    samples = opened.job.evaluation.head(max(size, _PARITY_SAMPLES // size * size))
    with training.hooks.progress("comparing with what is deployed", 1), engine.open(int8_model) as session:
        return parity_of(training.module, session, samples, device=training.device, output=training.objective.answer)


def _quantized(opened: Opened, qdq_model: Model, int8_model: Model) -> Quantized:
    plan = opened.start.plan
    _, encodings = read(qdq_model)
    audit = audit_onnxruntime(int8_model, plan) if plan.target == "onnxruntime" and plan.integer_nodes else None
    return Quantized(plan, encodings, int8_model, audit)


def _write(folder: RunFolder, opened: Opened, settings: QatSettings, qdq_model: Model, int8_model: Model) -> None:
    folder.write_text("qat.toml", settings.to_toml())
    folder.write_plans({opened.target: opened.start.plan})
    before = {f"{opened.target}.{opened.stage}": opened.before.model}
    folder.write_models(opened.job.model, {opened.target: int8_model, **before})
    save(qdq_model, folder.unfinished / f"model.{opened.target}.qdq.onnx")
