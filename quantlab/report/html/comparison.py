"""An evaluation → tables of what the models answer and what they cost, with the intervals drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, number, row, table
from quantlab.report.html.data import latencies, tradeoff
from quantlab.report.html.figures import figure
from quantlab.report.html.plots import Axis, interval_plot
from quantlab.report.tables import SIMULATED, decibels

_NONE = "–"


def answers(content: Mapping[str, Any]) -> Element:
    """Return the section on what the models answer."""
    rows: Sequence[Mapping[str, Any]] = content["evaluation"]["rows"]
    heads = ["Model", "Agrees with the reference", "Signal to noise"]
    lines = [row(_name(model), number(_agreement(model)), number(_decibels(model))) for model in rows]
    said = "Answers against those of the float model"
    parts: list[Child] = [_accuracy_table(rows)] if any(model["accuracies"] for model in rows) else []
    return element("section", element("h2", "Accuracy"), *parts, table(heads, lines, caption=said), _foot(rows))


def costs(content: Mapping[str, Any]) -> Element:
    """Return the section on latency, size and memory."""
    rows: Sequence[Mapping[str, Any]] = content["evaluation"]["rows"]
    plots: list[Child] = [
        figure(
            "latency",
            f"Single runs at batch {batch}: the share that took at most so long. The slowest 2 % lie to the right.",
            label=f"Distribution of latencies at batch {batch}; the table tells median, p90 and p99",
            key=batch,
        )
        for batch in latencies(content)
    ]
    if tradeoff(content):
        plots.append(_tradeoff_figure(rows))
    drawn = element("div", *plots, class_="plots") if plots else None
    parts = [_latency_table(rows), drawn, _gpu_table(rows), _size_table(rows)]
    return element("section", element("h2", "Speed, size and memory"), *parts)


def _tradeoff_figure(rows: Sequence[Mapping[str, Any]]) -> Element:
    timed = [model for model in rows if model["latencies"]]
    judged = "Accuracy" if all(model["accuracies"] for model in timed) else "Agreement with the float model"
    missing = [str(model["name"]) for model in rows if not model["latencies"]]
    rest = f" Not timed, hence not shown: {', '.join(missing)}." if missing else ""
    caption = f"{judged} against median latency, with its 95 % interval: up and to the left is better.{rest}"
    return figure("tradeoff", caption, label=f"{judged} against latency; the tables tell the numbers")


def _accuracy_table(rows: Sequence[Mapping[str, Any]]) -> Element:
    shares = Axis.around([accuracy["interval"] for model in rows for accuracy in model["accuracies"]])
    drops = Axis.around([model["drop"]["interval"] for model in rows if model["drop"]], mark=0.0)
    lines = [line for model in rows for line in _accuracies(model, shares, drops)]
    heads = ["Model", "Accuracy", "95 % interval", "Drawn", "Drop in points", "95 % interval", "Drawn"]
    return table(heads, lines, caption="Accuracy on the labelled samples; a positive drop is a loss")


def _accuracies(model: Mapping[str, Any], shares: Axis, drops: Axis) -> Iterator[Element]:
    for index, accuracy in enumerate(model["accuracies"]):
        prefix = f", top {accuracy['top_k']}" if accuracy["top_k"] > 1 else ""
        interval = " to ".join(f"{end:.2%}" for end in accuracy["interval"])
        share = f"{accuracy['share']:.2%}"
        drawn = interval_plot(shares, accuracy["share"], accuracy["interval"], label=f"{share}, {interval}")
        drop = model["drop"] if index == 0 else None
        yield row(f"{_name(model)}{prefix}", number(share), number(interval), drawn, *_drop(drop, drops))


def _drop(drop: Mapping[str, Any] | None, axis: Axis) -> list[Child]:
    if drop is None:
        return [number(_NONE), number(_NONE), ""]
    points, interval = f"{drop['points']:+.2f}", " to ".join(f"{end:+.2f}" for end in drop["interval"])
    drawn = interval_plot(axis, drop["points"], drop["interval"], label=f"{points} points, {interval}")
    return [number(points), number(interval), drawn]


def _latency_table(rows: Sequence[Mapping[str, Any]]) -> Element:
    if not any(model["latencies"] for model in rows):
        reasons = dict.fromkeys(model["latency_reason"] or "not measured" for model in rows)
        return element("p", f"Latency: {'; '.join(reasons)}.")
    axis = Axis.around([gain["interval"] for model in rows for gain in model["speedups"]], mark=1.0)
    times = ["Batch", "Median ms", "p90 ms", "p99 ms", "Images per s"]
    heads = ["Model", *times, "Times faster", "95 % interval", "Drawn"]
    lines = [line for model in rows for line in _latencies(model, axis)]
    return table(heads, lines, caption="Latency; times faster than the float model")


def _latencies(model: Mapping[str, Any], axis: Axis) -> Iterator[Element]:
    if not model["latencies"]:
        reason = model["latency_reason"] or "not measured"
        yield element("tr", element("th", _name(model), scope="row"), element("td", reason, colspan="8"))
    for index, timed in enumerate(model["latencies"]):
        times = [number(f"{timed[name]:.3f}") for name in ("median_ms", "p90_ms", "p99_ms")]
        gain = model["speedups"][index] if index < len(model["speedups"]) else None
        rate = number(f"{timed['images_per_second']:.0f}")
        yield row(_name(model), number(str(timed["batch_size"])), *times, rate, *_gain(gain, axis))


def _gain(gain: Mapping[str, Any] | None, axis: Axis) -> list[Child]:
    if gain is None:
        return [number(_NONE), number(_NONE), ""]
    ratio, interval = f"{gain['ratio']:.2f}×", " to ".join(f"{end:.2f}" for end in gain["interval"])
    drawn = interval_plot(axis, gain["ratio"], gain["interval"], label=f"{ratio} as fast, {interval}")
    return [number(ratio), number(interval), drawn]


def _gpu_table(rows: Sequence[Mapping[str, Any]]) -> Element | None:
    lines = [
        row(
            f"{_name(model)}, {model['engine']['runtime']} {model['engine']['version']}, {model['engine']['gpu']}",
            number(str(timed["batch_size"])),
            *(number(f"{timed[name]:.3f}") for name in ("median_ms", "p90_ms", "p99_ms", "gpu_median_ms")),
            number(f"{timed['images_per_second']:.0f}"),
        )
        for model in rows
        for timed in model.get("gpu_latencies", ())
    ]
    heads = ["Model", "Batch", "Median ms", "p90 ms", "p99 ms", "Kernels alone ms", "Images per s"]
    return table(heads, lines, caption="Latency by the GPU's own clock, copies included") if lines else None


def _size_table(rows: Sequence[Mapping[str, Any]]) -> Element:
    largest = rows[0]["size"]["file_bytes"]
    lines = [
        row(
            _name(model),
            number(f"{model['size']['file_bytes'] / 1e6:.2f}"),
            number(f"{model['size']['file_bytes'] / largest:.0%}" if largest else _NONE),
            number(f"{model['size']['weight_bytes'] / 1e6:.2f}"),
            number(_NONE if model["memory"] is None else f"{model['memory']['peak_bytes'] / 1e6:.1f}"),
        )
        for model in rows
    ]
    heads = ["Model", "File MB", "Of the float file", "Weights MB", "Peak memory MB"]
    return table(heads, lines, caption="Size and memory")


def _agreement(model: Mapping[str, Any]) -> str:
    agreement = model["agreement"]
    if agreement is None:
        return _NONE
    return f"{agreement['share']:.2%} of {agreement['total']} {agreement['unit']}s"


def _decibels(model: Mapping[str, Any]) -> str:
    return _NONE if model["sqnr"] is None else decibels(model["sqnr"])


def _name(model: Mapping[str, Any]) -> str:
    return f"{model['name']}*" if model["is_simulated"] else str(model["name"])


def _foot(rows: Sequence[Mapping[str, Any]]) -> Element | None:
    return element("p", SIMULATED, class_="quiet") if any(model["is_simulated"] for model in rows) else None
