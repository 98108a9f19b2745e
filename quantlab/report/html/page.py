"""A report → its page, a section after the other.

Without scripts the page is complete but for sorting, searching and plots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element
from quantlab.report.html.built import builds
from quantlab.report.html.comparison import answers, costs
from quantlab.report.html.data import page_data
from quantlab.report.html.flips import flips
from quantlab.report.html.head import head, warnings
from quantlab.report.html.histogram import explorer
from quantlab.report.html.layers import layers
from quantlab.report.html.provenance import provenance
from quantlab.report.html.resources import resources
from quantlab.report.html.sensitivity import sensitivity
from quantlab.report.html.shell import page_of
from quantlab.report.html.tensors import tensors
from quantlab.report.html.training import training
from quantlab.report.report import Report

Section = Callable[[Mapping[str, Any]], Element | None]
"""Makes one section of the page from a report's content; None where the report has nothing for it."""

# In the order of the page.
_SECTIONS: tuple[Section, ...] = (
    answers,
    costs,
    training,
    layers,
    sensitivity,
    builds,
    explorer,
    tensors,
    flips,
    resources,
    provenance,
)


def to_html(report: Report) -> str:
    """Return a report as one self-contained page of HTML."""
    content = report.content
    made = [part for section in _SECTIONS if (part := section(content)) is not None]
    top = [part for part in (head(content), warnings(content)) if part is not None]
    has_histograms = bool(content.get("histograms"))
    return page_of(
        f"quantlab: {content['model']['name']}",
        [*top, _contents(made), *made],
        data=page_data(content),
        scripts=("uplot.iife.min.js", "plots.js", *(("histogram.js",) if has_histograms else ())),
        styles=("uplot.min.css",),
    )


def _contents(sections: list[Element]) -> Element:
    """Return links to the sections, which get names to link to."""
    links = []
    for place, section in enumerate(sections):
        title = section.find(".//h2")
        if title is not None:
            name = section.get("id") or f"section-{place}"
            section.set("id", name)
            links.append(element("li", element("a", title.text or "", href=f"#{name}")))
    return element("nav", element("ul", *links), class_="contents", aria_label="Sections")
