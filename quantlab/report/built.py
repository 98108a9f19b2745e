"""What became of a TensorRT build → its section in a report, and the lines that tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from quantlab.run_build import Built

SAME = "The same with NVIDIA's own tools, called in the folder of the run:"
"""What is said above the command lines of a build."""

_MOST_WARNINGS = 5


def built_section(built: Built) -> dict[str, Any]:
    """Return plain values; the single layers are in the side-car of the plan."""
    if built.deployment is None:
        return {"error": built.fault}
    made, record = built.deployment, built.deployment.record
    return {
        "error": None,
        "plan": made.plan.name,
        "runtime": record.runtime,
        "version": record.version,
        "built_for": record.built_for,
        "shapes": {name: str(shape) for name, shape in record.shapes.items()},
        "seconds": record.seconds,
        "layers": len(record.layers),
        "int8_layers": sum(layer.multiplies_int8 for layer in record.layers),
        "weights_bytes": record.weights_bytes,
        "activations_bytes": record.activations_bytes,
        "warnings": list(record.warnings),
        "command_lines": dict(made.command_lines),
    }


def build_faults(content: Mapping[str, Any]) -> list[str]:
    """Return why a report's run has no plan, a sentence per target whose build failed."""
    built = {name: target.get("build") or {} for name, target in content["targets"].items()}
    return [f"{name}: no plan was built: {each['error']}" for name, each in built.items() if each.get("error")]


def built_lines(build: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person reads of a build.

    Args:
        build: a section.
        files: of the run, which tell the size of the plan.
    """
    if build["error"]:
        yield f"No plan was built: {build['error']}"
        return
    size_bytes = files.get(build["plan"], {}).get("size_bytes")
    size = "" if size_bytes is None else f" of {_megabytes(size_bytes)}"
    who = f"{build['runtime']} {build['version']}"
    yield f"TensorRT plan{size}, built by {who} in {build['seconds']:.1f} s for {build['built_for']}."
    parts = (("weights {}", "weights_bytes"), ("activations {} at the largest shapes", "activations_bytes"))
    memory = ", ".join(text.format(_megabytes(build[key])) for text, key in parts if build[key] is not None)
    yield (
        f"{build['layers']} layers, {build['int8_layers']} of them multiply in INT8{f'; {memory}' if memory else ''}."
    )
    yield from (_shapes_sentence(*item) for item in build["shapes"].items())
    warnings = build["warnings"]
    yield from (f"The builder warns: {warning}" for warning in warnings[:_MOST_WARNINGS])
    if len(warnings) > _MOST_WARNINGS:
        yield f"{len(warnings) - _MOST_WARNINGS} more of its warnings are in {build['plan']}.json."


def _shapes_sentence(name: str, shapes: str) -> str:
    if "," not in shapes:
        return f"Input {name}: {shapes} only."
    smallest, usual, largest = shapes.split(",")
    return f"Input {name}: from {smallest} to {largest}, best at {usual}."


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB"
