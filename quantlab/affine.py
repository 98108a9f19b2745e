"""The arithmetic of quantization, defined once: everything else must equal this bit for bit.

    q = clip(round_half_even(x / s) + z, lowest, highest)        quantize
    y = (q - z) * s                                              dequantize

x, y are float32; s (scale) is float32 and positive; z (zero_point) and q have the scheme's integer type.
The division is a true float32 division: multiplying by 1/s gives other integers near ties.

    affine:     s = (high - low) / (highest - lowest),  z = clip(round_half_even(lowest - low / s), lowest, highest)
    symmetric:  s = max(|low|, |high|) / highest,       z = 0

The scale is computed in float64 and rounded once to float32. A range is first widened to contain 0, so that zero
padding stays exact. Source: ONNX operators QuantizeLinear and DequantizeLinear, version 21.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantlab.errors import CalibrationError
from quantlab.scheme import Scheme

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

# Below this a float32 is denormal, and runtimes may flush it to zero: a division by zero.
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
# Integers reach a step or half of one beyond a range (int8's -128 when 127 stands for the bound): they must stand
# for finite values too.
_LARGEST_BOUND = float(np.finfo(np.float32).max) / 2


@dataclass(frozen=True, eq=False, slots=True)
class Range:
    """The interval of real values that the integers are spread over.

    Attributes:
        low: float64 [] or [channels], finite.
        high: same shape, never below `low`.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    @classmethod
    def of(cls, low: npt.ArrayLike, high: npt.ArrayLike) -> Range:
        """Return the range [low, high] with both bounds as float64 arrays, and +0.0 for either zero."""
        return cls(np.asarray(np.add(low, 0.0, dtype=np.float64)), np.asarray(np.add(high, 0.0, dtype=np.float64)))

    def same_as(self, other: Range) -> bool:
        """Whether both ranges are equal, bit for bit."""
        return _equal(self.low, other.low) and _equal(self.high, other.high)

    def __str__(self) -> str:
        return f"[{self.low.min():.6g}, {self.high.max():.6g}]" + ("" if self.low.ndim == 0 else f" x{self.low.size}")


@dataclass(frozen=True, eq=False, slots=True)
class Encoding:
    """What a runtime needs to encode a tensor.

    Attributes:
        scale: float32 [] or [channels], positive.
        zero_point: the scheme's dtype, same shape.
        scheme: the type, symmetry and axis that the two belong to.
    """

    scale: npt.NDArray[np.float32]
    zero_point: IntArray
    scheme: Scheme

    def same_as(self, other: Encoding) -> bool:
        """Whether both encodings are equal, bit for bit."""
        same_arrays = _equal(self.scale, other.scale) and _equal(self.zero_point, other.zero_point)
        return same_arrays and self.scheme == other.scheme

    @property
    def range(self) -> Range:
        """The real interval that the integers reach."""
        scale, zero = self.scale.astype(np.float64), self.zero_point.astype(np.float64)
        return Range((self.scheme.lowest - zero) * scale, (self.scheme.highest - zero) * scale)

    def __str__(self) -> str:
        if self.scale.ndim == 0:
            return f"scale={float(self.scale):.6g} zero_point={int(self.zero_point)} ({self.scheme})"
        return f"scale={self.scale.min():.4g}..{self.scale.max():.4g} x{self.scale.size} ({self.scheme})"


Encodings = Mapping[str, Encoding]
"""Encodings by the name of the tensor they belong to."""


