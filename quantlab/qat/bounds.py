"""What training must not do to scales, and what `bake` asks of them afterwards.

limits (low, high) of a point:   s · (highest − z) ≤ high,   s · (z − lowest) ≤ −low
a bias that becomes int32:       |b| / (s_x · s_w) ≤ 2^30, else s_w is raised (`calibrate`)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from quantlab.calibrate import WeightFloors
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point
from quantlab.qat.start import Start
from quantlab.qdq.pairs import Pair, pairs
from quantlab.qdq.read import tensor_name


def fixed_scales(start: Start) -> frozenset[str]:
    """Return the names of the scales whose range is known without data: training must leave them."""
    return frozenset(scale for scale, point, _ in _scaled_points(start) if point.fixed_range is not None)


class ScaleBounds:
    """What a plan asks of scales while they learn.

    A scale that calibration left above its limit by rounding may stay where it is.
    """

    def __init__(self, start: Start) -> None:
        self._largest: dict[str, float] = {}
        self._floors: dict[str, tuple[str, float]] = {}
        names = {point.tensor: scale for scale, point, _ in _scaled_points(start)}
        for scale, point, pair in _scaled_points(start):
            bound = _largest_scale(point, pair)
            if bound is not None:
                bound = max(bound, float(pair.encoding.scale.max()))
                self._largest[scale] = min(bound, self._largest.get(scale, bound))
            if point.scale_floor is not None:
                tensor, share = point.scale_floor
                self._floors[scale] = (names[start.plan.by_tensor[tensor].shared_with or tensor], share)

    @torch.no_grad()
    def hold(self, scales: Mapping[str, Tensor]) -> None:
        """Move scales that are out of their bounds to the nearest value that is allowed.

        Args:
            scales: by the name of their initializer; changed in place.
        """
        for name, largest in self._largest.items():
            if name in scales:
                scales[name].clamp_max_(largest)
        for name, (other, share) in self._floors.items():
            if name in scales and other in scales:
                torch.maximum(scales[name], scales[other].detach() * share, out=scales[name])


def fit_biases(model: Model, plan: Plan) -> Model:
    """Return a Q/DQ model whose weight scales are large enough for the biases to fit int32; see `calibrate`.

    Args:
        model: trained, its biases float; it is not changed.
        plan: the plan it is baked with.
    """
    clone = model.clone()
    found = {tensor_name(pair): pair for pair in pairs(clone.graph)}
    encodings = {name: pair.encoding for name, pair in found.items()}
    floors = WeightFloors(clone, plan, encodings)
    for point in plan.of_role("weight"):
        pair = found[point.tensor]
        raised = floors.raised(point, pair.encoding)
        scale = pair.dequantize.inputs[1]
        if raised is not pair.encoding and scale is not None and scale.const_value is not None:
            shape = scale.const_value.numpy().shape
            scale.const_value = ir.tensor(raised.scale.reshape(shape), name=scale.name)
    return clone


def _scaled_points(start: Start) -> list[tuple[str, Point, Pair]]:
    points = start.plan.by_tensor
    found = ((pair.dequantize.inputs[1], points.get(tensor_name(pair)), pair) for pair in pairs(start.model.graph))
    return [(scale.name or "", point, pair) for scale, point, pair in found if scale is not None and point is not None]


def _largest_scale(point: Point, pair: Pair) -> float | None:
    low, high = point.limits
    zero, scheme = int(pair.encoding.zero_point.max()), pair.encoding.scheme
    bounds = [] if high is None or scheme.highest <= zero else [high / (scheme.highest - zero)]
    bounds += [] if low is None or zero <= scheme.lowest else [-low / (zero - scheme.lowest)]
    if not bounds:
        return None
    bound = min(bounds)
    rounded = np.float32(bound)
    # The nearest float32 may lie above the bound; numpy would compare it with the bound as float32 too.
    return float(rounded) if float(rounded) <= bound else float(np.nextafter(rounded, np.float32(0)))
