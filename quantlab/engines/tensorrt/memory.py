"""Device memory, copies, one stream and events, through whichever CUDA package there is.

    cuda      cuda.bindings, NVIDIA's own; uses the primary context, as torch does
    pycuda    in the user's current context, for programs that live in PyCUDA already

Addresses are plain integers, which is what TensorRT takes. Both ran on an H200 (cuda.bindings 13.3, PyCUDA 2026.1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from quantlab.data.batch import Array
from quantlab.errors import EngineError, EngineMissing, RecipeError

MemoryName = Literal["auto", "cuda", "pycuda"]

_INSTALL = (
    "pip install 'quantlab[tensorrt]' or 'quantlab[tensorrt-rtx]' (with cuda.bindings), "
    "or pip install 'quantlab[pycuda]'"
)


@dataclass(frozen=True, slots=True)
class Graph:
    """Captured work.

    Attributes:
        launch: put all of it on the stream again, at once.
        close: give it back; it must not be running.
    """

    launch: Callable[[], None]
    close: Callable[[], None]


class Memory(ABC):
    """Memory of one GPU and the stream that works on it.

    Copies and events are put on the stream and return at once; `synchronize` waits for all of them.
    """

    name: str

    @property
    @abstractmethod
    def device(self) -> int:
        """The number of the GPU, as CUDA counts those that this process may use."""

    @property
    @abstractmethod
    def stream(self) -> int:
        """The stream's handle; never the default stream, which would wait for all others."""

    @abstractmethod
    def allocate(self, size_bytes: int) -> int:
        """Return the address of new device memory."""

    @abstractmethod
    def free(self, address: int) -> None:
        """Give device memory back."""

    @abstractmethod
    def pinned(self, size_bytes: int) -> Array:
        """Return page-locked host memory, uint8 [size_bytes or 1]; copies of other memory are not asynchronous."""

    @abstractmethod
    def free_pinned(self, array: Array) -> None:
        """Give page-locked memory back; the array must not be used any more."""

    @abstractmethod
    def to_device(self, address: int, source: Array) -> None:
        """Copy page-locked host memory to the device."""

    @abstractmethod
    def to_host(self, target: Array, address: int) -> None:
        """Copy device memory to page-locked host memory."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait for the stream."""

    @abstractmethod
    def wait_for(self, stream: int) -> None:
        """Wait until everything is done that another stream was given so far."""

    @abstractmethod
    def mark(self) -> Any:  # noqa: ANN401 - each package has its own events
        """Record an event at this point of the stream."""

    @abstractmethod
    def elapsed_ms(self, start: Any, end: Any) -> float:  # noqa: ANN401
        """Return the time between two events, once the stream has passed both."""

    @abstractmethod
    def drop(self, events: Iterable[Any]) -> None:
        """Give events back."""

    @abstractmethod
    def capture(self, work: Callable[[], None]) -> Graph:
        """Return, as one CUDA graph, all that `work` puts on the stream.

        Raises:
            EngineError: the package cannot, or the work cannot be captured.
        """

    @abstractmethod
    def close(self) -> None:
        """Destroy the stream."""


def open_memory(name: MemoryName = "auto") -> Memory:
    """Return memory of the first GPU, through the package named; `auto` prefers cuda.bindings.

    Raises:
        RecipeError: there is no such package.
        EngineMissing: it is not installed.
        EngineError: there is no GPU, or of `pycuda` no current context.
    """
    if name not in ("auto", "cuda", "pycuda"):
        raise RecipeError(f"memory {name!r} is unknown; choose auto, cuda or pycuda")
    if name != "pycuda" and _is_installed("cuda.bindings"):
        from quantlab.engines.tensorrt.memory_cuda import CudaMemory

        return CudaMemory()
    if name != "cuda" and _is_installed("pycuda"):
        from quantlab.engines.tensorrt.memory_pycuda import PycudaMemory

        return PycudaMemory()
    raise EngineMissing(f"TensorRT: no package that handles GPU memory is installed: {_INSTALL}")


def address_of(array: Array) -> int:
    """Return where an array's data lie."""
    return int(array.ctypes.data)


def bytes_of(array: Array) -> int:
    """Return the size of a contiguous array.

    Raises:
        EngineError: it is not contiguous, so that one copy cannot move it.
    """
    if not array.flags.c_contiguous:
        raise EngineError("TensorRT: an array to copy is not contiguous; pass np.ascontiguousarray(array)")
    return int(np.asarray(array).nbytes)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it
        return False
