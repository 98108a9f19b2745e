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

digits = small_digits


def augmented(images: Array, copies: int, seed: int = 0) -> Array:
    """Return so many copies of each image, each moved by up to a pixel and with noise on it."""
    rng = np.random.default_rng(seed)
    moved = [np.roll(image, rng.integers(-1, 2, 2), (1, 2)) for image in np.repeat(images, copies, axis=0)]
    return np.asarray(np.stack(moved) + rng.normal(scale=0.1, size=(len(moved), 1, 8, 8)), np.float32)


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
