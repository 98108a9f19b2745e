"""The histogram of one tensor → where the script draws it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.report.html.markup import element

_COLUMNS = ("Low", "High", "Clipped, to a bin")


def histogram(content: Mapping[str, Any]) -> Element | None:
    """Return the window that shows a tensor's histogram; None where the report has no histograms."""
    if not content.get("histograms"):
        return None
    heads = [element("th", name, scope="col", class_="number") for name in _COLUMNS]
    return element(
        "dialog",
        element("form", element("button", "Close"), method="dialog"),
        element("h2", id="histogram-title"),
        element("p", id="histogram-note"),
        element(
            "label", element("input", type="checkbox", id="histogram-log", checked="checked"), " Logarithmic counts"
        ),
        element("div", id="histogram-plot"),
        element(
            "table",
            element("caption", "The range that each calibrator chooses, as the integers reach it"),
            element("thead", element("tr", element("th", "Calibrator", scope="col"), *heads)),
            element("tbody", id="histogram-ranges"),
        ),
        id="histogram",
        aria_labelledby="histogram-title",
    )
