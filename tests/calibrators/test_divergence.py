"""The divergences of windows: numba and numpy agree, and borders are where the formula puts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.calibrators import divergence, divergence_numba
from quantlab.calibrators.divergence import PrefixSums, Windows
from tests.calibrators.histograms import histograms


def thresholds(bins: int, levels: int) -> Windows:
    last = np.arange(levels, bins + 1)
    return Windows(np.zeros(last.size, np.int64), last, last / levels, np.zeros(last.size), 0.5 / levels, 0, levels)


def windows_around(origin: int, bins: int, levels: int, *, zero: int) -> Windows:
    """Return windows from a few bins to all, with a level in whose middle `origin` lies."""
    last = np.linspace(origin + 1, bins, 50).astype(np.int64)
    first = np.linspace(origin, 0, 50).astype(np.int64)
    step = (last - first) / (levels - 1)
    return Windows(first, last, step, np.full(50, -0.5 - zero), 0.5, origin, levels)


@settings(max_examples=25, deadline=None)
@given(bins=histograms(), levels=st.sampled_from([3, 128, 255, 256]), zero=st.integers(0, 255))
def test_numba_and_numpy_differ_by_rounding_only(bins, levels, zero):
    sums = PrefixSums.of(bins)
    for windows in (
        thresholds(bins.size, levels),
        windows_around(bins.size // 3, bins.size, levels, zero=zero % levels),
    ):
        compiled, plain = divergence_numba.level_sums(sums, windows), divergence.level_sums_in_numpy(sums, windows)
        # Sums of 256 products, in another order.
        np.testing.assert_allclose(compiled, plain, rtol=1e-12, atol=1e-12 * max(1.0, float(sums.mass[-1])))


@pytest.mark.parametrize("levels", [3, 100, 127, 128, 255, 256])
def test_bins_belong_to_the_levels_that_integer_arithmetic_gives(levels):
    windows = thresholds(2048, levels)
    borders = windows.borders(slice(None))
    for row, bins in zip(borders, windows.last, strict=True):
        level_of = np.arange(bins) * levels // bins
        np.testing.assert_array_equal(row[:-1], np.searchsorted(level_of, np.arange(levels)))
        assert row[-1] == bins


def test_a_window_that_is_its_own_approximation_loses_nothing():
    bins = np.repeat([5, 9, 1, 7], 10)  # four levels, each of equal bins
    (loss,) = divergence.divergences(bins, thresholds(40, 4)).tolist()[-1:]
    assert loss == pytest.approx(0.0, abs=1e-12)


def test_mass_outside_that_falls_on_an_empty_bin_refuses_the_window():
    bins = np.array([4, 3, 2, 0, 1, 1])
    losses = divergence.divergences(bins, thresholds(6, 2))
    assert np.isinf(losses).tolist() == [False, False, True, False, False]
