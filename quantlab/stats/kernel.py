"""The two inner loops of counting, in numba where it works and in numpy where it does not; their counts are equal.

Both work on the bits of float32 values, seen as int32, for three reasons: integer comparison is total (NaN and
infinity are simply beyond the finite keys), it vectorises, and it does not depend on the flush-to-zero mode that
some runtimes leave switched on in a thread.

    key(bits) = bits if bits >= 0 else bits ^ 0x7fffffff        orders floats; -0.0 comes right below +0.0

Measured on one core of an AMD EPYC at 2^20 values: 0.9 to 1.0 ns per value with numba (0.07 of it for the scan),
about 3 with numpy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np
import numpy.typing as npt

from quantlab.stats.tensor import BINS, Counts

Bits = npt.NDArray[np.int32]

# The slots of one tensor: positive bins, negative bins, zeros. The zeros have several slots that are used in turn,
# since adding to one address again and again (half of all values after ReLU) makes the processor wait.
NEGATIVE = BINS
ZEROS = 2 * BINS
ZERO_SLOTS = 16
SLOTS = ZEROS + NEGATIVE + ZERO_SLOTS  # a -0.0 may count NEGATIVE slots further on

# With bins narrower than this a denormal could lie above bin 0, and a float32 product with it depends on the
# processor's flush-to-zero mode. Only tensors with all magnitudes below 2^-115 have such bins.
SMALLEST_FLOAT_EXPONENT = -126

_SIGN_CLEARED = np.int32(0x7FFFFFFF)
_LARGEST_FINITE_BITS = 0x7F7FFFFF
_LOGGER = logging.getLogger(__name__)
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class Kernel:
    """The inner loops in one implementation.

    Attributes:
        name: `numba` or `numpy`.
        scan: bits [n], n > 0 -> the smallest and the largest key.
        count: bits [n], exponent, slots int64 [SLOTS] -> None; adds each value to its slot, for finite values whose
            magnitude is below 2**(exponent + 11).
    """

    name: str
    scan: Callable[[Bits], tuple[int, int]]
    count: Callable[[Bits, int, Counts], None]


def fastest_kernel() -> Kernel:
    """Return numba's kernel, or numpy's where numba is missing or switched off (NUMBA_DISABLE_JIT).

    The first call of a process imports numba and compiles (1.4 s), or reads what an earlier process compiled (0.4 s).
    """
    with _LOCK:
        return _fastest_kernel()


def value_of_key(key: int) -> float:
    """Return the float32 value of a key; both zeros become +0.0."""
    bits = np.array(key if key >= 0 else key ^ 0x7FFFFFFF, np.int32)
    return float(bits.view(np.float32)) + 0.0


def is_finite(lowest_key: int, highest_key: int) -> bool:
    """Whether all values between two keys are finite."""
    return lowest_key >= ~_LARGEST_FINITE_BITS and highest_key <= _LARGEST_FINITE_BITS


@cache
def _fastest_kernel() -> Kernel:
    # With the compiler switched off numba would run these loops in the interpreter, a hundred times slower than numpy.
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return numpy_kernel()
    try:
        from quantlab.stats import kernel_numba
    except ImportError as error:
        _LOGGER.warning("numba cannot be imported (%s); counting with numpy, about three times slower", error)
        return numpy_kernel()
    return Kernel("numba", kernel_numba.scan, kernel_numba.count)


def numpy_kernel() -> Kernel:
    """Return the kernel that needs numpy only."""
    return Kernel("numpy", _scan, _count)


_CHUNK = 1 << 15  # values at a time: the temporary arrays stay in the cache
_ZERO_SLOT_IN_TURN = (ZEROS + np.arange(_CHUNK) % ZERO_SLOTS).astype(np.int32)


def _scan(bits: Bits) -> tuple[int, int]:
    lowest, highest = [], []
    for start in range(0, bits.size, _CHUNK):
        part = bits[start : start + _CHUNK]
        keys = part ^ ((part >> 31) & _SIGN_CLEARED)
        lowest.append(int(keys.min()))
        highest.append(int(keys.max()))
    return min(lowest), max(highest)


def _count(bits: Bits, exponent: int, slots: Counts) -> None:
    for start in range(0, bits.size, _CHUNK):
        slots += np.bincount(_slots_of(bits[start : start + _CHUNK], exponent), minlength=SLOTS)


def _slots_of(bits: Bits, exponent: int) -> Bits:
    magnitude = bits & _SIGN_CLEARED
    if exponent >= SMALLEST_FLOAT_EXPONENT:
        index = (magnitude.view(np.float32) * np.float32(2.0**-exponent)).astype(np.int32)  # exact: a power of two
    else:
        index = _index_by_shift(magnitude, exponent)
    slots: Bits = index + ((bits >> 31) & np.int32(NEGATIVE)) + (magnitude == 0) * _ZERO_SLOT_IN_TURN[: bits.size]
    return slots


def _index_by_shift(magnitude: Bits, exponent: int) -> Bits:
    """Return floor(|x| / 2^exponent) without float arithmetic.

    |x| = significand * 2^(power - 150) with an integer significand below 2^24 and power >= 1, so the index is
    significand * 2^(power - 150 - exponent), rounded down: a shift.
    """
    power = magnitude >> 23
    significand = (magnitude & np.int32(0x7FFFFF)) | ((power > 0).astype(np.int32) << 23)
    # Bins finer than the step of denormals: all significands are then below 2^11, and the shift cannot overflow.
    significand <<= np.int32(max(0, -149 - exponent))
    right = np.clip(exponent + 150 - np.maximum(power, 1), 0, 31).astype(np.int32)
    index: Bits = significand >> right
    return index
