"""Calibrating ResNet-50 with the torch engine, as a multiple of running the float model there on the same images.

    ratio = (collect + calibrate) / plain FP32 inference        TF32 off in both; images come from host memory in both

The images are noise, normalised as photographs are: only how many values there are matters here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.architectures import ARCHITECTURES
from benchmarks.finding import Finding
from benchmarks.scale import Scale, waiting_clock
from quantlab.calibrate import calibrate
from quantlab.collect import collect
from quantlab.data.batch import Batches
from quantlab.engines.torch import Torch
from quantlab.job import Inputs, Job, open_job
from quantlab.recipe import Recipe

_TARGET = 5.0
_BATCH_SIZE = 64
_ROUNDS = 3


def run(scale: Scale) -> Iterator[Finding]:
    """Measure both, in turns."""
    images, batch_size = scale.of(4096, 8), scale.of(_BATCH_SIZE, 4)
    job = _job(images, batch_size)
    engine = Torch(scale.device)
    batches = Batches(job.calibration.source, batch_size)
    _plain(engine, job, batches.head(2 * batch_size), scale.device)  # the first calls choose algorithms
    _collecting(engine, job, batches.head(2 * batch_size))
    rounds = []
    for _ in range(scale.of(_ROUNDS, 1)):
        plain = _plain(engine, job, batches, scale.device)
        rounds.append((plain, *_collecting(engine, job, batches)))
    plain, collecting, deciding = (sorted(column)[len(rounds) // 2] for column in zip(*rounds, strict=True))
    yield Finding(
        f"ResNet-50 calibration by the torch engine, entropy, {images} images in batches of {batch_size}",
        (collecting + deciding) / plain,
        "x",
        at_most=_TARGET,
        detail=f"FP32 {plain:.2f} s, collecting {collecting:.2f} s, deciding {deciding:.2f} s, "
        f"{len(job.observed)} tensors, {len(rounds)} rounds, {engine.describe()['device']}",
    )


def _job(images: int, batch_size: int) -> Job:
    architecture = ARCHITECTURES["resnet50"]
    side = architecture.side
    pixels = np.random.default_rng(0).standard_normal((images, 3, side, side), np.float32)
    model = architecture.model()
    recipe = Recipe(samples=images, batch_size=batch_size, calibrator="entropy")
    source = {model.inputs[0].name: pixels}
    return open_job(recipe, Inputs(model=model, data=source, eval_data={model.inputs[0].name: pixels[:1]}))


def _plain(engine: Torch, job: Job, batches: Batches, device: str) -> float:
    clock = waiting_clock(device)
    with engine.open(job.model) as session:
        begun = clock()
        for batch in batches:
            session.run(batch.feeds)
        return clock() - begun


def _collecting(engine: Torch, job: Job, batches: Batches) -> tuple[float, float]:
    begun = time.perf_counter()
    statistics = collect(job.model, job.observed, engine, batches)
    collected = time.perf_counter()
    calibrate(job.model, job.plans["onnxruntime"], statistics, job.recipe.calibrator_with_options())
    return collected - begun, time.perf_counter() - collected
