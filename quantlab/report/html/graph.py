"""What a target does with a graph → tables of its tensors and its nodes, to sort and to search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.report.html.markup import Child, element, number, row, table
from quantlab.report.tables import error_sentences

_NONE = "–"


def targets(content: Mapping[str, Any]) -> Element:
    """Return a section for each target."""
    drawn = (content.get("histograms") or {}).get("tensors", {})
    return element("div", *(_target(name, target, drawn) for name, target in content["targets"].items()))


def _target(name: str, target: Mapping[str, Any], drawn: Mapping[str, Any]) -> Element:
    """Return the section on one target; tensors that were drawn have a histogram to show."""
    return element(
        "section",
        element("h2", f"Target {name}"),
        element("p", _summary(target)),
        *(element("p", sentence) for sentence in error_sentences(target)),
        element("h3", "Tensors"),
        _tensor_table(name, target, drawn),
        element("h3", "Nodes"),
        _node_table(name, target),
        _conversions(name, target),
    )


def _summary(target: Mapping[str, Any]) -> str:
    counts = f"{len(target['tensors'])} tensors quantized, {len(target['skips'])} left float; "
    nodes = f"{len(target['integer_nodes'])} nodes planned in integers, {len(target['float_nodes'])} left float. "
    audit = target["audit"]
    if audit is None:
        return f"{counts}{nodes}What its runtime makes of them was not measured here."
    work = audit.get("multiply_add_share") if audit.get("multiply_adds") else None
    share = "" if work is None else f", and {work:.1%} of all multiply-adds"
    return f"{counts}{nodes}{audit['engine']} runs {audit['share']:.0%} of the planned nodes in integers{share}."


def _tensor_table(name: str, target: Mapping[str, Any], drawn: Mapping[str, Any]) -> Element:
    lines = [_tensor(name, tensor, has_histogram=tensor["tensor"] in drawn) for tensor in target["tensors"]]
    lines += [_skip(skip) for skip in target["skips"]]
    heads = [
        *("Tensor", "Precision", "Role", "Integers reach", "Values seen", "Clipped %", "Zeros %"),
        *("Scale", "Zero point", "Origin, or why it is float"),
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
        _percent(tensor["zeros_share"]),
        _scale(tensor["scale"]),
        number(_NONE if zero is None else str(zero), zero),
        tensor["origin"],
    )


def _skip(skip: Mapping[str, Any]) -> Element:
    empty = (number(_NONE) for _ in range(6))
    return row(skip["tensor"], "float", _NONE, *empty, skip["reason"])


def _node_table(name: str, target: Mapping[str, Any]) -> Element:
    heads = ["Node", "Operator", "Planned", "Ran as", "In", "With", "Of the work %", "As planned", "Reason"]
    return table(heads, _nodes(target), caption=f"Nodes of target {name}", class_="searchable")


def _nodes(target: Mapping[str, Any]) -> Iterator[Element]:
    reasons = {item["node"]: item["reason"] for item in target["float_nodes"]}
    audited = set()
    for item in (target["audit"] or {"rows": []})["rows"]:
        audited.add(item["node"])
        kept = item["is_integer"] == (item["planned"] == "integer")
        reason = item["reason"] or reasons.get(item["node"], "")
        said: Child = "yes" if kept else element("td", element("strong", "no"), class_="bad")
        done = (item["ran_as"], item.get("precision", ""), " ".join(item.get("fused_with", ())), _work(item, target))
        yield row(item["node"], item["op_type"], item["planned"], *done, said, reason)
    plans = [(node, "integer") for node in target["integer_nodes"]] + [(node, "float") for node in reasons]
    for node, planned in plans:
        if node not in audited:
            empty = (_NONE, _NONE, _NONE, number(_NONE))
            yield row(node, _NONE, planned, *empty, "not measured", reasons.get(node, ""))


def _work(item: Mapping[str, Any], target: Mapping[str, Any]) -> Element:
    """Return a node's share of the multiply-adds of the model."""
    total = target["audit"].get("multiply_adds")
    return _percent(item["multiply_adds"] / total if total and item.get("multiply_adds") else None)


def _conversions(name: str, target: Mapping[str, Any]) -> Element | None:
    """Return the kernels that only convert, or requantize what no product took in."""
    found = (target["audit"] or {}).get("conversions") or []
    lines = [row(item["kind"], item["kernel"], " ".join(item["nodes"])) for item in found]
    heads = ["Kind", "Kernel", "Computes"]
    return table(heads, lines, caption=f"Kernels of target {name} that convert", class_="searchable") if lines else None


def _bounds(low: float | None, high: float | None) -> Element:
    if low is None or high is None:
        return number(_NONE)
    return number(f"{low:.4g} to {high:.4g}", max(-low, high))


def _percent(share: float | None) -> Element:
    return number(_NONE) if share is None else number(f"{100 * share:.3f}", share)


def _scale(scale: list[float] | None) -> Element:
    return number(_NONE) if not scale else number(" to ".join(f"{end:.4g}" for end in scale), scale[-1])
