"""A plan that is loaded, with one execution context: shapes and addresses in, work on a stream out.

Source: IRuntime, ICudaEngine and IExecutionContext as the Python bindings of 10.12 to 11.4 and of TensorRT-RTX 1.7
have them. Loading a plan, and being refused, ran with TensorRT-RTX 1.7 on an H200, which it does not support. Running
one was tested with a stand-in for TensorRT on the H200's memory, streams, events and graphs, not with TensorRT itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from quantlab.data.batch import InputSpec
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.engines.tensorrt.messages import shortened
from quantlab.engines.tensorrt.shapes import Shape, ShapeRange
from quantlab.engines.tensorrt.startup import messages_of, process_logger
from quantlab.errors import EngineError, RecipeError
from quantlab.files import replacing

_logger = logging.getLogger(__name__)

# TensorRT's words for types, where they differ from ONNX's.
_TYPES: Mapping[str, str] = {"HALF": "FLOAT16", "BF16": "BFLOAT16"}


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a plan is run.

    Attributes:
        cuda_graph: launch all kernels of a run at once; shapes that change make a new graph each time.
        runtime_cache: with TensorRT-RTX, a file of compiled kernels that spares later processes the compilation;
            read and written.
    """

    cuda_graph: bool = False
    runtime_cache: Path | None = None


