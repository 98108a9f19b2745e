"""Turns an evaluation into a sentence or two per model: whether it is worth having, and what speaks against it.

A claim is made only where the whole 95 % interval supports it; where the interval reaches to both sides, the sentence
says that the samples or runs do not decide it.
"""

from __future__ import annotations

from collections.abc import Iterator

from quantlab.errors import RecipeError
from quantlab.evaluation.accuracy import PairedDrop
from quantlab.evaluation.environment import Environment
from quantlab.evaluation.evaluation import HALF_ENGINE, Evaluation, Row

DEFAULT_BUDGET_POINTS = 1.0

_FOR_COMPARISON = "torch eager"


def verdict(evaluation: Evaluation, *, budget_points: float = DEFAULT_BUDGET_POINTS) -> str:
    """Return what to make of every model but the reference, a line each; see `verdicts`."""
    found = verdicts(evaluation, budget_points=budget_points)
    return "\n".join(f"{name}: {text}" for name, text in found.items())


def verdicts(evaluation: Evaluation, *, budget_points: float = DEFAULT_BUDGET_POINTS) -> dict[str, str]:
    """Return what to make of every model but the reference, by name.

    A float model whose half precision is simulated has no verdict of its own: it stands beside the simulated INT8
    models, whose verdicts speak of it where the two differ.

    Args:
        evaluation: the models side by side.
        budget_points: the accuracy one may lose, in percentage points, at least 0.

    Raises:
        RecipeError: the budget is negative.
    """
    if budget_points < 0:
        raise RecipeError(f"budget: it is {budget_points} points; give 0 or more")
    rows = {row.name: row for row in evaluation.rows[1:] if row.engine.get("engine") != HALF_ENGINE}
    return {name: " ".join(_sentences(row, evaluation, budget_points)) for name, row in rows.items()}


def _sentences(row: Row, evaluation: Evaluation, budget_points: float) -> Iterator[str]:
    yield _about_accuracy(row, budget_points)
    if row.is_simulated:
        halves = (each for each in evaluation.rows if each.engine.get("engine") == HALF_ENGINE)
        yield from (sentence for half in halves for sentence in _about_half(row, half, budget_points))
    yield from _about_speed(row, evaluation.reference, evaluation.environment)
    if row.is_simulated:
        yield "The numbers are those of a simulation: measure on the runtime itself before deciding."


def _about_accuracy(row: Row, budget_points: float) -> str:
    if row.drop is not None:
        return _about_drop(row.drop, budget_points)
    if row.agreement is not None:
        return f"Without labels the accuracy is unknown; {row.agreement.share:.2%} of the answers are the reference's."
    if row.sqnr is not None:
        return f"There are no answers to compare; against the reference's output: {row.sqnr}."
    return "It was not compared with the reference."


def _about_half(row: Row, half: Row, budget_points: float) -> Iterator[str]:
    """Say what half precision costs where it costs accuracy, or the model it stands beside does."""
    if row.drop is None or half.drop is None:
        return
    if half.drop.interval[0] > 0:
        yield f"FP16 loses accuracy: {_numbers(half.drop)}."
    elif row.drop.interval[0] > 0 or row.drop.points > budget_points:
        yield f"FP16 loses none that shows: {_numbers(half.drop)}."


def _numbers(drop: PairedDrop) -> str:
    return f"{drop.points:+.2f} points [{drop.interval[0]:+.2f}, {drop.interval[1]:+.2f}]"


def _about_drop(drop: PairedDrop, budget_points: float) -> str:
    low, high = drop.interval
    numbers = _numbers(drop)
    budget = f"the budget of {budget_points:g}"
    if low > budget_points:
        return f"Not worth it as it is: the accuracy lost, {numbers}, is more than {budget}."
    if drop.points > budget_points:
        return f"The accuracy lost, {numbers}, is probably more than {budget}; more samples would tell."
    if high > budget_points:
        return f"The accuracy lost, {numbers}, may be more than {budget}; {drop.total} samples do not tell."
    if low > 0:
        return f"The accuracy lost, {numbers}, is within {budget}."
    return f"No loss of accuracy shows: {numbers}, within {budget}."


def _about_speed(row: Row, reference: Row, environment: Environment) -> Iterator[str]:
    """Say at every batch size whether the model is faster, and what the size gains where it is not."""
    if not row.speedups:
        yield f"Its speed is unknown: latency {row.latency_reason or 'not measured'}."
        return
    is_faster_somewhere = False
    for latency, gain in zip(row.latencies, row.speedups, strict=True):
        where = f"at batch {latency.batch_size}"
        if gain.interval[0] > 1:
            is_faster_somewhere = True
            yield f"Faster {where}: {gain}."
        elif gain.interval[1] < 1:
            yield f"Slower {where}: {gain}."
        else:
            yield f"No faster {where}, as far as the runs tell: {gain}."
    # A float model in torch stands there for comparison: nobody asks whether to deploy it.
    if not is_faster_somewhere and row.engine.get("engine") != _FOR_COMPARISON:
        yield _not_worth_it(row, reference, environment)


def _not_worth_it(row: Row, reference: Row, environment: Environment) -> str:
    ratio = reference.size.file_bytes / row.size.file_bytes
    gain = f"unless the size matters ({ratio:.1f} times smaller)" if ratio > 1.05 else "on this machine"
    why = ""
    if environment.has_int8_instructions is False:
        why = " The processor has no 8-bit dot products (VNNI or the like), without which INT8 gains little."
    return f"Not worth it {gain}: it runs no faster than {reference.name}.{why}"
