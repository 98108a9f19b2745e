"""An exponential moving average of a module's parameters.

    a ← d · a + (1 − d) · p,   d = min(decay, (1 + n) / (10 + n)) at update n

The smaller d at the beginning lets a short training forget where it started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from quantlab.torchgraph.module import GraphModule


class Average:
    """The moving average of one training."""

    def __init__(self, module: GraphModule, decay: float) -> None:
        """Begin with the parameters as they are.

        Args:
            module: what is trained.
            decay: 0 to below 1; 0 is no average, but the parameters themselves.
        """
        self._parameters = dict(module.parameters_by_name)
        self._decay = decay
        self._updates = 0
        self._means = {name: p.detach().clone() for name, p in self._parameters.items()} if decay else {}

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters after one step."""
        if not self._means:
            return
        kept = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        for name, mean in self._means.items():
            mean.lerp_(self._parameters[name].detach(), 1 - kept)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Give the module the average until the end of the block."""
        before = {name: self._parameters[name].detach().clone() for name in self._means}
        self._write(self._means)
        try:
            yield
        finally:
            self._write(before)

    def state(self) -> tuple[int, dict[str, Tensor]]:
        """Return the number of updates and the averages, which `load` goes on from."""
        return self._updates, self._means

    def load(self, updates: int, means: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self._updates = updates
        for name, mean in self._means.items():
            mean.copy_(means[name])

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self._parameters[name].copy_(value)
