"""Operators that lay elements out anew, cut them, repeat them, and speak of shapes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.registry import op

_ALL_SINCE_13 = (13, 19, 21, 23, 24, 25)


@op("Shape", since=(13, 15, 19, 21, 23, 24, 25), is_host=True)
def shape(data: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Return the shape, or a slice of it, as int64."""
    return torch.tensor(data.shape[start:end], dtype=torch.int64)


@op("Size", since=_ALL_SINCE_13, is_host=True)
def size(data: Tensor) -> Tensor:
    """Return the number of elements, int64."""
    return torch.tensor(data.numel(), dtype=torch.int64)


@op("Identity", since=(13, 14, 16, 19, 21, 23, 24, 25))
def identity(input: Tensor) -> Tensor:  # noqa: A002 - ONNX's name
    """Return the input."""
    return input


@op("Reshape", since=(13, 14, 19, 21, 23, 24, 25), host=(1,))
def reshape(data: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    """Return the elements in another shape: 0 copies an axis (unless `allowzero`), -1 takes the rest."""
    wanted: list[int] = shape.tolist()
    sizes = [data.shape[axis] if size == 0 and not allowzero else size for axis, size in enumerate(wanted)]
    return data.reshape(sizes)


@op("Flatten", since=(13, 21, 23, 24, 25))
def flatten(input: Tensor, *, axis: int = 1) -> Tensor:  # noqa: A002 - ONNX's name
    """Return a matrix: the axes before `axis` are its rows."""
    rows = math.prod(input.shape[:axis])
    return input.reshape(rows, math.prod(input.shape[axis:]))


@op("Squeeze", since=(13, 21, 23, 24, 25), host=(1,))
def squeeze(data: Tensor, axes: Tensor | None = None) -> Tensor:
    """Drop axes of size 1: those given, or all."""
    if axes is None:
        return data.squeeze()
    dropped = {axis % data.ndim for axis in axes.tolist()}
    long = [axis for axis in dropped if data.shape[axis] != 1]
    if long:
        raise ModelError(f"axis {long[0]} of shape {list(data.shape)} cannot be squeezed: its size is not 1")
    return data.reshape([size for axis, size in enumerate(data.shape) if axis not in dropped])


@op("Unsqueeze", since=(13, 21, 23, 24, 25), host=(1,))
def unsqueeze(data: Tensor, axes: Tensor) -> Tensor:
    """Add axes of size 1, at places counted in the result."""
    added = axes.tolist()
    rank = data.ndim + len(added)
    for axis in sorted(axis % rank for axis in added):
        data = data.unsqueeze(axis)
    return data


@op("Transpose", since=(13, 21, 23, 24, 25))
def transpose(data: Tensor, *, perm: Sequence[int] = ()) -> Tensor:
    """Reorder the axes; by default reverse them."""
    return data.permute(*(perm or reversed(range(data.ndim))))


@op("Expand", since=13, host=(1,))
def expand(input: Tensor, shape: Tensor) -> Tensor:  # noqa: A002 - ONNX's name
    """Broadcast to a shape; both sides broadcast."""
    return input.expand(np.broadcast_shapes(tuple(input.shape), tuple(shape.tolist())))


@op("Tile", since=13, host=(1,))
def tile(input: Tensor, repeats: Tensor) -> Tensor:  # noqa: A002 - ONNX's name
    """Repeat the tensor along each axis."""
    return input.repeat(repeats.tolist())


@op("Concat", since=13)
def concat(*inputs: Tensor, axis: int) -> Tensor:
    """Join tensors along an axis."""
    return torch.cat(inputs, axis)


@op("Split", since=(13, 18), host=(1,))
def split(
    input: Tensor,  # noqa: A002 - ONNX's name
    split: Tensor | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
    outputs: int,
) -> tuple[Tensor, ...]:
    """Cut along an axis, into the sizes given, or into equal parts of which the last may be smaller."""
    if split is not None:
        return torch.split(input, split.tolist(), axis)
    length, parts = input.shape[axis], num_outputs or outputs
    part = -(-length // parts)
    sizes = [max(min(part, length - index * part), 0) for index in range(parts)]
    return torch.split(input, sizes, axis)


@op("Slice", since=13, host=(1, 2, 3, 4))
def slice(  # noqa: A001 - ONNX's name
    data: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    """Take every `step`-th element from start to end of some axes; a negative step goes backwards."""
    begins = starts.tolist()
    chosen = list(range(len(begins))) if axes is None else axes.tolist()
    strides = [1] * len(begins) if steps is None else steps.tolist()
    for axis, start, end, step in zip(chosen, begins, ends.tolist(), strides, strict=True):
        data = _sliced(data, axis % data.ndim, range(data.shape[axis])[start:end:step])
    return data


def _sliced(data: Tensor, axis: int, chosen: range) -> Tensor:
    """Take the elements of an axis that a range counts; torch itself knows no negative step."""
    if not chosen:
        return data.narrow(axis, 0, 0)
    ascending = chosen if chosen.step > 0 else chosen[::-1]
    index = [builtins.slice(None)] * axis + [builtins.slice(ascending.start, ascending.stop, ascending.step)]
    taken = data[tuple(index)]
    return taken if chosen.step > 0 else taken.flip(axis)


@op("Trilu", since=14, host=(1,))
def trilu(input: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:  # noqa: A002 - ONNX's name
    """Keep the upper or lower triangle of each matrix, from the k-th diagonal on."""
    diagonal = 0 if k is None else int(k)
    return torch.triu(input, diagonal) if upper else torch.tril(input, diagonal)


@op("DepthToSpace", since=(13, 28))
def depth_to_space(input: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:  # noqa: A002 - ONNX's name
    """Move channels into blocks of pixels: [N, C, H, W] to [N, C / b², H b, W b]."""
    n, c, h, w = input.shape
    b = blocksize
    if mode == "DCR":
        blocks = input.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = input.reshape(n, c // (b * b), b, b, h, w).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // (b * b), h * b, w * b)


@op("SpaceToDepth", since=(13, 28))
def space_to_depth(input: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:  # noqa: A002 - ONNX's name
    """Move blocks of pixels into channels: [N, C, H, W] to [N, C b², H / b, W / b]."""
    n, c, h, w = input.shape
    b = blocksize
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return input.reshape(n, c, h // b, b, w // b, b).permute(*order).reshape(n, c * b * b, h // b, w // b)
