"""The target `tensorrt`: TensorRT 10.12 and later, TensorRT 11 and TensorRT-RTX.

    activations   int8, symmetric, one scale per tensor
    weights       int8, symmetric, -127 to 127, one scale per output channel or, on request, per tensor
    biases        float

TensorRT fuses by itself: a convolution takes in its activation function and a residual sum, a matrix product its
bias. It is told only where integers are read: at the inputs of convolutions and matrix products, at the skip of a
residual sum, at the four operands of an attention, and on both sides of a concatenation between such places. A pair
anywhere else separates what would have been one kernel.

Sources: TensorRT developer guide, Q/DQ layer-placement recommendations; NvInfer.h 11.1, IQuantizeLayer; builds of every
pattern with TensorRT-RTX 1.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader
from quantlab.scheme import Scheme
from quantlab.targets.draft import Draft
from quantlab.targets.graph_queries import activations_of
from quantlab.targets.keep_float import nodes_to_keep_float
from quantlab.targets.target import WeightScales
from quantlab.targets.tensorrt_attention import Attention, find_attentions, reason_for_float_attention
from quantlab.targets.tensorrt_cuts import products_to_cut
from quantlab.targets.tensorrt_joins import INT8, points_behind, share_encodings, skip_input
from quantlab.targets.tensorrt_products import PRODUCTS, Product, product_of, reason_for_float
from quantlab.targets.tensorrt_reasons import Explainer

_ONE_KERNEL = "An attention is one kernel; nothing is rounded between its two products but the softmax."
_TAKEN_IN = "The convolution before a residual sum takes it in; only the skip is quantized."


@dataclass(frozen=True, slots=True)
class TensorRT:
    """Where TensorRT wants Q/DQ pairs.

    Attributes:
        depthwise: quantize depthwise convolutions too, which costs memory traffic and rarely pays.
        fixed_softmax: give what an attention's softmax leaves the scale 1/127 instead of a calibrated one. Where
            attention is spread over hundreds of keys all of it lies below 1/127, which rounds it to 0 or 1/127.
        weight_scales: one scale per output channel or one per weight. TensorRT-RTX 1.7 lets a convolution take in
            bias, activation function and residual sum only with a scale per weight, and then writes half precision in
            a half-precision model; behind a scale per channel it writes float32 and leaves the rest to a kernel of
            its own. What that gains in time was not measured; channels of small weights lose accuracy.
    """

    depthwise: bool = False
    fixed_softmax: bool = False
    weight_scales: WeightScales = "per-channel"

    @property
    def name(self) -> str:
        """The name users type."""
        return "tensorrt"

    def place(self, model: Model, *, keep_float: Sequence[str] = ()) -> Plan:
        """Return which tensors to quantize for TensorRT, and why the others are not; see `Target.place`."""
        placement = _Placement(model, nodes_to_keep_float(model, keep_float), self.weight_scales)
        attentions = find_attentions(model)
        attended = {node for attention in attentions for node in (attention.scores, attention.context)}
        for node in model.graph:
            if node.op_type in PRODUCTS and node not in attended:
                placement.decide_product(node, depthwise=self.depthwise)
        # Back to front: an attention runs in integers only if what reads it does.
        for attention in reversed(attentions):
            placement.decide_attention(attention, softmax_range=(0.0, 1.0) if self.fixed_softmax else None)
        for node in model.graph:
            if node.op_type == "Add":
                placement.decide_sum(node)
        return placement.finish()


class _Placement:
    """What has been decided so far about one model."""

    def __init__(self, model: Model, kept: Mapping[str, str], weight_scales: WeightScales) -> None:
        self._model = model
        self._weight_scales = weight_scales
        self._kept = kept
        self._draft = Draft(model, "tensorrt")
        self._integer: set[str] = set()
        self._reasons: dict[Reader, str] = {}
        for name, reason in kept.items():
            self._leave_float(model.nodes_by_name()[name], reason)

    def decide_attention(self, attention: Attention, softmax_range: tuple[float, float] | None) -> None:
        """Quantize all four operands of an attention, or none."""
        reason = self._reason_against_attention(attention)
        if reason:
            self._leave_float(attention.scores, reason)
            self._leave_float(attention.context, reason)
            return
        for node, index in attention.operands:
            self._quantize(node, index, softmax_range if (node, index) == attention.softmax_edge else None)
            self._run_in_integers(node)
        for node in attention.between:
            self._reasons |= {Reader(node.name or "", index): _ONE_KERNEL for index, _ in activations_of(node)}

    def decide_product(self, node: ir.Node, *, depthwise: bool) -> None:
        """Quantize activation and weight of a product, or say why not."""
        if node.name in self._kept:
            return
        product = product_of(node)
        reason = reason_for_float(node, depthwise=depthwise)
        if product is not None and reason is None:
            reason = self._reason_against_weight(product)
        if product is None or reason is not None:
            self._leave_float(node, reason or "")
            return
        self._quantize(node, product.activation)
        self._draft.add(self._weight_point(product))
        self._run_in_integers(node)

    def decide_sum(self, add: ir.Node) -> None:
        """Quantize the skip input of a residual sum."""
        skip = None if add.name in self._kept else skip_input(add, self._integer)
        if skip is not None:
            self._quantize(add, skip)
            self._reasons[Reader(add.name or "", 1 - skip)] = _TAKEN_IN

    def finish(self) -> Plan:
        """Return the plan, with a reason for everything left float."""
        share_encodings(self._model, self._draft, self._kept)
        for product in products_to_cut(self._model):
            if product.node.name in self._integer:
                self._draft.leave_unbaked(self._weight_point(product).tensor)
        Explainer(self._draft, self._reasons, self._integer).explain(self._model)
        return self._draft.freeze()

    def _quantize(self, node: ir.Node, index: int, fixed_range: tuple[float, float] | None = None) -> None:
        value, reader = node.inputs[index], Reader(node.name or "", index)
        if value is not None:
            self._draft.add(Point(value.name or "", INT8, "activation", (reader,), fixed_range=fixed_range))

    def _run_in_integers(self, node: ir.Node) -> None:
        self._integer.add(node.name or "")
        self._draft.integer(node.name or "")

    def _leave_float(self, node: ir.Node, reason: str) -> None:
        name = node.name or ""
        self._draft.leave_float(name, reason)
        for index, _ in activations_of(node):
            self._reasons.setdefault(Reader(name, index), f"{name} reads it in float. {reason}")

    def _reason_against_attention(self, attention: Attention) -> str | None:
        names = [node.name or "" for node in (attention.scores, *attention.between, attention.context)]
        on_request = [self._kept[name] for name in names if name in self._kept]
        if on_request:
            return on_request[0]
        if not points_behind(attention.context, self._draft):
            return "The fused integer kernel hands on integers, and nothing reads them behind this attention."
        return reason_for_float_attention(attention)

    def _reason_against_weight(self, product: Product) -> str | None:
        """Return why a weight cannot be quantized for this product, if another one reads it along another axis."""
        wanted = self._weight_point(product)
        known = self._draft.point(wanted.tensor)
        if known is None or known.scheme.axis == wanted.scheme.axis:
            return None
        return f"It shares its weight with {known.readers[0].node}, which has its output channels on another axis."

    def _weight_point(self, product: Product) -> Point:
        value = product.node.inputs[product.weight]
        axis = product.axis if self._weight_scales == "per-channel" else None
        return Point(
            tensor="" if value is None else value.name or "",
            scheme=Scheme("int8", axis=axis, narrow=True),
            role="weight",
            readers=(Reader(product.node.name or "", product.weight),),
        )
