"""Memory through PyCUDA, in the context that is current in the calling thread.

quantlab never makes a context here: a second one beside the program's own cannot see its memory, and `pycuda.autoinit`
makes one that torch does not share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy as np

from quantlab.data.batch import Array
from quantlab.engines.tensorrt.memory import Graph, Memory, bytes_of
from quantlab.errors import EngineError


class PycudaMemory(Memory):
    """Memory, copies and events by `pycuda.driver`."""

    name = "pycuda"

    def __init__(self) -> None:
        driver: Any = import_module("pycuda.driver")
        driver.init()
        if driver.Context.get_current() is None:
            raise EngineError(
                "pycuda: there is no current CUDA context in this thread; push the one of your program first, "
                "or import pycuda.autoinit"
            )
        self._cuda = driver
        self._stream = driver.Stream()
        self._live: dict[int, Any] = {}

    @property
    def device(self) -> int:
        """The device of the current context."""
        here = self._cuda.Context.get_device().pci_bus_id()
        count = self._cuda.Device.count()
        return next(number for number in range(count) if self._cuda.Device(number).pci_bus_id() == here)

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream.handle)

    def allocate(self, size_bytes: int) -> int:
        """Return the address of new device memory."""
        with _Failures(self._cuda, f"allocate {size_bytes:,} bytes"):
            allocation = self._cuda.mem_alloc(max(1, size_bytes))
        self._live[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._live.pop(address).free()

    def pinned(self, size_bytes: int) -> Array:
        """Return page-locked host memory."""
        with _Failures(self._cuda, f"reserve {size_bytes:,} bytes of host memory"):
            array: Array = self._cuda.pagelocked_empty(max(1, size_bytes), np.uint8)
        return array

    def free_pinned(self, array: Array) -> None:
        """Let PyCUDA free the memory with its array."""

    def to_device(self, address: int, source: Array) -> None:
        """Copy to the device."""
        bytes_of(source)
        with _Failures(self._cuda, "copy to the GPU"):
            self._cuda.memcpy_htod_async(address, source, self._stream)

    def to_host(self, target: Array, address: int) -> None:
        """Copy to the host."""
        bytes_of(target)
        with _Failures(self._cuda, "copy from the GPU"):
            self._cuda.memcpy_dtoh_async(target, address, self._stream)

    def synchronize(self) -> None:
        """Wait for the stream."""
        with _Failures(self._cuda, "run"):
            self._stream.synchronize()

    def wait_for(self, stream: int) -> None:
        """Wait for all streams: PyCUDA cannot name one that it did not make."""
        with _Failures(self._cuda, "wait for a stream"):
            self._cuda.Context.synchronize()

    def mark(self) -> Any:  # noqa: ANN401 - PyCUDA has no types
        """Record an event."""
        event = self._cuda.Event()
        event.record(self._stream)
        return event

    def elapsed_ms(self, start: Any, end: Any) -> float:  # noqa: ANN401
        """Return the time between two events."""
        return float(start.time_till(end))

    def drop(self, events: Iterable[Any]) -> None:
        """Let PyCUDA destroy events with their objects."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """Refuse: PyCUDA has no graphs."""
        raise EngineError("pycuda: it knows no CUDA graphs; use cuda.bindings, or leave the graph out")

    def close(self) -> None:
        """Let PyCUDA destroy the stream with its object."""


class _Failures:
    """Turns PyCUDA's errors into ours."""

    def __init__(self, driver: Any, what: str) -> None:  # noqa: ANN401
        self._driver = driver
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._driver.Error):
            raise EngineError(f"CUDA: cannot {self._what}: {error}") from error
