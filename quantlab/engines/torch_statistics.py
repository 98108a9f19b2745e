"""Torch tensors → their statistics, counted where they lie; equal to `stats.TensorCounter`, bin by bin.

    slot(x) = floor(|x| / w) for x > 0,   −1 − floor(|x| / w) for x < 0,   none for 0;    w = 2^exponent

|x| · 2^-exponent is exact in float32, since the factor is a power of two; it is applied as two factors, because one
alone may lie beyond float32 (where all magnitudes are below 2^-115). A zero has no slot: zeros are what was counted
less what was binned.

A GPU is never waited for while a batch is counted: widths are found, histograms made and added up on the device, and
whether every value was finite is asked once, for all tensors of a batch. Counts are int64 there too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from quantlab.errors import CalibrationError
from quantlab.stats.tensor import BINS, BINS_LOG2, Counts, TensorStatistics, bin_exponent, trim

# Elements counted at once: temporaries take 14 bytes each, and their counts fit int32.
_CHUNK = 1 << 25

# No float32 has bins narrower or wider than these; where nothing is binned the width is narrower than any.
_NARROWEST, _WIDEST = -149 - BINS_LOG2, 128 - BINS_LOG2
_NOTHING = _NARROWEST - 1

# Powers of two that float32 holds, as a normal number.
_SMALLEST_POWER, _LARGEST_POWER = -126, 127

# Beyond every bin, so that no histogram counts it.
_NO_SLOT = BINS + 1


@dataclass(slots=True)
class _Seen:
    """What was seen of some tensors, one row each, on the device.

    Attributes:
        lowest: float32 [tensors].
        highest: float32 [tensors].
        counts: int64 [tensors, 2 * BINS]; slot k is at k + BINS.
    """

    lowest: Tensor
    highest: Tensor
    counts: Tensor


class DeviceCounters:
    """Counts tensors by name, a batch at a time, on the device where they lie."""

    def __init__(self, device: torch.device) -> None:
        self._factors = _factors().to(device)
        self._sizes: dict[str, int] = {}
        self._batch: dict[str, _Seen] = {}
        self._names: list[str] = []
        self._seen: _Seen | None = None
        self._earlier: dict[str, TensorStatistics] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Count the values of a tensor, without waiting for the device; once per tensor and batch.

        Args:
            name: of the tensor.
            values: any shape (empty too), any real type; they count as float32.
        """
        floats = values.detach().reshape(-1).to(torch.float32)
        self._sizes[name] = self._sizes.get(name, 0) + floats.numel()
        if floats.numel() == 0:
            return
        lowest, highest = torch.aminmax(floats)
        row = _exponents(lowest, highest).clamp(_NARROWEST, _WIDEST) - _NARROWEST
        factors = self._factors.index_select(0, row.reshape(1))[0]
        counts = torch.zeros(2 * BINS, dtype=torch.int64, device=floats.device)
        for start in range(0, floats.numel(), _CHUNK):
            counts += _histogram(_slots(floats[start : start + _CHUNK], factors))
        self._batch[name] = _Seen(lowest, highest, counts)

    def finish_batch(self) -> bool:
        """Add the batch to those before, and return whether every value of it was finite; waits for the device."""
        if not self._batch:
            return True
        rows, names = list(self._batch.values()), list(self._batch)
        batch = _Seen(
            torch.stack([row.lowest for row in rows]),
            torch.stack([row.highest for row in rows]),
            torch.stack([row.counts for row in rows]),
        )
        self._batch = {}
        if not bool((batch.lowest.isfinite() & batch.highest.isfinite()).all()):
            return False
        if names != self._names:  # as where a tensor was empty
            self._earlier, self._seen, self._names = self.statistics(), None, names
        self._seen = batch if self._seen is None else _merged(self._seen, batch)
        return True

    def statistics(self) -> dict[str, TensorStatistics]:
        """Return the statistics by name over all finished batches."""
        found = dict.fromkeys(self._sizes, _statistics(0.0, 0.0, np.zeros(2 * BINS, np.int64), 0)) | self._earlier
        if self._seen is None:
            return found
        bounds = torch.stack((self._seen.lowest, self._seen.highest), dim=1).cpu().tolist()
        for name, (low, high), counts in zip(self._names, bounds, self._seen.counts.cpu().numpy(), strict=True):
            size = self._sizes[name] - found[name].count
            found[name] = found[name].merge(_statistics(low + 0.0, high + 0.0, counts, size))
        return found


