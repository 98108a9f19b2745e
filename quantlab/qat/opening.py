"""Recipe + model + data → what a training starts from, and the samples it trains on.

A float model is quantized after training first. A model that is quantized already is the start itself: it is compared
with the float model it was made from, if that is given, else with itself without its Q/DQ pairs.

Training samples are those of `train_data`, else the `train` part of the bundled digits, else all samples of `data` if
evaluation has samples of its own, else those that calibrate, since the others evaluate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from quantlab.data.batch import Batches
from quantlab.data.conform import Labels
from quantlab.data.digits import DigitsSource
from quantlab.data.open import open_source
from quantlab.engines.tensorrt import BuildSettings
from quantlab.errors import ModelError, RecipeError
from quantlab.graph.model import Model
from quantlab.graph.quantized import is_quantized
from quantlab.job import Inputs, Job, first_batch, open_job
from quantlab.opening import check_torch_settings, open_model, preprocess_for
from quantlab.pipeline import OPENING, quantize
from quantlab.progress import Progress
from quantlab.qat.hooks import TaskLoss
from quantlab.qat.settings import QatSettings
from quantlab.qat.start import Start, meant_for, plan_to_train, start_from_model, start_from_quantized
from quantlab.qat.without_pairs import without_pairs
from quantlab.qdq import read
from quantlab.qdq.insert import TARGET_KEY
from quantlab.ranks import ALONE, Ranks
from quantlab.recipe import Recipe
from quantlab.report.build import Quantized
from quantlab.resume import Collected, collect_for
from quantlab.run_build import settings_to_build
from quantlab.run_folder import RunFolder
from quantlab.stats.table import Statistics

# What all Python objects with samples are called, so that it tells none from another.
_NAME_OF_OBJECTS = "data"

# What reports call a start that was quantized already.
GIVEN = "start"


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """What a caller hands over, as objects or as the words of the command line; None for the recipe's or the default.

    Attributes:
        model: the float model, or a Q/DQ model.
        data: calibration samples.
        eval_data: evaluation samples.
        train_data: training samples.
        reference: the float model that a Q/DQ model was made from.
        labels: what the labels of the samples may be.
    """

    model: object = None
    data: object = None
    eval_data: object = None
    train_data: object = None
    reference: object = None
    labels: Labels = "classes"

    def for_loss(self, task_loss: TaskLoss | None) -> TrainingInputs:
        """Return these; labels may be any numbers where there is a loss of a user's own, which knows what they are."""
        return self if task_loss is None else replace(self, labels="any")


@dataclass(frozen=True, eq=False, slots=True)
class Opened:
    """What a training starts from.

    Attributes:
        job: the float model, calibration and evaluation samples.
        target: the runtime the INT8 model is for.
        start: the Q/DQ model to train.
        before: the INT8 model before training.
        stage: what reports call it: `ptq`, or `start` where it was given.
        statistics: what calibration saw; empty where a Q/DQ model was given.
        samples: what to train on.
        notes: sentences about where all this comes from.
        warnings: sentences a user must see.
        collected_by: what computed the statistics, as in `Collected`.
        build: how the trained model's TensorRT plan is built, or None where none is asked for.
    """

    job: Job
    target: str
    start: Start
    before: Quantized
    stage: str
    statistics: Statistics
    samples: Batches
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    collected_by: tuple[str, ...] = ()
    build: BuildSettings | None = None


def open_training(
    recipe: Recipe,
    settings: QatSettings,
    inputs: TrainingInputs,
    *,
    folder: RunFolder | None,
    progress: Progress,
    ranks: Ranks = ALONE,
) -> Opened:
    """Open models and samples, and quantize after training where the model is float; see `open_start`.

    What another interrupted run left in the folder is cleared; statistics of the same samples are used.
    """
    collecting = partial(collect_for, folder=folder, progress=progress, ranks=ranks)
    opened = open_start(recipe, settings, inputs, collecting=collecting, progress=progress)
    if folder and opened.stage == GIVEN:
        folder.begin()
    return opened


def open_start(
    recipe: Recipe,
    settings: QatSettings,
    inputs: TrainingInputs,
    *,
    collecting: Callable[[Job], Collected],
    progress: Progress,
) -> Opened:
    """Open models and samples, and quantize after training where the model is float.

    Args:
        recipe: how it is quantized.
        settings: how it is trained.
        inputs: what a caller handed over.
        collecting: what gives the statistics of a job.
        progress: how long steps show themselves.

    Raises:
        RecipeError: the recipe has several targets, or the settings of its TensorRT plan do not fit.
        ModelError: there is no such model, or the Q/DQ model and its float model do not feed alike.
        DataError: there are no such samples, or they do not fit the model.
    """
    if len(recipe.targets) > 1:
        raise RecipeError(f"qat: one target at a time; {', '.join(recipe.targets)} are {len(recipe.targets)}")
    named, torch_settings = recipe.model if inputs.model is None else inputs.model, recipe.torch_settings()
    check_torch_settings([named, inputs.reference], torch_settings)
    model = open_model(named, torch_settings)
    if is_quantized(model):
        opened = _from_quantized(model, recipe, inputs, settings, progress)
    else:
        opened = _from_float(model, recipe, inputs, settings, collecting, progress)
    overlap = _overlap_warning(opened.samples, opened.job.evaluation)
    notes = (*opened.notes, *(_truth_notes(opened.job.evaluation) if inputs.labels == "any" else ()))
    return replace(opened, notes=notes, warnings=(overlap,) if overlap else ())


