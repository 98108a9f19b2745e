"""Memory through cuda.bindings, NVIDIA's own package: the runtime API, and with it the primary context."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy as np

from quantlab.data.batch import Array
from quantlab.engines.tensorrt.memory import Graph, Memory, address_of, bytes_of
from quantlab.errors import EngineError


class CudaMemory(Memory):
    """Memory, copies and events by cudaMalloc, cudaHostAlloc, cudaMemcpyAsync and cudaEventRecord."""

    name = "cuda"

    def __init__(self) -> None:
        runtime: Any = import_module("cuda.bindings.runtime")
        self._cuda = runtime
        self._stream = self._checked("make a stream", runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking))
        self._copy_in = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy_out = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost

    @property
    def device(self) -> int:
        """The current device of this thread."""
        return int(self._checked("tell the device", self._cuda.cudaGetDevice()))

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream)

    def allocate(self, size_bytes: int) -> int:
        """Return the address of new device memory."""
        return int(self._checked(f"allocate {size_bytes:,} bytes", self._cuda.cudaMalloc(max(1, size_bytes))))

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._checked("free memory", self._cuda.cudaFree(address))

    def pinned(self, size_bytes: int) -> Array:
        """Return page-locked host memory."""
        size = max(1, size_bytes)
        reserved = self._cuda.cudaHostAlloc(size, self._cuda.cudaHostAllocDefault)
        address = int(self._checked(f"reserve {size:,} bytes of host memory", reserved))
        array: Array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        return array

    def free_pinned(self, array: Array) -> None:
        """Give page-locked memory back."""
        self._checked("free host memory", self._cuda.cudaFreeHost(address_of(array)))

    def to_device(self, address: int, source: Array) -> None:
        """Copy to the device."""
        size = bytes_of(source)
        copied = self._cuda.cudaMemcpyAsync(address, address_of(source), size, self._copy_in, self._stream)
        self._checked("copy to the GPU", copied)

    def to_host(self, target: Array, address: int) -> None:
        """Copy to the host."""
        size = bytes_of(target)
        copied = self._cuda.cudaMemcpyAsync(address_of(target), address, size, self._copy_out, self._stream)
        self._checked("copy from the GPU", copied)

    def synchronize(self) -> None:
        """Wait for the stream."""
        self._checked("run", self._cuda.cudaStreamSynchronize(self._stream))

    def wait_for(self, stream: int) -> None:
        """Wait for another stream."""
        self._checked("wait for a stream", self._cuda.cudaStreamSynchronize(stream))

    def mark(self) -> Any:  # noqa: ANN401 - cuda.bindings has no types
        """Record an event."""
        event = self._checked("make an event", self._cuda.cudaEventCreate())
        self._checked("record an event", self._cuda.cudaEventRecord(event, self._stream))
        return event

    def elapsed_ms(self, start: Any, end: Any) -> float:  # noqa: ANN401
        """Return the time between two events."""
        return float(self._checked("read an event", self._cuda.cudaEventElapsedTime(start, end)))

    def drop(self, events: Iterable[Any]) -> None:
        """Destroy events."""
        for event in events:
            self._checked("drop an event", self._cuda.cudaEventDestroy(event))

    def capture(self, work: Callable[[], None]) -> Graph:
        """Return the work as a graph."""
        cuda, stream = self._cuda, self._stream
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._checked("begin a CUDA graph", cuda.cudaStreamBeginCapture(stream, mode))
        try:
            work()
        finally:  # a stream that is left capturing could do nothing else any more
            ended = cuda.cudaStreamEndCapture(stream)
        graph = self._checked("capture a CUDA graph", ended)
        launchable = self._checked("make a CUDA graph", cuda.cudaGraphInstantiate(graph, 0))
        self._checked("drop a captured graph", cuda.cudaGraphDestroy(graph))
        return Graph(
            launch=lambda: self._checked("launch a CUDA graph", cuda.cudaGraphLaunch(launchable, stream)),
            close=lambda: self._checked("drop a CUDA graph", cuda.cudaGraphExecDestroy(launchable)),
        )

    def close(self) -> None:
        """Destroy the stream."""
        self._checked("destroy a stream", self._cuda.cudaStreamDestroy(self._stream))

    def _checked(self, what: str, result: tuple[Any, ...]) -> Any:  # noqa: ANN401
        """Return what a call returned besides its status.

        Raises:
            EngineError: the status is an error.
        """
        status, *values = result
        if status != self._cuda.cudaError_t.cudaSuccess:
            _, text = self._cuda.cudaGetErrorString(status)
            reason = text.decode() if isinstance(text, bytes) else str(text)
            raise EngineError(f"CUDA: cannot {what}: {reason}")
        return values[0] if values else None
