"""A job's plan and statistics → what each node costs, and whether few of them are to blame for what is lost.

The nodes are found on calibration samples, so that the evaluation samples judge what is suggested and nothing else.
What cannot be measured is left out with a sentence that says why: a run does not fail over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantlab.calibrate import calibrate
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import QuantlabError
from quantlab.evaluation.evaluation import Row
from quantlab.graph.model import Model
from quantlab.job import Job
from quantlab.plan import Plan
from quantlab.progress import Progress
from quantlab.qdq import bake, insert
from quantlab.search import KeptFloat, OutputNoise, Sensitivity, few_to_blame, sensitivity_of, try_kept_float
from quantlab.stats.table import Statistics
from quantlab.targets import target_named


@dataclass(frozen=True, eq=False, slots=True)
class Diagnosis:
    """What the nodes of one plan cost.

    Attributes:
        sensitivity: each node alone, or None where it was not measured.
        tried: plans with the costliest nodes kept float, from few to many.
        suggested: that of `tried` without the few nodes to blame, or None where the noise is spread over many.
        row: what its INT8 model does on the evaluation samples, or None without a suggestion.
        reason: why something was not measured, or None.
    """

    sensitivity: Sensitivity | None = None
    tried: tuple[KeptFloat, ...] = ()
    suggested: KeptFloat | None = None
    row: Row | None = None
    reason: str | None = None


def diagnose(
    job: Job, plan: Plan, statistics: Statistics, judge: Callable[[Model], Row], *, progress: Progress
) -> Diagnosis:
    """Return what each node of a plan costs, and what keeping few of them float gains.

    The model runs once per node on `sensitivity_samples` of the recipe, and a dozen times more.

    Args:
        job: model, samples and recipe.
        plan: one of the job's.
        statistics: of the job's calibration samples.
        judge: evaluates an INT8 model for the plan's target as the run's own are.
        progress: how the steps show themselves.
    """
    recipe = job.recipe
    engine = OnnxRuntime(recipe.threads, optimization="none", libraries=recipe.libraries)
    batches = job.calibration.head(max(recipe.sensitivity_samples, job.model.inputs[0].fixed_batch or 1))
    target = target_named(plan.target, weight_scales=recipe.weight_scales)
    calibrator = recipe.calibrator_with_options()

    def place(nodes: Sequence[str]) -> Plan:
        return target.place(job.model, keep_float=(*recipe.keep_float, *nodes))

    def quantize(other: Plan) -> Model:
        encodings = calibrate(job.model, other, statistics, calibrator, weights=recipe.weight_ranges)
        return bake(insert(job.model, other, encodings), other)

    sensitivity: Sensitivity | None = None
    try:
        encodings = calibrate(job.model, plan, statistics, calibrator, weights=recipe.weight_ranges)
        noise = OutputNoise(job.model, engine, batches)
        sensitivity = sensitivity_of(noise, plan, encodings, progress=progress)
        tried = try_kept_float(sensitivity, noise, place, quantize, progress=progress)
        suggested = few_to_blame(sensitivity.all_nodes, tried)
        row = None if suggested is None else judge(quantize(place(suggested.nodes)))
    except QuantlabError as error:
        return Diagnosis(sensitivity, reason=f"Not measured: {error}.")
    return Diagnosis(sensitivity, tried, suggested, row)
