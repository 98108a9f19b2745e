"""What is known of a model's ranges before any data is seen: from a cache, a state dict, or Q/DQ nodes.

    activation    low, high, and the scale itself where it was one of symmetric int8:   x = scale · q,  |q| <= 127
    weight        scale per tensor or per channel, and the weight it was made for

A scale of symmetric int8 is handed on bit for bit. A weight that has changed since, because a batch norm was folded
into it, takes its scale along: scale' = scale · max |w'| / max |w| per channel, which keeps its integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from quantlab.affine import Encoding, FloatArray, Range, encoding_from_range
from quantlab.calibrators.weights import weight_range
from quantlab.plan import Point, Reader
from quantlab.scheme import Scheme

_LEVELS = 127


@dataclass(frozen=True, slots=True)
class KnownRange:
    """The range of one activation.

    Attributes:
        low: the smallest value that its integers stood for.
        high: the largest.
        scale: of symmetric int8, or None where it was encoded otherwise.
    """

    low: float
    high: float
    scale: np.float32 | None = None

    @classmethod
    def of_symmetric(cls, scale: np.float32 | float) -> KnownRange:
        """Return the range of a scale of symmetric int8.

        Args:
            scale: positive and finite; see `is_usable`.
        """
        return cls(-(_LEVELS + 1) * float(scale), _LEVELS * float(scale), np.float32(scale))

    @classmethod
    def of_encoding(cls, encoding: Encoding) -> KnownRange:
        """Return the range of a per-tensor encoding."""
        if encoding.scheme.dtype == "int8" and not encoding.zero_point.any():
            return cls.of_symmetric(np.float32(encoding.scale.reshape(())))
        return cls(float(encoding.range.low.reshape(())), float(encoding.range.high.reshape(())))

    def united(self, other: KnownRange) -> KnownRange:
        """Return the range that holds both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        if self.scale is None or other.scale is None:
            return KnownRange(low, high)
        return KnownRange(low, high, max(self.scale, other.scale))

    def clipped(self, low: float, high: float) -> KnownRange:
        """Return the range of what is left after clipping to [low, high]; a symmetric scale stays."""
        return replace(self, low=min(max(self.low, low), high), high=max(min(self.high, high), low))

    def encoded(self, point: Point) -> Encoding:
        """Return the encoding that a point gives to this range."""
        scheme = point.scheme
        if scheme.dtype == "int8" and scheme.symmetric and self.scale is not None:
            return Encoding(np.asarray(self.scale, np.float32), np.zeros((), np.int8), scheme)
        low, high = point.within_limits(self.low, self.high)
        return encoding_from_range(Range.of(min(low, high), max(low, high)), scheme)


def united(ranges: Iterable[KnownRange]) -> KnownRange:
    """Return the range that holds all, at least one."""
    return reduce(KnownRange.united, ranges)


def is_usable(scale: float | np.float32) -> bool:
    """Whether a scale is positive and finite, as a runtime asks."""
    return bool(np.isfinite(scale)) and float(scale) > 0.0


@dataclass(frozen=True, eq=False, slots=True)
class KnownWeight:
    """The scales of one weight, as the product that reads it sees it.

    Attributes:
        scale: float32 [] or [channels].
        axis: the axis of the channels, or None.
        values: the weight that the scales were made for.
    """

    scale: FloatArray
    axis: int | None
    values: FloatArray

    def encoded(self, now: FloatArray, scheme: Scheme) -> Encoding | None:
        """Return the encoding of the weight as it is now, or None if the scales do not fit it.

        Args:
            now: the weight, of the same shape, its channels multiplied by whatever was folded into them.
            scheme: int8 symmetric; the scale of a whole tensor does for each of its channels.
        """
        if now.shape != self.values.shape or (self.axis is not None and self.axis != scheme.axis):
            return None
        before, after = _largest(self.values, scheme.axis), _largest(now, scheme.axis)
        ratio = np.divide(after, before, out=np.ones_like(after), where=before > 0.0)
        scale = np.asarray(np.broadcast_to(self.scale, ratio.shape) * ratio, np.float32)
        if not all(is_usable(one) for one in scale.ravel()):
            return None
        return Encoding(scale, np.zeros(scale.shape, np.int8), scheme)


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """Everything that is known.

    Attributes:
        activations: by the name of the tensor.
        weights: by the node input that reads the weight; one that is missing gets the range of its values.
    """

    activations: Mapping[str, KnownRange]
    weights: Mapping[Reader, KnownWeight] = field(default_factory=dict)

    def weight_encoding(self, point: Point, now: FloatArray) -> Encoding:
        """Return the encoding of a weight: the known one, or that of its values."""
        for reader in point.readers:
            known = self.weights.get(reader)
            encoding = None if known is None else known.encoded(now, point.scheme)
            if encoding is not None:
                return encoding
        return encoding_from_range(weight_range(now, point.scheme), point.scheme)


def _largest(values: FloatArray, axis: int | None) -> FloatArray:
    """Return the largest magnitude per channel, float64 [channels], or of all, []."""
    magnitudes = np.abs(values.astype(np.float64))
    if axis is None:
        return np.asarray(magnitudes.max(initial=0.0))
    others = tuple(index for index in range(values.ndim) if index != axis % values.ndim)
    return np.asarray(magnitudes.max(axis=others, initial=0.0))
