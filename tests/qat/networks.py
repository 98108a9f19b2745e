"""Jobs, batches and noisy copies around the small digits classifier of the zoo, for tests of training."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.data.arrays import array_source
from quantlab.data.batch import Array, Batches
from quantlab.graph.model import Model
from quantlab.job import Inputs, Job, open_job
from quantlab.pipeline import quantize
from quantlab.qat.start import Start, start_from_quantized
from quantlab.recipe import Recipe
from quantlab.resume import collect_for
from quantlab.zoo.solved import small_digits
from quantlab.zoo.solved import solved_network as solved_network
from tests.models import model_from_text, noise

digits = small_digits


def augmented(images: Array, copies: int, seed: int = 0) -> Array:
    """Return so many copies of each image, each moved by up to a pixel and with noise on it."""
    rng = np.random.default_rng(seed)
    moved = [np.roll(image, rng.integers(-1, 2, 2), (1, 2)) for image in np.repeat(images, copies, axis=0)]
    return np.asarray(np.stack(moved) + rng.normal(scale=0.1, size=(len(moved), 1, 8, 8)), np.float32)


def small_job(model: Model | None = None, target: str = "onnxruntime") -> Job:
    """Return the job of quantizing the classifier."""
    recipe = Recipe(threads=1, latency_batches=(), samples=128, targets=(target,))
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


def joined_network() -> Model:
    """Return a classifier of random weights whose two branches share an encoding for TensorRT, being concatenated."""
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    joined (float[batch, 1, 8, 8] image, float[32, 1, 3, 3] w1, float[32, 32, 3, 3] w2, float[32, 32, 3, 3] w3,
            float[32, 64, 3, 3] w4, float[32, 10] w5) => (float[batch, 10] scores)
    {
        c1 = Conv <pads: ints = [1, 1, 1, 1]> (image, w1)
        first = Relu (c1)
        c2 = Conv <pads: ints = [1, 1, 1, 1]> (first, w2)
        left = Relu (c2)
        c3 = Conv <pads: ints = [1, 1, 1, 1]> (first, w3)
        right = Relu (c3)
        both = Concat <axis: int = 1> (left, right)
        c4 = Conv <pads: ints = [1, 1, 1, 1]> (both, w4)
        last = Relu (c4)
        pooled = GlobalAveragePool (last)
        flat = Flatten (pooled)
        scores = MatMul (flat, w5)
    }
    """
    shapes = {"w1": (32, 1, 3, 3), "w2": (32, 32, 3, 3), "w3": (32, 32, 3, 3), "w4": (32, 64, 3, 3), "w5": (32, 10)}
    fans = {"w1": 9, "w2": 288, "w3": 288, "w4": 576, "w5": 32}
    scales = {name: np.float32((2 / fans[name]) ** 0.5) for name in shapes}
    scales["w3"] *= 3  # so that the branches would choose ranges of their own
    return model_from_text(text, {name: scales[name] * noise(*shape) for name, shape in shapes.items()})


def integers_of(model: Model) -> list[bytes]:
    """Return the integers of weights and biases, in an order that does not depend on names."""
    tensors = [value.const_value for value in model.graph.initializers.values() if value.const_value is not None]
    integers = (ir.DataType.INT8, ir.DataType.INT32)
    return sorted(tensor.numpy().tobytes() for tensor in tensors if tensor.dtype in integers)
