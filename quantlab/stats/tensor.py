"""What was seen of one tensor: its extrema, its zeros, and how its magnitudes are distributed.

    index = floor(|x| / w),  w = 2^exponent = 2^(e - 11),  e the `frexp` exponent of the largest |x|

so the largest |x| lies in the upper half of 2048 bins. Widths are powers of two: a histogram of width w becomes one
of width 2w by adding bins 2k and 2k + 1, exactly as if it had been counted with 2w. Hence the statistics of a set
of values are the same however the set was cut, ordered or shared between workers. Nothing here knows of integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantlab.errors import CalibrationError

Counts = npt.NDArray[np.int64]

BINS_LOG2 = 11
BINS = 1 << BINS_LOG2


@dataclass(frozen=True, eq=False, slots=True)
class TensorStatistics:
    """What was seen of one tensor. Make it with `TensorCounter` or `statistics_of`.

    Attributes:
        minimum: the smallest value as float32 has it, zeros included; 0 where nothing was counted.
        maximum: the largest value, likewise.
        count: how many values were counted.
        zeros: how many of them were exactly 0 (either sign); they are in no bin.
        exponent: the bins are 2.0**exponent wide; None where nothing is binned.
        positive: int64 [bins], how many values lie in [k, k + 1) bin widths; ends with its last occupied bin.
        negative: int64 [bins], the same for -x.
    """

    minimum: float
    maximum: float
    count: int
    zeros: int
    exponent: int | None
    positive: Counts
    negative: Counts

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise CalibrationError(f"statistics: {fault}; collect them anew")
        for histogram in (self.positive, self.negative):
            histogram.setflags(write=False)

    @property
    def absmax(self) -> float:
        """The largest magnitude."""
        return max(-self.minimum, self.maximum)

    @property
    def width(self) -> float:
        """The width of a bin; 0 where nothing is binned."""
        return 0.0 if self.exponent is None else math.ldexp(1.0, self.exponent)

    @property
    def magnitudes(self) -> Counts:
        """int64 [bins]: how many |x| lie in each bin, zeros left out; ends with the last occupied bin."""
        total = np.zeros(max(self.positive.size, self.negative.size), np.int64)
        total[: self.positive.size] += self.positive
        total[: self.negative.size] += self.negative
        return total

    def merge(self, other: TensorStatistics) -> TensorStatistics:
        """Return the statistics of the values of both, exactly as if counted together.

        Raises:
            CalibrationError: there are more than 2^63 - 1 values.
        """
        if self.count == 0:
            return other
        if other.count == 0:
            return self
        if self.count + other.count > np.iinfo(np.int64).max:
            raise CalibrationError("statistics: more than 2^63 - 1 values; merge fewer")
        exponents = [e for e in (self.exponent, other.exponent) if e is not None]
        exponent = max(exponents, default=None)
        return TensorStatistics(
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            count=self.count + other.count,
            zeros=self.zeros + other.zeros,
            exponent=exponent,
            positive=_sum(self.positive, self.exponent, other.positive, other.exponent),
            negative=_sum(self.negative, self.exponent, other.negative, other.exponent),
        )

    def same_as(self, other: TensorStatistics) -> bool:
        """Whether both are equal, bit for bit."""
        scalars = (self.minimum, self.maximum, self.count, self.zeros, self.exponent)
        same = scalars == (other.minimum, other.maximum, other.count, other.zeros, other.exponent)
        return same and all(
            np.array_equal(mine, theirs)
            for mine, theirs in ((self.positive, other.positive), (self.negative, other.negative))
        )

    def __str__(self) -> str:
        share = 100 * self.zeros / max(1, self.count)
        bins = max(self.positive.size, self.negative.size)
        return f"[{self.minimum:.6g}, {self.maximum:.6g}], {self.count} values, {share:.4g} % zeros, {bins} bins"


def bin_exponent(absmax: float) -> int | None:
    """Return the exponent of the bin width for a largest magnitude, or None for 0."""
    return None if absmax == 0.0 else math.frexp(absmax)[1] - BINS_LOG2


def coarsen(histogram: Counts, doublings: int) -> Counts:
    """Return the histogram as it would be with bins 2**doublings times as wide."""
    step = 1 << min(doublings, BINS_LOG2)  # beyond that everything is in bin 0 anyway
    padded = np.zeros(-(-histogram.size // step) * step, np.int64)
    padded[: histogram.size] = histogram
    total: Counts = padded.reshape(-1, step).sum(axis=1)
    return total


def trim(histogram: Counts) -> Counts:
    """Return a copy of the histogram that ends with its last occupied bin."""
    occupied = np.flatnonzero(histogram)
    return histogram[: int(occupied[-1]) + 1 if occupied.size else 0].copy()


def _sum(left: Counts, left_exponent: int | None, right: Counts, right_exponent: int | None) -> Counts:
    if left_exponent is None or right_exponent is None:
        return (left if right_exponent is None else right).copy()
    if left_exponent < right_exponent:
        left = coarsen(left, right_exponent - left_exponent)
    elif right_exponent < left_exponent:
        right = coarsen(right, left_exponent - right_exponent)
    longer, shorter = (left, right) if left.size >= right.size else (right, left)
    total = longer.copy()
    total[: shorter.size] += shorter
    return total


def _fault(statistics: TensorStatistics) -> str | None:
    """Return what contradicts itself, or None: a damaged or hand-made table must not become a scale."""
    if not (math.isfinite(statistics.minimum) and math.isfinite(statistics.maximum)):
        return "an extremum is not finite"
    if statistics.minimum > statistics.maximum:
        return "the minimum is above the maximum"
    if statistics.exponent != bin_exponent(statistics.absmax):
        return f"the bin width 2^{statistics.exponent} does not belong to the largest magnitude {statistics.absmax:g}"
    binned = 0
    for histogram in (statistics.positive, statistics.negative):
        if histogram.dtype != np.int64 or histogram.ndim != 1 or histogram.size > BINS:
            return f"a histogram is {histogram.dtype}{list(histogram.shape)}, not int64 [at most {BINS}]"
        if histogram.size and (histogram[-1] == 0 or histogram.min() < 0):
            return "a histogram ends with an empty bin or has a negative one"
        binned += int(histogram.sum())
    if statistics.zeros < 0 or statistics.zeros + binned != statistics.count:
        return f"{statistics.zeros} zeros and {binned} binned values are not {statistics.count} values"
    return None
