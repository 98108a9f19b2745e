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
    window = Window.of(kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad)
    window = window.filled(x.shape[2:], ceil_mode=bool(ceil_mode))
    if x.is_floating_point():
        lowest: float = float("-inf")
    else:
        lowest, integers = torch.iinfo(x.dtype).min, x.dtype
    halves = zip(window.pads_begin, window.kernel, strict=True)
    if not window.is_symmetric or any(pad > size // 2 for pad, size in halves):
        x, window = pad_spatial(x, window.pads, lowest), window.without_pads()
    pool = _MAX_POOLS[window.rank - 1]
    if x.is_floating_point():
        pooled: Tensor = pool(x, window.kernel, window.strides, window.pads_begin, window.dilations)
        return pooled
    # torch pools few integer types; every 8-bit value is a float too.
    pooled = pool(x.to(torch.float32), window.kernel, window.strides, window.pads_begin, window.dilations)
    return pooled.to(integers)


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
    declared = window.placed(x.shape[2:])
    filled = window.filled(x.shape[2:], ceil_mode=bool(ceil_mode))
    halves = zip(filled.pads_begin, filled.kernel, strict=True)
    is_plain = filled.is_symmetric and set(filled.dilations) == {1} and all(pad <= size // 2 for pad, size in halves)
    if is_plain and filled.pads == declared.pads:
        pool = _AVERAGE_POOLS[filled.rank - 1]
        includes = bool(count_include_pad)
        mean: Tensor = pool(x, filled.kernel, filled.strides, filled.pads_begin, count_include_pad=includes)
        return mean
    counted = torch.ones_like(x[:1, :1])
    counted = pad_spatial(counted, declared.pads, 1.0) if count_include_pad else pad_spatial(counted, declared.pads)
    rest = tuple(end - have for end, have in zip(filled.pads, declared.pads, strict=True))
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
