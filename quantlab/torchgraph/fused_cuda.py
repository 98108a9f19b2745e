"""The formulas of `fake_quantize` on a CUDA device, each way in one kernel instead of one per operation.

    forward      v = x / s      q = clip(rint(v) + z, lowest, highest)      x̂ = (q − z) · s
    backward     ∂x̂/∂x and gradient · ∂x̂/∂s, from x, s and z alone

`div_rn` divides as IEEE 754 says and `rint` rounds halves to even, so that x̂ equals `affine.fake_quantize` bit for
bit; a product follows a difference, never the other way round, so nothing is contracted. The kernels are written in
Triton, which comes with torch wherever torch has CUDA on Linux; elsewhere torch's own operations compute the same.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor, empty_like
from torch import bool as boolean
from triton.language.extra import libdevice

_BLOCK = 1024


def forward(x: Tensor, scale: Tensor, zero_point: Tensor, limits: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return x̂, and where x was clipped.

    Args:
        x: float32, any shape, on a CUDA device.
        scale: float32, of one element, or broadcasting to x along one axis.
        zero_point: float32, shaped like the scale.
        limits: the smallest and the largest integer.
    """
    x = x.contiguous()
    result, clipped = empty_like(x), empty_like(x, dtype=boolean)
    if x.numel():
        _forward[_grid(x)](
            x, scale, zero_point, result, clipped, *_layout(x, scale), *map(float, limits), scale.numel() == 1, _BLOCK
        )
    return result, clipped


def backward(
    gradient: Tensor, x: Tensor, scale: Tensor, zero_point: Tensor, limits: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return the gradient of x, and that of the scale in the scale's shape; arguments as in `forward`."""
    x, gradient = x.contiguous(), gradient.contiguous()
    # Of one scale each block gives its sum; of several, which a block may meet in any order, every addend.
    by_x, by_scale = empty_like(x), x.new_zeros(_grid(x)) if scale.numel() == 1 else empty_like(x)
    if x.numel():
        _backward[_grid(x)](
            gradient,
            x,
            scale,
            zero_point,
            by_x,
            by_scale,
            *_layout(x, scale),
            *map(float, limits),
            scale.numel() == 1,
            _BLOCK,
        )
    return by_x, by_scale.sum().reshape(scale.shape) if scale.numel() == 1 else by_scale.sum_to_size(scale.shape)


def _grid(x: Tensor) -> tuple[int]:
    return (-(-x.numel() // _BLOCK),)


def _layout(x: Tensor, scale: Tensor) -> tuple[int, int, int]:
    """Return how many elements there are, how many neighbours share a scale, and how many scales there are."""
    if scale.numel() == 1:
        return x.numel(), 1, 1
    axis = next(axis for axis, length in enumerate(scale.shape) if length > 1)
    inner = 1
    for length in x.shape[axis + 1 :]:
        inner *= length
    return x.numel(), inner, scale.numel()


@triton.jit
def _pair_of(at, scale_at, zero_at, inner, channels, is_per_tensor: tl.constexpr):
    """Return the scale and the zero point of each of a block's elements: one for all, or one an element."""
    if is_per_tensor:
        scale, zero = tl.load(scale_at), tl.load(zero_at)
    else:
        channel = (at // inner) % channels
        scale, zero = tl.load(scale_at + channel), tl.load(zero_at + channel)
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
    is_per_tensor: tl.constexpr,
    block: tl.constexpr,
) -> None:
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < size
    scale, zero = _pair_of(at, scale_at, zero_at, inner, channels, is_per_tensor)
    x = tl.load(x_at + at, mask=inside, other=0.0)
    shifted = libdevice.rint(tl.div_rn(x, tl.zeros_like(x) + scale)) + zero
    integers = tl.clamp(shifted, lowest, highest, propagate_nan=tl.PropagateNan.ALL)
    tl.store(result_at + at, (integers - zero) * scale, mask=inside)
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
    is_per_tensor: tl.constexpr,
    block: tl.constexpr,
) -> None:
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < size
    scale, zero = _pair_of(at, scale_at, zero_at, inner, channels, is_per_tensor)
    x = tl.load(x_at + at, mask=inside, other=0.0)
    gradient = tl.load(gradient_at + at, mask=inside, other=0.0)
    ratio = tl.div_rn(x, tl.zeros_like(x) + scale)
    steps = libdevice.rint(ratio)
    integers = tl.clamp(steps + zero, lowest, highest, propagate_nan=tl.PropagateNan.ALL)
    clipped = steps + zero != integers
    slope = tl.where(clipped, integers - zero, steps - ratio)
    tl.store(by_x_at + at, tl.where(clipped, 0.0, gradient), mask=inside)
    if is_per_tensor:
        tl.store(by_scale_at + tl.program_id(0), tl.sum(gradient * slope))
    else:
        tl.store(by_scale_at + at, gradient * slope, mask=inside)
