"""The squared error that a range leaves, on the real integer grid, for many ranges at once.

With step s and magnitudes c_b (bin centres) that occur n_b times, rounding to the levels 0..K of one side leaves

    E(s, K) = sum_b n_b (c_b - s * level(b))^2,  level(b) = min(round(c_b / s), K)
            = S2 - 2 s sum_{k<K} G1(k) + s^2 sum_{k<K} (2 k + 1) G0(k)

where S2 is the sum of n c^2, and G0(k), G1(k) those of n, n c over the centres above (k + 1/2) s, the border between
level k and k + 1: suffix sums, so a range costs K look-ups whatever the number of values.
Everything is in units of a bin width; exact zeros leave no error under any encoding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantlab.affine import Range, encoding_from_range
from quantlab.scheme import Scheme
from quantlab.stats.tensor import Counts, TensorStatistics

Floats = npt.NDArray[np.float64]

_ROWS = 128  # ranges at a time: the temporary arrays stay in the cache
_NOISE = 1e-12  # errors below this share of the power are rounding errors of the sums


@dataclass(frozen=True, eq=False, slots=True)
class Side:
    """The values of one sign as suffix sums.

    Attributes:
        last_centre: the centre of the last bin, which ends with the extremum.
        counts: float64 [bins + 1], how many values lie in this bin or above.
        sums: float64 [bins + 1], their sum.
        power: S2.
    """

    last_centre: float
    counts: Floats
    sums: Floats
    power: float

    @classmethod
    def of(cls, histogram: Counts, extremum: float) -> Side:
        """Return the suffix sums of a histogram that ends at `extremum` (in bin widths)."""
        centres = np.arange(histogram.size) + 0.5
        if histogram.size:
            centres[-1] = (histogram.size - 1 + extremum) / 2
        number = histogram.astype(np.float64)
        last_centre = float(centres[-1]) if histogram.size else 0.0
        return cls(last_centre, _suffix(number), _suffix(number * centres), float(number @ centres**2))

    def errors(self, steps: Floats, levels: int) -> Floats:
        """Return E(s, K) as float64 [steps, levels + 1], for K = 0..levels."""
        level = np.arange(levels)
        borders = (level + 0.5) * steps[:, None]
        bins = self.counts.size - 1
        above = np.clip(np.ceil(borders - 0.5), 0, bins).astype(np.intp)
        above[(above == bins - 1) & (borders > self.last_centre)] = bins
        step = steps[:, None]
        gained = step**2 * (2 * level + 1) * self.counts[above] - 2 * step * self.sums[above]
        errors = np.full((steps.size, levels + 1), self.power)
        errors[:, 1:] += np.cumsum(gained, axis=1)
        errors[errors < _NOISE * self.power] = 0.0
        return errors


def sides_of(statistics: TensorStatistics) -> tuple[Side, Side]:
    """Return the prefix sums of the positive and of the negative values."""
    width = statistics.width or 1.0
    positive = Side.of(statistics.positive, statistics.maximum / width)
    return positive, Side.of(statistics.negative, -statistics.minimum / width)


def squared_errors(statistics: TensorStatistics, scheme: Scheme, candidates: Range) -> Floats:
    """Return the squared error under each of many ranges.

    Args:
        statistics: of the tensor.
        scheme: per tensor, with fewer than 2^16 levels.
        candidates: bounds of shape [candidates].

    Returns:
        float64 [candidates], in units of a squared bin width.
    """
    encoding = encoding_from_range(candidates, scheme)
    steps = encoding.scale.astype(np.float64) / (statistics.width or 1.0)
    zero_points = encoding.zero_point.astype(np.intp)
    positive, negative = sides_of(statistics)
    total = np.empty(steps.size)
    for start in range(0, steps.size, _ROWS):
        rows = slice(start, start + _ROWS)
        up, down = scheme.highest - zero_points[rows], zero_points[rows] - scheme.lowest
        total[rows] = _at(positive.errors(steps[rows], int(up.max())), up)
        total[rows] += _at(negative.errors(steps[rows], int(down.max())), down)
    return total


def _suffix(values: Floats) -> Floats:
    return np.asarray(np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]]))


def _at(table: Floats, columns: npt.NDArray[np.intp]) -> Floats:
    return np.asarray(np.take_along_axis(table, columns[:, None], axis=1)[:, 0])
