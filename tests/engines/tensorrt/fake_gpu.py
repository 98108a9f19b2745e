"""A stand-in for a GPU: memory of the host, with every address checked, and a stream that does its work at once."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from quantlab.data.batch import Array
from quantlab.engines.tensorrt.memory import Graph, Memory, address_of, bytes_of
from quantlab.errors import EngineError


class FakeMemory(Memory):
    """Memory of the host.

    Attributes:
        live: what was allocated and not freed, by address.
        captured: how often work was captured as a graph.
        launched: how often a graph was launched.
        graphs: captured and not given back.
        events: recorded and not given back.
        room_bytes: the most that can be allocated at once.
    """

    name = "fake"
    stream = 77
    device = 0

    def __init__(self) -> None:
        self.live: dict[int, Any] = {}
        self.locked: dict[int, Array] = {}
        self.captured = 0
        self.launched = 0
        self.graphs = 0
        self.events = 0
        self.room_bytes = 2**40
        self.waited: list[int] = []
        self.is_closed = False

    def allocate(self, size_bytes: int) -> int:
        if size_bytes > self.room_bytes:
            raise EngineError(f"CUDA: cannot allocate {size_bytes:,} bytes: out of memory")
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
        self.events += 1
        return time.perf_counter()

    def elapsed_ms(self, start: float, end: float) -> float:
        return 1000 * (end - start)

    def drop(self, events: Iterable[Any]) -> None:
        self.events -= len(list(events))

    def capture(self, work: Callable[[], None]) -> Graph:
        self.captured += 1
        self.graphs += 1

        def launch() -> None:
            self.launched += 1
            work()

        def close() -> None:
            self.graphs -= 1

        return Graph(launch, close)

    def close(self) -> None:
        self.is_closed = True

    def _check(self, address: int, size: int) -> None:
        assert len(self.live[address]) >= size, "the copy goes beyond what was allocated"
