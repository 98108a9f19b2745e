"""Builds models with TensorRT-RTX on a machine without a GPU, and reads from the build which layers became INT8.

The builder of TensorRT-RTX compiles for a GPU that need not be there. With detailed profiling its log carries one
verbose message that begins with `Layers:` and lists, per engine layer, the types of inputs, constants and outputs
and the ONNX nodes that went into it. That is a proof of which nodes became integer layers, and of nothing else: no
kernel is chosen and nothing runs.

The builder lives in a process of its own, because some models make it crash:

    python -m tests.rtx FOLDER      reads FOLDER/*.onnx, writes FOLDER/<name>.json beside each
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quantlab.errors import EngineError
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.plan import Plan

requires_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="the package tensorrt-rtx is not installed"
)

# The builder's words for a convolution and a matrix product. Fused attention calls itself pointwise (kgen), but has
# a name of its own. A transposed convolution (deconv) and a `runtime_fusion` compute in float.
_PRODUCTS = frozenset({"correlation", "gemm"})
_FUSED_ATTENTION = "_gemm_mha"
_LAYER = re.compile(
    r"Name: (?P<name>.*), LayerType: (?P<kind>\S*), Inputs: \[(?P<inputs>.*)\], Constants: \[(?P<constants>.*)\], "
    r"Outputs: \[(?P<outputs>.*)\], TacticName: .*, StreamId: \d+, Metadata: ?(?P<metadata>.*)"
)
_DATATYPE = re.compile(r"Datatype: (\w+)")
# Metadata reads `[ONNX Layer: a]␟[ONNX Layer: b]`; the separator is the unit separator of ASCII.
_SEPARATOR = "\x1f"
_NODE = re.compile(r"\[ONNX Layer: (.*)\]")


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """One layer of a built engine.

    Attributes:
        name: the builder's name.
        kind: the builder's word: correlation (a convolution), gemm, deconv, kgen (pointwise), maxpool, ...
        nodes: the ONNX nodes that the layer computes.
        inputs: the types of the tensors it reads, such as Int8 or Float.
        constants: the types of its constants.
        outputs: the types of the tensors it writes.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def multiplies_int8(self) -> bool:
        """Whether the layer is a convolution, a matrix product or a fused attention that reads integers."""
        is_product = self.kind in _PRODUCTS or self.name.startswith(_FUSED_ATTENTION)
        return is_product and "Int8" in self.inputs

    def __str__(self) -> str:
        types = f"{'+'.join(self.inputs)} x {'+'.join(self.constants) or '-'} -> {'+'.join(self.outputs)}"
        return f"{self.name} ({self.kind}) {types}: {' '.join(self.nodes)}"


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """What the builder made of a model.

    Attributes:
        layers: in the order of execution.
        seconds: how long the build took.
    """

    layers: tuple[EngineLayer, ...]
    seconds: float

    def float_nodes_of(self, plan: Plan) -> tuple[str, ...]:
        """Return the integer nodes of a plan that no layer computes from integers, weights included."""
        weighted = {reader.node for point in plan.of_role("weight") for reader in point.readers}
        return tuple(
            node
            for node in plan.integer_nodes
            if not any(
                layer.multiplies_int8 and (node not in weighted or "Int8" in layer.constants)
                for layer in self.layers_of(node)
            )
        )

    def layers_of(self, node: str) -> tuple[EngineLayer, ...]:
        """Return the layers that compute an ONNX node."""
        return tuple(layer for layer in self.layers if node in layer.nodes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.layers))


