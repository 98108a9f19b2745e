"""Statistics + plan + weights → encodings: one scale and zero point per point.

    activation: range by the calibrator, from the tensor's statistics (merged over a shared group)
    weight:     range from the weight itself, per channel
    bias:       none of its own: scale = activation scale × weight scale, made at `bake`

A bias must fit int32 at its derived scale: |b| / (s_x · s_w) ≤ 2^30. A weight channel so small that it would not
(a dead channel, usually) gets a larger scale s_w; 2^30 leaves the other half of int32 to the sum of products.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from quantlab.affine import Encoding, Encodings, Range, encoding_from_range
from quantlab.calibrators.calibrator import Calibrator
from quantlab.calibrators.weights import weight_range
from quantlab.cores import usable_cores
from quantlab.errors import CalibrationError, PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point
from quantlab.stats.table import Statistics

_logger = logging.getLogger(__name__)

WeightMethod = Literal["absmax", "mse"]

_LARGEST_BIAS = 2.0**30


def calibrate(
    model: Model,
    plan: Plan,
    statistics: Statistics,
    calibrator: Calibrator,
    *,
    weights: WeightMethod = "absmax",
    on_progress: Callable[[int], None] | None = None,
) -> Encodings:
    """Return the encodings of a plan's activations and weights, by tensor name.

    Pure: the same inputs give the same bits, and none of them is changed. Shared points are calibrated once, on
    their group's merged statistics, and stand under their owner's name only.

    Args:
        model: the prepared model, read for its weights.
        plan: the points to calibrate.
        statistics: of every tensor in `plan.observed`.
        calibrator: how to choose the range of an activation.
        weights: how to choose the range of a weight channel.
        on_progress: called with 1 after each activation and weight.

    Raises:
        PlanError: the statistics lack a tensor of the plan.
        ModelError: a weight is not an initializer of the model.
        CalibrationError: a tensor has no range, such as one without a single value or a weight with NaN; the message
            names the tensor.
    """
    encodings: dict[str, Encoding] = {}
    done = on_progress or (lambda count: None)
    activations = plan.of_role("activation")
    owners = [point for point in activations if point.shared_with is None]
    with ThreadPoolExecutor(usable_cores()) as workers:
        found = workers.map(lambda point: activation_encoding(point, plan, statistics, calibrator), owners)
        for point in activations:
            if point.shared_with is None:
                encodings[point.tensor] = above_floor(point, plan, next(found), encodings)
            done(1)
    floors = WeightFloors(model, plan, encodings)
    for point in plan.of_role("weight"):
        if point.shared_with is None:
            with _naming(point):
                interval = weight_range(model.constant(point.tensor), point.scheme, weights)
                encoding = encoding_from_range(interval, point.scheme)
            encodings[point.tensor] = floors.raised(point, encoding)
        done(1)
    return encodings


def activation_encoding(point: Point, plan: Plan, statistics: Statistics, calibrator: Calibrator) -> Encoding:
    """Return the encoding of one activation that owns its encoding."""
    if point.fixed_range is not None:
        return encoding_from_range(Range.of(*point.fixed_range), point.scheme)
    members = plan.groups.get(point.tensor, (point.tensor,))
    missing = [name for name in members if name not in statistics.tensors]
    if missing:
        raise PlanError(f"statistics: none of {missing[0]!r}, which target {plan.target} quantizes; collect them anew")
    merged = statistics.merged(members) if len(members) > 1 else statistics.tensors[point.tensor]
    with _naming(point):
        chosen = calibrator.range_of(merged, point.scheme)
        low, high = point.within_limits(float(chosen.low), float(chosen.high))
        return encoding_from_range(Range.of(low, high), point.scheme)


@contextmanager
def _naming(point: Point) -> Iterator[None]:
    """Say in a refusal which tensor it is about; calibrators see statistics without a name."""
    try:
        yield
    except CalibrationError as error:
        raise CalibrationError(f"{point.role} {point.tensor!r}: {error}") from error


def above_floor(point: Point, plan: Plan, encoding: Encoding, encodings: Encodings) -> Encoding:
    """Return an activation's encoding with its scale raised to the floor that its point sets, if it is below.

    Args:
        point: the activation.
        plan: the plan it belongs to.
        encoding: the activation's, as a calibrator chose it.
        encodings: those of the activations before it, by their owners.
    """
    if point.scale_floor is None:
        return encoding
    tensor, share = point.scale_floor
    floor = np.float32(share) * encodings[plan.by_tensor[tensor].shared_with or tensor].scale
    return encoding if encoding.scale >= floor else replace(encoding, scale=np.asarray(floor, np.float32))


class WeightFloors:
    """The smallest weight scales at which every bias of a plan still fits int32."""

    def __init__(self, model: Model, plan: Plan, activations: Encodings) -> None:
        self._floors: dict[str, npt.NDArray[np.float64]] = {}
        for point in plan.of_role("bias"):
            assert point.derived_from is not None
            activation, weight = point.derived_from
            owner = plan.by_tensor[activation].shared_with or activation
            bias = np.abs(model.constant(point.tensor).astype(np.float64))
            floor = bias / (float(activations[owner].scale) * _LARGEST_BIAS)
            self._floors[weight] = np.maximum(floor, self._floors.get(weight, 0.0))

    def raised(self, point: Point, encoding: Encoding) -> Encoding:
        """Return a weight's encoding with every scale at its floor or above."""
        floor = self._floors.get(point.tensor)
        if floor is None:
            return encoding
        if encoding.scale.ndim == 0:
            floor = floor.max()
        is_low = encoding.scale < floor
        if not np.any(is_low):
            return encoding
        _logger.info("weight %r: %d scales raised so that the bias fits int32", point.tensor, int(np.sum(is_low)))
        # The next float32 up, so that rounding cannot put the scale below its floor again.
        raised = np.nextafter(np.maximum(encoding.scale, floor).astype(np.float32), np.float32(np.inf))
        return replace(encoding, scale=np.where(is_low, raised, encoding.scale).astype(np.float32))
