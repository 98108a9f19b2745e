"""What the tests of the target `tensorrt` ask of a plan, and a plan carried out with encodings good enough to build."""

from __future__ import annotations

import numpy as np

from quantlab.affine import Encoding, Range, encoding_from_range
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point
from quantlab.qdq.insert import insert
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS


def place(pattern: str, *keep_float: str) -> Plan:
    return TensorRT().place(PATTERNS[pattern](), keep_float=keep_float)


def edges(plan: Plan, role: str = "activation") -> set[str]:
    """Return the quantized edges as `node[input]`."""
    return {str(reader) for point in plan.points if point.role == role for reader in point.readers}


def reason(plan: Plan, tensor: str) -> str:
    """Return why a tensor is float."""
    return " ".join(skip.reason for skip in plan.skips if skip.tensor == tensor)


def quantized(model: Model, plan: Plan) -> Model:
    """Insert the pairs of a plan: weights by their largest magnitude, activations as if they lay in ±4."""
    owners = {point.tensor: plan.by_tensor[point.shared_with or point.tensor] for point in plan.points}
    return insert(model, plan, {tensor: _encoding(model, owner) for tensor, owner in owners.items()})


def _encoding(model: Model, point: Point) -> Encoding:
    if point.role != "weight":
        return encoding_from_range(Range.of(*(point.fixed_range or (-4.0, 4.0))), point.scheme)
    magnitude = np.abs(model.constant(point.tensor))
    axis = point.scheme.axis
    others = tuple(other for other in range(magnitude.ndim) if axis is None or other != axis)
    largest = magnitude.max(axis=others)
    return encoding_from_range(Range.of(-largest, largest), point.scheme)
