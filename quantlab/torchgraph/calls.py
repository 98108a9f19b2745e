"""A graph as calls of registered functions, in order; refuses what cannot be called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from quantlab.errors import ModelError
from quantlab.graph.model import Model
from quantlab.torchgraph.attributes import attributes_of
from quantlab.torchgraph.registry import NEWEST_OPSET, OLDEST_OPSET, Op, find_op


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """What one node asks for.

    Attributes:
        label: what users call the node.
        op: what computes it.
        inputs: the values it reads; None where an input is left out.
        outputs: the values it computes; those without a name are not wanted.
        attributes: keyword arguments of the function.
    """

    label: str
    op: Op
    inputs: tuple[ir.Value | None, ...]
    outputs: tuple[ir.Value, ...]
    attributes: Mapping[str, Any]

    @property
    def data_inputs(self) -> tuple[ir.Value, ...]:
        """The inputs that are data, not numbers that say how to compute."""
        return tuple(v for index, v in enumerate(self.inputs) if v is not None and index not in self.op.host)


def calls_of(model: Model) -> dict[ir.Node, Call]:
    """Return the call of every node of the main graph but the constants, in order.

    Raises:
        ModelError: the graph has branches or loops, an opset that is too old or too new, operators that no function
            is registered for (all are listed), or attributes that an operator does not know.
    """
    _check_opset(model)
    nodes = [node for node in model.graph if not is_constant(node)]
    _check_no_branches(model, nodes)
    ops = {node: find_op(node.domain, node.op_type, version_of(model, node)) for node in nodes}
    _check_known(model, [node for node, found in ops.items() if found is None])
    return {node: _call(node, found) for node, found in ops.items() if found is not None}


def is_constant(node: ir.Node) -> bool:
    """Whether a node only holds a constant."""
    return node.op_type == "Constant" and node.domain in ("", "ai.onnx")


def version_of(model: Model, node: ir.Node) -> int:
    """Return the version of the opset that a node's operator is from."""
    return model.ir_model.opset_imports.get(node.domain, 1)


def _call(node: ir.Node, found: Op) -> Call:
    attributes = attributes_of(node)
    if found.takes_outputs:
        attributes["outputs"] = len(node.outputs)
    label = _label(node)
    try:
        inspect.signature(found.function).bind(*node.inputs, **attributes)
    except TypeError as error:
        raise ModelError(
            f"{label}: {error}; the function of {found} takes {inspect.signature(found.function)}"
        ) from error
    return Call(label, found, tuple(node.inputs), tuple(node.outputs), attributes)


def _check_opset(model: Model) -> None:
    if not OLDEST_OPSET <= model.opset <= NEWEST_OPSET:
        raise ModelError(
            f"{model.name}: it is of opset {model.opset}, torchgraph knows {OLDEST_OPSET} to {NEWEST_OPSET}; "
            "prepare raises older ones, newer ones must be exported anew"
        )


def _check_no_branches(model: Model, nodes: Sequence[ir.Node]) -> None:
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    branching = [n for n in nodes if any(attribute.type in kinds for attribute in n.attributes.values())]
    if branching:
        raise ModelError(
            f"{model.name}: control flow ({', '.join(map(_label, branching))}) decides at run time what to compute, "
            "which torchgraph does not follow; export the model without it (fixed shapes, no scripted branches)"
        )


def _check_known(model: Model, nodes: Sequence[ir.Node]) -> None:
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        domain = f"{node.domain}." if node.domain else ""
        kind = f"{domain}{node.op_type} (opset {version_of(model, node)})"
        unknown.setdefault(kind, []).append(_label(node))
    if unknown:
        listing = "; ".join(f"{kind} in {', '.join(labels[:3])}" for kind, labels in sorted(unknown.items()))
        raise ModelError(
            f"{model.name}: torchgraph has no function for these operators: {listing}; "
            "give one with @quantlab.register_op(domain, op_type)"
        )


def _label(node: ir.Node) -> str:
    name = node.name or next((value.name for value in node.outputs if value.name), "")
    return f"{node.op_type} {name!r}"
