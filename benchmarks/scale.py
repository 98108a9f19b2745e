"""Where and how large the benchmarks for a GPU run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """One run's device and size.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
        is_tiny: whether only to see that everything runs: minutes on two CPU cores, and numbers that mean nothing.
    """

    device: str = "auto"
    is_tiny: bool = False

    def of(self, usual: int, tiny: int) -> int:
        """Return one of two sizes."""
        return tiny if self.is_tiny else usual


def waiting_clock(device: str) -> Callable[[], float]:
    """Return a clock, in seconds, that lets the device finish before it is read."""
    import time

    import torch

    from quantlab.engines.torch_device import device_named

    chosen = device_named(device)

    def read() -> float:
        if chosen.type == "cuda":
            torch.cuda.synchronize(chosen)
        return time.perf_counter()

    return read
