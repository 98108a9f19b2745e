"""Q/DQ model of any tool → the same model quantized as a target wants it, with the ranges it has.

    encodings are read ─▶ all Q/DQ nodes go, weights and biases become floats again ─▶ the target places anew

Numerics change: ranges become symmetric where the target asks for that, scales that must be equal become so, pairs
move. A node that the model leaves float, weight and input, stays float: whoever made it may have had a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantlab.errors import ModelError
from quantlab.graph.model import Model
from quantlab.graph.passes.drop_identities import drop_identities
from quantlab.graph.passes.fold_constants import fold_constants
from quantlab.graph.passes.lift_constants import lift_constants
from quantlab.graph.passes.name_everything import name_everything
from quantlab.graph.passes.widen_halves import widen_halves
from quantlab.graph.prepare import prepare
from quantlab.graph.quantized import quantized_nodes
from quantlab.interop.expand_integers import expand_integers
from quantlab.interop.known import Known, KnownRange, KnownWeight, is_usable, united
from quantlab.interop.migrate import Migration, migrate
from quantlab.interop.sites import Site
from quantlab.interop.spread import spread
from quantlab.interop.strip import Stripped, strip, why_it_stays
from quantlab.interop.weights import PRODUCTS, weight_sites
from quantlab.plan import Plan, Reader
from quantlab.targets import target_named


@dataclass(frozen=True, eq=False, slots=True)
class Requantized:
    """What came out.

    Attributes:
        migration: the INT8 model and what it was made from.
        notes: sentences about what changed, for the user.
    """

    migration: Migration
    notes: tuple[str, ...]


def requantize(model: Model, target: str) -> Requantized:
    """Return a quantized model placed anew for a target, with the ranges it has.

    Args:
        model: a Q/DQ model of any tool; it is not changed.
        target: the runtime that is to take it.

    Raises:
        ModelError: a scale is computed at run time, integers are fed or handed out, or nothing is quantized.
        CalibrationError: nothing that the target would quantize has a usable scale.
    """
    stripped, prepared = _float_model(model)
    types = {site.dtype for site in stripped.sites if site.dtype is not None}
    if types and all(dtype.numpy().kind not in "iu" for dtype in types):
        names = ", ".join(sorted(str(dtype.numpy()) for dtype in types))
        raise ModelError(f"{model.name}: it is quantized to {names}; what can be placed anew is int8 and uint8")
    ranges, unusable = _known_ranges(stripped, is_signed_by_default=target == "tensorrt")
    folded = stripped.model.clone()
    fold_constants(folded.ir_model)  # tools leave the borders of a Pad and the axes of weights behind some nodes
    known = Known(spread(folded, ranges), _known_weights(stripped, folded))
    migration = migrate(prepared, target_named(target), known, keep_float=_float_products(stripped, prepared))
    return Requantized(migration, _notes(stripped, migration, unusable))


def place_anew(model: Model, target: str) -> Plan:
    """Return the plan that a target makes of the float model within a quantized one.

    Args:
        model: a Q/DQ model of any tool; it is not changed.
        target: the runtime that is to take it.

    Raises:
        ModelError: a scale is computed at run time, integers are fed or handed out, or nothing is quantized.
    """
    return target_named(target).place(_float_model(model)[1])


def _float_model(model: Model) -> tuple[Stripped, Model]:
    """Return what the Q/DQ nodes said with the model without them, and that model prepared."""
    if not quantized_nodes(model):
        raise ModelError(f"{model.name}: it is not quantized, so that there is nothing to fix; run `quantlab ptq`")
    stripped = strip(expand_integers(_named(model)), restore_clips=True)
    left = quantized_nodes(stripped.model)
    if left:
        raise ModelError(
            f"{model.name}: {left[0]} cannot be taken out ({why_it_stays(stripped.model)}); quantize the float model "
            "it was made from"
        )
    return stripped, prepare(stripped.model)


def _named(model: Model) -> Model:
    """Return the model in float32, its notes nothing but what that changed, and no tensor twice."""
    named = model.clone()
    for run_pass in (lift_constants, name_everything):
        run_pass(named.ir_model)
    widened = widen_halves(named.ir_model)
    drop_identities(named.ir_model)
    return Model(named.ir_model, named.path, widened)


def _known_ranges(stripped: Stripped, *, is_signed_by_default: bool) -> tuple[dict[str, KnownRange], list[str]]:
    """Return the ranges of activations, and the tensors whose scale no runtime could use.

    Where a zero point is left out ONNX means uint8; but who leaves it out for TensorRT means what TensorRT reads.
    """
    ranges: dict[str, KnownRange] = {}
    unusable = []
    for site in stripped.sites:
        if site.role != "activation":
            continue
        is_signed = is_signed_by_default and site.quantize is not None and not site.has_zero_point
        found = _range_of(site, np.dtype(np.int8) if is_signed or site.dtype is None else site.dtype.numpy())
        if found is None:
            unusable.append(site.tensor)
        else:
            ranges[site.tensor] = united([found, *filter(None, [ranges.get(site.tensor)])])
    return ranges, unusable


def _range_of(site: Site, dtype: np.dtype[Any]) -> KnownRange | None:
    """Return the range of a site; of one with a scale per channel, the range of all of them."""
    if site.scale is None or dtype.kind not in "iu" or not all(map(is_usable, site.scale.ravel())):
        return None
    scales = site.scale.astype(np.float64).ravel()
    zero_points = np.zeros(1, np.int64) if site.zero_point is None else site.zero_point.astype(np.int64).ravel()
    if dtype == np.int8 and not zero_points.any():
        return KnownRange.of_symmetric(np.float32(scales.max()))
    limits = np.iinfo(dtype)
    low, high = (limits.min - zero_points) * scales, (limits.max - zero_points) * scales
    return KnownRange(float(low.min()), float(high.max()))


def _known_weights(stripped: Stripped, folded: Model) -> dict[Reader, KnownWeight]:
    """Return the scales of symmetric int8 weights with the values that they were made for."""
    nodes = folded.nodes_by_name()
    known = {}
    for reader, found in weight_sites(stripped).items():
        site, node = found.site, nodes.get(reader.node)
        value = None if node is None else node.inputs[reader.index]
        if value is None or value.const_value is None or site.scale is None or site.is_blocked:
            continue
        is_symmetric = site.dtype is not None and site.dtype.numpy() == np.int8 and not site.offset
        axis = None if site.scale.size == 1 else found.axis
        if is_symmetric and (site.scale.size == 1 or axis is not None):
            scale = site.scale.astype(np.float32).reshape([] if axis is None else -1)
            known[reader] = KnownWeight(scale, axis, np.asarray(value.const_value.numpy()))
    return known


def _float_products(stripped: Stripped, prepared: Model) -> Sequence[str]:
    """Return the products of which the model quantizes neither factor."""
    edges, weights = stripped.by_edge, weight_sites(stripped)
    names = prepared.nodes_by_name()
    return [
        node.name
        for node in stripped.model.graph
        if node.op_type in PRODUCTS and node.name and node.name in names
        if not any(Reader(node.name, index) in {**edges, **weights} for index in (0, 1))
    ]


def _notes(stripped: Stripped, migration: Migration, unusable: Sequence[str]) -> tuple[str, ...]:
    symmetric = {point.tensor for point in migration.plan.points if point.scheme.symmetric}
    kinds = Counter(site.role for site in stripped.sites if site.role == "bias")
    changed = [site.tensor for site in stripped.sites if site.role == "activation" and _becomes_symmetric(site)]
    changed = [tensor for tensor in dict.fromkeys(changed) if tensor in symmetric]
    notes = ["numerics change: evaluate the new model before you use it", *stripped.model.notes]
    if stripped.model.notes and migration.plan.target == "tensorrt":
        notes.append("`quantlab build --precision int8+fp16` computes what is not quantized in half precision")
    if changed:
        notes.append(f"{len(changed)} activations became symmetric, with the same largest magnitude")
    if kinds["bias"]:
        notes.append(f"{kinds['bias']} biases were restored from integers, as exactly as those say")
    old = stripped.named.nodes_by_name()
    clips = [node.name for node in stripped.model.graph if node.op_type == "Clip" and node.name not in old]
    if clips:
        notes.append(f"{len(clips)} pairs cut off what is negative, as a Relu does that was dropped: Clip does it now")
    notes += [f"{tensor} has no usable scale" for tensor in dict.fromkeys(unusable)]
    return (*notes, *migration.notes)


def _becomes_symmetric(site: Site) -> bool:
    return bool(site.offset) or (site.dtype is not None and site.dtype.numpy() != np.int8)
