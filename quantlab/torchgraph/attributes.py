"""The attributes of a node as Python values, for the keyword arguments of its function."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from quantlab.errors import ModelError
from quantlab.torchgraph.tensors import torch_tensor


def attributes_of(node: ir.Node) -> dict[str, Any]:
    """Return numbers, strings, lists of them, and torch tensors, by attribute name.

    Raises:
        ModelError: an attribute is of a kind that torch cannot hold.
    """
    return {name: _python_value(node, attribute) for name, attribute in node.attributes.items()}


def _python_value(node: ir.Node, attribute: ir.Attr) -> Any:  # noqa: ANN401 - attributes are of many types
    if attribute.type == ir.AttributeType.TENSOR:
        return torch_tensor(attribute.as_tensor())
    plain = (
        ir.AttributeType.INT,
        ir.AttributeType.FLOAT,
        ir.AttributeType.STRING,
        ir.AttributeType.INTS,
        ir.AttributeType.FLOATS,
        ir.AttributeType.STRINGS,
    )
    if attribute.type not in plain:
        raise ModelError(
            f"node {node.name!r}: attribute {attribute.name!r} is a {attribute.type.name}, which torch cannot hold"
        )
    return list(attribute.value) if isinstance(attribute.value, (list, tuple)) else attribute.value
