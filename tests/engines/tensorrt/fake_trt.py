"""A stand-in for the modules `tensorrt` and `tensorrt_rtx`: the part of their interface that quantlab calls.

A plan is the ONNX file itself, and running it is ONNX Runtime, so what goes through buffers and addresses comes out
as numbers that can be checked. Memory is the host's, or any whose `read` and `write` are given.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.shape_inference
import onnxruntime


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def __init__(self) -> None:
        pass

    def log(self, severity: Severity, message: str) -> None:
        raise NotImplementedError


class ParserError:
    def __init__(self, operator: str, name: str, text: str) -> None:
        self._operator, self._name, self._text = operator, name, text

    def node_operator(self) -> str:
        return self._operator

    def node_name(self) -> str:
        return self._name

    def desc(self) -> str:
        return self._text

    def code(self) -> str:
        return "INVALID_NODE"


class Network:
    def __init__(self, flags: int, inputs: Sequence[str] = ()) -> None:
        self.flags = flags
        self.data = b""
        self._shape_inputs = inputs

    @property
    def num_inputs(self) -> int:
        return len(onnx.load_from_string(self.data).graph.input)

    def get_input(self, index: int) -> Any:
        name = onnx.load_from_string(self.data).graph.input[index].name
        return SimpleNamespace(name=name, is_shape_tensor=name in self._shape_inputs)


class OnnxParser:
    def __init__(self, network: Network, logger: ILogger) -> None:
        self._network = network
        self._errors: list[ParserError] = []

    def parse_from_file(self, path: str) -> bool:
        self._network.data = Path(path).read_bytes()
        nodes = onnx.load_from_string(self._network.data).graph.node
        noise = "cudaError 35: CUDA driver version is insufficient"
        self._errors = [
            ParserError(node.op_type, node.name, f"Plugin not found\n{noise}") for node in nodes if node.domain
        ]
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Sequence[int], ...]] = {}

        self.values: dict[str, tuple[Sequence[int], ...]] = {}

    def set_shape(self, name: str, *shapes: Sequence[int]) -> None:
        assert len(shapes) == 3
        self.shapes[name] = shapes

    def set_shape_input(self, name: str, *values: Sequence[int]) -> None:
        assert len(values) == 3
        self.values[name] = values


class TimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data + b"+"


class Config:
    def __init__(self) -> None:
        self.profiling_verbosity = 0
        self.builder_optimization_level = 3
        self.pools: dict[str, int] = {}
        self.profiles: list[Profile] = []
        self.cache: TimingCache | None = None

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.pools[pool] = size

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, data: bytes) -> TimingCache | None:
        return None if data == b"foreign" else TimingCache(data)

    def set_timing_cache(self, cache: TimingCache, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.cache = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self.cache


class RtxConfig(Config):
    def __init__(self) -> None:
        super().__init__()
        self.num_compute_capabilities = 0
        self.capabilities: dict[int, str] = {}

    def set_compute_capability(self, capability: str, index: int) -> None:
        self.capabilities[index] = capability


class RuntimeCache:
    def __init__(self) -> None:
        self.data = b""

    def deserialize(self, data: bytes) -> bool:
        if data == b"foreign":
            return False
        self.data = data
        return True

    def serialize(self) -> bytes:
        return self.data + b"+"


class RuntimeConfig:
    def __init__(self) -> None:
        self.cuda_graph_strategy = "disabled"
        self.cache: RuntimeCache | None = None

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache = cache
        return True


class FakeEngine:
    """A loaded plan: the ONNX file, run by ONNX Runtime."""

    def __init__(self, trt: FakeTensorRT, data: bytes) -> None:
        self.trt = trt
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(data)).graph
        # An inner tensor that was made an output has its type beside the outputs.
        types = {value.name: value for value in graph.value_info}
        self.inputs = {value.name: value for value in graph.input}
        self.outputs = {value.name: types.get(value.name, value) for value in graph.output}
        self.runtime_config: RuntimeConfig | None = None

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, index: int) -> str:
        names: list[str] = [*self.inputs, *self.outputs]
        return names[index]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in self.inputs else "output"

    def get_tensor_dtype(self, name: str) -> Any:
        value = {**self.inputs, **self.outputs}[name]
        word = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        return SimpleNamespace(name={"FLOAT16": "HALF", "BFLOAT16": "BF16"}.get(word, word))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        dims = {**self.inputs, **self.outputs}[name].type.tensor_type.shape.dim
        return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)

    def get_tensor_profile_shape(self, name: str, profile: int) -> tuple[Sequence[int], ...]:
        return self.trt.ranges[name]

    def get_tensor_location(self, name: str) -> str:
        return "host" if name in self.trt.on_host else "device"

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda form: self.trt._layers)

    def create_runtime_config(self) -> RuntimeConfig:
        self.runtime_config = RuntimeConfig()
        return self.runtime_config

    def create_execution_context(self, config: RuntimeConfig | None = None) -> FakeContext:
        assert (config is not None) == self.trt.is_rtx
        return FakeContext(self)


class FakeContext:
    """Reads inputs from their addresses, computes, and writes outputs to theirs."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._trt = engine.trt
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, Any] = {}

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        low, _, high = self._trt.ranges[name]
        if not all(a <= size <= b for a, size, b in zip(low, shape, high, strict=True)):
            return False
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        if self._trt.cannot_infer:
            self._trt.logger.log(Severity.ERROR, self._trt.cannot_infer)
            raise RuntimeError("shape inference failed")
        return [name for name in self._engine.inputs if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if self._trt.unknown_sizes:
            return self._engine.get_tensor_shape(name)
        feeds = {
            spec.name: self._fed(spec.name)
            if spec.name in self._trt.on_host
            else np.zeros(self._shapes[spec.name], self._type(spec.name))
            for spec in self._specs()
        }
        outputs = dict(zip(self._engine.outputs, self._compute(feeds), strict=True))
        return tuple(outputs[name].shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return bool(address)

    def set_output_allocator(self, name: str, allocator: Any) -> bool:
        self._allocators[name] = allocator
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream, "the default stream waits for all others"
        feeds = {spec.name: self._fed(spec.name) for spec in self._specs()}
        for name, array in zip(self._engine.outputs, self._compute(feeds), strict=True):
            address = self._addresses.get(name, 0)
            if name in self._allocators:
                address = self._allocators[name].reallocate_output_async(name, 0, array.nbytes, 256, stream)
                if not address:
                    return False
                self._allocators[name].notify_shape(name, array.shape)
            self._trt.write(address, array.tobytes())
        return True

    def _fed(self, name: str) -> np.ndarray:
        shape, dtype = self._shapes[name], self._type(name)
        size, address = int(np.prod(shape)) * dtype.itemsize, self._addresses[name]
        data = ctypes.string_at(address, size) if name in self._trt.on_host else self._trt.read(address, size)
        return np.frombuffer(data, dtype).reshape(shape)

    def _specs(self) -> list[Any]:
        return list(self._engine.session.get_inputs())

    def _type(self, name: str) -> np.dtype[Any]:
        return onnx.helper.tensor_dtype_to_np_dtype(self._engine.inputs[name].type.tensor_type.elem_type)

    def _compute(self, feeds: dict[str, Any]) -> list[Any]:
        outputs: list[Any] = self._engine.session.run(list(self._engine.outputs), feeds)
        return outputs


class Registry:
    """Custom operators, by the library that brings them.

    Attributes:
        loaded: the libraries whose operators were asked for, in order.
        takes: whether their operators fit.
    """

    def __init__(self) -> None:
        self.all_creators: list[str] = []
        self.loaded: list[str] = []
        self.takes = True

    def load_library(self, path: str) -> object | None:
        self.loaded.append(path)
        return object() if self.takes else None


class FakeTensorRT:
    """The module.

    Attributes:
        configs: of every build, in order.
        is_rtx: whether it plays `tensorrt_rtx`.
        on_host: inputs that are read on the host, because they tell shapes.
        shape_inputs: inputs that the builder takes sizes from.
        cannot_infer: why shapes cannot be inferred, if they cannot.
    """

    ILogger = ILogger
    OnnxParser = OnnxParser
    IOutputAllocator = object
    TensorLocation = SimpleNamespace(DEVICE="device", HOST="host")
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    __name__ = "tensorrt"

    def __init__(
        self, *, is_rtx: bool = False, refuses: str = "", layers: str = "", version: str = "11.1.0.106"
    ) -> None:
        self.__version__ = version
        self.is_rtx = is_rtx
        self.configs: list[Config] = []
        self.registry = Registry()
        self.read: Callable[[int, int], bytes] = ctypes.string_at
        self.write: Callable[[int, bytes], Any] = lambda address, data: ctypes.memmove(address, data, len(data))
        self.ranges: dict[str, tuple[Sequence[int], ...]] = {}
        self.unknown_sizes = False
        self.on_host: tuple[str, ...] = ()
        self.shape_inputs: tuple[str, ...] = ()
        self.cannot_infer = ""
        self.logger: Any = None
        self._refuses = refuses
        self._layers = layers
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0 if is_rtx else 1)
        self.ProfilingVerbosity = SimpleNamespace(DETAILED=2)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.LayerInformationFormat = SimpleNamespace(JSON="json")
        if is_rtx:
            members = {"CURRENT": "CURRENT", "SM86": "SM86", "SM89": "SM89"}
            self.ComputeCapability = SimpleNamespace(**members, __members__=members)
            self.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")

    def init_libnvinfer_plugins(self, logger: Any, namespace: str) -> bool:
        return True

    def get_plugin_registry(self) -> Any:
        return self.registry

    def Builder(self, logger: Any) -> Any:  # noqa: N802 (its name)
        return SimpleNamespace(
            create_network=lambda flags: Network(flags, self.shape_inputs),
            create_builder_config=RtxConfig if self.is_rtx else Config,
            create_optimization_profile=Profile,
            build_serialized_network=lambda network, config: self._build(logger, network, config),
        )

    def _build(self, logger: Any, network: Network, config: Config) -> bytes | None:
        self.configs.append(config)
        self.ranges = dict(config.profiles[0].shapes)
        logger.log(Severity.WARNING, "Weights are small\ncudaError 35")
        if self._refuses:
            logger.log(Severity.ERROR, self._refuses)
            return None
        if self.is_rtx:
            logger.log(Severity.VERBOSE, self._layers)
        return network.data

    def Runtime(self, logger: Any) -> Any:  # noqa: N802 (its name)
        self.logger = logger
        return SimpleNamespace(deserialize_cuda_engine=lambda data: self._load(logger, bytes(data)))

    def _load(self, logger: Any, data: bytes) -> Any:
        if data.startswith(b"foreign"):
            logger.log(Severity.ERROR, "The engine cannot run on this GPU. In throwUnless at /src/a.cpp:1")
            return None
        return FakeEngine(self, data)
