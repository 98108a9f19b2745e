"""Models and runs are built and audited, each for the runtime it was made for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantlab import ptq
from quantlab.audit import Audit, AuditRow
from quantlab.deployable import deployables
from quantlab.deployment import audit, build, require_share, seen_shapes
from quantlab.engines.tensorrt import BuildSettings, parse_shapes, read_plan
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.errors import EngineError, PlanError, RecipeError, RunError
from quantlab.graph.save import save
from quantlab.targets import TensorRT
from tests.engines.tensorrt.fake_machine import play_machine
from tests.models import model_from_text, noise
from tests.patterns import PATTERNS
from tests.rtx import requires_rtx
from tests.runs import UNTIMED, classifier, images
from tests.targets.quantize import quantized

RTX = BuildSettings(runtime="tensorrt_rtx", timeout_s=120)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run for both targets."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    ptq(classifier(), images(), out=folder, targets=("onnxruntime", "tensorrt"), **UNTIMED)
    return folder


def test_a_run_holds_one_model_per_target_with_its_plan(run: Path) -> None:
    found = deployables(run)
    assert [each.target for each in found] == ["onnxruntime", "tensorrt"]
    assert [each.target for each in deployables(run, target="tensorrt")] == ["tensorrt"]


def test_a_folder_that_is_not_there_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such folder; give a model, or the folder of a run"):
        deployables(str(tmp_path / "missing"))


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"this is no run \(plan\.json"):
        deployables(tmp_path)


def test_a_run_without_a_model_for_the_target_names_those_it_has(run: Path, tmp_path: Path) -> None:
    plans = json.loads((run / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps({"onnxruntime": plans["onnxruntime"]}))
    with pytest.raises(RunError, match="no model for tensorrt, only for onnxruntime"):
        deployables(tmp_path, target="tensorrt")


def test_a_float_model_has_no_plan() -> None:
    (found,) = deployables(classifier())
    assert (found.plan, found.target) == (None, "unknown")


def test_the_rules_say_why_a_file_leaves_a_node_float(tmp_path: Path) -> None:
    model = PATTERNS["inverted_residual"]()
    plan = TensorRT().place(model, keep_float=["project"])
    save(quantized(model, plan), tmp_path / "net.onnx")
    reasons = dict(deployables(tmp_path / "net.onnx")[0].plan.float_nodes)  # type: ignore[union-attr]
    assert reasons["depthwise"].startswith("It is not between Q/DQ pairs. A depthwise convolution in INT8 is padded")
    assert reasons["project"] == "It is not between Q/DQ pairs. The target tensorrt would run it in integers."


def test_samples_tell_the_shapes_of_inputs() -> None:
    model = classifier()
    shapes = seen_shapes(images(3), model.inputs)
    assert shapes == {"image": [(1, 3, 8, 8)] * 3}


def test_an_onnxruntime_model_of_a_run_is_audited_with_onnxruntime(run: Path) -> None:
    (found,) = audit(run, runtime="onnxruntime")
    assert found.engine.startswith("onnxruntime 1.")
    assert found.share == 1.0
    (alone,) = audit(run / "model.onnxruntime.int8.onnx")
    assert alone.engine == found.engine
    products = {row.node for row in found.rows if row.multiply_adds}
    assert {row.node for row in alone.rows if row.multiply_adds} >= products


def test_a_float_model_cannot_be_audited() -> None:
    with pytest.raises(PlanError, match="no Q/DQ pairs"):
        audit(classifier())


def test_an_unknown_runtime_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="choose one of onnxruntime, tensorrt, tensorrt_rtx"):
        audit(classifier(), runtime="abacus")


def test_too_small_a_share_names_the_node_that_weighs_most() -> None:
    rows = tuple(
        AuditRow(name, "Conv", "integer", "Conv", is_integer, multiply_adds=work)
        for name, is_integer, work in (("a", True, 60), ("b", False, 30), ("c", False, 10))
    )
    found = Audit("engine 1", rows, multiply_adds=100)
    require_share([found], 0.6)
    with pytest.raises(EngineError, match=r"60\.00% .* less than the 61% required; the largest .* b \(Conv\)"):
        require_share([found], 0.61)


def test_a_model_in_no_file_needs_a_place_for_its_plan() -> None:
    with pytest.raises(RecipeError, match="give `out`"):
        build(classifier())


def test_a_plan_is_timed_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play_machine(monkeypatch)
    monkeypatch.setattr("quantlab.evaluation.gpu_latency.GpuLatencySettings.__init__.__defaults__", (3, 0.0))
    made = build(classifier(), tmp_path / "net.plan", latency_batches=(1, 4))
    assert [latency.batch_size for latency in made.latencies] == [1, 4]
    assert "latency at batch 4: median" in str(made)
    assert made.to_json()["latencies"][1]["batch_size"] == 4


@requires_rtx
@pytest.mark.tensorrt
def test_a_plan_is_not_timed_where_there_is_none(tmp_path: Path) -> None:
    if current_gpu() is not None:
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match="no NVIDIA GPU with a driver"):
        build(classifier(), tmp_path / "net.plan", settings=RTX, latency_batches=(1,))


@requires_rtx
@pytest.mark.tensorrt
def test_a_run_is_built_and_audited_beside_its_model(run: Path) -> None:
    made = build(run, settings=RTX)
    assert made.plan == run / "model.tensorrt.int8.plan"
    _, record = read_plan(made.plan, model=deployables(run, target="tensorrt")[0].model)
    assert record == made.record
    assert made.audit is not None
    assert made.audit.share == 1.0
    assert list(made.command_lines) == ["tensorrt_rtx 1", "trtexec 10", "trtexec 11"]
    plain = json.loads(json.dumps(made.to_json()))
    assert plain["audit"]["share"] == 1.0
    assert plain["layers"] == len(record.layers)
    assert "multiply in INT8" in str(made)
    (audited,) = audit(run / "model.tensorrt.int8.onnx", runtime="tensorrt_rtx")
    assert audited.multiply_add_share == made.audit.multiply_add_share


@requires_rtx
@pytest.mark.tensorrt
def test_samples_tell_the_free_axes_of_a_float_model(tmp_path: Path) -> None:
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    free (float[N, 2, H, 8] x, float[4, 2, 3, 3] w) => (float[N, 4, P, Q] y) { [conv] y = Conv(x, w) }
    """
    save(model_from_text(text, {"w": noise(4, 2, 3, 3)}), tmp_path / "free.onnx")
    with pytest.raises(RecipeError, match="nothing tells the size of axis 2"):
        build(tmp_path / "free.onnx", settings=RTX)
    samples = np.zeros((3, 2, 12, 8), np.float32)
    made = build(tmp_path / "free.onnx", settings=replace(RTX, compute_capabilities=("8.9",)), data=samples)
    assert made.audit is None
    assert made.record.shapes == parse_shapes(["x:1x2x12x8,8x2x12x8,32x2x12x8"])
    assert "for compute capability 8.9" in str(made)


