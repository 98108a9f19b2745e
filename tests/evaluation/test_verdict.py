"""A verdict claims what the intervals support, and no more."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quantlab.errors import RecipeError
from quantlab.evaluation.accuracy import PairedDrop, accuracy_of
from quantlab.evaluation.agreement import Agreement, Sqnr
from quantlab.evaluation.environment import read_environment
from quantlab.evaluation.evaluation import Evaluation, Row
from quantlab.evaluation.latency import Latency, Speedup
from quantlab.evaluation.size import Size
from quantlab.evaluation.verdict import verdict, verdicts
from quantlab.precision import HalfPrecision


def timed(batch_size: int = 1) -> Latency:
    return Latency(batch_size, "1", 4, 1.0, 1.0, 1.0, 1.0, (1.0,) * 4)


def drop(points: float, low: float, high: float) -> PairedDrop:
    return PairedDrop(points, (low, high), 0, 0, 500, 0.5, "made up")


def evaluation_of(row: Row, instructions: tuple[str, ...] = ("AVX-512 VNNI",)) -> Evaluation:
    answers = np.ones(500, bool)
    size = Size(4000, 4000)
    reference = Row("fp32", {}, size, correct=answers, accuracies=(accuracy_of(answers),), latencies=(timed(),))
    environment = dataclasses.replace(read_environment(), instructions=instructions)
    return Evaluation((reference, row), "made up", 500, "logits", environment)


def int8(
    lost: PairedDrop | None = None, gain: Speedup | None = None, *, size_bytes: int = 1000, simulated: bool = False
) -> Row:
    return Row(
        "int8",
        {},
        Size(size_bytes, size_bytes),
        is_simulated=simulated,
        drop=lost,
        latencies=(timed(),) if gain else (),
        speedups=(gain,) if gain else (),
        latency_reason=None if gain else "not measured: its engine only simulates",
    )


def beside_half(row: Row, lost: PairedDrop | None) -> Evaluation:
    evaluation = evaluation_of(row)
    half = Row("fp16", HalfPrecision().describe(), Size(2000, 2000), is_simulated=True, drop=lost)
    return dataclasses.replace(evaluation, rows=(evaluation.reference, half, row))


FAST, SLOW, EVEN = Speedup(3.0, (2.8, 3.1)), Speedup(0.8, (0.7, 0.9)), Speedup(1.01, (0.97, 1.05))
FINE = drop(0.1, -0.2, 0.4)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (drop(3.0, 2.0, 4.0), "Not worth it as it is"),
        (drop(1.5, 0.5, 2.5), "is probably more than the budget of 1"),
        (drop(0.5, -0.5, 1.5), "may be more than the budget of 1; 500 samples do not tell"),
        (drop(0.5, 0.2, 0.8), "is within the budget of 1"),
        (FINE, "No loss of accuracy shows"),
    ],
)
def test_a_drop_is_judged_by_its_whole_interval(lost: PairedDrop, expected: str):
    assert expected in verdict(evaluation_of(int8(lost, FAST)))


def test_the_budget_decides():
    evaluation = evaluation_of(int8(drop(0.5, 0.4, 0.6), FAST))
    assert "Not worth it" in verdict(evaluation, budget_points=0.3)
    assert "within the budget of 0.7" in verdict(evaluation, budget_points=0.7)


@pytest.mark.parametrize(("gain", "expected"), [(SLOW, "Slower at batch 1"), (EVEN, "No faster at batch 1")])
def test_a_model_that_is_not_faster_is_not_worth_it(gain: Speedup, expected: str):
    text = verdict(evaluation_of(int8(FINE, gain)))
    assert expected in text
    assert "Not worth it unless the size matters (4.0 times smaller)" in text
    assert "VNNI" not in text


def test_a_faster_model_is_not_called_worthless():
    text = verdict(evaluation_of(int8(FINE, FAST)))
    assert "Faster at batch 1: 3.00x [2.80, 3.10]" in text
    assert "Not worth it" not in text


def test_a_processor_without_dot_products_is_named_as_the_reason():
    assert "no 8-bit dot products" in verdict(evaluation_of(int8(FINE, SLOW), instructions=("AVX2",)))


def test_a_model_that_is_neither_faster_nor_smaller_gains_nothing():
    assert "Not worth it on this machine" in verdict(evaluation_of(int8(FINE, SLOW, size_bytes=4000)))


def test_a_simulation_decides_nothing_about_speed():
    text = verdict(evaluation_of(int8(FINE, simulated=True)))
    assert "speed is unknown: latency not measured" in text
    assert "simulation" in text


def test_without_labels_agreement_or_sqnr_speak():
    row = dataclasses.replace(int8(None, FAST), agreement=Agreement(99, 100, "sample", None))
    assert "99.00% of the answers are the reference's" in verdict(evaluation_of(row))
    row = dataclasses.replace(int8(None, FAST), sqnr=Sqnr(100.0, 1.0, 10))
    assert "SQNR 20.0 dB" in verdict(evaluation_of(row))


def test_a_reference_alone_has_no_verdict():
    evaluation = evaluation_of(int8())
    assert verdict(dataclasses.replace(evaluation, rows=evaluation.rows[:1])) == ""


def test_a_negative_budget_is_refused():
    with pytest.raises(RecipeError, match="budget"):
        verdict(evaluation_of(int8()), budget_points=-1)


@pytest.mark.parametrize(
    ("lost", "half_lost", "expected"),
    [
        (drop(3.0, 2.0, 4.0), FINE, "FP16 loses none that shows: +0.10 points [-0.20, +0.40]."),
        (drop(1.5, -0.5, 3.5), FINE, "FP16 loses none that shows"),
        (drop(3.0, 2.0, 4.0), drop(0.5, 0.2, 0.8), "FP16 loses accuracy: +0.50 points [+0.20, +0.80]."),
        (FINE, drop(0.5, 0.2, 0.8), "FP16 loses accuracy"),
        (FINE, FINE, None),
        (None, FINE, None),
    ],
)
def test_half_precision_is_spoken_of_where_it_or_int8_loses(lost, half_lost, expected: str | None):
    evaluation = beside_half(int8(lost, simulated=True), half_lost)
    assert list(verdicts(evaluation)) == ["int8"]
    if expected is None:
        assert "FP16" not in verdict(evaluation)
    else:
        assert expected in verdict(evaluation)


def test_models_that_are_not_simulated_are_not_compared_with_half_precision():
    assert "FP16" not in verdict(beside_half(int8(drop(3.0, 2.0, 4.0), FAST), FINE))
