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
import numpy.typing as npt

from quantlab.affine import Range, encoding_from_range
from quantlab.calibrators.calibrator import deciding_side, full_range
from quantlab.calibrators.squared_error import Floats, squared_errors
from quantlab.errors import RecipeError
from quantlab.scheme import Scheme
from quantlab.stats.tensor import Counts, TensorStatistics

Borders = npt.NDArray[np.intp]

_ROWS = 64  # windows at a time: the temporary arrays stay in the cache
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
            candidates, divergences = _windows(statistics, scheme)
        else:
            candidates, divergences = _thresholds(side, levels, statistics, full)
        # From the smallest candidate to the largest, so the last of equal ones is the largest.
        best = int(np.flatnonzero(divergences <= divergences.min() + _TOLERANCE)[-1])
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
    divergences = np.empty(kept.size)
    for start in range(0, kept.size, _ROWS):
        rows = slice(start, start + _ROWS)
        # The first bin b with b * levels // i >= level.
        borders = -(-np.arange(levels + 1) * kept[rows, None] // levels)
        divergences[rows] = _divergences(side, borders)
    # Half a bin beyond the kept ones, as S7310 has it: threshold = (m + 0.5) * width.
    thresholds = (kept.astype(np.float64) + 0.5) * statistics.width
    thresholds[-1] = np.inf
    return Range(np.maximum(-thresholds, full.low), np.minimum(thresholds, full.high)), divergences


def _windows(statistics: TensorStatistics, scheme: Scheme) -> tuple[Range, Floats]:
    """Return nested windows around 0, from the smallest to the full range, and their divergences.

    The levels are those of each window's real encoding, which has a level at 0.
    """
    negative, positive = statistics.negative, statistics.positive
    levels = scheme.highest - scheme.lowest
    below, above = _nested_windows(negative, positive, levels + 1)
    width = statistics.width
    candidates = Range(np.maximum(-below * width, statistics.minimum), np.minimum(above * width, statistics.maximum))
    encoding = encoding_from_range(candidates, scheme)
    step = encoding.scale.astype(np.float64) / width
    bins = np.concatenate([negative[::-1], positive])
    divergences = np.empty(below.size)
    for start in range(0, below.size, _ROWS):
        rows = slice(start, start + _ROWS)
        first, last = negative.size - below[rows, None], negative.size + above[rows, None]
        level = np.arange(levels) + scheme.lowest - encoding.zero_point[rows, None].astype(np.intp)
        inner = np.ceil((level + 0.5) * step[rows, None] - 0.5).astype(np.intp) + negative.size
        borders = np.concatenate([first, np.clip(inner, first, last), last], axis=1)
        divergences[rows] = _divergences(bins, borders)
    return candidates, divergences


def _nested_windows(negative: Counts, positive: Counts, smallest: int) -> tuple[Borders, Borders]:
    """Return how many bins are kept below and above 0, from `smallest` bins in all to all of them.

    From one window to the next smaller one the side goes that loses less mass (of equal ones the longer), a bin at a
    time; no side goes beyond 0.
    """
    below, above = negative.size, positive.size
    sizes = [(below, above)]
    lower, upper = negative.tolist(), positive.tolist()
    while below + above > smallest:
        left = (lower[below - 1], -below) if below else (math.inf, 0)
        right = (upper[above - 1], -above) if above else (math.inf, 0)
        if left <= right:
            below -= 1
        else:
            above -= 1
        sizes.append((below, above))
    kept = np.array(sizes[::-1], np.intp)
    return kept[:, 0], kept[:, 1]


def _divergences(bins: Counts, borders: Borders) -> Floats:
    """Return KL(P || Q) of each window, infinite where it is refused.

    Args:
        bins: int64 [bins], the full histogram.
        borders: [windows, levels + 1], rising; level l of a window is bins borders[l] .. borders[l + 1] - 1.

    Returns:
        float64 [windows], in nats.
    """
    mass = np.concatenate([[0], np.cumsum(bins)])
    occupied = np.concatenate([[0], np.cumsum(bins > 0)])
    information = np.concatenate([[0.0], np.cumsum(_times_log(bins))])
    first, last = borders[:, 0], borders[:, -1]
    level_mass = np.diff(mass[borders]).astype(np.float64)
    spread = level_mass / np.maximum(np.diff(occupied[borders]), 1)  # Q, not yet normalised
    inside = (mass[last] - mass[first]).astype(np.float64)
    log_spread = np.log(np.maximum(spread, 1.0))  # an occupied bin counts at least 1; elsewhere the mass is 0
    total = information[last] - information[first] - (level_mass * log_spread).sum(axis=1)
    refused = inside == 0
    for bin_index, outside in ((first, mass[first]), (last - 1, mass[-1] - mass[last])):
        level = (borders[:, :-1] <= bin_index[:, None]).sum(axis=1) - 1
        own_log = np.take_along_axis(log_spread, level[:, None], axis=1)[:, 0]
        total += _times_log(bins[bin_index] + outside) - _times_log(bins[bin_index]) - outside * own_log
        refused |= (outside > 0) & (bins[bin_index] == 0)
    divergence = total / mass[-1] + np.log(np.maximum(inside, 1.0) / mass[-1])
    return np.where(refused, np.inf, divergence)


def _times_log(counts: npt.NDArray[np.integer]) -> Floats:
    values = counts.astype(np.float64)
    return np.asarray(values * np.log(np.maximum(values, 1.0)))


def _slice(candidates: Range, rows: slice) -> Range:
    return Range(candidates.low[rows], candidates.high[rows])
