"""A report → its page, a section after the other.

Without scripts the page is complete but for sorting, searching and histograms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.report.html.comparison import answers, costs
from quantlab.report.html.graph import targets
from quantlab.report.html.histogram import histogram
from quantlab.report.html.markup import element
from quantlab.report.html.provenance import provenance
from quantlab.report.html.shell import page_of
from quantlab.report.report import Report

Section = Callable[[Mapping[str, Any]], Element | None]
"""Makes one section of the page from a report's content; None where the report has nothing for it."""

# In the order of the page.
_SECTIONS: tuple[Section, ...] = (
    answers,
    costs,
    targets,
    provenance,
    histogram,
)


def to_html(report: Report) -> str:
    """Return a report as one self-contained page of HTML."""
    content = report.content
    histograms = content.get("histograms")
    return page_of(
        f"quantlab: {content['model']['name']}",
        _parts(report),
        data={"histograms": histograms} if histograms else {},
        scripts=("histogram.js",) if histograms else (),
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
