"""The float model in half precision, beside INT8 models for TensorRT: what INT8 has to be better than.

TensorRT runs FP16 on every GPU on which it runs INT8, and FP16 needs no calibration. Its accuracy is computed here with
every result rounded to float16; its latency is for the GPU to tell. The model is what `quantlab build --precision fp16`
builds. What is not quantized in an INT8 model is computed in float32, as its file says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from quantlab.engines.engine import Engine
from quantlab.errors import QuantlabError
from quantlab.evaluation import Evaluation
from quantlab.graph.half import is_half
from quantlab.graph.model import Model
from quantlab.job import Job
from quantlab.precision import LARGEST, SMALLEST, HalfPrecision, to_half
from quantlab.recipe import Recipe
from quantlab.stats.table import Statistics

HALF = "fp16"
"""What the float model in half precision is called beside the others."""

_HOW = (
    "fp16: the float model with every result rounded to float16, sums in float32. tensorrt: as its file says, so what "
    "is not INT8 is float32; `quantlab build --precision int8+fp16` makes that half precision."
)


@dataclass(frozen=True, eq=False, slots=True)
class Beside:
    """What stands beside the models that were asked for.

    Attributes:
        models: by name; empty where there is nothing to add.
        engines: by the same names.
        notes: sentences about them.
    """

    models: Mapping[str, Model] = field(default_factory=dict)
    engines: Mapping[str, Engine] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def wants_half(recipe: Recipe, targets: Iterable[str]) -> bool:
    """Return whether models for these targets are to be compared with half precision."""
    return recipe.fp16 and "tensorrt" in targets


def half_beside(job: Job, targets: Iterable[str]) -> Beside:
    """Return a job's float model in half precision where it is wanted; a note says how it is computed, or why not.

    Args:
        job: the float model and the settings.
        targets: of the INT8 models.
    """
    if not wants_half(job.recipe, targets) or is_half(job.model):
        return Beside()
    engine = HalfPrecision(job.recipe.threads, job.recipe.libraries)
    try:
        half = to_half(job.model)
        with engine.open(half):
            pass
    except QuantlabError as error:  # this row is an extra: a run does not fail over it
        return Beside(notes=(f"fp16 was not evaluated: {error}",))
    return Beside({HALF: half}, {HALF: engine}, (_HOW,))


def overflow_warning(model: Model, statistics: Statistics, evaluation: Evaluation) -> str | None:
    """Return which tensors pass the end of half precision, and what becomes of the answers; None where none does.

    Args:
        model: the float model.
        statistics: what was seen of its tensors.
        evaluation: with a row in half precision, or there is nothing to warn of.
    """
    row = next((row for row in evaluation.rows if row.name == HALF), None)
    passing = {} if row is None else _passing(model, statistics)
    if row is None or not (row.nan_samples or passing):
        return None
    told = [f"{HALF}: half precision ends at {LARGEST:.0f}{_reached(passing)}."]
    if row.nan_samples:
        told.append(f"The output is NaN for {row.nan_samples} of {evaluation.samples} samples, which count as wrong.")
    told.append("An engine built with --precision fp16 overflows likewise, and one with int8+fp16 may; int8 does not.")
    return " ".join(told)


def underflow_warning(model: Model, statistics: Statistics, evaluation: Evaluation) -> str | None:
    """Return which tensors become zero as a whole in half precision; None where none does.

    Args:
        model: the float model.
        statistics: what was seen of its tensors.
        evaluation: with a row in half precision, or there is nothing to warn of.
    """
    vanishing: dict[str, float] = {}
    if any(row.name == HALF for row in evaluation.rows):
        vanishing = _in_half(model, {n: v for n, v in _magnitudes(statistics).items() if 0 < v <= SMALLEST / 2})
    if not vanishing:
        return None
    (name, value), *others = sorted(vanishing.items(), key=lambda item: item[1])
    more = f" ({len(others)} more likewise)" if others else ""
    return (
        f"{HALF}: half precision has nothing below {SMALLEST:.1g} but zero, and {name} reaches no more than {value:.3g}"
        f"{more}: all of it becomes zero, also in an engine built with --precision fp16."
    )


def _passing(model: Model, statistics: Statistics) -> dict[str, float]:
    """Return the largest magnitudes that float16 tensors would have to hold and cannot, the largest first."""
    halves = _in_half(model, {n: v for n, v in _magnitudes(statistics).items() if v > LARGEST})
    return dict(sorted(halves.items(), key=lambda item: -item[1]))


def _magnitudes(statistics: Statistics) -> dict[str, float]:
    return {name: max(abs(seen.minimum), abs(seen.maximum)) for name, seen in statistics.tensors.items()}


def _in_half(model: Model, magnitudes: Mapping[str, float]) -> dict[str, float]:
    """Return the magnitudes of those tensors that are float16 in half precision."""
    if not magnitudes:
        return {}
    values = to_half(model).values_by_name()
    return {n: v for n, v in magnitudes.items() if n in values and values[n].dtype == ir.DataType.FLOAT16}


def _reached(passing: Mapping[str, float]) -> str:
    if not passing:
        return ""
    (name, value), *others = passing.items()
    more = f" ({len(others)} more pass it too)" if others else ""
    return f", and {name} reaches {value:.3g}{more}"
