"""A run with `build` leaves the TensorRT plan of its INT8 model, or says why there is none, and loses nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import quantlab
from quantlab.engines.tensorrt import building, read_plan, runtimes
from quantlab.errors import EngineError, EngineMissing, RecipeError
from quantlab.forecast import forecast
from quantlab.graph.load import load
from quantlab.job import Inputs, Job, open_job
from quantlab.recipe import Recipe
from quantlab.report.html import to_html
from quantlab.report.report import schema
from quantlab.report.to_terminal import to_text
from quantlab.run_build import settings_to_build
from tests.engines.tensorrt.fake_machine import play_tensorrt
from tests.models import model_from_text, noise
from tests.report.test_schema import closed
from tests.rtx import requires_rtx
from tests.runs import UNTIMED, classifier, images, labels

PLAN = "model.tensorrt.int8.plan"
BUILT: dict[str, Any] = {**UNTIMED, "targets": ("onnxruntime", "tensorrt"), "build": True}


def run_in(folder: Path, **settings: Any) -> quantlab.Run:
    return quantlab.ptq(classifier(), (images(), labels()), out=folder, **{**BUILT, **settings})


def job_of(model: object, data: object, **settings: Any) -> Job:
    recipe = Recipe.of({**UNTIMED, "targets": ("tensorrt",), "build": True, **settings})
    return open_job(recipe, Inputs(model=model, data=data))


def plans_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{PLAN}*"))


@requires_rtx
@pytest.mark.tensorrt
def test_a_run_with_build_leaves_a_plan_of_its_int8_model_and_audits_it(tmp_path: Path) -> None:
    run = run_in(tmp_path, layer_samples=4, build_options={"runtime": "tensorrt_rtx"})
    assert str(run.quantized["tensorrt"].built).startswith(f"{tmp_path / PLAN}: ")
    model = load(tmp_path / "model.tensorrt.int8.onnx")
    _, record = read_plan(tmp_path / PLAN, model=model)
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.Draft202012Validator(closed(schema())).validate(content)
    target = content["targets"]["tensorrt"]
    build, audit = target["build"], target["audit"]
    assert (build["layers"], build["error"], build["plan"]) == (len(record.layers), None, PLAN)
    assert build["shapes"] == {"image": "1x3x8x8,8x3x8x8,32x3x8x8"}
    assert audit["engine"] == f"tensorrt_rtx {record.version}"
    assert audit["share"] == 1.0
    assert {row["node"]: row["is_integer"] for row in target["layers"]["rows"]}["conv2"] is True
    assert {PLAN, f"{PLAN}.json"} <= set(content["files"])

    said = to_text(run.report, folder=tmp_path)
    sentences = " ".join(said.split())
    assert f"all of them are INT8 layers of the plan that tensorrt_rtx {record.version} built" in sentences
    assert "Input image: from 1x3x8x8 to 32x3x8x8, best at 8x3x8x8." in sentences
    assert f"TensorRT plan: {tmp_path / PLAN}" in said
    (line,) = [line for line in said.splitlines() if line.startswith("tensorrt_rtx --onnx=")]
    assert f"--saveEngine={PLAN} " in line
    page = to_html(run.report)
    assert ">TensorRT plan</h2>" in page
    assert "built, 100% of the planned nodes and " in page
    assert line in page
    assert "correlation" in page  # the layers' table says as which layers nodes ran


def test_a_run_without_build_in_the_same_folder_leaves_no_plan_of_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_tensorrt(monkeypatch, is_rtx=True)
    run_in(tmp_path)
    assert plans_in(tmp_path) == [PLAN, f"{PLAN}.json"]
    (tmp_path / "mine.plan").write_bytes(b"of the user")
    run = run_in(tmp_path, build=False)
    assert plans_in(tmp_path) == []
    assert (tmp_path / "mine.plan").exists()
    assert "build" not in run.report.content["targets"]["tensorrt"]
    assert "TensorRT plan" not in to_html(run.report)


@requires_rtx
@pytest.mark.tensorrt
def test_a_build_that_fails_costs_the_plan_only(tmp_path: Path) -> None:
    run = run_in(tmp_path, build_options={"runtime": "tensorrt_rtx", "timeout_s": 0.01})
    assert plans_in(tmp_path) == []
    assert (tmp_path / "model.tensorrt.int8.onnx").exists()
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.Draft202012Validator(closed(schema())).validate(content)
    (warning,) = [text for text in content["warnings"] if "no plan was built" in text]
    assert "within 0.01 s" in warning
    assert run.quantized["tensorrt"].audit is None
    assert str(run.quantized["tensorrt"].built).startswith("No plan was built: ")
    assert "No plan was built" in to_text(run.report)
    assert "No plan was built" in to_html(run.report)


def test_what_fails_after_the_plan_is_written_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(built: Path, path: Path, record: object) -> None:
        path.write_bytes(b"half")
        raise EngineError("the disk is full")

    play_tensorrt(monkeypatch, is_rtx=True)
    monkeypatch.setattr(building, "install_plan", fail)
    run = run_in(tmp_path)
    assert plans_in(tmp_path) == []
    assert run.report.warnings == ["tensorrt: no plan was built: the disk is full"]


def test_a_runtime_that_is_missing_is_told_before_samples_are_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="pip install"):
        run_in(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(EngineMissing, match="pip install"):
        forecast(job_of(classifier(), images()))


def test_shapes_that_do_not_fit_are_told_before_samples_are_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_tensorrt(monkeypatch, is_rtx=True)
    with pytest.raises(RecipeError, match="no input 'x'"):
        run_in(tmp_path / "run", build_options={"shapes": ["x:1x3x8x8"]})
    assert not (tmp_path / "run").exists()


def test_a_plan_needs_a_folder() -> None:
    with pytest.raises(RecipeError, match="nothing says where the plan goes; give `out`"):
        quantlab.ptq(classifier(), images(), **BUILT)


def test_sizes_of_free_axes_are_those_of_the_calibration_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    play_tensorrt(monkeypatch, is_rtx=True)
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    net (float[N, 32, H, W] x, float[32, 32, 3, 3] w) => (float[N, 32, H, W] y)
    { [conv] y = Conv <pads: ints = [1, 1, 1, 1]> (x, w) }
    """
    model = model_from_text(text, {"w": noise(32, 32, 3, 3)})
    job = job_of(model, lambda: iter([noise(4, 32, size, 6) for size in (6, 8, 10)]), samples=12)
    settings = settings_to_build(job)
    assert settings is not None
    assert str(settings.shapes["x"]) == "1x32x6x6,8x32x8x6,32x32x10x6"
    assert settings.runtime == "tensorrt_rtx"
    assert settings_to_build(job_of(model, noise(4, 32, 6, 6), build=False)) is None
    told = forecast(job)
    assert (
        told.build
        == f"Then tensorrt_rtx would build {PLAN}, input x: 1x32x6x6,8x32x8x6,32x32x10x6; how long is not forecast."
    )
    assert told.build in str(told)
    assert told.to_json()["build"] == told.build


