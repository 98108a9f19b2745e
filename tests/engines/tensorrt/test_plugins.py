"""Custom operators come from libraries of two kinds and from Python files, and what is wrong with one is said."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantlab.engines.tensorrt.plugins import load_plugins
from quantlab.errors import EngineError
from tests.engines.tensorrt.fake_trt import FakeTensorRT


@pytest.fixture
def hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda path: SimpleNamespace(getCreators=None))


@pytest.mark.usefixtures("hands_over")
def test_a_library_that_hands_its_operators_over_is_asked_once_in_a_process() -> None:
    trt = FakeTensorRT()
    for _ in range(2):
        load_plugins(trt, None, ["/lib/ops.so"])
    assert trt.registry.loaded == ["/lib/ops.so"]


@pytest.mark.usefixtures("hands_over")
def test_operators_that_tensorrt_does_not_take_are_an_error() -> None:
    trt = FakeTensorRT()
    trt.registry.takes = False
    with pytest.raises(EngineError, match=r"plugin /lib/ops\.so: TensorRT takes none of its operators"):
        load_plugins(trt, None, ["/lib/ops.so"])


def test_a_library_may_register_its_operators_itself_as_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    trt = FakeTensorRT()

    def opened(path: str) -> SimpleNamespace:
        trt.registry.all_creators.append(path)
        return SimpleNamespace()

    monkeypatch.setattr(ctypes, "CDLL", opened)
    load_plugins(trt, None, ["/lib/ops.so"])
    assert trt.registry.loaded == []


def test_a_library_without_operators_is_named() -> None:
    spec = importlib.util.find_spec("numpy._core._multiarray_umath")  # a library of another kind
    assert spec is not None
    assert spec.origin is not None
    with pytest.raises(EngineError, match=rf"plugin {spec.origin}: it brings no operator; .* getCreators"):
        load_plugins(FakeTensorRT(), None, [spec.origin])


def test_a_file_that_is_no_library_is_named_by_its_place_and_not_looked_up_among_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libm.so.6").write_bytes(b"text")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match=rf"plugin {tmp_path}/libm.so.6: it cannot be opened \(.*too short\)"):
        load_plugins(FakeTensorRT(), None, ["libm.so.6"])
