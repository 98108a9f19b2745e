"""Activation functions."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from quantlab.torchgraph.registry import op


@op("Relu", since=(13, 14))
def relu(x: Tensor) -> Tensor:
    """Return max(x, 0)."""
    return torch.relu(x)


@op("Sigmoid", since=13)
def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


@op("Tanh", since=13)
def tanh(input: Tensor) -> Tensor:  # noqa: A002 - ONNX's name
    """Return the hyperbolic tangent."""
    return torch.tanh(input)


@op("LeakyRelu", since=(6, 16))
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """Return x, below 0 times alpha."""
    return functional.leaky_relu(x, alpha)


@op("PRelu", since=(9, 16), weights=(1,))
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """Return x, below 0 times slope; the slope broadcasts to x."""
    return torch.where(x < 0, x * slope, x)


@op("ThresholdedRelu", since=(10, 22))
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Return x where it is above alpha, 0 elsewhere."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


@op("Elu", since=(6, 22))
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Return x, below 0 alpha (exp(x) - 1)."""
    return functional.elu(x, alpha)


@op("Celu", since=(12, 28))
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Return x, below 0 alpha (exp(x / alpha) - 1)."""
    return functional.celu(x, alpha)


@op("Selu", since=(6, 22))
def selu(x: Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Tensor:
    """Return gamma times x, below 0 gamma alpha (exp(x) - 1)."""
    return gamma * functional.elu(x, alpha)


@op("Softplus", since=(1, 22))
def softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp(x))."""
    return functional.softplus(x)


@op("Softsign", since=(1, 22))
def softsign(input: Tensor) -> Tensor:  # noqa: A002 - ONNX's name
    """Return x / (1 + |x|)."""
    return functional.softsign(input)


@op("HardSigmoid", since=(6, 22))
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """Return alpha x + beta, limited to [0, 1]."""
    return torch.clamp(x * alpha + beta, 0.0, 1.0)


@op("HardSwish", since=(14, 22))
def hard_swish(x: Tensor) -> Tensor:
    """Return x times (x / 6 + 1 / 2), the factor limited to [0, 1]."""
    return functional.hardswish(x)


@op("Swish", since=24)
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Return x sigmoid(alpha x)."""
    return x * torch.sigmoid(alpha * x)


@op("Mish", since=(18, 22))
def mish(x: Tensor) -> Tensor:
    """Return x tanh(log(1 + exp(x)))."""
    return functional.mish(x)


@op("Gelu", since=20)
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """Return x times the normal distribution function of x, or its tanh approximation."""
    return functional.gelu(x, approximate=approximate)


@op("Softmax", since=13)
def softmax(input: Tensor, *, axis: int = -1) -> Tensor:  # noqa: A002 - ONNX's name
    """Return exp(x), normalized along an axis."""
    return torch.softmax(input, axis)


@op("LogSoftmax", since=13)
def log_softmax(input: Tensor, *, axis: int = -1) -> Tensor:  # noqa: A002 - ONNX's name
    """Return the logarithm of softmax."""
    return torch.log_softmax(input, axis)


@op("Dropout", since=(13, 22))
def dropout(
    data: Tensor,
    ratio: Tensor | None = None,
    training_mode: Tensor | None = None,
    *,
    seed: int = 0,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the data unchanged: graphs hold the inference form, also while they are trained."""
    return data if outputs == 1 else (data, torch.ones_like(data, dtype=torch.bool))
