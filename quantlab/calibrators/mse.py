"""The range with the least squared error on the real integer grid.

Where one threshold decides, every bin edge is tried. Where both ends are free, the error falls apart into one of the
positive values, E+(s, highest - z), and one of the negative values, E-(s, z - lowest): so for each of many steps s
every zero point z is tried, which is every encoding there is with that step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quantlab.affine import SMALLEST_SCALE, Range
from quantlab.calibrators.calibrator import deciding_side, full_range
from quantlab.calibrators.squared_error import Floats, sides_of, squared_errors
from quantlab.scheme import Scheme
from quantlab.stats.tensor import BINS, TensorStatistics

# Steps tried where both ends are free, from 1/1024 of the full step up, each 1.4 % larger than the one before.
_STEPS = 512
_SMALLEST_SHARE = 2.0**-10
_ROWS = 64  # steps at a time: the temporary arrays stay in the cache
# Errors that differ by less are equal: the sums have rounding errors of this order.
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Mse:
    """The least squared error between the values and what their integers stand for.

    Values count as the centre of their bin. Of equal ranges the larger is chosen, and MinMax's against all others.
    """

    name: ClassVar[str] = "mse"

    def range_of(self, statistics: TensorStatistics, scheme: Scheme) -> Range:
        """Return the range of least squared error; see `Calibrator.range_of`."""
        low, high = full_range(statistics, scheme)
        side = deciding_side(statistics, scheme)
        finer_than_bins = scheme.highest - scheme.lowest >= BINS
        if low == high or finer_than_bins:
            return Range.of(low, high)
        if side is None:
            return _best_window(statistics, scheme)
        thresholds = np.minimum(np.arange(side.size, 0, -1) * statistics.width, max(-low, high))
        candidates = Range(np.maximum(-thresholds, low), np.minimum(thresholds, high))
        best = _first_least(squared_errors(statistics, scheme, candidates))
        return Range.of(candidates.low[best], candidates.high[best])


def _best_window(statistics: TensorStatistics, scheme: Scheme) -> Range:
    full = Range.of(*([bound] for bound in full_range(statistics, scheme)))
    positive, negative = sides_of(statistics)
    levels, width = scheme.highest - scheme.lowest, statistics.width
    below, above = -statistics.minimum / width, statistics.maximum / width
    scales = np.geomspace(1.0, _SMALLEST_SHARE, _STEPS) * (statistics.maximum - statistics.minimum) / levels
    scales = scales[scales >= SMALLEST_SCALE].astype(np.float32).astype(np.float64)
    down = np.arange(levels + 1)  # how many levels lie below 0; the others lie above
    best_error, best = float(squared_errors(statistics, scheme, full)[0]), Range.of(full.low[0], full.high[0])
    for start in range(0, scales.size, _ROWS):
        scale = scales[start : start + _ROWS, None]
        step = scale / width
        errors = positive.errors(step[:, 0], levels)[:, ::-1] + negative.errors(step[:, 0], levels)
        # Inside the full range, up to one bin.
        errors[(down * step > below + 1) | ((levels - down) * step > above + 1)] = np.inf
        row, column = np.unravel_index(_first_least(errors.reshape(-1)), errors.shape)
        if errors[row, column] < best_error * (1 - _RELATIVE_TOLERANCE):
            best_error = float(errors[row, column])
            best = Range.of(-column * scale[row, 0], (levels - column) * scale[row, 0])
    return best


def _first_least(errors: Floats) -> int:
    return int(np.argmax(errors <= errors.min() * (1 + _RELATIVE_TOLERANCE)))
