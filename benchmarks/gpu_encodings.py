"""Do ranges collected with the torch engine equal those collected with ONNX Runtime?

    distance = max(|low - low'|, |high - high'|) / w,    w the bin width of ONNX Runtime's statistics of that tensor

Runtimes add up products in another order, so extrema differ by rounding; TF32 would be off by a thousand times more.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.finding import Finding
from benchmarks.jobs import NETWORKS, open_network
from benchmarks.scale import Scale
from quantlab.calibrators import MinMax, Percentile
from quantlab.collect import collect
from quantlab.engines.torch import Torch
from quantlab.job import Job
from quantlab.stats.table import Statistics

_TARGET_BINS = 1.0
_IMAGES = 64
_CALIBRATORS = {"minmax": MinMax(), "percentile": Percentile()}


def run(scale: Scale) -> Iterator[Finding]:
    """Compare minmax and percentile, network by network."""
    engine = Torch(scale.device)
    for name in NETWORKS:
        architecture, job = open_network(name, images=scale.of(_IMAGES, 8))
        expected = collect(job.model, job.observed, job.engine, job.calibration)
        found = collect(job.model, job.observed, engine, job.calibration)
        for calibrator in _CALIBRATORS:
            farthest, tensor = _farthest(job, calibrator, expected, found)
            yield Finding(
                f"{architecture.title} {calibrator}, torch engine against ONNX Runtime, farthest range",
                farthest,
                " bins",
                at_most=_TARGET_BINS,
                detail=f"{tensor}, of {len(job.observed)} tensors, {engine.describe()['device']}, TF32 off",
            )


def _farthest(job: Job, calibrator: str, expected: Statistics, found: Statistics) -> tuple[float, str]:
    """Return the largest distance, in bins, and the tensor it is of."""
    distances = {}
    for point in job.plans["onnxruntime"].of_role("activation"):
        ranges = [
            _CALIBRATORS[calibrator].range_of(each.tensors[point.tensor], point.scheme) for each in (expected, found)
        ]
        width = expected.tensors[point.tensor].width
        ends = (abs(float(getattr(ranges[0], end)) - float(getattr(ranges[1], end))) for end in ("low", "high"))
        distances[point.tensor] = max(ends) / width if width else 0.0
    tensor = max(distances, key=lambda name: distances[name])
    return distances[tensor], tensor
