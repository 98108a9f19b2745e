"""Models quantized by ONNX Runtime's own quantizer, calibrated on noise."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from quantlab.data.batch import Array
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import save, to_bytes
from tests.targets.quantize import noise_for


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """Two batches of noise."""

    def __init__(self, model: Model) -> None:
        self._feeds: Iterator[Mapping[str, Array]] = iter([noise_for(model, seed=seed) for seed in (1, 2)])

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._feeds, None)


def quantized_by_onnxruntime(model: Model, *, operators: bool = False, **options: Any) -> Model:
    """Return what `quantize_static` makes of a float model, by default as it does by default.

    Args:
        model: a float model.
        operators: QOperator format, that is QLinearConv and the like, instead of Q/DQ nodes.
        **options: of `quantize_static`.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        save(model, source)
        form = QuantFormat.QOperator if operators else QuantFormat.QDQ
        quantize_static(source, target, Noise(model), quant_format=form, **options)
        return load(to_bytes(load(target)))
