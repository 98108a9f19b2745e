"""What the building process does, played with a stand-in for both runtimes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quantlab.engines.tensorrt import worker
from quantlab.engines.tensorrt.worker import Worker
from quantlab.graph.save import save
from tests.engines.models import chain, model_from_text
from tests.engines.tensorrt.fake_trt import FakeTensorRT, RtxConfig

REQUEST: dict[str, Any] = {
    "workspace_bytes": None,
    "optimization_level": None,
    "timing_cache": None,
    "compute_capabilities": [],
    "plugins": [],
}
SHAPES = {"x": {"smallest": [1, 4], "usual": [2, 4], "largest": [8, 4], "is_values": False}}
VALUES = {"x": {**SHAPES["x"], "is_values": True}}


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    save(chain(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def build(trt: FakeTensorRT, onnx: Path, **settings: Any) -> dict[str, Any]:
    return Worker(trt, {**REQUEST, **settings}).build(onnx, onnx.with_suffix(".plan"), SHAPES)


def test_tensorrt_tells_its_layers_through_the_inspector(onnx: Path) -> None:
    trt = FakeTensorRT(layers='{"Layers": []}')
    answer = build(trt, onnx)
    assert answer["errors"] == []
    assert answer["layers"] == '{"Layers": []}'
    assert answer["version"] == "11.1.0.106"
    assert onnx.with_suffix(".plan").read_bytes() == onnx.read_bytes()


def test_tensorrt_rtx_tells_them_in_its_log(onnx: Path) -> None:
    assert build(FakeTensorRT(is_rtx=True, layers="Layers:\nName: a"), onnx)["layers"] == "Layers:\nName: a"


def test_every_build_is_typed_strongly_and_profiled_in_detail(onnx: Path) -> None:
    trt = FakeTensorRT(layers="{}")
    build(trt, onnx)
    (config,) = trt.configs
    assert config.profiling_verbosity == trt.ProfilingVerbosity.DETAILED
    assert config.profiles[0].shapes == {"x": ((1, 4), (2, 4), (8, 4))}
    assert config.pools == {}


def test_an_input_that_is_a_shape_has_a_range_of_values(onnx: Path) -> None:
    trt = FakeTensorRT(layers="{}")
    trt.shape_inputs = ("x",)
    assert Worker(trt, REQUEST).build(onnx, onnx.with_suffix(".plan"), VALUES)["errors"] == []
    (profile,) = trt.configs[0].profiles
    assert (profile.shapes, profile.values) == ({}, {"x": ((1, 4), (2, 4), (8, 4))})


def test_values_are_asked_for_where_they_count_and_refused_elsewhere(onnx: Path) -> None:
    trt = FakeTensorRT(layers="{}")
    assert Worker(trt, REQUEST).build(onnx, onnx.with_suffix(".plan"), VALUES)["errors"] == [
        "input 'x': no sizes are taken from its values; leave its --shape out"
    ]
    trt.shape_inputs = ("x",)
    (asked,) = Worker(trt, REQUEST).build(onnx, onnx.with_suffix(".plan"), SHAPES)["errors"]
    assert asked.startswith("input 'x': sizes are taken from its values; give the smallest, usual and largest ones")
    assert trt.configs == []  # nothing was built


def test_settings_reach_the_builder(onnx: Path) -> None:
    trt = FakeTensorRT(is_rtx=True, layers="Layers:")
    build(trt, onnx, workspace_bytes=2**20, optimization_level=5, compute_capabilities=["8.6", "8.9"])
    (config,) = trt.configs
    assert isinstance(config, RtxConfig)
    assert config.pools == {"workspace": 2**20}
    assert config.builder_optimization_level == 5
    assert (config.num_compute_capabilities, config.capabilities) == (2, {0: "SM86", 1: "SM89"})


@pytest.mark.parametrize(("before", "after"), [(None, b"+"), (b"old", b"old+"), (b"foreign", b"+")])
def test_the_timing_cache_grows_and_a_foreign_one_is_begun_anew(onnx: Path, before: bytes | None, after: bytes) -> None:
    cache = onnx.with_suffix(".cache")
    if before is not None:
        cache.write_bytes(before)
    build(FakeTensorRT(layers="{}"), onnx, timing_cache=str(cache))
    assert cache.read_bytes() == after


def test_a_refused_node_is_named_without_the_noise(tmp_path: Path) -> None:
    model = model_from_text("g (float[N] x) => (float[N] y) { [odd] y = mine.Strange(x) }", extra_domain="mine")
    save(model, tmp_path / "odd.onnx")
    answer = build(FakeTensorRT(), tmp_path / "odd.onnx")
    (error,) = answer["errors"]
    assert error.startswith("node 'odd' (Strange): Plugin not found; give the library")
    assert not (tmp_path / "odd.plan").exists()


def test_a_failed_build_tells_errors_and_warnings_apart(onnx: Path) -> None:
    answer = build(FakeTensorRT(refuses="No profile\ncudaError 35"), onnx)
    assert (answer["errors"], answer["warnings"]) == (["No profile"], ["Weights are small"])


def test_python_files_with_operators_are_run(onnx: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "ops.py").write_text(f"open({str(mark)!r}, 'w').close()")
    assert build(FakeTensorRT(layers="{}"), onnx, plugins=[str(tmp_path / "ops.py")])["errors"] == []
    assert mark.exists()


def test_operators_that_cannot_be_loaded_are_the_answer_to_every_job(onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text("import no_such_module")
    (error,) = build(FakeTensorRT(layers="{}"), onnx, plugins=[str(tmp_path / "ops.py")])["errors"]
    reason = "ModuleNotFoundError: No module named 'no_such_module'"
    assert error == f"plugin {tmp_path}/ops.py: running it failed ({reason})"


def test_a_request_is_answered_job_by_job(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "import_runtime", lambda name: FakeTensorRT(layers="{}"))
    monkeypatch.setattr(worker, "_leave_no_core_dump", lambda: None)  # it would hold for this whole process
    request = {**REQUEST, "runtime": "tensorrt", "jobs": {"net": SHAPES}}
    (onnx.parent / "request.json").write_text(json.dumps(request))
    worker.main(onnx.parent)
    assert json.loads((onnx.parent / "net.json").read_text())["errors"] == []
    assert (onnx.parent / "net.plan").exists()