def _from_float(
    model: Model,
    recipe: Recipe,
    inputs: TrainingInputs,
    settings: QatSettings,
    collecting: Callable[[Job], Collected],
    progress: Progress,
) -> Opened:
    if inputs.reference is not None:
        raise RecipeError("reference: it is the float model of a Q/DQ model, and this model is float itself")
    with progress(OPENING, 1):
        job = open_job(recipe, Inputs(model, inputs.data, inputs.eval_data, inputs.labels))
    plan, build = plan_to_train(job), settings_to_build(job)
    collected = collecting(job)
    before = quantize(job, plan, collected.statistics, recipe.calibrator_with_options(), progress)
    start = start_from_quantized(job.model, before)
    samples = _training_batches(job, inputs, settings)
    notes = () if collected.note is None else (collected.note,)
    opened = Opened(job, plan.target, start, before, "ptq", collected.statistics, samples, notes)
    return replace(opened, collected_by=collected.collected_by, build=build)


def _from_quantized(
    model: Model, recipe: Recipe, inputs: TrainingInputs, settings: QatSettings, progress: Progress
) -> Opened:
    (target,) = recipe.targets
    start = meant_for(start_from_model(model), target)
    given = inputs.reference
    reference = without_pairs(start) if given is None else open_model(given, recipe.torch_settings())
    _check_alike(model, reference)
    with progress(OPENING, 1):
        job = open_job(recipe, Inputs(reference, inputs.data, inputs.eval_data, inputs.labels))
    _, _, evaluated = job.notes[0].partition("; ")
    job = replace(job, notes=(f"{model.name} was quantized already; {evaluated}", *job.notes[1:]))
    _, encodings = read(start.model)
    before = Quantized(start.plan, encodings, model, None)
    samples = _training_batches(job, inputs, settings)
    notes = _target_notes(model, start.plan.target)
    opened = Opened(job, start.plan.target, start, before, GIVEN, Statistics({}, 0), samples, notes)
    return replace(opened, build=settings_to_build(job))


def _target_notes(model: Model, target: str) -> tuple[str, ...]:
    if TARGET_KEY in model.ir_model.metadata_props:
        return ()
    return (f"{model.name} does not say for which runtime it was made: it was taken as one for {target} (--target).",)


def _check_alike(model: Model, reference: Model) -> None:
    """Check that a Q/DQ model and its float model have inputs and outputs of the same names."""
    for what, ours, theirs in (
        ("inputs", [spec.name for spec in model.inputs], [spec.name for spec in reference.inputs]),
        ("outputs", model.outputs, reference.outputs),
    ):
        if set(ours) != set(theirs):
            raise ModelError(
                f"{model.name}: its {what} ({', '.join(ours)}) are not those of {reference.name} "
                f"({', '.join(theirs)}); give the float model that it was made from"
            )


def _training_batches(job: Job, inputs: TrainingInputs, settings: QatSettings) -> Batches:
    batches = job.calibration
    if inputs.train_data is not None:
        source = open_source(
            inputs.train_data,
            job.model.inputs,
            preprocess=preprocess_for(job.model, job.recipe.preprocess),
            seed=job.recipe.seed,
            labels=inputs.labels,
        )
        batches = Batches(source)
    elif isinstance(batches.source, DigitsSource) and batches.source.part == "calibration":
        batches = Batches(replace(batches.source, part="train"))
    elif job.recipe.eval_data is not None or inputs.eval_data is not None:
        batches = Batches(batches.source)
    return batches if settings.train_samples is None else batches.head(settings.train_samples)


def _truth_notes(evaluation: Batches) -> tuple[str, ...]:
    """Say why there is no accuracy although there are labels."""
    truth = first_batch(evaluation).truth
    if truth is None:
        return ()
    what = f"{truth.dtype}{list(truth.shape[1:])} per sample"
    return (f"The labels of {evaluation.name} are no classes ({what}): only your loss reads them, not the comparison.",)


def _overlap_warning(training: Batches, evaluation: Batches) -> str | None:
    is_same = training.source is evaluation.source
    if not is_same and (training.name != evaluation.name or training.name == _NAME_OF_OBJECTS):
        return None
    ends = [batches.stop if batches.stop is not None else batches.source.size for batches in (training, evaluation)]
    is_apart = (ends[0] is not None and ends[0] <= evaluation.start) or (
        ends[1] is not None and ends[1] <= training.start
    )
    if is_apart:
        return None
    return (
        f"The evaluation samples are among those trained on ({training.name}): the accuracy after training says "
        "little; give --eval-data"
    )
