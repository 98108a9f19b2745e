from __future__ import annotations

import onnx_ir as ir
import pytest

from quantlab.errors import ModelError
from quantlab.graph.passes import infer_shapes as module
from quantlab.graph.prepare import prepare
from tests.graph.models import parsed, prepared

FLOAT = ir.DataType.FLOAT


def shape_of(model, name):
    value = next(v for node in model.graph for v in node.outputs if v.name == name)
    return None if value.shape is None else [d if isinstance(d, int) else d.value for d in value.shape]


def test_shapes_in_the_file_that_contradict_the_graph_are_inferred_anew():
    model = parsed(
        """g (float[N,3,8,8] x) => (float[N,3,8,8] y) <float[N,3,9,9] t> { t = Relu(x)  y = Neg(t) }""",
    )
    after = prepared(model)
    assert shape_of(after, "t") == ["N", 3, 8, 8]
    assert after.notes == ("the shapes that the file gives to 1 tensors contradict its graph: 't'",)


def test_shapes_in_the_file_fill_what_inference_does_not_find():
    model = parsed(
        """g (float[N,3,8] x) => (float[N,24] y) <float[N,3,8] u> { t = Relu(x)  u = own.Mystery(t)  v = Neg(u)
        y = Flatten(v) }"""
    )
    after = prepare(model)
    assert shape_of(after, "u") == ["N", 3, 8]
    assert shape_of(after, "v") == ["N", 3, 8]
    assert after.notes == ()


def test_inference_that_fails_is_told(monkeypatch):
    def fail(model):
        raise ModelError("types and shapes contradict each other (here)")

    monkeypatch.setattr(module, "inferred", fail)
    after = prepare(parsed("g (float[N,3] x) => (float[N,3] y) { t = Neg(x)  y = Relu(t) }"))
    assert after.notes == (
        "shapes are known only as far as the file says: types and shapes contradict each other (here)",
    )


CUSTOM = """g (float[N,3,8,8] x) => (float[N,3,8,8] y) { t = Relu(x)  u = own.Mystery(t)  v = Neg(u)  y = Relu(v) }"""


def test_shapes_are_inferred_and_the_batch_stays_a_symbol():
    model = parsed("""g (float[N,3,8,8] x) => (float[N,3,4,4] y) { t = Relu(x)
    y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(t) }""")
    assert shape_of(prepared(model), "t") == ["N", 3, 8, 8]


def test_an_unknown_operator_leaves_its_output_unknown_and_the_rest_inferred():
    after = prepare(parsed(CUSTOM))
    assert shape_of(after, "t") == ["N", 3, 8, 8]
    assert shape_of(after, "u") is None


def test_the_type_of_what_an_unknown_operator_writes_is_what_its_readers_demand():
    model = parsed("""g (float[N,3,8,8] x, float[4,3,1,1] w) => (float[N,4,8,8] y) { t, u = own.Mystery(x)
    v = Relu(t)  z = Conv(v, w)  y = own.Mystery(u, z) }""")
    after = prepare(model)
    types = {value.name: value.dtype for node in after.graph for value in node.outputs}
    assert types == {"t": FLOAT, "u": None, "v": FLOAT, "z": FLOAT, "y": FLOAT}


def test_an_operator_of_many_inputs_demands_one_type_of_all_and_a_condition_is_none_of_them():
    model = parsed(
        """g (float[N] x) => (float[M] y) { b, t = own.Mystery(x)  v = Where(b, t, x)  y = Concat<axis=0>(x, v, t) }"""
    )
    types = {value.name: value.dtype for node in prepare(model).graph for value in node.outputs}
    assert types == {"b": None, "t": FLOAT, "v": FLOAT, "y": FLOAT}


def test_shapes_from_a_run_fill_what_inference_could_not():
    after = prepare(parsed(CUSTOM), shapes=dict.fromkeys("tuv", (7, 3, 8, 8)))
    assert shape_of(after, "u") == ["N", 3, 8, 8]
    assert shape_of(after, "v") == ["N", 3, 8, 8]
    assert after.notes[-1] == "the shapes of 2 tensors could not be inferred and were taken from a run"


def test_a_run_does_not_fix_what_the_inputs_leave_free():
    model = parsed("g (float[N,3,H,8] x) => (float[N,3,H,8] y) { u = own.Mystery(x)  y = Relu(u) }")
    assert shape_of(prepare(model, shapes={"u": (7, 3, 8, 8)}), "u") == ["N", None, None, None]


@pytest.mark.parametrize("size", [1, 5])
def test_a_fixed_batch_is_filled_as_a_number(size):
    model = parsed(f"g (float[{size},4] x) => (float[{size},4] y) {{ u = own.Mystery(x)  y = Relu(u) }}")
    assert shape_of(prepare(model, shapes={"u": (size, 4)}), "u") == [size, 4]
