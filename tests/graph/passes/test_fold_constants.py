from __future__ import annotations

import numpy as np
import pytest
from onnxscript import optimizer

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, parsed, prepared, weight

RANDOM = np.random.default_rng(0)


def test_arithmetic_on_constants_is_done_once_under_the_name_of_its_result():
    model = parsed(
        "g (float[N,4] x) => (float[N,3] y) { t = Transpose(w)  u = Mul(t, s)  y = MatMul(x, u) }",
        w=RANDOM.normal(size=(3, 4)).astype(np.float32),
        s=np.array(2, np.float32),
    )
    after = prepared(model)
    assert ops(after) == ["MatMul"]
    assert list(after.graph.initializers) == ["u"]


def test_a_large_weight_is_transposed_once():
    model = parsed(
        "g (float[N,1500] x) => (float[N,1000] y) { t = Transpose(w)  y = MatMul(x, t) }",
        w=RANDOM.normal(size=(1000, 1500)).astype(np.float32),
    )
    after = prepared(model)
    assert ops(after) == ["MatMul"]
    assert after.size_bytes == model.size_bytes


@pytest.mark.parametrize("shape", ["int64[2] s = {2000, 3000}", "int64[3] s = {2, 1000, 3000}"])
def test_what_would_make_the_file_much_larger_is_left(shape):
    rank = shape[6]
    model = parsed(
        f"g (float[1] x) => (float[{','.join('ABC'[: int(rank)])}] y) <{shape}> {{ e = Expand(w, s)  y = Add(x, e) }}",
        w=np.ones((1, 1), np.float32),
    )
    after = prepare(model)
    assert ops(after) == ["Expand", "Add"]
    assert after.size_bytes < 1000


def test_shapes_of_fixed_inputs_are_folded():
    model = parsed(
        """g (float[2,3,4] x) => (float[2,12] y) { s = Shape(x)  i = Constant<value = int64[1] {0}>()
        n = Gather(s, i)  m = Constant<value = int64[1] {-1}>()  t = Concat<axis = 0>(n, m)  y = Reshape(x, t) }"""
    )
    after = prepared(model)
    assert ops(after) == ["Reshape"]


def test_shapes_of_a_free_batch_stay_free():
    model = parsed(
        """g (float[N,3,4] x) => (float[N,12] y) { s = Shape(x)  i = Constant<value = int64[1] {0}>()
        n = Gather(s, i)  m = Constant<value = int64[1] {-1}>()  t = Concat<axis = 0>(n, m)  y = Reshape(x, t) }"""
    )
    prepared(model)  # runs with a batch of two
    assert "Reshape" in ops(prepare(model))


def test_random_numbers_and_quantized_weights_are_not_folded():
    model = parsed(
        """g (float[1,4] x) => (float[1,4] y) <float s = {0.5}, int8[4] q = {1, 2, 3, 4}, int8 z = {0}> {
        r = RandomNormal<shape = [1, 4]>()  d = DequantizeLinear(q, s, z)  t = Mul(r, d)  y = Add(x, t) }"""
    )
    assert ops(prepare(model)) == ["RandomNormal", "DequantizeLinear", "Mul", "Add"]


def test_an_operator_of_another_domain_on_constants_survives():
    model = parsed("g (float[4] x) => (float[4] y) <float[4] w = {1, 2, 3, 4}> { t = own.Mystery(w)  y = Add(x, t) }")
    assert ops(prepare(model)) == ["Mystery", "Add"]


def test_a_branch_on_a_constant_is_chosen_once():
    model = parsed(
        """g (float[N,4] x) => (float[N,4] y) <bool c = {1}> { a = Relu(x)  y = If(c) <
        then_branch = t () => (float[N,4] p) { q = Neg(a)  p = Abs(q) },
        else_branch = e () => (float[N,4] p) { p = Sqrt(a) }> }"""
    )
    after = prepared(model)
    assert ops(after) == ["Relu", "Neg", "Abs"]
    assert after.outputs == ("y",)


def test_a_failure_of_the_folding_is_told_and_the_model_still_runs(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("Error during constant folding for node 'n'")

    monkeypatch.setattr(optimizer, "fold_constants", fail)
    after = prepared(parsed("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }"))
    assert after.notes == ("constants after one node were not folded: Error during constant folding for node 'n'",)


def test_a_small_constant_of_shape_is_folded():
    model = parsed(
        """g (float[N,3] x) => (float[N,3] y) <int64[1] s = {3}> {
        c = ConstantOfShape<value = float[1] {2}>(s)  y = Add(x, c) }"""
    )
    after = prepared(model)
    assert ops(after) == ["Add"]
    assert weight(after, "c").tolist() == [2, 2, 2]
