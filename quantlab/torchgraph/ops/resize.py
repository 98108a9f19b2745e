"""Resize: interpolate along each axis on its own.

    y[o] = Σ_k weight[o, k] · x[place[o, k]]

Places and weights of an axis depend on its two sizes and the attributes only, so they are computed once, in float64,
and kept. Source: ONNX operator Resize, version 19.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.registry import op


@dataclass(frozen=True, slots=True)
class _Axis:
    """How long an axis is, how long it becomes, and by which factor coordinates map; roi is in parts of the axis."""

    length: int
    wanted: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Method:
    """The attributes that say how to interpolate."""

    mode: str
    transformation: str
    nearest_mode: str
    cubic_a: float
    antialias: bool
    exclude_outside: bool


@op("Resize", since=(13, 18, 19), host=(1, 2, 3))
def resize(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """Change the sizes of axes, by factors or to sizes."""
    chosen = [axis % x.ndim for axis in axes] if axes is not None else list(range(x.ndim))
    method = _Method(
        mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, bool(antialias), bool(exclude_outside)
    )
    lengths = [x.shape[axis] for axis in chosen]
    if sizes is not None and sizes.numel():
        plans = _axes_of_sizes(lengths, sizes.tolist(), keep_aspect_ratio_policy)
    elif scales is not None and scales.numel():
        rows = zip(lengths, scales.tolist(), strict=True)
        plans = [_Axis(length, math.floor(length * scale), scale) for length, scale in rows]
    else:
        raise ModelError("Resize has neither scales nor sizes; export the model again")
    if coordinate_transformation_mode == "tf_crop_and_resize" and roi is not None:
        parts = roi.tolist()
        regions = zip(parts[: len(plans)], parts[len(plans) :], strict=True)
        plans = [_Axis(p.length, p.wanted, p.scale, region) for p, region in zip(plans, regions, strict=True)]
    return _interpolated(x, dict(zip(chosen, plans, strict=True)), method, extrapolation_value)


def _axes_of_sizes(lengths: Sequence[int], sizes: Sequence[int], policy: str) -> list[_Axis]:
    rows = list(zip(lengths, sizes, strict=True))
    if policy == "stretch":
        return [_Axis(length, wanted, wanted / length) for length, wanted in rows]
    scale = (min if policy == "not_larger" else max)(wanted / length for length, wanted in rows)
    return [_Axis(length, math.floor(scale * length + 0.5), scale) for length in lengths]


def _interpolated(x: Tensor, plans: Mapping[int, _Axis], method: _Method, outside_value: float) -> Tensor:
    outside: list[tuple[int, Tensor]] = []
    for axis, plan in plans.items():
        if plan.length == plan.wanted and plan.scale == 1.0 and plan.roi == (0.0, 1.0):
            continue
        if method.transformation == "tf_crop_and_resize":
            source = _coordinates(plan, method.transformation)
            outside.append((axis, ((source < 0) | (source > plan.length - 1)).to(x.device)))
        x = _along(x, axis, *_taps(plan, method, x.device, x.dtype))
    for axis, is_outside in outside:
        mask = is_outside.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        x = torch.where(mask, torch.full((), outside_value, dtype=x.dtype, device=x.device), x)
    return x


def _along(x: Tensor, axis: int, places: Tensor, weights: Tensor | None) -> Tensor:
    """Sum what lies at places [taps, outputs] of an axis, weighted."""
    if weights is None:
        return x.index_select(axis, places[0])
    shape = (-1, *(1,) * (x.ndim - 1 - axis))
    terms = [x.index_select(axis, place) * weight.reshape(shape) for place, weight in zip(places, weights, strict=True)]
    return torch.stack(terms).sum(0) if len(terms) > 2 else terms[0] + terms[1]


@lru_cache(maxsize=256)
def _taps(plan: _Axis, method: _Method, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return places int64 [taps, outputs] and weights of the same shape; None where the one tap weighs 1."""
    source = _coordinates(plan, method.transformation)
    if method.mode == "nearest":
        places = _ROUNDINGS[method.nearest_mode](source).to(torch.int64).unsqueeze(0)
        return places.clamp(0, plan.length - 1).to(device), None
    shrink = min(plan.scale, 1.0) if method.antialias else 1.0
    support = 2 if method.mode == "cubic" else 1
    reach = math.ceil(support / shrink)
    places = torch.floor(source) + torch.arange(1 - reach, reach + 1, dtype=torch.float64).unsqueeze(1)
    distances = ((places - source) * shrink).abs()
    weights = _cubic(distances, method.cubic_a) if method.mode == "cubic" else (1 - distances).clamp(min=0.0)
    if method.exclude_outside:
        weights = torch.where((places >= 0) & (places < plan.length), weights, 0.0)
    if method.exclude_outside or method.antialias:
        weights = weights / weights.sum(0)
    return places.to(torch.int64).clamp(0, plan.length - 1).to(device), weights.to(device, dtype)


def _cubic(distances: Tensor, a: float) -> Tensor:
    """Return the weights of cubic convolution (Keys 1981)."""
    near = ((a + 2) * distances - (a + 3)) * distances**2 + 1
    far = a * (((distances - 5) * distances + 8) * distances - 4)
    return torch.where(distances <= 1, near, torch.where(distances < 2, far, torch.zeros_like(far)))


def _coordinates(plan: _Axis, transformation: str) -> Tensor:
    """Return where each output element lies in the input, float64 [outputs]."""
    out = torch.arange(plan.wanted, dtype=torch.float64)
    resized = plan.scale * plan.length
    start, end = plan.roi
    if transformation == "asymmetric":
        return out / plan.scale
    if transformation == "align_corners":
        return out * (plan.length - 1) / (resized - 1) if resized != 1 else torch.zeros_like(out)
    if transformation == "tf_crop_and_resize":
        step = (end - start) * (plan.length - 1)
        if resized == 1:
            return torch.full_like(out, step / 2 + start * (plan.length - 1))
        return out * step / (resized - 1) + start * (plan.length - 1)
    if transformation == "pytorch_half_pixel" and resized == 1:
        return torch.full_like(out, -0.5)
    if transformation not in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        raise ModelError(f"Resize: coordinate_transformation_mode {transformation!r} is unknown")
    half = (out + 0.5) / plan.scale - 0.5
    return half + plan.length / 2 * (1 - plan.wanted / resized) if transformation == "half_pixel_symmetric" else half


_ROUNDINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda source: torch.ceil(source - 0.5),
    "round_prefer_ceil": lambda source: torch.floor(source + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}
