"""How a target encodes each tensor of a graph → a table to sort and to search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element, number, row, table

_NONE = "–"


def tensors(content: Mapping[str, Any]) -> Element:
    """Return the section on every tensor, quantized or float, by target."""
    drawn = (content.get("histograms") or {}).get("tensors", {})
    tables = [_tensor_table(name, target, drawn) for name, target in content["targets"].items()]
    return element("section", element("h2", "Tensors"), *tables)


def _tensor_table(name: str, target: Mapping[str, Any], drawn: Mapping[str, Any]) -> Element:
    lines = [_tensor(name, tensor, has_histogram=tensor["tensor"] in drawn) for tensor in target["tensors"]]
    lines += [_skip(skip) for skip in target["skips"]]
    heads = [
        *("Tensor", "Precision", "Role", "Integers reach", "Values seen", "Clipped %", "Zeros %"),
        *("SQNR dB", "Scale", "Zero point", "Origin, or why it is float"),
    ]
    return table(heads, lines, caption=f"Tensors of target {name}", class_="searchable")


def _tensor(target: str, tensor: Mapping[str, Any], *, has_histogram: bool) -> Element:
    name = str(tensor["tensor"])
    shown = element("button", name, type="button", class_="draws", data_tensor=name, data_target=target)
    zero = tensor["zero_point"]
    return row(
        shown if has_histogram else name,
        tensor["scheme"],
        tensor["role"],
        _bounds(tensor["low"], tensor["high"]),
        _bounds(tensor["minimum"], tensor["maximum"]),
        _percent(tensor["clipped_share"]),
        _percent(tensor["zeros_share"], digits=1),
        _decibels(tensor.get("sqnr_db")),
        _scale(tensor["scale"]),
        number(_NONE if zero is None else str(zero), zero),
        tensor["origin"],
    )


def _skip(skip: Mapping[str, Any]) -> Element:
    empty = (number(_NONE) for _ in range(7))
    return row(skip["tensor"], "float", _NONE, *empty, skip["reason"])


def _bounds(low: float | None, high: float | None) -> Element:
    if low is None or high is None:
        return number(_NONE)
    return number(f"{low:.4g} to {high:.4g}", max(-low, high))


def _decibels(value: float | None) -> Element:
    return number(_NONE) if value is None else number(f"{value:.1f}", value)


def _percent(share: float | None, digits: int = 3) -> Element:
    return number(_NONE) if share is None else number(f"{100 * share:.{digits}f}", share)


def _scale(scale: list[float] | None) -> Element:
    return number(_NONE) if not scale else number(" to ".join(f"{end:.4g}" for end in scale), scale[-1])
