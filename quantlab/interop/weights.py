"""Where the weights of products are quantized, and along which axis, seen from the product.

W ─Q─▶ ─DQ─▶ Transpose ─▶ MatMul        scales along axis 0 of W run along axis 1 of what the MatMul reads
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from quantlab.interop.sites import Site
from quantlab.interop.strip import Stripped
from quantlab.plan import Reader
from quantlab.targets.graph_queries import input_at, shape_of

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_BETWEEN = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


@dataclass(frozen=True, eq=False, slots=True)
class WeightSite:
    """Where the weight of a product is quantized.

    Attributes:
        site: the place.
        axis: the axis of its channels as the product sees the weight, or None where that cannot be told.
    """

    site: Site
    axis: int | None


def weight_sites(stripped: Stripped) -> Mapping[Reader, WeightSite]:
    """Return the weight sites by the product's input."""
    edges = stripped.by_edge
    found = {}
    for node in stripped.model.graph:
        for index in (0, 1) if node.op_type in PRODUCTS else ():
            weight = _weight_site(node, index, edges)
            if weight is not None and weight.site.role == "weight":
                found[Reader(node.name or "", index)] = weight
    return found


def _weight_site(node: ir.Node, index: int, edges: Mapping[Reader, Site]) -> WeightSite | None:
    value = input_at(node, index)
    site = edges.get(Reader(node.name or "", index))
    if site is not None:
        rank = len(shape_of(value) or ())
        return WeightSite(site, site.axis % rank if rank else site.axis)
    maker = None if value is None else value.producer()
    if maker is None or maker.op_type not in _BETWEEN:
        return None
    behind = _weight_site(maker, 0, edges)
    if behind is None or maker.op_type in ("Identity", "Cast"):
        return behind
    return WeightSite(behind.site, _axis_behind(maker, behind.axis) if maker.op_type == "Transpose" else None)


def _axis_behind(transpose: ir.Node, axis: int | None) -> int | None:
    """Return where a Transpose puts an axis."""
    rank = len(shape_of(input_at(transpose, 0)) or ())
    order = transpose.attributes.get_ints("perm", None) or tuple(reversed(range(rank)))
    return order.index(axis) if axis in order else None
