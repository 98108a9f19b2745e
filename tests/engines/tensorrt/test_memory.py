"""GPU memory through cuda.bindings or PyCUDA, both played: the calls made, and what becomes of their errors."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from quantlab.engines.tensorrt import memory as memory_module
from quantlab.engines.tensorrt.memory import bytes_of, open_memory
from quantlab.engines.tensorrt.memory_cuda import CudaMemory
from quantlab.engines.tensorrt.memory_pycuda import PycudaMemory
from quantlab.errors import EngineError, EngineMissing, RecipeError


class FakeRuntime(ModuleType):
    """`cuda.bindings.runtime`: every call returns a status and its results; memory is the host's."""

    cudaError_t = SimpleNamespace(cudaSuccess=0)  # noqa: N815 (its name)
    cudaStreamNonBlocking = 1  # noqa: N815
    cudaHostAllocDefault = 0  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.blocks: dict[int, Any] = {}
        self.calls: list[str] = []
        self.failing = ""

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        if not name.startswith("cuda"):
            raise AttributeError(name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            if name == self.failing:
                return (2,)
            return (0, *getattr(self, f"_{name}", lambda *_: (len(self.calls),))(*arguments))

        return call

    def _cudaMalloc(self, size: int) -> tuple[int]:  # noqa: N802 (the call it plays)
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    def _cudaHostAlloc(self, size: int, flags: int) -> tuple[int]:  # noqa: N802
        return self._cudaMalloc(size)

    def _cudaFree(self, address: int) -> tuple[()]:  # noqa: N802
        del self.blocks[address]
        return ()

    _cudaFreeHost = _cudaFree  # noqa: N815

    def _cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> tuple[()]:  # noqa: N802
        ctypes.memmove(target, source, size)
        return ()

    def _cudaEventElapsedTime(self, start: int, end: int) -> tuple[float]:  # noqa: N802
        return (float(end - start),)

    def _cudaGetErrorString(self, status: int) -> tuple[bytes]:  # noqa: N802
        return (b"out of memory",)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    fake = FakeRuntime()
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = fake  # type: ignore[attr-defined]
    for name, module in (("cuda", ModuleType("cuda")), ("cuda.bindings", bindings), ("cuda.bindings.runtime", fake)):
        monkeypatch.setitem(sys.modules, name, module)
    return fake


def test_what_is_copied_in_comes_out_and_everything_is_given_back(runtime: FakeRuntime) -> None:
    memory = CudaMemory()
    address, host, back = memory.allocate(12), memory.pinned(12), memory.pinned(12)
    host.view(np.float32)[:] = (1, 2, 3)
    memory.to_device(address, host)
    memory.to_host(back, address)
    memory.synchronize()
    np.testing.assert_array_equal(back.view(np.float32), [1, 2, 3])
    memory.free(address)
    memory.free_pinned(host)
    memory.free_pinned(back)
    memory.close()
    assert not runtime.blocks
    assert runtime.calls[0] == "cudaStreamCreateWithFlags"
    assert runtime.calls[-1] == "cudaStreamDestroy"


def test_nothing_can_be_allocated_too(runtime: FakeRuntime) -> None:
    memory = CudaMemory()
    assert memory.allocate(0)
    assert memory.pinned(0).size == 1


def test_a_failed_call_says_what_was_tried_and_why(runtime: FakeRuntime) -> None:
    memory = CudaMemory()
    runtime.failing = "cudaMalloc"
    with pytest.raises(EngineError, match="CUDA: cannot allocate 5,000 bytes: out of memory"):
        memory.allocate(5000)


def test_time_is_told_by_events(runtime: FakeRuntime) -> None:
    memory = CudaMemory()
    start, end = memory.mark(), memory.mark()
    assert memory.elapsed_ms(start, end) > 0
    assert runtime.calls.count("cudaEventRecord") == 2
    memory.drop([start, end])
    assert runtime.calls.count("cudaEventDestroy") == 2


def test_work_is_captured_and_launched_again(runtime: FakeRuntime) -> None:
    memory = CudaMemory()
    ran: list[int] = []
    graph = memory.capture(lambda: ran.append(1))
    graph.launch()
    graph.launch()
    assert ran == [1]
    assert runtime.calls.count("cudaGraphLaunch") == 2
    graph.close()
    assert runtime.calls[-1] == "cudaGraphExecDestroy"


def test_a_capture_that_fails_is_ended(runtime: FakeRuntime) -> None:
    memory = CudaMemory()

    def fail() -> None:
        raise EngineError("refused")

    with pytest.raises(EngineError, match="refused"):
        memory.capture(fail)
    assert runtime.calls[-1] == "cudaStreamEndCapture"


class PycudaError(Exception):
    """`pycuda.driver.Error`."""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return `pycuda.driver`, played."""
    fake: Any = ModuleType("pycuda.driver")
    fake.Error = PycudaError
    fake.init = lambda: None
    devices = [
        SimpleNamespace(pci_bus_id=lambda address=address: address) for address in ("0000:01:00.0", "0000:02:00.0")
    ]
    fake.Context = SimpleNamespace(
        get_current=lambda: object(), synchronize=lambda: None, get_device=lambda: devices[1]
    )

    class Device:
        def __init__(self, number: int) -> None:
            self.pci_bus_id = devices[number].pci_bus_id

        @staticmethod
        def count() -> int:
            return len(devices)

    fake.Device = Device
    fake.Stream = lambda: SimpleNamespace(handle=9, synchronize=lambda: None)
    fake.pagelocked_empty = lambda size, dtype: np.empty(size, dtype)

    class Allocation:
        def __init__(self, size: int) -> None:
            if size > 1000:
                raise PycudaError("cuMemAlloc failed: out of memory")
            self.block = ctypes.create_string_buffer(size)
            self.freed = False

        def __int__(self) -> int:
            return ctypes.addressof(self.block)

        def free(self) -> None:
            self.freed = True

    fake.mem_alloc = Allocation
    fake.memcpy_htod_async = lambda target, source, stream: ctypes.memmove(target, source.ctypes.data, source.nbytes)
    fake.memcpy_dtoh_async = lambda target, source, stream: ctypes.memmove(target.ctypes.data, source, target.nbytes)
    package: Any = ModuleType("pycuda")
    package.driver = fake
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", fake)
    return fake


def test_pycuda_copies_in_and_out_of_the_current_context(driver: ModuleType) -> None:
    memory = PycudaMemory()
    address, host, back = memory.allocate(8), memory.pinned(8), memory.pinned(8)
    host[:] = range(8)
    memory.to_device(address, host)
    memory.to_host(back, address)
    memory.synchronize()
    assert back.tolist() == list(range(8))
    assert (memory.stream, memory.device) == (9, 1)
    memory.free(address)


def test_pycuda_without_a_context_says_what_to_do(driver: Any) -> None:
    driver.Context.get_current = lambda: None
    with pytest.raises(EngineError, match="no current CUDA context"):
        PycudaMemory()


def test_errors_of_pycuda_are_ours(driver: ModuleType) -> None:
    memory = PycudaMemory()
    with pytest.raises(EngineError, match="cannot allocate 2,000 bytes: cuMemAlloc failed"):
        memory.allocate(2000)
    with pytest.raises(EngineError, match="knows no CUDA graphs"):
        memory.capture(lambda: None)


def test_cuda_bindings_are_preferred(runtime: FakeRuntime, driver: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "cuda.bindings", "pycuda")
    assert open_memory().name == "cuda"
    assert open_memory("pycuda").name == "pycuda"
    install(monkeypatch, "pycuda")
    assert open_memory().name == "pycuda"


def test_without_any_package_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(EngineMissing, match=r"quantlab\[tensorrt\].*quantlab\[pycuda\]"):
        open_memory()
    with pytest.raises(RecipeError, match="choose auto, cuda or pycuda"):
        open_memory("opencl")  # type: ignore[arg-type]


def install(monkeypatch: pytest.MonkeyPatch, *installed: str) -> None:
    monkeypatch.setattr(memory_module, "find_spec", lambda name: object() if name in installed else None)


def test_an_array_with_gaps_is_not_copied() -> None:
    with pytest.raises(EngineError, match="not contiguous"):
        bytes_of(np.zeros((4, 4))[:, ::2])
