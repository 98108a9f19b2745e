"""Multiply-adds are counted from shapes, for one sample or for the sizes given."""

from __future__ import annotations

from quantlab.audit.work import multiply_adds
from quantlab.graph.load import load
from quantlab.graph.save import to_bytes
from quantlab.targets.tensorrt import TensorRT
from tests.models import model_from_text, noise, two_convs
from tests.patterns import PATTERNS
from tests.runs import CHANNELS, CLASSES, classifier
from tests.targets.quantize import quantized

CLASSIFIER = {"conv1": 3 * 9 * 64 * CHANNELS, "conv2": CHANNELS * 9 * 64 * CHANNELS, "linear": CHANNELS * CLASSES}


def test_convolutions_and_linear_layers_count_and_nothing_else_does() -> None:
    assert multiply_adds(classifier()) == CLASSIFIER


def test_a_batch_given_counts() -> None:
    assert multiply_adds(classifier(), {"image": (5, 3, 8, 8)}) == {name: 5 * n for name, n in CLASSIFIER.items()}


def test_free_axes_are_1_or_as_given() -> None:
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    free (float[N, 2, H, W] x, float[4, 2, 3, 3] w) => (float[N, 4, H, W] y) {
      [conv] y = Conv<pads = [1, 1, 1, 1]>(x, w)
    }
    """
    model = model_from_text(text, {"w": noise(4, 2, 3, 3)})
    assert multiply_adds(model) == {"conv": 4 * 2 * 9}
    assert multiply_adds(model, {"x": (1, 2, 10, 6)}) == {"conv": 4 * 2 * 9 * 60}


def test_quantizing_and_saving_leave_the_count_as_it_was() -> None:
    for pattern in ("residual_identity", "attention", "grouped_conv", "matmul_bias"):
        model = PATTERNS[pattern]()
        expected = multiply_adds(model)
        assert expected
        int8 = quantized(model, TensorRT().place(model))
        assert multiply_adds(load(to_bytes(int8))) == expected


def test_groups_and_transposed_convolutions_are_counted_by_what_they_multiply() -> None:
    pixels = 16 * 16
    assert multiply_adds(PATTERNS["grouped_conv"]()) == {"even": 64 * 16 * 9 * pixels, "odd": 24 * 16 * 9 * pixels}
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    up (float[1, 6, 4, 4] x, float[6, 5, 2, 2] w) => (float[1, 5, 8, 8] y) {
      [up] y = ConvTranspose<strides = [2, 2]>(x, w)
    }
    """
    assert multiply_adds(model_from_text(text, {"w": noise(6, 5, 2, 2)})) == {"up": 6 * 4 * 4 * 5 * 2 * 2}


def test_a_recurrent_layer_multiplies_input_and_state_at_every_step() -> None:
    text = """
    <ir_version: 10, opset_import: ["": 17]>
    steps (float[20, N, 12] x, float[1, 128, 12] w, float[1, 128, 32] r) => (float[20, 1, N, 32] y) {
      [lstm] y = LSTM<hidden_size = 32>(x, w, r)
    }
    """
    model = model_from_text(text, {"w": noise(1, 128, 12), "r": noise(1, 128, 32)})
    assert multiply_adds(model, {"x": (20, 2, 12)}) == {"lstm": 20 * 2 * 128 * (12 + 32)}


def test_a_transposed_gemm_counts_its_inner_axis() -> None:
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    gemm (float[7, 3] x, float[7, 5] w) => (float[3, 5] y) { [gemm] y = Gemm<transA = 1>(x, w) }
    """
    assert multiply_adds(model_from_text(text, {"w": noise(7, 5)})) == {"gemm": 3 * 5 * 7}


def test_counting_leaves_the_model_as_it_was() -> None:
    model = two_convs()
    before = to_bytes(model)
    multiply_adds(model, {"image": (4, 3, 8, 8)})
    assert to_bytes(model) == before
