"""What only a GPU can show: copies, streams, events and graphs of CUDA itself.

TensorRT is played by a stand-in that reads and writes the real addresses; a machine with TensorRT and a GPU that it
supports also runs the contract of engines with it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantlab.cli import main
from quantlab.engines.tensorrt import BuildSettings, RunSettings, TensorRT, build_plan
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.engines.tensorrt.memory import MemoryName
from quantlab.errors import EngineError
from quantlab.evaluation.gpu_latency import GpuLatencySettings, measure_gpu_latency
from tests.engines.models import chain, model_from_text, two_inputs
from tests.engines.tensorrt.fake_machine import play_tensorrt
from tests.engines.tensorrt.fake_trt import FakeContext, FakeTensorRT

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(current_gpu() is None, reason="there is no NVIDIA GPU")]

X = np.arange(8, dtype=np.float32).reshape(2, 4) - 3


def installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def is_too_new_for_rtx() -> bool:
    gpu = current_gpu()
    if gpu is None or not installed("tensorrt_rtx"):
        return False
    import tensorrt_rtx

    return f"SM{gpu.compute_capability.replace('.', '')}" not in tensorrt_rtx.ComputeCapability.__members__


needs_cuda = pytest.mark.skipif(not installed("cuda.bindings"), reason="cuda.bindings is not installed")
needs_cupy = pytest.mark.skipif(not installed("cupy"), reason="CuPy is not installed")
needs_pycuda = pytest.mark.skipif(not installed("pycuda"), reason="PyCUDA is not installed")
needs_rtx = pytest.mark.skipif(not installed("tensorrt_rtx"), reason="tensorrt-rtx is not installed")
needs_torch = pytest.mark.skipif(not installed("torch"), reason="torch is not installed")


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRT:
    """Play TensorRT on the real device memory."""
    runtime: Any = import_module("cuda.bindings.runtime")

    played = play_tensorrt(monkeypatch)

    def read(address: int, size: int) -> bytes:
        host = np.empty(size, np.uint8)
        assert runtime.cudaDeviceSynchronize()[0] == 0
        assert (
            runtime.cudaMemcpy(host.ctypes.data, address, size, runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost)[0] == 0
        )
        return host.tobytes()

    def write(address: int, data: bytes) -> None:
        host = np.frombuffer(data, np.uint8)
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        assert runtime.cudaMemcpy(address, host.ctypes.data, len(data), kind)[0] == 0

    played.read, played.write = read, write
    return played


@pytest.fixture
def copying(trt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch) -> FakeTensorRT:
    """Play a TensorRT whose engines copy x to y on the stream they are given, as a graph can capture."""
    runtime: Any = import_module("cuda.bindings.runtime")

    def execute(context: Any, stream: int) -> bool:
        size = int(np.prod(context._shapes["x"])) * 4
        addresses, kind = context._addresses, runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        return bool(runtime.cudaMemcpyAsync(addresses["y"], addresses["x"], size, kind, stream)[0] == 0)

    monkeypatch.setattr(FakeContext, "execute_async_v3", execute)
    return trt


def identity() -> Any:
    return model_from_text("copy (float[N, 4] x) => (float[N, 4] y) { [copy] y = Identity(x) }")


@needs_cuda
def test_arrays_go_to_the_gpu_and_come_back(trt: FakeTensorRT) -> None:
    with TensorRT(memory="cuda").open(two_inputs()) as session:
        for batch in (X, X[:1], np.tile(X, (4, 1))):
            np.testing.assert_array_equal(session.run({"x": batch, "z": 2 * batch})["y"], 3 * batch)


@needs_pycuda
def test_arrays_go_through_pycuda_in_the_programs_context(trt: FakeTensorRT) -> None:
    import pycuda.driver as driver  # type: ignore[import-not-found]

    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        with TensorRT(memory="pycuda").open(two_inputs()) as session:
            for batch in (X, X[:1], np.tile(X, (4, 1))):
                np.testing.assert_array_equal(session.run({"x": batch, "z": 2 * batch})["y"], 3 * batch)
            end_to_end_ms, gpu_ms = session.time_parts({"x": X, "z": X})
            assert 0 < gpu_ms <= end_to_end_ms
    finally:
        context.pop()


@needs_cuda
def test_outputs_of_unknown_size_come_back_too(trt: FakeTensorRT) -> None:
    trt.unknown_sizes = True
    with TensorRT(memory="cuda").open(chain(), taps=("a",)) as session:
        np.testing.assert_array_equal(session.run({"x": X})["a"], np.abs(X))


@needs_cuda
def test_outputs_of_unknown_size_are_not_captured_in_a_graph(trt: FakeTensorRT) -> None:
    trt.unknown_sizes = True
    with TensorRT(memory="cuda", run=RunSettings(cuda_graph=True)).open(chain(), taps=("a",)) as session:
        for step in range(3):
            np.testing.assert_array_equal(session.run({"x": X + step})["a"], np.abs(X + step))


@needs_cuda
@needs_rtx
@pytest.mark.skipif(not is_too_new_for_rtx(), reason="TensorRT-RTX runs plans on this GPU")
def test_tensorrt_rtx_refuses_this_gpu_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = build_plan(chain(), tmp_path / "net.plan", BuildSettings(runtime="tensorrt_rtx"))
    with pytest.raises(EngineError) as caught:
        TensorRT(plan=tmp_path / "net.plan", memory="cuda").open_plan()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"tensorrt_rtx {record.version}: cannot ")
    assert message.endswith(f"this is {current_gpu()})")
    # The command says it in one line too.
    assert main(["evaluate", str(tmp_path / "net.plan")]) == 1
    assert f"this is {current_gpu()})" in " ".join(capsys.readouterr().err.split())


@needs_cuda
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_kernels_and_graphs_run_on_the_stream(copying: FakeTensorRT, *, cuda_graph: bool) -> None:
    with TensorRT(memory="cuda", run=RunSettings(cuda_graph=cuda_graph)).open(identity()) as session:
        for step in range(5):
            np.testing.assert_array_equal(session.run({"x": X + step})["y"], X + step)
        np.testing.assert_array_equal(session.run({"x": X[:1]})["y"], X[:1])


@needs_cuda
@pytest.mark.parametrize("memory", ["cuda", pytest.param("pycuda", marks=needs_pycuda)])
def test_the_gpus_own_clock_tells_copies_and_kernels_apart(copying: FakeTensorRT, memory: MemoryName) -> None:
    if memory == "pycuda":
        pytest.importorskip("pycuda.autoprimaryctx")
    large = np.zeros((32, 2**20), np.float32)
    model = model_from_text(f"copy (float[N, {2**20}] x) => (float[N, {2**20}] y) {{ [copy] y = Identity(x) }}")
    with TensorRT(memory=memory).open(model) as session:
        one, many = measure_gpu_latency(session, {"x": large}, (1, 32), GpuLatencySettings(runs=20, warmup_seconds=0.1))
    # 128 MB twice over PCIe takes far longer than once within the GPU, and than 4 MB.
    assert many.median_ms > 3 * many.gpu_median_ms
    assert many.median_ms > 5 * one.median_ms


@needs_cuda
@needs_cupy
def test_cupy_arrays_are_read_in_place_and_outputs_are_cupys(copying: FakeTensorRT) -> None:
    import cupy  # type: ignore[import-not-found]

    with TensorRT(memory="cuda").open(identity()) as session:
        for step in range(3):
            output = session.run_on_device({"x": cupy.asarray(X) + step})["y"]
            np.testing.assert_array_equal(cupy.asnumpy(cupy.asarray(output)), X + step)


@needs_cuda
@needs_torch
def test_torch_tensors_are_ordered_with_torchs_stream(copying: FakeTensorRT) -> None:
    import torch

    size = 2**22
    model = model_from_text(f"copy (float[N, {size}] x) => (float[N, {size}] y) {{ [copy] y = Identity(x) }}")
    with TensorRT(memory="cuda").open(model) as session:
        for step in range(5):
            # The input is still being computed when the run is given, and the output is read while it runs.
            x = torch.full((8, size), float(step), device="cuda").sqrt().square()
            output = session.run_on_device({"x": x})["y"] + 1
            assert output.is_cuda
            torch.testing.assert_close(output, x + 1, rtol=0, atol=0)
            del x


@needs_cuda
@needs_torch
def test_host_and_device_batches_take_turns_on_one_plan(copying: FakeTensorRT) -> None:
    import torch

    size = 2**22
    model = model_from_text(f"copy (float[N, {size}] x) => (float[N, {size}] y) {{ [copy] y = Identity(x) }}")
    with TensorRT(memory="cuda").open(model) as session:
        for step in range(4):
            x = torch.full((8, size), float(step), device="cuda")
            another = torch.cuda.Stream()  # each time, and nothing waits for the one before
            another.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(another):
                on_device = session.run_on_device({"x": x})["y"]
            host = np.full((2, size), -1.0 - step, np.float32)
            np.testing.assert_array_equal(session.run({"x": host})["y"], host)
            torch.cuda.synchronize()
            torch.testing.assert_close(on_device, x, rtol=0, atol=0)
