"""The commands that look at models, runs and the installation."""

import json
from pathlib import Path

import pytest

from quantlab.calibrators import CALIBRATORS
from quantlab.doctor import Diagnosis, Finding
from quantlab.evaluation.environment import read_environment
from tests.commands.conftest import Quantlab

NET = ("--model", "net.onnx", "--data", "samples.npz")
FAST = ("--samples", "16", "--threads", "1", "--no-latency")


@pytest.fixture
def run(quantlab: Quantlab, workplace: Path) -> Path:
    """The folder of a finished run, for two targets."""
    said = quantlab("ptq", *NET, *FAST, "--target", "onnxruntime", "--target", "tensorrt", "--out", "run")
    assert said.code == 0
    return workplace / "run"


def test_compare_shows_every_calibrator_and_its_ranges(quantlab: Quantlab):
    said = quantlab("compare", *NET, *FAST, "--out", "run")
    assert (said.code, said.err) == (0, "")
    assert "stays closest to fp32" in said.out
    assert all(f"onnxruntime {name}" in said.out for name in CALIBRATORS)
    assert "Ranges for onnxruntime" in said.out
    again = quantlab("compare", *NET, *FAST, "--out", "run", "--calibrators", "minmax")
    assert "were in the folder already" in again.out
    assert "onnxruntime mse" not in again.out


@pytest.mark.torch
def test_compare_collects_with_torch_where_it_is_told_to(quantlab: Quantlab):
    words = ("compare", *NET, *FAST, "--out", "run", "--calibrators", "minmax")
    torch = ("--engine", "torch", "--device", "cpu")
    assert quantlab(*words).code == 0
    # Statistics of another engine are others, so those in the folder do not hold.
    assert "were in the folder already" not in quantlab(*words, *torch).out
    assert "were in the folder already" in quantlab(*words, *torch).out
    said = quantlab(*words, "--engine", "torch", "--device", "abacus", "--out", "another")
    assert (said.code, said.out) == (1, "")
    assert "device 'abacus' is unknown" in said.err


def test_evaluate_shows_models_side_by_side(quantlab: Quantlab, run: Path):
    models = ("run/model.fp32.onnx", "run/model.onnxruntime.int8.onnx", "run/model.tensorrt.int8.onnx")
    said = quantlab("evaluate", *models, "--data", "samples.npz", "--threads", "1", "--no-latency")
    assert (said.code, said.err) == (0, "")
    assert "model.tensorrt.int8.onnx*" in said.out
    assert "Evaluated on 24 samples of samples.npz, 24 of them labelled." in said.out
    assert all(len(line) <= 100 for line in said.out.splitlines())


def test_evaluate_of_one_model_judges_nothing(quantlab: Quantlab):
    said = quantlab("evaluate", "net.onnx", "--data", "samples.npz", "--threads", "1", "--no-latency")
    assert said.code == 0
    assert said.out.split()[:2] == ["95", "%"]


def test_diff_shows_the_worst_tensors_first(quantlab: Quantlab, run: Path):
    models = ("run/model.fp32.onnx", "run/model.onnxruntime.int8.onnx")
    said = quantlab("diff", *models, "--data", "samples.npz", "--threads", "1", "--top", "1")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("model.onnxruntime.int8.onnx against model.fp32.onnx, 24 samples, worst first")
    assert "better tensors are not shown; --top" in said.out
    layers = json.loads(quantlab("diff", *models, "--data", "samples.npz", "--json").out)["layers"]
    finite = [layer["sqnr_db"] for layer in layers if layer["sqnr_db"] is not None]
    assert finite == sorted(finite)
    assert layers[0]["tensor"] in said.out


def test_inspect_shows_a_plan_with_a_reason_for_what_stays_float(quantlab: Quantlab):
    said = quantlab("inspect", "net.onnx", "--plan", "--target", "tensorrt", "--keep-float", "linear")
    assert (said.code, said.err) == (0, "")
    assert "Target tensorrt: 2 nodes in integers" in said.out
    assert "linear: Kept float on request (linear)." in said.out


def test_inspect_shows_what_is_quantized_in_a_quantized_model(quantlab: Quantlab, run: Path):
    said = quantlab("inspect", "run/model.onnxruntime.int8.onnx")
    assert said.code == 0
    assert "Quantized already, for onnxruntime" in said.out


def test_report_shows_a_run_again_without_computing(quantlab: Quantlab, run: Path):
    for path in ("run", "run/report.json"):
        said = quantlab("report", path)
        assert (said.code, said.err) == (0, "")
        assert "Report: run/report.json" in said.out
    assert json.loads(quantlab("report", "run", "--json").out) == json.loads((run / "report.json").read_text())


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("absent", 0), ("warning", 0), ("problem", 1)])
def test_doctor_fails_only_where_something_is_broken(quantlab: Quantlab, monkeypatch, status, code):
    found = Diagnosis(read_environment(), (Finding("numpy", status, "as found"),))
    monkeypatch.setattr("quantlab.doctor.diagnose", lambda: found)
    said = quantlab("doctor")
    assert (said.code, said.err) == (code, "")
    assert f"{status:8} numpy: as found" in said.out
