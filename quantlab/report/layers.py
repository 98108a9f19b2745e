"""A plan, its audit and what was measured → one row per node of the graph, for `report.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantlab.audit import Audit, AuditRow
from quantlab.audit.node_times import NodeTimes
from quantlab.evaluation.differences import LayerDiff, LayerDifference
from quantlab.graph.model import Model
from quantlab.layerwise import Layerwise
from quantlab.plan import Plan, Point


def layers_section(model: Model, plan: Plan, audit: Audit | None, seen: Layerwise) -> dict[str, Any]:
    """Return a target's layers and how they were measured, as plain values.

    Args:
        model: the prepared float model, whose nodes are the layers.
        plan: what is quantized, and why the rest is not.
        audit: what the runtime made of it, or None.
        seen: what was measured layer by layer.
    """
    noise = {layer.tensor: layer for layer in seen.noise.layers} if seen.noise else {}
    timed = seen.int8_times
    return {
        "rows": _rows(model, plan, audit, seen, noise),
        "noise_samples": seen.noise.samples if seen.noise else None,
        "noise_reason": seen.noise_reason,
        "errors": None if seen.noise is None else _errors(seen.noise),
        "times": None
        if timed is None or seen.float_times is None
        else {
            "batch_size": timed.batch_size,
            "runs": timed.runs,
            "float_ms": _milliseconds(seen.float_times.total_ms),
            "int8_ms": _milliseconds(timed.total_ms),
            "converting_ms": _milliseconds(timed.converting_ms),
        },
        "times_reason": seen.times_reason,
    }


def _errors(noise: LayerDiff) -> dict[str, Any]:
    """Return the error of quantization, that of the runtime and both together at each output of the float model."""
    runtime = noise.runtime
    quantization = {layer.tensor: layer for layer in noise.layers}
    added = {} if runtime is None else {layer.tensor: layer for layer in runtime.outputs}
    total = {} if runtime is None else {layer.tensor: layer for layer in runtime.total}
    names = [name for name in (total or quantization) if name in quantization and (not total or name in added)]
    return {
        "runtime": None if runtime is None else runtime.runtime,
        "runtime_reason": noise.runtime_reason or None,
        "outputs": [
            {
                "output": name,
                "quantization": quantization[name].sqnr.to_json(),
                "runtime": added[name].sqnr.to_json(),
                "together": total[name].sqnr.to_json(),
            }
            for name in (names if runtime is not None else ())
        ],
    }


def _rows(
    model: Model, plan: Plan, audit: Audit | None, seen: Layerwise, noise: Mapping[str, LayerDifference]
) -> list[dict[str, Any]]:
    integer, reasons = set(plan.integer_nodes), dict(plan.float_nodes)
    audited = {row.node: row for row in audit.rows} if audit else {}
    points = plan.by_tensor
    rows = []
    for node in model.graph:
        name = node.name or ""
        outputs = [value.name for value in node.outputs if value.name]
        inputs = [value.name for value in node.inputs if value is not None and value.name]
        found = audited.get(name)
        own = next((noise[output] for output in outputs if output in noise), None)
        rows.append(
            {
                "node": name,
                "op_type": node.op_type,
                "planned": "integer" if name in integer else "float" if name in reasons else None,
                "ran_as": found.ran_as if found else None,
                "is_integer": found.is_integer if found else None,
                "reason": _reason(found, reasons.get(name, "")),
                "multiply_adds": found.multiply_adds if found else None,
                "tensor": next((output for output in outputs if output in points), None)
                or next((each for each in inputs if _is_activation(points.get(each))), None),
                "sqnr_db": _decibels(own),
                "is_identical": own.sqnr.is_identical if own else None,
                "float_ms": _time(seen.float_times, name),
                "int8_ms": _time(seen.int8_times, name),
            }
        )
    return rows


def _reason(found: AuditRow | None, planned: str) -> str:
    return found.reason or planned if found else planned


def _is_activation(point: Point | None) -> bool:
    return point is not None and point.role == "activation"


def _decibels(layer: LayerDifference | None) -> float | None:
    if layer is None:
        return None
    told: float | None = layer.sqnr.to_json()["sqnr_db"]
    return None if told is None else round(told, 2)


def _time(times: NodeTimes | None, node: str) -> float | None:
    value = None if times is None else times.by_node.get(node)
    return None if value is None else _milliseconds(value)


def _milliseconds(value: float) -> float:
    return float(f"{value:.4g}")
