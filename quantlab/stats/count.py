"""Arrays into statistics, one array at a time: memory stays constant, and no array is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quantlab.errors import CalibrationError
from quantlab.stats.kernel import NEGATIVE, SLOTS, ZEROS, Bits, Kernel, fastest_kernel, is_finite, value_of_key
from quantlab.stats.tensor import BINS, TensorStatistics, bin_exponent, coarsen, trim

# Values at a time: what was just scanned is counted from the cache (1 MB), not fetched from memory again, which saves
# a quarter of the time [measured at 10 million values: 0.98 ns per value in place of 1.36].
_PART = 1 << 18


class TensorCounter:
    """Counts the values of one tensor as they come.

    Counters share nothing, so several may count in threads at once (the loops release the GIL); one counter is for
    one thread at a time.
    """

    def __init__(self, name: str = "tensor", kernel: Kernel | None = None) -> None:
        self.name = name
        self._kernel = kernel
        self._slots = np.zeros(SLOTS, np.int64)
        self._count = 0
        self._minimum = np.inf
        self._maximum = -np.inf

    def add(self, values: npt.ArrayLike, *, batch: int | str | None = None) -> None:
        """Count the values of an array.

        Args:
            values: any shape (empty too) and any real type; they count as float32, whatever their type.
            batch: what an error calls the batch.

        Raises:
            CalibrationError: a value is NaN, infinite or outside float32; nothing of the array was counted then.
        """
        bits = self._bits(values, batch)
        if bits.size == 0:
            return
        self._kernel = self._kernel or fastest_kernel()
        before = (self._slots.copy(), self._count, self._minimum, self._maximum)
        for start in range(0, bits.size, _PART):
            if not self._add_part(bits[start : start + _PART], self._kernel):
                self._slots, self._count, self._minimum, self._maximum = before
                raise CalibrationError(self._where(batch) + _describe_faults(values))

    def _add_part(self, bits: Bits, kernel: Kernel) -> bool:
        """Count int32 [n], n > 0, and return whether all values were finite; else nothing is counted."""
        lowest, highest = kernel.scan(bits)
        if not is_finite(lowest, highest):
            return False
        minimum, maximum = min(self._minimum, value_of_key(lowest)), max(self._maximum, value_of_key(highest))
        exponent = self._widen(max(-minimum, maximum))
        kernel.count(bits, 0 if exponent is None else exponent, self._slots)
        self._minimum, self._maximum = minimum, maximum
        self._count += bits.size
        return True

    def statistics(self) -> TensorStatistics:
        """Return what was counted so far; the counter may go on counting."""
        if self._count == 0:
            return TensorStatistics(0.0, 0.0, 0, 0, None, np.zeros(0, np.int64), np.zeros(0, np.int64))
        return TensorStatistics(
            minimum=self._minimum,
            maximum=self._maximum,
            count=self._count,
            zeros=int(self._slots[ZEROS:].sum()),
            exponent=bin_exponent(max(-self._minimum, self._maximum)),
            positive=trim(self._slots[:NEGATIVE]),
            negative=trim(self._slots[NEGATIVE:ZEROS]),
        )

    def _bits(self, values: npt.ArrayLike, batch: int | str | None) -> Bits:
        array = np.asarray(values)
        if array.dtype.kind not in "fiubV":  # V: bfloat16 and its like, which numpy knows only as bytes
            raise CalibrationError(self._where(batch) + f"values of type {array.dtype} are not real numbers")
        with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and is refused as such
            floats = np.ascontiguousarray(array, np.float32)
        return floats.reshape(-1).view(np.int32)

    def _widen(self, absmax: float) -> int | None:
        """Add up bins until `absmax` fits, and return the exponent of the bins."""
        exponent = bin_exponent(absmax)
        before = bin_exponent(max(-self._minimum, self._maximum)) if self._count else None
        if exponent is not None and before is not None and exponent > before:
            for first in (0, NEGATIVE):
                merged = coarsen(self._slots[first : first + BINS], exponent - before)
                self._slots[first : first + BINS] = 0
                self._slots[first : first + merged.size] = merged
        return exponent

    def _where(self, batch: int | str | None) -> str:
        return f"tensor {self.name!r}" + ("" if batch is None else f", batch {batch}") + ": "


def statistics_of(values: npt.ArrayLike) -> TensorStatistics:
    """Return the statistics of one array."""
    counter = TensorCounter()
    counter.add(values)
    return counter.statistics()


def _describe_faults(values: npt.ArrayLike) -> str:
    array: npt.NDArray[Any] = np.asarray(values)
    with np.errstate(over="ignore"):
        floats = array.astype(np.float32)
    bad = np.argwhere(~np.isfinite(floats))
    first = tuple(int(i) for i in bad[0])
    return (
        f"{len(bad)} of {floats.size} values are not finite in float32, the first at index {list(first)} is "
        f"{array[first]}; the float model overflows here: check its preprocessing and the sample"
    )
