"""Agreement and SQNR against their formulas."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantlab.errors import EngineError
from quantlab.evaluation.agreement import Agreement, AgreementCount, Sqnr, SqnrSum

VALUES = st.floats(-1e6, 1e6, width=32)
ARRAYS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=VALUES)


def sqnr(reference: np.ndarray, other: np.ndarray) -> Sqnr:
    total = SqnrSum()
    total.add(reference, other)
    return total.result()


def test_half_the_amplitude_of_noise_is_six_decibels():
    reference = np.array([[3.0, -4.0]], np.float32)
    assert sqnr(reference, reference * np.float32(1.5)).db == pytest.approx(20 * math.log10(2))


@settings(deadline=None)
@given(ARRAYS)
def test_equal_outputs_are_identical(values: np.ndarray):
    result = sqnr(values, values.copy())
    assert result.is_identical
    assert result.db == math.inf
    assert str(result) == "identical"
    assert result.to_json()["sqnr_db"] is None


def test_noise_on_a_zero_reference_is_minus_infinity():
    assert sqnr(np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)).db == -math.inf


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (7, 3), elements=VALUES), hnp.arrays(np.float32, (7, 3), elements=VALUES), st.integers(1, 7)
)
def test_the_sums_do_not_depend_on_the_batch_size(reference: np.ndarray, other: np.ndarray, size: int):
    parts = SqnrSum()
    for start in range(0, 7, size):
        parts.add(reference[start : start + size], other[start : start + size])
    assert parts.result() == sqnr(reference, other)


def test_positions_masked_in_both_are_equal():
    masked = np.array([[-np.inf, 3.0, -4.0]], np.float32)
    other = np.array([[-np.inf, 4.5, -6.0]], np.float32)
    assert sqnr(masked, other).db == pytest.approx(20 * math.log10(2))


def test_an_infinity_in_one_of_both_is_endless_noise():
    result = sqnr(np.array([[1.0, 2.0]]), np.array([[1.0, np.inf]]))
    assert result.db == -math.inf
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["noise"] is None


def test_integers_do_not_overflow():
    result = sqnr(np.array([[-128]], np.int8), np.array([[127]], np.int8))
    assert (result.signal, result.noise) == (128.0**2, 255.0**2)


def test_large_float16_values_do_not_overflow():
    assert math.isfinite(sqnr(np.array([[60000]], np.float16), np.array([[-60000]], np.float16)).db)


def agreement(reference: np.ndarray, other: np.ndarray) -> Agreement:
    count = AgreementCount()
    count.add(reference, other)
    result = count.result()
    assert result is not None
    return result


def test_decisions_per_sample_come_with_an_interval():
    result = agreement(np.array([1, 2, 3, 3]), np.array([1, 2, 0, 3]))
    assert (result.agreeing, result.total, result.unit) == (3, 4, "sample")
    assert result.interval is not None
    assert result.interval[0] < 0.75 < result.interval[1]


def test_decisions_per_position_come_without_one():
    result = agreement(np.zeros((2, 3, 3), int), np.eye(3, dtype=int)[None].repeat(2, axis=0))
    assert (result.agreeing, result.total, result.unit, result.interval) == (12, 18, "position", None)
    assert "66.67%" in str(result)


def test_nothing_counted_is_no_agreement():
    assert AgreementCount().result() is None


@pytest.mark.parametrize("sum_or_count", [SqnrSum(), AgreementCount()])
def test_other_shapes_are_refused(sum_or_count: SqnrSum | AgreementCount):
    with pytest.raises(EngineError, match=r"\[1, 3\], the reference's \[1, 2\]"):
        sum_or_count.add(np.zeros((1, 2)), np.zeros((1, 3)))


def test_both_become_json():
    result = agreement(np.array([1, 2]), np.array([1, 0]))
    assert json.loads(json.dumps(result.to_json()))["share"] == 0.5
    noise = sqnr(np.ones((1, 2)), np.ones((1, 2)) * 1.1)
    assert json.loads(json.dumps(noise.to_json()))["sqnr_db"] == pytest.approx(20)
