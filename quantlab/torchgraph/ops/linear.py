"""Matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from quantlab.torchgraph.registry import op


@op("MatMul", since=13, weights=(0, 1))
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product, batched over leading axes as numpy does."""
    return torch.matmul(a, b)


@op("Gemm", since=13, weights=(1, 2))
def gemm(  # noqa: PLR0913 - ONNX's parameters
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803 - ONNX's name
    transB: int = 0,  # noqa: N803 - ONNX's name
) -> Tensor:
    """Return alpha A B + beta C, with C broadcast to the product [M, N]."""
    left = a.t() if transA else a
    if alpha == 1.0 and (c is None or (beta == 1.0 and c.ndim == 1)):
        return functional.linear(left, b if transB else b.t(), c)  # the layer of a classifier, in one call
    product = torch.matmul(left, b.t() if transB else b)
    product = product if alpha == 1.0 else product * alpha
    return product if c is None else product + (c if beta == 1.0 else c * beta)


@op("Einsum", since=(12, 28), weights=(0, 1))
def einsum(*inputs: Tensor, equation: str) -> Tensor:
    """Return the sum of products that an equation describes."""
    return torch.einsum(equation.replace(" ", ""), *inputs)
