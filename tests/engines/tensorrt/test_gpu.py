"""The driver is asked for the GPU, and its absence is no error."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from quantlab.engines.tensorrt.gpu import Gpu, current_gpu


class FakeDriver:
    """The four calls of libcuda, of a machine with so many GPUs."""

    def __init__(self, gpus: int) -> None:
        self._gpus = gpus

    def cuInit(self, flags: int) -> int:  # noqa: N802 (its name)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        return 0 if ordinal < self._gpus else 101

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA L4"
        return 0

    def cuDeviceGetAttribute(self, number: Any, attribute: int, device: Any) -> int:  # noqa: N802
        number._obj.value = {75: 8, 76: 9}[attribute]
        return 0


def test_name_and_compute_capability_come_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(1))
    assert current_gpu() == Gpu("NVIDIA L4", "8.9")


def test_a_driver_without_a_gpu_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(0))
    assert current_gpu() is None


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert current_gpu() is None
