"""Models and plans side by side; TensorRT and the GPU are played by stand-ins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from quantlab.cli import main
from quantlab.engines.tensorrt import BuildSettings, RunSettings, TensorRT, build_plan
from quantlab.errors import EngineError, ModelError
from quantlab.evaluation import EvaluationSettings
from quantlab.evaluation.latency import LatencySettings
from quantlab.graph.save import save
from quantlab.opening import open_model
from quantlab.report.to_terminal import render_evaluation
from quantlab.side_by_side import Samples, evaluate
from tests.engines.tensorrt.fake_machine import play_machine
from tests.runs import classifier, images, labels

LABELLED = Samples((images(), labels()), batch_size=4)
UNTIMED = EvaluationSettings(latency_batch_sizes=())
SHORT = EvaluationSettings(latency_batch_sizes=(1, 4), latency=LatencySettings(runs=2, warmup=0, seconds=0.1))


def printed(renderable: RenderableType) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def product(word: str) -> dict[str, Any]:
    return {"Name": "p", "LayerType": "CaskConvolution", "Inputs": [{"Datatype": word}], "Outputs": []}


def test_plans_are_run_as_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, memories = play_machine(monkeypatch)
    build_plan(classifier(), tmp_path / "net.plan")
    save(classifier(), tmp_path / "net.onnx")
    run = RunSettings(cuda_graph=True)
    evaluation = evaluate(
        [tmp_path / "net.plan", tmp_path / "net.onnx"], LABELLED, settings=UNTIMED, engine=TensorRT(), run=run
    )
    assert [row.engine["cuda_graph"] for row in evaluation.rows] == ["on", "on"]
    assert sum(memory.captured for memory in memories) == 2


def test_models_are_built_first_and_run_on_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, _ = play_machine(monkeypatch)
    evaluation = evaluate([classifier(), classifier()], LABELLED, settings=UNTIMED, engine=TensorRT())
    assert len(trt.configs) == 2  # each once, however often it is opened
    first, second = evaluation.rows
    assert first.engine["runtime"] == "tensorrt"
    assert not second.is_simulated
    assert second.agreement is not None
    assert second.agreement.share == 1.0
    assert trt.ranges["image"] == ((1, 3, 8, 8), (4, 3, 8, 8), (4, 3, 8, 8))  # for the batches it sees


def test_a_plan_is_judged_beside_a_model_without_the_model_it_was_built_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, memories = play_machine(monkeypatch)
    build_plan(classifier(), tmp_path / "net.plan")
    save(classifier(), tmp_path / "net.onnx")
    paths = [str(tmp_path / "net.onnx"), str(tmp_path / "net.plan")]
    evaluation = evaluate(paths, LABELLED, settings=SHORT)
    assert [row.name for row in evaluation.rows] == ["net.onnx", "net.plan"]
    plan = evaluation.row("net.plan")
    assert plan.size.file_bytes == (tmp_path / "net.plan").stat().st_size
    assert plan.accuracies == evaluation.reference.accuracies
    assert [(timed.batch_size, timed.runs) for timed in plan.gpu_latencies] == [(1, 2), (4, 2)]
    assert not evaluation.reference.gpu_latencies
    assert not any("memory" in note for note in evaluation.notes)
    assert all(not memory.live and not memory.locked and memory.events == 0 for memory in memories)


def test_what_the_gpus_clock_says_is_printed_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trt, _ = play_machine(monkeypatch)
    trt._layers = json.dumps({"Layers": [product("Int8"), product("Int8"), product("Half"), {"Name": "r"}]})
    build_plan(classifier(), tmp_path / "net.plan")
    evaluation = evaluate([tmp_path / "net.plan"], LABELLED, settings=SHORT)
    text = printed(render_evaluation(evaluation))
    assert "kernels" in text
    assert "net.plan: products computed in 2 int8, 1 float16." in text
    assert "On NVIDIA L4 (compute capability 8.9), tensorrt 11.1.0.106." in text
    assert len(evaluation.to_json()["rows"][0]["gpu_latencies"]) == 2


def test_without_a_gpu_tensorrt_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trt, _ = play_machine(monkeypatch, is_rtx=True)
    build_plan(classifier(), tmp_path / "net.plan")
    save(classifier(), tmp_path / "net.onnx")
    for module in ("contenders", "engines.tensorrt.engine"):
        monkeypatch.setattr(f"quantlab.{module}.current_gpu", lambda: None)
    with pytest.raises(EngineError, match=r"no NVIDIA GPU with a driver here; evaluate on a machine with one"):
        evaluate([classifier()], LABELLED, engine=TensorRT(settings=BuildSettings(runtime="tensorrt_rtx")))
    assert len(trt.configs) == 1
    assert main(["evaluate", str(tmp_path / "net.plan")]) == 1
    assert "net.plan: there is no NVIDIA GPU with a driver here" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such plan"),
        (b"ptrt", "its side-car net.plan.json is missing"),
    ],
)
def test_a_file_that_is_no_plan_of_ours_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "net.plan").write_bytes(content)
    with pytest.raises(EngineError, match=message):
        evaluate([str(tmp_path / "net.plan")], LABELLED)


def test_a_plan_has_no_inner_tensors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play_machine(monkeypatch)
    build_plan(classifier(), tmp_path / "net.plan")
    with pytest.raises(ModelError, match=r"holds no graph to look into; give the \.onnx file"):
        open_model(str(tmp_path / "net.plan"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "openvino"], "choose onnxruntime or tensorrt"),
        (["--cuda-graph"], "CUDA graphs and the runtime cache are for TensorRT"),
        (["--shape", "image:1x3x8x8"], "--shape: it is for TensorRT; say --engine tensorrt too"),
        (["--engine", "tensorrt", "--threads", "2"], "--threads and --library are for ONNX Runtime"),
    ],
)
def test_options_of_the_other_engine_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "digits", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_reports_page_shows_the_gpus_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from quantlab.markup import to_markup
    from quantlab.report.html.comparison import costs

    play_machine(monkeypatch)
    build_plan(classifier(), tmp_path / "net.plan")
    evaluation = evaluate([tmp_path / "net.plan"], LABELLED, settings=SHORT)
    page = to_markup([costs({"evaluation": evaluation.to_json()})])
    assert "Kernels alone ms" in page
    assert "NVIDIA L4" in page
