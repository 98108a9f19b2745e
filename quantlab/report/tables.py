"""Parts of an evaluation → tables of at most 100 columns; a longer model name is folded, a number never."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from quantlab.evaluation.differences import LayerDiff, LayerDifference
from quantlab.report.narrow import NarrowTable
from quantlab.report.sensitivity import noise_shares

# Of the costliest; the report has them all.
_MOST_NODES = 5

SIMULATED = "* simulated: computed in float, step by step, in place of a runtime that is not here; hence not timed"


def answers_table(evaluation: Mapping[str, Any]) -> Table:
    """Return what the models of an evaluation answer, side by side."""
    rows: Sequence[Mapping[str, Any]] = evaluation["rows"]
    columns = ["model", "agrees", "SQNR"]
    has_labels = any(row["accuracies"] for row in rows)
    if has_labels:
        columns[1:1] = ["accuracy", "95 %\ninterval", "drop in\npoints", "95 %\ninterval"]
    table = plain_table(columns)
    for row in rows:
        accuracies = row["accuracies"] or [None]
        answers = [_share(row["agreement"]), decibels(row["sqnr"])]
        table.add_row(_name(row), *(_labelled(accuracies[0], row["drop"]) if has_labels else []), *answers)
        for accuracy in accuracies[1:]:
            table.add_row("", *_labelled(accuracy, None), "", "")
    return table


def costs_table(evaluation: Mapping[str, Any]) -> Table:
    """Return what the models of an evaluation cost, side by side: latency by batch size, file size, peak memory.

    Where nothing was timed, that is the file size alone.
    """
    if not any(row["latencies"] for row in evaluation["rows"]):
        return _sizes_table(evaluation)
    times = ["batch", "median\nms", "p90\nms", "p99\nms", "images\nper s", "times\nfaster", "95 %\ninterval"]
    table = plain_table(["model", *times, "file\nMB", "peak\nMB"])
    for row in evaluation["rows"]:
        sizes = [f"{row['size']['file_bytes'] / 1e6:.2f}", _peak(row["memory"])]
        if not row["latencies"]:
            table.add_row(_name(row), *["-"] * len(times), *sizes)
        for index, timed in enumerate(row["latencies"]):
            gain = row["speedups"][index] if row["speedups"] else None
            label, rest = (_name(row), sizes) if index == 0 else ("", ["", ""])
            table.add_row(label, *_timed(timed, gain), *rest)
    return table


def error_sentences(target: Mapping[str, Any]) -> list[str]:
    """Return a sentence per output that tells the error of quantization and that of the runtime apart.

    Args:
        target: its section of a report; reports made before layers were looked at give none.
    """
    layers = target.get("layers") or {}
    errors = layers.get("errors") or {"outputs": []}
    samples = layers.get("noise_samples")
    on = f" on {samples} samples" if samples else ""  # few, hence not the SQNR of the evaluation
    return [
        f"Output {each['output']}{on}: quantization error {decibels(each['quantization'])}; runtime error of "
        f"{errors['runtime']} {decibels(each['runtime'])}; together {decibels(each['together'])}."
        for each in errors["outputs"]
    ]


def samples_sentence(samples: Mapping[str, Any]) -> str:
    """Return which samples calibrated and which judged, and what computed the statistics where that is known."""
    computed = " and ".join(samples.get("collected_by", ()))
    return f"{samples['note']} Statistics collected by {computed}." if computed else str(samples["note"])


def gpu_table(evaluation: Mapping[str, Any]) -> Table | None:
    """Return what the GPU's own clock tells of each model and batch size; None where nothing ran on a GPU."""
    rows = [(row, timed) for row in evaluation["rows"] for timed in row.get("gpu_latencies", ())]
    if not rows:
        return None
    times = ["batch", "median\nms", "p90\nms", "p99\nms", "kernels\nalone ms", "their\np90 ms", "images\nper s"]
    table = plain_table(["on the GPU, copies included", *times])
    for row, timed in rows:
        names = ("median_ms", "p90_ms", "p99_ms", "gpu_median_ms", "gpu_p90_ms")
        numbers = (f"{timed[name]:.3f}" for name in names)
        table.add_row(_name(row), str(timed["batch_size"]), *numbers, f"{timed['images_per_second']:.0f}")
    return table


def _sizes_table(evaluation: Mapping[str, Any]) -> Table:
    table = plain_table(["model", "file\nMB"])
    for row in evaluation["rows"]:
        table.add_row(_name(row), f"{row['size']['file_bytes'] / 1e6:.2f}")
    return table


