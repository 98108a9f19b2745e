"""Operators that read and write elements at computed places. Negative indices count from the end."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from quantlab.torchgraph.registry import op

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@op("Gather", since=13, weights=(0,))
def gather(data: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Take the slices of an axis that indices name; the indices' axes replace it."""
    axis = axis % data.ndim
    if indices.ndim == 0 and indices.device.type == "cpu":
        return data.select(axis, int(indices))  # a view: attention cuts Q, K and V out of one tensor so
    flat = _positive(indices.reshape(-1), data.shape[axis])
    taken = data.index_select(axis, flat)
    return taken.reshape(*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])


@op("GatherElements", since=13)
def gather_elements(data: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Take one element of an axis per index."""
    return torch.gather(data, axis, _positive(indices, data.shape[axis]))


@op("GatherND", since=13)
def gather_nd(data: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Take the slices that index vectors (the last axis of `indices`) name, batch by batch."""
    batch = data.shape[:batch_dims]
    depth = indices.shape[-1]
    rows = data.reshape(math.prod(batch), *data.shape[batch_dims:])
    vectors = indices.reshape(math.prod(batch), -1, depth)
    row = torch.arange(rows.shape[0], device=data.device).unsqueeze(1)
    columns = (_positive(vectors[..., i], rows.shape[1 + i]) for i in range(depth))
    taken = rows[(row, *columns)]
    return taken.reshape(*indices.shape[:-1], *data.shape[batch_dims + depth :])


@op("ScatterElements", since=(13, 16, 18))
def scatter_elements(
    data: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """Write one element of an axis per index, or reduce it into what is there."""
    return _scatter(data, axis, _positive(indices, data.shape[axis]), updates, reduction)


@op("ScatterND", since=(13, 16, 18))
def scatter_nd(data: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """Write the slices that index vectors (the last axis of `indices`) name, or reduce into what is there."""
    depth = indices.shape[-1]
    leading = data.shape[:depth]
    place = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=data.device)
    for i, length in enumerate(leading):
        place = place * length + _positive(indices[..., i], length)
    rows = data.reshape(math.prod(leading), -1)
    new = updates.reshape(-1, rows.shape[1])
    scattered = _scatter(rows, 0, place.reshape(-1, 1).expand_as(new), new, reduction)
    return scattered.reshape(data.shape)


@op("NonZero", since=13)
def non_zero(x: Tensor) -> Tensor:
    """Return the places of elements that are not zero, one column each."""
    return torch.nonzero(x).t()


def _positive(indices: Tensor, length: int) -> Tensor:
    index = indices.to(torch.int64)
    return torch.where(index < 0, index + length, index)


def _scatter(data: Tensor, axis: int, index: Tensor, updates: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return torch.scatter(data, axis, index, updates)
    return torch.scatter_reduce(data, axis, index, updates, _REDUCTIONS[reduction])
