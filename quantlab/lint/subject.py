"""The model under lint, seen three ways: as it is, without its Q/DQ nodes, and as placement rules would see it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.interop.sites import Site
from quantlab.interop.strip import Stripped, strip
from quantlab.interop.weights import PRODUCTS, WeightSite, weight_sites
from quantlab.plan import Reader
from quantlab.targets.graph_queries import input_at
from quantlab.targets.tensorrt_joins import moves_values


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
        self._weights = weight_sites(stripped)

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
        return node.op_type in PRODUCTS and self.is_quantized(node, 0) and self.is_quantized(node, 1)

    def sites_of(self, value: ir.Value) -> list[Site]:
        """Return where a float tensor is quantized."""
        return [site for site in self.sites if site.tensor == value.name]

    def activations(self) -> Iterator[Site]:
        """Yield the sites of what is computed at run time."""
        return (site for site in self.sites if site.role == "activation")
