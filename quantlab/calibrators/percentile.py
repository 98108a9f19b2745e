"""The range that holds a given share of all values, zeros included.

    one threshold T (symmetric, or all values of one sign):  T = smallest t with #(|x| <= t) >= p * count
    both ends free (affine):                                 (1 - p) / 2 of the values are given up on each side

The value is interpolated inside its bin, so it differs from that of the sorted values by less than one bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from quantlab.affine import Range
from quantlab.calibrators.calibrator import deciding_side, full_range, range_within
from quantlab.errors import RecipeError
from quantlab.scheme import Scheme
from quantlab.stats.tensor import Counts, TensorStatistics


@dataclass(frozen=True, slots=True)
class Percentile:
    """A share of the values is kept, the rest is clipped.

    A range that would keep zeros only is not used: it would erase the tensor. MinMax's is, then.

    Attributes:
        percentile: how many percent of all values lie in the range; above 50, at most 100 (which is MinMax).
    """

    percentile: float = 99.99
    name: ClassVar[str] = "percentile"

    def __post_init__(self) -> None:
        if not 50 < self.percentile <= 100:
            raise RecipeError(f"percentile: {self.percentile} must be above 50 and at most 100, such as 99.99")

    def range_of(self, statistics: TensorStatistics, scheme: Scheme) -> Range:
        """Return the range that keeps the share; see `Calibrator.range_of`."""
        full = full_range(statistics, scheme)
        # The decimal number the user wrote: 0.9999 * 10000 must be rank 9999, not 9998.999... or 9999.000...1.
        share = Fraction(repr(float(self.percentile))) / 100
        if share == 1:
            return Range.of(*full)
        side = deciding_side(statistics, scheme)
        if side is not None:
            threshold = _quantile(side, share, statistics)
            chosen = range_within(statistics, scheme, -threshold, threshold)
        else:
            one_end = (1 + share) / 2
            low = _quantile(statistics.negative, one_end, statistics)
            high = _quantile(statistics.positive, one_end, statistics)
            chosen = range_within(statistics, scheme, -low, high)
        return Range.of(*full) if chosen.low == chosen.high else chosen


def _quantile(side: Counts, share: Fraction, statistics: TensorStatistics) -> float:
    """Return the value that `share` of all values do not exceed, where all values not in `side` count as 0."""
    rank = math.ceil(share * statistics.count)  # the rank-th smallest value, counted from 1
    beyond_others = rank - (statistics.count - int(side.sum()))
    if beyond_others <= 0:
        return 0.0
    up_to = np.cumsum(side)
    index = int(np.searchsorted(up_to, beyond_others))
    inside = beyond_others - (int(up_to[index]) - int(side[index]))
    return (index + inside / int(side[index])) * statistics.width
