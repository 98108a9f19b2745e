"""How long calibrating takes, as a multiple of running the float model on the same images, and what it decides.

    ratio = (collect + calibrate) / plain FP32 inference        medians of rounds, in turns, in one process

Collecting counts everything from opening the model; the plain inference counts only the runs of a session that is
open and warm. Counting is compiled before the clock starts: a process's first use of it takes 0.4 s more (1.4 s on a
new installation).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.architectures import Architecture
from benchmarks.finding import Finding
from benchmarks.jobs import BATCH_SIZE, IMAGES, NETWORKS, open_network
from benchmarks.onnxruntime_quantizer import TheirCalibration, their_entropy
from quantlab.calibrate import calibrate
from quantlab.calibrators import MinMax
from quantlab.job import Job
from quantlab.resume import collect_for
from quantlab.stats.kernel import fastest_kernel
from quantlab.stats.table import Statistics

TARGETS = {"resnet50": 2.0, "mobilenet_v2": 4.0}
_ROUNDS = 5
# How far a range may be from the extrema, as a share of their distance, and still be them: ONNX Runtime fuses other
# nodes where other tensors are outputs, which moves an extremum by up to 1e-4.
_SAME = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class _Rounds:
    """Seconds of each round, and what came out of the last."""

    inference: list[float]
    collecting: list[float]
    deciding: list[float]
    statistics: Statistics

    @property
    def ratio(self) -> float:
        return median((c + d) / i for i, c, d in zip(self.inference, self.collecting, self.deciding, strict=True))


def run() -> Iterator[Finding]:
    """Measure each network, and ONNX Runtime's entropy calibrator once beside it."""
    fastest_kernel()
    for name in NETWORKS:
        architecture, job = open_network(name)
        rounds = _measure(job)
        yield _cost(architecture, rounds, TARGETS[name])
        theirs = their_entropy(job.model, job.calibration)
        yield Finding(
            f"{architecture.title} calibration by ONNX Runtime's entropy",
            theirs.seconds / median(rounds.inference),
            "x",
            detail=f"{theirs.seconds:.1f} s, {len(theirs.ranges)} tensors",
        )
        yield from _ranges(architecture.title, job, rounds.statistics, theirs)


def _measure(job: Job) -> _Rounds:
    plan, calibrator = job.plans["onnxruntime"], job.recipe.calibrator_with_options()
    inference, collecting, deciding = [], [], []
    for _ in range(_ROUNDS):
        inference.append(_plain_inference(job))
        begin = time.perf_counter()
        statistics = collect_for(job).statistics
        collected = time.perf_counter()
        calibrate(job.model, plan, statistics, calibrator)
        decided = time.perf_counter()
        collecting.append(collected - begin)
        deciding.append(decided - collected)
    return _Rounds(inference, collecting, deciding, statistics)


def _plain_inference(job: Job) -> float:
    batches = [batch.feeds for batch in job.calibration]
    with job.engine.open(job.model) as session:
        session.run(batches[0])
        begin = time.perf_counter()
        for feeds in batches:
            session.run(feeds)
        return time.perf_counter() - begin


def _cost(architecture: Architecture, rounds: _Rounds, target: float) -> Finding:
    parts = (("FP32", rounds.inference), ("collecting", rounds.collecting), ("deciding", rounds.deciding))
    return Finding(
        f"{architecture.title} calibration, entropy, {IMAGES} images in batches of {BATCH_SIZE}",
        rounds.ratio,
        "x",
        at_most=target,
        detail=", ".join(f"{name} {median(seconds):.2f} s" for name, seconds in parts) + f", {_ROUNDS} rounds",
    )


def _ranges(title: str, job: Job, statistics: Statistics, theirs: TheirCalibration) -> Iterator[Finding]:
    """Tell how many entropy thresholds are nothing but the extrema, theirs and ours."""
    points = [point for point in job.plans["onnxruntime"].of_role("activation") if point.tensor in theirs.ranges]
    calibrator = job.recipe.calibrator_with_options()
    unclipped, ours_unclipped = 0, 0
    for point in points:
        seen = statistics.tensors[point.tensor]
        extrema = (seen.minimum, seen.maximum)
        unclipped += bool(np.allclose(theirs.ranges[point.tensor], extrema, rtol=0.0, atol=_SAME * np.ptp(extrema)))
        chosen, full = (each.range_of(seen, point.scheme) for each in (calibrator, MinMax()))
        ours_unclipped += bool(chosen.low == full.low and chosen.high == full.high)
    what = f"{title} tensors whose entropy range is just min-max"
    yield Finding(f"{what}, ONNX Runtime", unclipped, f" of {len(points)}")
    yield Finding(f"{what}, quantlab", ours_unclipped, f" of {len(points)}")
