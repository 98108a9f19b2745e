"""Percentiles from bins against those of the sorted values."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.calibrators import MinMax, Percentile
from quantlab.errors import RecipeError
from quantlab.scheme import Scheme
from quantlab.stats import statistics_of

INT8 = Scheme("int8")
UINT8 = Scheme("uint8", symmetric=False)
PERCENTILES = st.sampled_from([50.1, 75, 90, 99, 99.9, 99.99, 99.999])


def _values(seed: int, zeros: float) -> npt.NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    values = generator.standard_t(3, int(generator.integers(3, 30_000)))
    return np.where(generator.random(values.size) < zeros, 0.0, values).astype(np.float32)


def _exact(values: npt.NDArray[np.float32], share: Fraction) -> float:
    return float(np.sort(values)[math.ceil(share * values.size) - 1])


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), percentile=PERCENTILES, zeros=st.sampled_from([0.0, 0.4]))
def test_a_threshold_is_within_a_bin_of_the_sorted_values(seed: int, percentile: float, zeros: float) -> None:
    values = _values(seed, zeros)
    statistics = statistics_of(values)
    chosen = Percentile(percentile).range_of(statistics, INT8)
    exact = _exact(np.abs(values), Fraction(str(percentile)) / 100)
    if exact > 0:
        assert abs(max(-float(chosen.low), float(chosen.high)) - exact) <= statistics.width


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), percentile=PERCENTILES, zeros=st.sampled_from([0.0, 0.4]))
def test_both_ends_give_up_half_of_the_rest(seed: int, percentile: float, zeros: float) -> None:
    values = _values(seed, zeros)
    statistics = statistics_of(values)
    chosen = Percentile(percentile).range_of(statistics, UINT8)
    share = (1 + Fraction(str(percentile)) / 100) / 2
    low, high = min(0.0, -_exact(-values, share)), max(0.0, _exact(values, share))
    if statistics.minimum < 0 < statistics.maximum and low < high:
        assert abs(float(chosen.low) - low) <= statistics.width
        assert abs(float(chosen.high) - high) <= statistics.width


def test_a_percentile_equals_numpys_within_a_bin() -> None:
    values = np.random.default_rng(0).standard_normal(100_001).astype(np.float32)
    statistics = statistics_of(values)
    chosen = Percentile(99.9).range_of(statistics, INT8)
    assert float(chosen.high) == pytest.approx(np.quantile(np.abs(values), 0.999), abs=statistics.width)
    both = Percentile(99.9).range_of(statistics, UINT8)
    assert float(both.low) == pytest.approx(np.quantile(values, 0.0005), abs=statistics.width)
    assert float(both.high) == pytest.approx(np.quantile(values, 0.9995), abs=statistics.width)


def test_a_rank_is_not_off_by_one_through_rounding() -> None:
    # 99.99 % of 10,000 values is the 9,999th: the one outlier goes, the next largest value stays.
    values = np.concatenate([np.linspace(0.5, 1, 9999), [100.0]])
    assert float(Percentile(99.99).range_of(statistics_of(values), INT8).high) < 1.1


def test_zeros_count_among_the_values() -> None:
    values = np.concatenate([np.linspace(0.01, 1, 100), np.zeros(900)])
    chosen = Percentile(95).range_of(statistics_of(values), UINT8)
    assert float(chosen.high) == pytest.approx(0.5, abs=2 * 2**-10)


def test_a_tensor_of_mostly_zeros_is_not_erased() -> None:
    statistics = statistics_of(np.concatenate([np.zeros(10**6), [3.0, -1.0]]))
    for scheme in (INT8, UINT8):
        assert Percentile().range_of(statistics, scheme).same_as(MinMax().range_of(statistics, scheme))


def test_all_values_are_minmax() -> None:
    statistics = statistics_of(_values(1, 0.1))
    for scheme in (INT8, UINT8):
        assert Percentile(100).range_of(statistics, scheme).same_as(MinMax().range_of(statistics, scheme))


@pytest.mark.parametrize("percentile", [50, 0, -1, 100.001, math.nan, 0.9999])
def test_a_percentile_outside_its_limits_is_refused(percentile: float) -> None:
    with pytest.raises(RecipeError, match="percentile"):
        Percentile(percentile)
