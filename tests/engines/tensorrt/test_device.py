"""Batches that are on the GPU are run where they lie; played with stand-ins."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from quantlab.engines.tensorrt import TensorRT
from quantlab.engines.tensorrt.device import DeviceArray
from quantlab.errors import DataError, EngineError
from tests.engines.models import chain, two_inputs
from tests.engines.tensorrt.fake_gpu import FakeMemory
from tests.engines.tensorrt.fake_machine import play_machine


class OnGpu:
    """An array that says it is on the GPU."""

    def __init__(self, array: np.ndarray, *, stream: int | None = None, strides: tuple[int, ...] | None = None) -> None:
        self._array = array
        self._interface = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.ctypes.data, False),
            "strides": strides,
            "version": 3,
            "stream": stream,
        }

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._interface


def values_of(output: DeviceArray) -> np.ndarray:
    interface = output.__cuda_array_interface__
    count = int(np.prod(interface["shape"]))
    buffer = (ctypes.c_float * count).from_address(interface["data"][0])
    return np.array(buffer).reshape(interface["shape"])


X = np.arange(8, dtype=np.float32).reshape(2, 4)


def test_addresses_are_handed_over_and_outputs_stay_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _, memories = play_machine(monkeypatch)
    with TensorRT().open(two_inputs()) as session:
        outputs = session.run_on_device({"x": OnGpu(X), "z": OnGpu(2 * X, stream=5)})
        np.testing.assert_array_equal(values_of(outputs["y"]), 3 * X)
        (memory,) = memories
        assert memory.waited == [5]
        assert not memory.locked  # nothing went through the host
        assert len(memory.live) == 1
        del outputs
        assert not memory.live


def test_an_array_that_does_not_say_its_stream_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    _, memories = play_machine(monkeypatch)
    array = OnGpu(X)
    del array._interface["stream"]
    with TensorRT().open(chain()) as session:
        session.run_on_device({"x": array})
    assert memories[0].waited == [1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (X, "a ndarray is not on the GPU"),
        (OnGpu(X, strides=(32, 4)), "not contiguous"),
        (OnGpu(X.astype(np.float64)), "data are float64"),
        (OnGpu(X[:, :3].copy()), "shape"),
    ],
)
def test_what_cannot_be_read_in_place_is_refused(monkeypatch: pytest.MonkeyPatch, value: object, message: str) -> None:
    play_machine(monkeypatch)
    with TensorRT().open(chain()) as session, pytest.raises(DataError, match=message):
        session.run_on_device({"x": value})


def test_a_missing_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    play_machine(monkeypatch)
    with TensorRT().open(two_inputs()) as session, pytest.raises(DataError, match="no data for it"):
        session.run_on_device({"x": OnGpu(X)})


def test_outputs_of_unknown_size_are_for_host_arrays_only(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, _ = play_machine(monkeypatch)
    trt.unknown_sizes = True
    with TensorRT().open(chain()) as session, pytest.raises(EngineError, match="run this plan on host arrays"):
        session.run_on_device({"x": OnGpu(X)})


def test_a_device_array_frees_its_memory_once() -> None:
    memory = FakeMemory()
    array = DeviceArray(memory, (2, 3), np.dtype(np.float16))
    assert len(memory.live[array.address]) == 12
    assert array.__cuda_array_interface__["typestr"] == "<f2"
    del array
    assert not memory.live


@pytest.mark.torch
def test_torch_tensors_on_the_host_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    play_machine(monkeypatch)
    with TensorRT().open(chain()) as session, pytest.raises(DataError, match=r"call \.cuda\(\)"):
        session.run_on_device({"x": torch.zeros(2, 4)})
