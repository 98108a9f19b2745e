"""Whether the memory of calibrating grows with the number of images.

Each run is a process of its own that reads its images one by one and tells its largest resident size:

    python -m benchmarks.memory TOOL IMAGES      TOOL: quantlab or onnxruntime

ONNX Runtime's entropy calibrator keeps every activation of every image until the last, so it gets fewer images.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.finding import Finding
from benchmarks.jobs import open_network
from benchmarks.onnxruntime_quantizer import their_entropy
from benchmarks.photographs import each_crop
from quantlab.calibrate import calibrate
from quantlab.resume import collect_for

IMAGES = {"quantlab": (16, 128), "onnxruntime": (8, 24)}
# What allocators and thread timing add by chance; 112 more images as pixels alone would be 67 MB, their taps 6 GB.
MOST_GROWTH = 1.05


def run() -> Iterator[Finding]:
    """Compare the peaks of few and many images, for quantlab and for ONNX Runtime's quantizer."""
    for tool, (few, many) in IMAGES.items():
        less, more = (_peak_of_process(tool, images) for images in (few, many))
        growth = more / less
        yield Finding(
            f"ResNet-50 peak memory of calibrating with {tool}, {many} images as a multiple of {few}",
            growth,
            "x",
            at_most=MOST_GROWTH if tool == "quantlab" else None,
            detail=f"{less / 2**20:.0f} and {more / 2**20:.0f} MiB, "
            f"{(more - less) / 2**20 / (many - few):.1f} MiB per further image",
        )


def _peak_of_process(tool: str, images: int) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", tool, str(images)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _work(tool: str, images: int) -> None:
    _, job = open_network("resnet50", images=images, data=_one_by_one(images))
    if tool == "onnxruntime":
        their_entropy(job.model, job.calibration)
        return
    calibrate(job.model, job.plans["onnxruntime"], collect_for(job).statistics, job.recipe.calibrator_with_options())


def _one_by_one(images: int) -> Callable[[], Iterator[npt.NDArray[np.float32]]]:
    def samples() -> Iterator[npt.NDArray[np.float32]]:
        return each_crop(images, 224)

    return samples


def _peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]))
    print(_peak_bytes())
