"""`quantlab build` and `quantlab audit` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantlab.zoo import digits_model_path
from tests.commands.conftest import Quantlab
from tests.rtx import requires_rtx

PTQ = ("ptq", "--model", "net.onnx", "--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency")


def test_an_unknown_runtime_is_wrong_usage(quantlab: Quantlab) -> None:
    said = quantlab("build", "net.onnx", "--runtime", "abacus")
    assert said.code == 2
    assert "choose one of tensorrt, tensorrt_rtx" in said.err


def test_a_shape_of_another_form_is_wrong_usage(quantlab: Quantlab) -> None:
    said = quantlab("build", "net.onnx", "--shape", "x=1")
    assert said.code == 2
    assert "such as 'x:1x3x224x224" in said.err


def test_a_float_model_cannot_be_audited(quantlab: Quantlab) -> None:
    said = quantlab("audit", "net.onnx")
    assert (said.code, said.out) == (1, "")
    assert "no Q/DQ pairs" in said.err


def test_an_audit_shows_every_node_and_fails_below_the_share_required(quantlab: Quantlab) -> None:
    assert quantlab(*PTQ, "--out", "run", "--eval-samples", "4").code == 0
    said = quantlab("audit", "run")
    assert said.code == 0
    assert "conv1" in said.out
    assert "QuantizeLinear" in said.out
    assert quantlab("audit", "run", "--require", "0.5").code == 0
    failed = quantlab("audit", "run", "--require", "0.999", "--json")
    assert failed.code == 1
    assert "less than the 99.9% required; the largest that does not is conv1" in failed.err
    (audit,) = json.loads(failed.out)["audits"]
    assert 0.5 < audit["multiply_add_share"] < 0.999


@requires_rtx
@pytest.mark.tensorrt
def test_a_build_prints_lines_that_can_be_pasted(quantlab: Quantlab, workplace: Path) -> None:
    said = quantlab("build", "net.onnx", "--runtime", "tensorrt_rtx")
    assert said.code == 0, said.err
    assert (workplace / "net.plan").exists()
    assert (workplace / "net.plan.json").exists()
    (line,) = [line for line in said.out.splitlines() if line.startswith("trtexec") and "--stronglyTyped" in line]
    assert "--saveEngine=net.plan" in line


@requires_rtx
@pytest.mark.tensorrt
def test_a_plan_of_the_bundled_network_is_never_written_into_the_package(quantlab: Quantlab, workplace: Path) -> None:
    before = sorted(digits_model_path().parent.iterdir())
    said = quantlab("build", "digits", "--precision", "fp16")
    assert said.code == 0, said.err
    assert sorted(path.name for path in workplace.glob("digits*")) == [
        *("digits.fp16.onnx", "digits.fp16.plan", "digits.fp16.plan.json"),
    ]
    assert sorted(digits_model_path().parent.iterdir()) == before


@requires_rtx
@pytest.mark.tensorrt
def test_three_precisions_of_a_run_are_built_side_by_side(quantlab: Quantlab, workplace: Path) -> None:
    assert quantlab(*PTQ, "--target", "tensorrt", "--out", "run", "--eval-samples", "4").code == 0
    said = quantlab("build", "run", "--precision", "fp32", "--precision", "fp16", "--precision", "int8+fp16", "--json")
    assert said.code == 0, said.err
    builds = json.loads(said.out)["builds"]
    assert list(builds) == ["fp32", "fp16", "int8+fp16"]
    assert builds["fp16"]["weights_bytes"] < builds["fp32"]["weights_bytes"]
    assert builds["int8+fp16"]["audit"]["share"] == 1.0
    assert [builds[name]["audit"] for name in ("fp32", "fp16")] == [None, None]
    assert "--onnx=run/model.fp16.onnx" in builds["fp16"]["command_lines"]["trtexec 11"]
    names = {path.name for path in (workplace / "run").glob("*.plan")}
    assert names == {"model.fp32.plan", "model.fp16.plan", "model.tensorrt.int8+fp16.plan"}


@requires_rtx
@pytest.mark.tensorrt
def test_a_half_precision_model_is_never_written_over_the_float_one(quantlab: Quantlab, workplace: Path) -> None:
    before = (workplace / "net.onnx").read_bytes()
    said = quantlab("build", "net.onnx", "--precision", "fp16", "--precision", "fp32")
    assert said.out.splitlines()[0].split()[:3] == ["precision", "layers", "INT8"]
    assert said.out.count("not measured") == 2
    assert quantlab("build", "net.onnx", "--precision", "fp16", "--out", "net.plan").code == 0
    assert (workplace / "net.onnx").read_bytes() == before
    assert (workplace / "net.fp16.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("net.onnx", "--precision", "int8"), "is a float model; quantize it"),
        (("net.onnx", "--precision", "fp8"), "choose one of fp32, fp16, int8, int8+fp16"),
        (("net.onnx", "--precision", "fp16", "--precision", "fp32", "--out", "net.plan"), "one file for several"),
        (("net.onnx", "--precision", "fp16", "--precision", "fp16"), "named twice"),
    ],
)
def test_a_precision_that_cannot_be_built_is_refused(
    quantlab: Quantlab, arguments: tuple[str, ...], words: str
) -> None:
    said = quantlab("build", *arguments, "--runtime", "tensorrt_rtx")
    assert said.code == 2
    assert words in said.err
