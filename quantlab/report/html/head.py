"""A report → the head of its page: the verdict first, then the figures that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.evaluation.evaluation import HALF_ENGINE
from quantlab.markup import element
from quantlab.report.tables import decibels, nodes_in_words

# More models than this are compared in the tables, not in the head.
_MOST_MODELS = 3

Row = Mapping[str, Any]
"""Of an evaluation; see `schema.json`."""


def head(content: Mapping[str, Any]) -> Element:
    """Return the head of the page."""
    reference, *others = content["evaluation"]["rows"]
    half = next((row for row in others if row["engine"].get("engine") == HALF_ENGINE), None)
    shown = [row for row in others if row is not half][:_MOST_MODELS]
    return element(
        "header",
        element("p", f"quantlab {content['quantlab']} · {_moment(content['created'])}", class_="quiet"),
        element("h1", f"{content['model']['name']} in INT8"),
        *(element("p", line, class_="verdict") for line in content["verdict"].splitlines()),
        *(_strip(model, (reference, half if model["is_simulated"] else None), content["targets"]) for model in shown),
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


def _strip(model: Row, beside: tuple[Row, Row | None], targets: Mapping[str, Any]) -> Element:
    """Return a model's figures, with those of the float model beside them and, where it has a row, of its half."""
    name = f"{model['name']} (simulated)" if model["is_simulated"] else str(model["name"])
    figures = [_figure(*each) for each in _figures(model, beside, targets.get(str(model["name"]).split()[0]))]
    return element("div", element("p", name, class_="strip-name"), element("dl", *figures), class_="strip")


def _figure(name: str, value: str, more: str) -> Element:
    said = element("dd", element("span", value, class_="value"), element("span", more, class_="quiet"))
    return element("div", element("dt", name), said)


def _figures(
    model: Row, beside: tuple[Row, Row | None], target: Mapping[str, Any] | None
) -> Iterator[tuple[str, str, str]]:
    reference, half = beside
    if model["accuracies"] and reference["accuracies"]:
        yield "Accuracy", _share(model), f"float {_share(reference)}{_in_half(half, _share)}"
    elif model["agreement"]:
        total = model["agreement"]["total"]
        yield "Agrees with float", _agreeing(model), f"of {total} answers{_in_half(half, _agreeing)}"
    if model["sqnr"]:
        noise = _in_half(half, lambda row: decibels(row["sqnr"]))
        yield "Signal to noise", decibels(model["sqnr"]), f"of the output{noise}"
    if model["speedups"]:
        gain, timed = model["speedups"][0], model["latencies"][0]
        yield "Speed", f"{gain['ratio']:.2f}×", f"{timed['median_ms']:.3g} ms at batch {timed['batch_size']}"
    yield "Size", _size(model), f"float {_size(reference)}{_in_half(half, _size)}"
    if model["memory"] and reference["memory"]:
        peaks = [row["memory"]["peak_bytes"] / 1e6 for row in (model, reference)]
        yield "Peak memory", f"{peaks[0]:.1f} MB", f"float {peaks[1]:.1f} MB"
    if target is not None and target["audit"] is not None:
        yield (
            "In integers",
            f"{target['audit']['share']:.0%}",
            f"of {nodes_in_words(len(target['integer_nodes']))} planned",
        )


def _in_half(half: Row | None, told: Callable[[Row], str]) -> str:
    return "" if half is None else f", {half['name']} {told(half)}"


def _share(row: Row) -> str:
    return f"{row['accuracies'][0]['share']:.2%}"


def _agreeing(row: Row) -> str:
    return f"{row['agreement']['share']:.2%}"


def _size(row: Row) -> str:
    return f"{row['size']['file_bytes'] / 1e6:.2f} MB"
