"""What cannot be quantized is refused in one line: what, where, what to do. No trace, nothing half-written."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import broken
from tests.commands.conftest import Quantlab

FAST = ("--samples", "16", "--threads", "1", "--no-latency")
DATA = ("--data", "samples.npz", *FAST)


@pytest.fixture(scope="module")
def broken_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    broken.write_models(folder)
    broken.write_data(folder)
    return folder


@pytest.fixture
def here(workplace: Path, broken_files: Path) -> Path:
    """Make a working folder with a good model, good samples, and all that is broken in `broken/`."""
    shutil.copytree(broken_files, workplace / "broken", copy_function=os.link)
    return workplace


def refused(quantlab: Quantlab, *arguments: str) -> str:
    """Run a command that must fail; return its line."""
    said = quantlab(*arguments)
    assert said.code == 1, said
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("quantlab: error: ")
    return line


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("nowhere.onnx", "nowhere.onnx: there is no such file"),
        ("unheard", "model 'unheard': unknown; give an .onnx file"),
        ("broken", "broken: this is a folder; give a model in it: corrupt.onnx"),
        ("broken/nan.npy", "'broken/nan.npy': the file's name does not end in .onnx; give an .onnx file"),
        ("broken/empty.onnx", "it is empty (0 bytes); check that the file was copied whole"),
        ("broken/corrupt.onnx", "this is no ONNX model, or a damaged one"),
        ("broken/truncated.onnx", "this is no ONNX model, or a damaged one"),
        ("broken/no_inputs.onnx", "the graph has no inputs to feed"),
        ("broken/no_outputs.onnx", "the graph has no outputs, so it computes nothing"),
        ("broken/misspelt.onnx", "Reluu"),
        ("broken/dead_end.onnx", "'nowhere'"),
        ("broken/future_opset.onnx", "opset 99 is too new for it; export the model again with opset"),
        ("broken/future_format.onnx", "ir_version 99 is higher"),
        ("broken/texts.onnx", "input 'x' of the model takes texts; only numbers can be fed"),
        ("broken/two_inputs.onnx", "no array for input meta"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_and_nothing_is_written(here, quantlab, model, complaint):
    before = written(here)
    assert complaint in refused(quantlab, "ptq", "--model", model, *DATA)
    assert written(here) == before
    assert not (here / "runs").exists()


@pytest.mark.parametrize("command", ["ptq", "compare"])
def test_a_gpu_for_an_engine_that_uses_none_is_wrong_usage(here, quantlab, command):
    said = quantlab(command, "--device", "cuda")
    assert (said.code, said.out) == (2, "")
    assert "--device cuda is for --engine torch; add that, or leave this out" in said.err


def test_an_unknown_operator_is_named_with_node_and_domain_and_what_to_do(here, quantlab):
    for command in (["ptq", "--model"], ["compare", "--model"], ["evaluate"]):
        arguments = [*command, "broken/custom.onnx", "--data", "random", "--threads", "1"]
        line = refused(quantlab, *arguments)
        assert "node 'strange': operator Twist of domain 'com.acme' is unknown" in line
        assert "--library FILE" in line


def test_a_library_that_is_not_there_is_named(here, quantlab):
    line = refused(quantlab, "ptq", "--model", "net.onnx", *DATA, "--library", "twist.so")
    assert "twist.so: there is no such file" in line


def test_an_output_that_is_no_tensor_is_named(here, quantlab):
    line = refused(quantlab, "ptq", "--model", "broken/sequence.onnx", "--data", "random", *FAST)
    assert "output 'y' of sequence.onnx is a list, not a tensor" in line


def test_a_weight_that_is_nan_is_named(here, quantlab):
    line = refused(quantlab, "ptq", "--model", "broken/nan_weight.onnx", *DATA)
    assert "nan_weight.onnx: weight 'w2' holds NaN; repair the model" in line


def test_a_quantized_model_is_refused(here, quantlab):
    assert quantlab("ptq", "--model", "net.onnx", *DATA, "--out", "run").code == 0
    line = refused(quantlab, "ptq", "--model", "run/model.onnxruntime.int8.onnx", *DATA)
    assert "it is quantized already" in line
    assert "give the float model" in line


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("nowhere", "'nowhere': no such data; give `digits`"),
        ("nowhere.npz", "nowhere.npz: cannot be read: there is no such file"),
        ("digits", "digits: has shape [1, 1, 32, 32], the model needs image: float32[batch, 3, 8, 8]"),
        ("broken/nan.npy", "sample 3 holds NaN"),
        ("broken/no_samples.npy", "holds no samples"),
        ("broken/channels.npy", "input 'image': has shape [24, 1, 8, 8], the model needs image: float32["),
        ("broken/last.npy", "this looks like NHWC"),
        ("broken/alone.npy", "add the batch axis"),
        ("broken/texts.npy", "values of type <U1 cannot be fed"),
        ("broken/pickled.npy", "Python objects (pickle), which are never loaded"),
        ("broken/damaged.npy", "cannot be read"),
        ("broken/truncated.npz", "it is damaged or cut short"),
        ("broken/wrong_key.npz", "no array for input image; its keys are pictures, masks"),
        ("broken/few_labels.npz", "different numbers of samples: image 24, labels 5"),
        ("broken/one_hot.npz", "of one-hot rows take argmax(axis=1)"),
        ("broken/half_labels.npz", "labels count the classes from 0"),
        ("broken/no_images", "holds no images"),
        ("broken/bad_image", "cat/0.jpg: cannot be read as an image"),
        ("broken/data.py:raises", "the function raised KeyError: 'boom'"),
        ("broken/data.py:gives_nothing", "NoneType cannot be iterated"),
        ("broken/data.py:missing", "has no function 'missing'; it has gives_nothing, one_class, raises"),
        ("broken/data.py:SIZE", "has no function 'SIZE'"),
        ("nowhere.py:f", "there is no file nowhere.py"),
    ],
)
def test_data_that_cannot_be_used_are_refused_and_nothing_is_written(here, quantlab, data, complaint):
    before = written(here)
    for option in ("--data", "--eval-data"):
        given = ["--model", "net.onnx", "--data", "samples.npz", option, data, *FAST]
        assert complaint in refused(quantlab, "ptq", *given)
    assert written(here) == before


def test_labels_of_other_classes_are_named_with_their_data_and_leave_no_report(here, quantlab):
    line = refused(quantlab, "ptq", "--model", "net.onnx", "--data", "broken/strange_labels.npz", *FAST, "--out", "run")
    assert "'broken/strange_labels.npz' from sample 16 on: labels: label 10" in line
    assert [path.name for path in (here / "run").iterdir()] == ["unfinished"]


def test_too_few_samples_for_a_fixed_batch_are_told(here, quantlab):
    line = refused(quantlab, "ptq", "--model", "broken/fixed_batch.onnx", *DATA, "--samples", "3")
    assert "3 samples do not fill the model's fixed batch of 4; give more samples" in line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--keep-float", "head.*"], "'head.*' matches no node"),
        (["--output", "logits"], "no output 'logits'; it has scores"),
    ],
)
def test_a_name_that_the_model_does_not_have_is_told_with_those_it_has(here, quantlab, arguments, complaint):
    assert complaint in refused(quantlab, "ptq", "--model", "net.onnx", *DATA, *arguments)


def test_models_that_do_not_take_the_same_samples_are_not_compared(here, quantlab):
    for command in ("evaluate", "diff"):
        line = refused(quantlab, command, "net.onnx", "broken/two_inputs.onnx", "--data", "samples.npz")
        assert "two_inputs.onnx: its inputs (image: float32[batch, 3, 8, 8], meta" in line
        assert "are not those of net.onnx" in line


def test_models_of_other_outputs_are_not_compared(here, quantlab):
    line = refused(quantlab, "evaluate", "net.onnx", "broken/map.onnx", "--data", "samples.npz", "--no-latency")
    assert "the output has shape [8, 32, 8, 8], the reference's [8, 10]" in line


@pytest.mark.parametrize("out", ["net.onnx", "net.onnx/run", "/proc/run"])
def test_an_output_folder_that_cannot_be_is_told(here, quantlab, out):
    if out.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("there is no /proc here")
    line = refused(quantlab, "ptq", "--model", "net.onnx", *DATA, "--out", out)
    assert f"{out}: " in line
    assert "choose another --out" in line


def test_an_output_folder_without_permission_is_told(here, quantlab):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    locked = here / "locked"
    locked.mkdir(mode=0o500)
    line = refused(quantlab, "ptq", "--model", "net.onnx", *DATA, "--out", "locked")
    assert "locked: the output folder cannot be written to (Permission denied); choose another --out" in line


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """Let no file grow beyond 24 kB, as on a disk that is nearly full: the INT8 model fits, the float one does not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_run_before_it_whole(here, quantlab, request):
    arguments = ("ptq", "--model", "net.onnx", *DATA, "--out", "run")
    assert quantlab(*arguments).code == 0
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir()}
    request.getfixturevalue("small_files_only")
    line = refused(quantlab, *arguments, "--calibrator", "minmax")
    assert "model.fp32.onnx: the model cannot be written (File too large); choose another folder" in line
    after = {path.name: path.read_bytes() for path in (here / "run").iterdir() if path.is_file()}
    assert after == before
    assert not any(name.endswith(".tmp") for name in written(here))


@pytest.mark.parametrize("text", ["{", '{"schema_version": 99}', "samples = 3"])
def test_a_report_that_is_none_is_told(here, quantlab, text):
    (here / "report.json").write_text(text)
    assert "report.json: " in refused(quantlab, "report", "report.json")


def test_a_folder_without_a_finished_run_is_told(here, quantlab):
    assert "give the folder of a finished run" in refused(quantlab, "report", "broken")
