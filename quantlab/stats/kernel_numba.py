"""The inner loops of counting, compiled by numba; importing this module compiles them or reads numba's cache.

They release the GIL: several tensors may be counted in threads, each with slots of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from quantlab.stats.kernel import NEGATIVE, SMALLEST_FLOAT_EXPONENT, ZERO_SLOTS, ZEROS, Bits, numpy_kernel
from quantlab.stats.tensor import Counts

# Values are turned into slots a block at a time (this vectorises), then counted (this does not).
_BLOCK = 1024


def scan(bits: Bits) -> tuple[int, int]:
    """Return the smallest and the largest key of int32 [n], n > 0."""
    lowest, highest = _compiled_scan(bits)
    return int(lowest), int(highest)


def count(bits: Bits, exponent: int, slots: Counts) -> None:
    """Add each of int32 [n] to its slot."""
    if exponent < SMALLEST_FLOAT_EXPONENT:
        numpy_kernel().count(bits, exponent, slots)
    else:
        _compiled_count(bits, np.float32(2.0**-exponent), slots)


def _scan(bits: Any) -> Any:  # noqa: ANN401  -- numba's types, given below
    lowest, highest = np.int32(2**31 - 1), np.int32(-(2**31))
    for i in range(bits.size):
        key = np.int32(bits[i] ^ ((bits[i] >> np.int32(31)) & np.int32(0x7FFFFFFF)))
        lowest = min(lowest, key)
        highest = max(highest, key)
    return lowest, highest


def _count(bits: Any, bins_per_unit: Any, slots: Any) -> None:  # noqa: ANN401
    values = bits.view(np.float32)
    slot_of = np.empty(_BLOCK, np.uint16)
    for start in range(0, bits.size, _BLOCK):
        size = min(_BLOCK, bits.size - start)
        for j in range(size):
            magnitude = np.int32(bits[start + j] & np.int32(0x7FFFFFFF))
            sign = np.int32((bits[start + j] >> np.int32(31)) & np.int32(NEGATIVE))
            index = np.int32(abs(values[start + j]) * bins_per_unit)  # exact: a power of two
            zero = np.uint16(ZEROS + (j & (ZERO_SLOTS - 1)))
            slot_of[j] = zero if magnitude == 0 else np.uint16(index + sign)
        for j in range(size):
            slots[slot_of[j]] += 1


def compile_loops(function: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """Return a function compiled for one signature, kept on disk where there is a folder for it."""
    try:
        compiled: Callable[..., Any] = numba.njit(signature, nogil=True, cache=True)(function)
    except (OSError, RuntimeError):  # no folder that the compiled code could be kept in
        compiled = numba.njit(signature, nogil=True)(function)
    return compiled


_compiled_scan = compile_loops(_scan, "Tuple((int32, int32))(int32[::1])")
_compiled_count = compile_loops(_count, "void(int32[::1], float32, int64[::1])")
