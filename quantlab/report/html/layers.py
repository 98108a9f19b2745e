"""What each layer of a graph became and costs → a plot of the noise and a table to sort and to search, by target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, number, row, table
from quantlab.report.html.figures import figure
from quantlab.report.tables import error_sentences, nodes_in_words

_NONE = "–"
_HEADS = (
    *("Layer", "Operator", "Runs in", "As", "Scheme", "Integers reach", "Clipped %"),
    *("SQNR dB", "Of the work %", "Float ms", "INT8 ms", "Why float"),
)


def layers(content: Mapping[str, Any]) -> Element:
    """Return the section on the layers, by target."""
    drawn = (content.get("histograms") or {}).get("tensors", {})
    parts = [part for name, target in content["targets"].items() for part in _target(name, target, drawn)]
    return element("section", element("h2", "Layers"), *parts)


def _target(name: str, target: Mapping[str, Any], drawn: Mapping[str, Any]) -> Iterator[Element]:
    yield element("h3", f"Target {name}")
    yield element("p", _summary(target))
    for sentence in error_sentences(target):
        yield element("p", sentence)
    told = target.get("layers")
    if not told:
        yield table(
            ["Node", "Operator", "Planned", "Ran as", "Reason"],
            _nodes(target),
            caption=f"Nodes of target {name}",
            class_="searchable",
        )
        return
    if any(line["sqnr_db"] is not None for line in told["rows"]):
        caption = (
            f"Signal to noise of every layer's output, INT8 against float, on {told['noise_samples']} samples, with "
            "all the noise from the layers before it: look for where it falls."
        )
        yield figure(
            "noise", caption, label=f"Signal to noise by layer for {name}; the table tells the numbers", key=name
        )
    lines = [_layer(name, line, target, drawn) for line in told["rows"]]
    yield table(_HEADS, lines, caption=f"Layers of target {name}", class_="searchable")
    yield element("p", _foot(told), class_="quiet")
    yield from _conversions(name, target)


def _summary(target: Mapping[str, Any]) -> str:
    counts = f"{len(target['tensors'])} tensors quantized, {len(target['skips'])} left float; "
    planned = nodes_in_words(len(target["integer_nodes"]))
    nodes = f"{planned} planned in integers, {len(target['float_nodes'])} left float. "
    audit = target["audit"]
    if audit is None:
        return f"{counts}{nodes}What its runtime makes of them was not measured here."
    work = audit.get("multiply_add_share") if audit.get("multiply_adds") else None
    share = "" if work is None else f" and {work:.1%} of all multiply-adds"
    if target.get("build"):  # and nothing of it has run
        done = f"{audit['share']:.0%} of the planned nodes{share} are in INT8 layers"
        return f"{counts}{nodes}In the plan that {audit['engine']} built, {done}."
    return f"{counts}{nodes}{audit['engine']} runs {audit['share']:.0%} of the planned nodes{share} in integers."


def _layer(name: str, line: Mapping[str, Any], target: Mapping[str, Any], drawn: Mapping[str, Any]) -> Element:
    tensor = next((each for each in target["tensors"] if each["tensor"] == line["tensor"]), None)
    shown: Child = line["node"]
    if tensor is not None and tensor["tensor"] in drawn:
        of = {"data_tensor": tensor["tensor"], "data_target": name}
        shown = element("button", line["node"], type="button", class_="draws", **of)
    audited: Mapping[str, Any] = next(
        (each for each in (target["audit"] or {"rows": []})["rows"] if each["node"] == line["node"]), {}
    )
    return row(
        shown,
        line["op_type"],
        _precision(line, audited),
        _as(line, audited),
        element("td", tensor["scheme"] if tensor else _NONE, class_="whole"),
        _reach(tensor),
        _number(tensor and tensor["clipped_share"], "{:.3f}", 100),
        number("no noise") if line["is_identical"] else _number(line["sqnr_db"], "{:.1f}"),
        _work(line, target),
        _number(line["float_ms"], "{:.4f}"),
        _number(line["int8_ms"], "{:.4f}"),
        line["reason"],
    )


def _number(value: float | None, form: str, factor: float = 1.0) -> Element:
    return number(_NONE) if value is None else number(form.format(factor * value), value)


def _reach(tensor: Mapping[str, Any] | None) -> Element:
    if tensor is None or tensor["low"] is None or tensor["high"] is None:
        return number(_NONE)
    return number(f"{tensor['low']:.4g} to {tensor['high']:.4g}", max(-tensor["low"], tensor["high"]))


def _as(line: Mapping[str, Any], audited: Mapping[str, Any]) -> str:
    fused = " ".join(audited.get("fused_with", ()))
    return f"{line['ran_as'] or _NONE}{f' with {fused}' if fused else ''}"


def _work(line: Mapping[str, Any], target: Mapping[str, Any]) -> Element:
    """Return a layer's share of the multiply-adds of the model."""
    total = (target["audit"] or {}).get("multiply_adds")
    return _number(line["multiply_adds"] / total if total and line["multiply_adds"] else None, "{:.1f}", 100)


def _conversions(name: str, target: Mapping[str, Any]) -> Iterator[Element]:
    """Yield the kernels that only convert, or requantize what no product took in."""
    found = (target["audit"] or {}).get("conversions") or []
    lines = [row(item["kind"], item["kernel"], " ".join(item["nodes"])) for item in found]
    if lines:
        heads = ["Kind", "Kernel", "Computes"]
        yield table(heads, lines, caption=f"Kernels of target {name} that convert", class_="searchable")


def _precision(line: Mapping[str, Any], audited: Mapping[str, Any]) -> Child:
    planned, ran = line["planned"], line["is_integer"]
    if planned is None:
        return _NONE
    if ran is None:
        return "int8 (planned)" if planned == "integer" else "float"
    word = audited.get("precision") or ("int8" if ran else "float")
    if ran == (planned == "integer"):
        return word
    return element("td", element("strong", f"{word}, not as planned"), class_="bad")


def _foot(told: Mapping[str, Any]) -> str:
    parts = ["A range is that of the activation a layer writes, else reads."]
    times = told["times"]
    if times is None:
        parts.append(f"Times: {told['times_reason']}")
    else:
        parts.append(
            f"Times are of ONNX Runtime's profiler, medians of {times['runs']} runs at batch {times['batch_size']}; a "
            "fused layer's is with the one its kernel is named after."
        )
        parts.append(
            f"In all {times['float_ms']:.3g} ms float and {times['int8_ms']:.3g} ms INT8, of these "
            f"{times['converting_ms']:.3g} ms only convert; profiling takes time itself, so latencies are lower."
        )
    parts += [f"Noise: {told['noise_reason']}"] if told["noise_reason"] else []
    return " ".join(parts)


def _nodes(target: Mapping[str, Any]) -> Iterator[Element]:
    """Yield what a report from before layers were measured tells of the nodes."""
    reasons = {item["node"]: item["reason"] for item in target["float_nodes"]}
    audited = {item["node"]: item for item in (target["audit"] or {"rows": []})["rows"]}
    for item in audited.values():
        reason = item["reason"] or reasons.get(item["node"], "")
        yield row(item["node"], item["op_type"], item["planned"], item["ran_as"], reason)
    for node, planned in [
        *((node, "integer") for node in target["integer_nodes"]),
        *((node, "float") for node in reasons),
    ]:
        if node not in audited:
            yield row(node, _NONE, planned, _NONE, reasons.get(node, ""))
