"""The process that builds finds quantlab, and TensorRT-RTX's library by the name that its parser knows."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

import quantlab
from quantlab.engines.tensorrt.environment import worker_environment
from tests.rtx import requires_rtx


def test_a_worker_finds_this_quantlab_before_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = worker_environment("tensorrt", tmp_path)["PYTHONPATH"].split(os.pathsep)
    assert found == [str(Path(quantlab.__file__).parents[1]), "/elsewhere"]
    assert not list(tmp_path.iterdir())


@requires_rtx
@pytest.mark.tensorrt
@pytest.mark.skipif(sys.platform != "linux", reason="the library has another name")
def test_tensorrt_rtx_has_its_library_under_the_name_without_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert worker_environment("tensorrt_rtx", tmp_path)["LD_LIBRARY_PATH"] == f"{tmp_path}:/elsewhere"
    spec = importlib.util.find_spec("tensorrt_rtx_libs")
    assert spec is not None
    assert spec.origin is not None
    link = tmp_path / "libtensorrt_rtx.so"
    assert link.resolve() == (Path(spec.origin).parent / "libtensorrt_rtx.so.1").resolve()
