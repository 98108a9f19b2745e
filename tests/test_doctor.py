"""The doctor finds what is missing and says how to install it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from quantlab import doctor
from quantlab.doctor import Diagnosis, Finding, diagnose, int8_finding, parse_requirement, release
from quantlab.engines import OnnxRuntime
from quantlab.errors import EngineError
from quantlab.evaluation.environment import read_environment


def finding(diagnosis: Diagnosis, subject: str) -> Finding:
    (found,) = [item for item in diagnosis.findings if item.subject == subject]
    return found


def test_this_installation_is_healthy():
    diagnosis = diagnose()
    assert diagnosis.is_healthy, str(diagnosis)
    assert "runs quantized models" in finding(diagnosis, "ONNX Runtime").detail
    assert "CPUExecutionProvider" in finding(diagnosis, "ONNX Runtime").detail
    assert json.loads(json.dumps(diagnosis.to_json()))["is_healthy"]
    assert diagnosis.environment.cpu in str(diagnosis)


def test_looking_imports_no_optional_package():
    code = (
        "import sys; from quantlab.doctor import diagnose; diagnose(); "
        "print([m for m in ('torch', 'tensorrt', 'tensorrt_rtx', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_says_what_it_is_for_and_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "find_spec", lambda module: None)
    torch = finding(diagnose(), "torch")
    assert torch.status == "absent"
    assert "pip install 'quantlab[torch]'" in torch.advice
    assert "training" in torch.advice


def test_a_missing_core_package_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["no-such-package>=2.0", "numpy>=2.0"])
    diagnosis = diagnose()
    missing = finding(diagnosis, "no-such-package")
    assert (missing.status, missing.advice) == ("problem", "pip install 'no-such-package>=2.0'")
    assert finding(diagnosis, "numpy").status == "ok"
    assert not diagnosis.is_healthy


def test_a_core_package_that_is_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=999.0"])
    numpy = finding(diagnose(), "numpy")
    assert numpy.status == "problem"
    assert "older than 999.0" in numpy.detail


def test_an_extra_that_is_too_old_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "find_spec", lambda module: object())
    monkeypatch.setattr(doctor, "installed_version", lambda name: "2.4.1")
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=2.0", 'torch>=999; extra == "torch"'])
    torch = finding(diagnose(), "torch")
    assert torch.status == "warning"
    assert "--upgrade" in torch.advice


def test_two_runtimes_in_one_environment_are_a_problem(monkeypatch: pytest.MonkeyPatch):
    versions = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(doctor, "installed_version", lambda name: versions.get(name, "1.0"))
    monkeypatch.setattr(doctor, "_RUNTIMES", tuple(versions))
    found = finding(diagnose(), "onnxruntime")
    assert found.status == "problem"
    assert "pip uninstall onnxruntime onnxruntime-gpu" in found.advice


def test_a_runtime_that_does_not_run_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    def refuse(self: object, model: object) -> None:
        raise EngineError("onnxruntime: broken\nbadly")

    monkeypatch.setattr(OnnxRuntime, "open", refuse)
    found = finding(diagnose(), "ONNX Runtime")
    assert found.status == "problem"
    assert "broken badly" in found.detail


@pytest.mark.parametrize(
    ("architecture", "instructions", "status", "words"),
    [
        ("x86_64", ("AVX2", "AVX-512 VNNI"), "ok", "VNNI"),
        ("x86_64", ("AVX2",), "warning", "x64quantprecision"),
        ("AMD64", (), "warning", "saturate"),
        ("aarch64", (), "warning", "gain little"),
        ("aarch64", ("DotProd",), "ok", "DotProd"),
        ("arm64", None, "warning", "unknown"),
    ],
)
def test_the_processor_is_judged_by_its_8_bit_dot_products(
    architecture: str, instructions: tuple[str, ...] | None, status: str, words: str
):
    environment = dataclasses.replace(read_environment(), architecture=architecture, instructions=instructions)
    found = int8_finding(environment)
    assert found.status == status
    assert words in str(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy>=2.0", ("numpy", "2.0")),
        ("onnx-ir >=1.0,<2", ("onnx-ir", "1.0")),
        ("py-cpuinfo", ("py-cpuinfo", None)),
        ("torch[cpu]>=2.11", ("torch", "2.11")),
    ],
)
def test_requirements_are_read(text: str, expected: tuple[str, str | None]):
    assert parse_requirement(text) == expected


def test_releases_compare_by_number():
    assert release("2.10.1") > release("2.9")
    assert release("2.0") == release("2")
    assert release("2.13.0+cpu") == (2, 13)
    assert release("unknown") == ()
