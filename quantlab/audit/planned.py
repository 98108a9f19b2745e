"""Which nodes an audit speaks of: those of a plan or, where there is none, those that a Q/DQ graph means."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from quantlab.audit.findings import Placement
from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan
from quantlab.qdq import read

# Operators with integer kernels in every runtime that a plan is made for.
_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
# And those that ONNX Runtime has besides; other operators between pairs are float whatever stands around them.
_JOINS = frozenset({"Add", "Mul", "Concat", "Sigmoid", "LeakyRelu", "GlobalAveragePool", "AveragePool", "Softmax"})


def spoken_of(model: Model, plan: Plan) -> list[tuple[str, Placement]]:
    """Return the nodes of a plan, and where each is to run, in graph order.

    Raises:
        PlanError: the plan names a node that the model does not have.
    """
    nodes = model.nodes_by_name()
    wanted: list[tuple[str, Placement]] = [(name, "integer") for name in plan.integer_nodes]
    wanted += [(name, "float") for name, _ in plan.float_nodes]
    for name, _ in wanted:
        if name not in nodes:
            raise PlanError(f"plan: the model has no node {name!r}; audit the model with the plan it was made with")
    order = {name: index for index, name in enumerate(nodes)}
    return sorted(wanted, key=lambda item: order[item[0]])


def plan_of(model: Model) -> Plan:
    """Return the plan that a Q/DQ model holds, with the nodes that it means to run in integers.

    A product is meant if activation and weight (or both activations) come from DequantizeLinear; any other operator
    with an integer kernel if, besides, its output goes to QuantizeLinear. Every other product counts as planned float.

    Raises:
        ModelError: a scale or zero point is not a constant.
    """
    plan, _ = read(model)
    integer = tuple(node.name or "" for node in model.graph if _is_meant(node, target=plan.target))
    others = (node.name or "" for node in model.graph if node.op_type in _PRODUCTS | {"ConvTranspose"})
    left = tuple((name, "It is not between Q/DQ pairs.") for name in others if name not in integer)
    return replace(plan, integer_nodes=integer, float_nodes=left)


def _is_meant(node: ir.Node, *, target: str) -> bool:
    if node.op_type in _PRODUCTS:
        return all(_is_dequantized(value) for value in node.inputs[:2])
    if target == "tensorrt" or node.op_type not in _JOINS:
        return False
    _, readers = behind_activations(node)
    return all(map(_is_dequantized, node.inputs)) and bool(readers) and all(map(_quantizes, readers))


def behind_activations(node: ir.Node) -> tuple[list[ir.Node], list[ir.Node]]:
    """Return the Relu and Clip nodes that alone read what a node leaves, one after another, and who reads the last."""
    activations: list[ir.Node] = []
    readers = [use.node for use in node.outputs[0].uses()]
    while len(readers) == 1 and readers[0].op_type in ("Relu", "Clip"):
        activations.append(readers[0])
        readers = [use.node for use in readers[0].outputs[0].uses()]
    return activations, readers


def _is_dequantized(value: ir.Value | None) -> bool:
    producer = None if value is None else value.producer()
    return producer is not None and producer.op_type == "DequantizeLinear"


def _quantizes(node: ir.Node) -> bool:
    return node.op_type == "QuantizeLinear"
