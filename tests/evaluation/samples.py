"""A small classifier, its quantized relatives and samples, for evaluation tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quantlab.data.arrays import ArraySource
from quantlab.data.batch import Batches
from quantlab.graph.model import Model
from tests.engines.models import model_from_text

WEIGHT = "{1.0, -0.5, 0.25, 0.75, 1.0, -1.0, -0.25, 0.5, 1.0, 0.5, -1.0, 0.25}"


def classifier(batch: str = "N") -> Model:
    """Logits [batch, 3] of x [batch, 4]."""
    return model_from_text(
        f"""
        float_classifier (float[{batch}, 4] x) => (float[{batch}, 3] logits)
        <float[4, 3] w = {WEIGHT}> {{
          [product] logits = MatMul(x, w)
        }}
        """
    )


def quantized_classifier(scale: float = 0.01) -> Model:
    """The same with its input rounded to multiples of `scale`, int8."""
    return model_from_text(
        f"""
        quantized_classifier (float[N, 4] x) => (float[N, 3] logits)
        <float[4, 3] w = {WEIGHT}, float s = {{{scale}}}, int8 z = {{0}}> {{
          [quantize] x_quantized = QuantizeLinear(x, s, z)
          [dequantize] x_dequantized = DequantizeLinear(x_quantized, s, z)
          [product] logits = MatMul(x_dequantized, w)
        }}
        """
    )


def samples(
    count: int, model: Model, *, batch_size: int = 7, labels: npt.NDArray[np.int64] | None = None, seed: int = 0
) -> Batches:
    """Normal samples x [count, 4], in eighths: so all sums of products with the weights are exact, in any order."""
    x = (np.rint(8 * np.random.default_rng(seed).standard_normal((count, 4))) / 8).astype(np.float32)
    return batches_of({"x": x}, model, batch_size=batch_size, labels=labels)


def batches_of(
    arrays: Mapping[str, npt.NDArray[np.float32]],
    model: Model,
    *,
    batch_size: int = 7,
    labels: npt.NDArray[np.int64] | None = None,
) -> Batches:
    return Batches(ArraySource("made up", model.inputs, arrays, labels), batch_size)
