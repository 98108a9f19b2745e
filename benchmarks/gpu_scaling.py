"""What a second GPU gains in training: the same `quantlab qat` by one process and by two, each with its own GPU.

    speed-up = seconds per epoch with one GPU / seconds per epoch with two          the same batch of all together

A ResNet-50 (random weights, settled batch normalization) is distilled on noise; only how long it takes matters. The
first epoch chooses algorithms and is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.architectures import ARCHITECTURES
from benchmarks.finding import Finding
from benchmarks.scale import Scale
from quantlab.graph.save import save

_GPUS = (1, 2)


def run(scale: Scale) -> Iterator[Finding]:
    """Train with one process and with two."""
    architecture = ARCHITECTURES["resnet50" if not scale.is_tiny else "mobilenet_v2"]
    images, batch_size = scale.of(2048, 16), scale.of(256, 4)
    with tempfile.TemporaryDirectory(prefix="quantlab-") as name:
        folder = Path(name)
        save(architecture.model(), folder / "net.onnx")
        shape = (images, 3, architecture.side, architecture.side)
        np.savez(folder / "noise.npz", images=np.random.default_rng(0).standard_normal(shape, np.float32))
        runs = {count: _trained(folder, count, batch_size, scale) for count in _GPUS}
    for count, (seconds, seen) in runs.items():
        detail = f"{seen / seconds:.0f} images/s of {seen}, those that only judge included"
        yield Finding(f"{architecture.title}, epoch with {count} processes", seconds, " s", detail=detail)
    gain = runs[1][0] / runs[2][0]
    yield Finding("speed-up of two processes", gain, "x", detail=f"batch {batch_size} of all together, {scale.device}")


def _trained(folder: Path, count: int, batch_size: int, scale: Scale) -> tuple[float, int]:
    """Return the mean time of the epochs after the first, and how many images one trains on and judges on."""
    out = folder / f"run{count}"
    starter = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "quantlab", "qat"]
    noise = str(folder / "noise.npz")
    what = ["--model", str(folder / "net.onnx"), "--data", noise, "--train-data", noise, "--out", str(out)]
    how = ["--epochs", str(scale.of(4, 2)), "--batch-size", str(batch_size), "--device", scale.device, "--no-latency"]
    calibration = ["--samples", "64", "--eval-samples", "64", "--target", "tensorrt", "--engine", "torch", "--quiet"]
    numbers = ["--train-samples", str(scale.of(2048, 16)), "--cache-mb", "1"]
    command = [sys.executable, *starter, *what, *how, *calibration, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[:2000]}")
    qat = json.loads((out / "report.json").read_text(encoding="utf-8"))["qat"]
    seconds = mean(epoch["seconds"] for epoch in qat["epochs"] if epoch["number"] > 1)
    return seconds, qat["samples"]["trained"] + qat["samples"]["held_out"]
