"""Histograms of a report → the explorer: a tensor's values, every calibrator's range, and sliders for any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element

_COLUMNS = ("Low", "High", "Clipped", "Clipping error", "Rounding error", "SQNR")
_SLIDER = {"type": "range", "min": "1", "max": "1000", "step": "1", "value": "1000"}


def explorer(content: Mapping[str, Any]) -> Element | None:
    """Return the section that shows a tensor's histogram; None where the report has no histograms."""
    if not content.get("histograms"):
        return None
    return element(
        "section",
        element("h2", "Ranges of activations"),
        element(
            "p",
            "Move a bound: what lies beyond it is clipped, and the fewer values are clipped the coarser the "
            "steps between them.",
            class_="quiet",
        ),
        _choices(),
        element("p", id="explorer-note", class_="quiet"),
        _place("Histogram of the values seen; the table below tells the ranges"),
        element(
            "div",
            _slider("high", "Upper bound"),
            element("div", _slider("low", "Lower bound"), id="explorer-low-row"),
            class_="sliders",
        ),
        element("dl", id="explorer-said", class_="told"),
        _ranges(),
        element("h3", "What every bound would cost"),
        _place("Rounding and clipping error for every bound; the sliders tell single ones"),
        element(
            "p",
            "Root mean squared error over all values seen, in units of the tensor, with both bounds shrunk "
            "alike; lines are the calibrators' bounds.",
            class_="quiet",
        ),
        id="explorer",
        hidden="hidden",
    )


def forms(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the scheme of every quantized activation by target and tensor; empty for older reports."""
    return {
        name: {
            tensor["tensor"]: {
                "integers": tensor["integers"],
                "symmetric": tensor["symmetric"],
                "scheme": tensor["scheme"],
            }
            for tensor in target["tensors"]
            if tensor["role"] == "activation" and "integers" in tensor
        }
        for name, target in content["targets"].items()
    }


def _choices() -> Element:
    return element(
        "div",
        element("label", "Target ", element("select", id="explorer-target")),
        element("label", "Tensor ", element("select", id="explorer-tensor")),
        element(
            "label", element("input", type="checkbox", id="explorer-log", checked="checked"), " Logarithmic counts"
        ),
        element("button", "Back to the table", type="button", id="explorer-back", hidden="hidden"),
        class_="choices",
    )


def _place(label: str) -> Element:
    return element("div", class_="place", role="img", aria_label=label)


def _slider(end: str, name: str) -> Element:
    slider = element("input", id=f"explorer-{end}", **_SLIDER)
    return element("label", element("span", name), slider, element("output", id=f"explorer-{end}-said"))


def _ranges() -> Element:
    heads = [element("th", name, scope="col", class_="number") for name in _COLUMNS]
    ranges = element(
        "table",
        element(
            "caption", "The range that each calibrator chooses, as the integers reach it; errors are root mean squares"
        ),
        element("thead", element("tr", element("th", "Calibrator", scope="col"), *heads)),
        element("tbody", id="explorer-ranges"),
        class_="small",
    )
    return element("div", ranges, class_="scrolls", tabindex="0", role="region", aria_label="Ranges of the calibrators")
