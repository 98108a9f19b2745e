"""What each node costs → which few nodes to keep float, and how much noise that leaves at the output.

The costliest nodes are kept float, one more after the other, while half of the plan stays in integers. A float node
still reads quantized numbers where the node before it writes integers, so that node is kept float with it. What follows
is measured, not added up from the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quantlab.evaluation.agreement import Sqnr
from quantlab.graph.model import Model
from quantlab.plan import Plan
from quantlab.progress import Progress, silent
from quantlab.search.sensitivity import OutputNoise, Sensitivity

# So many of the costliest nodes are tried; further ones gain little each.
_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)

# A quarter of the noise: what the few nodes to blame take away, and a few of many equal ones do not.
FEWEST_DECIBELS = 6.0

Place = Callable[[Sequence[str]], Plan]
"""Names of nodes to keep float → the plan without them."""


@dataclass(frozen=True, slots=True)
class KeptFloat:
    """A plan with some nodes kept float.

    Attributes:
        nodes: what to name for that, the costliest first.
        integer_nodes: how many nodes of the plan are left in integers; others may follow those that are named.
        sqnr: of the network's output.
    """

    nodes: tuple[str, ...]
    integer_nodes: int
    sqnr: Sqnr


def try_kept_float(
    sensitivity: Sensitivity,
    noise: OutputNoise,
    place: Place,
    quantize: Callable[[Plan], Model],
    *,
    progress: Progress = silent,
) -> tuple[KeptFloat, ...]:
    """Return what keeping the costliest nodes float leaves, from few nodes to many, while half the plan is left.

    Args:
        sensitivity: what each node costs.
        noise: what to measure with; its model is the prepared float model.
        place: makes the plan without nodes.
        quantize: makes the INT8 model of a plan.
        progress: how the step shows itself.

    Raises:
        PlanError: a plan needs statistics that were not collected.
        EngineError: the engine refuses a model.
    """
    costly = [row.node for row in sensitivity.nodes if not row.sqnr.is_identical]
    found: list[KeptFloat] = []
    with progress("keeping the costliest nodes float", None) as advance:
        for names, plan in _plans(noise.model, costly, place):
            if 2 * len(plan.integer_nodes) < len(sensitivity.nodes):  # too much of INT8 is given up
                break
            found.append(KeptFloat(names, len(plan.integer_nodes), noise.of(quantize(plan))))
            advance(1)
    return tuple(found)


def few_to_blame(all_nodes: Sqnr, tried: Sequence[KeptFloat]) -> KeptFloat | None:
    """Return the few nodes that make most of the noise, or None where it is spread over many.

    Those are the ones whose addition takes away the most, if that is at least `FEWEST_DECIBELS`.
    """
    before = [all_nodes, *(each.sqnr for each in tried)]
    gains = [_gain(earlier, each.sqnr) for each, earlier in zip(tried, before, strict=False)]
    if not gains or max(gains) < FEWEST_DECIBELS:
        return None
    return tried[gains.index(max(gains))]


def _gain(before: Sqnr, after: Sqnr) -> float:
    """Return by how many decibels the ratio rises; both may be infinite."""
    return 0.0 if after.db == before.db else after.db - before.db


def _plans(model: Model, costly: Sequence[str], place: Place) -> Iterator[tuple[tuple[str, ...], Plan]]:
    """Yield what to name and the plan without it."""
    seen: set[tuple[str, ...]] = set()
    for count in (count for count in _COUNTS if count <= len(costly)):
        names, plan = _with_producers(model, costly[:count], place)
        if tuple(sorted(names)) not in seen:
            seen.add(tuple(sorted(names)))
            yield names, plan


def _with_producers(model: Model, names: Sequence[str], place: Place) -> tuple[tuple[str, ...], Plan]:
    """Return the names, with those of the nodes that would hand integers to them, and the plan without all of these."""
    named = list(dict.fromkeys(names))
    while True:
        plan = place(named)
        read = [point.tensor for point in plan.points if any(reader.node in named for reader in point.readers)]
        more = [node for tensor in read for node in _producers(model, plan, tensor) if node not in named]
        if not more:
            return tuple(named), plan
        named += dict.fromkeys(more)


def _producers(model: Model, plan: Plan, tensor: str) -> Iterator[str]:
    """Yield the integer nodes that a tensor comes from, through nodes that only go along."""
    integer, left_float = set(plan.integer_nodes), {node for node, _ in plan.float_nodes}
    by_output = {value.name: node for node in model.graph for value in node.outputs}
    tensors, seen = [tensor], set[str]()
    while tensors:
        node = by_output.get(tensors.pop())
        name = "" if node is None else node.name or ""
        if node is None or name in seen or name in left_float:
            continue
        seen.add(name)
        if name in integer:
            yield name
        else:
            tensors += [value.name for value in node.inputs if value is not None and value.name]
