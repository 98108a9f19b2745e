"""What half precision cannot hold stays float32, with a sentence why."""

import numpy as np
import pytest

from quantlab.graph.passes.infer_shapes import infer_shapes
from quantlab.precision.choose import LARGEST, reasons_for_float
from tests.models import model_from_text

HEAD = '<ir_version: 10, opset_import: ["": 18]>'


def reasons(body: str, *, magnitudes: dict[str, float] | None = None, **weights: np.ndarray) -> dict[str, str]:
    inputs = "".join(f", float[{','.join(map(str, array.shape))}] {name}" for name, array in weights.items())
    model = model_from_text(f"{HEAD} g (float[2, 4] x{inputs}) => (float[2, 4] y) {body}", weights)
    infer_shapes(model.ir_model)
    return reasons_for_float(model, magnitudes)


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


@pytest.mark.parametrize("operator", ["Exp", "Reciprocal", "Log", "Softplus"])
def test_functions_that_leave_the_range_of_halves_stay_float(operator):
    assert operator in reasons(f"{{ [n] y = {operator}(x) }}")["n"]


def test_a_constant_beyond_the_largest_half_keeps_its_reader_float():
    assert "k" in reasons("{ [n] y = Mul(x, k) }", k=scalar(70000.0))["n"]
    assert not reasons("{ [n] y = Mul(x, k) }", k=scalar(65504.0))


@pytest.mark.parametrize("value", [1e-7, 1e-9])
def test_a_constant_below_the_smallest_halves_keeps_its_reader_float(value):
    # As halves, 1e-7 is 1.2e-7 and 1e-9 is 0: a division by a sum with it would not be safe any more.
    assert reasons("{ [n] y = Add(x, k) }", k=scalar(value))


def test_a_few_tiny_weights_beside_usual_ones_keep_nothing_float():
    weight = np.array([[1.0, 1e-9], [-0.5, 0.25]], np.float32).repeat(2, axis=0).repeat(2, axis=1)
    assert not reasons("{ [n] y = MatMul(x, w) }", w=weight)


def test_a_mask_before_a_softmax_keeps_nothing_float():
    lowest = np.array([[0.0, np.finfo(np.float32).min, 0.0, -np.inf]], np.float32)
    assert not reasons("{ [n] m = Add(x, k) [s] y = Softmax(m) }", k=lowest)
    assert reasons("{ [n] m = Add(x, k) [s] y = Relu(m) }", k=lowest)


def test_a_tensor_that_was_seen_near_the_end_of_the_range_keeps_its_nodes_float():
    body = "{ [first] h = Relu(x) [second] y = Neg(h) }"
    assert set(reasons(body, magnitudes={"h": LARGEST * 0.6})) == {"first", "second"}
    assert not reasons(body, magnitudes={"h": LARGEST * 0.4})


def test_an_operator_of_another_domain_stays_float():
    model = model_from_text(
        '<ir_version: 10, opset_import: ["": 18, "mine": 1]> g (float[2] x) => (float[2] y) { [n] y = mine.Relu(x) }',
        {},
    )
    assert "Relu" in reasons_for_float(model)["n"]
