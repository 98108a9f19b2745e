"""Windows of a histogram, cut into levels → how much information each window loses: KL(P || Q), see `entropy`.

    KL = (sum_b h_b log h_b - sum_l M_l log(M_l / n_l) + gained) / N + log(C / N)

over the bins b and levels l of a window, with M_l the mass of level l, n_l its occupied bins, `gained` what the
outermost bins gain by taking in the mass outside, N all values and C those inside. All of it is looked up in prefix
sums at the borders of the levels, so a window costs one logarithm per level, however many bins it has. numba does that
a window at a time, numpy for many at once and three times as slowly; they differ by rounding only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantlab.stats.kernel import fastest_kernel
from quantlab.stats.tensor import Counts

Floats = npt.NDArray[np.float64]
Bins = npt.NDArray[np.int64]

_ROWS = 64  # windows at a time in numpy: the temporary arrays stay in the cache


@dataclass(frozen=True, eq=False, slots=True)
class Windows:
    """Windows of one histogram and where their levels begin.

        border(w, 0) = first(w),  border(w, levels) = last(w),  between them
        border(w, l) = clip(ceil((l + offset(w)) step(w) - back) + origin, first(w), last(w))

    Attributes:
        first: int64 [windows], the first bin.
        last: int64 [windows], one past the last bin.
        step: float64 [windows], bins per level.
        offset: float64 [windows], in levels.
        back: in bins.
        origin: a bin.
        levels: how many levels every window has.
    """

    first: Bins
    last: Bins
    step: Floats
    offset: Floats
    back: float
    origin: int
    levels: int

    def borders(self, rows: slice) -> Bins:
        """Return int64 [windows, levels + 1] of some windows: level l is bins border[l] .. border[l + 1] - 1."""
        first, last = self.first[rows, None], self.last[rows, None]
        position = (np.arange(1, self.levels) + self.offset[rows, None]) * self.step[rows, None]
        inner = np.ceil(position - self.back).astype(np.int64) + self.origin
        return np.concatenate([first, np.clip(inner, first, last), last], axis=1)


@dataclass(frozen=True, eq=False, slots=True)
class PrefixSums:
    """What the divergence of every window of a histogram follows from.

    Attributes:
        bins: int64 [bins], the histogram.
        mass: float64 [bins + 1], the counts before each bin; exact below 2^53.
        occupied: int64 [bins + 1], the occupied bins before each bin.
        information: float64 [bins + 1], the sums of h log h before each bin.
        logarithms: float64 [bins + 1], those of 0, 1, 2, ..., with 0 for that of 0.
    """

    bins: Counts
    mass: Floats
    occupied: Counts
    information: Floats
    logarithms: Floats

    @classmethod
    def of(cls, bins: Counts) -> PrefixSums:
        """Return the sums of a histogram."""
        return cls(
            bins,
            mass=np.concatenate([[0.0], np.cumsum(bins)]),
            occupied=np.concatenate([[0], np.cumsum(bins > 0)]),
            information=np.concatenate([[0.0], np.cumsum(_times_log(bins))]),
            logarithms=np.log(np.maximum(np.arange(bins.size + 1), 1.0)),
        )


def divergences(bins: Counts, windows: Windows) -> Floats:
    """Return KL(P || Q) of each window in nats, infinite where P > 0 and Q = 0 in some bin.

    Args:
        bins: int64 [bins], the histogram.
        windows: what to keep of it.
    """
    sums = PrefixSums.of(bins)
    first, last = windows.first, windows.last
    inside = sums.mass[last] - sums.mass[first]
    kept, first_log, last_log = level_sums(sums, windows)
    total = sums.information[last] - sums.information[first] - kept
    refused = inside == 0
    below, above = sums.mass[first], sums.mass[-1] - sums.mass[last]
    for bin_index, outside, own_log in ((first, below, first_log), (last - 1, above, last_log)):
        count = bins[bin_index]
        total += _times_log(count + outside) - _times_log(count) - outside * own_log
        refused |= (outside > 0) & (count == 0)
    divergence = total / sums.mass[-1] + np.log(np.maximum(inside, 1.0) / sums.mass[-1])
    return np.where(refused, np.inf, divergence)


def level_sums(sums: PrefixSums, windows: Windows) -> Floats:
    """Return float64 [3, windows]: sum_l M_l log(M_l / n_l), and log(M_l / n_l) of the first and of the last level.

    First and last are those that have bins; a level without mass counts as log 1.
    """
    if fastest_kernel().name != "numba":
        return level_sums_in_numpy(sums, windows)
    from quantlab.calibrators import divergence_numba

    return divergence_numba.level_sums(sums, windows)


def level_sums_in_numpy(sums: PrefixSums, windows: Windows) -> Floats:
    """Return what `level_sums` does."""
    result = np.empty((3, windows.first.size))
    for start in range(0, windows.first.size, _ROWS):
        rows = slice(start, start + _ROWS)
        borders = windows.borders(rows)
        mass = np.diff(sums.mass.take(borders))
        log_spread = np.log(np.maximum(mass, 1.0)) - sums.logarithms.take(np.diff(sums.occupied.take(borders)))
        has_bins = borders[:, 1:] > borders[:, :-1]
        first = has_bins.argmax(axis=1)
        last = windows.levels - 1 - has_bins[:, ::-1].argmax(axis=1)
        window = np.arange(len(borders))
        result[0, rows] = np.einsum("wl,wl->w", mass, log_spread)
        result[1:, rows] = log_spread[window, first], log_spread[window, last]
    return result


def _times_log(counts: Counts | Floats) -> Floats:
    values = counts.astype(np.float64)
    return np.asarray(values * np.log(np.maximum(values, 1.0)))
