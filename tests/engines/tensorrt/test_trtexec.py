"""The lines say the same to every version, whatever it does by default."""

from __future__ import annotations

from pathlib import Path

from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.shapes import ShapeRange
from quantlab.engines.tensorrt.trtexec import command_lines

SHAPES = {"x": ShapeRange((1, 4), (2, 4), (8, 4)), "z": ShapeRange((2,), (2,), (2,))}


def test_version_10_is_told_to_type_strongly_and_11_to_time_as_10_does() -> None:
    lines = command_lines("my net.onnx", "net.plan", SHAPES, BuildSettings(runtime="tensorrt"))
    common = (
        "trtexec '--onnx=my net.onnx' --saveEngine=net.plan --minShapes=x:1x4 --optShapes=x:2x4 --maxShapes=x:8x4 "
        "--profilingVerbosity=detailed --exportLayerInfo=net.plan.layers.json"
    )
    assert lines == {
        "trtexec 10": f"{common} --stronglyTyped",
        "trtexec 11": f"{common} --includeDataTransfers --noCudaGraph --noSpinWait",
    }


def test_settings_appear_as_options_and_python_plugins_do_not(tmp_path: Path) -> None:
    for name in ("ops.so", "ops.py"):
        (tmp_path / name).touch()
    settings = BuildSettings(
        runtime="tensorrt",
        workspace_mb=256,
        optimization_level=5,
        timing_cache=Path("t.cache"),
        plugins=(str(tmp_path / "ops.so"), str(tmp_path / "ops.py")),
    )
    line = command_lines("a.onnx", "a.plan", {}, settings)["trtexec 10"]
    assert "--memPoolSize=workspace:256 --builderOptimizationLevel=5 --timingCacheFile=t.cache" in line
    assert "ops.so" in line
    assert "ops.py" not in line


def test_a_build_with_tensorrt_rtx_has_a_line_for_its_own_tool() -> None:
    line = command_lines("a.onnx", "a.plan", SHAPES, BuildSettings(runtime="tensorrt_rtx"))["tensorrt_rtx 1"]
    assert line.startswith("tensorrt_rtx --onnx=a.onnx --saveEngine=a.plan --minShapes=x:1x4")
