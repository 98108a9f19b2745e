"""Finds the weight and the bias of a product, how they are encoded, and which of them two nodes cannot share.

A weight has one scale per output channel. A bias has the scale (activation × weight), so two products can share one
only if they read the same activation and the same weight. The bias of a MatMul is the constant of the Add that
alone reads it: ONNX Runtime makes one Gemm of the two where it knows the shapes, and that is an integer one
only if the bias is int32 [a block of a vision transformer: 3.0 ms; with a float bias 10.7 ms; all float 7.5 ms].
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from quantlab.plan import Point, Reader
from quantlab.scheme import Scheme
from quantlab.targets import graph_queries as ask


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants of one product.

    Attributes:
        weight: its point, or None where both operands are activations.
        bias: its point, or None where it has none, or one that must stay float.
    """

    weight: Point | None
    bias: Point | None


NO_CONSTANTS = Constants(None, None)


class ConstantsClaimed:
    """Hands out the constants of one product after another, and refuses those that cannot be shared."""

    def __init__(self) -> None:
        self._weights: dict[str, tuple[Scheme, str]] = {}
        self._biases: dict[str, tuple[tuple[str, str], str]] = {}

    def claim(self, node: ir.Node) -> Constants | str:
        """Return the constants of a Conv, Gemm or MatMul, or the sentence why it cannot have them."""
        weight = ask.input_at(node, 1)
        if weight is None or ask.constant(weight) is None:
            return NO_CONSTANTS
        name, activation = weight.name or "", node.inputs[0].name if node.inputs[0] is not None else None
        axis = ask.weight_axis(node)
        scheme = Scheme("int8", axis=axis, narrow=True)
        known, owner = self._weights.setdefault(name, (scheme, node.name or ""))
        if known != scheme:
            return f"It shares its weight with {owner}, which needs one scale per index of another axis."
        point = Point(name, scheme, "weight", (Reader(node.name or "", 1),))
        found = bias_of(node)
        if found is None:
            return Constants(point, None)
        bias, reader = found
        source = (activation or "", name)
        first, owner = self._biases.setdefault(bias.name or "", (source, node.name or ""))
        if first != source:
            # ORT rounds the float bias of a Conv itself, and what an Add adds to a MatMul may stay float.
            shared = f"It shares its bias with {owner}, which reads another activation or weight."
            return shared if node.op_type == "Gemm" else Constants(point, None)
        bias_scheme = Scheme("int32", axis=None if axis is None else 0)
        return Constants(point, Point(bias.name or "", bias_scheme, "bias", (reader,), derived_from=source))


def bias_of(node: ir.Node) -> tuple[ir.Value, Reader] | None:
    """Return the constant bias vector of a product and the node input that reads it, or None."""
    if node.op_type != "MatMul":
        own = ask.input_at(node, 2)
        return None if own is None else (own, Reader(node.name or "", 2))
    add = bias_add_of(node)
    if add is None:
        return None
    index = 0 if ask.constant(add.inputs[0]) is not None else 1
    bias = add.inputs[index]
    return None if bias is None else (bias, Reader(add.name or "", index))


def bias_add_of(node: ir.Node) -> ir.Node | None:
    """Return the Add that gives a MatMul with a constant matrix its bias, or None."""
    shape = ask.shape_of(ask.input_at(node, 1))
    add = ask.only_reader(node.outputs[0])
    if add is None or add.op_type != "Add" or shape is None or len(shape) != 2 or ask.constant(node.inputs[1]) is None:
        return None
    return add if any(ask.constant(v) is not None and ask.shape_of(v) == (shape[1],) for v in add.inputs) else None


def must_round_behind(node: ir.Node, constants: Constants) -> ir.Value | None:
    """Return the value that must be rounded although no integer node reads it, or None.

    A Gemm or MatMul may leave float, but ORT refuses it in two places. Before a Relu or Clip with one reader it looks
    for a QuantizeLinear behind that, and gives up if there is none. And of a MatMul and an Add it makes one Gemm (of
    matrices always, else with a bias vector), which stays float if what is added is not int32.
    """
    shape = ask.shape_of(node.inputs[0])
    add = ask.only_reader(node.outputs[0])
    last = node
    if node.op_type == "MatMul" and add is not None and add.op_type == "Add":
        is_matrix = shape is not None and len(shape) == 2
        if constants.bias is None and (is_matrix or bias_add_of(node) is not None):
            return node.outputs[0]
        last = add if is_matrix else node
    activation = ask.only_reader(last.outputs[0])
    if activation is None or activation.op_type not in ("Relu", "Clip"):
        return None
    if ask.only_reader(activation.outputs[0]) is None:
        return None
    return activation.outputs[0] if is_foldable(activation) else last.outputs[0]


def is_foldable(node: ir.Node) -> bool:
    """Whether a node is a Relu, or a Clip from 0 to a constant, that rounding to an encoding of its range makes void.

    Another lower bound than 0 is not met exactly by an encoding, whose zero point is an integer.
    """
    bounds = ask.clip_bounds(node)
    return bounds is not None and bounds[0] == 0.0 < bounds[1]
