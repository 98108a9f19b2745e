"""Poolings over one, two or three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.ops.windows import Window, pad_spatial
from quantlab.torchgraph.registry import op

_MAX_POOLS: tuple[Any, ...] = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_AVERAGE_POOLS: tuple[Any, ...] = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
_CONVOLUTIONS: tuple[Any, ...] = (functional.conv1d, functional.conv2d, functional.conv3d)


@op("MaxPool", since=(12, 22))
def max_pool(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] = (),
    kernel_shape: Sequence[int],
    pads: Sequence[int] = (),
    storage_order: int = 0,
    strides: Sequence[int] = (),
    outputs: int = 1,
) -> Tensor:
    """Return the largest element of each window."""
    if outputs > 1:
        raise ModelError("the places of the largest elements (output Indices) are not computed; drop that output")
    if not x.is_floating_point():  # torch pools few integer types; every 8-bit value is a float too
        integers = x.dtype
        x = x.to(torch.float32)
    else:
        integers = None
    window = Window.of(kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad)
    placed = window.placed(x.shape[2:])
    pool = _MAX_POOLS[window.rank - 1]
    if placed.suits_torch:
        pooled: Tensor = pool(
            x, placed.kernel, placed.strides, placed.pads_begin, placed.dilations, ceil_mode=bool(ceil_mode)
        )
    else:
        filled = window.filled(x.shape[2:], ceil_mode=bool(ceil_mode))
        padded = pad_spatial(x, filled.pads, float("-inf"))
        pooled = pool(padded, filled.kernel, filled.strides, 0, filled.dilations)
    return pooled if integers is None else pooled.to(integers)


@op("AveragePool", since=(11, 19, 22))
def average_pool(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] = (),
    kernel_shape: Sequence[int],
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Tensor:
    """Return the mean of each window, of its elements alone or with the pads."""
    window = Window.of(kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad)
    placed = window.placed(x.shape[2:])
    if placed.suits_torch and set(placed.dilations) == {1}:
        pool = _AVERAGE_POOLS[window.rank - 1]
        mean: Tensor = pool(
            x,
            placed.kernel,
            placed.strides,
            placed.pads_begin,
            ceil_mode=bool(ceil_mode),
            count_include_pad=bool(count_include_pad),
        )
        return mean
    filled = window.filled(x.shape[2:], ceil_mode=bool(ceil_mode))
    counted = torch.ones_like(x[:1, :1])
    counted = pad_spatial(counted, placed.pads, 1.0 if count_include_pad else 0.0)
    rest = tuple(end - have for end, have in zip(filled.pads, placed.pads, strict=True))
    sums = _window_sums(pad_spatial(x, filled.pads), filled)
    return sums / _window_sums(pad_spatial(counted, rest), filled)


@op("GlobalAveragePool", since=(1, 22))
def global_average_pool(x: Tensor) -> Tensor:
    """Return the mean of each channel; the spatial axes stay, of size 1."""
    return x.mean(dim=list(range(2, x.ndim)), keepdim=True) if x.ndim > 2 else x


@op("GlobalMaxPool", since=(1, 22))
def global_max_pool(x: Tensor) -> Tensor:
    """Return the largest element of each channel; the spatial axes stay, of size 1."""
    return x.amax(dim=list(range(2, x.ndim)), keepdim=True) if x.ndim > 2 else x


def _window_sums(x: Tensor, window: Window) -> Tensor:
    """Add up each window of a padded tensor, channel by channel."""
    planes = x.reshape(-1, 1, *x.shape[2:])
    kernel = torch.ones(1, 1, *window.kernel, dtype=x.dtype, device=x.device)
    sums = _CONVOLUTIONS[window.rank - 1](planes, kernel, None, window.strides, 0, window.dilations)
    return torch.as_tensor(sums).reshape(*x.shape[:2], *sums.shape[2:])
