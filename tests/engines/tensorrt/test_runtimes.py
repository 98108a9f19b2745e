"""Which TensorRT is used, and what is said where there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from quantlab.engines.tensorrt import runtimes
from quantlab.engines.tensorrt.gpu import Gpu
from quantlab.engines.tensorrt.runtimes import import_runtime, installed_runtime
from quantlab.errors import EngineError, EngineMissing, RecipeError


def install(monkeypatch: pytest.MonkeyPatch, *installed: str, gpu: Gpu | None = None) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: object() if name in installed else None)
    monkeypatch.setattr(runtimes, "current_gpu", lambda: gpu)


def test_where_both_are_installed_tensorrt_is_preferred_if_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "tensorrt_rtx", "tensorrt", gpu=Gpu("NVIDIA L4", "8.9"))
    assert installed_runtime() == "tensorrt"
    assert installed_runtime("tensorrt_rtx") == "tensorrt_rtx"
    install(monkeypatch, "tensorrt_rtx", "tensorrt")
    assert installed_runtime() == "tensorrt_rtx"
    assert installed_runtime("tensorrt") == "tensorrt"


def test_the_one_that_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "tensorrt_rtx")
    assert installed_runtime() == "tensorrt_rtx"
    with pytest.raises(EngineMissing, match=r"tensorrt: not installed: pip install 'quantlab\[tensorrt\]'"):
        installed_runtime("tensorrt")


def test_where_there_is_none_both_commands_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(EngineMissing, match=r"quantlab\[tensorrt\].*quantlab\[tensorrt-rtx\]"):
        installed_runtime()


def test_an_unknown_runtime_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="choose one of tensorrt, tensorrt_rtx"):
        installed_runtime("tensor")


def test_a_library_that_cannot_be_loaded_is_a_missing_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise OSError("libnvinfer.so.11: cannot open shared object file")

    monkeypatch.setattr(runtimes, "import_module", fail)
    with pytest.raises(EngineMissing, match=r"cannot be loaded \(libnvinfer"):
        import_runtime("tensorrt")


def test_a_tensorrt_before_strong_typing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "import_module", lambda name: SimpleNamespace(__version__="10.11.0.33"))
    with pytest.raises(EngineError, match=r"too old; quantlab needs 10\.12"):
        import_runtime("tensorrt")


@pytest.mark.parametrize("version", ["10.12.0.36", "11.4.0.106"])
def test_later_ones_are_used(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    module = SimpleNamespace(__version__=version)
    monkeypatch.setattr(runtimes, "import_module", lambda name: module)
    assert import_runtime("tensorrt") is module
