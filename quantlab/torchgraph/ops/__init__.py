"""The ONNX operators that quantlab computes in torch, one file per family; importing this registers them all."""

from quantlab.torchgraph.ops import (
    activation,
    attention,
    convolution,
    elementwise,
    generation,
    indexing,
    linear,
    normalization,
    padding,
    pooling,
    quantization,
    reduction,
    resize,
    shape,
)

__all__ = [
    "activation",
    "attention",
    "convolution",
    "elementwise",
    "generation",
    "indexing",
    "linear",
    "normalization",
    "padding",
    "pooling",
    "quantization",
    "reduction",
    "resize",
    "shape",
]
