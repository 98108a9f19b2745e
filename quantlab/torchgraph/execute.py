"""One step of a program: fetch its inputs, call its function, keep what is wanted."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from quantlab.errors import EngineError, QuantlabError
from quantlab.torchgraph.program import Step

_CPU = torch.device("cpu")


def compute(step: Step, values: list[Any]) -> None:
    """Fill the output slots of a step.

    Args:
        step: what to compute.
        values: the tensors by slot; changed in place.

    Raises:
        EngineError: the function failed; the message names the node.
    """
    inputs: list[Tensor | None] = [None if slot is None else values[slot] for slot in step.inputs]
    for index in step.host:
        if index < len(inputs):
            inputs[index] = _moved(inputs[index], _CPU)
    if step.is_mixed:
        _meet(inputs, step.host)
    try:
        computed = step.function(*inputs, **step.attributes)
    except QuantlabError as error:
        raise EngineError(f"{step.label}: {error}") from error
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise EngineError(f"{step.label}: torch failed: {_first_line(error)}") from error
    results = computed if isinstance(computed, (tuple, list)) else (computed,)
    for slot, result in zip(step.outputs, results, strict=False):
        if slot is not None:
            values[slot] = result


def _meet(inputs: list[Tensor | None], host: tuple[int, ...]) -> None:
    """Move what was computed on the CPU to the device of the other inputs."""
    data = [index for index, tensor in enumerate(inputs) if tensor is not None and index not in host]
    devices = {tensor.device for index in data if (tensor := inputs[index]) is not None} - {_CPU}
    for device in devices:
        for index in data:
            inputs[index] = _moved(inputs[index], device)


def _moved(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return tensor if tensor is None or tensor.device == device else tensor.to(device, non_blocking=device != _CPU)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