@requires_rtx
@pytest.mark.tensorrt
def test_samples_tell_the_free_axes_of_a_model_that_is_audited(tmp_path: Path) -> None:
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    free (float[N, 2, H, 8] x, float[4, 2, 3, 3] w) => (float[N, 4, P, Q] y) { [conv] y = Conv(x, w) }
    """
    samples = noise(3, 2, 12, 8)
    ptq(model_from_text(text, {"w": noise(4, 2, 3, 3)}), samples, out=tmp_path, targets=("tensorrt",), **UNTIMED)
    with pytest.raises(RecipeError, match="nothing tells the size of axis 2"):
        audit(tmp_path, settings=RTX, runtime="tensorrt_rtx")
    (found,) = audit(tmp_path, settings=RTX, runtime="tensorrt_rtx", data=samples)
    assert found.share == 1.0
    assert found.multiply_adds == 4 * 10 * 6 * 2 * 3 * 3


@requires_rtx
@pytest.mark.tensorrt
def test_an_input_that_is_a_shape_is_built_for_a_range_of_its_values(tmp_path: Path) -> None:
    text = """
    <ir_version: 9, opset_import: ["": 18]>
    net (float[1, 8] x, int64[2] size) => (float[A, B] y) { r = Relu(x)  y = Expand(r, size) }
    """
    model = model_from_text(text, {})
    with pytest.raises(EngineError, match=r"input 'size': sizes are taken from its values; .* --shape size:"):
        build(model, tmp_path / "n.plan", settings=RTX)
    ranges = parse_shapes(["size:1x8,4x8,16x8"])
    made = build(model, tmp_path / "n.plan", settings=replace(RTX, shapes=ranges))
    assert made.record.shapes["size"] == replace(ranges["size"], is_values=True)
    assert read_plan(made.plan)[1] == made.record
    assert "input size: values 1x8,4x8,16x8" in str(made)
    assert "--minShapes=size:1x8 --optShapes=size:4x8 --maxShapes=size:16x8" in made.command_lines["trtexec 11"]
    with pytest.raises(RecipeError, match="an input holds sizes, which no batch tells"):
        build(model, tmp_path / "n.plan", settings=replace(RTX, shapes=ranges), latency_batches=(1,))


@requires_rtx
@pytest.mark.tensorrt
@pytest.mark.parametrize(("batch", "is_told"), [("N", True), ("4", False)])
def test_lines_tell_the_shapes_of_inputs_that_the_model_leaves_free(
    batch: str, *, is_told: bool, tmp_path: Path
) -> None:
    text = f"""
    <ir_version: 10, opset_import: ["": 18]>
    net (float[{batch}, 8] x) => (float[{batch}, 8] y) {{ y = Relu(x) }}
    """
    made = build(model_from_text(text, {}), tmp_path / "n.plan", settings=replace(RTX, shapes=parse_shapes(["x:4x8"])))
    for line in made.command_lines.values():
        assert ("--optShapes=x:4x8" in line) == is_told
