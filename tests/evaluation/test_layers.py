"""Layer by layer: counterparts are found, and the differences are those of a direct computation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from quantlab.engines import OnnxRuntime
from quantlab.errors import DataError, EngineError
from quantlab.evaluation.differences import LayerDiff
from quantlab.evaluation.layers import compare_layers, matching_tensors
from quantlab.graph.model import Model
from tests.engines.fake import FakeEngine
from tests.engines.models import model_from_text
from tests.evaluation.samples import batches_of


def plain(batch: str = "N") -> Model:
    return model_from_text(
        f"""
        plain (float[{batch}, 4] x) => (float[{batch}, 4] y) {{
          [first] a = Abs(x)
          [second] b = Neg(a)
          [third] y = Add(b, x)
        }}
        """
    )


def quantized() -> Model:
    """The same with `a` and the output quantized; the output keeps its name, as `insert` leaves it."""
    return model_from_text(
        """
        quantized (float[N, 4] x) => (float[N, 4] y)
        <float s = {0.5}, float t = {0.25}, int8 z = {0}> {
          [first] a = Abs(x)
          [qa] a_quantized = QuantizeLinear(a, s, z)
          [da] a_dequantized = DequantizeLinear(a_quantized, s, z)
          [second] b = Neg(a_dequantized)
          [third] y_float = Add(b, x)
          [qy] y_quantized = QuantizeLinear(y_float, t, z)
          [dy] y = DequantizeLinear(y_quantized, t, z)
        }
        """
    )


X = np.random.default_rng(0).uniform(-4, 4, (20, 4)).astype(np.float32)


def rounded(values: np.ndarray, scale: float) -> np.ndarray:
    return np.rint(values / np.float32(scale)) * np.float32(scale)


def diff(engine: FakeEngine | OnnxRuntime | None = None, cap: int = 2**20, batch_size: int = 7) -> LayerDiff:
    batches = batches_of({"x": X}, plain(), batch_size=batch_size)
    return compare_layers(plain(), quantized(), engine or FakeEngine(), batches, memory_cap_bytes=cap)


def test_quantized_tensors_are_compared_after_they_are_read_back():
    assert matching_tensors(plain(), quantized()) == {"a": "a_dequantized", "b": "b", "y": "y"}


@pytest.mark.parametrize("optimization", ["all", "none"])
def test_the_differences_are_those_of_a_direct_computation(optimization: str):
    engine = OnnxRuntime(threads=1, optimization="all" if optimization == "all" else "none")
    layers = {layer.tensor: layer for layer in diff(engine).layers}
    a, y = np.abs(X), X - np.abs(X)
    other_a = rounded(a, 0.5)
    other_y = rounded(X - other_a, 0.25)
    for tensor, exact, other in (("a", a, other_a), ("b", -a, -other_a), ("y", y, other_y)):
        error = exact.astype(np.float64) - other
        expected = 10 * math.log10((exact.astype(np.float64) ** 2).sum() / (error**2).sum())
        # One float32 rounding of a sum may differ between runtimes.
        assert layers[tensor].sqnr.db == pytest.approx(expected, rel=1e-5)
        assert layers[tensor].largest_error == pytest.approx(np.abs(error).max(), rel=1e-5)
        assert layers[tensor].largest_value == pytest.approx(np.abs(exact).max(), rel=1e-6)


def test_the_worst_layer_comes_first_and_the_order_is_known():
    result = diff()
    assert [layer.sqnr.db for layer in result.layers] == sorted(layer.sqnr.db for layer in result.layers)
    assert [layer.tensor for layer in result.in_order] == ["a", "b", "y"]
    assert result.in_order[0].node == "first, Abs"
    assert result.samples == 20


@pytest.mark.parametrize("cap", [1, 64, 100, 200, 1000])
@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_cap_and_batch_size_change_nothing(cap: int, batch_size: int):
    assert diff(cap=cap, batch_size=batch_size) == diff()


def test_a_model_against_itself_is_identical():
    batches = batches_of({"x": X}, plain())
    result = compare_layers(plain(), plain(), FakeEngine(), batches)
    assert all(layer.sqnr.is_identical and layer.largest_error == 0 for layer in result.layers)


def test_only_the_tensors_asked_for_are_compared():
    batches = batches_of({"x": X}, plain())
    result = compare_layers(plain(), quantized(), FakeEngine(), batches, ["b"])
    assert [layer.tensor for layer in result.layers] == ["b"]


@pytest.mark.parametrize("count", [1, 5])
def test_a_fixed_batch_size_is_filled_up(count: int):
    batches = batches_of({"x": X[:count]}, plain())
    result = compare_layers(plain("2"), quantized(), FakeEngine(), batches)
    free = compare_layers(plain(), quantized(), FakeEngine(), batches)
    assert result == free


def test_a_tensor_that_one_model_lacks_is_named():
    with pytest.raises(EngineError, match="plain: no input or node gives a tensor 'y_float'"):
        matching_tensors(plain(), quantized(), ["y_float"])


def test_models_without_a_common_tensor_are_refused():
    other = model_from_text("other (float[N, 4] x) => (float[N, 4] z) { z = Abs(x) }")
    with pytest.raises(EngineError, match="plain and other have no tensor of the same name"):
        matching_tensors(plain(), other)


def test_a_quantized_input_is_compared_and_a_plain_one_is_not():
    model = model_from_text(
        """
        m (float[N, 4] x) => (float[N, 4] y)
        <float s = {0.5}, int8 z = {0}> {
          x_quantized = QuantizeLinear(x, s, z)
          x_dequantized = DequantizeLinear(x_quantized, s, z)
          y = Add(x_dequantized, x_dequantized)
        }
        """
    )
    plain_sum = model_from_text("p (float[N, 4] x) => (float[N, 4] y) { y = Add(x, x) }")
    assert matching_tensors(plain_sum, model) == {"x": "x_dequantized", "y": "y"}
    assert matching_tensors(plain_sum, plain_sum) == {"y": "y"}
    layers = compare_layers(plain_sum, model, FakeEngine(), batches_of({"x": X}, plain_sum)).in_order
    assert [layer.node for layer in layers] == ["model input", "unnamed, Add"]
    assert layers[0].largest_error == pytest.approx(np.abs(X - rounded(X, 0.5)).max())


def test_tensors_of_integers_are_left_out():
    model = model_from_text(
        "m (float[N, 4] x) => (float[N, 4] y) <int64[R] shape> { shape = Shape(x) y = Reshape(x, shape) }"
    )
    assert list(matching_tensors(model, model)) == ["y"]


def test_no_samples_are_refused():
    with pytest.raises(DataError, match="not a single sample"):
        compare_layers(plain(), plain(), FakeEngine(), batches_of({"x": X}, plain()).beyond(20))


def test_a_diff_prints_and_becomes_json():
    result = diff()
    assert str(result).splitlines()[0] == "quantized against plain, 20 samples, 3 tensors, worst first"
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["layers"][0]["tensor"] == result.layers[0].tensor


def renamed(formula: str) -> Model:
    """A model in which an exporter gave the name `a` to another tensor."""
    return model_from_text(f"other (float[N, 4] x) => (float[N, 4] y) {{ {formula} }}")


def test_tensors_of_one_name_and_different_shapes_are_left_out():
    other = renamed("a = Transpose(x) b = Neg(x) c = Transpose(a) y = Add(b, c)")
    found = compare_layers(plain(), other, OnnxRuntime(threads=1), batches_of({"x": X}, plain()))
    assert {layer.tensor for layer in found.layers} == {"b", "y"}
    with pytest.raises(EngineError, match="tensor 'a': its shapes differ"):
        compare_layers(plain(), other, OnnxRuntime(threads=1), batches_of({"x": X}, plain()), ["a", "y"])


def test_models_whose_tensors_share_names_only_are_told_by_the_first():
    one = model_from_text("one (float[N, 4] x) => (float[4, N] y) { y = Transpose(x) }")
    with pytest.raises(EngineError, match=r"same shape \(y is \[1, 4\] in the first, \[4, 1\] in the second\)"):
        compare_layers(renamed("y = Neg(x)"), one, OnnxRuntime(threads=1), batches_of({"x": X}, plain()))
