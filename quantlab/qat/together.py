"""A module that several processes train together: the mean of their gradients is every process's gradient.

Parameters, those that are scales of shared encodings among them, begin as the first process has them and stay
equal bit for bit, since all processes take the same steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from quantlab.ranks import Ranks
from quantlab.torchgraph.module import GraphModule

_SYNC_BUFFERS = ("forward_sync_buffers", "broadcast_buffers")

Student = Callable[[Mapping[str, Tensor], Sequence[str]], Mapping[str, Tensor]]
"""Feeds by name and names of inner tensors → outputs and inner tensors by name."""


class _Forward(nn.Module):
    """Runs a graph with taps where torch wants a forward."""

    def __init__(self, module: GraphModule) -> None:
        super().__init__()
        self.graph = module

    def forward(self, feeds: Mapping[str, Tensor], taps: Sequence[str]) -> dict[str, Tensor]:
        return self.graph.run(feeds, taps)


def student_of(module: GraphModule, ranks: Ranks) -> Student:
    """Return what runs a module in training; the gradients that it leaves are those of all processes."""
    if ranks.size == 1:
        return module.run
    is_cuda = next(module.parameters()).is_cuda
    # Only an output that no loss looks at leaves parameters without a gradient.
    has_unused = len(module.outputs) > 1
    # Constants are equal in all processes from the start; how to leave them so is called otherwise since torch 2.13.
    known = inspect.signature(nn.parallel.DistributedDataParallel.__init__).parameters
    leave: dict[str, bool] = {next(name for name in _SYNC_BUFFERS if name in known): False}
    parallel: Student = nn.parallel.DistributedDataParallel(
        _Forward(module),
        device_ids=[torch.cuda.current_device()] if is_cuda else None,
        find_unused_parameters=has_unused,
        **leave,  # type: ignore[arg-type] # mypy sees other parameters that they might be
    )
    return parallel