def statistics_of_tensor(values: Tensor, *, where: str = "tensor") -> TensorStatistics:
    """Return what a tensor holds.

    Args:
        values: any shape (empty too), any real type; they count as float32.
        where: what an error calls the tensor.

    Raises:
        CalibrationError: a value is NaN, infinite or outside float32.
    """
    counters = DeviceCounters(values.device)
    counters.add("", values)
    if not counters.finish_batch():
        check_finite(values, where=where)
    return counters.statistics()[""]


def check_finite(values: Tensor, *, where: str) -> None:
    """Raise if a value is not finite in float32.

    Raises:
        CalibrationError: with how many there are, and where the first is.
    """
    bad = torch.nonzero(~torch.isfinite(values.to(torch.float32)))
    if len(bad) == 0:
        return
    first = tuple(bad[0].tolist())
    raise CalibrationError(
        f"{where}: {len(bad)} of {values.numel()} values are not finite in float32, the first at index {list(first)} "
        f"is {values[first].item()}; the float model overflows here: check its preprocessing and the sample"
    )


def _factors() -> Tensor:
    """Return float32 [widths, 2]: for every exponent from the narrowest, two powers of two that divide by the width."""
    inverse = -torch.arange(_NARROWEST, _WIDEST + 1, dtype=torch.float64)
    first = inverse.clamp(_SMALLEST_POWER, _LARGEST_POWER)
    return torch.exp2(torch.stack((first, inverse - first), dim=1)).to(torch.float32)


def _exponents(lowest: Tensor, highest: Tensor) -> Tensor:
    """Return the exponents of the bin widths, int32; see `stats.tensor.bin_exponent`."""
    absmax = torch.maximum(-lowest, highest)
    exponents = torch.frexp(absmax)[1] - BINS_LOG2
    return torch.where(absmax == 0, _NOTHING, exponents)


def _slots(floats: Tensor, factors: Tensor) -> Tensor:
    """Return the slot of every value, int32; zeros have one that does not count."""
    scaled = floats * factors[0]
    scaled *= factors[1]
    slots = scaled.to(torch.int32)  # rounds towards zero
    slots.add_(floats < 0, alpha=-1)
    return slots.masked_fill_(floats == 0, _NO_SLOT)


def _histogram(slots: Tensor) -> Tensor:
    """Return how many values lie in each slot, [2 * BINS]."""
    if (
        slots.is_cuda
    ):  # given its bounds, histc neither waits nor looks at values outside; of integers it counts exactly
        return torch.histc(slots, bins=2 * BINS, min=-BINS, max=BINS)
    # What is not finite is refused when the batch ends; bincount must not meet it.
    return torch.bincount(slots.clamp(-BINS, _NO_SLOT) + BINS, minlength=2 * BINS)[: 2 * BINS]


def _merged(seen: _Seen, batch: _Seen) -> _Seen:
    """Return both as if counted together: the narrower bins of each row add up to the wider ones."""
    exponents = [_exponents(each.lowest, each.highest) for each in (seen, batch)]
    widest = torch.maximum(*exponents)
    counts = [
        _coarsened(each.counts, widest - exponent) for each, exponent in zip((seen, batch), exponents, strict=True)
    ]
    return _Seen(
        torch.minimum(seen.lowest, batch.lowest),
        torch.maximum(seen.highest, batch.highest),
        counts[0] + counts[1],
    )


def _coarsened(counts: Tensor, doublings: Tensor) -> Tensor:
    """Return the counts, [tensors, 2 * BINS], with bins 2**doublings times as wide, doublings int32 [tensors]."""
    slots = torch.arange(-BINS, BINS, dtype=torch.int32, device=counts.device)
    # An arithmetic shift keeps −1 − k on its side: it becomes −1 − (k >> doublings).
    targets = (slots[None, :] >> doublings.clamp(max=BINS_LOG2)[:, None]) + BINS
    return torch.zeros_like(counts).scatter_add_(1, targets.to(torch.int64), counts)


def _statistics(minimum: float, maximum: float, counts: Counts, size: int) -> TensorStatistics:
    return TensorStatistics(
        minimum=minimum,
        maximum=maximum,
        count=size,
        zeros=size - int(counts.sum()),
        exponent=bin_exponent(max(-minimum, maximum)),
        positive=trim(counts[BINS:]),
        negative=trim(counts[BINS - 1 :: -1]),
    )
