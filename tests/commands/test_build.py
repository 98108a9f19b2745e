"""`quantlab build` and `quantlab audit` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
