"""Quantized products that TensorRT runs in float all the same, or slower than in float.

Sources: as of `targets.tensorrt_products`, which decides the same when it places.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from quantlab.lint.finding import Hit
from quantlab.lint.rule import Rule
from quantlab.lint.subject import Subject
from quantlab.targets.graph_queries import attribute_int, is_depthwise
from quantlab.targets.tensorrt_products import Product, product_of, reason_for_size


def too_small(subject: Subject) -> Iterator[Hit]:
    """Products with too few rows, columns or channels."""
    for product in _integer_products(subject):
        reason = reason_for_size(product, depthwise=True)
        if reason is not None and not is_depthwise(product.node) and not _has_odd_groups(product):
            yield _hit(product.node, reason.rstrip("."))


def odd_groups(subject: Subject) -> Iterator[Hit]:
    """Grouped convolutions whose groups are not of a multiple of four channels."""
    for product in _integer_products(subject):
        if not is_depthwise(product.node) and _has_odd_groups(product):
            yield _hit(product.node, (reason_for_size(product, depthwise=True) or "").rstrip("."))


def depthwise(subject: Subject) -> Iterator[Hit]:
    """Depthwise convolutions."""
    for product in _integer_products(subject):
        if is_depthwise(product.node):
            yield _hit(product.node, "a quantized depthwise convolution")


def transposed(subject: Subject) -> Iterator[Hit]:
    """Transposed convolutions."""
    for node in subject.prepared.graph:
        if node.op_type == "ConvTranspose" and subject.multiplies_integers(node):
            yield _hit(node, "a quantized transposed convolution")


def _integer_products(subject: Subject) -> Iterator[Product]:
    for node in subject.prepared.graph:
        product = product_of(node) if node.op_type != "ConvTranspose" and subject.multiplies_integers(node) else None
        if product is not None:
            yield product


def _hit(node: ir.Node, what: str) -> Hit:
    return Hit(node.name or "", node.outputs[0].name or "", what)


def _has_odd_groups(product: Product) -> bool:
    groups = attribute_int(product.node, "group", 1)
    if product.node.op_type != "Conv" or groups == 1:
        return False
    outputs, inputs = product.weight_shape[:2]
    return bool(inputs % 4 or outputs // groups % 4)


RULES = (
    Rule(
        "TRT401",
        "tensorrt",
        "product too small for INT8",
        "slow",
        "Integer kernels multiply 16 values at a time; so small a product is faster in float, conversions aside.",
        "Leave it float; `--fix` does it.",
        too_small,
    ),
    Rule(
        "TRT402",
        "tensorrt",
        "channels per group",
        "slow",
        "Integer convolutions need a multiple of 4 input and output channels per group; others are padded or float.",
        "Leave it float; `--fix` does it.",
        odd_groups,
    ),
    Rule(
        "TRT403",
        "tensorrt",
        "depthwise convolution",
        "slow",
        "TensorRT pads each group to 4 channels: four times the data to move.",
        "Leave it float; `--fix` does it.",
        depthwise,
    ),
    Rule(
        "TRT404",
        "tensorrt",
        "transposed convolution",
        "slow",
        "A quantized transposed convolution runs in float, silently, with conversions on the way.",
        "Leave it float; `--fix` does it.",
        transposed,
    ),
)
