"""Statistics + plans → what a histogram of every activation is drawn from, and the range each calibrator gives it.

The 2048 bins of a side become at most 128 by adding 2^k neighbours, so a report of 200 tensors stays below 2 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from quantlab.affine import Encoding, Encodings
from quantlab.calibrate import above_floor, activation_encoding
from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.calibrators.calibrator import Calibrator
from quantlab.errors import PlanError
from quantlab.plan import Plan
from quantlab.stats.table import Statistics
from quantlab.stats.tensor import TensorStatistics, coarsen

BINS_SHOWN = 128
"""The most bins of either sign."""


def histogram_of(seen: TensorStatistics) -> dict[str, Any]:
    """Return a tensor's histogram as plain values: bin width, counts of either sign from 0 outwards, zeros, count."""
    longest = max(seen.positive.size, seen.negative.size, 1)
    doublings = max(0, int(np.ceil(np.log2(longest / BINS_SHOWN))))
    return {
        "width": seen.width * 2.0**doublings,
        "positive": coarsen(seen.positive, doublings).tolist(),
        "negative": coarsen(seen.negative, doublings).tolist(),
        "zeros": seen.zeros,
        "count": seen.count,
    }


def histograms_section(
    plans: Mapping[str, tuple[Plan, Encodings]], statistics: Statistics, calibrator: Calibrator
) -> dict[str, Any]:
    """Return the histograms of a report.

    Args:
        plans: by target, what is quantized and how this run encodes it.
        statistics: of every observed tensor.
        calibrator: the one this run used, whose ranges are those of the encodings.
    """
    observed = dict.fromkeys(name for plan, _ in plans.values() for name in plan.observed)
    return {
        "calibrator": calibrator.name,
        "tensors": {name: histogram_of(statistics.tensors[name]) for name in observed},
        "ranges": {target: _ranges(*made, statistics, calibrator) for target, made in plans.items()},
    }


def ranges_of(
    tensor: str, made: tuple[Plan, Encodings], statistics: Statistics, calibrator: Calibrator
) -> dict[str, list[float]]:
    """Return the bounds that the integers of one tensor reach, by calibrator.

    Args:
        tensor: the ONNX name of an activation whose range was chosen from data.
        made: the plan and how this run encodes it.
        statistics: of every observed tensor.
        calibrator: the one this run used.

    Raises:
        PlanError: the plan chooses no range for this tensor.
    """
    plan = made[0]
    if tensor not in plan.observed:
        raise PlanError(
            f"plan for {plan.target}: it chooses no range for a tensor {tensor!r}; "
            f"{len(plan.observed)} have one, such as {', '.join(map(repr, plan.observed[:3]))}"
        )
    return _ranges(*made, statistics, calibrator)[tensor]


def _ranges(
    plan: Plan, encodings: Encodings, statistics: Statistics, calibrator: Calibrator
) -> dict[str, dict[str, list[float]]]:
    """Return the bounds that the integers reach, by tensor and calibrator."""
    by_calibrator = {
        name: encodings if name == calibrator.name else _encodings(plan, statistics, calibrator_named(name))
        for name in CALIBRATORS
    }
    owners = {tensor: plan.by_tensor[tensor].shared_with or tensor for tensor in plan.observed}
    return {
        tensor: {name: _bounds(made[owner]) for name, made in by_calibrator.items() if owner in made}
        for tensor, owner in owners.items()
    }


def _encodings(plan: Plan, statistics: Statistics, calibrator: Calibrator) -> Encodings:
    """Return what `calibrate` makes of the activations; weights have no calibrator."""
    encodings: dict[str, Encoding] = {}
    for point in plan.of_role("activation"):
        if point.shared_with is None:
            encoding = activation_encoding(point, plan, statistics, calibrator)
            encodings[point.tensor] = above_floor(point, plan, encoding, encodings)
    return encodings


def _bounds(encoding: Encoding) -> list[float]:
    return [float(f"{float(end):.6g}") for end in (encoding.range.low, encoding.range.high)]
