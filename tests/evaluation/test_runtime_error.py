"""What a runtime adds to the error of quantization is told apart from it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import quantlab
from quantlab.cli import main
from quantlab.engines import OnnxRuntime
from quantlab.errors import EngineError, RecipeError
from quantlab.evaluation.layers import compare_layers
from quantlab.evaluation.runtime_error import compare_runtime
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.side_by_side import Samples, diff
from tests.engines.fake import FakeEngine
from tests.engines.tensorrt.fake_machine import play_machine
from tests.evaluation.samples import batches_of
from tests.evaluation.test_layers import X, plain, quantized, rounded
from tests.runs import UNTIMED, classifier, images

FUSED = OnnxRuntime(threads=1)


@pytest.fixture(scope="module")
def run() -> quantlab.Run:
    return quantlab.ptq(classifier(), images(), **UNTIMED, targets=("onnxruntime", "tensorrt"))


class OneHigher(FakeEngine):
    """A runtime that rounds: what readers of `a` see is one step of 0.5 higher, and so all behind it."""

    def open(self, model: Model, taps=()):
        session = super().open(model, taps)
        inner = session._run

        def run(feeds):
            outputs = dict(inner(feeds))
            a = rounded(np.abs(feeds["x"]), 0.5) + np.float32(0.5)
            known = {"a_dequantized": a, "y": rounded(feeds["x"] - a, 0.25)}
            return {name: known.get(name, value) for name, value in outputs.items()}

        session._run = run  # type: ignore[method-assign]
        return session


def test_an_error_of_one_step_is_told_as_one_step_and_not_as_one_of_quantization() -> None:
    batches = batches_of({"x": X}, plain(), batch_size=7)
    found = compare_runtime(plain(), quantized(), (FakeEngine(), OneHigher()), batches)
    (a,) = found.tensors
    assert (a.tensor, a.largest_error, a.step, a.largest_steps, a.changed_share) == ("a", 0.5, 0.5, 1.0, 1.0)
    (y,) = found.outputs
    assert (y.tensor, y.largest_steps) == ("y", 2.0)
    (total,) = found.total
    exact = np.abs(X) * -1 + X
    assert total.largest_error == np.abs(exact - rounded(X - rounded(np.abs(X), 0.5) - np.float32(0.5), 0.25)).max()
    assert not found.notes


def test_a_runtime_that_computes_literally_adds_nothing() -> None:
    batches = batches_of({"x": X}, plain(), batch_size=7)
    found = compare_runtime(plain(), quantized(), (FakeEngine(), FakeEngine()), batches)
    assert all(layer.sqnr.is_identical and layer.changed_share == 0 for layer in (*found.outputs, *found.tensors))
    quantization = {layer.tensor: layer for layer in compare_layers(plain(), quantized(), FakeEngine(), batches).layers}
    assert [layer.sqnr for layer in found.total] == [quantization["y"].sqnr]


def test_taps_that_change_what_a_runtime_computes_are_told() -> None:
    class Tapped(FakeEngine):
        def open(self, model: Model, taps=()):
            engine = OneHigher() if len(taps) > 1 else FakeEngine()
            return engine.open(model, taps)

    batches = batches_of({"x": X}, plain(), batch_size=7)
    found = compare_runtime(plain(), quantized(), (FakeEngine(), Tapped()), batches)
    assert found.outputs[0].sqnr.is_identical  # as deployed
    assert "asking for inner tensors" in found.notes[0]


def test_the_fused_session_of_onnxruntime_is_compared_with_the_literal_one(run: quantlab.Run) -> None:
    found = diff(run.model, run.quantized["onnxruntime"].model, Samples(images()), engine=FUSED)
    assert found.runtime is not None
    assert found.runtime.runtime.startswith("onnxruntime ")
    inner = found.runtime.by_tensor["hidden"]
    # Integer sums are exact; where the product with the scales is rounded elsewhere, the next integer comes out.
    assert inner.largest_steps is not None
    assert inner.largest_steps < 1.01
    assert json.loads(json.dumps(found.to_json()))["runtime"]["outputs"][0]["tensor"] == "scores"


def test_a_model_for_tensorrt_is_run_where_there_is_a_gpu(
    run: quantlab.Run, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    int8 = run.quantized["tensorrt"].model
    with monkeypatch.context() as there_is_no_gpu:
        there_is_no_gpu.setattr("quantlab.contenders.current_gpu", lambda: None)
        without = diff(run.model, int8, Samples(images()), engine=FUSED)
        with pytest.raises(EngineError, match="compare where there is one"):
            diff(run.model, int8, Samples(images()), runtime="tensorrt", engine=FUSED)
    assert without.runtime is None
    assert without.runtime_reason == "tensorrt needs an NVIDIA GPU with a driver, and there is none here"
    trt, memories = play_machine(monkeypatch)
    found = diff(run.model, int8, Samples(images()), engine=FUSED)
    assert found.runtime is not None
    assert found.runtime.runtime == "tensorrt 11.1.0.106"
    assert [layer.tensor for layer in found.runtime.outputs] == ["scores"]
    assert trt.ranges["image"][2] == (8, 3, 8, 8)
    assert all(memory.is_closed for memory in memories)


def test_the_command_tells_both_errors(run: quantlab.Run, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    save(run.model, tmp_path / "net.fp32.onnx")
    save(run.quantized["onnxruntime"].model, tmp_path / "net.int8.onnx")
    np.save(tmp_path / "x.npy", images())
    command = ["diff", str(tmp_path / "net.fp32.onnx"), str(tmp_path / "net.int8.onnx"), "--quiet"]
    command += ["--data", str(tmp_path / "x.npy")]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Output scores: quantization error, SQNR" in said
    assert "runtime error of onnxruntime" in said
    assert main([*command, "--runtime", "none"]) == 0
    assert "Runtime error: not measured: not asked for." in capsys.readouterr().out
    assert main([*command, "--runtime", "openvino"]) == 2


def test_a_float_model_has_no_runtime_error_unless_asked(run: quantlab.Run) -> None:
    found = diff(run.model, run.model, Samples(images()), engine=FUSED)
    assert found.runtime_reason == "the second model is not quantized"
    with pytest.raises(RecipeError, match="choose one of onnxruntime, tensorrt"):
        diff(run.model, run.model, Samples(images()), runtime="cuda", engine=FUSED)
