"""A report → the whole page: template, style and script of this folder, and the report's own parts.

The page asks for nothing from outside, and its content security policy lets no script run but the one beside this
module. Without scripts it is complete but for sorting, searching and histograms.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from string import Template
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.report.html.comparison import answers, costs
from quantlab.report.html.graph import targets
from quantlab.report.html.markup import element, to_data, to_markup
from quantlab.report.html.provenance import provenance
from quantlab.report.report import Report

Section = Callable[[Mapping[str, Any]], Element | None]
"""Makes one section of the page from a report's content; None where the report has nothing for it."""

# In the order of the page.
_SECTIONS: tuple[Section, ...] = (
    answers,
    costs,
    targets,
    provenance,
)


def to_html(report: Report) -> str:
    """Return a report as one self-contained page of HTML."""
    content = report.content
    title = f"quantlab: {content['model']['name']}"
    script = _file("script.js")
    return Template(_file("page.html")).substitute(
        title=to_markup([element("title", title)]),
        script_hash=_script_hash(script),
        style=_file("style.css"),
        body=to_markup(_parts(report)),
        data=to_data(content.get("histograms") or {}),
        script=script,
    )


def _parts(report: Report) -> list[Element]:
    made = (section(report.content) for section in _SECTIONS)
    parts = [_head(report.content), _warnings(report), *made]
    return [part for part in parts if part is not None]


def _head(content: Mapping[str, Any]) -> Element:
    return element(
        "header",
        element("h1", f"{content['model']['name']} in INT8"),
        *(element("p", line, class_="verdict") for line in content["verdict"].splitlines()),
        element("p", f"Made by quantlab {content['quantlab']}, {content['created']}", class_="quiet"),
    )


def _warnings(report: Report) -> Element | None:
    if not report.warnings:
        return None
    items = [element("li", warning) for warning in report.warnings]
    return element("section", element("h2", "Warnings"), element("ul", *items), class_="warnings")


def _script_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _file(name: str) -> str:
    return (resources.files("quantlab.report.html") / name).read_text("utf-8")
