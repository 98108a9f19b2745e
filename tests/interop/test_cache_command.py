"""`quantlab cache` on files, as users run it."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from quantlab.cli import main
from quantlab.graph.load import load
from quantlab.graph.prepare import prepare
from quantlab.graph.save import save, to_bytes
from quantlab.interop.calibration_cache import CalibrationCache, read_cache, write_cache
from quantlab.plan import Plan
from quantlab.run_folder import RunFolder
from quantlab.targets import target_named
from tests.models import two_convs
from tests.targets.quantize import quantized

HEADER = "TRT-8601-EntropyCalibration2"


def quantlab(*arguments: object) -> tuple[int, str]:
    with io.StringIO() as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return main([str(argument) for argument in arguments]), said.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run for both targets."""
    model = prepare(two_convs(16))
    folder = RunFolder(tmp_path / "run")
    models = {name: quantized(model, target_named(name).place(model)) for name in ("onnxruntime", "tensorrt")}
    folder.write_models(model, models)
    folder.publish()
    return folder.path


def test_a_run_goes_out_and_comes_back(run: Path, tmp_path: Path):
    code, output = quantlab(
        "cache", "export", run, tmp_path / "c.cache", "--trt-version", "10.3.0", "--algorithm", "minmax"
    )
    assert (code, output.splitlines()[0]) == (0, "TRT-100300-MinMaxCalibration: 2 tensors")
    arguments = ["--model", run / "model.fp32.onnx", "--out", tmp_path / "back"]
    code, output = quantlab("cache", "import", tmp_path / "c.cache", *arguments)
    assert code == 0, output
    back = RunFolder(tmp_path / "back")
    assert to_bytes(load(back.int8_model("tensorrt"))) == to_bytes(load(run / "model.tensorrt.int8.onnx"))
    assert (back.path / "model.fp32.onnx").exists()
    plans = json.loads((back.path / "plan.json").read_text())
    assert Plan.from_json(json.dumps(plans["tensorrt"])).integer_nodes == ("conv1", "conv2")


def test_a_run_without_tensorrt_exports_what_it_has(run: Path, tmp_path: Path):
    (run / "model.tensorrt.int8.onnx").unlink()
    code, output = quantlab("cache", "export", run, tmp_path / "c.cache", "--json")
    report = json.loads(output)
    assert (code, report["header"]) == (0, HEADER)
    assert set(report["covered"]) == set(read_cache(tmp_path / "c.cache").scales)


def test_the_report_says_what_was_not_found(run: Path, tmp_path: Path):
    write_cache(CalibrationCache(HEADER, {"image": np.float32(0.01), "other": np.float32(1)}), tmp_path / "c.cache")
    arguments = ["--model", run / "model.fp32.onnx", "--out", tmp_path / "back", "--json"]
    code, output = quantlab("cache", "import", tmp_path / "c.cache", *arguments)
    report = json.loads(output)
    assert code == 0
    assert (report["used"], report["unknown"], report["missing"]) == (["image"], ["other"], ["hidden"])
    assert report["kept_float"] == {"conv2": "hidden"}
    assert report == json.loads((tmp_path / "back" / "import.json").read_text())


@pytest.mark.torch
def test_a_checkpoint_of_pytorch_quantization_is_imported_too(run: Path, tmp_path: Path):
    torch = pytest.importorskip("torch", reason="needs the torch extra")
    weight = torch.from_numpy(load(run / "model.fp32.onnx").constant("w1").copy())
    state = {"stem._input_quantizer._amax": torch.tensor(2.54), "stem.weight": weight}
    torch.save(state, tmp_path / "calibrated.pth")
    arguments = ["--model", run / "model.fp32.onnx", "--out", tmp_path / "back", "--json"]
    code, output = quantlab("cache", "import", tmp_path / "calibrated.pth", *arguments)
    report = json.loads(output)
    assert (code, report["used"], report["missing"]) == (0, ["image"], ["hidden"])


@pytest.mark.parametrize("command", ["import", "export"])
def test_what_is_wrong_is_said_in_one_line(command: str, tmp_path: Path):
    save(two_convs(16), tmp_path / "float.onnx")
    missing = tmp_path / "none.cache"
    source = [missing, "--model", tmp_path / "float.onnx"] if command == "import" else [tmp_path, missing]
    code, output = quantlab("cache", command, *source)
    assert code == 1
    assert output.startswith("quantlab: error: ")
    assert len(output.splitlines()) == 1
