"""Runs a plan on a batch that is on the GPU already: no copy, the addresses are handed to TensorRT as they are.

torch tensors stay torch tensors: outputs come from torch's allocator, and the run is ordered after what torch's current
stream was given, and before what it is given next. Any other object needs `__cuda_array_interface__` (CuPy, Numba,
PyCUDA); outputs then have it too, and the run is over when the call returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from quantlab.engines.engine import check_feeds
from quantlab.engines.tensorrt.execution import Execution
from quantlab.engines.tensorrt.memory import Memory
from quantlab.engines.tensorrt.shapes import Shape
from quantlab.errors import DataError, EngineError

_LEGACY_DEFAULT_STREAM = 1  # what the interface calls stream 0


@dataclass(frozen=True, slots=True)
class _Described:
    """What `check_feeds` asks of an array: shape and type, without data."""

    shape: Shape
    dtype: np.dtype[Any]


class DeviceArray:
    """An output on the GPU, by way of `__cuda_array_interface__`, such as `cupy.asarray(output)`.

    The memory is given back when the object goes, so keep it as long as views of it.
    """

    def __init__(self, memory: Memory, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self._memory = memory
        self.address = memory.allocate(math.prod(shape) * dtype.itemsize)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3 of the interface; nothing is pending, hence no stream."""
        data = (self.address, False)
        return {"shape": self.shape, "typestr": self.dtype.str, "data": data, "version": 3, "stream": None}

    def __del__(self) -> None:
        self._memory.free(self.address)


class DeviceRuns:
    """Runs of one plan on batches that lie on the GPU.

    An execution context must not run on two streams at once. So all torch batches of a plan go on one stream, which
    torch keeps alive as long as memory may be recorded on it, and every other run waits for it.
    """

    def __init__(self, execution: Execution, memory: Memory) -> None:
        """Take over a loaded plan, and memory of the same GPU."""
        self._execution = execution
        self._memory = memory
        self._torch_stream: Any = None

    def run(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a batch on the GPU, on the GPU.

        Args:
            batch: by input name, torch tensors or objects with `__cuda_array_interface__`, contiguous.

        Raises:
            DataError: an input is missing, unknown, on the host or another GPU, not contiguous, or of a wrong type or
                shape.
            EngineError: the plan has an output whose size only running tells, or TensorRT failed.
        """
        if batch and all(hasattr(value, "data_ptr") for value in batch.values()):
            return self._run_torch(batch)
        return self._run_interfaces({name: _interface_of(name, value) for name, value in batch.items()})

    def wait(self) -> None:
        """Wait until no torch batch is running any more."""
        if self._torch_stream is not None:
            self._torch_stream.synchronize()

    def _run_interfaces(self, interfaces: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        execution, memory = self._execution, self._memory
        described = {name: _Described(tuple(i["shape"]), np.dtype(i["typestr"])) for name, i in interfaces.items()}
        shapes = _output_shapes(execution, described)
        self.wait()
        for interface in interfaces.values():
            stream = interface.get("stream", _LEGACY_DEFAULT_STREAM)
            if stream is not None:
                memory.wait_for(stream)
        outputs = {name: DeviceArray(memory, shape, execution.dtypes[name]) for name, shape in shapes.items()}
        _bind(execution, {name: int(i["data"][0]) for name, i in interfaces.items() if name in execution.dtypes})
        _bind(execution, {name: output.address for name, output in outputs.items()})
        execution.enqueue(memory.stream)
        memory.synchronize()
        return dict(outputs)

    def _run_torch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        import torch

        execution = self._execution
        for name, tensor in batch.items():
            _check_torch(name, tensor, self._memory.device)
        types = {name: _numpy_type_of(name, tensor) for name, tensor in batch.items()}
        described = {name: _Described(tuple(tensor.shape), types[name]) for name, tensor in batch.items()}
        shapes = _output_shapes(execution, described)
        device = next(iter(batch.values())).device
        outputs = {
            name: torch.empty(shape, dtype=_torch_type_of(execution.dtypes[name]), device=device)
            for name, shape in shapes.items()
        }
        everything = {**{name: tensor for name, tensor in batch.items() if name in execution.dtypes}, **outputs}
        _bind(execution, {name: tensor.data_ptr() for name, tensor in everything.items()})
        if self._torch_stream is None:
            self._torch_stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        current, stream = torch.cuda.current_stream(device), self._torch_stream
        stream.wait_stream(current)
        execution.enqueue(stream.cuda_stream)
        current.wait_stream(stream)
        for tensor in everything.values():  # torch must not give their memory to others before the run is over
            tensor.record_stream(stream)
        return outputs


def _check_torch(name: str, tensor: Any, device: int) -> None:  # noqa: ANN401
    if not tensor.is_cuda or not tensor.is_contiguous():
        raise DataError(f"input {name!r}: it must be contiguous and on the GPU; call .cuda().contiguous()")
    if tensor.device.index != device:
        raise DataError(f"input {name!r}: it lies on GPU {tensor.device.index}, and the plan on GPU {device}; move it")


def _interface_of(name: str, value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    interface: Mapping[str, Any] | None = getattr(value, "__cuda_array_interface__", None)
    if interface is None:
        kind = type(value).__name__
        raise DataError(f"input {name!r}: a {kind} is not on the GPU; give it to `run`, or all inputs on the GPU")
    if interface.get("strides") is not None:
        raise DataError(f"input {name!r}: its data are not contiguous; copy them to a contiguous array")
    return interface


def _output_shapes(execution: Execution, described: Mapping[str, _Described]) -> dict[str, Shape]:
    check_feeds(described, execution.inputs)  # type: ignore[arg-type]
    if execution.on_host:
        on_host = ", ".join(map(repr, sorted(execution.on_host)))
        raise EngineError(f"{on_host}: TensorRT reads or writes it on the host; run this plan on host arrays")
    shapes = execution.infer({name: item.shape for name, item in described.items()})
    for name, shape in shapes.items():
        if -1 in shape:
            raise EngineError(f"output {name!r}: only running tells its size; run this plan on host arrays")
    return shapes


def _bind(execution: Execution, addresses: Mapping[str, int]) -> None:
    for name, address in addresses.items():
        execution.bind(name, address)


def _numpy_type_of(name: str, tensor: Any) -> np.dtype[Any]:  # noqa: ANN401
    word = str(tensor.dtype).removeprefix("torch.")
    if word == "bfloat16":
        return ir.DataType.BFLOAT16.numpy()
    try:
        return np.dtype(word)
    except TypeError as error:
        raise DataError(f"input {name!r}: tensors of type {word} cannot be fed") from error


def _torch_type_of(dtype: np.dtype[Any]) -> Any:  # noqa: ANN401
    import torch

    return getattr(torch, dtype.name)
