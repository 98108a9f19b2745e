from __future__ import annotations

import numpy as np

from quantlab.graph.prepare import prepare
from tests.graph.models import outputs_of, parsed, prepared


def names(model):
    return [node.name for node in model.graph]


def test_names_that_are_there_and_unique_stay():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { [first] t = Neg(x)  [second] y = Relu(t) }")
    after = prepared(model)
    assert names(after) == ["first", "second"]
    assert after.notes == ()


def test_nodes_without_a_name_are_called_after_operator_and_output():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { t = Neg(x)  y = Relu(t) }")
    assert names(prepared(model)) == ["Neg_t", "Relu_y"]


def test_a_name_used_twice_stays_with_the_first_node():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { [a] t = Neg(x)  [a] u = Abs(t)  [a_1] y = Relu(u) }")
    after = prepare(model)  # ONNX Runtime refuses the model as it was
    assert names(after) == ["a", "a_2", "a_1"]
    assert after.notes[0].startswith("1 nodes")
    assert outputs_of(after, {"x": np.ones((1, 4), np.float32)})["y"].tolist() == [[1, 1, 1, 1]]


def test_preparing_twice_changes_no_name():
    model = prepared(parsed("g (float[N,4] x) => (float[N,4] y) { t = Neg(x)  u = Neg(t)  y = Relu(u) }"))
    assert names(prepared(model)) == names(model)


def test_the_model_that_was_given_keeps_its_names():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { t = Neg(x)  y = Relu(t) }")
    prepared(model)
    assert not any(names(model))


def test_a_name_that_a_subgraph_has_too_stays():
    model = parsed("""g (float[N,4] x, bool c) => (float[N,4] y) { [one] a = Relu(x)  [two] y = If(c) <
    then_branch = t () => (float[N,4] y) { [one] y = Neg(a) },
    else_branch = e () => (float[N,4] y) { y = Abs(a) }> }""")
    after = prepare(model)
    assert names(after) == ["one", "two"]
    assert after.outputs == ("y",)


def test_outputs_that_are_left_out_stay_left_out():
    model = parsed("g (float[N,2,4,4] x) => (float[N,2,2,2] y) { y, = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }")
    assert [value.name for value in prepared(model).graph.node(0).outputs if value.name] == ["y"]
