"""Takes a plan all the way to an INT8 model, on seeded noise, so that a runtime can say what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quantlab.calibrate import calibrate
from quantlab.calibrators import calibrator_named
from quantlab.collect import collect
from quantlab.data.batch import Array, Batch, Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model
from quantlab.plan import Plan
from quantlab.qdq import bake, insert

ENGINE = OnnxRuntime(threads=1)
LITERALLY = OnnxRuntime(threads=1, optimization="none")


def noise_for(model: Model, samples: int = 2, seed: int = 0) -> dict[str, Array]:
    """Return seeded normal noise for every input; a free first axis becomes `samples`, other free axes 8."""
    generator = np.random.default_rng(seed)
    feeds = {}
    for spec in model.inputs:
        shape = [samples if index == 0 else 8 for index in range(len(spec.shape or ()))]
        shape = [axis if isinstance(axis, int) else free for axis, free in zip(spec.shape or (), shape, strict=True)]
        feeds[spec.name] = generator.normal(size=shape).astype(spec.dtype)
    return feeds


@dataclass(frozen=True)
class OneBatch:
    """A source of one batch, whose inputs need not agree about the first axis."""

    feeds: dict[str, Array]
    name: str = "noise"
    size: int | None = None

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        yield Batch(self.feeds)


def quantized(model: Model, plan: Plan, *, calibrator: str = "minmax") -> Model:
    """Return the baked INT8 model of a plan, calibrated on noise."""
    statistics = collect(model, plan.observed, ENGINE, Batches(OneBatch(noise_for(model))))
    return bake(insert(model, plan, calibrate(model, plan, statistics, calibrator_named(calibrator))), plan)
