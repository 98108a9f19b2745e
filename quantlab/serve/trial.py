"""One sample + the models of a run → what each answers, how sure it is, and how long it takes.

Probabilities are the output itself where it holds some, else

    p[c] = exp(x[c] − max x) / Σ exp(x − max x)

in float64. Latencies are measured in turns, as in a run, on this one sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array, Batch, Feeds
from quantlab.errors import EngineError
from quantlab.evaluation.agreement import SqnrSum
from quantlab.evaluation.answers import answers_of, check_numbers
from quantlab.evaluation.latency import Latency, LatencySettings, measure_latency, repeated
from quantlab.serve.models import OpenModel

_LATENCY = LatencySettings(runs=40, warmup=3, seconds=2.0)
_SUM_TOLERANCE = 1e-3  # a softmax in float16, or after INT8, sums to one only about so closely


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What one model answers.

    Attributes:
        probabilities: float64 [classes], or None where the output holds no classes of one sample.
        decisions: the class of the sample, or of each of its positions; None where there are only numbers.
        shape: of the output.
        sqnr_db: of the output against the float model's; infinite where they are equal.
        agreeing: the share of decisions that are the float model's, or None without decisions.
        latency: None where another runtime stands in.
        is_simulated: whether one does.
    """

    probabilities: npt.NDArray[np.float64] | None
    decisions: Array | None
    shape: tuple[int, ...]
    sqnr_db: float
    agreeing: float | None
    latency: Latency | None
    is_simulated: bool

    @property
    def top(self) -> int | None:
        """The class with the largest probability, or None where there are none."""
        return None if self.probabilities is None else int(self.probabilities.argmax())


def try_models(models: Mapping[str, OpenModel], batch: Batch, *, output: str | None = None) -> dict[str, Answer]:
    """Return what models answer for one sample, by name.

    Args:
        models: open, the float one first.
        batch: the sample; a model of a fixed batch gets it as often as it needs.
        output: the output that holds the answer; None for the first.

    Raises:
        DataError: the sample does not fit a model.
        EngineError: a model fails, or answers NaN.
    """
    fixed = next((spec.fixed_batch for model in models.values() for spec in model.inputs if spec.fixed_batch), 1)
    feeds = batch.feeds if fixed == 1 else repeated(batch.feeds, fixed)
    outputs = {name: _output(name, model, feeds, output)[:1] for name, model in models.items()}
    timed = {name: model.session for name, model in models.items() if not model.is_simulated}
    threads = {name: models[name].threads for name in timed}
    latencies = measure_latency(timed, feeds, _LATENCY, threads=threads)
    reference = next(iter(outputs.values()))
    return {
        name: _answer(found, reference, latencies.get(name), is_simulated=models[name].is_simulated)
        for name, found in outputs.items()
    }


def probabilities_of(output: Array) -> npt.NDArray[np.float64] | None:
    """Return float64 [classes] of an output for one sample, or None where it holds no such thing."""
    decisions = answers_of(output)
    if decisions is None or decisions.size != 1 or output.size < 2:
        return None
    values = output.reshape(-1).astype(np.float64)
    if values.min() >= 0 and abs(values.sum() - 1) < _SUM_TOLERANCE:
        return values
    powers = np.exp(values - values.max())
    shares: npt.NDArray[np.float64] = powers / powers.sum()
    return shares


def top_classes(answers: Mapping[str, Answer], count: int) -> list[int]:
    """Return the classes that are among the `count` most probable of any model, in the float model's order."""
    known = [answer.probabilities for answer in answers.values() if answer.probabilities is not None]
    if not known:
        return []
    wanted = {int(at) for values in known for at in np.argsort(-values, kind="stable")[:count]}
    return sorted(wanted, key=lambda at: (-known[0][at], at))


def _output(name: str, model: OpenModel, feeds: Feeds, wanted: str | None) -> Array:
    outputs = model.session.run(feeds)
    if wanted is not None and wanted not in outputs:
        raise EngineError(f"{name}: no output {wanted!r}; it has {', '.join(outputs)}")
    chosen = wanted or next(iter(outputs))
    check_numbers(outputs[chosen], name, chosen, 0)
    return outputs[chosen]


def _answer(output: Array, reference: Array, latency: Latency | None, *, is_simulated: bool) -> Answer:
    if output.shape != reference.shape:
        raise EngineError(f"an output has shape {list(output.shape)}, the float model's {list(reference.shape)}")
    noise = SqnrSum()
    noise.add(reference, output)
    decisions, expected = answers_of(output), answers_of(reference)
    agreeing = None if decisions is None or expected is None else float((decisions == expected).mean())
    sqnr_db = noise.result().db if np.issubdtype(output.dtype, np.number) else math.nan
    return Answer(probabilities_of(output), decisions, tuple(output.shape), sqnr_db, agreeing, latency, is_simulated)
