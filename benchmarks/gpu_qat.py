"""A network trained for a target in several ways: FP32, after-training and trained accuracy, and how fast it goes.

The networks are trained here first, in float32, to say which photograph a crop is from (`picture_task`). Everything is
judged on crops from parts of the photographs that no training has seen. Ranges are minmax's, of the calibrators the one
that loses most, so that there is something to win back; `distill` leaves scales as they are, `lsq` learns them too.
For TensorRT weights also get one scale a tensor, which costs networks with depthwise convolutions most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.finding import Finding
from benchmarks.picture_task import PictureTask, Samples
from benchmarks.scale import Scale
from benchmarks.trained import TRAINABLE, train_float
from quantlab.evaluation.evaluation import Row
from quantlab.graph.model import Model
from quantlab.qat import QatRun, QatSettings
from quantlab.qat import train as train_quantized
from quantlab.targets import WeightScales

_SIDE = 128


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to train: what it is called, whether scales learn, and what has a scale of its own in a weight."""

    title: str
    learn_scales: bool
    weight_scales: WeightScales = "per-channel"


_WAYS = {
    "onnxruntime": (_Way("distill", learn_scales=False), _Way("lsq", learn_scales=True)),
    "tensorrt": (
        _Way("distill", learn_scales=False),
        _Way("lsq", learn_scales=True),
        _Way("lsq, weights per tensor", learn_scales=True, weight_scales="per-tensor"),
    ),
}


def of_network(name: str, target: str) -> Callable[[Scale], Iterator[Finding]]:
    """Return the benchmark of one network of `TRAINABLE` for one target."""

    def run(scale: Scale) -> Iterator[Finding]:
        network = TRAINABLE[name]
        task = PictureTask(_SIDE if not scale.is_tiny else 32)
        trained_on = task.samples(scale.of(8192, 96), is_training=True, seed=0)
        judged_on = task.samples(scale.of(2048, 40), is_training=False, seed=0)
        begun = time.perf_counter()
        epochs = scale.of(network.epochs, 1)
        model = train_float(network, trained_on, classes=len(task.classes), epochs=epochs, device=scale.device)
        seconds = time.perf_counter() - begun
        detail = f"{epochs} epochs of {len(trained_on.labels)} crops, {len(task.classes)} photographs"
        yield Finding(f"{network.title} trained in FP32 and exported", seconds, " s", detail=detail)
        for way in _WAYS[target]:
            settings = QatSettings(
                epochs=scale.of(3, 1), learn_scales=way.learn_scales, batch_size=64, device=scale.device
            )
            made = _trained(model, (trained_on, judged_on), settings, target, way.weight_scales)
            yield from _findings(f"{network.title} {target} {way.title}", target, made, len(trained_on.labels))

    return run


def _trained(
    model: Model, parts: tuple[Samples, Samples], settings: QatSettings, target: str, weight_scales: WeightScales
) -> QatRun:
    trained_on, judged_on = parts
    samples = {"pixels": trained_on.pixels, "labels": trained_on.labels}
    return train_quantized(
        model,
        samples,
        train_data=samples,
        eval_data={"pixels": judged_on.pixels, "labels": judged_on.labels},
        settings=settings,
        targets=(target,),
        weight_scales=weight_scales,
        calibrator="minmax",
        latency_batches=(),
    )


def _findings(title: str, target: str, made: QatRun, samples: int) -> Iterator[Finding]:
    rows = [made.evaluation.reference, *(made.evaluation.row(f"{target} {stage}") for stage in ("ptq", "qat"))]
    simulated = ", simulated" if rows[-1].is_simulated else ""
    shown = ", ".join(f"{name} {_accuracy(row):.2f} %" for name, row in zip(("FP32", "PTQ", "QAT"), rows, strict=True))
    detail = f"{shown}{simulated}; epoch {made.history.best.number} of {made.settings.epochs} kept; {rows[-1].drop}"
    yield Finding(f"{title} accuracy after QAT", _accuracy(rows[-1]), " %", detail=detail)
    epochs = [record for record in made.history.records if record.number > 0]
    seconds = sorted(record.seconds for record in epochs)[len(epochs) // 2]
    detail = f"{samples / seconds:.0f} images/s, those that only judge included"
    yield Finding(f"{title} time per epoch", seconds, " s", detail=detail)


def _accuracy(row: Row) -> float:
    return 100 * float(row.correct.mean()) if row.correct is not None else float("nan")
