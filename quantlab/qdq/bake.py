"""Q/DQ model → INT8 model: weights and biases become integers, what runtimes load.

W ─Q─▶ ─DQ─▶   becomes   integers(W) ─DQ─▶            int8, the weight's own scale
bias           becomes   integers(bias) ─DQ─▶         int32, scale = input scale × weight scale, zero point 0
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from quantlab.affine import Encoding, bias_encoding, quantize
from quantlab.data.batch import Array
from quantlab.errors import ModelError, PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point
from quantlab.qdq.fence import fence
from quantlab.qdq.insert import initializer
from quantlab.qdq.pairs import Pair, pairs

_logger = logging.getLogger(__name__)


def bake(model: Model, plan: Plan) -> Model:
    """Return a clone of a Q/DQ model whose weights and biases are integers, but for `plan.unbaked`.

    Baking a baked model changes nothing.

    Args:
        model: what `insert` made, trained or not.
        plan: the plan it was made with; its bias points say which biases become int32.

    Raises:
        PlanError: a bias point names tensors that are not quantized in the model.
        ModelError: a weight holds NaN or infinity.
    """
    clone = model.clone()
    found = list(pairs(clone.graph))
    encodings = {_name(pair): pair.encoding for pair in found}
    for pair in found:
        if pair.quantize is not None and pair.is_constant and _name(pair) not in plan.unbaked:
            _bake_weight(clone.graph, pair)
    for point in plan.of_role("bias"):
        _bake_bias(clone, point, encodings)
    fence(clone, plan)
    _drop_unused_initializers(clone.graph)
    return clone


def _bake_weight(graph: ir.Graph, pair: Pair) -> None:
    assert pair.quantize is not None
    # QuantizeLinear knows no narrow range: baked and unbaked must be the same function, -128 included.
    encoding = replace(pair.encoding, scheme=replace(pair.encoding.scheme, narrow=False))
    integers = quantize(_floats(pair.source), encoding)
    value = initializer(pair.quantize.outputs[0].name or "", integers)
    graph.register_initializer(value)
    pair.dequantize.replace_input_with(0, value)
    graph.remove(pair.quantize, safe=True)


def _bake_bias(model: Model, point: Point, encodings: dict[str, Encoding]) -> None:
    bias = model.graph.initializers.get(point.tensor)
    if bias is None:
        return  # baked already: the float initializer is gone
    assert point.derived_from is not None
    missing = [name for name in point.derived_from if name not in encodings]
    if missing:
        raise PlanError(f"plan: bias {point.tensor!r} derives from {missing[0]!r}, which the model does not quantize")
    activation, weight = (encodings[name] for name in point.derived_from)
    encoding = bias_encoding(activation, weight)
    integers = quantize(_floats(bias), encoding)
    if np.any(np.abs(integers.astype(np.int64)) == encoding.scheme.highest):
        _logger.warning("bias %r does not fit int32 at its derived scale and was clipped", point.tensor)
    _insert_bias(model, point, encoding, initializer(f"{point.tensor}_quantized", integers))


def _insert_bias(model: Model, point: Point, encoding: Encoding, integers: ir.Value) -> None:
    graph = model.graph
    scale = initializer(f"{point.tensor}_scale", encoding.scale)
    zero_point = initializer(f"{point.tensor}_zero_point", encoding.zero_point)
    for value in (integers, scale, zero_point):
        graph.register_initializer(value)
    axis = {} if encoding.scheme.axis is None else {"axis": 0}
    output = ir.val(f"{point.tensor}_dequantized", ir.DataType.FLOAT, integers.shape)
    node = ir.node(
        "DequantizeLinear",
        [integers, scale, zero_point],
        axis,
        outputs=[output],
        name=f"{point.tensor}_DequantizeLinear",
    )
    graph.insert_before(graph[0], node)
    nodes = model.nodes_by_name()
    for reader in point.readers:
        nodes[reader.node].replace_input_with(reader.index, output)


def _floats(value: ir.Value) -> Array:
    assert value.const_value is not None
    array = np.asarray(value.const_value.numpy())
    if not np.all(np.isfinite(array)):
        raise ModelError(f"initializer {value.name!r}: it holds NaN or infinity; the network cannot be quantized")
    return array


def _name(pair: Pair) -> str:
    """The name a plan knows the tensor by: the graph output where the pair ends in one."""
    name = pair.output.name if pair.output.is_graph_output() else pair.source.name
    return name or ""


def _drop_unused_initializers(graph: ir.Graph) -> None:
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output() and not value.is_graph_input():
            del graph.initializers[name]
