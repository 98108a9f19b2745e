"""What each node costs when it alone is quantized → by target, what to make of it, bars, and the tables behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element, number, row, table
from quantlab.report.html.figures import figure
from quantlab.report.sensitivity import keep_float_options, noise_shares
from quantlab.report.tables import decibels


def sensitivity(content: Mapping[str, Any]) -> Element | None:
    """Return the section on the sensitivity of nodes, by target; None where it was not measured."""
    told = {name: target["sensitivity"] for name, target in content["targets"].items() if "sensitivity" in target}
    parts = [part for name, section in told.items() for part in _target(name, section)]
    return element("section", element("h2", "Sensitivity"), *parts) if parts else None


def _target(name: str, section: Mapping[str, Any]) -> Iterator[Element]:
    yield element("h3", f"Target {name}")
    yield element("p", section["summary"])
    if section["suggested"]:
        yield element("p", "Add to the command:")
        added = element("code", keep_float_options(section["suggested"]))
        yield element("pre", added, tabindex="0", role="region", aria_label=f"Options for {name}")
    if not section["nodes"]:
        return
    shares = noise_shares(section)
    if any(shares):
        caption = (
            "The share of each node, quantized alone, in the sum of their noise at the output; at most the twenty "
            "costliest. Noise adds up roughly: nodes that share a tensor may each show what it costs."
        )
        label = f"Share of each node in the noise for {name}; the table tells the numbers"
        yield figure("sensitivity", caption, label=label, key=name)
    lines = [
        row(node["node"], node["operator"], _decibels(node["sqnr"]), _share(share))
        for node, share in zip(section["nodes"], shares, strict=True)
    ]
    said = f"Nodes of target {name}, each quantized alone, on {section['samples']} calibration samples"
    yield table(["Node", "Operator", "SQNR dB", "Noise %"], lines, caption=said, class_="searchable")
    if section["kept_float"]:
        yield _kept_float(name, section)


def _kept_float(name: str, section: Mapping[str, Any]) -> Element:
    """Return what keeping the costliest nodes float leaves, the whole plan first."""
    lines = [row("none", number(str(len(section["nodes"]))), _decibels(section["all_nodes"]))]
    lines += [
        row(", ".join(each["nodes"]), number(str(each["integer_nodes"])), _decibels(each["sqnr"]))
        for each in section["kept_float"]
    ]
    heads = ["Kept float", "Left in integers", "SQNR dB"]
    return table(heads, lines, caption=f"Noise for {name} with the costliest nodes kept float")


def _decibels(sqnr: Mapping[str, Any]) -> Element:
    value = sqnr["sqnr_db"]
    return number(decibels(sqnr)) if value is None else number(f"{value:.1f}", value)


def _share(share: float | None) -> Element:
    return number("–") if share is None else number(f"{100 * share:.2f}", share)
