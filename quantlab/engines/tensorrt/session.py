"""Runs a plan on arrays of the host: pinned memory, copies on a stream, one synchronization per run.

    arrays ─copy─▶ pinned ─H2D─▶ device ─kernels─▶ device ─D2H─▶ pinned ─copy─▶ arrays

Buffers grow to the largest batch seen and are used again. Batches that are on the GPU already go another way; see
`device.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Session, check_feeds
from quantlab.engines.tensorrt.device import run_on_device
from quantlab.engines.tensorrt.execution import Execution
from quantlab.engines.tensorrt.memory import Memory
from quantlab.engines.tensorrt.output_allocator import Outputs
from quantlab.engines.tensorrt.shapes import Shape
from quantlab.graph.model import Model


@dataclass(slots=True)
class _Buffer:
    """Room for one tensor, on the device and page-locked on the host."""

    address: int
    host: Array

    def view(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """Return the host side as an array."""
        return self.host[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


class TensorRtSession(Session):
    """A plan that TensorRT has loaded."""

    def __init__(
        self, execution: Execution, memory: Memory, *, model: Model | None = None, cuda_graph: bool = False
    ) -> None:
        """Take over a loaded plan; the model it was built from tells the order of outputs, and names of free axes."""
        super().__init__(*((execution.inputs, execution.outputs) if model is None else (model.inputs, model.outputs)))
        self._execution = execution
        self._memory = memory
        self._uses_graph = cuda_graph and not execution.captures_itself
        self._buffers: dict[str, _Buffer] = {}
        self._graph: Callable[[], None] | None = None
        self._graph_shapes: dict[str, Shape] = {}

    def run_on_device(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a batch that lies on the GPU; see `device.run_on_device`."""
        return run_on_device(self._execution, self._memory, batch)

    def time_parts(self, feeds: Feeds) -> tuple[float, float]:
        """Run once, and return the time from the first copy to the last, and that of the kernels alone, in ms.

        Both are told by events on the GPU; copies between arrays and pinned memory are not in them.

        Raises:
            DataError, EngineError: as `run`.
        """
        check_feeds(feeds, self.inputs)
        marks: list[Any] = []
        self._run_marked(feeds, lambda: marks.append(self._memory.mark()))
        begin, before, after, end = marks
        return self._memory.elapsed_ms(begin, end), self._memory.elapsed_ms(before, after)

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        outputs = self._run_marked(feeds, lambda: None)
        return {name: outputs[name] if name in outputs else feeds[name].copy() for name in self.outputs}

    def _run_marked(self, feeds: Feeds, mark: Callable[[], None]) -> dict[str, Array]:
        """Run, and call `mark` before and after the copies in, and before and after the copies out."""
        execution, memory = self._execution, self._memory
        feeds = {name: array for name, array in feeds.items() if name in execution.dtypes}  # it drops unread inputs
        shapes = {name: array.shape for name, array in feeds.items()}
        outputs = Outputs(execution, memory, execution.infer(shapes))
        views = {name: self._view(name, shape) for name, shape in {**shapes, **outputs.known}.items()}
        for name, array in feeds.items():
            np.copyto(views[name], array)
        mark()
        for name in feeds:
            memory.to_device(self._buffers[name].address, views[name])
        mark()
        self._enqueue(shapes)
        mark()
        for name in outputs.known:
            memory.to_host(views[name], self._buffers[name].address)
        mark()
        memory.synchronize()
        return {**{name: views[name].copy() for name in outputs.known}, **outputs.fetched()}

    def _enqueue(self, shapes: dict[str, Shape]) -> None:
        """Launch the kernels; as a graph from the second run of the same shapes on, the first sets things up."""
        if self._graph is not None and shapes == self._graph_shapes:
            self._graph()
            return
        self._execution.enqueue(self._memory.stream)
        self._graph = None
        if self._uses_graph:
            self._memory.synchronize()
            self._graph = self._memory.capture(lambda: self._execution.enqueue(self._memory.stream))
            self._graph_shapes = dict(shapes)

    def _view(self, name: str, shape: Shape) -> Array:
        """Return the pinned side of a tensor's buffer, which is made larger if need be, and bind the device side."""
        dtype = self._execution.dtypes[name]
        size = math.prod(shape) * dtype.itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.host.nbytes < size:
            self._release(name)
            buffer = self._buffers[name] = _Buffer(self._memory.allocate(size), self._memory.pinned(size))
            self._graph = None  # it holds the old address
        self._execution.bind(name, buffer.address)
        return buffer.view(shape, dtype)

    def _release(self, name: str) -> None:
        buffer = self._buffers.pop(name, None)
        if buffer is not None:
            self._memory.free(buffer.address)
            self._memory.free_pinned(buffer.host)

    def _close(self) -> None:
        self._graph = None
        for name in list(self._buffers):
            self._release(name)
        self._execution.close()
        self._memory.close()
