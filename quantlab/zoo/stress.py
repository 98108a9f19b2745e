"""A network → the same function, drawn so that quantization after training ruins it.

    conv1: w1[c], b1[c] → f_c · w1[c], f_c · b1[c]        Relu(f x) = f Relu(x) for f > 0
    conv2: w2[:, c]     → w2[:, c] / f_c

The float network computes what it did. But one scale now spans channels that are `spread` times apart, and the small
ones round to nothing. Networks whose batch normalization is folded into convolutions look like this, if less so.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from quantlab.errors import ModelError
from quantlab.graph.model import Model

_SEED = 7


def with_channels_apart(model: Model, first: str, second: str, spread: float) -> Model:
    """Return a model with the outputs of one convolution scaled, and the inputs of the next scaled back.

    Args:
        model: prepared; left as it is.
        first: the name of the convolution before; it has a bias.
        second: the name of the one after, not grouped; nothing but a Relu is between the two.
        spread: the channels are scaled by 1 to this, evenly on a logarithmic axis, in a fixed random order.

    Raises:
        ModelError: there are no such convolutions.
    """
    clone = model.clone()
    before, after = (_convolution(clone, name) for name in (first, second))
    weight, bias, reader = (_constant_name(node, index) for node, index in ((before, 1), (before, 2), (after, 1)))
    channels = model.constant(weight).shape[0]
    factors = np.random.default_rng(_SEED).permutation(np.geomspace(1, spread, channels)).astype(np.float32)
    shaped = {weight: factors[:, None, None, None], bias: factors, reader: 1 / factors[:, None, None]}
    for name, factor in shaped.items():
        scaled = np.asarray(model.constant(name) * factor, np.float32)
        clone.graph.initializers[name].const_value = ir.tensor(scaled, name=name)
    return clone


def _convolution(model: Model, name: str) -> ir.Node:
    node = model.nodes_by_name().get(name)
    if node is None or node.op_type != "Conv":
        raise ModelError(f"{model.name}: it has no convolution {name!r}; `quantlab inspect` lists the nodes")
    return node


def _constant_name(node: ir.Node, index: int) -> str:
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None or not value.name or value.const_value is None:
        raise ModelError(f"convolution {node.name!r}: its input {index} is no constant; prepare the model first")
    return value.name
