"""A report → the plain values that the scripts of its page draw from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantlab.report.html.histogram import forms
from quantlab.report.sensitivity import noise_shares

# More bars are not read; the table has them all.
_MOST_NODES = 20


def page_data(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the plots of a page need, by plot."""
    measured = {name: target for name, target in content["targets"].items() if "sensitivity" in target}
    return {
        "histograms": content.get("histograms") or {"tensors": {}, "ranges": {}},
        "forms": forms(content),
        "latencies": latencies(content),
        "tradeoff": tradeoff(content),
        "noise": {name: noise(target) for name, target in content["targets"].items()},
        "sensitivity": {name: costliest(target["sensitivity"]) for name, target in measured.items()},
        "resources": content.get("resources"),
    }


def costliest(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the costliest nodes of a target and the share of each in the noise, in percent."""
    shares = zip(section["nodes"], noise_shares(section), strict=True)
    return [{"node": node["node"], "share": 100 * share} for node, share in shares if share][:_MOST_NODES]


def latencies(content: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the single runs of each model by batch size; batch sizes without are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model in content["evaluation"]["rows"]:
        for timed in model["latencies"]:
            if timed.get("runs_ms"):
                told = {"name": model["name"], "runs_ms": timed["runs_ms"]}
                found.setdefault(str(timed["batch_size"]), []).append(told)
    return found


def tradeoff(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return accuracy (or agreement, without labels) in percent and median latency of every timed model."""
    rows = [row for row in content["evaluation"]["rows"] if row["latencies"]]
    has_labels = all(row["accuracies"] for row in rows)
    points = []
    for row in rows:
        judged = row["accuracies"][0] if has_labels else row["agreement"] or {"share": 1.0, "interval": None}
        interval = judged["interval"] and [100 * end for end in judged["interval"]]
        point = {"name": row["name"], "ms": row["latencies"][0]["median_ms"], "share": 100 * judged["share"]}
        points.append({**point, "interval": interval})
    return points if len(points) > 1 else []


def noise(target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the layers of a target whose noise was measured, in order."""
    rows = (target.get("layers") or {"rows": []})["rows"]
    return [{"node": row["node"], "sqnr_db": row["sqnr_db"]} for row in rows if row["sqnr_db"] is not None]
