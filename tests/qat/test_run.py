"""The whole way: open, quantize, train, bake, evaluate, report, files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import quantlab
from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import DataError, EngineMissing, ModelError, RecipeError, RunError
from quantlab.evaluation.accuracy import paired_drop
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare as graph_prepare
from quantlab.graph.save import save, to_bytes
from quantlab.qat import EpochRecord, Hooks, QatRun, QatSettings, finish, prepare, train
from quantlab.qat.parity import parity_of
from quantlab.recipe import Recipe
from quantlab.side_by_side import Samples
from quantlab.zoo import digits_model_path
from quantlab.zoo.stress import with_channels_apart
from tests.qat.networks import augmented, digits, integers_of, solved_network

FAST: dict[str, Any] = {"threads": 1, "samples": 128, "latency_batches": ()}


def quick(model: object = None, data: object = None, hooks: Hooks | None = None, **others: Any) -> QatRun:
    """Train the small classifier for an epoch, without timing."""
    names = ("epochs", "learn_scales", "loss", "learning_rate", "batch_size", "train_samples")
    chosen = {name: others.pop(name) for name in names if name in others}
    settings = QatSettings(**{"epochs": 1, "device": "cpu", **chosen})
    others = {"eval_data": digits("evaluation"), "train_data": digits("train"), **FAST, **others}
    data = digits("calibration") if data is None else data
    return train(model or solved_network(), data, settings=settings, hooks=hooks, **others)


@pytest.fixture(scope="module")
def hard_run(tmp_path_factory: pytest.TempPathFactory) -> QatRun:
    """The network whose channels are 1 : 1000 apart, trained without labels."""
    images, _ = digits("train")
    out = tmp_path_factory.mktemp("hard")
    return quick(solved_network(spread=1000.0), train_data=images, epochs=8, learn_scales=True, out=out)


def accuracies(run: QatRun) -> list[float]:
    return [100 * row.accuracies[0].share for row in run.evaluation.rows]


def test_training_recovers_what_quantization_lost_where_channels_are_a_thousand_times_apart(hard_run: QatRun):
    in_float, after_ptq, after_qat = accuracies(hard_run)
    assert 5 <= in_float - after_ptq <= 30
    assert after_qat - after_ptq >= 0.8 * (in_float - after_ptq)
    difference = hard_run.evaluation.drop_between("onnxruntime ptq", "onnxruntime qat")
    assert difference is not None
    assert difference.interval[1] < 0  # the whole interval says that training gains


def test_the_int8_model_answers_as_the_trained_module_does():
    """Ten thousand augmented samples; the hidden values of a few lie on a tie that sums round either way."""
    run = quick(solved_network(), epochs=2, learn_scales=True)
    images = augmented(digits("evaluation")[0], copies=16)
    module = prepare(run.qdq_model)
    samples = Batches(array_source(images, run.model.inputs), 256)
    with OnnxRuntime(1).open(finish(module)) as session:
        parity = parity_of(module, session, samples, device=torch.device("cpu"), output="scores")
    assert parity.samples == parity.answers == 10_240
    assert parity.share is not None
    assert parity.share >= 0.999, str(parity)
    # The output is float; a hidden value on a tie is one of 512 that the head adds up.
    assert not parity.is_quantized
    assert parity.worst_steps is not None
    assert parity.worst_steps < 8, str(parity)


def test_what_is_returned_is_what_is_written(hard_run: QatRun):
    folder = hard_run.folder
    assert folder is not None
    names = {"recipe.toml", "qat.toml", "report.html", "plan.json", "stats.npz", "state.json", "report.json"}
    models = {"fp32", "onnxruntime.int8", "onnxruntime.ptq.int8", "onnxruntime.qdq"}
    assert {path.name for path in folder.iterdir()} == names | {f"model.{name}.onnx" for name in models}
    assert integers_of(load(folder / "model.onnxruntime.int8.onnx")) == integers_of(hard_run.int8_model)
    assert integers_of(finish(prepare(folder / "model.onnxruntime.qdq.onnx"))) == integers_of(hard_run.int8_model)


def test_the_report_has_the_epochs_the_gain_and_the_scales_that_moved(hard_run: QatRun):
    report = json.loads(hard_run.report.to_json())
    qat = report["qat"]
    assert [epoch["number"] for epoch in qat["epochs"]] == list(range(9))
    assert qat["samples"] == {"source": "data", "trained": 657, "held_out": 116}
    assert qat["drop_against_start"]["points"] < -4
    assert {scale["tensor"] for scale in qat["scales_moved"]} == {"hidden1", "hidden2", "w2"}
    first = qat["scales_moved"][0]
    assert first["after"] / first["before"] == pytest.approx(first["factor"])
    assert [row["name"] for row in report["evaluation"]["rows"]] == ["fp32", "onnxruntime ptq", "onnxruntime qat"]
    assert report["targets"]["onnxruntime"]["audit"]["share"] == 1.0


def test_the_report_tells_layers_of_the_trained_model_and_what_the_run_took_as_that_of_ptq(hard_run: QatRun):
    content = hard_run.report.content
    layers = content["targets"]["onnxruntime"]["layers"]
    assert [row["node"] for row in layers["rows"]] == [node.name for node in hard_run.model.graph]
    eight = Samples(tuple(array[:8] for array in digits("evaluation")))
    difference = quantlab.diff(hard_run.model, hard_run.int8_model, eight)
    ours = next(layer.sqnr for layer in difference.layers if layer.tensor == "scores")
    told = layers["errors"]["outputs"][0]["quantization"]
    assert told == pytest.approx(ours.to_json(), rel=1e-9)
    assert next(row["sqnr_db"] for row in layers["rows"] if row["node"] == "head") == round(ours.db, 2)
    labels = [step["label"] for step in content["resources"]["steps"]]
    assert {"collecting statistics", "epoch 1/8", "epoch 8/8", "looking at layers"} <= set(labels)
    assert hard_run.folder is not None
    page = (hard_run.folder / "report.html").read_text(encoding="utf-8")
    assert 'data-plot="noise" data-key="onnxruntime"' in page
    assert "What the run took" in page


def test_where_no_epoch_is_better_the_start_is_returned_and_it_is_said():
    run = quick(learning_rate=1.0)
    assert not run.history.is_improved
    assert accuracies(run)[1] == accuracies(run)[2]
    assert any("No epoch was better than the ptq model" in warning for warning in run.report.warnings)
    before, after = (row.correct for row in run.evaluation.rows[1:])
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("has_labels", [True, False])
def test_a_model_that_training_made_worse_is_not_returned_in_silence(has_labels, monkeypatch):
    # Held-out samples that always praise the last epoch: the evaluation samples must tell.
    monkeypatch.setattr("quantlab.qat.history.Score.is_better_than", lambda score, other: True)
    images, labels = digits("evaluation")
    run = quick(learning_rate=1.0, eval_data=(images, labels) if has_labels else images)
    assert any("the trained model is worse" in warning for warning in run.report.warnings)


def test_a_loss_that_may_be_chance_is_a_note_and_no_warning(monkeypatch):
    bits = np.ones(640, np.bool_)
    drop = paired_drop(bits, np.where(np.arange(640) < 1, ~bits, bits))
    monkeypatch.setattr("quantlab.evaluation.Evaluation.drop_between", lambda *_: drop)
    report = quick().report
    assert not any("worse" in warning for warning in report.warnings)
    said = "On the evaluation samples the trained model is not better than the ptq model, within the noise: 0.16 points"
    assert any(note.startswith(said) for note in report.content["notes"])
    assert "0.16 points less than ptq" in report.content["qat"]["summary"]
    assert "which may be chance" in report.content["qat"]["summary"]


def test_evaluation_samples_that_were_trained_on_are_told():
    both = digits("calibration")
    run = quick(data=(both[0][:100], both[1][:100]), eval_data=None, train_data=None)
    assert any("among those trained on" in warning for warning in run.report.warnings)
    apart = quick(data=both, eval_data=None, train_data=None)
    assert apart.report.content["qat"]["samples"]["trained"] == 128 - 19
    assert not any("among those trained on" in warning for warning in apart.report.warnings)


def test_all_of_the_data_trains_where_evaluation_has_samples_of_its_own():
    run = quick(data=digits("calibration"), train_data=None, samples=64)
    section = run.report.content
    assert section["samples"]["calibration"] == 64
    assert section["qat"]["samples"]["trained"] + section["qat"]["samples"]["held_out"] == 384


def test_a_stopped_run_resumes_to_the_same_model(tmp_path: Path):
    class Stop(Exception):
        pass

    def stop(record: EpochRecord) -> None:
        if record.number == 1:
            raise Stop

    whole = quick(epochs=2, learn_scales=True, train_samples=96, out=tmp_path / "whole")
    again: dict[str, Any] = {"epochs": 2, "learn_scales": True, "train_samples": 96, "out": tmp_path / "stopped"}
    with pytest.raises(Stop):
        quick(hooks=Hooks(on_epoch=stop), **again)
    assert not (tmp_path / "stopped" / "report.json").exists()
    with pytest.raises(RunError, match="another training"):
        quick(resume=True, seed=1, **again)
    resumed = quick(resume=True, **again)
    assert to_bytes(resumed.int8_model) == to_bytes(whole.int8_model)
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {p.name for p in (tmp_path / "stopped").iterdir()}


def test_a_qdq_model_is_trained_against_the_float_model_it_was_made_from(hard_run: QatRun, tmp_path: Path):
    assert hard_run.folder is not None
    start = hard_run.folder / "model.onnxruntime.ptq.int8.onnx"
    run = quick(start, reference=hard_run.folder / "model.fp32.onnx", epochs=2, learn_scales=True, out=tmp_path / "new")
    in_float, before, after = accuracies(run)
    assert [row.name for row in run.evaluation.rows] == ["fp32", "onnxruntime start", "onnxruntime qat"]
    assert before == pytest.approx(accuracies(hard_run)[1], abs=0.2)
    assert after > before + 5
    assert in_float == accuracies(hard_run)[0]
    assert (tmp_path / "new" / "model.onnxruntime.start.int8.onnx").exists()


@pytest.fixture
def foreign(hard_run: QatRun) -> Model:
    """A Q/DQ model that does not say who made it, or for which runtime; its activations are uint8."""
    model = hard_run.qdq_model.clone()
    del model.ir_model.metadata_props["quantlab.target"], model.ir_model.metadata_props["quantlab.plan"]
    return model


def test_a_qdq_model_alone_is_taught_by_itself_without_its_pairs_and_judged_on_the_runtime(foreign: Model):
    run = quick(foreign)
    assert [row.name for row in run.evaluation.rows] == ["fp32", "onnxruntime start", "onnxruntime qat"]
    assert not any(row.is_simulated for row in run.evaluation.rows)
    assert accuracies(run)[0] > 90
    assert any("does not say for which runtime it was made" in note for note in run.report.content["notes"])
    assert run.int8_model.ir_model.metadata_props["quantlab.target"] == "onnxruntime"
    assert "quantlab.target" not in foreign.ir_model.metadata_props


def test_a_reference_with_other_inputs_is_refused(hard_run: QatRun, tmp_path: Path):
    other = hard_run.model.clone()
    other.graph.inputs[0].name = "picture"
    save(other, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"inputs \(image\) are not those of other.onnx \(picture\)"):
        quick(hard_run.qdq_model, reference=tmp_path / "other.onnx")


def test_a_reference_beside_a_float_model_is_refused():
    with pytest.raises(RecipeError, match="float itself"):
        quick(reference=solved_network())


def test_several_targets_are_refused():
    with pytest.raises(RecipeError, match="one target at a time"):
        quick(targets=("onnxruntime", "tensorrt"))


def test_labels_that_the_loss_needs_and_that_are_missing_are_named():
    with pytest.raises(DataError, match="'both': the samples have no labels"):
        quick(train_data=digits("train")[0], loss="both")


def test_a_model_with_nothing_to_quantize_is_refused():
    with pytest.raises(ModelError, match="there is nothing to train; target onnxruntime: nothing is quantized"):
        quick(keep_float=("Conv", "Gemm"))


def test_training_for_another_runtime_is_simulated():
    run = quick(targets=("tensorrt",))
    simulated = {row.name: row.is_simulated for row in run.evaluation.rows}
    assert simulated == {"fp32": False, "fp16": True, "tensorrt ptq": True, "tensorrt qat": True}
    assert run.report.content["qat"]["parity"]["share"] > 0.99


def test_the_model_that_was_given_stays_as_it_was():
    model = solved_network()
    before = to_bytes(model)
    quick(model, learn_scales=True)
    assert to_bytes(model) == before


def test_a_fixed_batch_size_is_kept():
    fixed = solved_network()
    fixed.graph.inputs[0].shape = fixed_shape(32)
    run = quick(fixed, samples=64)
    assert run.evaluation.samples == 640


def fixed_shape(batch: int) -> Any:
    import onnx_ir as ir

    return ir.Shape([batch, 1, 8, 8])


def test_the_digits_are_trained_on_their_own_part():
    from quantlab.progress import silent
    from quantlab.qat.opening import TrainingInputs, open_training

    recipe = Recipe(threads=1, samples=8, eval_samples=8, calibrator="minmax")
    opened = open_training(recipe, QatSettings(), TrainingInputs(), folder=None, progress=silent)
    assert (opened.samples.name, opened.samples.size) == ("digits (train)", 773)


def test_without_torch_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineMissing, match=r"pip install 'quantlab\[torch\]'"):
        _ = quantlab.qat.train


@pytest.mark.slow
def test_training_recovers_the_digits_network_with_channels_apart():
    # Two convolutions of the first residual block.
    model = with_channels_apart(graph_prepare(load(digits_model_path())), "node_conv2d_1", "node_conv2d_2", 1000.0)
    run = train(model, settings=QatSettings(device="cpu", learn_scales=True), threads=2, latency_batches=())
    in_float, after_ptq, after_qat = accuracies(run)
    assert 5 <= in_float - after_ptq <= 30
    assert after_qat - after_ptq >= 0.8 * (in_float - after_ptq)


@pytest.mark.slow
def test_the_default_training_keeps_the_digits_network_and_its_answers():
    run = train(settings=QatSettings(device="cpu"), threads=2, latency_batches=())
    in_float, after_ptq, after_qat = accuracies(run)
    assert after_qat >= after_ptq - 0.5
    assert in_float - after_qat <= 0.5
    parity = run.report.content["qat"]["parity"]
    assert parity["share"] >= 0.999
    assert quantlab.qat.train is train