def build_engines(models: Mapping[str, Model], *, timeout_s: float = 300.0) -> dict[str, BuiltEngine]:
    """Build every model in one process of its own.

    Args:
        models: by a name that may be a file's; free axes are built for sizes 1 to 8.
        timeout_s: limit for all builds together.

    Raises:
        EngineError: the builder refused a model, crashed on it or took too long; the message names the model.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key, model in models.items():
            save(model, folder / f"{key}.onnx")
        _run_builder(folder, tuple(models), timeout_s)
        return {key: _read_engine(key, folder / f"{key}.json") for key in models}


def parse_layers(message: str) -> tuple[EngineLayer, ...]:
    """Return the layers that a `Layers:` message lists."""
    # splitlines() would split at the separator's relatives too.
    matches = (_LAYER.fullmatch(line.strip(" ")) for line in message.split("\n"))
    return tuple(
        EngineLayer(
            name=match["name"],
            kind=match["kind"].rstrip(","),
            nodes=tuple(_NODE.findall(match["metadata"].replace(_SEPARATOR, "\n"))),
            inputs=tuple(_DATATYPE.findall(match["inputs"])),
            constants=tuple(_DATATYPE.findall(match["constants"])),
            outputs=tuple(_DATATYPE.findall(match["outputs"])),
        )
        for match in matches
        if match
    )


def _run_builder(folder: Path, names: tuple[str, ...], timeout_s: float) -> None:
    command = [sys.executable, "-m", "tests.rtx", str(folder)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"TensorRT-RTX: no end after {timeout_s:g} s, at {_unbuilt(folder, names)}") from error
    if ended.returncode:
        last = _without_cuda_noise(ended.stderr.splitlines())[-3:]
        raise EngineError(
            f"TensorRT-RTX: the builder ended with {ended.returncode} at {_unbuilt(folder, names)}: {' '.join(last)}"
        )


def _unbuilt(folder: Path, names: Iterable[str]) -> str:
    return next((name for name in names if not (folder / f"{name}.json").exists()), "no model")


def _read_engine(name: str, path: Path) -> BuiltEngine:
    built = json.loads(path.read_text())
    if built["errors"]:
        raise EngineError(f"TensorRT-RTX refuses {name}: {'; '.join(built['errors'])}")
    return BuiltEngine(parse_layers(built["layers"]), built["seconds"])


def _without_cuda_noise(messages: Iterable[str]) -> list[str]:
    """Drop what the builder says about the missing driver after every message of its own."""
    return [message for message in messages if "cudaError" not in message and "CUDA initialization" not in message]


def _worker(folder: Path) -> None:
    import time

    import tensorrt_rtx as trt

    logger = _logger(trt)
    builder = trt.Builder(logger)
    for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime_ns):
        logger.messages.clear()
        start = time.perf_counter()
        errors = _build(trt, builder, logger, path)
        layers = next((text for _, text in logger.messages if text.startswith("Layers:")), "")
        found = {"errors": errors, "layers": layers, "seconds": time.perf_counter() - start}
        path.with_suffix(".json").write_text(json.dumps(found))


def _logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        """Keeps all messages; the first logger of a process serves every builder in it."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[tuple[Any, str]] = []

        def log(self, severity: Any, message: str) -> None:
            self.messages.append((severity, message))

    return Logger()


def _build(trt: Any, builder: Any, logger: Any, path: Path) -> list[str]:
    """Build one model and return the errors, if any."""
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        faults = [parser.get_error(index) for index in range(parser.num_errors)]
        return [
            f"{fault.node_operator()} {fault.node_name()!r}: {' '.join(_without_cuda_noise(fault.desc().splitlines()))}"
            for fault in faults
        ]
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    for value in (network.get_input(index) for index in range(network.num_inputs)):
        smallest, usual, largest = (tuple(size if d < 0 else d for d in value.shape) for size in (1, 4, 8))
        profile.set_shape(value.name, smallest, usual, largest)
    config.add_optimization_profile(profile)
    if builder.build_serialized_network(network, config) is None:
        worst = (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR)
        return _without_cuda_noise(text for severity, text in logger.messages if severity in worst) or ["no reason"]
    return []


if __name__ == "__main__":
    _worker(Path(sys.argv[1]))
