"""The ONNX operators that quantlab computes in torch, one file per family; importing this registers them all."""

from quantlab.torchgraph.ops import (
    activation,
    convolution,
    elementwise,
    linear,
)

__all__ = ["activation", "convolution", "elementwise", "linear"]
