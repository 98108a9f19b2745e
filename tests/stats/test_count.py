"""Counting: equal for every way of cutting, ordering and sharing the values, and equal to the definition."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantlab.errors import CalibrationError
from quantlab.stats import TensorCounter, TensorStatistics, statistics_of
from quantlab.stats.kernel import Kernel, fastest_kernel, numpy_kernel

FINITE = hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


def _by_definition(values: np.ndarray) -> TensorStatistics:
    """Statistics from exact fractions, one value at a time."""
    floats = [float(np.float32(value)) for value in values.reshape(-1)]
    if not floats:
        return statistics_of(np.zeros(0))
    absmax = max(abs(value) for value in floats)
    exponent = math.frexp(absmax)[1] - 11 if absmax else None
    sides: dict[bool, dict[int, int]] = {False: {}, True: {}}
    for value in floats:
        if value != 0:
            assert exponent is not None
            index = math.floor(Fraction(abs(value)) / Fraction(2) ** exponent)
            sides[value < 0][index] = sides[value < 0].get(index, 0) + 1
    histograms = []
    for side in (sides[False], sides[True]):
        histogram = np.zeros(max(side, default=-1) + 1, np.int64)
        for index, number in side.items():
            histogram[index] = number
        histograms.append(histogram)
    zeros = sum(value == 0 for value in floats)
    return TensorStatistics(min(floats) + 0.0, max(floats) + 0.0, len(floats), zeros, exponent, *histograms)


@pytest.fixture(scope="module", params=["numba", "numpy"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    chosen = fastest_kernel() if request.param == "numba" else numpy_kernel()
    assert chosen.name == request.param
    return chosen


@settings(deadline=None)
@given(values=FINITE)
def test_counts_equal_the_definition_in_exact_fractions(kernel: Kernel, values: np.ndarray) -> None:
    counter = TensorCounter(kernel=kernel)
    counter.add(values)
    assert counter.statistics().same_as(_by_definition(values))


@settings(deadline=None)
@given(values=FINITE, cuts=st.lists(st.integers(0, 60), max_size=5), seed=st.integers(0, 2**32 - 1))
def test_any_cut_any_order_and_any_workers_give_equal_statistics(
    values: np.ndarray, cuts: list[int], seed: int
) -> None:
    whole = statistics_of(values)
    shuffled = np.random.default_rng(seed).permutation(values)
    parts = np.split(shuffled, sorted(cut for cut in cuts if cut <= len(values)))
    counter = TensorCounter()
    merged = statistics_of(np.zeros(0))
    for part in parts:
        counter.add(part)
        merged = merged.merge(statistics_of(part))
    assert counter.statistics().same_as(whole)
    assert merged.same_as(whole)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), decades=st.integers(1, 70))
def test_numba_and_numpy_count_equally_over_seventy_decades(seed: int, decades: int) -> None:
    generator = np.random.default_rng(seed)
    highest = generator.uniform(-45 + min(decades, 83), 38)
    values = 10.0 ** generator.uniform(highest - decades, highest, 5000)
    values = (values * generator.choice([-1, 0, 1], 5000)).astype(np.float32)
    left, right = TensorCounter(kernel=fastest_kernel()), TensorCounter(kernel=numpy_kernel())
    for part in np.split(values, [1, 10, 2000]):
        left.add(part)
        right.add(part)
    assert left.statistics().same_as(right.statistics())


def test_a_first_batch_smaller_by_seventy_decades_changes_nothing() -> None:
    tiny = (np.arange(1, 500) * 1e-40).astype(np.float32)  # denormal
    huge = (np.linspace(-1, 1, 777) * 3e38).astype(np.float32)
    counter = TensorCounter()
    counter.add(tiny)
    counter.add(huge)
    assert counter.statistics().same_as(statistics_of(np.concatenate([huge, tiny])))
    assert counter.statistics().positive[0] >= tiny.size


def test_both_zeros_are_counted_and_never_binned() -> None:
    statistics = statistics_of(np.array([-0.0, 0.0, -0.0], np.float32))
    assert (statistics.count, statistics.zeros, statistics.exponent) == (3, 3, None)
    assert statistics.positive.size == statistics.negative.size == 0
    assert math.copysign(1, statistics.minimum) == math.copysign(1, statistics.maximum) == 1


def test_the_smallest_denormal_has_a_bin(kernel: Kernel) -> None:
    counter = TensorCounter(kernel=kernel)
    counter.add(np.array([1e-45, -3e-45, 0], np.float32))
    statistics = counter.statistics()
    assert statistics.zeros == 1
    assert statistics.width == 2.0**-158
    assert statistics.negative.size == 2 * statistics.positive.size - 1 == 1025


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.int64, np.uint8, np.bool_, ">f4"])
def test_every_real_type_counts_as_float32(dtype: npt.DTypeLike) -> None:
    values: npt.NDArray[Any] = np.arange(24).reshape(2, 3, 4).astype(dtype)
    assert statistics_of(values).same_as(statistics_of(values.astype(np.float32)))


def test_a_strided_view_counts_as_its_copy() -> None:
    values = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)[::2, ::-3]
    assert statistics_of(values).same_as(statistics_of(values.copy()))


def test_counting_leaves_the_array_unchanged(kernel: Kernel) -> None:
    values = np.array([1.5, -0.0, -2e-41], np.float32)
    before = values.tobytes()
    TensorCounter(kernel=kernel).add(values)
    assert values.tobytes() == before


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_and_infinity_name_tensor_batch_and_place(kernel: Kernel, bad: float, dtype: type) -> None:
    counter = TensorCounter("conv1_out", kernel)
    counter.add(np.ones(3))
    before = counter.statistics()
    values: npt.NDArray[Any] = np.zeros((2, 3), dtype)
    values[1, 2] = bad
    with pytest.raises(CalibrationError, match=r"tensor 'conv1_out', batch 7: 1 of 6 values .* index \[1, 2\]"):
        counter.add(values, batch=7)
    assert counter.statistics().same_as(before)


def test_a_large_array_is_counted_in_parts_or_not_at_all(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * np.geomspace(1e-9, 1e9, 1000)
    expected = statistics_of(values)
    monkeypatch.setattr("quantlab.stats.count._PART", 64)
    counter = TensorCounter(kernel=kernel)
    counter.add(values)
    assert counter.statistics().same_as(expected)
    with pytest.raises(CalibrationError, match=r"1 of 501 values .* index \[500\]"):
        counter.add(np.append(values[500:] * 1e3, np.nan))
    assert counter.statistics().same_as(expected)


def test_a_float64_beyond_float32_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"not finite in float32.*1e\+39"):
        statistics_of(np.array([1e39]))


@pytest.mark.parametrize("value", [1j, "1", None])
def test_what_is_no_real_number_is_refused(value: object) -> None:
    with pytest.raises(CalibrationError, match="not real numbers"):
        statistics_of(np.array([value]))


def test_the_extremes_of_float32_are_counted(kernel: Kernel) -> None:
    largest = float(np.finfo(np.float32).max)
    counter = TensorCounter(kernel=kernel)
    counter.add(np.array([largest, -largest], np.float32))
    statistics = counter.statistics()
    assert (statistics.minimum, statistics.maximum) == (-largest, largest)
    assert statistics.positive.size == statistics.negative.size == 2048


def test_statistics_of_a_counter_are_a_copy() -> None:
    counter = TensorCounter()
    counter.add([1.0])
    statistics = counter.statistics()
    counter.add([1.0, 5.0])
    assert statistics.same_as(statistics_of([1.0]))
