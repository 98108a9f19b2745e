"""A stand-in for the modules `tensorrt` and `tensorrt_rtx`: the part of their interface that quantlab calls.

A plan is the ONNX file itself, and running it is ONNX Runtime, so what goes through buffers and addresses comes out
as numbers that can be checked. Memory is the host's, or any whose `read` and `write` are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx


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
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.data = b""


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

    def set_shape(self, name: str, *shapes: Sequence[int]) -> None:
        assert len(shapes) == 3
        self.shapes[name] = shapes


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


class FakeTensorRT:
    """The module.

    Attributes:
        configs: of every build, in order.
        is_rtx: whether it plays `tensorrt_rtx`.
    """

    ILogger = ILogger
    OnnxParser = OnnxParser

    def __init__(
        self, *, is_rtx: bool = False, refuses: str = "", layers: str = "", version: str = "11.1.0.106"
    ) -> None:
        self.__version__ = version
        self.is_rtx = is_rtx
        self.configs: list[Config] = []
        self.loaded: list[str] = []
        self._refuses = refuses
        self._layers = layers
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0 if is_rtx else 1)
        self.ProfilingVerbosity = SimpleNamespace(DETAILED=2)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.LayerInformationFormat = SimpleNamespace(JSON="json")
        if is_rtx:
            self.ComputeCapability = SimpleNamespace(SM86="SM86", SM89="SM89")

    def init_libnvinfer_plugins(self, logger: Any, namespace: str) -> bool:
        return True

    def get_plugin_registry(self) -> Any:
        return SimpleNamespace(load_library=self.loaded.append)

    def Builder(self, logger: Any) -> Any:  # noqa: N802 (its name)
        return SimpleNamespace(
            create_network=Network,
            create_builder_config=RtxConfig if self.is_rtx else Config,
            create_optimization_profile=Profile,
            build_serialized_network=lambda network, config: self._build(logger, network, config),
        )

    def _build(self, logger: Any, network: Network, config: Config) -> bytes | None:
        self.configs.append(config)
        logger.log(Severity.WARNING, "Weights are small\ncudaError 35")
        if self._refuses:
            logger.log(Severity.ERROR, self._refuses)
            return None
        if self.is_rtx:
            logger.log(Severity.VERBOSE, self._layers)
        return network.data

    def Runtime(self, logger: Any) -> Any:  # noqa: N802 (its name)
        inspector = SimpleNamespace(get_engine_information=lambda form: self._layers)
        engine = SimpleNamespace(create_engine_inspector=lambda: inspector)
        return SimpleNamespace(deserialize_cuda_engine=lambda data: engine)
