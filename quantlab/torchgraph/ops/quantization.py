"""QuantizeLinear and DequantizeLinear where they do not stand as a pair, literally: integers in between.

Pairs, which is what training meets, are computed as one by `torchgraph.fake_quantize`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.fake_quantize import Grid, along_axis, learned, quantize
from quantlab.torchgraph.registry import op
from quantlab.torchgraph.tensors import dtype_of

_SINCE = (13, 19, 21, 23, 24, 25, 28)


@op("QuantizeLinear", since=_SINCE)
@op("QuantizeLinear", since=1, domain="com.microsoft")
def quantize_linear(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    """Return integers; `precision` and `saturate` concern other types. They have no gradient."""
    floats: Tensor = quantize_with_gradient(
        x, y_scale, y_zero_point, axis=axis, block_size=block_size, output_dtype=output_dtype
    )
    return floats.detach().to(_integer_type(y_zero_point, output_dtype))


@torch.compiler.disable  # type: ignore[untyped-decorator]
def quantize_with_gradient(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    """Return the integers as floats, which have a gradient: for operators that lie between Q and DQ."""
    grid = _grid(_integer_type(y_zero_point, output_dtype))
    step = _laid_out(learned(y_scale, grid.gradient_scale(x, y_scale)), x, axis, block_size)
    zero = torch.zeros_like(step) if y_zero_point is None else _laid_out(y_zero_point, x, axis, block_size)
    return quantize(x, step, zero, grid.limits)


@op("DequantizeLinear", since=_SINCE)
@op("DequantizeLinear", since=1, domain="com.microsoft")
@torch.compiler.disable  # type: ignore[untyped-decorator]
def dequantize_linear(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    """Return (x - zero point) × scale, in the scale's type."""
    grid = _grid(_integer_type(x_zero_point, 0))
    scale = _laid_out(learned(x_scale, grid.gradient_scale(x, x_scale)), x, axis, block_size)
    if x.dtype == torch.int32:  # float32 does not hold every int32
        zero = 0 if x_zero_point is None else _laid_out(x_zero_point, x, axis, block_size).to(torch.int64)
        offset = (x.to(torch.int64) - zero).to(torch.float32)
    else:
        offset = x.to(torch.float32)
        if x_zero_point is not None:
            offset = offset - _laid_out(x_zero_point, x, axis, block_size).to(torch.float32)
    result = offset * scale.to(torch.float32)
    return result.to(dtype_of(output_dtype) if output_dtype else x_scale.dtype)


def _integer_type(zero_point: Tensor | None, output_dtype: int) -> torch.dtype:
    if zero_point is not None:
        return zero_point.dtype
    return dtype_of(output_dtype) if output_dtype else torch.uint8


def _grid(integers: torch.dtype) -> Grid:
    return Grid(torch.iinfo(integers).min, torch.iinfo(integers).max)


def _laid_out(parameter: Tensor, x: Tensor, axis: int, block_size: int) -> Tensor:
    """Return a scale or zero point in a shape that broadcasts to x: per tensor, along an axis, or per block."""
    if not block_size:
        return along_axis(parameter, x.ndim, axis)
    if parameter.ndim != x.ndim:
        raise ModelError(f"blocks of {block_size}: the scale has {parameter.ndim} axes, the tensor {x.ndim}")
    return parameter.repeat_interleave(block_size, axis).narrow(axis, 0, x.shape[axis])
