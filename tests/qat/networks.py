"""A small digits classifier that is made without training, so that tests of training start within milliseconds.

Two random convolutions feed a linear head that is solved by ridge regression: about 98 % accuracy on 8×8 digits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx_ir as ir
import torch

from quantlab.data.arrays import array_source
from quantlab.data.batch import Array, Batches
from quantlab.data.digits import Part, sample_numbers
from quantlab.data.digits import _archive as digits_archive
from quantlab.graph.model import Model
from quantlab.job import Inputs, Job, open_job
from quantlab.pipeline import quantize
from quantlab.qat.start import Start, start_from_quantized
from quantlab.recipe import Recipe
from quantlab.resume import collect_for
from tests.models import model_from_text

FIRST, SECOND = 16, 32

TEXT = f"""
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


def digits(part: Part) -> tuple[Array, Array]:
    """Return 8×8 images, float32 [samples, 1, 8, 8] in [-1, 1], and labels."""
    archive = digits_archive()
    numbers = sample_numbers(part)
    return (archive.counts[numbers].astype(np.float32) / 8 - 1)[:, np.newaxis], archive.labels[numbers]


def augmented(images: Array, copies: int, seed: int = 0) -> Array:
    """Return so many copies of each image, each moved by up to a pixel and with noise on it."""
    rng = np.random.default_rng(seed)
    moved = [np.roll(image, rng.integers(-1, 2, 2), (1, 2)) for image in np.repeat(images, copies, axis=0)]
    return np.asarray(np.stack(moved) + rng.normal(scale=0.1, size=(len(moved), 1, 8, 8)), np.float32)


def solved_network(spread: float = 1.0) -> Model:
    """Return the classifier.

    Args:
        spread: the outputs of the first convolution are scaled by 1 to `spread`, channel by channel, and the inputs
            of the second down again: the function stays the same, but one scale for all channels no longer fits.
    """
    return with_channels_apart(model_from_text(TEXT, _weights()), "conv1", "conv2", spread)


def with_channels_apart(model: Model, first: str, second: str, spread: float) -> Model:
    """Return a model with the outputs of one convolution scaled, and the inputs of the next scaled back.

    Args:
        model: left as it is; nothing but a Relu is between the two.
        first: the name of the convolution before.
        second: and of the one after.
        spread: the channels are scaled by 1 to this.
    """
    clone = model.clone()
    nodes = clone.nodes_by_name()
    weight, bias, reader = nodes[first].inputs[1], nodes[first].inputs[2], nodes[second].inputs[1]
    assert weight is not None
    channels = model.constant(weight.name or "").shape[0]
    factors = np.random.default_rng(7).permutation(np.geomspace(1, spread, channels)).astype(np.float32)
    shaped = ((weight, factors[:, None, None, None]), (bias, factors), (reader, 1 / factors[:, None, None]))
    for value, factor in shaped:
        assert value is not None
        value.const_value = ir.tensor(np.asarray(model.constant(value.name or "") * factor), name=value.name)
    return clone


@cache
def _weights() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(scale=np.sqrt(2 / 9), size=(FIRST, 1, 3, 3)).astype(np.float32),
        "b1": rng.normal(scale=0.1, size=FIRST).astype(np.float32),
        "w2": rng.normal(scale=np.sqrt(2 / 9 / FIRST), size=(SECOND, FIRST, 3, 3)).astype(np.float32),
        "b2": rng.normal(scale=0.1, size=SECOND).astype(np.float32),
    }
    images, labels = digits("train")
    w1, b1, w2, b2 = (torch.from_numpy(weight) for weight in weights.values())
    hidden = torch.relu(torch.nn.functional.conv2d(torch.from_numpy(images), w1, b1, padding=1))
    hidden = torch.relu(torch.nn.functional.conv2d(hidden, w2, b2, stride=2, padding=1))
    features = np.c_[hidden.numpy().reshape(len(images), -1), np.ones(len(images))].astype(np.float64)
    normal = features.T @ features + 0.01 * len(images) * np.eye(features.shape[1])
    solution = np.linalg.solve(normal, features.T @ (10.0 * np.eye(10)[labels]))
    weights["w3"] = np.ascontiguousarray(solution[:-1].T, np.float32)
    weights["b3"] = solution[-1].astype(np.float32)
    return weights


def small_job(model: Model | None = None) -> Job:
    """Return the job of quantizing the classifier."""
    recipe = Recipe(threads=1, latency_batches=(), samples=128)
    return open_job(recipe, Inputs(model or solved_network(), digits("calibration"), digits("evaluation")))


def start_of(job: Job) -> Start:
    """Return the Q/DQ model of a job's target, ready to be trained."""
    ((_, plan),) = job.plans.items()
    made = quantize(job, plan, collect_for(job).statistics, job.recipe.calibrator_with_options())
    return start_from_quantized(job.model, made)


def training_batches(job: Job, samples: int = 96) -> Batches:
    """Return a few training samples, labelled."""
    images, labels = digits("train")
    return Batches(array_source((images[:samples], labels[:samples]), job.model.inputs, name="train"))


def integers_of(model: Model) -> list[bytes]:
    """Return the integers of weights and biases, in an order that does not depend on names."""
    tensors = [value.const_value for value in model.graph.initializers.values() if value.const_value is not None]
    integers = (ir.DataType.INT8, ir.DataType.INT32)
    return sorted(tensor.numpy().tobytes() for tensor in tensors if tensor.dtype in integers)
