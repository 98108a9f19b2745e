"""Ranges of constant weights, from the values themselves: one per channel along the scheme's axis.

absmax: the smallest and the largest value, so nothing is clipped
mse:    the same range shrunk by the factor f in 1, 0.98, ..., 0.2 with the least squared error of the channel
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from quantlab.affine import Range, encoding_from_range
from quantlab.errors import CalibrationError
from quantlab.scheme import Scheme

_FACTORS = np.linspace(1.0, 0.2, 41)
_BLOCK = 1 << 16  # values at a time: the temporary arrays stay in the cache


def weight_range(weight: npt.NDArray[Any], scheme: Scheme, method: Literal["absmax", "mse"] = "absmax") -> Range:
    """Return the range of a weight.

    Args:
        weight: any shape and real type; it counts as float32.
        scheme: with `axis` one range per index of that axis, such as [out] for a convolution weight
            [out, in/groups, kh, kw] and axis 0; without, one range of shape [].
        method: `absmax`, or `mse` for the least squared error.

    Returns:
        Bounds of shape [channels] or []; [0, 0] where a channel is 0 throughout.

    Raises:
        CalibrationError: a value is NaN or infinite (the message names the channel), or there is no such axis.
    """
    channels = _channels(weight, scheme)
    low, high = channels.min(axis=1, initial=0.0), channels.max(axis=1, initial=0.0)
    bad = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))
    if bad.size:
        where = "" if scheme.axis is None else f" in channel {bad[0]} of axis {scheme.axis}"
        raise CalibrationError(f"weight: a value is not finite in float32{where}; repair the model")
    full = Range(low.astype(np.float64), high.astype(np.float64))
    chosen = full if method == "absmax" else _shrunk(channels, full, scheme)
    return chosen if scheme.axis is not None else Range.of(chosen.low[0], chosen.high[0])


def _channels(weight: npt.NDArray[Any], scheme: Scheme) -> npt.NDArray[np.float32]:
    """Return the weight as float32 [channels, values]."""
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and is refused as such
        values = np.asarray(weight, np.float32)
    if scheme.axis is None:
        return values.reshape(1, -1)
    if not -values.ndim <= scheme.axis < values.ndim:
        raise CalibrationError(f"weight: shape {list(values.shape)} has no axis {scheme.axis}; check the plan")
    moved = np.moveaxis(values, scheme.axis, 0)
    return np.ascontiguousarray(moved.reshape(moved.shape[0], int(np.prod(moved.shape[1:]))))


def _shrunk(channels: npt.NDArray[np.float32], full: Range, scheme: Scheme) -> Range:
    factors = np.empty(len(channels))
    rows = max(1, _BLOCK // max(1, channels.shape[1]))
    for start in range(0, len(channels), rows):
        block = slice(start, start + rows)
        errors = [
            _squared_errors(channels[block], Range(full.low[block] * factor, full.high[block] * factor), scheme)
            for factor in _FACTORS
        ]
        factors[block] = _FACTORS[np.argmin(errors, axis=0)]  # of equal ones the first, the largest
    return Range(full.low * factors, full.high * factors)


def _squared_errors(channels: npt.NDArray[np.float32], interval: Range, scheme: Scheme) -> npt.NDArray[np.float32]:
    """Return the squared error of each channel; float32 throughout, since it only ranks the factors."""
    encoding = encoding_from_range(interval, scheme)
    scale, zero = encoding.scale[:, None], encoding.zero_point[:, None].astype(np.float32)
    steps = np.rint(channels / scale)
    np.clip(steps, scheme.lowest - zero, scheme.highest - zero, out=steps)
    # In units of the largest value's step, so that squares of tiny weights do not vanish.
    steps *= scale
    steps -= channels
    largest = np.maximum(np.abs(channels).max(axis=1, initial=0.0), np.finfo(np.float32).tiny)[:, None]
    steps /= largest
    return np.asarray(np.square(steps, out=steps).sum(axis=1))
