r"""Fold BatchNormalization into the Conv, ConvTranspose or Gemm whose output it alone reads.

    y = scale (W x + b - mean) / sqrt(variance + epsilon) + shift
      = (f W) x + (f (b - mean) + shift),   f = scale / sqrt(variance + epsilon), one per output channel

A quantized layer then has one output to encode. Computed in float64 and rounded once.

Source: ONNX operators BatchNormalization 15, Conv 11, ConvTranspose 11, Gemm 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from quantlab.graph.passes.queries import (
    constant,
    input_of,
    is_op,
    is_read_only_by,
    label,
    listing,
    new_initializer,
)

_LAYERS = ("Conv", "ConvTranspose", "Gemm")
_EPSILON = 1e-5
Float64 = npt.NDArray[np.float64]


def fold_batchnorm(model: ir.Model) -> tuple[str, ...]:
    """Fold every BatchNormalization that can be, and say why the others stay."""
    folded: list[str] = []
    stays: dict[str, list[str]] = {}
    for node in list(model.graph):
        if not is_op(node, "BatchNormalization"):
            continue
        reason = _why_not(node)
        if reason is None:
            _fold(model.graph, node)
            folded.append(node.name or "")
        else:
            stays.setdefault(reason, []).append(repr(node.name))
    notes = [f"BatchNormalization {listing(names)} stays: {reason}" for reason, names in stays.items()]
    if folded:
        notes.insert(0, f"{len(folded)} BatchNormalization were folded into the layers before them")
    return tuple(notes)


def _why_not(node: ir.Node) -> str | None:
    """Return why a BatchNormalization cannot be folded, or None."""
    # Below opset 14 outputs beside y, read or not, are what says that statistics come from the batch.
    if node.attributes.get_int("training_mode", 0) or any(value.name for value in node.outputs[1:]):
        return "it is in training mode; export the model with training off"
    source = node.inputs[0]
    layer = source.producer() if source is not None else None
    if source is None or layer is None or layer.graph is not node.graph or not is_op(layer, *_LAYERS):
        before = "the graph's input" if layer is None else f"{layer.op_type}"
        return f"it follows {before}, not Conv, ConvTranspose or Gemm"
    if not is_read_only_by(source, node):
        return f"the output of {label(layer)} before it is read by others too"
    if any(constant(value) is None for value in node.inputs[1:]):
        return "its parameters are not constant"
    if constant(layer.inputs[1]) is None:
        return f"the weight of {label(layer)} is not constant"
    bias = input_of(layer, 2)
    if bias is not None and constant(bias) is None:
        return f"the bias of {label(layer)} is not constant"
    if not np.isfinite(_factor(node)).all():
        return "its variance is negative or not finite; the model is damaged"
    return None


def _factor(node: ir.Node) -> Float64:
    """Return f, float64 [channels]."""
    scale, variance = _parameter(node, 1), _parameter(node, 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        return scale / np.sqrt(variance + node.attributes.get_float("epsilon", _EPSILON))


def _parameter(node: ir.Node, index: int) -> Float64:
    array = constant(node.inputs[index])
    assert array is not None, "checked by _why_not"
    return array.astype(np.float64)


def _fold(graph: ir.Graph, node: ir.Node) -> None:
    source = node.inputs[0]
    layer = source.producer() if source is not None else None
    assert layer is not None, "checked by _why_not"
    factor, shift, mean = _factor(node), _parameter(node, 2), _parameter(node, 3)
    weight = layer.inputs[1]
    assert weight is not None, "a layer has a weight"
    array = _parameter(layer, 1)
    old_bias = input_of(layer, 2)
    bias = np.zeros(1) if old_bias is None else _parameter(layer, 2)
    if is_op(layer, "Gemm"):
        bias = bias * layer.attributes.get_float("beta", 1.0)
        layer.attributes.pop("beta", None)
    dtype = weight.dtype.numpy() if weight.dtype is not None else np.dtype(np.float32)
    _put(graph, layer, 1, (array * _along_output(layer, array, factor)).astype(dtype))
    _put(graph, layer, 2, (factor * (bias - mean) + shift).astype(dtype))
    output = node.outputs[0]
    result = layer.outputs[0]
    result.name, output.name = output.name, None
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    graph.remove(node, safe=True)


def _along_output(layer: ir.Node, weight: Float64, factor: Float64) -> Float64:
    """Return the factor in a shape that multiplies the layer's output channels in its weight."""
    if is_op(layer, "Conv"):
        return factor.reshape(-1, *[1] * (weight.ndim - 1))
    if is_op(layer, "Gemm"):
        return factor[:, None] if layer.attributes.get_int("transB", 0) else factor[None, :]
    # ConvTranspose: [in, out/groups, ...]; the inputs of group g make the outputs of group g.
    groups = layer.attributes.get_int("group", 1)
    per_input = np.repeat(factor.reshape(groups, -1), weight.shape[0] // groups, axis=0)
    return per_input.reshape(weight.shape[0], weight.shape[1], *[1] * (weight.ndim - 2))


def _put(graph: ir.Graph, layer: ir.Node, index: int, array: npt.NDArray[Any]) -> None:
    """Give the layer a new constant input, under the old one's name where nobody else reads that."""
    old = input_of(layer, index)
    if old is not None and is_read_only_by(old, layer) and len(old.uses()) == 1:
        old.const_value = ir.tensor(array, name=old.name)
        old.shape = ir.Shape(array.shape)
        return
    weight = layer.inputs[1]
    stem = (weight.name or "weight") if weight is not None else "weight"
    wanted = f"{stem.removesuffix('.weight')}.bias" if index == 2 else f"{stem}_folded"
    if len(layer.inputs) <= index:
        layer.resize_inputs(index + 1)
    layer.replace_input_with(index, new_initializer(graph, wanted, array))
