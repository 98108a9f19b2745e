"""A torch tensor → its statistics, counted where the tensor lies; equal to `stats.TensorCounter`, bin by bin.

    index = floor(|x| · 2^-exponent)

is exact in float32, since the factor is a power of two; where the factor or a bin is beyond float32's normal numbers
(all magnitudes below 2^-115) it is computed in float64. Only the 4097 counts leave the device.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from quantlab.errors import CalibrationError
from quantlab.stats.kernel import SMALLEST_FLOAT_EXPONENT
from quantlab.stats.tensor import BINS, Counts, TensorStatistics, bin_exponent, trim

# Elements counted at once: their slots are a temporary of four bytes each.
_CHUNK = 1 << 24


def statistics_of_tensor(values: Tensor, *, where: str = "tensor") -> TensorStatistics:
    """Return what a tensor holds.

    Args:
        values: any shape (empty too), any real type; they count as float32.
        where: what an error calls the tensor.

    Raises:
        CalibrationError: a value is NaN, infinite or outside float32.
    """
    floats = values.detach().reshape(-1).to(torch.float32)
    if floats.numel() == 0:
        return TensorStatistics(0.0, 0.0, 0, 0, None, np.zeros(0, np.int64), np.zeros(0, np.int64))
    minimum, maximum = (float(bound) + 0.0 for bound in torch.stack(torch.aminmax(floats)).cpu())
    if not (math.isfinite(minimum) and math.isfinite(maximum)):
        raise CalibrationError(f"{where}: {_describe_faults(values)}")
    exponent = bin_exponent(max(-minimum, maximum))
    slots = np.zeros(2 * BINS + 1, np.int64)
    for start in range(0, floats.numel(), _CHUNK):
        slots += _slot_counts(floats[start : start + _CHUNK], 0 if exponent is None else exponent)
    return TensorStatistics(
        minimum=minimum,
        maximum=maximum,
        count=floats.numel(),
        zeros=int(slots[2 * BINS]),
        exponent=exponent,
        positive=trim(slots[:BINS]),
        negative=trim(slots[BINS : 2 * BINS]),
    )


def _slot_counts(floats: Tensor, exponent: int) -> Counts:
    """Return how many values lie in each positive bin, in each negative bin, and are zero."""
    if exponent < SMALLEST_FLOAT_EXPONENT:
        floats = floats.to(torch.float64)
    index = (floats.abs() * math.ldexp(1.0, -exponent)).to(torch.int32)
    slots = torch.where(floats < 0, index + BINS, index)
    slots = torch.where(floats == 0, 2 * BINS, slots)
    counts: Counts = torch.bincount(slots, minlength=2 * BINS + 1).cpu().numpy()
    return counts


def _describe_faults(values: Tensor) -> str:
    bad = torch.nonzero(~torch.isfinite(values.to(torch.float32)))
    first = tuple(bad[0].tolist())
    return (
        f"{len(bad)} of {values.numel()} values are not finite in float32, the first at index {list(first)} is "
        f"{values[first].item()}; the float model overflows here: check its preprocessing and the sample"
    )
