"""`quantlab lint` on files, as users run it."""

import contextlib
import io
import json
from pathlib import Path

import pytest

from quantlab.cli import main
from quantlab.graph.save import save
from tests.lint.planted_encodings import integer_bias, run_time_scale
from tests.lint.valid import baked


def quantlab(*arguments: object) -> tuple[int, str]:
    with io.StringIO() as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return main([str(argument) for argument in arguments]), said.getvalue()


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    save(integer_bias(), tmp_path / "faulty.onnx")
    return tmp_path / "faulty.onnx"


def test_a_clean_model_exits_with_0(tmp_path: Path):
    save(baked(), tmp_path / "clean.onnx")
    code, output = quantlab("lint", tmp_path / "clean.onnx")
    assert (code, output.splitlines()) == (
        0,
        ["clean.onnx: nothing found that tensorrt would refuse, misread or run in float"],
    )


def test_findings_exit_with_1_and_say_where_why_and_what_to_do(faulty: Path):
    code, output = quantlab("lint", faulty)
    assert code == 1
    lines = output.splitlines()
    assert lines[0] == "TRT111 refused: dq_b (b): a bias in int32"
    assert lines[1].startswith("    why: TensorRT adds biases in float")
    assert any(line.startswith("    fix: Leave the bias float") for line in lines)
    assert lines[-1] == "faulty.onnx: 1 finding for tensorrt (1 refused)"


def test_findings_as_json(faulty: Path):
    code, output = quantlab("lint", faulty, "--json")
    found = json.loads(output)
    assert code == 1
    assert (found["model"], found["target"]) == ("faulty.onnx", "tensorrt")
    assert [(item["rule"], item["node"], item["tensor"]) for item in found["findings"]] == [("TRT111", "dq_b", "b")]


def test_what_cannot_be_read_is_one_line(tmp_path: Path):
    code, output = quantlab("lint", tmp_path / "none.onnx")
    assert code == 1
    assert output.startswith("quantlab: error: ")
    assert len(output.splitlines()) == 1


def test_an_unknown_target_is_one_line(faulty: Path):
    assert quantlab("lint", faulty, "--target", "tflite")[1].startswith("quantlab: error: target: 'tflite' is unknown")


def test_fix_writes_a_sound_model_and_says_what_changed(faulty: Path, tmp_path: Path):
    code, output = quantlab("lint", faulty, "--fix", tmp_path / "fixed.onnx")
    assert code == 0
    assert "fix: numerics change: evaluate the new model before you use it" in output
    assert output.splitlines()[-1] == str(tmp_path / "fixed.onnx")
    assert quantlab("lint", tmp_path / "fixed.onnx")[0] == 0


def test_fix_as_json(faulty: Path, tmp_path: Path):
    code, output = quantlab("lint", faulty, "--fix", tmp_path / "fixed.onnx", "--json")
    fixed = json.loads(output)
    assert code == 0
    assert [item["rule"] for item in fixed["findings"]] == ["TRT111"]
    assert fixed["left"] == []
    assert fixed["written"] == str(tmp_path / "fixed.onnx")


def test_what_cannot_be_fixed_writes_nothing(tmp_path: Path):
    save(run_time_scale(), tmp_path / "faulty.onnx")
    code, output = quantlab("lint", tmp_path / "faulty.onnx", "--fix", tmp_path / "fixed.onnx")
    assert code == 1
    assert "cannot be taken out" in output
    assert not (tmp_path / "fixed.onnx").exists()
