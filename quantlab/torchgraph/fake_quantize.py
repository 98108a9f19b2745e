"""Float values as they look after quantize and dequantize, with a gradient.

    v = x / s      q = clip(round_half_even(v) + z, lowest, highest)      x̂ = (q − z) · s

equals `affine.fake_quantize` bit for bit, the sign of zero included, hence true float32 division: neither
`torch.fake_quantize_*`, which multiplies by 1 / s, nor autocast, nor torch.compile, which may do the same. On a
CUDA device each direction is one kernel (`fused_cuda`).

The gradient passes straight through the rounding and stops where a value is clipped:

    ∂x̂/∂x = 1              where q was not clipped,      0                                     where it was
    ∂x̂/∂s = round(v) − v   where q was not clipped,      lowest − z  or  highest − z           where it was

and the gradient of a scale is multiplied by g = 1 / sqrt(N · highest), N the number of elements that share it: of a
weight all of them, of an activation those of one sample, because a loss averages over the batch.

Scales are learned as they are, float32, and kept at least `SMALLEST_SCALE`: a logarithm or softplus would not give
back the calibrated scale bit for bit. Zero points are constant.

Source: Esser et al., Learned Step Size Quantization, ICLR 2020, equations 3 and 5, section 2.2. There values count as
clipped when v itself is outside; here when round(v) is, which is what quantization clips, so that the largest
weight of a channel, whose v may be 127.00001, goes on learning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from quantlab.affine import SMALLEST_SCALE


@dataclass(frozen=True, slots=True)
class Grid:
    """The integers that a tensor is quantized to, and how it lies on them.

    Attributes:
        lowest: the smallest integer.
        highest: the largest integer.
        axis: the axis of the tensor that has one scale per index, or None.
        is_weight: whether the tensor is the same for every sample.
    """

    lowest: int
    highest: int
    axis: int | None = None
    is_weight: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest integer."""
        return self.lowest, self.highest

    def gradient_scale(self, x: Tensor, scale: Tensor) -> float:
        """Return LSQ's g for the scale of x."""
        samples = 1 if self.is_weight or x.ndim == 0 else x.shape[0]
        shared = x.numel() // max(scale.numel() * samples, 1)
        return 1.0 / math.sqrt(max(shared, 1) * self.highest)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def fake_quantize(x: Tensor, scale: Tensor, zero_point: Tensor | None, grid: Grid) -> Tensor:
    """Return x quantized and dequantized.

    Args:
        x: any shape; computed in float32.
        scale: [] or [channels], positive; on the device of x, since torch divides by a number on the CPU inexactly.
        zero_point: integers of the scale's shape; None is 0.
        grid: the integers there are, and how x lies on them.

    Returns:
        The shape of x, the scale's type.
    """
    factor = grid.gradient_scale(x, scale) if scale.requires_grad else 0.0
    result: Tensor = _function_for(scale).apply(x, scale, zero_point, grid, factor)
    return result


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor, limits: tuple[int, int]) -> Tensor:
    """Return the integers of x as floats, with a gradient; scale and zero point broadcast to x."""
    steps: Tensor = _Round.apply(x.to(torch.float32) / scale.to(torch.float32))  # type: ignore[no-untyped-call]
    return torch.clamp(steps + zero_point.to(torch.float32), *limits)


def learned(scale: Tensor, factor: float) -> Tensor:
    """Return a scale as it counts where it learns: at least `SMALLEST_SCALE`, its gradient multiplied by a factor."""
    if not scale.requires_grad:
        return scale
    projected: Tensor = _Learned.apply(scale, factor)  # type: ignore[no-untyped-call]
    return projected


def along_axis(parameter: Tensor, rank: int, axis: int | None) -> Tensor:
    """Return a scale or zero point in a shape that broadcasts along an axis of a tensor."""
    if parameter.numel() == 1 or axis is None:
        return parameter.reshape(())
    shape = [1] * rank
    shape[axis % rank] = parameter.numel()
    return parameter.reshape(shape)


class _FakeQuantize(torch.autograd.Function):
    """The formulas at the top; keeps x only where a scale learns, else one bit of information per element.

    Everything that is done to the scale before is done here too: nodes of a graph of their own cost more time than
    their arithmetic. What runs inside is float32, also under autocast, which leaves these operations alone.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch types it per function
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor | None,
        grid: Grid,
        factor: float,
    ) -> Tensor:
        learns = ctx.needs_input_grad[1]
        values = x.to(torch.float32)
        step = along_axis(scale.clamp_min(SMALLEST_SCALE) if learns else scale, x.ndim, grid.axis).to(torch.float32)
        zero = _zeros(x.device) if zero_point is None else along_axis(zero_point, x.ndim, grid.axis).to(torch.float32)
        result, clipped = _forward(values, step, zero, grid.limits)
        ctx.limits, ctx.factor, ctx.types, ctx.shape = grid.limits, factor, (x.dtype, scale.dtype), scale.shape
        ctx.save_for_backward(*(values, step, zero) if learns else (clipped,))
        return result.to(scale.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        gradient = gradient.to(torch.float32)
        of_x, of_scale = ctx.types
        if not ctx.needs_input_grad[1]:
            (clipped,) = ctx.saved_tensors
            return gradient.masked_fill(clipped, 0.0).to(of_x), None, None, None, None
        x, scale, zero_point = ctx.saved_tensors
        by_x, by_scale = _backward(gradient, x, scale, zero_point, ctx.limits)
        by_scale = (by_scale * ctx.factor).reshape(ctx.shape).to(of_scale)
        return by_x.to(of_x) if ctx.needs_input_grad[0] else None, by_scale, None, None, None


@cache
def _zeros(device: torch.device) -> Tensor:
    """Return the zero point of a symmetric encoding, once per device."""
    return torch.zeros((), dtype=torch.float32, device=device)


def _function_for(scale: Tensor) -> Any:  # noqa: ANN401 - torch types it per function
    """Return what computes the formulas: one kernel each way where there is one for the device."""
    if scale.is_cuda and scale.dtype == torch.float32 and _has_fused_kernels():
        from quantlab.torchgraph.fused_cuda import FusedFakeQuantize

        return FusedFakeQuantize
    return _FakeQuantize


@cache
def _has_fused_kernels() -> bool:
    return find_spec("triton") is not None


def _forward(x: Tensor, scale: Tensor, zero_point: Tensor, limits: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the value, and where x was clipped."""
    shifted = torch.round(x / scale) + zero_point
    integers = torch.clamp(shifted, *limits)
    return (integers - zero_point) * scale, shifted != integers


def _backward(
    gradient: Tensor, x: Tensor, scale: Tensor, zero_point: Tensor, limits: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and of the scale."""
    ratio = x / scale
    steps = torch.round(ratio)
    integers = torch.clamp(steps + zero_point, *limits)
    clipped = steps + zero_point != integers
    slope = torch.where(clipped, integers - zero_point, steps - ratio)
    return gradient.masked_fill(clipped, 0.0), (gradient * slope).sum_to_size(scale.shape)


class _Round(torch.autograd.Function):
    """Round halves to even; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch types it per function
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch types it per function
        return gradient


class _Learned(torch.autograd.Function):
    """Raise a scale to the smallest one allowed; the gradient passes even so, in order that it can grow back."""

    @staticmethod
    def forward(ctx: Any, scale: Tensor, factor: float) -> Tensor:  # noqa: ANN401 - torch types it per function
        ctx.factor = factor
        return scale.clamp_min(SMALLEST_SCALE)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch types it per function
        return gradient * ctx.factor, None
