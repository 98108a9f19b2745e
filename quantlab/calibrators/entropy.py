"""The range whose integers lose least information: the KL search of Migacz, GTC 2017 (S7310).

For a kept window of bins with counts h_b, of N values in all:

    P = the window, with the mass outside added to its outermost bins
    Q = the window as L levels: the mass M_l of level l spread evenly over its n_l occupied bins
    KL(P || Q) = sum_b P_b / N * log((P_b / N) / (Q_b / C)),  C = the mass inside the window

which for all windows at once is prefix sums of h, of [h > 0] and of h log h, looked up at the borders of the levels.
Exact zeros are in no bin: they are representable under every scheme, and the spike that ReLU leaves would drag the
threshold down. A window that has P_b > 0 where Q_b = 0 is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quantlab.affine import Range, encoding_from_range
from quantlab.calibrators.calibrator import deciding_side, full_range
from quantlab.calibrators.divergence import Bins, Floats, Windows, divergences
from quantlab.calibrators.squared_error import squared_errors
from quantlab.errors import RecipeError
from quantlab.scheme import Scheme
from quantlab.stats.tensor import Counts, TensorStatistics

# Divergences (in nats) that differ by less are equal: the sums have rounding errors of this order.
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Entropy:
    """The least Kullback-Leibler divergence, with a guard against clipping what is rare but large.

    Of equal windows the larger is chosen. With fewer occupied bins than levels nothing is lost: MinMax's range.

    Attributes:
        max_error_ratio: the window grows until its squared error is at most this times that of MinMax; at least 1.
            Infinity gives the pure search, which may ruin logits and gates.
    """

    max_error_ratio: float = 2.0
    name: ClassVar[str] = "entropy"

    def __post_init__(self) -> None:
        if not self.max_error_ratio >= 1:
            raise RecipeError(f"max_error_ratio: {self.max_error_ratio} must be at least 1, such as 2, or inf")

    def range_of(self, statistics: TensorStatistics, scheme: Scheme) -> Range:
        """Return the range of least divergence that the guard admits; see `Calibrator.range_of`."""
        full = Range.of(*full_range(statistics, scheme))
        side = deciding_side(statistics, scheme)
        levels = scheme.highest + 1 if scheme.symmetric else scheme.highest - scheme.lowest + 1
        bins = np.concatenate([statistics.negative[::-1], statistics.positive]) if side is None else side
        if np.count_nonzero(bins) < levels:
            return full
        if side is None:
            candidates, losses = _windows(statistics, scheme)
        else:
            candidates, losses = _thresholds(side, levels, statistics, full)
        # From the smallest candidate to the largest, so the last of equal ones is the largest.
        best = int(np.flatnonzero(losses <= losses.min() + _TOLERANCE)[-1])
        best = self._guarded(best, candidates, statistics, scheme)
        return Range.of(candidates.low[best], candidates.high[best])

    def _guarded(self, best: int, candidates: Range, statistics: TensorStatistics, scheme: Scheme) -> int:
        """Return the first candidate from `best` on that leaves an error the guard admits."""
        if math.isinf(self.max_error_ratio):
            return best
        admitted = self.max_error_ratio * squared_errors(statistics, scheme, _slice(candidates, slice(-1, None)))[0]
        # Most often the first one is admitted; the others are looked at only where it is not.
        for rows in (slice(best, best + 1), slice(best + 1, None)):
            allowed = squared_errors(statistics, scheme, _slice(candidates, rows)) <= admitted
            if allowed.any():
                return (rows.start or 0) + int(np.argmax(allowed))
        return candidates.low.size - 1


def _thresholds(side: Counts, levels: int, statistics: TensorStatistics, full: Range) -> tuple[Range, Floats]:
    """Return all ranges with one threshold, and their divergences; bin b of i belongs to level b * levels // i."""
    kept = np.arange(levels, side.size + 1)
    nothing = np.zeros(kept.size)
    # Level l begins at the first bin b with b * levels // i >= l, which is ceil(l * i / levels); moved back by half of
    # the smallest difference, rounding cannot lift it to the next bin.
    windows = Windows(np.zeros(kept.size, np.int64), kept, kept / levels, nothing, 0.5 / levels, 0, levels)
    # Half a bin beyond the kept ones, as S7310 has it: threshold = (m + 0.5) * width.
    thresholds = (kept.astype(np.float64) + 0.5) * statistics.width
    thresholds[-1] = np.inf
    candidates = Range(np.maximum(-thresholds, full.low), np.minimum(thresholds, full.high))
    return candidates, divergences(side, windows)


def _windows(statistics: TensorStatistics, scheme: Scheme) -> tuple[Range, Floats]:
    """Return nested windows around 0, from the smallest to the full range, and their divergences.

    The levels are those of each window's real encoding, which has a level at 0.
    """
    negative, positive = statistics.negative, statistics.positive
    levels = scheme.highest - scheme.lowest + 1
    below, above = _nested_windows(negative, positive, levels)
    width = statistics.width
    candidates = Range(np.maximum(-below * width, statistics.minimum), np.minimum(above * width, statistics.maximum))
    encoding = encoding_from_range(candidates, scheme)
    # The integer q stands for all up to half a step around (q - zero point) * scale; bins are seen by their middles.
    windows = Windows(
        first=negative.size - below,
        last=negative.size + above,
        step=encoding.scale.astype(np.float64) / width,
        offset=scheme.lowest - 0.5 - encoding.zero_point.astype(np.float64),
        back=0.5,
        origin=negative.size,
        levels=levels,
    )
    return candidates, divergences(np.concatenate([negative[::-1], positive]), windows)


def _nested_windows(negative: Counts, positive: Counts, smallest: int) -> tuple[Bins, Bins]:
    """Return how many bins are kept below and above 0, from `smallest` bins in all to all of them.

    From one window to the next smaller one the side goes that loses less mass (of equal ones the longer), a bin at a
    time; no side goes beyond 0.
    """
    below, above = negative.size, positive.size
    lower, upper = negative.tolist(), positive.tolist()
    goes_below = []
    for _ in range(below + above - smallest):
        left, right = lower[below - 1] if below else math.inf, upper[above - 1] if above else math.inf
        is_below = left < right or (left == right and below >= above)
        goes_below.append(is_below)
        below, above = below - is_below, above - (not is_below)
    # Read from the last step to the first, every step adds its bin again.
    added = np.array([False, *goes_below[::-1]])
    from_below = below + np.cumsum(added)
    return from_below, below + above + np.arange(added.size) - from_below


def _slice(candidates: Range, rows: slice) -> Range:
    return Range(candidates.low[rows], candidates.high[rows])
