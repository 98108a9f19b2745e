"""Where a report comes from → what one needs to make it again: samples, machine, recipe, hashes, command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, number, row, table
from quantlab.report.tables import samples_sentence


def provenance(content: Mapping[str, Any]) -> Element:
    """Return the section on the origin of a report."""
    return element(
        "section",
        element("h2", "How to get this again"),
        *_command(content["command"]),
        element("h3", "Samples"),
        element("p", samples_sentence(content["samples"])),
        element("h3", "Notes") if _notes(content) else None,
        element("ul", *(element("li", note) for note in _notes(content))) if _notes(content) else None,
        _pairs("Model", content["model"].items()),
        _pairs("Recipe", content["recipe"].items()),
        _pairs("Machine", _machine(content["evaluation"]["environment"])),
        _files(content["files"]) if content["files"] else None,
    )


def _command(command: list[str] | None) -> list[Child]:
    if command is None:
        return [element("p", "The run was called from Python; `quantlab run recipe.toml` repeats it from its recipe.")]
    return [element("pre", element("code", shlex.join(command)), tabindex="0", role="region", aria_label="Command")]


def _notes(content: Mapping[str, Any]) -> list[str]:
    return [*content["notes"], *content["evaluation"]["notes"]]


def _machine(environment: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    packages = [f"{name} {version}" for name, version in environment["packages"].items()]
    return {**environment, "packages": packages}.items()


def _pairs(caption: str, pairs: Iterable[tuple[str, Any]]) -> Element:
    lines = [row(name.replace("_", " "), _value(value)) for name, value in pairs]
    return table(["Setting", "Value"], lines, caption=caption, class_="pairs")


def _value(value: Any) -> str:  # noqa: ANN401 (JSON is of any type)
    if value is None or value in ([], {}):
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _files(files: Mapping[str, Any]) -> Element:
    lines = [
        row(name, number(f"{entry['size_bytes']:,}"), element("code", entry["sha256"])) for name, entry in files.items()
    ]
    return table(["File", "Bytes", "SHA-256"], lines, caption="Files beside this report")