def layers_table(difference: LayerDiff, *, top: int) -> Table:
    """Return two models tensor by tensor: the worst `top` of them."""
    columns = ["tensor", "node", "SQNR", "largest\nerror", "of largest\nvalue"]
    if difference.runtime is not None:
        columns += ["runtime\nSQNR", "largest\nin steps", "numbers\nchanged"]
    table = plain_table(columns, texts=2)
    added = {} if difference.runtime is None else difference.runtime.by_tensor
    for layer in difference.layers[:top]:
        numbers = [f"{value:.4g}" for value in (layer.largest_error, layer.largest_value)]
        ours = [] if difference.runtime is None else _runtime_cells(added.get(layer.tensor))
        table.add_row(layer.tensor, layer.node, decibels(layer.sqnr.to_json()), *numbers, *ours)
    return table


def sensitivity_table(target: str, section: Mapping[str, Any]) -> Table:
    """Return the costliest nodes of a target, each quantized alone; the report has them all."""
    table = plain_table([f"costliest nodes for {target}", "operator", "SQNR", "of the\nnoise"], texts=2)
    rows = zip(section["nodes"], noise_shares(section), strict=True)
    for node, share in itertools.islice(rows, _MOST_NODES):
        table.add_row(node["node"], node["operator"], decibels(node["sqnr"]), "-" if share is None else f"{share:.1%}")
    return table


def _runtime_cells(layer: LayerDifference | None) -> list[str]:
    if layer is None:
        return ["-", "-", "-"]
    steps = "-" if layer.largest_steps is None else f"{layer.largest_steps:.2g}"
    return [decibels(layer.sqnr.to_json()), steps, f"{layer.changed_share:.2%}"]


def ranges_table(target: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the range that every calibrator chose, a row per tensor of a target; there is at least one."""
    calibrators = list(rows[0]["ranges"])
    table = plain_table(["tensor", "seen", *calibrators], title=f"Ranges for {target}")
    for row in rows:
        chosen = [_bounds(*row["ranges"][name]) for name in calibrators]
        table.add_row(row["tensor"], _bounds(row["minimum"], row["maximum"]), *chosen)
    return table


def plain_table(columns: Sequence[str], *, texts: int = 1, title: str | None = None) -> Table:
    """Return an empty table without lines; the first `texts` columns are folded where the width does not do."""
    table = NarrowTable(
        title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0)
    )
    for index, column in enumerate(columns):
        if index < texts:
            table.add_column(column, overflow="fold", vertical="bottom")
        else:
            table.add_column(column, justify="right", no_wrap=True, vertical="bottom")
    return table


def nodes_in_words(count: int) -> str:
    """Return how many nodes: `1 node`, `2 nodes`."""
    return "1 node" if count == 1 else f"{count} nodes"


def decibels(sqnr: Mapping[str, Any] | None) -> str:
    """Return a signal-to-noise ratio as a cell."""
    if sqnr is None:
        return "-"
    return "identical" if sqnr["identical"] else f"{sqnr['sqnr_db']:.1f} dB" if sqnr["sqnr_db"] is not None else "none"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['name']}*" if row["is_simulated"] else str(row["name"])


def _labelled(accuracy: Mapping[str, Any] | None, drop: Mapping[str, Any] | None) -> list[str]:
    cells = ["-", "-", "-", "-"]
    if accuracy is not None:
        prefix = f"top-{accuracy['top_k']} " if accuracy["top_k"] > 1 else ""
        cells[:2] = [f"{prefix}{accuracy['share']:.2%}", _interval(accuracy["interval"], 100)]
    if drop is not None:
        cells[2:] = [f"{drop['points']:+.2f}", _interval(drop["interval"], digits=2)]
    return cells


def _timed(timed: Mapping[str, Any], gain: Mapping[str, Any] | None) -> list[str]:
    times = [f"{timed[name]:.3f}" for name in ("median_ms", "p90_ms", "p99_ms")]
    faster = ["-", "-"] if gain is None else [f"{gain['ratio']:.2f}x", _interval(gain["interval"], digits=2)]
    return [str(timed["batch_size"]), *times, f"{timed['images_per_second']:.0f}", *faster]


def _peak(memory: Mapping[str, Any] | None) -> str:
    return "-" if memory is None else f"{memory['peak_bytes'] / 1e6:.1f}"


def _share(agreement: Mapping[str, Any] | None) -> str:
    return "-" if agreement is None else f"{agreement['share']:.2%}"


def _bounds(low: float, high: float) -> str:
    return f"{low:.3g}..{high:.3g}"


def _interval(bounds: Sequence[float], factor: float = 1.0, *, digits: int = 1) -> str:
    return f"{factor * bounds[0]:.{digits}f}..{factor * bounds[1]:.{digits}f}"
