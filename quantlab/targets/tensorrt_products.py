"""Which convolutions and matrix products TensorRT should run in INT8, and a sentence for each that it should not.

    Conv    [batch, in, ...] x [out, in/groups, ...]       one scale per output channel: axis 0 of the weight
    Gemm    [M, K] x [K, N], transB: [N, K]                axis 1, transB: axis 0
    MatMul  [..., M, K] x [..., K, N]                      the last axis; of a weight on the left, [M, K]: axis 0

Sources: IConvolutionLayer.num_groups in NvInfer.h 11.1 (groups); modelopt/onnx/quantization/graph_utils.py 0.47 (few
channels, M or N of 1, K or N below 16); builds with TensorRT-RTX 1.7 (depthwise, transposed, one pixel per sample).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from quantlab.targets.graph_queries import (
    attribute_int,
    constant,
    input_at,
    is_depthwise,
    is_float,
    shape_of,
    weight_axis,
)

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

# Integer tensor cores multiply 16 values at a time along K and N.
_TILE = 16
_MATRIX_VECTOR = "a matrix-vector product, which waits for memory, not for arithmetic."
_DEPTHWISE = "A depthwise convolution in INT8 is padded to 4 channels per group: four times the data to move."


@dataclass(frozen=True, slots=True)
class Product:
    """A node that multiplies an activation by a constant weight.

    Attributes:
        node: a Conv, ConvTranspose, Gemm or MatMul.
        activation: the index of the input that is computed at run time.
        weight: the index of the input that is constant.
        axis: the axis of the weight that gets one scale per index, or None for one scale.
    """

    node: ir.Node
    activation: int
    weight: int
    axis: int | None

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weight; a constant has no free axis."""
        return tuple(size or 0 for size in shape_of(self.node.inputs[self.weight]) or ())


def product_of(node: ir.Node) -> Product | None:
    """Return a node as a product of an activation and a constant weight, or None where it is none."""
    if node.op_type not in PRODUCTS:
        return None
    is_constant = [constant(input_at(node, index)) is not None for index in (0, 1)]
    if is_constant == [False, True]:
        rank = len(shape_of(input_at(node, 1)) or ())
        axis = rank - 1 if node.op_type == "MatMul" and rank > 2 else weight_axis(node)
        return Product(node, activation=0, weight=1, axis=axis)
    if is_constant == [True, False] and node.op_type == "MatMul":
        return Product(node, activation=1, weight=0, axis=0 if len(shape_of(input_at(node, 0)) or ()) == 2 else None)
    return None


def reason_for_float(node: ir.Node, *, depthwise: bool) -> str | None:
    """Return why a product that is no part of an attention stays float, or None if an integer kernel pays.

    Args:
        node: a node of one of the types in `PRODUCTS`.
        depthwise: whether depthwise convolutions are to be quantized all the same.
    """
    if node.op_type == "ConvTranspose":
        return "A quantized transposed convolution is run in float all the same, with conversions on the way."
    product = product_of(node)
    if product is None and node.op_type == "Conv":
        return "The weight is computed at run time, and integer convolutions take a constant."
    if product is None:
        return "Both operands are computed at run time, outside an attention (MatMul, Softmax, MatMul)."
    if not all(is_float(value) for value in (node.inputs[product.activation], node.inputs[product.weight]) if value):
        return "It does not compute in float32, which is what can be quantized."
    return reason_for_size(product, depthwise=depthwise)


def reason_for_size(product: Product, *, depthwise: bool) -> str | None:
    """Return why the sizes of a Conv, Gemm or MatMul make an integer kernel no gain, or None if it is one.

    Args:
        product: of any float type.
        depthwise: whether depthwise convolutions are to be quantized all the same.
    """
    is_convolution = product.node.op_type == "Conv"
    return _reason_for_conv(product, depthwise=depthwise) if is_convolution else _reason_for_matrix(product)


def _reason_for_conv(product: Product, *, depthwise: bool) -> str | None:
    node, groups = product.node, attribute_int(product.node, "group", 1)
    outputs, inputs, *kernel = product.weight_shape
    if is_depthwise(node):
        return None if depthwise else _DEPTHWISE
    if groups > 1 and (inputs % 4 or outputs // groups % 4):
        return f"Groups of {inputs} to {outputs // groups} channels: integer kernels need multiples of 4."
    pixels = shape_of(node.outputs[0])
    if pixels is not None and all(size == 1 for size in pixels[2:]):
        return f"One pixel per sample makes {_MATRIX_VECTOR}"
    if min(inputs, outputs) < _TILE and not _has_kernel_for_few_channels(product, inputs, outputs, kernel):
        return f"{inputs} to {outputs} channels are too few for integer kernels, which multiply {_TILE} at a time."
    return None


def _has_kernel_for_few_channels(product: Product, inputs: int, outputs: int, kernel: list[int]) -> bool:
    source = product.node.inputs[product.activation]
    if attribute_int(product.node, "group", 1) > 1:
        return outputs % 8 == 0 and min(kernel) >= 3
    is_first = source is not None and source.is_graph_input()
    is_aligned = outputs % 8 == 0 or inputs % 8 == 0
    return is_aligned and (is_first or max(inputs, outputs) >= _TILE) and len(set(kernel)) == 1


def _reason_for_matrix(product: Product) -> str | None:
    if len(product.weight_shape) < 2:
        return f"One column makes {_MATRIX_VECTOR}"
    if product.node.op_type == "Gemm" and attribute_int(product.node, "transB", 0):
        depth, width = product.weight_shape[1], product.weight_shape[0]
    elif product.weight == 1:
        depth, width = product.weight_shape[-2:]
    else:  # y = W x: the weight's rows play the part of the columns
        width, depth = product.weight_shape[-2:]
    rows = _rows(product)
    if 1 in (rows, width):
        return f"One {'row' if rows == 1 else 'column'} makes {_MATRIX_VECTOR}"
    few = [f"{size} {name}" for size, name in ((depth, "inputs"), (width, "outputs")) if size < _TILE]
    if few:
        return f"{' and '.join(few)} are too few for integer kernels, which multiply {_TILE} at a time."
    return None


def _rows(product: Product) -> int | None:
    """How many vectors the weight is multiplied by, or None where that is free."""
    shape = shape_of(product.node.outputs[0])
    if shape is None:
        return None
    others = shape[:-1] if product.weight == 1 else (*shape[:-2], *shape[-1:])
    return None if None in others else math.prod(size or 0 for size in others)
