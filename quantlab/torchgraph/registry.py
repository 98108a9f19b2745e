"""Which torch function computes which ONNX operator, by domain, operator and the opset version it holds since.

An operator's function is named and parametrised like the operator: inputs are positional tensors (None where left
out), attributes are keyword arguments with ONNX's names and defaults. It returns one tensor, or a tuple of them.

This module imports no torch, so that `quantlab.register_op` is there without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from quantlab.errors import EngineMissing, ModelError

OLDEST_OPSET = 13
NEWEST_OPSET = 28
"""The opsets of ONNX whose operators are registered in every version that they have in between."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Op:
    """An ONNX operator and the function that computes it.

    Attributes:
        domain: the operator's domain; ONNX's own is empty.
        op_type: the operator's name.
        since: the first version of the domain's opset with this meaning.
        function: takes inputs as positional tensors and attributes as keyword arguments.
        host: inputs that are read as numbers (shapes, axes); the function gets them on the CPU.
        weights: inputs at which a constant is a weight to train.
        is_host: whether the result is a number that is known on the CPU whatever the input's device.
    """

    domain: str
    op_type: str
    since: int
    function: Callable[..., Any]
    host: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    is_host: bool = False

    @property
    def takes_outputs(self) -> bool:
        """Whether the function wants to know how many outputs its node has, as `outputs`."""
        return "outputs" in inspect.signature(self.function).parameters

    def __str__(self) -> str:
        return f"{self.op_type} of {self.domain or 'ONNX'} since version {self.since}"


_ops: dict[tuple[str, str], dict[int, Op]] = {}


def op(
    op_type: str,
    *,
    since: int | Sequence[int],
    domain: str = "",
    host: Sequence[int] = (),
    weights: Sequence[int] = (),
    is_host: bool = False,
) -> Callable[[_Function], _Function]:
    """Register a function for the versions of an operator that it computes; a decorator for `torchgraph.ops`.

    Raises:
        ModelError: one of the versions has a function already.
    """

    def register(function: _Function) -> _Function:
        for version in (since,) if isinstance(since, int) else since:
            _add(Op(domain, op_type, version, function, tuple(host), tuple(weights), is_host))
        return function

    return register


def register_op(
    domain: str,
    op_type: str,
    since: int = 1,
    *,
    host: Sequence[int] = (),
    weights: Sequence[int] = (),
    replace: bool = False,
) -> Callable[[_Function], _Function]:
    """Give a torch function for an ONNX operator of your own; a decorator.

    With it a graph that holds the operator can be trained and run in torch:

        @quantlab.register_op("my.plugins", "HSwish")
        def hswish(x):
            return x * torch.clamp(x + 3, 0, 6) / 6

    Args:
        domain: the operator's domain, as the graph writes it.
        op_type: the operator's name.
        since: the first version of the domain's opset with this meaning.
        host: inputs that the function reads as numbers (shapes, axes): it gets them on the CPU.
        weights: inputs at which a constant is a weight to train.
        replace: whether to replace a function that is registered already, as when a notebook cell runs again.

    Raises:
        ModelError: the operator has a function already.
        EngineMissing: torch is not installed.
    """
    load_ops()

    def register(function: _Function) -> _Function:
        _add(Op(_canonical(domain), op_type, since, function, tuple(host), tuple(weights)), replace=replace)
        return function

    return register


def find_op(domain: str, op_type: str, version: int) -> Op | None:
    """Return what computes an operator at a version of its domain's opset, or None."""
    load_ops()
    versions = _ops.get((_canonical(domain), op_type), {})
    known = [since for since in versions if since <= version]
    return versions[max(known)] if known else None


def registered_ops() -> tuple[Op, ...]:
    """Return every registered operator, sorted by domain, name and version."""
    load_ops()
    ops: Iterable[Op] = (item for versions in _ops.values() for item in versions.values())
    return tuple(sorted(ops, key=lambda item: (item.domain, item.op_type, item.since)))


def load_ops() -> None:
    """Register what quantlab itself brings, once.

    Raises:
        EngineMissing: torch is not installed.
    """
    try:
        import_module("quantlab.torchgraph.ops")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise EngineMissing(
            "running a graph in torch needs the package 'torch', which is not installed: pip install 'quantlab[torch]'"
        ) from error


def _add(new: Op, *, replace: bool = False) -> None:
    versions = _ops.setdefault((new.domain, new.op_type), {})
    if new.since in versions and not replace:
        raise ModelError(
            f"{new} is registered already, as {versions[new.since].function.__qualname__}; "
            "register yours under a domain of its own, or with replace=True"
        )
    versions[new.since] = new


def _canonical(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
