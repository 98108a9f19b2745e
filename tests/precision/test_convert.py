"""Models become half precision around what must stay float32, and stay valid and near themselves."""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes
from quantlab.lint import lint
from quantlab.precision import to_half, with_float_arithmetic
from quantlab.targets import TensorRT, WeightScales
from tests.models import model_from_text, noise
from tests.patterns import PATTERNS
from tests.targets.quantize import LITERALLY, noise_for, quantized

HALF, FLOAT = ir.DataType.FLOAT16, ir.DataType.FLOAT


def outputs(model: Model, like: Model | None = None) -> dict[str, np.ndarray]:
    with LITERALLY.open(model) as session:
        return dict(session.run(noise_for(like or model)))


def error_of(half: Model, model: Model) -> float:
    """The root of the mean squared error over that of the signal, the largest over all outputs."""
    pairs = zip(outputs(with_float_arithmetic(half), model).values(), outputs(model).values(), strict=True)
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)


def floats_read(model: Model) -> Iterator[tuple[ir.Node, ir.Value]]:
    return ((node, v) for node in model.graph for v in node.inputs if v is not None and v.dtype == FLOAT)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_in_half_precision_is_valid_and_within_the_rounding_of_halves(name: str):
    model = PATTERNS[name]()
    half = to_half(model)
    load(to_bytes(half))
    # A half keeps 11 bits: each tensor is off by at most 2^-12, evenly spread (2^-12 / √3 on average), and the
    # deepest pattern rounds a dozen times in a row.
    assert error_of(half, model) < 12 * 2**-12
    assert [(v.name, v.dtype) for v in half.graph.outputs] == [(v.name, v.dtype) for v in model.graph.outputs]
    assert [(v.name, v.dtype) for v in half.graph.inputs] == [(v.name, v.dtype) for v in model.graph.inputs]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_quantized_pattern_keeps_its_scales_and_integers(name: str):
    model = PATTERNS[name]()
    int8 = quantized(model, TensorRT().place(model))
    half = to_half(int8)
    load(to_bytes(half))
    for node in half.graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert node.inputs[1] is not None
            assert node.inputs[1].dtype == FLOAT
    names = {key: value for key, value in int8.graph.initializers.items() if value.dtype == ir.DataType.INT8}
    for key in names:
        np.testing.assert_array_equal(half.constant(key), int8.constant(key))


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("weight_scales", ["per-channel", "per-tensor"])
def test_lint_finds_nothing_in_a_quantized_pattern_in_half_precision(name: str, weight_scales: WeightScales):
    model = PATTERNS[name]()
    plan = TensorRT(weight_scales=weight_scales).place(model)
    if plan.points:
        assert lint(to_half(quantized(model, plan)), "tensorrt").is_clean


def test_only_casts_and_pairs_read_float32():
    model = PATTERNS["residual_projection"]()
    half = to_half(quantized(model, TensorRT().place(model)))
    assert {node.op_type for node, _ in floats_read(half)} == {"Cast", "QuantizeLinear", "DequantizeLinear"}
    assert all(value.dtype == HALF for node in half.graph if node.op_type == "Conv" for value in node.inputs if value)


def test_an_input_is_cast_once_for_all_its_readers():
    half = to_half(PATTERNS["qkv_shared_input"]())
    (image,) = half.graph.inputs
    assert [use.node.op_type for use in image.uses()] == ["Cast"]


def test_the_scales_of_a_resize_stay_float32():
    half = to_half(PATTERNS["resize_concat"]())
    read = [(node.op_type, node.inputs.index(value)) for node, value in floats_read(half) if node.op_type == "Resize"]
    assert set(read) <= {("Resize", 1), ("Resize", 2)}


def test_a_mask_is_clipped_to_the_lowest_half_and_not_for_other_readers():
    mask = np.array([[0.0, np.finfo(np.float32).min, 0.0, 0.0]], np.float32)
    text = """
    <ir_version: 10, opset_import: ["": 18]> g (float[N, 4] x, float[1, 4] m) => (float[N, 4] y, float[N, 4] z) {
      [add] s = Add(x, m)
      [softmax] y = Softmax(s)
      [other] z = Mul(x, m)
    }
    """
    half = to_half(model_from_text(text, {"m": mask}))
    np.testing.assert_array_equal(half.constant("m_half"), np.maximum(mask, -65504).astype(np.float16))
    np.testing.assert_array_equal(half.constant("m"), mask)
    assert any("other stays float32. Half precision cannot hold its constant m" in note for note in half.notes)
    probabilities = outputs(with_float_arithmetic(half))["y"]
    assert np.isfinite(probabilities).all()
    assert not probabilities[:, 1].any()


def test_a_float_output_that_halves_read_too_keeps_its_name():
    text = """
    <ir_version: 10, opset_import: ["": 18]> g (float[N, 4] x) => (float[N, 4] h, float[N, 4] y) {
      [first] h = Relu(x)
      [second] y = Exp(h)
    }
    """
    model = model_from_text(text, {})
    half = to_half(model)
    load(to_bytes(half))
    assert half.outputs == ("h", "y")
    assert error_of(half, model) < 2**-10  # one rounding of the input of an exponential of about unit slope
    assert all(value.dtype == FLOAT for value in half.graph.outputs)


def test_values_that_an_inner_graph_reads_stay_float32_for_it():
    text = """
    <ir_version: 10, opset_import: ["": 18]> g (bool c, float[4] x) => (float[4] y) {
      h = Relu(x)
      [choice] y = If(c) <
        then_branch = yes () => (float[4] a) { a = Neg(h) },
        else_branch = no () => (float[4] b) { b = Relu(h) }
      >
    }
    """
    load(to_bytes(to_half(model_from_text(text, {}))))


def test_the_model_that_was_given_stays_as_it_was():
    model = PATTERNS["conv_relu"]()
    before = to_bytes(model)
    to_half(model)
    assert to_bytes(model) == before


def test_what_a_custom_operator_leaves_is_not_guessed():
    text = """
    <ir_version: 10, opset_import: ["": 18, "mine": 1]> g (float[4] x) => (float[4] y) {
      [odd] h = mine.Odd(x)
      [relu] r = Relu(h)
      [again] y = mine.Odd(r)
    }
    """
    half = to_half(model_from_text(text, {}))
    assert not [value for node in half.graph for value in node.outputs if value.dtype == HALF]
    assert any("The type of h is not known" in note for note in half.notes)


def test_converting_twice_changes_nothing():
    half = to_half(PATTERNS["conv_silu"]())
    assert [str(n) for n in to_half(half).graph] == [str(n) for n in half.graph]


def test_weights_are_rounded_to_the_nearest_half():
    weight = noise(4, 4)
    head = '<ir_version: 10, opset_import: ["": 18]>'
    text = f"{head} g (float[N, 4] x, float[4, 4] w) => (float[N, 4] y) {{ y = MatMul(x, w) }}"
    half = to_half(model_from_text(text, {"w": weight}))
    np.testing.assert_array_equal(half.constant("w_half"), weight.astype(np.float16))
    assert "w" not in half.graph.initializers
