"""A report → the head of its page: the verdict first, then the figures that decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element
from quantlab.report.tables import decibels

# More models than this are compared in the tables, not in the head.
_MOST_MODELS = 3


def head(content: Mapping[str, Any]) -> Element:
    """Return the head of the page."""
    reference, *others = content["evaluation"]["rows"]
    return element(
        "header",
        element("p", f"quantlab {content['quantlab']} · {_moment(content['created'])}", class_="quiet"),
        element("h1", f"{content['model']['name']} in INT8"),
        *(element("p", line, class_="verdict") for line in content["verdict"].splitlines()),
        *(_strip(reference, model, content["targets"]) for model in others[:_MOST_MODELS]),
    )


def _moment(created: str) -> str:
    """Return when a report was made, to the minute: `2026-01-31 12:00 UTC`."""
    return f"{created[:16].replace('T', ' ')} UTC" if created.endswith("+00:00") else created


def warnings(content: Mapping[str, Any]) -> Element | None:
    """Return what a user must see, or None."""
    if not content["warnings"]:
        return None
    items = [element("li", warning) for warning in content["warnings"]]
    return element("section", element("h2", "Warnings"), element("ul", *items), class_="warnings")


def _strip(reference: Mapping[str, Any], model: Mapping[str, Any], targets: Mapping[str, Any]) -> Element:
    name = f"{model['name']} (simulated)" if model["is_simulated"] else str(model["name"])
    figures = [_figure(*each) for each in _figures(reference, model, targets.get(str(model["name"]).split()[0]))]
    return element("div", element("p", name, class_="strip-name"), element("dl", *figures), class_="strip")


def _figure(name: str, value: str, more: str) -> Element:
    said = element("dd", element("span", value, class_="value"), element("span", more, class_="quiet"))
    return element("div", element("dt", name), said)


def _figures(
    reference: Mapping[str, Any], model: Mapping[str, Any], target: Mapping[str, Any] | None
) -> Iterator[tuple[str, str, str]]:
    if model["accuracies"] and reference["accuracies"]:
        yield "Accuracy", f"{model['accuracies'][0]['share']:.2%}", f"float {reference['accuracies'][0]['share']:.2%}"
    elif model["agreement"]:
        yield "Agrees with float", f"{model['agreement']['share']:.2%}", f"of {model['agreement']['total']} answers"
    if model["sqnr"]:
        yield "Signal to noise", decibels(model["sqnr"]), "of the output"
    if model["speedups"]:
        gain, timed = model["speedups"][0], model["latencies"][0]
        yield "Speed", f"{gain['ratio']:.2f}×", f"{timed['median_ms']:.3g} ms at batch {timed['batch_size']}"
    sizes = [row["size"]["file_bytes"] / 1e6 for row in (model, reference)]
    yield "Size", f"{sizes[0]:.2f} MB", f"float {sizes[1]:.2f} MB"
    if model["memory"] and reference["memory"]:
        peaks = [row["memory"]["peak_bytes"] / 1e6 for row in (model, reference)]
        yield "Peak memory", f"{peaks[0]:.1f} MB", f"float {peaks[1]:.1f} MB"
    if target is not None and target["audit"] is not None:
        yield "In integers", f"{target['audit']['share']:.0%}", f"of {len(target['integer_nodes'])} nodes planned"
