"""Statistics of one tensor: what they hold, and what they refuse to hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantlab.errors import CalibrationError
from quantlab.stats import statistics_of
from quantlab.stats.tensor import bin_exponent, coarsen, trim


def test_the_largest_magnitude_lies_in_the_upper_half_of_the_bins() -> None:
    for absmax in (1.0, 1.999, 2.0, 3e38, 1e-45, 0.1):
        statistics = statistics_of(np.array([absmax], np.float32))
        assert 1024 <= statistics.positive.size - 1 < 2048
        assert statistics.width * (statistics.positive.size - 1) <= statistics.absmax


def test_width_and_absmax_of_nothing_are_zero() -> None:
    statistics = statistics_of(np.zeros(0))
    assert (statistics.width, statistics.absmax, statistics.count) == (0.0, 0.0, 0)
    assert bin_exponent(0.0) is None


def test_magnitudes_add_both_signs() -> None:
    statistics = statistics_of(np.array([1.0, -1.0, -0.5, 0.0]))
    assert statistics.magnitudes.sum() == 3
    assert statistics.magnitudes[1024] == 2
    assert statistics.magnitudes[512] == 1


def test_merging_adds_zeros_extrema_and_counts() -> None:
    merged = statistics_of([0.0, 0.0]).merge(statistics_of([-3.0])).merge(statistics_of([2.0, 0.0]))
    assert (merged.minimum, merged.maximum, merged.count, merged.zeros) == (-3.0, 2.0, 5, 3)


def test_coarsening_adds_neighbours() -> None:
    histogram = np.array([1, 2, 3, 4, 5], np.int64)
    assert coarsen(histogram, 0).tolist() == [1, 2, 3, 4, 5]
    assert coarsen(histogram, 1).tolist() == [3, 7, 5]
    assert coarsen(histogram, 300).tolist() == [15]


def test_trimming_ends_with_the_last_occupied_bin() -> None:
    assert trim(np.array([0, 3, 0, 0], np.int64)).tolist() == [0, 3]
    assert trim(np.zeros(4, np.int64)).size == 0


def test_histograms_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        statistics_of([1.0]).positive[0] = 1


def test_statistics_that_differ_in_any_field_are_not_the_same() -> None:
    statistics = statistics_of([1.0, -2.0, 0.0])
    moved = statistics.positive.copy()
    moved[0], moved[-2:] = 1, 0
    for other in ([1.0, -2.0], [1.0, -2.0, 0.0, 0.0], [1.01, -2.0, 0.0], [1.0, -2.01, 0.0], [4.0, -2.0, 0.0]):
        assert not statistics.same_as(statistics_of(other))
    assert statistics.same_as(statistics_of([0.0, -2.0, 1.0]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"minimum": float("nan")}, "not finite"),
        ({"minimum": 2.5}, "minimum is above"),
        ({"exponent": 3}, "bin width"),
        ({"exponent": None}, "bin width"),
        ({"count": 7}, "are not 7 values"),
        ({"zeros": -1, "count": 1}, "are not 1 values"),
        ({"positive": np.zeros(1025)}, "float64"),
        ({"positive": np.zeros(1025, np.int64)}, "empty bin"),
        ({"positive": np.ones(2049, np.int64)}, "at most 2048"),
        ({"positive": np.array([-1, 1, 2], np.int64)}, "negative"),
    ],
)
def test_statistics_that_contradict_themselves_are_refused(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(CalibrationError, match=fault):
        replace(statistics_of([1.0, 2.0, 0.0]), **change)


def test_more_values_than_int64_counts_are_refused() -> None:
    half = replace(statistics_of([0.0]), count=2**62, zeros=2**62)
    with pytest.raises(CalibrationError, match="2\\^63"):
        half.merge(half)


def test_statistics_print_in_one_line() -> None:
    assert str(statistics_of([1.0, -2.0, 0.0, 0.0])) == "[-2, 1], 4 values, 50 % zeros, 1025 bins"
