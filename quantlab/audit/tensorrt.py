"""Layers of a built TensorRT engine + plan → what became of every planned node.

A node runs in INT8 if a convolution, matrix product or fused attention that names it reads integers and, where the
plan quantizes its weight, holds integer weights. Signs of a fallback: a kernel that turns integers into floats just
before it, or a float layer that holds its weights as integers.

Which conversions remain: TensorRT-RTX 1.7 leaves one requantizing kernel behind every convolution with a scale per
output channel, and none behind one with a single scale in a half-precision model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from quantlab.audit.findings import Audit, AuditRow, Conversion, Placement
from quantlab.audit.planned import spoken_of
from quantlab.audit.work import Sizes, multiply_adds
from quantlab.engines.tensorrt.layers import EngineLayer
from quantlab.graph.model import Model
from quantlab.plan import Plan

_FLOATS = ("Float", "Half", "BF16")
_PAIR = ("QuantizeLinear", "DequantizeLinear")


def audit_tensorrt(
    model: Model,
    plan: Plan,
    layers: Sequence[EngineLayer],
    *,
    engine: str,
    shapes: Mapping[str, Sizes] | None = None,
) -> Audit:
    """Return what TensorRT made of an INT8 model.

    Args:
        model: what the engine was built from.
        plan: the plan it was quantized with.
        layers: of the built engine.
        engine: what reports call the runtime, with its version.
        shapes: what the inputs are fed, for counting work; see `multiply_adds`.

    Raises:
        PlanError: the plan names a node that the model does not have.
    """
    work = multiply_adds(model, shapes)
    weighted = {reader.node for point in plan.of_role("weight") for reader in point.readers}
    nodes = model.nodes_by_name()
    layers = [replace(layer, nodes=_without_pairs(layer, nodes)) for layer in layers]
    reasons = dict(plan.float_nodes)
    rows = tuple(
        replace(
            _row(nodes[name], planned, layers, has_weight=name in weighted),
            multiply_adds=work.get(name, 0),
            planned_reason=reasons.get(name, ""),
        )
        for name, planned in spoken_of(model, plan)
    )
    conversions = map(_conversion, layers)
    return Audit(engine, rows, tuple(found for found in conversions if found), sum(work.values()))


def runs_in_int8(layers: Sequence[EngineLayer], *, has_weight: bool) -> bool:
    """Whether any of the layers that compute a node does so on integers, weights included."""
    return any(layer.multiplies_int8 and (not has_weight or _weight_is_int8(layer)) for layer in layers)


def _weight_is_int8(layer: EngineLayer) -> bool:
    """Whether a layer's weight is of integers; a layer that lists no constants has it among what it reads."""
    return "Int8" in layer.constants if layer.constants else layer.inputs.count("Int8") > 1


def _without_pairs(layer: EngineLayer, nodes: Mapping[str, ir.Node]) -> tuple[str, ...]:
    return tuple(name for name in layer.nodes if name not in nodes or nodes[name].op_type not in _PAIR)


def _row(node: ir.Node, planned: Placement, layers: Sequence[EngineLayer], *, has_weight: bool) -> AuditRow:
    name = node.name or ""
    own = [layer for layer in layers if name in layer.nodes]
    products = [layer for layer in own if layer.is_product] or own
    is_integer = runs_in_int8(own, has_weight=has_weight)
    others = (other for layer in products for other in layer.nodes if other != name)
    return AuditRow(
        node=name,
        op_type=node.op_type,
        planned=planned,
        ran_as="+".join(dict.fromkeys(layer.kind for layer in products)),
        is_integer=is_integer,
        reason=_reason(products, planned, is_integer=is_integer),
        precision="int8" if is_integer else _precision(products),
        fused_with=tuple(dict.fromkeys(others)),
    )


def _reason(products: Sequence[EngineLayer], planned: Placement, *, is_integer: bool) -> str:
    if is_integer == (planned == "integer"):
        return ""
    if planned == "float":
        return "It was to stay float."
    if not products:
        return "No layer of the engine names it."
    if any(layer.multiplies_int8 for layer in products):
        return "It reads integers, but its weight was turned into floats."
    if any("Int8" in layer.constants for layer in products):
        return "Its weight is held in integers, but multiplied as floats."
    return "TensorRT computes it in float, and says nothing about why."


def _precision(layers: Sequence[EngineLayer]) -> str:
    """Return the type that layers compute in: that of the first tensor they read."""
    return next((layer.precision for layer in layers if layer.inputs), "")


def _conversion(layer: EngineLayer) -> Conversion | None:
    """Return a layer as a conversion, or None where it does other work or leaves types as they are."""
    if layer.is_product:
        return None
    if layer.is_reformat:
        return Conversion("reformat", layer.name)
    if layer.is_requantization:
        return Conversion("requantize" if layer.nodes else "quantize", layer.name, layer.nodes)
    reads_float, writes_float = (not set(_FLOATS).isdisjoint(types) for types in (layer.inputs, layer.outputs))
    if not layer.nodes and "Int8" in layer.inputs and writes_float and not reads_float:
        return Conversion("dequantize", layer.name)
    return None
