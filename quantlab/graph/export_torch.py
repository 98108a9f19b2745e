"""A torch module in, a `Model` out, by torch's own exporter.

The module is exported once, at the door; everything behind it works on the ONNX graph. The weights are copied, so that
training the module later does not change the model.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from quantlab.errors import EngineMissing, ModelError
from quantlab.graph.export_failure import quiet, why_not_exported
from quantlab.graph.load import checked, first_line
from quantlab.graph.model import Model

if TYPE_CHECKING:
    import torch

BATCH = "batch"
# What stays free in one argument: names by axis.
_Free = dict[int, str] | None
# What torch says where the module's code fixes an axis that was to stay free.
_FIXES_AXIS = ("conflicts between user-specified ranges", "Constraints violated")


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
        if unknown := set(axes) - set(names):
            raise ModelError(f"dynamic_axes: there is no input {min(unknown)!r}; the inputs are {', '.join(names)}")
        asked = axes
        if call.is_batch_of_one() and all(0 in axes.get(name, ()) for name in names):
            call, axes = _with_batch_of_two(call, axes)
        settings: dict[str, Any] = {
            "input_names": names,
            "output_names": list(output_names or named_outputs(results)),
            "opset_version": opset,
        }
        exported = Model(_own(_export(call, settings, axes), opset))
    return replace(exported, notes=_fixed_notes(exported, asked))


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
        return call, {name: [axis for axis in free if axis != 0] for name, free in axes.items()}
    return twice, dict(axes)


def named_outputs(result: object) -> dict[str, Any]:
    """Return the tensors of a module's result by what its export calls them, in the order in which torch flattens it.

    Args:
        result: a tensor; a dict, tuple or list of them, nested or not; None in it stands for nothing.
    """
    if isinstance(result, Mapping):
        parts = [(str(key), value) for key, value in result.items() if value is not None]
    elif isinstance(result, (tuple, list)):
        parts = [(f"output_{index}", value) for index, value in enumerate(result) if value is not None]
    else:
        parts = [("output", result)]
    named: dict[str, Any] = {}
    for name, value in parts:
        if isinstance(value, (Mapping, tuple, list)):
            inner = named_outputs(value).items()
            named |= {f"{name}_{key.removeprefix('output_')}": tensor for key, tensor in inner}
        else:
            named[name] = value
    return named


def _dynamic_shapes(
    call: _Call, names: Sequence[str], axes: Mapping[str, Sequence[int]]
) -> tuple[_Free, ...] | dict[str, _Free] | None:
    shapes: list[_Free] = [
        {axis: BATCH if axis == 0 else f"{name}_{axis}" for axis in axes.get(name, ())} or None for name in names
    ]
    if not any(shapes):
        return None
    return dict(zip(call.kwargs, shapes, strict=True)) if call.kwargs else tuple(shapes)


def _export(call: _Call, settings: Mapping[str, Any], axes: Mapping[str, Sequence[int]]) -> ir.Model:
    """Return the exporter's graph with the free axes asked for; with fewer where the module's code fixes some."""
    import torch

    shapes = _dynamic_shapes(call, settings["input_names"], axes)
    try:
        with quiet():
            program = torch.onnx.export(
                call.module,
                call.args,
                kwargs=call.kwargs or None,
                dynamo=True,
                verbose=False,
                dynamic_shapes=shapes,
                **settings,
            )
    except Exception as error:  # torch's exporter lets through whatever its parts raise
        if shapes is not None and any(sign in str(error) for sign in _FIXES_AXIS):
            return _export(call, settings, _fewer(axes))
        raise ModelError(
            f"{type(call.module).__name__}: {why_not_exported((call.module, call.args, call.kwargs), error)}"
        ) from error
    assert program is not None, "dynamo=True returns a program"
    return program.model


def _fewer(axes: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    """Return the batch axes alone where others were to be free too, else none."""
    batch: dict[str, Sequence[int]] = {name: [axis for axis in free if axis == 0] for name, free in axes.items()}
    return batch if any(list(batch[name]) != list(axes[name]) for name in axes) else {}


def _fixed_notes(model: Model, asked: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
    """Return a sentence where axes that were to stay free are fixed."""
    shapes = {spec.name: spec.shape or () for spec in model.inputs}
    fixed = [(name, axis) for name, free in asked.items() for axis in free if isinstance(shapes[name][axis], int)]
    if not fixed:
        return ()
    if len(fixed) == sum(map(len, asked.values())):
        return ("the module's code fixes an axis that was to stay free, so that all are fixed as in the example",)
    listed = ", ".join(f"axis {axis} of {name}" for name, axis in fixed)
    return (f"the module's code fixes axes that were to stay free, as in the example: {listed}",)


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
