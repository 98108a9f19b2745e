"""Recipe + model + data → a job: everything that is fixed before the first range is decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantlab.audit.work import multiply_adds
from quantlab.collect import observed_tensors
from quantlab.data.batch import Batch, Batches, Source
from quantlab.data.conform import Labels
from quantlab.data.guard import observe_inputs, random_warning, range_warnings, source_notes
from quantlab.data.open import open_source
from quantlab.data.split import split
from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.torch import Torch
from quantlab.errors import DataError, ModelError
from quantlab.evaluation.judge import fixed_batch
from quantlab.fingerprint import fingerprint
from quantlab.graph.model import Model
from quantlab.graph.origin import random_weights_warning
from quantlab.opening import check_torch_settings, open_float_model, prepare_with_shapes, preprocess_for
from quantlab.plan import Plan
from quantlab.recipe import Recipe
from quantlab.targets import target_named

# So many samples tell whether inputs lie where the preprocessing puts them.
_SAMPLES_TO_LOOK_AT = 64


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a caller hands over in place of names in the recipe; None where the recipe's name holds.

    Attributes:
        model: the model.
        data: calibration samples.
        eval_data: evaluation samples.
        labels: what the labels of the samples may be.
    """

    model: object = None
    data: object = None
    eval_data: object = None
    labels: Labels = "classes"


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """What a run works on.

    Attributes:
        recipe: what was asked for.
        model: the prepared float model.
        engine: what runs the float model, and the INT8 models that it can run.
        calibration: the samples that calibrate.
        evaluation: the samples that judge.
        notes: sentences about model and data; the first says which samples calibrate and which judge.
        plans: by target.
        warnings: sentences a user must see.
    """

    recipe: Recipe
    model: Model
    engine: Engine
    calibration: Batches
    evaluation: Batches
    notes: tuple[str, ...]
    plans: Mapping[str, Plan]
    warnings: tuple[str, ...] = ()

    @property
    def observed(self) -> tuple[str, ...]:
        """The tensors whose statistics any of the plans needs."""
        return observed_tensors(self.plans.values())

    @property
    def collector(self) -> Engine:
        """What computes the activations whose statistics are collected."""
        if self.recipe.engine == "torch":
            return Torch(self.recipe.device, self.recipe.threads)
        return self.engine

    def fingerprint(self) -> str:
        """Return what tells these statistics from others; see `quantlab.fingerprint`."""
        # Another engine adds up products in another order.
        others = () if self.recipe.engine == "onnxruntime" else (f"computed by {self.recipe.engine}",)
        return fingerprint(self.model, self.calibration, (*self.observed, *others))


def open_job(recipe: Recipe, inputs: Inputs | None = None) -> Job:
    """Open the model and data a recipe names, prepare the model, and place every target.

    Args:
        recipe: what to do.
        inputs: Python objects in place of the recipe's names.

    Raises:
        ModelError: there is no such model, or it cannot be quantized.
        DataError: there are no such samples, or they do not fit the model.
        PlanError: `keep_float` names nothing in the model.
        EngineError: the engine refuses the model.
    """
    inputs = inputs or Inputs()
    named = recipe.model if inputs.model is None else inputs.model
    if not isinstance(named, Model):  # which an earlier step has opened
        check_torch_settings([named], recipe.torch_settings())
    original = open_float_model(named, recipe.torch_settings())
    if recipe.output is not None and recipe.output not in original.outputs:
        raise ModelError(f"{original.name}: no output {recipe.output!r}; it has {', '.join(original.outputs)}")
    calibration, evaluation, note = _open_data(recipe, inputs, original)
    first_batch(evaluation)  # what cannot be read is to be told before the first pass, not after it
    engine = OnnxRuntime(threads=recipe.threads, libraries=recipe.libraries)
    smallest = calibration.in_batches_of(original.inputs[0].fixed_batch or 1)
    model = prepare_with_shapes(original, engine, first_batch(smallest).feeds)
    targets = {name: target_named(name, weight_scales=recipe.weight_scales) for name in recipe.targets}
    plans = {name: target.place(model, keep_float=recipe.keep_float) for name, target in targets.items()}
    notes = (note, *_data_notes(recipe, calibration, evaluation), *model.notes)
    warnings = _data_warnings(recipe, original, calibration)
    untrained = random_weights_warning(original)
    warnings += [untrained] if untrained else []
    warnings += [_why_nothing(plan, model) for plan in plans.values() if not plan.points]
    return Job(recipe, model, engine, calibration, evaluation, notes, plans, tuple(warnings))


