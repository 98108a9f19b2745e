"""Normalizations: of a layer, of groups of channels, and the inference form of batch normalization."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.registry import op


@op("BatchNormalization", since=(9, 14, 15), weights=(1, 2))
def batch_normalization(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    scale: Tensor,
    b: Tensor,
    input_mean: Tensor,
    input_var: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Tensor:
    """Normalize each channel with constant mean and variance; statistics of the batch are never taken."""
    if training_mode:
        raise ModelError("batch normalization in training mode; export the model in evaluation mode")
    # A constant that is both mean and scale is a parameter, which torch refuses as a mean.
    mean, variance = input_mean.detach(), input_var.detach()
    return functional.batch_norm(x, mean, variance, scale, b, training=False, eps=epsilon)


@op("InstanceNormalization", since=(6, 22), weights=(1, 2))
def instance_normalization(input: Tensor, scale: Tensor, b: Tensor, *, epsilon: float = 1e-5) -> Tensor:  # noqa: A002
    """Normalize each channel of each sample."""
    return functional.group_norm(input, input.shape[1], scale, b, epsilon)


@op("GroupNormalization", since=21, weights=(1, 2))
def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Normalize groups of channels of each sample; gain and shift are per channel."""
    return functional.group_norm(x, num_groups, scale, bias, epsilon)


@op("LayerNormalization", since=17, weights=(1, 2))
def layer_normalization(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    scale: Tensor,
    b: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize the axes from `axis` on; further outputs are the mean and one over the standard deviation."""
    axes = list(range(axis % x.ndim, x.ndim))
    sizes = x.shape[axes[0] :]
    if scale.shape == sizes and (b is None or b.shape == sizes):
        result = functional.layer_norm(x, sizes, scale, b, epsilon)
    else:  # ONNX lets gain and shift broadcast
        result = functional.layer_norm(x, sizes, eps=epsilon) * scale
        result = result if b is None else result + b
    if outputs == 1:
        return result
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return result, mean, torch.rsqrt(variance + epsilon)


@op("RMSNormalization", since=23, weights=(1,))
def rms_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Divide the axes from `axis` on by the root of their mean square."""
    axes = list(range(axis % x.ndim, x.ndim))
    return x * torch.rsqrt(torch.mean(x * x, axes, keepdim=True) + epsilon) * scale


@op("LpNormalization", since=(1, 22))
def lp_normalization(input: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:  # noqa: A002 - ONNX's name
    """Divide an axis by its 1-norm or 2-norm; where that is 0, the result is 0."""
    norm = torch.linalg.vector_norm(input, p, axis, keepdim=True)
    return input / torch.where(norm == 0, torch.ones_like(norm), norm)
