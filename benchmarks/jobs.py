"""A network and a number of images → a quantlab job, with the settings that every benchmark uses."""

from __future__ import annotations

from benchmarks.architectures import ARCHITECTURES, Architecture
from benchmarks.photographs import crops
from quantlab.job import Inputs, Job, open_job
from quantlab.recipe import Recipe

NETWORKS = ("resnet50", "mobilenet_v2")
"""The networks that have targets."""

IMAGES = 64
BATCH_SIZE = 8


def open_network(name: str, *, images: int = IMAGES, data: object = None) -> tuple[Architecture, Job]:
    """Return an architecture and its job: entropy, for ONNX Runtime, on all cores.

    Args:
        name: a key of `ARCHITECTURES`.
        images: how many calibrate.
        data: where they come from; None for an array of crops.
    """
    architecture = ARCHITECTURES[name]
    samples = crops(images, architecture.side) if data is None else data
    recipe = Recipe(samples=images, batch_size=BATCH_SIZE, calibrator="entropy")
    return architecture, open_job(recipe, Inputs(model=architecture.model(), data=samples))
