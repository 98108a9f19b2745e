"""A report → what a person reads in the terminal: at most 100 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from quantlab.evaluation import Evaluation, verdict
from quantlab.evaluation.layers import LayerDiff
from quantlab.report.report import Report

WIDTH = 100


def render(report: Report, *, folder: Path | None = None) -> RenderableType:
    """Return what rich prints of a report.

    Args:
        report: the report.
        folder: where the run's files are, or None if nothing was written.
    """
    content = report.content
    parts: list[RenderableType] = [Text(content["verdict"], style="bold"), Text()]
    parts += [answers_table(content["evaluation"]), Text(), costs_table(content["evaluation"]), Text()]
    parts += [Text(f"{name}: {line}") for name, target in content["targets"].items() for line in _target_lines(target)]
    parts += [Text(note) for note in content["notes"][:1]]
    parts += [Text(_machine(content["evaluation"]["environment"]))]
    parts += [Text(f"{row['name']}: latency {row['latency_reason']}") for row in report.rows if row["latency_reason"]]
    parts += [Text(f"note: {note}") for note in content["evaluation"]["notes"]]
    parts += [Text(f"WARNING: {warning}", style="bold red") for warning in report.warnings]
    if folder is not None:
        parts += [Text(), Text(f"Files: {folder}/"), Text(f"Report: {folder / 'report.json'}")]
    return Group(*parts)


def render_evaluation(evaluation: Evaluation) -> RenderableType:
    """Return what rich prints of models side by side."""
    content = evaluation.to_json()
    parts: list[RenderableType] = [Text(verdict(evaluation), style="bold"), Text()]
    parts += [answers_table(content), Text(), costs_table(content), Text()]
    parts += [Text(f"{evaluation.data}: {evaluation.samples} samples, {evaluation.labelled} labelled")]
    parts += [Text(_machine(content["environment"]))]
    parts += [Text(f"note: {note}") for note in evaluation.notes]
    return Group(*parts)


def to_text(report: Report, *, folder: Path | None = None) -> str:
    """Return a report as plain text, as a terminal of 100 columns without colour would show it."""
    console = Console(width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(report, folder=folder))
    return capture.get()


def answers_table(evaluation: Mapping[str, Any]) -> Table:
    """Return what the models of an evaluation answer, side by side."""
    rows: Sequence[Mapping[str, Any]] = evaluation["rows"]
    columns = ["model", "agrees", "SQNR"]
    has_labels = any(row["accuracies"] for row in rows)
    if has_labels:
        columns[1:1] = ["accuracy", "95 % interval", "drop (points)", "95 % interval"]
    table = _table(columns)
    for row in rows:
        accuracies = row["accuracies"] or [None]
        answers = [_share(row["agreement"]), _decibels(row["sqnr"])]
        table.add_row(_name(row), *(_labelled(accuracies[0], row["drop"]) if has_labels else []), *answers)
        for accuracy in accuracies[1:]:
            table.add_row("", *_labelled(accuracy, None), "", "")
    return table


def costs_table(evaluation: Mapping[str, Any]) -> Table:
    """Return what the models of an evaluation cost, side by side: latency by batch size, file size, memory."""
    columns = ["model", "batch", "median ms", "p90 ms", "p99 ms", "images/s", "faster", "95 % interval", "file MB"]
    table = _table(columns)
    for row in evaluation["rows"]:
        file_size = f"{row['size']['file_bytes'] / 1e6:.2f}"
        if not row["latencies"]:
            table.add_row(_name(row), *["-"] * 7, file_size)
        for index, timed in enumerate(row["latencies"]):
            gain = row["speedups"][index] if row["speedups"] else None
            times = [f"{timed[name]:.3f}" for name in ("median_ms", "p90_ms", "p99_ms")]
            faster = ["-", "-"] if gain is None else [f"{gain['ratio']:.2f}x", _interval(gain["interval"], digits=2)]
            speed = f"{timed['images_per_second']:.0f}"
            is_first = index == 0
            label, size = (_name(row), file_size) if is_first else ("", "")
            table.add_row(label, str(timed["batch_size"]), *times, speed, *faster, size)
    return table


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    return table


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['name']} (simulated)" if row["is_simulated"] else str(row["name"])


def _labelled(accuracy: Mapping[str, Any] | None, drop: Mapping[str, Any] | None) -> list[str]:
    cells = ["-", "-", "-", "-"]
    if accuracy is not None:
        prefix = f"top-{accuracy['top_k']} " if accuracy["top_k"] > 1 else ""
        cells[:2] = [f"{prefix}{accuracy['share']:.2%}", _interval(accuracy["interval"], 100)]
    if drop is not None:
        cells[2:] = [f"{drop['points']:+.2f}", _interval(drop["interval"], digits=2)]
    return cells


def _share(agreement: Mapping[str, Any] | None) -> str:
    return "-" if agreement is None else f"{agreement['share']:.2%}"


def _decibels(sqnr: Mapping[str, Any] | None) -> str:
    if sqnr is None:
        return "-"
    return "identical" if sqnr["identical"] else f"{sqnr['sqnr_db']:.1f} dB" if sqnr["sqnr_db"] is not None else "none"


def _interval(bounds: Sequence[float], factor: float = 1.0, *, digits: int = 1) -> str:
    return f"{factor * bounds[0]:.{digits}f}..{factor * bounds[1]:.{digits}f}"


def _target_lines(target: Mapping[str, Any]) -> list[str]:
    planned, kept = len(target["integer_nodes"]), len(target["float_nodes"])
    lines = [f"{planned} nodes planned in integers, {kept} kept float, {len(target['tensors'])} tensors quantized"]
    audit = target["audit"]
    if audit is None:
        return [f"{lines[0]}; what its runtime makes of them was not measured here"]
    lines[0] += f"; {audit['share']:.0%} of them run in integers on {audit['engine']}"
    wrong = [row for row in audit["rows"] if row["is_integer"] != (row["planned"] == "integer")]
    return lines + [f"  not as planned: {row['node']} ({row['op_type']}): {row['reason']}" for row in wrong]


def _machine(environment: Mapping[str, Any]) -> str:
    instructions = ", ".join(environment["instructions"] or []) or "no INT8 instructions"
    packages = environment["packages"]
    return (
        f"On {environment['cpu']} ({environment['usable_cores']} threads, {instructions}), "
        f"onnxruntime {packages.get('onnxruntime', '?')}, median of interleaved runs"
    )


def render_layers(difference: LayerDiff, *, top: int) -> RenderableType:
    """Return what rich prints of two models layer by layer: the worst `top` tensors."""
    table = _table(["tensor", "node", "SQNR", "largest error", "of largest value"])
    table.columns[0].justify = table.columns[1].justify = "left"
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    for layer in difference.layers[:top]:
        sqnr = _decibels(layer.sqnr.to_json())
        table.add_row(layer.tensor, layer.node, sqnr, f"{layer.largest_error:.4g}", f"{layer.largest_value:.4g}")
    left_out = len(difference.layers) - top
    foot = f"{left_out} better tensors are not shown; --top {len(difference.layers)} shows all" if left_out > 0 else ""
    head = f"{difference.second} against {difference.first}, {difference.samples} samples, worst first"
    return Group(Text(head, style="bold"), table, Text(foot))
