"""Calls of QuantizeLinear and DequantizeLinear → what has a gradient.

x ─Q─▶ ─DQ─▶                    one call of `fake_quantize`, which keeps least and is exact
x ─Q─▶ ─Transpose─▶ ─DQ─▶       integers held as floats in between, through which the gradient passes
x ─Q─▶ anything else            integers, without a gradient
integers ─DQ─▶                  unchanged
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from quantlab.torchgraph.calls import Call
from quantlab.torchgraph.fake_quantize import Grid, fake_quantize
from quantlab.torchgraph.ops.quantization import quantize_with_gradient
from quantlab.torchgraph.registry import Op
from quantlab.torchgraph.tensors import DTYPES

# Operators that move integers about without computing with them, by the input that they move.
_MOVING = frozenset(
    {"DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Tile"}
    | {"SpaceToDepth", "Split", "Transpose", "Unsqueeze"}
)


def with_gradients(calls: Mapping[ir.Node, Call]) -> Iterator[Call]:
    """Yield the calls with quantization in a form that has a gradient, where there is one."""
    done: set[ir.Node] = set()
    for node, call in calls.items():
        if node in done:
            continue
        if node.op_type != "QuantizeLinear":
            yield call
            continue
        readers = _paired_readers(node)
        if readers:
            done.update(readers)
            yield _fused(call, node, readers)
        elif _leads_to_floats(node.outputs[0]):
            op = replace(call.op, function=quantize_with_gradient)
            yield replace(call, op=op)
        else:
            yield call


def _fused(call: Call, node: ir.Node, readers: list[ir.Node]) -> Call:
    outputs = tuple(reader.outputs[0] for reader in readers)
    attributes = {"grid": _grid_of(node), "outputs": len(outputs)}
    return Call(call.label, Op("", "QuantizeLinear", call.op.since, _pair), call.inputs, outputs, attributes)


def _pair(
    x: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, grid: Grid, outputs: int
) -> tuple[Tensor, ...]:
    return (fake_quantize(x, scale, zero_point, grid),) * outputs


def _paired_readers(node: ir.Node) -> list[ir.Node]:
    """Return the DequantizeLinear nodes that alone read what a node quantizes, with its own encoding; else none."""
    output = node.outputs[0]
    readers = [use.node for use in output.uses() if use.idx == 0]
    is_pair = (
        not output.is_graph_output()
        and len(readers) == len(tuple(output.uses()))
        and all(reader.op_type == "DequantizeLinear" and _has_same_encoding(node, reader) for reader in readers)
        and not _attribute(node, "block_size", 0)
    )
    return list(dict.fromkeys(readers)) if is_pair else []


def _has_same_encoding(quantize: ir.Node, dequantize: ir.Node) -> bool:
    pairs = zip(_parameters(quantize), _parameters(dequantize), strict=True)
    is_same = all(_is_same(first, second) for first, second in pairs)
    return is_same and _attribute(quantize, "axis", 1) == _attribute(dequantize, "axis", 1)


def _parameters(node: ir.Node) -> tuple[ir.Value | None, ir.Value | None]:
    inputs = (*node.inputs, None, None)
    return inputs[1], inputs[2]


def _is_same(first: ir.Value | None, second: ir.Value | None) -> bool:
    if first is second:
        return True
    if first is None or second is None:
        return False
    left, right = (ir.convenience.get_const_tensor(value) for value in (first, second))
    if left is None or right is None:
        return False
    return left.dtype == right.dtype and np.array_equal(left.numpy(), right.numpy())


def _grid_of(node: ir.Node) -> Grid:
    scale, zero_point = _parameters(node)
    limits = torch.iinfo(DTYPES[_integer_type(node, zero_point)])
    is_constant = node.inputs[0] is not None and ir.convenience.get_const_tensor(node.inputs[0]) is not None
    is_per_tensor = scale is not None and scale.shape is not None and len(scale.shape) == 0
    axis = None if is_per_tensor else _attribute(node, "axis", 1)
    return Grid(limits.min, limits.max, axis, is_weight=is_constant)


def _integer_type(node: ir.Node, zero_point: ir.Value | None) -> ir.DataType:
    known = None if zero_point is None else zero_point.dtype
    return known or ir.DataType(_attribute(node, "output_dtype", 0) or ir.DataType.UINT8)


def _leads_to_floats(value: ir.Value) -> bool:
    """Whether integers are only moved until they are dequantized."""
    uses = tuple(value.uses())
    return not value.is_graph_output() and all(
        use.idx == 0
        and (
            use.node.op_type == "DequantizeLinear"
            or (use.node.op_type in _MOVING and all(map(_leads_to_floats, use.node.outputs)))
        )
        for use in uses
    )


def _attribute(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()
