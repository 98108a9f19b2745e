"""Imports run one way only, and importing quantlab is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "quantlab"

# From what everything may use to what uses everything; names on one line may not import each other.
LAYERS = [
    {"errors", "files", "progress", "ranks", "cores", "markup", "processor"},
    {"fragments"},
    {"scheme", "data"},
    {"affine", "plan", "stats"},
    {"graph", "calibrators", "torchgraph"},
    {"targets", "zoo", "torchmodels"},
    {"qdq", "engines"},
    {"collect", "calibrate", "audit", "interop", "evaluation", "precision"},
    {"doctor", "fingerprint", "layerwise", "lint", "opening"},
    {"search", "contenders"},
    {"recipe"},
    {"inspection", "side_by_side", "job", "run_folder"},
    {"half_precision"},
    {"deployment", "deployable"},
    {"run_build"},
    {"diagnosis"},
    {"report", "resume", "forecast"},
    {"plots"},
    {"run"},
    {"pipeline"},
    {"comparison", "qat", "serve"},
    {"commands"},
    {"cli", "__main__", "__init__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Neighbours on one line that may look at each other, one way, and why.
ALLOWED = {
    ("ranks", "errors"): "has errors of its own",
    ("stats", "affine"): "arrays of the arithmetic",
    ("torchgraph", "graph"): "turns a graph into a module",
    ("engines", "qdq"): "the torch engine reads Q/DQ graphs",
    ("interop", "calibrate"): "biases must fit int32 wherever the scales come from",
    ("deployment", "deployable"): "builds and audits what the other finds",
    ("__main__", "cli"): "is the command line",
}

HEAVY = [
    "torch",
    "tensorrt",
    "tensorrt_rtx",
    "openvino",
    "matplotlib",
    "flask",
    "sklearn",
    "onnxruntime",
    "numba",
    "PIL",
]


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_packages(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    names += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    return {name.split(".")[1] for name in names if name.startswith("quantlab.")}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_layers_below_its_own(path):
    package = package_of(path)
    assert package in LEVEL, f"{path.name}: say in LAYERS where {package} belongs"
    for imported in imported_packages(path) - {package}:
        is_below = LEVEL[imported] < LEVEL[package]
        assert is_below or (package, imported) in ALLOWED, f"{package} must not import {imported}"


def test_importing_quantlab_loads_nothing_heavy():
    code = f"import sys, quantlab, quantlab.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SERVER = {"flask", "werkzeug"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_server_imports_a_web_framework(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}
    names |= {alias.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert package_of(path) == "serve" or not names & SERVER
