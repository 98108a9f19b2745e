"""A torch module in, a `Model` out, by torch's own exporter.

The module is exported once, at the door; everything behind it works on the ONNX graph. The weights are copied, so that
training the module later does not change the model.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from quantlab.errors import EngineMissing, ModelError
from quantlab.graph.load import checked, first_line
from quantlab.graph.model import Model

if TYPE_CHECKING:
    import torch

BATCH = "batch"
# What stays free in one argument: names by axis.
_Free = dict[int, str] | None
# What torch says where the module's code fixes an axis that was to stay free.
_FIXES_AXIS = ("conflicts between user-specified ranges", "Constraints violated")
_OPERATOR = re.compile(r"OpOverload\(op='([\w.:]+)'")
_LINE = re.compile(r'File "([^"]+)", line (\d+), in \w+\n\s*(.*)')


def export_torch(
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int = 18,
    dynamic_axes: Mapping[str, Sequence[int]] | None = None,
) -> Model:
    """Export a torch module, in evaluation mode, as a model.

    Args:
        module: left in the mode it was in.
        example_inputs: the arguments of one call: a tensor, several in order, or several by parameter name.
        input_names: what to call the inputs; the parameters of `forward` by default.
        output_names: what to call the outputs; by default the keys of a dict, `output`, or `output_0`, `output_1`, ...
        opset: the version of ONNX, 18 or later.
        dynamic_axes: by input name, the axes that stay free; by default axis 0 of every input, called `batch`.
            An empty mapping fixes every axis at its size in the example.

    Returns:
        The model; a note tells where an axis could not stay free.

    Raises:
        ModelError: the module cannot run on the example, or not be exported; the message names operator and line.
        EngineMissing: torch is not installed.
    """
    _require_torch()
    call = _Call.of(module, example_inputs)
    names = list(input_names or call.parameters())
    if len(names) != call.count:
        raise ModelError(f"input_names: got {len(names)} names for {call.count} inputs; give one for each")
    with _evaluating(module):
        results = call.run()
        axes = dict.fromkeys(names, (0,)) if dynamic_axes is None else dict(dynamic_axes)
        if dynamic_axes is None and call.is_batch_of_one():
            call, axes = _with_batch_of_two(call, axes)
        if unknown := set(axes) - set(names):
            raise ModelError(f"dynamic_axes: there is no input {min(unknown)!r}; the inputs are {', '.join(names)}")
        settings: dict[str, Any] = {
            "input_names": names,
            "output_names": list(output_names or _output_names(results)),
            "opset_version": opset,
            "dynamic_shapes": _dynamic_shapes(call, names, axes),
        }
        model, is_free = _export(call, settings)
    asked = dynamic_axes is None or any(dynamic_axes.values())
    notes = ("the module's code fixes an axis that was to stay free, so that all are fixed as in the example",)
    return Model(_own(model, opset), None, notes if asked and not is_free else ())


@dataclass(frozen=True, slots=True)
class _Call:
    """A module and the arguments of one call."""

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(
        cls, module: torch.nn.Module, example: torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor]
    ) -> _Call:
        if isinstance(example, Mapping):
            return cls(module, (), dict(example))
        return cls(module, tuple(example) if isinstance(example, Sequence) else (example,), {})

    @property
    def count(self) -> int:
        return len(self.args) + len(self.kwargs)

    def parameters(self) -> list[str]:
        """Return the parameters of `forward` that the arguments go to."""
        known = [
            parameter.name
            for parameter in inspect.signature(self.module.forward).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        numbered = [f"input_{index}" for index in range(len(self.args))]
        return [*(known[: len(self.args)] if len(known) >= len(self.args) else numbered), *self.kwargs]

    def run(self) -> object:
        try:
            return self.module(*self.args, **self.kwargs)
        except Exception as error:  # the user's code may raise anything
            raise ModelError(
                f"{type(self.module).__name__}: it fails on the example inputs ({type(error).__name__}: "
                f"{first_line(error)}); give inputs that it takes"
            ) from error

    def is_batch_of_one(self) -> bool:
        return all(getattr(value, "ndim", 0) and value.shape[0] == 1 for value in (*self.args, *self.kwargs.values()))

    def twice(self) -> _Call:
        """Return the call with every argument repeated along axis 0."""
        args = tuple(_twice(value) for value in self.args)
        return replace(self, args=args, kwargs={name: _twice(value) for name, value in self.kwargs.items()})


def _twice(value: torch.Tensor) -> torch.Tensor:
    return value.repeat(2, *[1] * (value.ndim - 1))


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise EngineMissing("torch is not installed; install it with `pip install 'quantlab[torch]'`") from error


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and each part of it back in the mode it was in."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _with_batch_of_two(call: _Call, axes: Mapping[str, Sequence[int]]) -> tuple[_Call, dict[str, Sequence[int]]]:
    """Repeat a batch of one, whose size tracing may take for a constant, and give the free axis up where that fails."""
    twice = call.twice()
    try:
        twice.run()
    except ModelError:
        return call, {}
    return twice, dict(axes)


def _output_names(result: object) -> list[str]:
    """Return names for the tensors of a result, in the order in which torch flattens it."""
    if isinstance(result, Mapping):
        parts = [(str(key), value) for key, value in result.items() if value is not None]
    elif isinstance(result, (tuple, list)):
        parts = [(f"output_{index}", value) for index, value in enumerate(result) if value is not None]
    else:
        parts = [("output", result)]
    names: list[str] = []
    for name, value in parts:
        nested = _output_names(value) if isinstance(value, (Mapping, tuple, list)) else [""]
        names += [f"{name}_{inner.removeprefix('output_')}" if inner else name for inner in nested]
    return names


def _dynamic_shapes(
    call: _Call, names: Sequence[str], axes: Mapping[str, Sequence[int]]
) -> tuple[_Free, ...] | dict[str, _Free] | None:
    shapes: list[_Free] = [
        {axis: BATCH if axis == 0 else f"{name}_{axis}" for axis in axes.get(name, ())} or None for name in names
    ]
    if not any(shapes):
        return None
    return dict(zip(call.kwargs, shapes, strict=True)) if call.kwargs else tuple(shapes)


def _export(call: _Call, settings: Mapping[str, Any]) -> tuple[ir.Model, bool]:
    """Return the exporter's graph, and whether it has the free axes that the settings ask for."""
    import torch

    is_free = settings["dynamic_shapes"] is not None
    try:
        with _quiet():
            program = torch.onnx.export(
                call.module, call.args, kwargs=call.kwargs or None, dynamo=True, verbose=False, **settings
            )
    except Exception as error:  # torch's exporter lets through whatever its parts raise
        if is_free and any(sign in str(error) for sign in _FIXES_AXIS):
            return _export(call, {**settings, "dynamic_shapes": None})
        raise ModelError(f"{type(call.module).__name__}: {_why_not_exported(call, error)}") from error
    assert program is not None, "dynamo=True returns a program"
    return program.model, is_free


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's progress, warnings and logs from the user; errors come as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _why_not_exported(call: _Call, error: BaseException) -> str:
    """Return the operator or the line that torch stumbles over, in one line."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__
    for step in reversed(chain):
        if found := _OPERATOR.search(str(step)):
            where = _line_of(found[1], call)
            return f"operator {found[1]} has no ONNX form{where}; replace it, or register one with torch.onnx"
    where = _last_line(str(chain[-1]))
    return f"torch cannot export it{where} ({first_line(chain[-1])}); rewrite that part, or export it to ONNX yourself"


def _line_of(operator: str, call: _Call) -> str:
    """Return where the module calls an operator, as ` at file:line`, or nothing where that cannot be found."""
    import torch

    with contextlib.suppress(RuntimeError, ValueError, TypeError), _quiet():
        program = torch.export.export(call.module, call.args, call.kwargs or None).run_decompositions()
        for node in program.graph.nodes:
            if str(node.target).startswith(operator) and (where := _last_line(node.meta.get("stack_trace") or "")):
                return where
    return ""


def _last_line(trace: str) -> str:
    lines = _LINE.findall(trace)
    return f" at {lines[-1][0]}:{lines[-1][1]} `{lines[-1][2].strip()}`" if lines else ""


def _own(model: ir.Model, opset: int) -> ir.Model:
    """Return the exporter's graph with copies of the weights and without its notes to developers."""
    got = model.opset_imports.get("", 0)
    if got != opset:
        raise ModelError(f"opset {opset}: torch exported opset {got} instead; ask for 18 or later")
    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    for graph in model.graphs():
        values = [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
        for value in values:
            value.metadata_props.clear()
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None:
                value.const_value = ir.Tensor(np.array(tensor.numpy()), dtype=tensor.dtype, name=value.name)
    return checked(model)
