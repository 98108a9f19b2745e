"""Operators that make tensors out of shapes and numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from quantlab.torchgraph.registry import op
from quantlab.torchgraph.tensors import dtype_of


@op("ConstantOfShape", since=(9, 20, 21, 23, 24, 25), host=(0,))
def constant_of_shape(input: Tensor, *, value: Tensor | None = None) -> Tensor:  # noqa: A002 - ONNX's name
    """Return a tensor of one value, by default float32 zeros."""
    fill = torch.zeros(()) if value is None else value.reshape(())
    return fill.expand(input.tolist()).clone()


@op("Range", since=(11, 27), host=(0, 1, 2))
def range(start: Tensor, limit: Tensor, delta: Tensor, *, stash_type: int = 1) -> Tensor:  # noqa: A001
    """Count from start to limit, which is left out; `stash_type` concerns 16-bit floats only."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@op("EyeLike", since=(9, 22))
def eye_like(input: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:  # noqa: A002 - ONNX's name
    """Return a matrix with ones on the k-th diagonal, of the input's shape."""
    ones = torch.ones_like(input, dtype=input.dtype if dtype is None else dtype_of(dtype))
    return torch.triu(torch.tril(ones, k), k)


@op("OneHot", since=(11, 28), host=(1,))
def one_hot(indices: Tensor, depth: Tensor, values: Tensor, *, axis: int = -1) -> Tensor:
    """Return values[1] where the new axis counts the index, values[0] elsewhere; indices may be negative."""
    length = int(depth)
    hot = torch.arange(length, device=indices.device)
    index = indices.to(torch.int64)
    index = torch.where(index < 0, index + length, index)
    at = axis % (indices.ndim + 1)
    is_hot = index.unsqueeze(at) == hot.reshape(-1, *(1,) * (indices.ndim - at))
    return torch.where(is_hot, values[1], values[0])
