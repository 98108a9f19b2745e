"""Weights that several nodes read get a copy for each, which computes the same."""

from __future__ import annotations

import numpy as np

from quantlab.engines import OnnxRuntime
from quantlab.engines.unshare_weights import unshare_weights
from quantlab.graph.model import Model
from tests.engines.models import model_from_text

LITERALLY = OnnxRuntime(threads=1, optimization="none")
X = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)


def shared() -> Model:
    """Return a model of two products with one weight, which is also an output."""
    return model_from_text(
        """g (float[N, 4] x) => (float[N, 4] y, float[4, 4] w)
        <int8[4, 4] q = {1, -2, 3, 4, 5, 6, -7, 8, 9, 1, 2, 3, -4, 5, 6, 7}, float s = {0.1}, int8 z = {0}> {
            w = DequantizeLinear(q, s, z)
            a = MatMul(x, w)
            y = MatMul(a, w)
        }""",
        opset=17,
    )


def test_every_reader_has_integers_of_its_own_and_outputs_keep_their_names():
    model = shared()
    unshare_weights(model)
    read = [node.inputs[0].name for node in model.graph if node.op_type == "DequantizeLinear" and node.inputs[0]]
    assert len(read) == len(set(read)) == 3
    assert model.outputs == ("y", "w")


def test_what_is_computed_stays_the_same():
    model, original = shared(), shared()
    unshare_weights(model)
    with LITERALLY.open(model) as session, LITERALLY.open(original) as reference:
        found, expected = session.run({"x": X}), reference.run({"x": X})
    np.testing.assert_array_equal(found["y"], expected["y"])
    np.testing.assert_array_equal(found["w"], expected["w"])


def test_a_model_without_quantized_weights_is_left_alone():
    model = model_from_text("g (float[N, 4] x) => (float[N, 4] y) { y = Relu(x) }", opset=17)
    unshare_weights(model)
    assert [node.op_type for node in model.graph] == ["Relu"]