class Execution:
    """One loaded plan.

    Attributes:
        trt: the module.
        inputs: what it must be fed; free axes are None.
        outputs: names, in the plan's order.
        dtypes: numpy type of every input and output.
        on_host: the inputs and outputs that TensorRT reads or writes on the host, because they tell shapes.
        captures_itself: whether the runtime makes the CUDA graph, so that the caller need not.
    """

    def __init__(self, trt: Any, plan: bytes, settings: RunSettings) -> None:  # noqa: ANN401 - TensorRT has no types
        """Load a plan.

        Raises:
            EngineError: TensorRT refuses it; the message says why.
            RecipeError: the runtime does not know a setting.
        """
        if settings.runtime_cache is not None and not hasattr(trt, "CudaGraphStrategy"):
            raise RecipeError(f"runtime cache: only tensorrt_rtx compiles while it runs; leave it out for {_name(trt)}")
        self.trt = trt
        self._logger = process_logger(trt)
        self._logger.messages.clear()
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._accepted("load the plan", self._runtime.deserialize_cuda_engine(plan), _supported(trt))
        self._cache: Any = None
        self._cache_path = settings.runtime_cache
        self.captures_itself = False
        self._context = self._accepted("make an execution context", self._make_context(settings), _supported(trt))
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        self.dtypes = {name: _numpy_type(self._engine.get_tensor_dtype(name)) for name in names}
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        locations = {name: self._engine.get_tensor_location(name) for name in names}
        self.on_host = frozenset(name for name in names if locations[name] == trt.TensorLocation.HOST)
        self.inputs = tuple(self._spec(name) for name in names if modes[name] == trt.TensorIOMode.INPUT)
        self.outputs = tuple(name for name in names if modes[name] == trt.TensorIOMode.OUTPUT)

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """Set the shapes of all inputs and return those of the outputs; -1 where only running tells a size.

        Raises:
            EngineError: a shape is outside of the range the plan was built for.
        """
        self._logger.messages.clear()
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                sizes = "x".join(map(str, shape))
                raise EngineError(
                    f"input {name!r}: shape {sizes} is outside of {self.range_of(name)} (smallest, usual, largest) "
                    "that the plan was built for; build it again with another --shape"
                )
        try:
            missing = list(self._context.infer_shapes())
        except RuntimeError as error:
            reasons = messages_of(self.trt, self._logger, "ERROR", "INTERNAL_ERROR") or [str(error)]
            raise EngineError(f"{_name(self.trt)}: it cannot tell the outputs' shapes: {shortened(reasons)}") from error
        if missing:
            raise EngineError(f"{_name(self.trt)}: nothing says the shape or value of {', '.join(missing)}")
        return {name: tuple(self._context.get_tensor_shape(name)) for name in self.outputs}

    def range_of(self, name: str) -> ShapeRange:
        """Return the shapes of an input that the plan was built for."""
        return ShapeRange(*(tuple(shape) for shape in self._engine.get_tensor_profile_shape(name, 0)))

    def bind(self, name: str, address: int) -> None:
        """Say where an input or output lies."""
        self._accepted(f"bind {name!r}", self._context.set_tensor_address(name, address) or None)

    def bind_allocator(self, name: str, allocator: Any) -> None:  # noqa: ANN401
        """Let an output ask for its memory while it is computed."""
        self._accepted(f"bind {name!r}", self._context.set_output_allocator(name, allocator) or None)

    def enqueue(self, stream: int) -> None:
        """Put one run on a stream.

        Raises:
            EngineError: TensorRT refuses.
        """
        self._accepted("run", self._context.execute_async_v3(stream) or None)

    def close(self) -> None:
        """Write the runtime cache, and let go of the plan."""
        if self._cache is not None and self._cache_path is not None:
            path, data = self._cache_path, memoryview(self._cache.serialize())
            self._let_go()
            try:
                with replacing(path) as temporary:
                    temporary.write_bytes(data)
            except OSError as error:
                raise EngineError(f"{path}: the runtime cache cannot be written ({error.strerror or error})") from error
        self._let_go()

    def _let_go(self) -> None:
        self._cache = self._context = self._engine = self._runtime = None

    def _make_context(self, settings: RunSettings) -> Any:  # noqa: ANN401
        """Return a context; only TensorRT-RTX can be told of a cache and of graphs."""
        if not hasattr(self.trt, "CudaGraphStrategy"):
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        if settings.cuda_graph:
            config.cuda_graph_strategy = self.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            self.captures_itself = True
        if settings.runtime_cache is not None:
            self._cache = config.create_runtime_cache()
            if settings.runtime_cache.exists() and not self._cache.deserialize(settings.runtime_cache.read_bytes()):
                # Of another GPU, driver or version: kernels are compiled anew, and the file is written anew.
                _logger.info("%s: TensorRT-RTX does not take this cache; filling a new one", settings.runtime_cache)
            config.set_runtime_cache(self._cache)
        return self._engine.create_execution_context(config)

    def _spec(self, name: str) -> InputSpec:
        shape = tuple(None if axis < 0 else int(axis) for axis in self._engine.get_tensor_shape(name))
        return InputSpec(name, self.dtypes[name], shape)

    def _accepted(self, what: str, made: Any, advice: str = "") -> Any:  # noqa: ANN401
        """Return what TensorRT made; it says None, and logs why, where it refuses."""
        if made is not None:
            return made
        reasons = shortened(messages_of(self.trt, self._logger, "ERROR", "INTERNAL_ERROR"))
        raise EngineError(f"{_name(self.trt)}: cannot {what}: {reasons or 'it gives no reason'}{advice}")


def _name(trt: Any) -> str:  # noqa: ANN401
    return f"{getattr(trt, '__name__', 'tensorrt')} {trt.__version__}"


def _supported(trt: Any) -> str:  # noqa: ANN401
    """Return, for a message, on which GPUs TensorRT-RTX runs plans; empty for TensorRT."""
    words = [word.removeprefix("SM") for word in getattr(getattr(trt, "ComputeCapability", None), "__members__", ())]
    listing = ", ".join(f"{word[:-1]}.{word[-1]}" for word in words if word.isdigit())
    return f" (it runs on GPUs of compute capability {listing}; this is {current_gpu() or 'none'})" if listing else ""


def _numpy_type(dtype: Any) -> np.dtype[Any]:  # noqa: ANN401
    """Return TensorRT's type as numpy's; those that numpy lacks come from ml_dtypes, by way of onnx-ir."""
    try:
        return ir.DataType[_TYPES.get(dtype.name, dtype.name)].numpy()
    except (KeyError, TypeError) as error:
        raise EngineError(f"TensorRT: tensors of type {dtype.name} cannot be fed or read from Python") from error
