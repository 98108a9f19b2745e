"""The simulation rounds and overflows where half precision does, which ONNX Runtime by itself does not."""

import numpy as np

from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model
from quantlab.precision import to_half, with_float_arithmetic
from tests.models import model_from_text

VALUES = np.array([1.0, 2.0, -0.5, 1 / 3], np.float32)


def half_model(body: str, **weights: np.ndarray) -> Model:
    inputs = "".join(f", float[{','.join(map(str, array.shape))}] {name}" for name, array in weights.items())
    text = f'<ir_version: 10, opset_import: ["": 18]> g (float[4] x{inputs}) => (float[4] y) {body}'
    return to_half(model_from_text(text, weights))


def run(model: Model) -> np.ndarray:
    for optimization in ("none", "all"):
        with OnnxRuntime(threads=1, optimization=optimization).open(model) as session:
            found = session.run({"x": VALUES})["y"]
    return found


def test_what_exceeds_the_largest_half_overflows():
    big = np.array(60000, np.float32)
    model = half_model("{ h = Mul(x, k) y = Div(h, k) }", k=big)
    assert np.isfinite(run(model)).all()  # ONNX Runtime drops the casts between the two nodes
    np.testing.assert_array_equal(np.isinf(run(with_float_arithmetic(model))), [False, True, False, False])


def test_every_result_is_rounded_and_inner_arithmetic_is_not():
    k = np.array(1.001, np.float32)
    exact = run(with_float_arithmetic(half_model("{ h = Mul(x, k) y = Mul(h, k) }", k=k)))
    x, half_k = VALUES.astype(np.float16), k.astype(np.float16)
    once = (x.astype(np.float32) * half_k).astype(np.float16)
    twice = (once.astype(np.float32) * half_k).astype(np.float16)
    np.testing.assert_array_equal(exact, twice.astype(np.float32))


def test_a_model_without_halves_stays_as_it_is():
    model = model_from_text(
        '<ir_version: 10, opset_import: ["": 18]> g (float[4] x) => (float[4] y) { y = Exp(x) }', {}
    )
    assert [node.op_type for node in with_float_arithmetic(model).graph] == ["Exp"]
