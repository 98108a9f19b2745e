"""A diagnosis → the section `sensitivity` of a target: what each node costs, and what to write to keep some float."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quantlab.diagnosis import Diagnosis
from quantlab.evaluation.evaluation import Row


def sensitivity_section(found: Diagnosis, row: Row) -> dict[str, Any]:
    """Return the section as plain values.

    Args:
        found: what was measured.
        row: of the INT8 model in the evaluation, with every planned node in integers.
    """
    seen = found.sensitivity
    return {
        "output": None if seen is None else seen.output,
        "samples": None if seen is None else seen.samples,
        "nodes": [
            {"node": each.node, "operator": each.operator, "sqnr": each.sqnr.to_json()}
            for each in (() if seen is None else seen.nodes)
        ],
        "all_nodes": None if seen is None else seen.all_nodes.to_json(),
        "kept_float": [
            {"nodes": list(each.nodes), "integer_nodes": each.integer_nodes, "sqnr": each.sqnr.to_json()}
            for each in found.tried
        ],
        "suggested": None if found.suggested is None else list(found.suggested.nodes),
        "row": None if found.row is None else {**found.row.to_json(), "correct": None},
        "reason": found.reason,
        "summary": " ".join(_summary(found, row)),
    }


def keep_float_options(nodes: Sequence[str]) -> str:
    """Return what to add to a command to keep nodes float."""
    return " ".join(f"--keep-float {shlex.quote(node)}" for node in nodes)


def noise_shares(section: Mapping[str, Any]) -> list[float | None]:
    """Return what share each node has of the sum of all nodes' noise, in the order of the section.

    None where a node's noise is not finite.
    """
    noises = [node["sqnr"]["noise"] for node in section["nodes"]]
    total = sum(noise for noise in noises if noise is not None)
    return [None if noise is None else noise / total if total else 0.0 for noise in noises]


def _summary(found: Diagnosis, row: Row) -> Iterator[str]:
    """Yield sentences: whether anything is lost, whether few nodes are to blame, and what to write."""
    if found.reason is not None:
        yield found.reason
        return
    assert found.sensitivity is not None
    is_harmless = row.drop is not None and row.drop.interval[0] <= 0
    if is_harmless:
        yield "No loss of accuracy shows: nothing has to be kept float for it."
    if found.suggested is not None and found.row is not None:
        names, before = found.suggested.nodes, found.sensitivity.all_nodes
        who, they = ("1 node is", "it leaves") if len(names) == 1 else (f"{len(names)} nodes are", "they leave")
        yield (
            f"{who} to blame for most of the noise: kept float, {they} {found.suggested.sqnr} at the output instead of "
            f"{before.db:.1f} dB{_gained(row, found.row)}."
        )
    elif not is_harmless:
        yield from _spread(found)


def _gained(before: Row, after: Row) -> str:
    """Return how accuracy, or without labels agreement, and speed change."""
    told = ""
    if before.drop is not None and after.drop is not None:
        low, high = after.drop.interval
        told += f", and a drop in accuracy of {after.drop.points:+.2f} points [{low:+.2f}, {high:+.2f}]"
        told += f" instead of {before.drop.points:+.2f}"
    elif before.agreement is not None and after.agreement is not None:
        told += (
            f", and {after.agreement.share:.2%} of the float model's answers instead of {before.agreement.share:.2%}"
        )
    if before.speedups and after.speedups:
        now, earlier = (row.speedups[0].ratio for row in (after, before))
        told += f", {now:.2f} times as fast as the float model instead of {earlier:.2f}"
    return told


def _spread(found: Diagnosis) -> Iterator[str]:
    """Yield that the noise is spread over many nodes, by what keeping the costliest float would leave."""
    advice = "Another calibrator (quantlab compare) or training (quantlab qat) may gain more."
    if not found.tried:
        yield f"With its costliest node float, less than half of the plan would be left in integers. {advice}"
        return
    most, before = found.tried[-1], found.sensitivity
    assert before is not None
    yield (
        f"The noise is spread over many nodes: with the costliest {len(most.nodes)} float the output has {most.sqnr} "
        f"instead of {before.all_nodes.db:.1f} dB. {advice}"
    )
