"""The least squared error against trying every range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.affine import encoding_from_range
from quantlab.calibrators import MinMax, Mse
from quantlab.scheme import Scheme
from quantlab.stats import statistics_of
from quantlab.stats.tensor import Counts
from tests.calibrators.histograms import centres, histograms, statistics_from
from tests.calibrators.test_squared_error import direct_error

INT8 = Scheme("int8")
UINT8 = Scheme("uint8", symmetric=False)


@pytest.mark.parametrize("scheme", [INT8, UINT8], ids=str)
@settings(max_examples=12, deadline=None)
@given(bins=histograms())
def test_no_bin_edge_is_a_better_threshold(scheme: Scheme, bins: Counts) -> None:
    statistics = statistics_from(bins)
    chosen = Mse().range_of(statistics, scheme)
    error = direct_error(statistics, scheme, 0.0, float(chosen.high))
    every = [direct_error(statistics, scheme, 0.0, edge) for edge in range(1, statistics.positive.size)]
    every.append(direct_error(statistics, scheme, 0.0, statistics.maximum))
    values, counts = centres(statistics)
    assert error <= min(every) * (1 + 1e-8) + 1e-11 * float(counts @ values**2)


@pytest.mark.parametrize("scheme", [UINT8, Scheme("int8", symmetric=False)], ids=str)
@settings(max_examples=15, deadline=None)
@given(positive=histograms(), negative=histograms(), cut=st.integers(30, 2048), seed=st.integers(0, 2**32 - 1))
def test_no_encoding_inside_minmax_is_better_by_much(
    scheme: Scheme, positive: Counts, negative: Counts, cut: int, seed: int
) -> None:
    statistics = statistics_from(positive, negative[:cut])
    if statistics.minimum >= 0:
        return
    chosen = Mse().range_of(statistics, scheme)
    error = direct_error(statistics, scheme, float(chosen.low), float(chosen.high))
    generator = np.random.default_rng(seed)
    values, counts = centres(statistics)
    noise = 1e-11 * float(counts @ values**2)
    full = statistics.maximum - statistics.minimum
    assert error <= direct_error(statistics, scheme, statistics.minimum, statistics.maximum) * (1 + 1e-8) + noise
    for step in np.geomspace(1.0, 2.0**-10, 512)[generator.integers(0, 512, 60)] * full / 255:
        down = int(generator.integers(0, 256))
        low, high = -down * step, (255 - down) * step
        if low >= statistics.minimum and high <= statistics.maximum:
            # The float32 step and the float64 one differ by 6e-8, the errors by a little more.
            assert error <= direct_error(statistics, scheme, low, high) * (1 + 1e-4) + noise


def test_the_chosen_window_is_an_encoding_as_it_stands() -> None:
    values = np.random.default_rng(0).standard_t(2.5, 100_000)
    chosen = Mse().range_of(statistics_of(values), UINT8)
    reached = encoding_from_range(chosen, UINT8).range
    # The bounds are whole steps, so encoding them moves them by the rounding of the scale to float32 only.
    assert float(reached.low) == pytest.approx(float(chosen.low), rel=1e-6)
    assert float(reached.high) == pytest.approx(float(chosen.high), rel=1e-6)


def test_an_even_spread_is_not_clipped() -> None:
    statistics = statistics_of(np.linspace(-1, 3, 100_000))
    chosen = Mse().range_of(statistics, UINT8)
    assert float(chosen.high - chosen.low) > 0.99 * 4


def test_a_constant_keeps_its_value() -> None:
    for value in (5.0, -3.0):
        statistics = statistics_of(np.full(100, value))
        assert Mse().range_of(statistics, INT8).same_as(MinMax().range_of(statistics, INT8))


def test_integers_finer_than_the_bins_give_minmax() -> None:
    statistics = statistics_of(np.random.default_rng(0).standard_t(2, 1000))
    wide = Scheme("int32")
    assert Mse().range_of(statistics, wide).same_as(MinMax().range_of(statistics, wide))