def encoding_from_range(interval: Range, scheme: Scheme) -> Encoding:
    """Return the scale and zero point that spread the scheme's integers over a range.

    A range of zero length around 0 (a tensor that was 0 throughout) gets scale 1: it holds no information.
    A positive scale below the smallest normal float32 is raised to it.

    Args:
        interval: bounds of shape [] or [channels].
        scheme: the integers to spread.

    Returns:
        The encoding, its arrays of the range's shape.

    Raises:
        CalibrationError: a bound is NaN, infinite or beyond half of the float32 range, or low > high.
    """
    _check(interval)
    low, high = np.minimum(interval.low, 0.0), np.maximum(interval.high, 0.0)
    if scheme.symmetric:
        exact = np.maximum(-low, high) / scheme.highest
    else:
        exact = (high - low) / (scheme.highest - scheme.lowest)
    scale = np.where(exact == 0.0, 1.0, np.maximum(exact, SMALLEST_SCALE)).astype(np.float32)
    if scheme.symmetric:
        zero = np.zeros(scale.shape)
    else:
        zero = np.clip(np.rint(scheme.lowest - low / scale.astype(np.float64)), scheme.lowest, scheme.highest)
    return Encoding(scale, np.asarray(zero, scheme.numpy_dtype), scheme)


def quantize(values: FloatArray, encoding: Encoding) -> IntArray:
    """Return the integers of float values.

    Args:
        values: float32, any shape; NaN is not allowed.
        encoding: per-channel arrays are laid along the scheme's axis.

    Returns:
        Integers of the scheme's dtype and of the shape of `values`.
    """
    scale, zero = _broadcast(encoding, values.ndim)
    with np.errstate(over="ignore"):  # a quotient beyond float32 is clipped just below
        steps = np.rint(values.astype(np.float32, copy=False) / scale)
    # float64 holds every int32 exactly; float32 would not.
    shifted = steps.astype(np.float64) + zero
    clipped = np.clip(shifted, encoding.scheme.lowest, encoding.scheme.highest)
    return np.asarray(clipped, encoding.scheme.numpy_dtype)


def dequantize(integers: IntArray, encoding: Encoding) -> npt.NDArray[np.float32]:
    """Return the float32 values that integers stand for, in the shape of `integers`."""
    scale, zero = _broadcast(encoding, integers.ndim)
    offset = integers.astype(np.int64) - zero.astype(np.int64)
    return np.asarray(np.multiply(offset.astype(np.float32), scale, dtype=np.float32))


def fake_quantize(values: FloatArray, encoding: Encoding) -> npt.NDArray[np.float32]:
    """Return float values as they look after quantize and dequantize."""
    return dequantize(quantize(values, encoding), encoding)


def bias_encoding(activation: Encoding, weight: Encoding) -> Encoding:
    """Return the int32 encoding that integer kernels expect of a bias: scale = activation scale × weight scale.

    A product below the smallest normal float32 is raised to it.

    Args:
        activation: per tensor.
        weight: per tensor, or per output channel.

    Returns:
        Encoding of the weight's shape, zero point 0, axis 0 where the weight has an axis.
    """
    with np.errstate(under="ignore"):
        product = np.maximum(activation.scale * weight.scale, np.float32(SMALLEST_SCALE))
    axis = None if weight.scale.ndim == 0 else 0
    zero_point = np.zeros(product.shape, np.int32)
    return Encoding(np.asarray(product, np.float32), zero_point, Scheme("int32", axis=axis))


def _broadcast(encoding: Encoding, rank: int) -> tuple[FloatArray, IntArray]:
    if encoding.scale.ndim == 0:
        return encoding.scale, encoding.zero_point
    axis = encoding.scheme.axis or 0
    shape = [1] * rank
    shape[axis % rank] = encoding.scale.size
    return encoding.scale.reshape(shape), encoding.zero_point.reshape(shape)


def _check(interval: Range) -> None:
    for name, bound in (("low", interval.low), ("high", interval.high)):
        bad = np.flatnonzero(~np.isfinite(bound))
        if bad.size:
            where = "" if bound.ndim == 0 else f" in channel {bad[0]}"
            raise CalibrationError(f"range: {name} is not finite{where}; look for NaN or infinity in the data")
        if np.any(np.abs(bound) > _LARGEST_BOUND):
            raise CalibrationError(f"range: {name} is above {_LARGEST_BOUND:.3g}; scale the model's inputs down")
    if np.any(interval.low > interval.high):
        raise CalibrationError("range: low is above high; this is a fault of the calibrator")


def _equal(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
