from __future__ import annotations

import numpy as np
import pytest

from tests.graph.models import ops, parsed, prepared, weight

PLUS = "y = Add(x, c)"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("value = float[2] {1.5, 2.5}", [1.5, 2.5]),
        ("value_float = 1.5", 1.5),
        ("value_floats = [1.5, 2.5]", [1.5, 2.5]),
    ],
)
def test_constant_nodes_become_initializers_of_the_same_name(attribute, value):
    after = prepared(parsed(f"g (float[N,2] x) => (float[N,2] y) {{ c = Constant<{attribute}>()  {PLUS} }}"))
    assert ops(after) == ["Add"]
    assert weight(after, "c").dtype == np.float32
    assert np.array_equal(weight(after, "c"), np.array(value, np.float32))


@pytest.mark.parametrize(("attribute", "value"), [("value_int = 2", 2), ("value_ints = [2, 3]", [2, 3])])
def test_integer_constants_are_int64(attribute, value):
    after = prepared(parsed(f"g (int64[N,2] x) => (int64[N,2] y) {{ c = Constant<{attribute}>()  {PLUS} }}"))
    assert weight(after, "c").dtype == np.int64
    assert np.array_equal(weight(after, "c"), value)


def test_a_constant_that_is_an_output_stays():
    after = prepared(
        parsed(
            "g (float[N,2] x) => (float[N,2] y, float[2] c) { c = Constant<value_floats = [1.0, 2.0]>()  y = Relu(x) }"
        )
    )
    assert ops(after) == ["Constant", "Relu"]


def test_initializers_are_taken_off_the_inputs():
    model = parsed(
        "g (float[N,2] x, float[2] c) => (float[N,2] y) <float[2] c = {1, 2}> { y = Add(x, c) }", ir_version=3
    )
    assert [value.name for value in model.graph.inputs] == ["x", "c"]
    after = prepared(model)
    assert [value.name for value in after.graph.inputs] == ["x"]
    assert after.notes[0] == "1 inputs that have a value in the file were made constants"
