"""A small classifier and its samples, for tests of whole runs."""

from pathlib import Path
from typing import Any

import numpy as np

from quantlab.data.batch import Array
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model
from quantlab.graph.save import save
from tests.models import model_from_text, noise

CHANNELS = 32
CLASSES = 10
UNTIMED: dict[str, Any] = {"threads": 1, "samples": 16, "latency_batches": (), "layer_samples": 0}
"""Settings of a run that takes a moment only."""


def classifier() -> Model:
    """Two convolutions and a linear layer on images of 8 × 8; the weights are seeded noise."""
    c = CHANNELS
    text = f"""
    <ir_version: 10, opset_import: ["": 18]>
    classifier (float[batch, 3, 8, 8] image, float[{c}, 3, 3, 3] w1, float[{c}] b1, float[{c}, {c}, 3, 3] w2,
                float[{c}] b2, float[{CLASSES}, {c}] w3) => (float[batch, {CLASSES}] scores)
    <float[batch, {c}, 8, 8] before, float[batch, {c}, 8, 8] hidden, float[batch, {c}, 8, 8] deep,
     float[batch, {c}, 1, 1] pooled, float[batch, {c}] flat>
    {{
        [conv1] before = Conv <pads: ints = [1, 1, 1, 1]> (image, w1, b1)
        [relu1] hidden = Relu (before)
        [conv2] deep = Conv <pads: ints = [1, 1, 1, 1]> (hidden, w2, b2)
        [pool] pooled = GlobalAveragePool (deep)
        [flatten] flat = Flatten (pooled)
        [linear] scores = Gemm <transB: int = 1> (flat, w3)
    }}
    """
    weights = {
        "w1": noise(c, 3, 3, 3, seed=1),
        "b1": noise(c, seed=2),
        "w2": noise(c, c, 3, 3, seed=3) / 4,
        "b2": noise(c, seed=4),
        "w3": noise(CLASSES, c, seed=5),
    }
    return model_from_text(text, weights)


def images(count: int = 24) -> Array:
    """Return float32 [count, 3, 8, 8]."""
    return noise(count, 3, 8, 8)


def labels(count: int = 24) -> Array:
    """Return what the classifier answers to `images`, with some answers changed."""
    with OnnxRuntime(threads=1).open(classifier()) as session:
        answers: Array = session.run({"image": images(count)})["scores"].argmax(axis=1)
    answers[::7] = (answers[::7] + 1) % CLASSES
    return answers


def write_files(folder: Path) -> tuple[Path, Path]:
    """Write the classifier as `net.onnx` and its labelled samples as `samples.npz`."""
    save(classifier(), folder / "net.onnx")
    np.savez(folder / "samples.npz", image=images(), y=labels())
    return folder / "net.onnx", folder / "samples.npz"
