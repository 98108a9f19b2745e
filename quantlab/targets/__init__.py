"""What a runtime can run in INT8, as data and rules."""

from __future__ import annotations

from collections.abc import Callable

from quantlab.errors import RecipeError
from quantlab.targets.onnxruntime import OnnxRuntime
from quantlab.targets.target import Target, WeightScales
from quantlab.targets.tensorrt import TensorRT

__all__ = ["TARGETS", "OnnxRuntime", "Target", "TensorRT", "WeightScales", "target_named"]

TARGETS: dict[str, Callable[[], Target]] = {"onnxruntime": OnnxRuntime, "tensorrt": TensorRT}


def target_named(name: str, *, weight_scales: WeightScales = "per-channel") -> Target:
    """Return the target that users call by a name.

    Args:
        name: one of `TARGETS`.
        weight_scales: of `tensorrt`; the kernels of `onnxruntime` are as fast with a scale per channel, which it gets.

    Raises:
        RecipeError: there is none; the message lists those there are.
    """
    if name not in TARGETS:
        raise RecipeError(f"target: {name!r} is unknown; use one of {', '.join(sorted(TARGETS))}")
    return TensorRT(weight_scales=weight_scales) if name == "tensorrt" else TARGETS[name]()
