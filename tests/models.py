"""Small models as ONNX text, for tests of what happens to a graph."""

import numpy as np
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader
from quantlab.scheme import Scheme

ACTIVATION = Scheme("uint8", symmetric=False)
WEIGHT = Scheme("int8", axis=0, narrow=True)
BIAS = Scheme("int32", axis=0)


def model_from_text(text: str, weights: dict[str, np.ndarray]) -> Model:
    """Parse ONNX text; the graph inputs named in `weights` become initializers with those values."""
    parsed = ir.from_onnx_text(text)
    for value in list(parsed.graph.inputs):
        if value.name in weights:
            parsed.graph.inputs.remove(value)
            value.const_value = ir.tensor(weights[value.name], name=value.name)
            parsed.graph.register_initializer(value)
    return Model(parsed)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Return seeded normal noise as float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def two_convs(channels: int = 4) -> Model:
    """Two convolutions with a ReLU between them; weights are seeded noise."""
    c = channels
    text = f"""
    <ir_version: 10, opset_import: ["": 18]>
    two_convs (float[batch, 3, 8, 8] image, float[{c}, 3, 3, 3] w1, float[{c}] b1, float[{c}, {c}, 3, 3] w2,
               float[{c}] b2) => (float[batch, {c}, 8, 8] scores)
    <float[batch, {c}, 8, 8] before, float[batch, {c}, 8, 8] hidden>
    {{
        [conv1] before = Conv <pads: ints = [1, 1, 1, 1]> (image, w1, b1)
        [relu1] hidden = Relu (before)
        [conv2] scores = Conv <pads: ints = [1, 1, 1, 1]> (hidden, w2, b2)
    }}
    """
    weights = {
        "w1": noise(c, 3, 3, 3, seed=1),
        "b1": noise(c, seed=2),
        "w2": noise(c, c, 3, 3, seed=3),
        "b2": noise(c, seed=4),
    }
    return model_from_text(text, weights)


def two_convs_plan() -> Plan:
    """Return the plan that quantizes everything in `two_convs`."""
    points = (
        Point("image", ACTIVATION, "activation", (Reader("conv1", 0),)),
        Point("w1", WEIGHT, "weight", (Reader("conv1", 1),)),
        Point("b1", BIAS, "bias", (Reader("conv1", 2),), derived_from=("image", "w1")),
        Point("hidden", ACTIVATION, "activation", (Reader("conv2", 0),)),
        Point("w2", WEIGHT, "weight", (Reader("conv2", 1),)),
        Point("b2", BIAS, "bias", (Reader("conv2", 2),), derived_from=("hidden", "w2")),
        Point("scores", ACTIVATION, "activation", (), is_output=True),
    )
    return Plan("onnxruntime", points, integer_nodes=("conv1", "conv2"))
