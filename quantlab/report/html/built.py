"""What became of a TensorRT build → a section of the page, with the lines that repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element
from quantlab.report.built import SAME, built_lines


def builds(content: Mapping[str, Any]) -> Element | None:
    """Return the section on the plan that was built; None where none was asked for."""
    found = [target["build"] for target in content["targets"].values() if target.get("build")]
    if not found:
        return None
    parts = [part for build in found for part in _build(build, content["files"])]
    return element("section", element("h2", "TensorRT plan"), *parts)


def _build(build: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[Element]:
    for line in built_lines(build, files):
        yield element("p", line)
    lines = build.get("command_lines") or {}
    if lines:
        text = "\n".join(part for tool, line in lines.items() for part in (f"# {tool}", line))
        yield element("p", SAME)
        yield element("pre", element("code", text), tabindex="0", role="region", aria_label="Command lines")
