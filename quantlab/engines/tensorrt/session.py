"""Runs a plan on arrays of the host: pinned memory, copies on a stream, one synchronization per run.

    arrays ─copy─▶ pinned ─H2D─▶ device ─kernels─▶ device ─D2H─▶ pinned ─copy─▶ arrays

Buffers grow to the largest batch seen and are used again. Batches that are on the GPU already go another way; see
`device.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Session, check_feeds
from quantlab.engines.tensorrt.device import DeviceRuns
from quantlab.engines.tensorrt.execution import Execution
from quantlab.engines.tensorrt.memory import Graph, Memory, address_of
from quantlab.engines.tensorrt.output_allocator import Outputs
from quantlab.engines.tensorrt.shapes import Shape
from quantlab.errors import EngineError
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
        self._device_runs = DeviceRuns(execution, memory)
        self._graph: Graph | None = None
        self._graph_shapes: dict[str, Shape] = {}

    def run_on_device(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a batch that lies on the GPU; see `DeviceRuns.run`."""
        self._check_open()
        return self._device_runs.run(batch)

    def time_parts(self, feeds: Feeds) -> tuple[float, float]:
        """Run once, and return the time from the first copy to the last, and that of the kernels alone, in ms.

        Both are told by events on the GPU; copies between arrays and pinned memory are not in them.

        Raises:
            DataError, EngineError: as `run`.
        """
        self._check_open()
        check_feeds(feeds, self.inputs)
        marks: list[Any] = []
        self._run_marked(feeds, lambda: marks.append(self._memory.mark()))
        begin, before, after, end = marks
        times = self._memory.elapsed_ms(begin, end), self._memory.elapsed_ms(before, after)
        self._memory.drop(marks)
        return times

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        outputs = self._run_marked(feeds, lambda: None)
        return {name: outputs[name] if name in outputs else feeds[name].copy() for name in self.outputs}

    def _run_marked(self, feeds: Feeds, mark: Callable[[], None]) -> dict[str, Array]:
        """Run, and call `mark` before and after the copies in, and before and after the copies out."""
        execution, memory = self._execution, self._memory
        feeds = {name: array for name, array in feeds.items() if name in execution.dtypes}  # it drops unread inputs
        shapes = {name: array.shape for name, array in feeds.items()}
        self._device_runs.wait()
        views = {name: self._view(name, shape) for name, shape in shapes.items()}
        for name, array in feeds.items():  # before shapes are inferred: some inputs are shapes
            np.copyto(views[name], array)
        outputs = Outputs(execution, memory, execution.infer(shapes))
        views |= {name: self._view(name, shape) for name, shape in outputs.known.items()}
        try:
            mark()
            for name in self._on_device(feeds):
                memory.to_device(self._buffers[name].address, views[name])
            mark()
            self._enqueue(shapes, outputs)
            mark()
            for name in self._on_device(outputs.known):
                memory.to_host(views[name], self._buffers[name].address)
            mark()
            memory.synchronize()
            return {**{name: views[name].copy() for name in outputs.known}, **outputs.fetched()}
        finally:
            outputs.close()

    def _enqueue(self, shapes: dict[str, Shape], outputs: Outputs) -> None:
        """Launch the kernels; as a graph from the second run of the same shapes on, the first sets things up."""
        if self._graph is not None and shapes == self._graph_shapes:
            self._graph.launch()
            return
        self._drop_graph()
        try:
            self._execution.enqueue(self._memory.stream)
        finally:
            outputs.check()
        # A graph cannot allocate, and would repeat the values of inputs that the host read.
        if self._uses_graph and outputs.are_known and not self._execution.on_host:
            self._memory.synchronize()
            self._graph = self._memory.capture(lambda: self._execution.enqueue(self._memory.stream))
            self._graph_shapes = dict(shapes)

    def _on_device(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._execution.on_host]

    def _check_open(self) -> None:
        if not self._is_open:
            raise EngineError("session: it is closed; open the model again")

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _view(self, name: str, shape: Shape) -> Array:
        """Return the pinned side of a tensor's buffer, which is made larger if need be, and bind the side that is read.

        That is the device's but for the few tensors that TensorRT reads or writes on the host, which tell shapes.
        """
        dtype = self._execution.dtypes[name]
        size = math.prod(shape) * dtype.itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.host.nbytes < size:
            self._drop_graph()  # it holds the old address
            self._release(name)
            buffer = self._buffers[name] = _Buffer(self._memory.allocate(size), self._memory.pinned(size))
        self._execution.bind(name, address_of(buffer.host) if name in self._execution.on_host else buffer.address)
        return buffer.view(shape, dtype)

    def _release(self, name: str) -> None:
        buffer = self._buffers.pop(name, None)
        if buffer is not None:
            self._memory.free(buffer.address)
            self._memory.free_pinned(buffer.host)

    def _close(self) -> None:
        self._device_runs.wait()
        self._drop_graph()
        for name in list(self._buffers):
            self._release(name)
        try:
            self._execution.close()
        finally:
            self._memory.close()
