"""Trained network in torch, its INT8 model in the runtime, augmented samples: is what is deployed what was trained?

The bundled digits network, its ranges cut too tight on purpose so that training has work to do. Samples are the
evaluation digits, each turned into sixteen: moved by up to three pixels, with noise. For TensorRT its model is computed
literally, pair by pair, since TensorRT itself is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

import quantlab
from benchmarks.finding import Finding
from quantlab.data.arrays import array_source
from quantlab.data.batch import Array, Batches
from quantlab.data.digits import DigitsSource
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.qat import QatRun, QatSettings, finish, prepare
from quantlab.qat.parity import Parity, parity_of

TRAINED_ON = 256
COPIES = 16
SMALLEST_SHARE = 99.9
FARTHEST_PIXELS = 3
NOISE = 0.1
BATCH_SIZE = 256


def run() -> Iterator[Finding]:
    """Train for each target, and compare on all augmented samples."""
    for target in ("onnxruntime", "tensorrt"):
        trained = _trained(target)
        parity = _parity(trained, is_deployed=target == "onnxruntime")
        share = 100 * (parity.share or 0.0)
        counted = (
            f"{parity.agreeing} of {parity.answers} answers, {trained.history.best.number} epochs of training kept"
        )
        yield Finding(f"digits, {target}: equal answers", share, " %", at_least=SMALLEST_SHARE, detail=counted)
        unit = " steps" if parity.is_quantized else " steps, were the float output quantized"
        yield Finding(f"digits, {target}: worst error of the output", parity.worst_steps or 0.0, unit)


def _trained(target: str) -> QatRun:
    return quantlab.qat.train(
        settings=QatSettings(learn_scales=True, train_samples=TRAINED_ON, device="cpu"),
        calibrator="percentile",
        calibrator_options={"percentile": 90.0},
        targets=(target,),
        latency_batches=(),
        eval_samples=TRAINED_ON,
    )


def _parity(trained: QatRun, *, is_deployed: bool) -> Parity:
    module = prepare(trained.qdq_model)
    samples = Batches(array_source(_augmented(), trained.model.inputs), BATCH_SIZE)
    engine = OnnxRuntime(optimization="all" if is_deployed else "none")
    with engine.open(finish(module)) as session:
        return parity_of(module, session, samples, device=torch.device("cpu"), output=trained.model.outputs[0])


def _augmented() -> Array:
    """Return the evaluation digits, float32 [640 · copies, 1, 32, 32], moved and noisy."""
    rng = np.random.default_rng(0)
    images = np.concatenate(
        [batch.feeds["image"] for batch in Batches(DigitsSource("evaluation", "image"), BATCH_SIZE)]
    )
    moves = rng.integers(-FARTHEST_PIXELS, FARTHEST_PIXELS + 1, (len(images) * COPIES, 2))
    moved = [np.roll(image, move, (1, 2)) for image, move in zip(np.repeat(images, COPIES, axis=0), moves, strict=True)]
    return np.asarray(np.stack(moved) + rng.normal(scale=NOISE, size=(len(moved), *images.shape[1:])), np.float32)
