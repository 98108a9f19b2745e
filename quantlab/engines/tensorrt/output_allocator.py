"""Outputs whose size only running tells, such as the boxes that a detector keeps, ask for memory as they go.

Source: IOutputAllocator; TensorRT calls `reallocate_output_async` (or, of an older runtime, `reallocate_output`) with
the bytes it needs, and `notify_shape` with the shape it found. It calls them from C++, which no Python exception may
cross: what went wrong is kept and raised after the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from quantlab.data.batch import Array
from quantlab.engines.tensorrt.execution import Execution
from quantlab.engines.tensorrt.memory import Memory
from quantlab.engines.tensorrt.shapes import Shape
from quantlab.errors import EngineError


class Outputs:
    """The outputs of one run.

    Attributes:
        known: those whose shape is known before the run, with it.
    """

    def __init__(self, execution: Execution, memory: Memory, shapes: Mapping[str, Shape]) -> None:
        self.known = {name: shape for name, shape in shapes.items() if -1 not in shape}
        self._execution = execution
        self._memory = memory
        self._allocators = {name: make_allocator(execution.trt, memory) for name in shapes if name not in self.known}
        for name, allocator in self._allocators.items():
            execution.bind_allocator(name, allocator)

    @property
    def are_known(self) -> bool:
        """Whether all shapes are known, so that the run allocates nothing."""
        return not self._allocators

    def check(self) -> None:
        """Pass on what kept an output from its memory.

        Raises:
            EngineError: the GPU had none left.
        """
        for allocator in self._allocators.values():
            if allocator.error is not None:
                raise allocator.error

    def fetched(self) -> dict[str, Array]:
        """Return the other outputs, once the run is over."""
        return {name: self._fetched(name, allocator) for name, allocator in self._allocators.items()}

    def close(self) -> None:
        """Give the memory of the other outputs back."""
        for allocator in self._allocators.values():
            if allocator.address:
                self._memory.free(allocator.address)
                allocator.address = 0

    def _fetched(self, name: str, allocator: Any) -> Array:  # noqa: ANN401 - TensorRT has no types
        dtype = self._execution.dtypes[name]
        size = math.prod(allocator.shape) * dtype.itemsize
        host = self._memory.pinned(size)
        try:
            if size:
                self._memory.to_host(host[:size], allocator.address)
                self._memory.synchronize()
            array: Array = host[:size].view(dtype).reshape(allocator.shape).copy()
            return array
        finally:
            self._memory.free_pinned(host)


def make_allocator(trt: Any, memory: Memory) -> Any:  # noqa: ANN401 - TensorRT has no types
    """Return an allocator for one output of one run."""

    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.address = 0
            self.shape: Shape = ()
            self.error: EngineError | None = None

        def reallocate_output(self, name: str, address: int, size: int, alignment: int) -> int:
            try:
                if self.address:
                    memory.free(self.address)
                    self.address = 0
                self.address = memory.allocate(size)  # CUDA aligns to 256 bytes, more than TensorRT asks for
            except EngineError as error:
                self.error = error
            return self.address

        def reallocate_output_async(self, name: str, address: int, size: int, alignment: int, stream: int) -> int:
            return self.reallocate_output(name, address, size, alignment)

        def notify_shape(self, name: str, shape: Any) -> None:  # noqa: ANN401
            self.shape = tuple(shape)

    return Allocator()
