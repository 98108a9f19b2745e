"""Looks at this installation: what is there, what is missing and how to install it, what this machine can do in INT8.

Packages are looked up by their metadata, without importing them; only ONNX Runtime is started, on a model of two
nodes, since everything else needs it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from quantlab.engines import OnnxRuntime
from quantlab.engines.onnxruntime import EXACT_PRODUCTS
from quantlab.errors import EngineError
from quantlab.evaluation.environment import Environment, installed_version, read_environment
from quantlab.graph.model import Model

Status = Literal["ok", "absent", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at, such as a package.
        status: `ok`; `absent`, an extra that is not installed; `warning`; `problem`, something does not work.
        detail: what was found, in a few words.
        advice: what to do, or an empty text.
    """

    subject: str
    status: Status
    detail: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.status:8} {self.subject}: {self.detail}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        environment: the machine and its software.
        findings: one after another, in the order looked at.
    """

    environment: Environment
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is a problem."""
        return all(finding.status != "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "is_healthy": self.is_healthy,
            "environment": self.environment.to_json(),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        return "\n".join([str(self.environment), *map(str, self.findings)])


@dataclass(frozen=True, slots=True)
class _Extra:
    """An optional package: its distribution, its module, what it is for and how to install it."""

    distribution: str
    module: str
    purpose: str
    command: str


_EXTRAS = (
    _Extra("torch", "torch", "models from Python, and quantization-aware training", "pip install 'quantlab[torch]'"),
    _Extra("tensorrt-rtx", "tensorrt_rtx", "TensorRT builds without a GPU", "pip install 'quantlab[tensorrt-rtx]'"),
    _Extra("tensorrt", "tensorrt", "TensorRT engines on this machine's GPU", "pip install 'quantlab[tensorrt]'"),
    _Extra("transformers", "transformers", "models from the Hugging Face hub", "pip install transformers"),
    _Extra("flask", "flask", "`quantlab serve`", "pip install 'quantlab[serve]'"),
    _Extra("matplotlib", "matplotlib", "the notebooks", "pip install 'quantlab[notebook]'"),
)
# What to look for where the installation does not tell what it requires.
_CORE = ("numpy", "scipy", "numba", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "psutil", "typer", "rich")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")
_QUANTIZED_MODEL = """<ir_version: 10, opset_import: ["" : 21]>
doctor (float[1] x) => (float[1] y) <float s = {0.5}, uint8 z = {0}> {
  q = QuantizeLinear(x, s, z)
  y = DequantizeLinear(q, s, z)
}"""


def diagnose() -> Diagnosis:
    """Return what is installed here, what is missing, and what this machine can do in INT8."""
    environment = read_environment()
    findings = (
        *_core_packages(),
        _runtime_packages(),
        _runtime(),
        *map(_extra, _EXTRAS),
        _gpu(),
        int8_finding(environment),
    )
    return Diagnosis(environment, findings)


def int8_finding(environment: Environment) -> Finding:
    """Return what the processor means for INT8: speed everywhere, and on x86-64 also correctness."""
    subject = "INT8 on the CPU"
    if environment.instructions is None:
        return Finding(subject, "warning", "the processor's instructions are unknown", "measure before deciding")
    listing = ", ".join(environment.instructions) or "no instructions that matter"
    if environment.has_int8_instructions:
        return Finding(subject, "ok", listing)
    if not environment.saturates_products:
        return Finding(subject, "warning", f"{listing}; no 8-bit dot products", "expect INT8 to gain little speed")
    return Finding(
        subject,
        "warning",
        f"{listing}; no VNNI, so products of uint8 and int8 add up in 16 bits and saturate",
        f"expect little speed; quantlab runs with {EXACT_PRODUCTS}=1, which your own sessions need here too",
    )


def _core_packages() -> Iterator[Finding]:
    for requirement in _requirements():
        name, lowest = parse_requirement(requirement)
        found = installed_version(name)
        if found is None:
            yield Finding(name, "problem", "not installed", f"pip install '{requirement}'")
        elif lowest is not None and release(found) < release(lowest):
            yield Finding(name, "problem", f"{found} is older than {lowest}", f"pip install --upgrade '{requirement}'")
        else:
            yield Finding(name, "ok", found)


def _requirements() -> tuple[str, ...]:
    """Return what quantlab requires without extras; ONNX Runtime, of several distributions, is looked at on its own."""
    core = [item.partition(";")[0].strip() for item in _told() if "extra ==" not in item] or list(_CORE)
    return tuple(item for item in core if parse_requirement(item)[0] not in _RUNTIMES)


def _told() -> list[str]:
    """Return all requirements, as this installation of quantlab tells them; none where it runs from its sources."""
    try:
        return requires("quantlab") or []
    except PackageNotFoundError:
        return []


def parse_requirement(text: str) -> tuple[str, str | None]:
    """Return the distribution and the lowest version of a requirement such as `numpy>=2.0`."""
    name = re.match(r"[A-Za-z0-9._-]+", text.strip())
    lowest = re.search(r">=\s*([0-9][0-9.]*)", text)
    return (name.group(0) if name else text.strip()), (lowest.group(1) if lowest else None)


def release(version: str) -> tuple[int, ...]:
    """Return the numbers a version starts with, trailing zeros left out, for comparing."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in numbers.group(0).split(".")] if numbers else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _runtime_packages() -> Finding:
    """Look for ONNX Runtime, whose distributions overwrite each other's files."""
    found = [f"{name} {number}" for name in _RUNTIMES if (number := installed_version(name)) is not None]
    if not found:
        return Finding("onnxruntime", "problem", "not installed", "pip install onnxruntime")
    if len(found) > 1:
        advice = f"pip uninstall {' '.join(item.split()[0] for item in found)}, then install one of them"
        return Finding("onnxruntime", "problem", f"{' and '.join(found)} overwrite each other", advice)
    return Finding("onnxruntime", "ok", found[0])


def _runtime() -> Finding:
    """Run a quantized model, and tell the execution providers."""
    subject = "ONNX Runtime"
    try:
        import onnxruntime

        with OnnxRuntime(threads=1).open(Model(ir.from_onnx_text(_QUANTIZED_MODEL))) as session:
            found = session.run({"x": np.array([1.2], np.float32)})["y"]
        providers = ", ".join(onnxruntime.get_available_providers())
    except (ImportError, OSError, EngineError) as error:
        reason = " ".join(str(error).split())
        return Finding(subject, "problem", f"it does not run: {reason}", "pip install --force-reinstall onnxruntime")
    if found.tolist() != [1.0]:
        return Finding(subject, "problem", f"1.2 in steps of 0.5 came back as {found[0]}", "install another version")
    return Finding(subject, "ok", f"runs quantized models; providers: {providers}")


def _extra(extra: _Extra) -> Finding:
    """Look for an optional package, by its module: some distributions only point to others."""
    if find_spec(extra.module) is None:
        return Finding(extra.distribution, "absent", "not installed", f"{extra.command} for {extra.purpose}")
    number = installed_version(extra.distribution)
    if number is None:
        return Finding(extra.distribution, "ok", "installed, version unknown")
    wanted = [lowest for name, lowest in map(parse_requirement, _told()) if name == extra.distribution and lowest]
    if wanted and release(number) < release(wanted[0]):
        advice = f"{extra.command} --upgrade"
        return Finding(extra.distribution, "warning", f"{number} is older than {wanted[0]}", advice)
    return Finding(extra.distribution, "ok", number)


def _gpu() -> Finding:
    if shutil.which("nvidia-smi") is None:
        return Finding("NVIDIA GPU", "absent", "no driver found", "only needed to run TensorRT engines")
    return Finding("NVIDIA GPU", "ok", "a driver is installed")
