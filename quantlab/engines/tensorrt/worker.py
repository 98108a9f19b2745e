"""The process that builds: TensorRT's builder ends it with a crash on some models, and the user must not notice.

    python -m quantlab.engines.tensorrt.worker FOLDER

reads FOLDER/request.json, and for each job in it NAME.onnx; writes NAME.plan, and last NAME.json, which says that the
job is done: errors, warnings, layers, seconds. `building.py` starts it and reads what it leaves.

One code path serves TensorRT 10.12 to 11 and TensorRT-RTX: calls that only one of them knows are behind a question
whether they are there. Run with TensorRT-RTX 1.7 without a GPU, and, timing cache included, with the Python package of
TensorRT 11.4 on top of the same library; the inspector with a stand-in only.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantlab.engines.tensorrt.messages import parse_errors
from quantlab.engines.tensorrt.plugins import load_plugins
from quantlab.engines.tensorrt.runtimes import import_runtime
from quantlab.engines.tensorrt.startup import make_logger, messages_of
from quantlab.errors import EngineError
from quantlab.files import replacing

# What the builder counts at the end, and what answers call it.
_MEMORY: Mapping[str, str] = {"weights_bytes": "Weights", "activations_bytes": "Activation"}


def main(folder: Path) -> None:
    """Do every job of a request; see `building.py` for its fields."""
    _leave_no_core_dump()
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    trt = import_runtime(request["runtime"])
    worker = Worker(trt, request)
    for name, shapes in request["jobs"].items():
        answer = worker.build(folder / f"{name}.onnx", folder / f"{name}.plan", shapes)
        with replacing(folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(answer), encoding="utf-8")


def _leave_no_core_dump() -> None:
    """A crash is reported in one line; gigabytes of memory on the user's disk would not help."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        resource = importlib.import_module("resource")  # not on Windows
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


class Worker:
    """Builds models with one runtime."""

    def __init__(self, trt: Any, request: Mapping[str, Any]) -> None:  # noqa: ANN401
        self._trt = trt
        self._request = request
        self._logger = make_logger(trt)
        self._faults: list[str] = []
        try:
            load_plugins(trt, self._logger, request["plugins"])
        except EngineError as error:  # every job is answered with it
            self._faults.append(str(error))
        self._builder = trt.Builder(self._logger)

    def build(self, onnx: Path, plan: Path, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """Build one model.

        Args:
            onnx: the model.
            plan: where to write the plan.
            shapes: by input, the fields of its `ShapeRange`.

        Returns:
            The answer: version, errors (none if there is a plan), warnings, layers, memory in bytes, seconds.
        """
        self._logger.messages.clear()
        start = time.perf_counter()
        errors, serialized = self._serialized(onnx, shapes)
        seconds = time.perf_counter() - start
        layers = ""
        if serialized is not None:
            plan.write_bytes(memoryview(serialized))
            layers = self._told("Layers:") or self._inspected(serialized)
        warnings = self._messages_of("WARNING")
        answer = {"version": self._trt.__version__, "errors": errors, "warnings": warnings, "layers": layers}
        return answer | {"seconds": seconds, **{key: self._memory(kind) for key, kind in _MEMORY.items()}}

    def _serialized(self, onnx: Path, shapes: Mapping[str, Any]) -> tuple[list[str], Any]:
        if self._faults:
            return self._faults, None
        trt = self._trt
        network = self._builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse_from_file(str(onnx)):
            return parse_errors(parser) or ["the parser gives no reason"], None
        unfit = unfit_inputs(network, shapes)
        if unfit:
            return unfit, None
        config = self._config()
        profile = self._builder.create_optimization_profile()
        for name, sizes in shapes.items():
            set_range = profile.set_shape_input if sizes["is_values"] else profile.set_shape
            set_range(name, *(tuple(sizes[end]) for end in ("smallest", "usual", "largest")))
        config.add_optimization_profile(profile)
        serialized = self._builder.build_serialized_network(network, config)
        if serialized is None:
            return self._messages_of("ERROR", "INTERNAL_ERROR") or ["the builder gives no reason"], None
        self._save_timing_cache(config)
        return [], serialized

    def _config(self) -> Any:  # noqa: ANN401
        trt, request = self._trt, self._request
        config = self._builder.create_builder_config()
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if request["workspace_bytes"] is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request["workspace_bytes"])
        if request["optimization_level"] is not None:
            config.builder_optimization_level = request["optimization_level"]
        if request["compute_capabilities"]:
            config.num_compute_capabilities = len(request["compute_capabilities"])
            for index, capability in enumerate(request["compute_capabilities"]):
                name = f"SM{capability.replace('.', '')}"
                config.set_compute_capability(getattr(trt.ComputeCapability, name), index)
        if request["timing_cache"] is not None:
            path = Path(request["timing_cache"])
            cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
            # A cache of another GPU or version is refused; this build then fills a new one.
            if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
                config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
        return config

    def _save_timing_cache(self, config: Any) -> None:  # noqa: ANN401
        if self._request["timing_cache"] is None:
            return
        with replacing(Path(self._request["timing_cache"])) as temporary:
            temporary.write_bytes(memoryview(config.get_timing_cache().serialize()))

    def _inspected(self, serialized: Any) -> str:  # noqa: ANN401
        """Return what the inspector says, which needs the GPU that TensorRT builds on; empty where it cannot run."""
        trt = self._trt
        engine = trt.Runtime(self._logger).deserialize_cuda_engine(serialized)
        if engine is None:
            return ""
        text: str = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
        return text

    def _told(self, beginning: str) -> str:
        return next((text for _, text in self._logger.messages if text.startswith(beginning)), "")

    def _memory(self, kind: str) -> int | None:
        """Return how many bytes the builder says there are of a kind, or None where it does not say."""
        beginning = f"Total {kind} Memory:"
        told = self._told(beginning).removeprefix(beginning).split()
        return int(told[0]) if told and told[0].isdecimal() else None

    def _messages_of(self, *severities: str) -> list[str]:
        return messages_of(self._trt, self._logger, *severities)


def unfit_inputs(network: Any, shapes: Mapping[str, Any]) -> list[str]:  # noqa: ANN401
    """Return what is wrong about inputs: only of those that TensorRT takes sizes from, it wants to know values."""
    wrong = []
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        has_values = tensor.name in shapes and shapes[tensor.name]["is_values"]
        if tensor.is_shape_tensor and not has_values:
            wrong.append(
                f"input {tensor.name!r}: sizes are taken from its values; give the smallest, usual and largest ones "
                f"by --shape {tensor.name}:..., such as size:224x224,224x224,448x448"
            )
        if has_values and not tensor.is_shape_tensor:
            wrong.append(f"input {tensor.name!r}: no sizes are taken from its values; leave its --shape out")
    return wrong


if __name__ == "__main__":
    main(Path(sys.argv[1]))
