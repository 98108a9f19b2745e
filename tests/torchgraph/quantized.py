"""Small Q/DQ models."""

from __future__ import annotations

import numpy as np

from quantlab.affine import Encoding, Range, encoding_from_range
from quantlab.graph.model import Model
from quantlab.plan import Plan
from quantlab.qdq import insert
from tests.graph.models import outputs_of
from tests.models import noise, two_convs, two_convs_plan

FEEDS = {"image": noise(3, 3, 8, 8, seed=9)}


def plan_and_encodings(model: Model) -> tuple[Plan, dict[str, Encoding]]:
    """Return a plan for `two_convs` and encodings that clip the outermost tenth of each range."""
    plan = two_convs_plan()
    seen = {**FEEDS, **outputs_of(model, FEEDS), "hidden": noise(3, 4, 8, 8, seed=8) * 5}
    encodings = {}
    for point in plan.points:
        if point.role == "bias":
            continue
        if point.role == "weight":
            limit = np.abs(model.constant(point.tensor)).max(axis=(1, 2, 3)) * 0.9
            interval = Range.of(-limit, limit)
        else:
            values = seen[point.tensor]
            interval = Range.of(values.min() * 0.9, values.max() * 0.9)
        encodings[point.tensor] = encoding_from_range(interval, point.scheme)
    return plan, encodings


def two_convs_qdq() -> tuple[Model, Plan, dict[str, Encoding]]:
    """Return `two_convs` with Q/DQ pairs, the plan and the encodings they are from."""
    model = two_convs()
    plan, encodings = plan_and_encodings(model)
    return insert(model, plan, encodings), plan, encodings
