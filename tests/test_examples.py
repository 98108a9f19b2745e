"""The examples that README and CONTRIBUTING send readers to do what they say."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

from quantlab.engines.tensorrt import BuildSettings, BuiltEngine, build_engines  # noqa: E402 - after the check for torch
from quantlab.graph.load import load  # noqa: E402
from quantlab.graph.model import Model  # noqa: E402
from quantlab.torchgraph import registry  # noqa: E402
from tests.rtx import requires_rtx  # noqa: E402

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, list[float]]:
    """The INT8 network of the example, and its losses."""
    path = tmp_path_factory.mktemp("examples") / "int8.onnx"
    description = importlib.util.spec_from_file_location("custom_operator", EXAMPLES / "custom_operator.py")
    assert description is not None
    assert description.loader is not None
    example = importlib.util.module_from_spec(description)
    description.loader.exec_module(example)
    try:
        losses = example.main(path)
    finally:
        del registry._ops["my.plugins", "HSwish"]
    return load(path), losses


def test_an_operator_of_ones_own_goes_the_whole_way(trained: tuple[Model, list[float]]) -> None:
    model, losses = trained
    assert losses[-1] < losses[0]
    assert [node.domain for node in model.graph if node.op_type == "HSwish"] == ["my.plugins"]
    weights = {str(value.dtype) for value in model.graph.initializers.values()}
    assert "INT8" in weights


def test_it_reads_floats_and_what_it_writes_is_quantized_for_its_reader(trained: tuple[Model, list[float]]) -> None:
    nodes = trained[0].nodes_by_name()
    operator = nodes["/HSwish"]
    assert operator.inputs[0] is nodes["/first/Conv"].outputs[0]
    (quantize,) = operator.outputs[0].consumers()
    (dequantize,) = quantize.outputs[0].consumers()
    assert (quantize.op_type, dequantize.op_type) == ("QuantizeLinear", "DequantizeLinear")
    assert dequantize.outputs[0].consumers() == (nodes["/second/Conv"],)


@requires_rtx
@pytest.mark.tensorrt
def test_tensorrt_rtx_builds_it_with_the_plugin_in_python(trained: tuple[Model, list[float]]) -> None:
    check(built(trained[0], EXAMPLES / "hswish_plugin.py"))


@requires_rtx
@pytest.mark.tensorrt
def test_tensorrt_rtx_builds_it_with_the_plugin_in_cuda(trained: tuple[Model, list[float]], tmp_path: Path) -> None:
    check(built(trained[0], compiled(EXAMPLES / "hswish_plugin.cu", tmp_path / "libhswish.so")))


def built(model: Model, plugin: Path) -> BuiltEngine:
    settings = BuildSettings(runtime="tensorrt_rtx", plugins=(str(plugin),), timeout_s=120)
    return build_engines({"int8": model}, settings)["int8"]


def check(engine: BuiltEngine) -> None:
    """The plugin is a layer of its own, of floats; the convolutions around it are of integers."""
    (plugin,) = engine.layers_of("/HSwish")
    assert (plugin.kind, plugin.inputs, plugin.outputs) == ("custom_layer", ("Float",), ("Float",))
    convolutions = [layer for layer in engine.layers if layer.is_product]
    assert len(convolutions) == 2
    assert all(layer.multiplies_int8 for layer in convolutions)


def compiled(source: Path, library: Path) -> Path:
    """Compile as the head of the source says; TENSORRT_INCLUDE tells where TensorRT's headers are."""
    headers = Path(os.environ.get("TENSORRT_INCLUDE", "/usr/include/x86_64-linux-gnu"))
    if shutil.which("nvcc") is None or not (headers / "NvInferRuntime.h").exists():
        pytest.skip("needs nvcc, and TENSORRT_INCLUDE to name the folder of NvInferRuntime.h")
    options = ["-std=c++17", "-O2", "--shared", "-Xcompiler", "-fPIC", "-isystem", str(headers)]
    subprocess.run(["nvcc", *options, "-o", str(library), str(source)], check=True, capture_output=True, timeout=120)
    return library
