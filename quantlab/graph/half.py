"""Whether a model computes in half precision, in which numbers beyond 65504 are infinite."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.model import Model


def is_half(model: Model) -> bool:
    """Return whether any tensor of the model is float16, by the types that stand in it."""
    return any(value.dtype == ir.DataType.FLOAT16 for value in model.values_by_name().values())
