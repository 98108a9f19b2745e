"""A build is told in a few lines, whatever it was built for and however much the builder says."""

from __future__ import annotations

from typing import Any

from quantlab.report.built import build_faults, built_lines

BUILD: dict[str, Any] = {
    "error": None,
    "plan": "model.tensorrt.int8.plan",
    "runtime": "tensorrt",
    "version": "10.12.0",
    "built_for": "NVIDIA L4 (8.9)",
    "shapes": {"image": "1x3x8x8"},
    "seconds": 12.34,
    "layers": 3,
    "int8_layers": 2,
    "weights_bytes": None,
    "activations_bytes": None,
    "warnings": [],
}


def test_what_the_builder_does_not_count_is_left_out() -> None:
    assert list(built_lines(BUILD, {})) == [
        "TensorRT plan, built by tensorrt 10.12.0 in 12.3 s for NVIDIA L4 (8.9).",
        "3 layers, 2 of them multiply in INT8.",
        "Input image: 1x3x8x8 only.",
    ]


def test_sizes_and_a_range_of_shapes_are_told() -> None:
    sizes = {"weights_bytes": 250_000, "activations_bytes": 3_000_000, "shapes": {"x": "1x8,4x8,16x8"}}
    plan, layers, shapes = built_lines({**BUILD, **sizes}, {BUILD["plan"]: {"size_bytes": 2_000_000}})
    assert plan.startswith("TensorRT plan of 2.00 MB, built by ")
    assert layers.endswith("in INT8; weights 0.25 MB, activations 3.00 MB at the largest shapes.")
    assert shapes == "Input x: from 1x8 to 16x8, best at 4x8."


def test_of_many_warnings_the_first_are_told_and_the_rest_counted() -> None:
    lines = list(built_lines({**BUILD, "warnings": [f"w{number}" for number in range(7)]}, {}))
    assert [line for line in lines if "warn" in line] == [
        *(f"The builder warns: w{number}" for number in range(5)),
        "2 more of its warnings are in model.tensorrt.int8.plan.json.",
    ]


def test_only_a_build_that_failed_is_a_fault() -> None:
    targets = {"onnxruntime": {}, "tensorrt": {"build": BUILD}}
    assert build_faults({"targets": targets}) == []
    failed = {**targets, "tensorrt": {"build": {"error": "no"}}}
    assert build_faults({"targets": failed}) == ["tensorrt: no plan was built: no"]
    assert list(built_lines({"error": "no"}, {})) == ["No plan was built: no"]
