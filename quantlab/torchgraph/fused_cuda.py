"""The formulas of `fake_quantize` on a CUDA device, each way in one kernel instead of one per operation.

    forward      v = x / s      q = clip(rint(v) + z, lowest, highest)      x̂ = (q − z) · s
    backward     ∂x̂/∂x and gradient · ∂x̂/∂s · g, from x, s and z alone

`div_rn` divides as IEEE 754 says and `rint` rounds halves to even, so that x̂ equals `affine.fake_quantize` bit for
bit; a product follows a difference, never the other way round, so nothing is contracted. The kernels are written in
Triton, which comes with torch wherever torch has CUDA on Linux; elsewhere torch's own operations compute the same.

A small network's step is as long as Python takes to start its kernels, so whatever can be done inside one is: a scale
that learns is raised to `SMALLEST_SCALE` there, and a zero point is read as the integer that it is.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor, autograd, empty_like, float32
from torch import bool as boolean
from triton.language.extra import libdevice

from quantlab.affine import SMALLEST_SCALE
from quantlab.torchgraph.fake_quantize import Grid

_BLOCK = 1024


class FusedFakeQuantize(autograd.Function):
    """What `fake_quantize` does, for a scale in float32 on a CUDA device; keeps x only where the scale learns."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch types it per function
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor | None,
        grid: Grid,
        factor: float,
    ) -> Tensor:
        """Return x̂ in float32; see `fake_quantize`."""
        learns = ctx.needs_input_grad[1]
        values, scale = _float32(x).contiguous(), scale.contiguous()
        layout, floor = _layout(values, scale, grid), SMALLEST_SCALE if learns else 0.0
        result = empty_like(values)
        clipped = result if learns else empty_like(values, dtype=boolean)  # where the scale learns, it is not written
        zero = scale if zero_point is None else zero_point.contiguous()  # and this is not read
        if values.numel():
            _forward[_blocks(values)](
                *(values, scale, zero, result, clipped, *layout, float(grid.lowest), float(grid.highest), floor),
                *(scale.numel() == 1, zero_point is not None, not learns, _BLOCK),
            )
        ctx.of, ctx.layout, ctx.factor, ctx.has_zero = (x.dtype, grid), layout, factor, zero_point is not None
        ctx.save_for_backward(*(values, scale, zero) if learns else (clipped,))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of x and of the scale."""
        dtype, grid = ctx.of
        gradient = _float32(gradient)
        if not ctx.needs_input_grad[1]:
            (clipped,) = ctx.saved_tensors
            return _of_type(gradient.masked_fill(clipped, 0.0), dtype), None, None, None, None
        x, scale, zero = ctx.saved_tensors
        is_per_tensor = scale.numel() == 1
        # Of one scale each block gives its sum; of several, which a block may meet in any order, every addend.
        by_x, by_scale = empty_like(x), x.new_empty(_blocks(x)) if is_per_tensor else empty_like(x)
        if x.numel():
            _backward[_blocks(x)](
                *(gradient.contiguous(), x, scale, zero, by_x, by_scale, *ctx.layout),
                *(float(grid.lowest), float(grid.highest), SMALLEST_SCALE, ctx.factor),
                *(is_per_tensor, ctx.has_zero, _BLOCK),
            )
        by_scale = by_scale.sum() if is_per_tensor else _per_channel(by_scale, grid)
        return _of_type(by_x, dtype), by_scale.reshape(scale.shape), None, None, None


def _float32(tensor: Tensor) -> Tensor:
    return _of_type(tensor, float32)


def _of_type(tensor: Tensor, dtype: Any) -> Tensor:  # noqa: ANN401 - mypy does not know torch's types here
    """Return a tensor in a type; even a conversion to what it is already takes microseconds."""
    return tensor if tensor.dtype is dtype else tensor.to(dtype)


def _blocks(x: Tensor) -> tuple[int]:
    return (-(-x.numel() // _BLOCK),)


def _layout(x: Tensor, scale: Tensor, grid: Grid) -> tuple[int, int, int]:
    """Return how many elements there are, how many neighbours share a scale, and how many scales there are."""
    if scale.numel() == 1 or grid.axis is None:
        return x.numel(), 1, 1
    inner = 1
    for length in x.shape[grid.axis % x.ndim + 1 :]:
        inner *= length
    return x.numel(), inner, scale.numel()


def _per_channel(addends: Tensor, grid: Grid) -> Tensor:
    """Return the sum for each index of the axis that has scales of its own."""
    others = [axis for axis in range(addends.ndim) if axis != (grid.axis or 0) % addends.ndim]
    return addends.sum(others) if others else addends


@triton.jit
def _pair_of(at, scale_at, zero_at, inner, channels, is_per_tensor: tl.constexpr, has_zero: tl.constexpr):
    """Return the scale and the zero point of each of a block's elements: one for all, or one an element."""
    channel = 0 if is_per_tensor else (at // inner) % channels
    scale = tl.load(scale_at + channel)
    zero = tl.load(zero_at + channel).to(tl.float32) if has_zero else tl.full([], 0.0, tl.float32)
    return scale, zero


@triton.jit
def _forward(
    x_at,
    scale_at,
    zero_at,
    result_at,
    clipped_at,
    size,
    inner,
    channels,
    lowest,
    highest,
    floor,
    is_per_tensor: tl.constexpr,
    has_zero: tl.constexpr,
    keeps_clipped: tl.constexpr,
    block: tl.constexpr,
) -> None:
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < size
    scale, zero = _pair_of(at, scale_at, zero_at, inner, channels, is_per_tensor, has_zero)
    scale = tl.maximum(scale, floor, propagate_nan=tl.PropagateNan.ALL)
    x = tl.load(x_at + at, mask=inside, other=0.0)
    shifted = libdevice.rint(tl.div_rn(x, tl.zeros_like(x) + scale)) + zero
    integers = tl.clamp(shifted, lowest, highest, propagate_nan=tl.PropagateNan.ALL)
    tl.store(result_at + at, (integers - zero) * scale, mask=inside)
    if keeps_clipped:
        tl.store(clipped_at + at, shifted != integers, mask=inside)


@triton.jit
def _backward(
    gradient_at,
    x_at,
    scale_at,
    zero_at,
    by_x_at,
    by_scale_at,
    size,
    inner,
    channels,
    lowest,
    highest,
    floor,
    factor,
    is_per_tensor: tl.constexpr,
    has_zero: tl.constexpr,
    block: tl.constexpr,
) -> None:
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < size
    scale, zero = _pair_of(at, scale_at, zero_at, inner, channels, is_per_tensor, has_zero)
    scale = tl.maximum(scale, floor, propagate_nan=tl.PropagateNan.ALL)
    x = tl.load(x_at + at, mask=inside, other=0.0)
    gradient = tl.load(gradient_at + at, mask=inside, other=0.0)
    ratio = tl.div_rn(x, tl.zeros_like(x) + scale)
    steps = libdevice.rint(ratio)
    integers = tl.clamp(steps + zero, lowest, highest, propagate_nan=tl.PropagateNan.ALL)
    clipped = steps + zero != integers
    slope = tl.where(clipped, integers - zero, steps - ratio)
    tl.store(by_x_at + at, tl.where(clipped, 0.0, gradient), mask=inside)
    if is_per_tensor:
        tl.store(by_scale_at + tl.program_id(0), tl.sum(gradient * slope) * factor)
    else:
        tl.store(by_scale_at + at, gradient * slope * factor, mask=inside)
