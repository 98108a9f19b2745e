"""ONNX Runtime's own quantizer (`onnxruntime.quantization`) on the same float model and images, to set beside ours.

It gets the prepared model, with batch norm folded, and its documented settings for this kind of processor: uint8
activations, int8 weights per channel.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantlab.data.batch import Batches, Feeds
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import save


@dataclass(frozen=True, slots=True)
class TheirCalibration:
    """What its calibrator chose.

    Attributes:
        ranges: (low, high) by tensor.
        seconds: from opening the model to the ranges.
    """

    ranges: dict[str, tuple[float, float]]
    seconds: float


def their_entropy(model: Model, batches: Batches) -> TheirCalibration:
    """Return the ranges of its entropy calibrator with its default settings."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        save(model, path)
        begin = time.perf_counter()
        operators = sorted({*QDQRegistry, *QLinearOpsRegistry})  # what quantize_static asks for
        augmented = str(Path(folder) / "augmented.onnx")
        calibrator = create_calibrator(path, operators, augmented, CalibrationMethod.Entropy)
        calibrator.collect_data(_Reader(batches))
        chosen = calibrator.compute_data()
        seconds = time.perf_counter() - begin
    bounds = {name: data.range_value for name, data in chosen.items()}
    ranges = {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
    return TheirCalibration(ranges, seconds)


def their_int8(model: Model, batches: Batches) -> Model:
    """Return the INT8 model it makes with min-max ranges, which are those of its entropy calibrator too."""
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, result = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        save(model, source)
        quantize_static(
            source,
            result,
            _Reader(batches),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return Model(load(result.read_bytes()).ir_model)


class _Reader:
    """Hands out batches as its calibrators ask for them."""

    def __init__(self, batches: Batches) -> None:
        self._feeds: Iterator[Feeds] = (batch.feeds for batch in batches)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next feeds, or None at the end."""
        feeds = next(self._feeds, None)
        return None if feeds is None else dict(feeds)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
