"""A stand-in for a machine with TensorRT and a GPU, so that the whole engine can be played."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from quantlab import contenders
from quantlab.engines.tensorrt import building, engine, runtimes, worker
from quantlab.engines.tensorrt.gpu import Gpu
from quantlab.graph.model import Model
from tests.engines.tensorrt.fake_gpu import FakeMemory
from tests.engines.tensorrt.fake_trt import FakeTensorRT

L4 = Gpu("NVIDIA L4", "8.9")


def play_machine(monkeypatch: pytest.MonkeyPatch, *, is_rtx: bool = False) -> tuple[FakeTensorRT, list[FakeMemory]]:
    """Return the stand-ins; memories are added to the list as sessions open them."""
    trt = play_tensorrt(monkeypatch, is_rtx=is_rtx)
    memories: list[FakeMemory] = []

    def open_memory(name: str) -> FakeMemory:
        memories.append(FakeMemory())
        return memories[-1]

    monkeypatch.setattr(engine, "open_memory", open_memory)
    return trt, memories


def play_tensorrt(monkeypatch: pytest.MonkeyPatch, *, is_rtx: bool = False) -> FakeTensorRT:
    """Return a stand-in for TensorRT; memory is that of the machine."""
    trt = FakeTensorRT(is_rtx=is_rtx, layers="Layers:" if is_rtx else '{"Layers": []}')

    def run_worker(folder: Path, models: Mapping[str, Model], runtime: str, timeout_s: float) -> None:
        worker.main(folder)

    wanted = "tensorrt_rtx" if is_rtx else "tensorrt"
    monkeypatch.setattr(runtimes, "find_spec", lambda name: object() if name == wanted else None)
    for module in (worker, engine):
        monkeypatch.setattr(module, "import_runtime", lambda name: trt)
    for module in (building, engine, runtimes, contenders):
        monkeypatch.setattr(module, "current_gpu", lambda: L4)
    monkeypatch.setattr(building, "_run_worker", run_worker)
    monkeypatch.setattr(worker, "_leave_no_core_dump", lambda: None)
    return trt
