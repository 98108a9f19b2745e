"""What a run took of the machine → plots over its time, and a table of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element, number, row, table
from quantlab.report.html.figures import figure


def resources(content: Mapping[str, Any]) -> Element | None:
    """Return the section on resources; None where the run was not watched."""
    told = content.get("resources")
    if not told:
        return None
    looks = told["looks"]
    most = max(looks["memory_bytes"], default=0) / 1e6
    mean = sum(looks["cores"]) / max(1, len(looks["cores"]))
    label = f"Cores busy and memory over time; {mean:.1f} cores on average, at most {most:.0f} MB"
    gpu = element("p", f"No GPU is shown: {told['gpu_reason']}.", class_="quiet") if told["gpu_reason"] else None
    if told["gpus"]:
        names = ", ".join(told["gpus"])
        gpu = figure("gpu", f"{names}: how busy, and the power drawn.", label=f"GPU over time: {names}")
    return element(
        "section",
        element("h2", "What the run took"),
        figure("resources", "Cores busy and memory of this process; bands are the steps of the run.", label=label),
        gpu,
        _steps(told["steps"]),
    )


def _steps(steps: list[dict[str, Any]]) -> Element:
    lines = [
        row(step["label"], number(f"{step['start']:.1f}"), number(f"{step['stop'] - step['start']:.1f}"))
        for step in steps
    ]
    return table(["Step", "Began at s", "Took s"], lines, caption="Steps of the run", class_="small")
