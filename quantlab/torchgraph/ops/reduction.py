"""Operators that reduce axes to one element, count along them or rank them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from quantlab.torchgraph.registry import op

_Reduce = Callable[[Tensor, list[int], bool], Tensor]


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001 - torch's own order
    return torch.sum(x, axes, keep, dtype=x.dtype)


def _prod(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001 - torch's own order
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keep, dtype=x.dtype)
    return x


def _max(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001 - torch's own order
    return torch.amax(x, axes, keep)


def _min(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001 - torch's own order
    return torch.amin(x, axes, keep)


def _l2(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001 - torch's own order
    # Not the root of a sum: its gradient at 0 is infinite.
    norm: Tensor = torch.linalg.vector_norm(x, 2, axes, keep)
    return norm


_REDUCTIONS: dict[str, tuple[_Reduce, tuple[int, ...], tuple[int, ...]]] = {
    # function, versions with axes as an attribute, versions with axes as an input
    "ReduceSum": (_sum, (), (13,)),
    "ReduceMean": (torch.mean, (13,), (18,)),
    "ReduceMax": (_max, (13,), (18, 20)),
    "ReduceMin": (_min, (13,), (18, 20)),
    "ReduceProd": (_prod, (13,), (18,)),
    "ReduceL1": (lambda x, axes, keep: _sum(x.abs(), axes, keep), (13,), (18,)),
    "ReduceL2": (_l2, (13,), (18,)),
    "ReduceSumSquare": (lambda x, axes, keep: _sum(x * x, axes, keep), (13,), (18,)),
    "ReduceLogSum": (lambda x, axes, keep: torch.log(_sum(x, axes, keep)), (13,), (18, 28)),
    "ReduceLogSumExp": (torch.logsumexp, (13,), (18, 28)),
}


def _register(op_type: str, reduce: _Reduce, by_attribute: tuple[int, ...], by_input: tuple[int, ...]) -> None:
    def with_attribute(data: Tensor, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Tensor:
        return reduce(data, list(axes if axes is not None else range(data.ndim)), bool(keepdims))

    def with_input(
        data: Tensor, axes: Tensor | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> Tensor:
        chosen = [] if axes is None else axes.tolist()
        if not chosen and noop_with_empty_axes:
            return _elementwise(op_type, data)
        return reduce(data, chosen or list(range(data.ndim)), bool(keepdims))

    with_attribute.__qualname__ = with_input.__qualname__ = op_type
    op(op_type, since=by_attribute)(with_attribute)
    op(op_type, since=by_input, host=(1,))(with_input)


def _elementwise(op_type: str, x: Tensor) -> Tensor:
    """Reduce over no axes: what a reduction does to a single element."""
    if op_type in ("ReduceL1", "ReduceL2"):
        return x.abs()
    if op_type == "ReduceSumSquare":
        return x * x
    return torch.log(x) if op_type == "ReduceLogSum" else x


for _name, (_function, _by_attribute, _by_input) in _REDUCTIONS.items():
    _register(_name, _function, _by_attribute, _by_input)


@op("ArgMax", since=13)
def arg_max(data: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Return the place of the largest element of an axis, the first or the last of equals."""
    if not select_last_index:
        return torch.argmax(data, axis, bool(keepdims))
    return data.shape[axis] - 1 - torch.argmax(data.flip(axis), axis, bool(keepdims))


@op("ArgMin", since=13)
def arg_min(data: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Return the place of the smallest element of an axis, the first or the last of equals."""
    if not select_last_index:
        return torch.argmin(data, axis, bool(keepdims))
    return data.shape[axis] - 1 - torch.argmin(data.flip(axis), axis, bool(keepdims))


@op("CumSum", since=(11, 14), host=(1,))
def cum_sum(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Add up along an axis, from either end, with or without the element itself."""
    along = int(axis)
    values = x.flip(along) if reverse else x
    total = torch.cumsum(values, along, dtype=x.dtype)
    total = total - values if exclusive else total
    return total.flip(along) if reverse else total


@op("TopK", since=(11, 24), host=(1,))
def top_k(x: Tensor, k: Tensor, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:  # noqa: A002
    """Return the k largest or smallest elements of an axis and their places; of equals the first."""
    values, places = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    count = int(k)
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)
