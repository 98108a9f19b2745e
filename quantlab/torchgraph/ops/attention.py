"""Scaled dot product attention as one operator: softmax(scale Q Kᵀ + mask) V.

Prepared models hold its parts instead, since only those can be quantized. What decoders add, a cache of past keys
and windows that slide over it, is refused.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.registry import op
from quantlab.torchgraph.tensors import dtype_of


@op("Attention", since=(23, 24, 25))
def attention(  # noqa: PLR0913 - ONNX's parameters
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    nonpad_kv_seqlen: Tensor | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
    outputs: int = 1,
) -> Tensor:
    """Return for each query the values, weighted by how well their keys fit; heads may share keys and values."""
    if past_key is not None or past_value is not None or nonpad_kv_seqlen is not None or outputs > 1:
        raise ModelError("Attention with a cache of past keys, or with inner results as outputs, is not computed")
    if left_window_size >= 0 or right_window_size >= 0:
        raise ModelError("Attention within a window is not computed; export the model with its mask")
    queries, keys, values = _heads(q, q_num_heads), _heads(k, kv_num_heads), _heads(v, kv_num_heads)
    groups = queries.shape[1] // keys.shape[1]
    factor = 1.0 / math.sqrt(queries.shape[-1]) if scale is None else scale
    root = math.sqrt(factor)  # on either side of the product, as ONNX wants it, so that float16 does not overflow
    scores = (queries * root) @ (keys.repeat_interleave(groups, 1) * root).transpose(-1, -2)
    scores = torch.tanh(scores / softcap) * softcap if softcap else scores
    scores = _masked(scores, attn_mask, is_causal=bool(is_causal))
    precise = scores if softmax_precision is None else scores.to(dtype_of(softmax_precision))
    is_empty = torch.isneginf(precise).all(-1, keepdim=True)  # a query that attends to nothing gives 0
    weights = torch.softmax(precise.masked_fill(is_empty, 0.0), -1).masked_fill(is_empty, 0.0)
    context = weights.to(values.dtype) @ values.repeat_interleave(groups, 1)
    return context if q.ndim == 4 else context.transpose(1, 2).flatten(2)


def _heads(x: Tensor, heads: int | None) -> Tensor:
    """Return [batch, heads, length, size]."""
    if x.ndim == 4:
        return x
    if heads is None:
        raise ModelError("Attention of tensors with three axes lacks q_num_heads or kv_num_heads")
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _masked(scores: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor:
    """Set scores of pairs that must not attend to minus infinity, or add a float mask."""
    nothing = torch.full((), float("-inf"), dtype=scores.dtype, device=scores.device)
    if mask is not None:
        if mask.shape[-1] < scores.shape[-1]:
            rest = scores.shape[-1] - mask.shape[-1]
            blank = False if mask.dtype == torch.bool else float("-inf")
            mask = torch.nn.functional.pad(mask, (0, rest), value=blank)
        scores = torch.where(mask, scores, nothing) if mask.dtype == torch.bool else scores + mask
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = torch.where(allowed, scores, nothing)
    return scores
