"""Operators that compute each element from the elements at the same place, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from quantlab.torchgraph.registry import op
from quantlab.torchgraph.tensors import dtype_of

_UNARY: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "Abs": (torch.abs, (13,)),
    "Acos": (torch.acos, (7, 22)),
    "Acosh": (torch.acosh, (9, 22)),
    "Asin": (torch.asin, (7, 22)),
    "Asinh": (torch.asinh, (9, 22)),
    "Atan": (torch.atan, (7, 22)),
    "Atanh": (torch.atanh, (9, 22)),
    "BitwiseNot": (torch.bitwise_not, (18,)),
    "Ceil": (torch.ceil, (13,)),
    "Cos": (torch.cos, (7, 22)),
    "Cosh": (torch.cosh, (9, 22)),
    "Erf": (torch.erf, (13,)),
    "Exp": (torch.exp, (13,)),
    "Floor": (torch.floor, (13,)),
    "IsNaN": (torch.isnan, (13, 20)),
    "Log": (torch.log, (13,)),
    "Neg": (torch.neg, (13,)),
    "Not": (torch.logical_not, (1,)),
    "Reciprocal": (torch.reciprocal, (13,)),
    "Round": (torch.round, (11, 22)),  # both round halves to even
    "Sign": (torch.sign, (13,)),
    "Sin": (torch.sin, (7, 22)),
    "Sinh": (torch.sinh, (9, 22)),
    "Sqrt": (torch.sqrt, (13,)),
    "Tan": (torch.tan, (7, 22)),
}

_BINARY: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...]]] = {
    "Add": (torch.add, (13, 14)),
    "And": (torch.logical_and, (7,)),
    "BitwiseAnd": (torch.bitwise_and, (18,)),
    "BitwiseOr": (torch.bitwise_or, (18,)),
    "BitwiseXor": (torch.bitwise_xor, (18,)),
    "Equal": (torch.eq, (13, 19)),
    "Greater": (torch.gt, (13,)),
    "GreaterOrEqual": (torch.ge, (12, 16)),
    "Less": (torch.lt, (13,)),
    "LessOrEqual": (torch.le, (12, 16)),
    "Mul": (torch.mul, (13, 14)),
    "Or": (torch.logical_or, (7,)),
    "Sub": (torch.sub, (13, 14)),
    "Xor": (torch.logical_xor, (7,)),
}


def _register_unary(op_type: str, function: Callable[[Tensor], Tensor], since: tuple[int, ...]) -> None:
    def unary(x: Tensor) -> Tensor:
        return function(x)

    unary.__qualname__ = op_type
    op(op_type, since=since)(unary)


def _register_binary(op_type: str, function: Callable[[Tensor, Tensor], Tensor], since: tuple[int, ...]) -> None:
    def binary(a: Tensor, b: Tensor) -> Tensor:
        return function(a, b)

    binary.__qualname__ = op_type
    op(op_type, since=since)(binary)


for _name, (_unary, _since) in _UNARY.items():
    _register_unary(_name, _unary, _since)
for _name, (_binary, _since) in _BINARY.items():
    _register_binary(_name, _binary, _since)


@op("Div", since=(13, 14))
def div(a: Tensor, b: Tensor) -> Tensor:
    """Divide; integers toward zero."""
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


@op("Mod", since=(13, 28))
def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """Return the remainder, with the sign of the divisor, or with `fmod` of the dividend."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@op("Pow", since=(13, 15))
def pow(x: Tensor, y: Tensor) -> Tensor:  # noqa: A001 - ONNX's name
    """Return x to the power y, in the type of x."""
    if x.is_floating_point() or not y.is_floating_point():
        return torch.pow(x, y.to(x.dtype)) if x.is_floating_point() else torch.pow(x, y).to(x.dtype)
    return torch.pow(x.to(y.dtype), y).to(x.dtype)


@op("Max", since=13)
def max(*data_0: Tensor) -> Tensor:  # noqa: A001 - ONNX's name
    """Return the largest of the inputs, element by element."""
    return reduce(torch.maximum, data_0)


@op("Min", since=13)
def min(*data_0: Tensor) -> Tensor:  # noqa: A001 - ONNX's name
    """Return the smallest of the inputs, element by element."""
    return reduce(torch.minimum, data_0)


@op("Sum", since=13)
def sum(*data_0: Tensor) -> Tensor:  # noqa: A001 - ONNX's name
    """Add the inputs, element by element."""
    return reduce(torch.add, data_0)


@op("Mean", since=13)
def mean(*data_0: Tensor) -> Tensor:
    """Average the inputs, element by element."""
    return reduce(torch.add, data_0) / len(data_0)


@op("Where", since=(9, 16))
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Take x where the condition holds, y elsewhere."""
    return torch.where(condition, x, y)


@op("Clip", since=13)
def clip(input: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:  # noqa: A002 - ONNX's names
    """Limit to [min, max]; where min > max, the result is max."""
    if min is None and max is None:
        return input
    return torch.clamp(input, min, max)


@op("IsInf", since=(10, 20))
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Whether an element is infinite, of the signs asked for."""
    negative = torch.isneginf(x) if detect_negative else torch.zeros_like(x, dtype=torch.bool)
    return torch.logical_or(negative, torch.isposinf(x)) if detect_positive else negative


@op("Cast", since=(13, 19, 21, 23, 24, 25, 28))
def cast(input: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:  # noqa: A002
    """Convert to a type; `saturate` and `round_mode` concern 8-bit floats only, which are refused."""
    return input.to(dtype_of(to))


@op("CastLike", since=(15, 19, 21, 23, 24, 25))
def cast_like(
    input: Tensor,  # noqa: A002 - ONNX's name
    target_type: Tensor,
    *,
    saturate: int = 1,
    round_mode: str = "up",
) -> Tensor:
    """Convert to the type of another tensor; `saturate` and `round_mode` concern 8-bit floats only."""
    return input.to(target_type.dtype)
