"""A stand-in for a GPU: memory of the host, with every address checked, and a stream that does its work at once."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from quantlab.data.batch import Array
from quantlab.engines.tensorrt.memory import Memory, address_of, bytes_of


class FakeMemory(Memory):
    """Memory of the host.

    Attributes:
        live: what was allocated and not freed, by address.
        captured: how often work was captured as a graph.
        launched: how often a graph was launched.
    """

    name = "fake"
    stream = 77

    def __init__(self) -> None:
        self.live: dict[int, Any] = {}
        self.locked: dict[int, Array] = {}
        self.captured = 0
        self.launched = 0
        self.waited: list[int] = []
        self.is_closed = False

    def allocate(self, size_bytes: int) -> int:
        block = ctypes.create_string_buffer(max(1, size_bytes))
        address = ctypes.addressof(block)
        self.live[address] = block
        return address

    def free(self, address: int) -> None:
        del self.live[address]

    def pinned(self, size_bytes: int) -> Array:
        array = np.empty(max(1, size_bytes), np.uint8)
        self.locked[address_of(array)] = array
        return array

    def free_pinned(self, array: Array) -> None:
        del self.locked[address_of(array)]

    def to_device(self, address: int, source: Array) -> None:
        assert address_of(source) in self.locked, "only page-locked memory is copied asynchronously"
        self._check(address, bytes_of(source))
        ctypes.memmove(address, address_of(source), bytes_of(source))

    def to_host(self, target: Array, address: int) -> None:
        assert address_of(target) in self.locked, "only page-locked memory is copied asynchronously"
        self._check(address, bytes_of(target))
        ctypes.memmove(address_of(target), address, bytes_of(target))

    def synchronize(self) -> None:
        pass

    def wait_for(self, stream: int) -> None:
        self.waited.append(stream)

    def mark(self) -> float:
        return time.perf_counter()

    def elapsed_ms(self, start: float, end: float) -> float:
        return 1000 * (end - start)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1

        def launch() -> None:
            self.launched += 1
            work()

        return launch

    def close(self) -> None:
        self.is_closed = True

    def _check(self, address: int, size: int) -> None:
        assert len(self.live[address]) >= size, "the copy goes beyond what was allocated"
