"""Convolutions over one, two or three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as functional
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph.ops.windows import Window, pad_spatial
from quantlab.torchgraph.registry import op

_CONVOLUTIONS: tuple[Any, ...] = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED: tuple[Any, ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)


@op("Conv", since=(11, 22), weights=(1, 2))
def conv(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] = (),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Tensor:
    """Convolve x [N, C, ...] with w [M, C / group, ...]."""
    window = Window.of(w.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad)
    window = window.placed(x.shape[2:])
    if not window.is_symmetric:
        x, window = pad_spatial(x, window.pads), window.without_pads()
    compute = _of_rank(_CONVOLUTIONS, x)
    result: Tensor = compute(x, w, b, window.strides, window.pads_begin, window.dilations, group)
    return result


@op("ConvTranspose", since=(11, 22), weights=(1, 2))
def conv_transpose(  # noqa: PLR0913 - ONNX's parameters
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] = (),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    output_shape: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Tensor:
    """Spread x [N, C, ...] with w [C, M / group, ...], then cut the pads off."""
    window = Window.of(w.shape[2:], strides=strides, dilations=dilations, pads=pads)
    extra = tuple(output_padding) or (0,) * window.rank
    wanted = tuple(output_shape)
    if not wanted and auto_pad.startswith("SAME"):
        wanted = tuple(size * stride for size, stride in zip(x.shape[2:], window.strides, strict=True))
    if wanted:
        window = window.with_pads(_pads_for(wanted[-window.rank :], x.shape[2:], window, extra, auto_pad))
    compute = _of_rank(_TRANSPOSED, x)
    fits = all(more < max(step, gap) for more, step, gap in zip(extra, window.strides, window.dilations, strict=True))
    if window.is_symmetric and fits:
        result: Tensor = compute(x, w, b, window.strides, window.pads_begin, extra, group, window.dilations)
        return result
    spread = compute(x, w, None, window.strides, 0, 0, group, window.dilations)
    ends = tuple(more - end for more, end in zip(extra, window.pads_end, strict=True))
    spread = pad_spatial(spread, (*(-begin for begin in window.pads_begin), *ends))
    return spread if b is None else spread + b.reshape(-1, *(1,) * window.rank)


def _pads_for(
    wanted: Sequence[int], sizes: Sequence[int], window: Window, extra: Sequence[int], auto_pad: str
) -> tuple[int, ...]:
    """Return the pads that leave an output of the wanted size; negative where it must grow."""
    rows = zip(wanted, sizes, window.strides, window.spans, extra, strict=True)
    totals = [stride * (size - 1) + more + span - want for want, size, stride, span, more in rows]
    halves = [total // 2 for total in totals]
    others = [total - half for total, half in zip(totals, halves, strict=True)]
    return (*halves, *others) if auto_pad == "SAME_UPPER" else (*others, *halves)


def _of_rank(functions: tuple[Any, ...], x: Tensor) -> Any:  # noqa: ANN401 - torch's functions differ in type
    rank = x.ndim - 2
    if not 1 <= rank <= len(functions):
        raise ModelError(f"convolution over {rank} spatial axes; torch has 1, 2 and 3")
    return functions[rank - 1]
