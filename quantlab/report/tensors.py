"""Plan + encodings + statistics → one row per quantized or float tensor, for tables and `report.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from quantlab.affine import Encoding, Encodings, Range
from quantlab.calibrators.squared_error import sides_of, squared_errors
from quantlab.plan import Plan, Point
from quantlab.stats.table import Statistics
from quantlab.stats.tensor import Counts, TensorStatistics


@dataclass(frozen=True, slots=True)
class TensorRow:
    """How one tensor is encoded, and what that does to the values seen.

    Attributes:
        tensor: its ONNX name.
        role: activation, weight or bias.
        scheme: the scheme in words.
        origin: where the encoding comes from: `calibrated`, `fixed`, `weight`, `shared with X`, `derived`.
        scale: the scale; of a per-channel encoding the smallest and largest.
        zero_point: the zero point of a per-tensor encoding.
        low: the smallest value the integers reach (over all channels).
        high: the largest.
        minimum: the smallest value seen while calibrating.
        maximum: the largest.
        clipped_share: the share of the values seen that lie outside [low, high], 0 to 1, to a histogram bin.
        zeros_share: the share of exact zeros.
        integers: the smallest and the largest integer of the scheme.
        symmetric: whether the zero point is 0 and the range mirrored.
        sqnr_db: signal to noise of rounding and clipping this tensor alone, from the statistics; None where nothing
            was seen, where it is infinite, and for more than one scale.
    """

    tensor: str
    role: str
    scheme: str
    origin: str
    scale: tuple[float, ...] | None = None
    zero_point: int | None = None
    low: float | None = None
    high: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    clipped_share: float | None = None
    zeros_share: float | None = None
    integers: tuple[int, int] = (-128, 127)
    symmetric: bool = True
    sqnr_db: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is unknown is null."""
        scale = None if self.scale is None else list(self.scale)
        return {**asdict(self), "scale": scale, "integers": list(self.integers)}


def tensor_rows(plan: Plan, encodings: Encodings, statistics: Statistics) -> tuple[TensorRow, ...]:
    """Return a row for every point of a plan, in its order."""
    return tuple(_row(point, encodings, statistics.tensors) for point in plan.points)


def clipped_share(seen: TensorStatistics, low: float, high: float) -> float:
    """Return the share of values outside [low, high], 0 to 1.

    A bin that a bound cuts counts by the part of its width that lies outside, so the result is exact to one bin.
    """
    if seen.count == 0:
        return 0.0
    outside = _mass_beyond(seen.positive, high / seen.width) if seen.width else 0.0
    outside += _mass_beyond(seen.negative, -low / seen.width) if seen.width else 0.0
    return outside / seen.count


def _mass_beyond(histogram: Counts, bins: float) -> float:
    """Return how many values lie beyond a bound given in bin widths."""
    if bins <= 0:
        return float(histogram.sum())
    whole = int(bins)
    if whole >= histogram.size:
        return 0.0
    return float(histogram[whole] * (whole + 1 - bins) + histogram[whole + 1 :].sum())


def _row(point: Point, encodings: Encodings, seen_by_name: Mapping[str, TensorStatistics]) -> TensorRow:
    encoding = encodings.get(point.shared_with or point.tensor)
    described = {} if encoding is None else _describe(encoding)
    seen = seen_by_name.get(point.tensor)
    if seen is not None and encoding is not None and seen.count:
        described |= {
            "minimum": seen.minimum,
            "maximum": seen.maximum,
            "clipped_share": _share_that_clips(seen, encoding),
            "zeros_share": seen.zeros / seen.count,
            "sqnr_db": own_sqnr_db(seen, encoding),
        }
    described |= {"integers": (point.scheme.lowest, point.scheme.highest), "symmetric": point.scheme.symmetric}
    return TensorRow(point.tensor, point.role, str(point.scheme), _origin(point), **described)


def own_sqnr_db(seen: TensorStatistics, encoding: Encoding) -> float | None:
    """Return the signal-to-noise ratio that rounding and clipping one tensor leaves, from its histogram.

    Args:
        seen: what was seen of the tensor.
        encoding: with one scale, and fewer than 2^16 integers.

    Returns:
        Decibels; None where the tensor was 0 throughout, where no noise is left, and for more than one scale.
    """
    if encoding.scale.ndim or not seen.width:
        return None
    # A range from which the scheme makes this encoding again: a symmetric one reaches a step further down.
    reached = encoding.range
    interval = Range.of(-reached.high, reached.high) if encoding.scheme.symmetric else reached
    noise = float(squared_errors(seen, encoding.scheme, Range.of(interval.low[None], interval.high[None]))[0])
    power = sum(side.power for side in sides_of(seen))
    return round(10 * math.log10(power / noise), 2) if noise > 0 and power > 0 else None


def _share_that_clips(seen: TensorStatistics, encoding: Encoding) -> float:
    # Half a step beyond the last integer still rounds to it.
    interval, half_step = encoding.range, float(encoding.scale.max()) / 2
    return clipped_share(seen, float(interval.low.min()) - half_step, float(interval.high.max()) + half_step)


def _describe(encoding: Encoding) -> dict[str, Any]:
    interval = encoding.range
    scales = sorted({float(np.min(encoding.scale)), float(np.max(encoding.scale))})
    return {
        "scale": tuple(scales),
        "zero_point": int(encoding.zero_point) if encoding.zero_point.ndim == 0 else None,
        "low": float(interval.low.min()),
        "high": float(interval.high.max()),
    }


def _origin(point: Point) -> str:
    if point.shared_with:
        return f"shared with {point.shared_with}"
    if point.derived_from:
        return "derived"
    if point.fixed_range:
        return "fixed"
    return "weight" if point.role == "weight" else "calibrated"