def test_comparing_calibrators_refuses_to_build_and_says_what_does() -> None:
    with pytest.raises(RecipeError, match="ptq --build"):
        quantlab.compare(job_of(classifier(), images()))


def test_a_training_builds_the_plan_of_the_trained_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    play_tensorrt(monkeypatch, is_rtx=True)
    settings = quantlab.qat.QatSettings(epochs=1, device="cpu")
    others = {**UNTIMED, "targets": ("tensorrt",), "build": True}
    run = quantlab.qat.train(classifier(), (images(), labels()), settings=settings, out=tmp_path, **others)
    read_plan(tmp_path / PLAN, model=load(tmp_path / "model.tensorrt.int8.onnx"))
    assert run.report.content["targets"]["tensorrt"]["build"]["plan"] == PLAN
    assert "TensorRT plan of " in to_text(run.report)


def test_a_training_refuses_what_cannot_be_built_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    others: dict[str, Any] = {**UNTIMED, "targets": ("tensorrt",), "build": True}
    with pytest.raises(RecipeError, match="nothing says where the plan goes"):
        quantlab.qat.train(classifier(), images(), **others)
    play_tensorrt(monkeypatch, is_rtx=True)
    with pytest.raises(RecipeError, match="no input 'x'"):
        quantlab.qat.train(classifier(), images(), out=tmp_path / "run", build_options={"shapes": ["x:1"]}, **others)
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="pip install"):
        quantlab.qat.train(classifier(), images(), out=tmp_path / "run", **others)
    assert not (tmp_path / "run").exists()
