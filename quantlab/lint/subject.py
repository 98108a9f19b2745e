"""The model under lint, seen three ways: as it is, without its Q/DQ nodes, and as placement rules would see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.interop.sites import Site
from quantlab.interop.strip import Stripped, strip
from quantlab.plan import Reader
from quantlab.targets.graph_queries import input_at, reading_nodes, shape_of
from quantlab.targets.tensorrt_joins import FUNCTIONS, moves_values

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True, eq=False, slots=True)
class WeightSite:
    """Where the weight of a product is quantized.

    Attributes:
        site: the place.
        axis: the axis of its channels as the product sees the weight, or None where that cannot be told.
    """

    site: Site
    axis: int | None


class Subject:
    """A model under lint.

    Attributes:
        original: the model as it is, every node named.
        plain: the float model without Q/DQ nodes.
        prepared: the same with constants and batch norms folded; its nodes keep their names.
        sites: where the model is quantized.
    """

    def __init__(self, model: Model) -> None:
        stripped: Stripped = strip(model)
        self.original = stripped.named
        self.plain = stripped.model
        self.prepared = prepare(stripped.model)
        self.sites = stripped.sites
        self._edges = dict(stripped.by_edge)
        self._weights = dict(self._weight_sites())

    def site_at(self, node: ir.Node, index: int) -> Site | None:
        """Return where the input of a node is quantized, a product's weight through Transpose and the like too."""
        edge = Reader(node.name or "", index)
        weight = self._weights.get(edge)
        return self._edges.get(edge) if weight is None else weight.site

    def weight_at(self, node: ir.Node, index: int) -> WeightSite | None:
        """Return where the weight of a product is quantized, and along which axis."""
        return self._weights.get(Reader(node.name or "", index))

    def is_quantized(self, node: ir.Node, index: int) -> bool:
        """Whether a node reads a quantized value, directly or through operators that only move or join values."""
        if self.site_at(node, index) is not None:
            return True
        value = input_at(node, index)
        maker = None if value is None else value.producer()
        if maker is None or not (maker.op_type in ("Concat", "Cast") or moves_values(maker)):
            return False
        return all(self.is_quantized(maker, at) for at in range(len(maker.inputs) if maker.op_type == "Concat" else 1))

    def multiplies_integers(self, node: ir.Node) -> bool:
        """Whether both factors of a product are quantized."""
        return node.op_type in WEIGHTED and self.is_quantized(node, 0) and self.is_quantized(node, 1)

    def sites_of(self, value: ir.Value) -> list[Site]:
        """Return where a float tensor is quantized."""
        return [site for site in self.sites if site.tensor == value.name]

    def activations(self) -> Iterator[Site]:
        """Yield the sites of what is computed at run time."""
        return (site for site in self.sites if site.role == "activation")

    def _weight_sites(self) -> Iterator[tuple[Reader, WeightSite]]:
        for node in self.plain.graph:
            for index in (0, 1) if node.op_type in WEIGHTED else ():
                found = self._weight_site(node, index)
                if found is not None and found.site.role == "weight":
                    yield Reader(node.name or "", index), found

    def _weight_site(self, node: ir.Node, index: int) -> WeightSite | None:
        value = input_at(node, index)
        site = self._edges.get(Reader(node.name or "", index))
        if site is not None:
            rank = len(shape_of(value) or ())
            return WeightSite(site, site.axis % rank if rank else site.axis)
        maker = None if value is None else value.producer()
        if maker is None or maker.op_type not in ("Transpose", "Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze"):
            return None
        behind = self._weight_site(maker, 0)
        if behind is None or maker.op_type in ("Identity", "Cast"):
            return behind
        return WeightSite(behind.site, _axis_behind(maker, behind.axis) if maker.op_type == "Transpose" else None)


def readers_through_functions(value: ir.Value) -> Iterator[ir.Node]:
    """Yield the nodes that read a value, and of an activation function those behind it."""
    for node in reading_nodes(value):
        yield node
        if node.op_type in FUNCTIONS:
            yield from readers_through_functions(node.outputs[0])


def _axis_behind(transpose: ir.Node, axis: int | None) -> int | None:
    """Return where a Transpose puts an axis."""
    source = transpose.inputs[0]
    rank = len(source.shape) if source is not None and source.shape is not None else None
    order = transpose.attributes.get_ints("perm", None)
    if order is None:
        order = None if rank is None else tuple(reversed(range(rank)))
    return order.index(axis) if order is not None and axis in order else None
