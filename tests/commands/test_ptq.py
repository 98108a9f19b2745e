"""`quantlab ptq` and `quantlab run`, on what people have."""

import json
from pathlib import Path

import numpy as np
import pytest

from quantlab.graph.save import save
from tests.commands import broken
from tests.commands.conftest import Quantlab
from tests.engines.tensorrt.fake_machine import play_tensorrt
from tests.engines.tensorrt.fake_trt import OnnxParser
from tests.models import two_convs
from tests.runs import images

NET = ("--model", "net.onnx", "--data", "samples.npz")
FAST = ("--samples", "16", "--threads", "1", "--no-latency")


def content(said_out: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(said_out)
    return loaded


def test_without_arguments_the_bundled_network_is_quantized_into_runs(quantlab: Quantlab, workplace: Path):
    said = quantlab("ptq", "--samples", "16", "--eval-samples", "32", "--threads", "1", "--no-latency")
    assert (said.code, said.err) == (0, "")
    assert "Report: runs/digits-entropy/report.json" in said.out
    assert (workplace / "runs" / "digits-entropy" / "model.onnxruntime.int8.onnx").is_file()


def test_the_report_on_stdout_is_the_one_in_the_folder(quantlab: Quantlab, workplace: Path):
    said = quantlab("ptq", *NET, *FAST, "--out", "run", "--json")
    assert said.code == 0
    assert content(said.out) == content((workplace / "run" / "report.json").read_text())
    assert content(said.out)["command"] == ["quantlab", "ptq", *NET, *FAST, "--out", "run", "--json"]


def test_every_setting_reaches_the_recipe(quantlab: Quantlab):
    typed = [
        *("--calibrator", "percentile", "--percentile", "99.9", "--weight-ranges", "mse", "--keep-float", "Gemm"),
        *("--keep-float", "conv1", "--target", "onnxruntime", "--target", "tensorrt", "--samples", "8"),
        *("--eval-samples", "5", "--batch-size", "3", "--output", "scores", "--top-k", "2", "--threads", "1"),
        *("--seed", "7", "--memory-cap-mb", "64", "--no-latency", "--preprocess", "unit,resize=8"),
        *("--layer-samples", "16", "--weight-scales", "per-tensor", "--engine", "onnxruntime", "--device", "cpu"),
        *("--no-fp16", "--sensitivity-samples", "2"),
    ]
    recipe = content(quantlab("ptq", *NET, *typed, "--json").out)["recipe"]
    assert recipe == {
        "model": "net.onnx",
        "data": "samples.npz",
        "eval_data": None,
        "calibrator": "percentile",
        "preprocess": {"preset": "unit", "resize": 8},
        "calibrator_options": {"percentile": 99.9},
        "weight_ranges": "mse",
        "weight_scales": "per-tensor",
        "targets": ["onnxruntime", "tensorrt"],
        "keep_float": ["Gemm", "conv1"],
        "samples": 8,
        "eval_samples": 5,
        "batch_size": 3,
        "latency_batches": [],
        "output": "scores",
        "top_k": 2,
        "threads": 1,
        "seed": 7,
        "memory_cap_mb": 64,
        "layer_samples": 16,
        "sensitivity_samples": 2,
        "fp16": False,
        "libraries": [],
        "build": False,
        "build_options": {},
        "engine": "onnxruntime",
        "device": "cpu",
        "qat": {},
        # Those of a torch model, which an ONNX file is refused with.
        "weights": None,
        "input_shapes": [],
        "opset": None,
        "free_axes": None,
    }


def test_a_recipe_is_done_again_elsewhere_with_the_same_outcome(quantlab: Quantlab, workplace: Path):
    assert quantlab("ptq", *NET, *FAST, "--calibrator", "mse", "--out", "first").code == 0
    said = quantlab("run", "first/recipe.toml", "--out", "second")
    assert (said.code, said.err) == (0, "")
    for name in ("model.onnxruntime.int8.onnx", "stats.npz", "recipe.toml", "plan.json"):
        assert (workplace / "first" / name).read_bytes() == (workplace / "second" / name).read_bytes()


def test_a_recipe_tells_what_it_would_do_before_it_does_it(quantlab: Quantlab, workplace: Path):
    (workplace / "recipe.toml").write_text('model = "net.onnx"\ndata = "samples.npz"\nsamples = 16\nthreads = 1\n')
    before = sorted(workplace.rglob("*"))
    said = quantlab("run", "recipe.toml", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("This would quantize net.onnx, ranges by entropy. Nothing is written.")
    assert sorted(workplace.rglob("*")) == before


def test_only_a_training_is_resumed_by_name(quantlab: Quantlab, workplace: Path):
    (workplace / "recipe.toml").write_text('model = "net.onnx"\ndata = "samples.npz"\n')
    said = quantlab("run", "recipe.toml", "--resume")
    assert (said.code, said.out) == (2, "")
    assert "--resume: only a training needs it" in said.err


def test_a_second_run_in_the_folder_says_that_it_reads_no_sample_again(quantlab: Quantlab):
    assert "in the folder already" not in quantlab("ptq", *NET, *FAST, "--out", "run").out
    said = quantlab("ptq", *NET, *FAST, "--out", "run", "--calibrator", "minmax")
    assert "Note: The statistics of 16 samples were in the folder already and are used again." in said.out


def test_a_run_without_labels_speaks_of_agreement_only(quantlab: Quantlab):
    np.save("samples.npy", images())
    said = quantlab("ptq", "--model", "net.onnx", "--data", "samples.npy", *FAST)
    assert said.code == 0
    assert "Without labels the accuracy is unknown" in said.out
    assert "accuracy  " not in said.out


def test_a_map_as_output_is_judged_position_by_position(quantlab: Quantlab, workplace: Path):
    save(two_convs(32), workplace / "map.onnx")
    said = quantlab("ptq", "--model", "map.onnx", "--data", "samples.npz", *FAST, "--json")
    rows = json.loads(said.out)["evaluation"]["rows"]
    assert rows[1]["agreement"]["unit"] == "position"


def test_two_inputs_come_from_the_arrays_of_their_names(quantlab: Quantlab, workplace: Path):
    save(broken.two_inputs(), workplace / "two.onnx")
    np.savez("two.npz", image=images(), meta=np.ones((24, 4), np.float32), more=np.ones(3))
    said = quantlab("ptq", "--model", "two.onnx", "--data", "two.npz", *FAST)
    assert (said.code, said.err) == (0, "")
    assert "left out: more" in said.out


def test_a_fixed_batch_is_timed_at_its_own_size(quantlab: Quantlab, workplace: Path):
    save(broken.fixed_batch(), workplace / "four.onnx")
    arguments = ("--model", "four.onnx", "--data", "samples.npz", "--samples", "9", "--threads", "1")
    said = quantlab("ptq", *arguments, "--latency-batch", "1", "--json")
    latencies = [row["latencies"] for row in json.loads(said.out)["evaluation"]["rows"]]
    assert [[timed["batch_size"] for timed in each] for each in latencies] == [[4], [4]]


@pytest.mark.parametrize("name", ["batches", "pairs"])
def test_samples_come_from_a_function_of_a_python_file(quantlab: Quantlab, workplace: Path, name: str):
    (workplace / "mine.py").write_text(
        "import numpy as np\n"
        "def batches():\n"
        "    for seed in range(4):\n"
        "        yield {'image': np.random.default_rng(seed).normal(size=(6, 3, 8, 8)).astype(np.float32)}\n"
        "def pairs():\n"
        "    return [(batch['image'], np.arange(6)) for batch in batches()]\n"
    )
    said = quantlab("ptq", "--model", "net.onnx", "--data", f"mine.py:{name}", *FAST, "--json")
    assert json.loads(said.out)["samples"]["labelled"] == (8 if name == "pairs" else 0)


def test_one_class_of_images_is_evaluated_and_warned_of(quantlab: Quantlab, workplace: Path):
    broken.write_data(workplace)
    said = quantlab("ptq", "--model", "net.onnx", "--data", "one_class", *FAST, "--samples", "2")
    assert said.code == 0
    assert "WARNING: " in said.out
    assert "no preprocessing was declared" in said.out


def test_nothing_quantized_is_said_and_not_praised(quantlab: Quantlab):
    said = quantlab("ptq", *NET, *FAST, "--keep-float", "*")
    assert said.code == 0
    assert said.out.startswith("onnxruntime: Nothing is quantized")
    assert "WARNING: target onnxruntime: nothing is quantized" in said.out


def test_a_dry_run_tells_plan_and_cost_and_writes_nothing(quantlab: Quantlab, workplace: Path):
    before = sorted(path.name for path in workplace.rglob("*"))
    said = quantlab("ptq", *NET, *FAST, "--out", "run", "--dry-run")
    assert (said.code, said.err) == (0, "")
    for told in ("Nothing is written", "onnxruntime: ", "collecting: ", "evaluating: ", "memory: "):
        assert told in said.out
    assert content(quantlab("ptq", *NET, *FAST, "--dry-run", "--json").out)["cost"]
    assert sorted(path.name for path in workplace.rglob("*")) == before


def test_a_dry_run_refuses_what_the_run_would_refuse(quantlab: Quantlab):
    assert quantlab("ptq", "--calibrator", "entrpy", "--dry-run").code == 2
    assert quantlab("ptq", "--model", "nothing.onnx", "--dry-run").code == 1


def test_a_plan_is_built_and_the_recipe_builds_it_again(
    quantlab: Quantlab, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    play_tensorrt(monkeypatch, is_rtx=True)
    typed = ("--runtime", "tensorrt_rtx", "--shape", "image:1x3x8x8,2x3x8x8,4x3x8x8", "--compute-capability", "8.9")
    said = quantlab("ptq", *NET, *FAST, "--target", "tensorrt", "--build", *typed, "--out", "run")
    assert (said.code, said.err) == (0, "")
    assert "TensorRT plan: run/model.tensorrt.int8.plan" in said.out
    assert "for compute capability 8.9" in said.out
    again = json.loads(quantlab("run", "run/recipe.toml", "--out", "again", "--json").out)
    assert again["targets"]["tensorrt"]["build"]["shapes"] == {"image": "1x3x8x8,2x3x8x8,4x3x8x8"}
    assert (workplace / "again" / "model.tensorrt.int8.plan").is_file()


def test_a_build_that_fails_is_an_error_after_the_report(
    quantlab: Quantlab, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    play_tensorrt(monkeypatch, is_rtx=True)
    monkeypatch.setattr(OnnxParser, "parse_from_file", lambda parser, path: False)
    said = quantlab("ptq", *NET, *FAST, "--target", "tensorrt", "--build", "--out", "run")
    assert said.code == 1
    assert "tensorrt: no plan was built: tensorrt_rtx " in said.err
    assert "the parser gives no reason; all else of the run is in run" in said.err
    assert len(said.err.splitlines()) == 1
    assert "Report: run/report.json" in said.out
    assert (workplace / "run" / "model.tensorrt.int8.onnx").is_file()
    assert quantlab("report", "run").code == 0


@pytest.mark.parametrize("typed", [("--build",), ("--target", "tensorrt", "--runtime", "tensorrt_rtx")])
def test_half_a_wish_for_a_plan_is_wrong_usage(quantlab: Quantlab, workplace: Path, typed: tuple[str, ...]):
    assert quantlab("ptq", *NET, *FAST, *typed, "--out", "run").code == 2
    assert not (workplace / "run").exists()