def first_batch(batches: Batches) -> Batch:
    """Return the first batch.

    Raises:
        DataError: there is not a single sample.
    """
    for batch in batches:
        return batch
    raise DataError(f"data {batches.name!r}: not a single sample; check the path and --samples")


def _open_data(recipe: Recipe, inputs: Inputs, model: Model) -> tuple[Batches, Batches, str]:
    preprocess = preprocess_for(model, recipe.preprocess)

    def opened(named: str, given: object) -> Source:
        spec = named if given is None else given
        return open_source(spec, model.inputs, preprocess=preprocess, seed=recipe.seed, labels=inputs.labels)

    source = opened(recipe.data, inputs.data)
    has_eval_data = recipe.eval_data is not None or inputs.eval_data is not None
    eval_source = opened(recipe.eval_data or "", inputs.eval_data) if has_eval_data else None
    fixed = fixed_batch(model.inputs)
    chosen = split(source, recipe.samples, eval_source, batch_size=fixed or recipe.batch_size)
    evaluation, sentence = chosen.evaluation, chosen.sentence
    if recipe.eval_samples is not None:
        evaluation = evaluation.head(recipe.eval_samples)
        sentence += f" Of these at most the first {recipe.eval_samples} were evaluated on."
    if fixed is None or fixed == 1:
        return chosen.calibration, evaluation, sentence
    sentence += f" The model's batch is fixed to {fixed}: calibration samples that do not fill one are left out."
    return _whole_batches(chosen.calibration, fixed), evaluation, sentence


def _whole_batches(batches: Batches, batch_size: int) -> Batches:
    """Return the batches without a last one that is not full."""
    size = batches.size if batches.size is not None else sum(batch.size for batch in batches)
    if size < batch_size:
        raise DataError(
            f"data {batches.name!r}: {size} samples do not fill the model's fixed batch of {batch_size}; "
            "give more samples, or export the model with a free batch axis"
        )
    return batches.head(size // batch_size * batch_size)


def _why_nothing(plan: Plan, model: Model) -> str:
    """Return that a plan is empty, and why: the model is of half precision, or the reason behind most of the work."""
    weights = {value.dtype.numpy() for value in model.graph.initializers.values() if value.dtype is not None}
    reasons = _reasons_by_work(plan, model).most_common(1)
    if np.dtype(np.float16) in weights and np.dtype(np.float32) not in weights:
        why = "its weights are float16: export it in float32"
    elif reasons:
        why = f"mostly for this reason: {reasons[0][0]}"
    else:
        why = "it has no operator that runs in integers"
    return f"target {plan.target}: nothing is quantized in this model; {why}"


def _reasons_by_work(plan: Plan, model: Model) -> Counter[str]:
    """Count reasons by the multiply-adds behind them; what multiplies nothing, as a Reshape, only breaks ties."""
    work, given = multiply_adds(model), dict(plan.float_nodes)
    skipped = {skip.tensor: skip.reason for skip in plan.skips}
    reasons: Counter[str] = Counter()
    for name, node in model.nodes_by_name().items():
        # A target says of an operator without an integer kernel only why its output stays float.
        reason = given.get(name) or next((skipped[v.name] for v in node.outputs if v.name in skipped), None)
        if reason is not None and (name in given or name in work):
            reasons[reason] += work.get(name, 0) * len(model.graph) + 1
    return reasons


def _data_notes(recipe: Recipe, calibration: Batches, evaluation: Batches) -> list[str]:
    sources = [calibration.source, evaluation.source]
    notes = [note for source in sources for note in source_notes(source)]
    if recipe.preprocess:  # of arrays it only says what they went through before
        fed_as_is = dict.fromkeys(source.name for source in sources if not hasattr(source, "preprocess"))
        notes += [f"{name}: preprocessing is for image files; these samples are fed as they are." for name in fed_as_is]
    return list(dict.fromkeys(notes))


def _data_warnings(recipe: Recipe, model: Model, calibration: Batches) -> list[str]:
    declared = preprocess_for(model, recipe.preprocess)
    preprocess = declared or getattr(calibration.source, "preprocess", None)
    is_random = random_warning(calibration.source)
    warnings = [is_random] if is_random else []
    return warnings + range_warnings(observe_inputs(calibration.head(_SAMPLES_TO_LOOK_AT)), preprocess)
