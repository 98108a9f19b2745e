"""All that was seen: nothing is clipped, and one outlier sets the step of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quantlab.affine import Range
from quantlab.calibrators.calibrator import full_range
from quantlab.scheme import Scheme
from quantlab.stats.tensor import TensorStatistics


@dataclass(frozen=True, slots=True)
class MinMax:
    """From the smallest to the largest value seen, widened to contain 0."""

    name: ClassVar[str] = "minmax"

    def range_of(self, statistics: TensorStatistics, scheme: Scheme) -> Range:
        """Return the smallest range that contains 0 and all values; see `Calibrator.range_of`."""
        return Range.of(*full_range(statistics, scheme))
