"""A small digits classifier that is made in a moment, without training: for tests, notebooks and experiments.

Two convolutions of random weights feed a linear head that is solved by ridge regression on the train part:

    W = argmin |F W - 10 Y|² + 0.01 n |W|²      F: features [n, 512] and a 1, Y: labels, one-hot [n, 10]

About 98 % accuracy on digits of 8×8. Networks of this size learn within seconds on any machine.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx_ir as ir
from numpy.lib.stride_tricks import sliding_window_view

from quantlab.data.batch import Array
from quantlab.data.digits import COUNTS_MAXIMUM, Part, digit_counts
from quantlab.graph.model import Model
from quantlab.zoo.stress import with_channels_apart

FIRST, SECOND = 16, 32
"""Channels of the two convolutions."""

_CLASSES = 10
_RIDGE = 0.01
_TARGET = 10.0

_TEXT = f"""
<ir_version: 10, opset_import: ["": 18]>
solved (float[batch, 1, 8, 8] image, float[{FIRST}, 1, 3, 3] w1, float[{FIRST}] b1,
        float[{SECOND}, {FIRST}, 3, 3] w2, float[{SECOND}] b2, float[10, {SECOND * 16}] w3, float[10] b3)
    => (float[batch, 10] scores) {{
  [conv1] before1 = Conv<pads = [1, 1, 1, 1]>(image, w1, b1)
  [relu1] hidden1 = Relu(before1)
  [conv2] before2 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(hidden1, w2, b2)
  [relu2] hidden2 = Relu(before2)
  [flatten] features = Flatten(hidden2)
  [head] scores = Gemm<transB = 1>(features, w3, b3)
}}
"""


def small_digits(part: Part) -> tuple[Array, Array]:
    """Return the digits as they were written down, float32 [samples, 1, 8, 8] in [-1, 1], and labels, int64."""
    counts, labels = digit_counts(part)
    return (counts.astype(np.float32) / (COUNTS_MAXIMUM / 2) - 1)[:, np.newaxis], labels


def solved_network(spread: float = 1.0) -> Model:
    """Return the classifier: `image`, float32 [batch, 1, 8, 8], to `scores`, float32 [batch, 10].

    Args:
        spread: the channels between the two convolutions are 1 to this apart; see `stress.py`.
    """
    parsed = ir.from_onnx_text(_TEXT)
    weights = _weights()
    for value in [value for value in parsed.graph.inputs if value.name in weights]:
        parsed.graph.inputs.remove(value)
        value.const_value = ir.tensor(weights[value.name or ""], name=value.name)
        parsed.graph.register_initializer(value)
    return with_channels_apart(Model(parsed), "conv1", "conv2", spread)


@cache
def _weights() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(scale=np.sqrt(2 / 9), size=(FIRST, 1, 3, 3)).astype(np.float32),
        "b1": rng.normal(scale=0.1, size=FIRST).astype(np.float32),
        "w2": rng.normal(scale=np.sqrt(2 / 9 / FIRST), size=(SECOND, FIRST, 3, 3)).astype(np.float32),
        "b2": rng.normal(scale=0.1, size=SECOND).astype(np.float32),
    }
    images, labels = small_digits("train")
    hidden = _convolve_and_clip(images, weights["w1"], weights["b1"], stride=1)
    hidden = _convolve_and_clip(hidden, weights["w2"], weights["b2"], stride=2)
    features = np.c_[hidden.reshape(len(images), -1), np.ones(len(images))].astype(np.float64)
    normal = features.T @ features + _RIDGE * len(images) * np.eye(features.shape[1])
    solution = np.linalg.solve(normal, features.T @ (_TARGET * np.eye(_CLASSES)[labels]))
    weights["w3"] = np.ascontiguousarray(solution[:-1].T, np.float32)
    weights["b3"] = solution[-1].astype(np.float32)
    return weights


def _convolve_and_clip(images: Array, weight: Array, bias: Array, *, stride: int) -> Array:
    """Return Relu(Conv(images)) with a border of one pixel, float32 [samples, out, height, width]."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    summed = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    return np.asarray(np.maximum(summed + bias[:, np.newaxis, np.newaxis], 0), np.float32)
