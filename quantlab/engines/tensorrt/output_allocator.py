"""Outputs whose size only running tells, such as the boxes that a detector keeps, ask for memory as they go.

Source: IOutputAllocator; TensorRT calls `reallocate_output` with the bytes it needs and `notify_shape` with the shape
it found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from quantlab.data.batch import Array
from quantlab.engines.tensorrt.execution import Execution
from quantlab.engines.tensorrt.memory import Memory
from quantlab.engines.tensorrt.shapes import Shape


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

    def fetched(self) -> dict[str, Array]:
        """Return the other outputs, once the run is over, and give their memory back."""
        result = {}
        for name, allocator in self._allocators.items():
            dtype = self._execution.dtypes[name]
            size = math.prod(allocator.shape) * dtype.itemsize
            host = self._memory.pinned(size)
            if size:
                self._memory.to_host(host[:size], allocator.address)
                self._memory.synchronize()
            result[name] = host[:size].view(dtype).reshape(allocator.shape).copy()
            self._memory.free_pinned(host)
            if allocator.address:
                self._memory.free(allocator.address)
        return result


def make_allocator(trt: Any, memory: Memory) -> Any:  # noqa: ANN401 - TensorRT has no types
    """Return an allocator for one output of one run."""

    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.address = 0
            self.shape: Shape = ()

        def reallocate_output(self, name: str, address: int, size: int, alignment: int) -> int:
            if self.address:
                memory.free(self.address)
            self.address = memory.allocate(size)  # CUDA aligns to 256 bytes, more than TensorRT asks for
            return self.address

        def notify_shape(self, name: str, shape: Any) -> None:  # noqa: ANN401
            self.shape = tuple(shape)

    return Allocator()
