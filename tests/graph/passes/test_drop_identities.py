from __future__ import annotations

import numpy as np

from quantlab.graph.passes.drop_identities import drop_identities
from quantlab.graph.prepare import prepare
from tests.graph.models import assert_same_outputs, ops, parsed, prepared, random_feeds

ROW = "(float[N,4] x)"


def test_identities_and_dropouts_go_and_names_stay():
    after = prepared(
        parsed(f"g {ROW} => (float[N,4] y) {{ a = Relu(x)  b = Identity(a)  c = Dropout(b)  y = Neg(c) }}")
    )
    assert ops(after) == ["Relu", "Neg"]
    assert [value.name for node in after.graph for value in node.outputs] == ["a", "y"]


def test_an_identity_before_an_output_hands_its_name_on():
    after = prepared(parsed(f"g {ROW} => (float[N,4] y) {{ a = Relu(x)  y = Identity(a) }}"))
    assert ops(after) == ["Relu"]
    assert after.outputs == ("y",)


def test_an_output_that_is_an_input_keeps_its_identity():
    assert ops(prepared(parsed(f"g {ROW} => (float[N,4] y) {{ y = Identity(x) }}"))) == ["Identity"]


def test_a_value_put_out_under_two_names_keeps_an_identity():
    after = prepared(parsed(f"g {ROW} => (float[N,4] a, float[N,4] b) {{ a = Relu(x)  b = Identity(a) }}"))
    assert after.outputs == ("a", "b")
    assert ops(after) == ["Relu", "Identity"]


def test_two_identities_of_one_value_before_outputs_keep_both_names():
    after = prepared(
        parsed(f"g {ROW} => (float[N,4] a, float[N,4] b) {{ t = Relu(x)  a = Identity(t)  b = Identity(t) }}")
    )
    assert after.outputs == ("a", "b")


def test_a_constant_output_keeps_its_identity():
    model = parsed(
        f"g {ROW} => (float[4] c, float[N,4] y) <float[4] w = {{1, 2, 3, 4}}> {{ c = Identity(w)  y = Relu(x) }}"
    )
    assert prepared(model).outputs == ("c", "y")


def test_a_dropout_in_training_mode_stays_with_its_reason():
    model = parsed(
        f"g {ROW} => (float[N,4] y) <float r = {{0.5}}, bool t = {{1}}> {{ [drop] a = Dropout(x, r, t)  y = Neg(a) }}"
    )
    after = prepare(model)
    assert "Dropout" in ops(after)
    assert after.notes == ("Dropout 'drop' stays: it is in training mode; export the model with training off",)


def test_a_dropout_whose_mode_is_fed_stays():
    model = parsed(
        "g (float[N,4] x, bool t) => (float[N,4] y) <float r = {0.5}> { [drop] a = Dropout(x, r, t)  y = Neg(a) }"
    )
    assert "computed" in prepare(model).notes[0]


def test_a_dropout_whose_mask_is_used_stays():
    model = parsed(f"g {ROW} => (float[N,4] y, bool[N,4] m) {{ [drop] a, m = Dropout(x)  y = Neg(a) }}").clone()
    assert drop_identities(model.ir_model) == ("Dropout 'drop' stays: its mask is used",)


def test_the_mask_of_a_dropout_is_all_true_after_preparing():
    prepared(parsed(f"g {ROW} => (float[N,4] y, bool[N,4] m) {{ a, m = Dropout(x)  y = Neg(a) }}"))


def test_a_value_read_in_a_subgraph_is_found_there_after_its_identity_went():
    model = parsed(
        """g (float[N,4] x, bool c) => (float[N,4] y) { a = Relu(x)  b = Identity(a)  y = If(c) <
        then_branch = t () => (float[N,4] p) { p = Neg(b) },
        else_branch = e () => (float[N,4] q) { q = Identity(b) }> }"""
    )
    after = prepare(model)
    assert ops(after) == ["Relu", "If"]
    for choice in (True, False):
        assert_same_outputs(model, after, {"x": random_feeds(model)["x"], "c": np.array(choice)})
