"""Turns what a user asks to keep float (names, shell patterns, operator types) into node names."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping, Sequence

from quantlab.errors import PlanError
from quantlab.graph.model import Model


def nodes_to_keep_float(model: Model, keep_float: Sequence[str]) -> Mapping[str, str]:
    """Return the nodes that a user wants float, each with the sentence that says so.

    An entry is, in this order: the name of a node; an operator type (`Softmax`); a shell pattern (`head.*`, `*`, `?`,
    `[ab]`) of node names. All are case-sensitive.

    Returns:
        Reason by node name, in graph order; give it to `Draft.leave_float`.

    Raises:
        PlanError: an entry matches no node; the message names the closest names and types.
    """
    reasons: dict[str, str] = {}
    for entry in keep_float:
        matched = _matches(model, entry)
        if not matched:
            raise PlanError(f"keep_float: {entry!r} matches no node of {model.name}; {_closest(model, entry)}")
        for name in matched:
            reasons.setdefault(name, f"Kept float on request ({entry}).")
    order = [node.name for node in model.graph]
    return {name: reasons[name] for name in order if name is not None and name in reasons}


def _matches(model: Model, entry: str) -> list[str]:
    names = [(node.name or "", node.op_type) for node in model.graph]
    exact = [name for name, _ in names if name == entry]
    of_type = [name for name, op_type in names if op_type == entry]
    return exact or of_type or [name for name, _ in names if fnmatch.fnmatchcase(name, entry)]


def _closest(model: Model, entry: str) -> str:
    known = {node.name or "" for node in model.graph} | {node.op_type for node in model.graph}
    near = difflib.get_close_matches(entry, sorted(known), n=3, cutoff=0.4)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return "use a node name, a pattern such as 'head.*' or an operator type; `quantlab inspect` lists them"
