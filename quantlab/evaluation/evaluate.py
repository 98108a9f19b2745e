"""Models + engines + batches → an `Evaluation`: accuracy, agreement, latency, size and memory, side by side.

The first model is the reference; all see the same samples, and are timed in turns on the same machine.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence

from quantlab.data.batch import Batches
from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import EXACT_PRODUCTS
from quantlab.errors import RecipeError
from quantlab.evaluation.accuracy import accuracy_of, paired_drop
from quantlab.evaluation.costs import Costs, measure_costs
from quantlab.evaluation.environment import Environment, read_environment
from quantlab.evaluation.evaluation import Evaluation, Row
from quantlab.evaluation.judge import Judgement, JudgeSettings, judge
from quantlab.evaluation.latency import speedup
from quantlab.evaluation.settings import EvaluationSettings
from quantlab.evaluation.size import measure_size
from quantlab.graph.half import is_half
from quantlab.graph.model import Model
from quantlab.graph.quantized import is_quantized
from quantlab.progress import Progress, silent

_logger = logging.getLogger(__name__)


def evaluate(
    models: Mapping[str, Model],
    engines: Mapping[str, Engine],
    batches: Batches,
    *,
    settings: EvaluationSettings | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Return how the models compare with the first of them.

    Args:
        models: by name, the reference first.
        engines: by the same names, what runs each; engines that simulate are not timed.
        batches: the evaluation samples, labelled or not.
        settings: what to measure.
        progress: how the steps show themselves: judging, timing, measuring memory.

    Raises:
        RecipeError: there is no model, or a model has no engine.
        DataError: there is not a single sample, or the data do not fit a model.
        EngineError: an engine refuses a model, outputs cannot be compared, or an output is NaN; in half precision
            NaN is an answer that is wrong, and counted.
    """
    settings = settings or EvaluationSettings()
    _check(models, engines)
    asked = JudgeSettings(settings.output, tuple(sorted({1, settings.top_k})), settings.task)
    with progress("evaluating", batches.size) as advance:
        judged = judge(models, engines, batches, asked, advance)
    costs = measure_costs(models, engines, batches, settings, progress=progress)
    rows = [_row(name, models[name], engines[name], judged.judgements[name], costs) for name in models]
    _logger.info("evaluated %d models on %d samples", len(models), judged.samples)
    return Evaluation(
        rows=tuple(_compared(row, rows[0], settings.seed) for row in rows),
        data=batches.name,
        samples=judged.samples,
        samples_sha256=judged.samples_sha256,
        output=judged.judgements[rows[0].name].output,
        environment=(environment := read_environment()),
        notes=(*costs.notes, *_saturation(environment, models), *_about_nan(rows, judged.samples)),
    )


def _check(models: Mapping[str, Model], engines: Mapping[str, Engine]) -> None:
    if not models:
        raise RecipeError("evaluation: there is no model to evaluate; name at least one")
    missing = [name for name in models if name not in engines]
    if missing:
        raise RecipeError(f"evaluation: model {missing[0]!r} has no engine; engines go by the names of the models")


def _row(name: str, model: Model, engine: Engine, judgement: Judgement, costs: Costs) -> Row:
    return Row(
        name=name,
        engine=engine.describe(),
        size=measure_size(model),
        is_simulated=engine.is_simulation and (is_quantized(model) or is_half(model)),
        correct=judgement.correct.get(1),
        accuracies=tuple(accuracy_of(bits, k) for k, bits in sorted(judgement.correct.items())),
        agreement=judgement.agreement,
        sqnr=judgement.sqnr,
        latencies=costs.latencies.get(name, ()),
        gpu_latencies=costs.gpu_latencies.get(name, ()),
        latency_reason=costs.reasons.get(name),
        memory=costs.memories.get(name),
        flips=judgement.flips,
        nan_samples=judgement.nan_samples,
    )


def _compared(row: Row, reference: Row, seed: int) -> Row:
    """Return a row with its drop and its speedups against the reference."""
    if row is reference:
        return row
    drop = None
    if row.correct is not None and reference.correct is not None:
        drop = paired_drop(reference.correct, row.correct, seed)
    pairs = zip(reference.latencies, row.latencies, strict=False)
    return dataclasses.replace(row, drop=drop, speedups=tuple(speedup(ours, other, seed) for ours, other in pairs))


def _about_nan(rows: Sequence[Row], samples: int) -> Iterator[str]:
    for row in rows:
        if row.nan_samples:
            yield f"{row.name}: the output is NaN for {row.nan_samples} of {samples} samples, which count as wrong."


def _saturation(environment: Environment, models: Mapping[str, Model]) -> Iterator[str]:
    """Say what sessions need on processors where integer products saturate."""
    if environment.saturates_products and any(map(is_quantized, models.values())):
        yield (
            "This processor has no VNNI: sums of its 8-bit products saturate unless a session of ONNX Runtime sets "
            f"{EXACT_PRODUCTS} to 1, as it was set here; do so wherever you run the INT8 model on such a processor."
        )
