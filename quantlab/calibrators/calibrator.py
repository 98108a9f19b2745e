"""What every calibrator is: a pure function from what was seen of a tensor to the range its integers cover."""

from __future__ import annotations

from typing import Protocol

from quantlab.affine import Range
from quantlab.errors import CalibrationError
from quantlab.scheme import Scheme
from quantlab.stats.tensor import Counts, TensorStatistics


class Calibrator(Protocol):
    """A way to choose a range; a frozen dataclass whose fields are its settings."""

    @property
    def name(self) -> str:
        """What users call it, such as `entropy`."""

    def range_of(self, statistics: TensorStatistics, scheme: Scheme) -> Range:
        """Choose the range of one tensor.

        Args:
            statistics: what was seen of the tensor.
            scheme: the integers to spread; per tensor.

        Returns:
            A range of shape [] that contains 0 and lies inside that of `MinMax`, up to one bin of the histogram.

        Raises:
            CalibrationError: nothing was seen, or the scheme has an axis.
        """


def full_range(statistics: TensorStatistics, scheme: Scheme) -> tuple[float, float]:
    """Return the smallest range that contains 0 and all values the scheme can represent.

    Raises:
        CalibrationError: nothing was seen, or the scheme has an axis.
    """
    if statistics.count == 0:
        raise CalibrationError("no value was seen; feed more samples, or leave the tensor float")
    if scheme.axis is not None:
        raise CalibrationError(f"scheme {scheme}: statistics are of whole tensors; use a scheme without axis")
    if scheme.symmetric and scheme.lowest >= 0:  # negative values become 0 at any scale, so they must not set it
        return 0.0, max(statistics.maximum, 0.0)
    return min(statistics.minimum, 0.0), max(statistics.maximum, 0.0)


def range_within(statistics: TensorStatistics, scheme: Scheme, low: float, high: float) -> Range:
    """Return [low, high] without what lies outside the full range."""
    lowest, highest = full_range(statistics, scheme)
    return Range.of(min(max(low, lowest), 0.0), max(min(high, highest), 0.0))


def deciding_side(statistics: TensorStatistics, scheme: Scheme) -> Counts | None:
    """Return the magnitudes that a single threshold decides about, or None where both ends of the range are free.

    A symmetric range has one threshold for |x|; an affine one has a single free end where all values have one sign.
    """
    if scheme.symmetric:
        return statistics.magnitudes if scheme.lowest < 0 else statistics.positive
    if statistics.minimum >= 0.0:
        return statistics.positive
    if statistics.maximum <= 0.0:
        return statistics.negative
    return None
