"""The lines say the same to every version, whatever it does by default, and survive odd names."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.shapes import ShapeRange
from quantlab.engines.tensorrt.trtexec import command_lines

RANGE = ShapeRange((1, 4), (2, 4), (8, 4))
RTX, TEN, ELEVEN = "tensorrt_rtx 1", "trtexec 10", "trtexec 11"


def options_of(tool: str, **settings: object) -> list[str]:
    """Return what a shell hands to a tool for a model without free axes."""
    runtime = settings.pop("runtime", "tensorrt_rtx")
    built_with = BuildSettings(runtime=runtime, **settings)  # type: ignore[arg-type]
    return shlex.split(command_lines("a.onnx", "a.plan", {}, built_with)[tool])[1:]


def shapes_of(name: str) -> list[str]:
    line = command_lines("a.onnx", "a.plan", {name: RANGE}, BuildSettings())[TEN]
    return [option for option in shlex.split(line) if "Shapes=" in option]


def test_version_10_is_told_to_type_strongly_and_11_to_time_as_10_does() -> None:
    lines = command_lines("my net.onnx", "net.plan", {"x": RANGE}, BuildSettings(runtime="tensorrt"))
    common = (
        "trtexec '--onnx=my net.onnx' --saveEngine=net.plan --minShapes=x:1x4 --optShapes=x:2x4 --maxShapes=x:8x4 "
        "--profilingVerbosity=detailed --exportLayerInfo=net.plan.layers.json"
    )
    assert lines == {
        TEN: f"{common} --stronglyTyped",
        ELEVEN: f"{common} --includeDataTransfers --noCudaGraph --noSpinWait",
    }


def test_a_build_with_tensorrt_rtx_has_a_line_for_its_own_tool() -> None:
    line = command_lines("a.onnx", "a.plan", {"x": RANGE}, BuildSettings(runtime="tensorrt_rtx"))[RTX]
    assert line == (
        "tensorrt_rtx --onnx=a.onnx --saveEngine=a.plan --minShapes=x:1x4 --optShapes=x:2x4 --maxShapes=x:8x4 "
        "--profilingVerbosity=detailed --includeDataTransfers --rtxCudaGraphStrategy=disable --noSpinWait"
    )


@pytest.mark.parametrize("tool", [RTX, TEN, ELEVEN])
def test_every_tool_is_told_how_much_memory_and_effort_a_build_may_take(tool: str) -> None:
    options = options_of(tool, workspace_mb=256, optimization_level=0)
    assert "--memPoolSize=workspace:256" in options
    assert "--builderOptimizationLevel=0" in options


def test_compute_capabilities_are_told_to_tensorrt_rtx_alone_and_without_dots() -> None:
    capabilities = ("8.9", "12.0")
    assert "--computeCapabilities=89,120" in options_of(RTX, compute_capabilities=capabilities)
    for tool in (TEN, ELEVEN):
        assert not any("apabilit" in option for option in options_of(tool, compute_capabilities=capabilities))


def test_a_timing_cache_and_libraries_of_plugins_are_told_to_tensorrt_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"asked.so": b"\0getCreators\0", "own.so": b"", "ops.py": b""}.items():
        (tmp_path / name).write_bytes(content)
    settings = {"timing_cache": Path("t.cache"), "plugins": ("asked.so", str(tmp_path / "own.so"), "ops.py")}
    for tool in (TEN, ELEVEN):
        options = options_of(tool, **settings)
        assert "--timingCacheFile=t.cache" in options
        # Without a folder the loader would look in those of the system.
        plugins = [option for option in options if "lugin" in option]
        assert plugins == ["--dynamicPlugins=./asked.so", f"--staticPlugins={tmp_path / 'own.so'}"]
    assert not any("lugin" in option or "timing" in option for option in options_of(RTX, **settings))


def test_a_free_axis_is_told_even_if_there_is_a_single_shape() -> None:
    single = ShapeRange((4, 3), (4, 3), (4, 3))
    line = command_lines("a.onnx", "a.plan", {"x": single}, BuildSettings())[TEN]
    assert "--minShapes=x:4x3 --optShapes=x:4x3 --maxShapes=x:4x3" in line


def test_a_colon_in_the_name_of_an_input_is_no_harm() -> None:
    assert shapes_of("serving:0") == [
        "--minShapes=serving:0:1x4",
        "--optShapes=serving:0:2x4",
        "--maxShapes=serving:0:8x4",
    ]


@pytest.mark.parametrize(
    ("name", "pattern"), [("a,b", "a*b"), ("it's", "it*s"), ("'q',", "*"), ("a,b'c,d", "a*d"), ("a,", "a*")]
)
def test_what_a_list_of_shapes_cannot_hold_is_written_as_a_wildcard(name: str, pattern: str) -> None:
    assert shapes_of(name)[0] == f"--minShapes={pattern}:1x4"


def test_two_inputs_stand_in_one_list() -> None:
    line = command_lines("a.onnx", "a.plan", {"x": RANGE, "y z": RANGE}, BuildSettings())[TEN]
    assert "--minShapes=x:1x4,y z:1x4" in shlex.split(line)


@pytest.mark.parametrize("name", ["two words", "it's", '"', "$HOME", "a;b", "a=b", "*", "-x", "ß\n", "`ls`"])
@pytest.mark.parametrize("tool", [RTX, TEN, ELEVEN])
def test_a_shell_hands_over_odd_file_names_as_they_are(name: str, tool: str) -> None:
    line = command_lines(f"{name}.onnx", f"{name}.plan", {}, BuildSettings())[tool]
    options = shlex.split(line)
    assert f"--onnx={name}.onnx" in options
    assert f"--saveEngine={name}.plan" in options
    if tool != RTX:
        assert f"--exportLayerInfo={name}.plan.layers.json" in options


def test_a_model_whose_name_begins_with_a_tilde_is_not_looked_for_in_the_home_folder() -> None:
    assert "--onnx=./~a.onnx" in shlex.split(command_lines("~a.onnx", "a.plan", {}, BuildSettings())[TEN])
