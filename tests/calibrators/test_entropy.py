"""The KL search against a naive one, written as the slides of GTC 2017 (S7310) tell it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.affine import Range, encoding_from_range
from quantlab.calibrators import Entropy, MinMax
from quantlab.calibrators.entropy import _nested_windows
from quantlab.calibrators.squared_error import squared_errors
from quantlab.errors import RecipeError
from quantlab.scheme import Scheme
from quantlab.stats import TensorStatistics, statistics_of
from quantlab.stats.tensor import Counts
from tests.calibrators.histograms import KINDS, _histogram, histograms, statistics_from

INT8 = Scheme("int8")
UINT8 = Scheme("uint8", symmetric=False)
PURE = Entropy(max_error_ratio=math.inf)


def _divergence(window: Counts, left: int, right: int, levels: npt.NDArray[np.intp]) -> float:
    """KL of a window with the mass outside it, given the level of each of its bins."""
    if window.sum() == 0:
        return math.inf
    reference = window.astype(np.float64)
    reference[0] += left
    reference[-1] += right
    mass = np.bincount(levels, window)
    occupied = np.bincount(levels, window > 0)
    quantized = np.where(window > 0, mass[levels] / np.maximum(occupied[levels], 1), 0.0)
    # Infinite where P > 0 and Q = 0.
    return float(scipy.special.rel_entr(reference / reference.sum(), quantized / quantized.sum()).sum())


def _naive_threshold(bins: Counts, levels: int) -> float:
    """S7310: the threshold in bin widths."""
    last = int(np.flatnonzero(bins)[-1]) + 1
    if np.count_nonzero(bins) < levels:
        return math.inf
    best, chosen = math.inf, last
    for kept in range(levels, last + 1):
        level = np.arange(kept) * levels // kept
        divergence = _divergence(bins[:kept], 0, int(bins[kept:].sum()), level)
        if divergence <= best + 1e-12:  # equal but for rounding: the larger threshold
            best, chosen = min(best, divergence), kept
    return chosen + 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [INT8, UINT8], ids=str)
def test_the_threshold_is_that_of_the_naive_search(scheme: Scheme, kind: str) -> None:
    statistics = statistics_from(_histogram(kind, 7))
    naive = _naive_threshold(statistics.positive, 128 if scheme.symmetric else 256)
    assert float(PURE.range_of(statistics, scheme).high) == min(naive, statistics.maximum)


@settings(max_examples=5, deadline=None)
@given(positive=histograms(), negative=histograms())
def test_a_symmetric_range_searches_the_magnitudes(positive: Counts, negative: Counts) -> None:
    statistics = statistics_from(positive, negative)
    chosen = PURE.range_of(statistics, INT8)
    threshold = min(_naive_threshold(statistics.magnitudes, 128), statistics.absmax)
    assert max(-float(chosen.low), float(chosen.high)) == threshold


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(positive=histograms(), negative=histograms(), cut=st.integers(1, 2048))
def test_every_search_is_the_naive_one_on_many_histograms(positive: Counts, negative: Counts, cut: int) -> None:
    one, both = statistics_from(positive), statistics_from(positive, negative[:cut])
    naive = _naive_threshold(one.positive, 256)
    assert float(PURE.range_of(one, UINT8).high) == min(naive, one.maximum)
    chosen = PURE.range_of(both, UINT8)
    if both.minimum < 0:
        assert (float(chosen.low), float(chosen.high)) == _naive_window(both, UINT8)


def _naive_window(statistics: TensorStatistics, scheme: Scheme) -> tuple[float, float]:
    lower, upper = statistics.negative, statistics.positive
    below, above, levels = lower.size, upper.size, scheme.highest - scheme.lowest + 1
    if np.count_nonzero(lower) + np.count_nonzero(upper) < levels:
        return statistics.minimum, statistics.maximum
    best, chosen = math.inf, (statistics.minimum, statistics.maximum)
    while True:
        low, high = max(-float(below), statistics.minimum), min(float(above), statistics.maximum)
        window = np.concatenate([lower[:below][::-1], upper[:above]])
        encoding = encoding_from_range(Range.of(low, high), scheme)
        middle = np.arange(-below, above) + 0.5
        level = np.floor(middle / float(encoding.scale) + 0.5) + int(encoding.zero_point) - scheme.lowest
        level = np.clip(level, 0, levels - 1).astype(np.intp)
        divergence = _divergence(window, int(lower[below:].sum()), int(upper[above:].sum()), level)
        if divergence < best - 1e-12:
            best, chosen = divergence, (low, high)
        if below + above <= levels:
            return chosen
        loses_left = int(lower[below - 1]) if below else math.inf
        loses_right = int(upper[above - 1]) if above else math.inf
        if loses_left < loses_right or (loses_left == loses_right and below >= above):
            below -= 1
        else:
            above -= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_window_is_that_of_the_naive_search(kind: str) -> None:
    statistics = statistics_from(_histogram(kind, 3), _histogram("heavy", 4)[:500])
    chosen = PURE.range_of(statistics, UINT8)
    assert (float(chosen.low), float(chosen.high)) == _naive_window(statistics, UINT8)


def test_windows_are_nested_around_zero_and_reach_from_all_bins_to_the_levels() -> None:
    generator = np.random.default_rng(3)
    below, above = _nested_windows(generator.integers(0, 9, 300), generator.integers(0, 9, 1500), 256)
    assert (below[-1], above[-1], below[0] + above[0]) == (300, 1500, 256)
    assert ((np.diff(below) + np.diff(above)) == 1).all()
    assert (np.diff(below) >= 0).all()
    assert below.min() >= 0


def test_a_window_with_one_side_used_up_goes_on_with_the_other() -> None:
    below, above = _nested_windows(np.array([1]), np.full(1200, 5), 256)
    assert (below[0], above[0]) == (0, 256)


def test_exact_zeros_change_nothing() -> None:
    values = np.abs(np.random.default_rng(0).standard_normal(50_000))
    without = PURE.range_of(statistics_of(values), UINT8)
    relu = PURE.range_of(statistics_of(np.concatenate([values, np.zeros(10**6)])), UINT8)
    assert relu.same_as(without)


def test_fewer_occupied_bins_than_levels_give_minmax() -> None:
    values = np.tile(np.arange(1, 128), 50).astype(np.float32)
    assert PURE.range_of(statistics_of(values), INT8).same_as(MinMax().range_of(statistics_of(values), INT8))
    bins = np.zeros(2048, np.int64)
    bins[:127] = 1000 + 50 * np.arange(127) % 777
    bins[2000] = 1
    assert PURE.range_of(statistics_from(bins - (np.arange(2048) == 0) * bins[0]), INT8).high == 2000.5
    bins[127] = 1000
    assert PURE.range_of(statistics_from(bins), INT8).high == 128.5


def test_rare_outliers_are_clipped_and_the_bulk_is_kept() -> None:
    values = np.random.default_rng(1).laplace(size=320_000)
    outliers = np.append(values, [60.0, -50.0, 40.0])
    chosen = PURE.range_of(statistics_of(outliers), INT8)
    # Between the 99.9 % and the 99.9999 % of the bulk: the outliers made the bins six times as wide as it needs.
    assert 6.9 < float(chosen.high) < 13.8


@pytest.mark.parametrize("scheme", [INT8, UINT8], ids=str)
@settings(max_examples=20, deadline=None)
@given(positive=histograms(), negative=histograms(), ratio=st.sampled_from([1.0, 1.2, 2.0, 10.0]))
def test_the_guard_bounds_the_squared_error_and_raises_the_threshold_no_further_than_needed(
    scheme: Scheme, positive: Counts, negative: Counts, ratio: float
) -> None:
    statistics = statistics_from(positive, negative[:1200])
    pure, guarded = PURE.range_of(statistics, scheme), Entropy(ratio).range_of(statistics, scheme)
    full = MinMax().range_of(statistics, scheme)
    ranges = (pure, guarded, full)
    together = Range(np.array([float(r.low) for r in ranges]), np.array([float(r.high) for r in ranges]))
    error = squared_errors(statistics, scheme, together)
    assert error[1] <= ratio * error[2] * (1 + 1e-9)
    assert guarded.low <= pure.low
    assert guarded.high >= pure.high
    if error[0] <= ratio * error[2]:
        assert guarded.same_as(pure)


def test_the_guard_keeps_large_logits() -> None:
    generator = np.random.default_rng(2)
    logits = np.concatenate([generator.normal(-2, 1, 100_000), generator.normal(30, 1, 20)])
    statistics = statistics_of(logits)
    assert PURE.range_of(statistics, UINT8).high < 3
    assert Entropy().range_of(statistics, UINT8).high > 25


@pytest.mark.parametrize("ratio", [0.99, 0.0, -1.0, math.nan])
def test_a_ratio_below_one_is_refused(ratio: float) -> None:
    with pytest.raises(RecipeError, match="max_error_ratio"):
        Entropy(max_error_ratio=ratio)
