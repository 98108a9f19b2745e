"""Pad: add elements around a tensor."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from quantlab.torchgraph.registry import op


@op("Pad", since=(13, 18, 19, 21, 23, 24, 25), host=(1, 2, 3))
def pad(
    data: Tensor,
    pads: Tensor,
    constant_value: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    mode: str = "constant",
) -> Tensor:
    """Add elements before and after axes: a constant, or taken from the tensor; negative pads cut.

    Args:
        data: any shape.
        pads: int64, all begins, then all ends.
        constant_value: what mode `constant` adds, by default 0.
        axes: the axes that `pads` speaks of, by default all.
        mode: `constant`, `edge` (the outermost element), `reflect` (mirrored at it) or `wrap` (from the other side).
    """
    sizes = pads.tolist()
    chosen = list(range(data.ndim)) if axes is None else [axis % data.ndim for axis in axes.tolist()]
    begins = dict(zip(chosen, sizes[: len(chosen)], strict=True))
    ends = dict(zip(chosen, sizes[len(chosen) :], strict=True))
    if mode == "constant":
        flat = [side.get(axis, 0) for axis in reversed(range(data.ndim)) for side in (begins, ends)]
        return functional.pad(data, flat, value=0 if constant_value is None else constant_value.item())
    for axis in chosen:
        places = torch.arange(-begins[axis], data.shape[axis] + ends[axis], device=data.device)
        data = data.index_select(axis, _inside(places, data.shape[axis], mode))
    return data


def _inside(places: Tensor, length: int, mode: str) -> Tensor:
    """Return for places beyond the ends of an axis those inside that they repeat."""
    if mode == "edge":
        return places.clamp(0, length - 1)
    if mode == "wrap":
        return places % length
    period = max(2 * (length - 1), 1)
    return length - 1 - (length - 1 - places % period).abs()
