"""The squared error by suffix sums against the sum over all bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.affine import Range, encoding_from_range
from quantlab.calibrators.squared_error import squared_errors
from quantlab.scheme import Scheme
from quantlab.stats import TensorStatistics, statistics_of
from quantlab.stats.tensor import Counts
from tests.calibrators.histograms import centres, histograms, statistics_from

SCHEMES = (
    *(Scheme("int8"), Scheme("int8", narrow=True), Scheme("uint8")),
    *(Scheme("uint8", symmetric=False), Scheme("int8", symmetric=False)),
)


def direct_error(statistics: TensorStatistics, scheme: Scheme, low: float, high: float) -> float:
    """The definition, in float64, in units of a squared bin width."""
    encoding = encoding_from_range(Range.of(low, high), scheme)
    scale, zero = float(encoding.scale), int(encoding.zero_point)
    values, counts = centres(statistics)
    integers = np.clip(np.rint(values / scale) + zero, scheme.lowest, scheme.highest)
    return float(counts @ (((integers - zero) * scale - values) / (statistics.width or 1.0)) ** 2)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme} {scheme.narrow}")
@settings(max_examples=25, deadline=None)
@given(
    positive=histograms(),
    negative=histograms(),
    cut=st.integers(0, 2048),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4),
)
def test_the_error_of_a_range_is_that_of_the_sum_over_all_bins(
    scheme: Scheme, positive: Counts, negative: Counts, cut: int, shares: list[tuple[float, float]]
) -> None:
    statistics = statistics_from(positive, negative[:cut])
    low = np.array([-statistics.absmax * share for share, _ in shares])
    high = np.array([statistics.absmax * share for _, share in shares])
    errors = squared_errors(statistics, scheme, Range(low, high))
    values, counts = centres(statistics)
    noise = 1e-11 * float(counts @ values**2)  # the sums hold fifteen digits of the power
    for row, error in enumerate(errors):
        direct = direct_error(statistics, scheme, low[row], high[row])
        assert error == pytest.approx(direct, rel=1e-9, abs=noise)


def test_values_on_the_grid_leave_no_error() -> None:
    statistics = statistics_of(np.array([127.0, -127.0, 0.0]))
    assert squared_errors(statistics, Scheme("int8"), Range.of([-127.0], [127.0])).tolist() == [0.0]


def test_the_error_of_real_values_is_near_that_of_their_bins() -> None:
    values = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    statistics = statistics_of(values)
    scale = np.float32(3.0) / np.float32(127)
    true = np.square(np.clip(np.rint(values / scale), -128, 127) * scale - values, dtype=np.float64).sum()
    error = squared_errors(statistics, Scheme("int8"), Range.of([-3.0], [3.0]))[0] * statistics.width**2
    # A bin is 0.083 of a step wide: each value moves by that at most, and the moves average out.
    assert error == pytest.approx(true, rel=0.01)
