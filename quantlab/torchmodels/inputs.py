"""What one call of a module takes: example inputs for its export, and which of their axes stay free."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quantlab.errors import ModelError
from quantlab.torchmodels.network import Network
from quantlab.torchmodels.settings import FreeAxes, InputShape

if TYPE_CHECKING:
    from torch import Tensor, nn

Example = Any
"""A tensor, tensors in order, or tensors by parameter name."""


def example_of(network: Network, asked: Sequence[InputShape], title: str) -> Example:
    """Return the arguments of one call.

    Args:
        network: the module, and what is known about its inputs.
        asked: shapes that a user gave; they come before what the network's package says.
        title: what messages call the network.

    Raises:
        ModelError: nothing tells the shapes, or `forward` has no such parameter.
    """
    if network.example is not None and not asked:
        return network.example
    parameters = _parameters(network.module)
    shapes = _named(network.inputs, parameters, title) | _named(asked, parameters, title)
    if not shapes:
        raise ModelError(
            f"model {title!r}: nothing tells the shape of its inputs ({', '.join(parameters) or 'none'}); give "
            "--input-shape NAME:1x3x224x224 (input_shapes in Python), or (module, example inputs) for the module"
        )
    examples = {name: _values(shape, network.module) for name, shape in shapes.items()}
    # In order where that will do: exporters treat it better than keywords.
    return list(examples.values()) if list(examples) == parameters[: len(examples)] else examples


def free_axes(example: Example, module: nn.Module, free: FreeAxes) -> dict[str, tuple[int, ...]] | None:
    """Return by input name the axes that stay free; None for the batch of each.

    Height and width are axes 2 and 3 of an image; of all else axis 1, the length, is what varies.
    """
    if free == "batch":
        return None
    if free == "none":
        return {}
    if isinstance(example, Mapping):
        named = dict(example)
    else:
        values = example if isinstance(example, Sequence) else [example]
        named = dict(zip(_parameters(module), values, strict=False))
    return {name: _axes(value) for name, value in named.items()}


def _axes(value: Tensor) -> tuple[int, ...]:
    return (0, 2, 3) if value.ndim == 4 else tuple(range(min(2, value.ndim)))


def _parameters(module: nn.Module) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in inspect.signature(module.forward).parameters.values() if each.kind in kinds]


def _named(shapes: Sequence[InputShape], parameters: Sequence[str], title: str) -> dict[str, InputShape]:
    """Return shapes by parameter; those without a name go to the first parameters that nothing names."""
    taken = {shape.name for shape in shapes}
    unnamed = iter([name for name in parameters if name not in taken])
    named: dict[str, InputShape] = {}
    for shape in shapes:
        name = next(unnamed, None) if shape.name is None else shape.name
        if name is None or name not in parameters:
            what = "more shapes than inputs were given" if name is None else f"there is no input {name!r}"
            raise ModelError(f"model {title!r}: {what}; its inputs are {', '.join(parameters) or 'none'}")
        named[name] = shape
    return named


def _values(shape: InputShape, module: nn.Module) -> Tensor:
    """Return ones of whole numbers (a token, a mask), else small random numbers in the module's own precision."""
    import torch

    first = next((each for each in module.parameters() if each.is_floating_point()), torch.empty(0))
    dtype = first.dtype if shape.dtype is None else getattr(torch, shape.dtype)
    if not dtype.is_floating_point:
        return torch.ones(shape.sizes, dtype=dtype, device=first.device)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape.sizes, generator=generator).to(first.device, dtype)
