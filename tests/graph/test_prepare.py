from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import PASSES, prepare
from quantlab.graph.save import to_bytes
from tests.graph.models import assert_same_outputs, ops, parsed, prepared, random_feeds

# One step of a network each: what it writes after the value {x}, which keeps the shape [N, 4, 6, 6].
STEPS = {
    "convolution": "{y} = Conv<pads = [1, 1, 1, 1]>({x}, w{n}, b)",
    "normalized convolution": "c{n} = Conv<pads = [1, 1, 1, 1]>({x}, w{n})  {y} = BatchNormalization(c{n}, s, b, m, v)",
    "normalization": "{y} = BatchNormalization({x}, s, b, m, v)",
    "transposed convolution": "{y} = ConvTranspose<pads = [1, 1, 1, 1]>({x}, w{n}, b)",
    "shared convolution": "{y} = Conv<pads = [1, 1, 1, 1]>({x}, shared)",
    "shared transposed convolution": "{y} = ConvTranspose<pads = [1, 1, 1, 1]>({x}, shared)",
    "identity": "{y} = Identity({x})",
    "dropout": "{y} = Dropout({x})",
    "activation": "{y} = Relu({x})",
    "padded convolution": "p{n} = Pad({x}, pads)  {y} = Conv(p{n}, w{n}, b)",
    "residual": "r{n} = Sigmoid({x})  {y} = Add({x}, r{n})",
    "gate": "a{n} = GlobalAveragePool({x})  i{n} = Identity(a{n})  g{n} = Sigmoid(i{n})  {y} = Mul({x}, g{n})",
    "constants": "t{n} = Sub(one, one)  u{n} = Add(t{n}, one)  {y} = Mul({x}, u{n})",
    "reshape": "h{n} = Shape({x})  f{n} = Flatten({x})  {y} = Reshape(f{n}, h{n})",
    "softmax": "{y} = Softmax<axis = 3>({x})",
}


def network(steps: list[str], opset: int, seed: int) -> Model:
    """Return the steps one after the other, every third value put out as well."""
    random = np.random.default_rng(seed)
    names = ["x", *(f"v{n}" for n in range(len(steps)))]
    body = [STEPS[step].format(x=names[n], y=names[n + 1], n=n) for n, step in enumerate(steps)]
    outputs = [name for n, name in enumerate(names[1:], 1) if n % 3 == 0 or n == len(steps)]
    # Sums of 36 terms keep the size of their input: the exponential of a softmax must not enlarge rounding errors.
    kernels = {f"w{n}": random.normal(0, 1 / 6, (4, 4, 3, 3)).astype(np.float32) for n in range(len(steps))}
    weights: dict[str, Any] = {
        **{name: array for name, array in kernels.items() if f" {name}" in " ".join(body)},
        "shared": random.normal(0, 1 / 6, (4, 4, 3, 3)).astype(np.float32),
        **{name: random.normal(size=4).astype(np.float32) for name in "sbm"},
        "v": random.uniform(0.1, 2, 4).astype(np.float32),
        "one": np.ones((), np.float32),
        "pads": np.array([0, 0, 0, 2, 0, 0, 2, 0]),
    }
    declared = ", ".join(f"float[N,4,6,6] {name}" for name in outputs)
    return parsed(f"g (float[N,4,6,6] x) => ({declared}) {{ {'  '.join(body)} }}", opset, ir_version=8, **weights)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=7),
    opset=st.integers(11, 21),
    seed=st.integers(0, 1000),
)
def test_a_prepared_network_computes_the_same_under_unique_names(steps, opset, seed):
    model = network(steps, opset, seed)
    after = prepared(model)
    assert after.opset == max(opset, 13)
    assert after.outputs == model.outputs
    names = [node.name for node in after.graph]
    assert all(names)
    assert len(set(names)) == len(names)
    assert not {"Dropout", "Constant"} & set(ops(after))
    given = {value.name for node in model.graph for value in node.outputs}
    kept = [node for node in after.graph if node.op_type in ("Relu", "Sigmoid", "Add", "Mul")]
    assert {value.name for node in kept for value in node.outputs} <= given
    biases = [node.inputs[2] for node in after.graph if node.op_type.startswith("Conv") and len(node.inputs) > 2]
    assert len(set(biases)) == len(biases)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6), opset=st.integers(11, 21))
def test_preparing_twice_changes_nothing_more(steps, opset):
    once = prepare(network(steps, opset, 0))
    twice = prepare(Model(once.ir_model))
    assert to_bytes(twice) == to_bytes(once)


@settings(max_examples=10, deadline=None)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6))
def test_the_model_that_was_given_is_left_as_it_was(steps):
    model = network(steps, 11, 0)
    before = to_bytes(model)
    prepare(model)
    assert to_bytes(model) == before


def test_preparing_is_the_same_every_time():
    steps = sorted(STEPS)
    assert to_bytes(prepare(network(steps, 11, 0))) == to_bytes(prepare(network(steps, 11, 0)))


def test_a_prepared_model_survives_its_file():
    after = prepare(network(sorted(STEPS), 17, 0))
    assert_same_outputs(after, load(to_bytes(after)))


def inner(model: Model) -> Iterator[tuple[Any, ...]]:
    """Yield what stands in the subgraphs of a model."""
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.graph is not model.graph:
            attributes = [(name, attribute.value) for name, attribute in node.attributes.items()]
            values = [value.name if value else None for value in (*node.inputs, *node.outputs)]
            yield node.domain, node.op_type, node.name, values, str(attributes)


BRANCHES = """g (float[N,4] x, bool c) => (float[N,4] y) { a = Relu(x)  i = Identity(a)  y = If(c) <
    then_branch = t () => (float[N,4] p) { k = Constant<value = float[4] {1, 2, 3, 4}>()  d = Dropout(i)
        q = Identity(d)  p = Add(q, k) },
    else_branch = e () => (float[N,4] p) { k = Constant<value = float {2}>()  p = own.Mystery<way = 3>(a, k) }> }"""


def test_subgraphs_and_operators_of_other_domains_survive():
    model = parsed(BRANCHES)
    after = prepare(model)
    assert [(n.domain, n.op_type) for n in ir.traversal.RecursiveGraphIterator(after.graph)][-1] == ("own", "Mystery")
    kept = [what[1] for what in inner(after)]
    assert set(kept) >= {"Constant", "Add", "Mystery"}
    assert not [what for what in inner(after) if what[1] == "Mystery" and "way" not in what[4]]


def test_a_loop_computes_the_same():
    model = parsed("""g (float[2,3] x) => (float[2,3] y, float[K,2,3] z) { m = Constant<value = int64 {3}>()
    t = Constant<value = bool {1}>()  i = Identity(x)  y, z = Loop(m, t, i) <body =
    b (int64 n, bool c, float[2,3] v) => (bool o, float[2,3] w, float[2,3] s) {
    o = Identity(c)  k = Constant<value = float {0.5}>()  u = Mul(v, k)  w = Add(u, i)  s = Identity(w) }> }""")
    after = prepared(model)
    assert ops(after) == ["Loop"]


@pytest.mark.parametrize("choice", [True, False])
def test_a_branch_computes_the_same(choice):
    model = parsed(BRANCHES.replace("own.Mystery<way = 3>", "Mul"))
    assert_same_outputs(model, prepare(model), {"x": random_feeds(model)["x"], "c": np.array(choice)})


@pytest.mark.parametrize("count", range(1, len(PASSES) + 1))
def test_every_pass_alone_keeps_outputs_and_interface(count):
    model = network(sorted(STEPS), 17, 0)
    after = model.clone()
    for run_pass in PASSES[:count]:
        notes = run_pass(after.ir_model)
        assert all(note and "\n" not in note for note in notes)
    assert after.inputs == model.inputs
    assert after.outputs == model.outputs
    assert_same_outputs(model, Model(after.ir_model))


def test_notes_of_the_loader_stay():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
    noted = Model(model.ir_model, notes=("from the door",))
    assert prepare(noted).notes == ("from the door",)


def test_a_model_of_numbers_other_than_float32_is_prepared():
    model = parsed("g (float16[N,4] x, int64[N] i) => (float16[N,4] y, int64[N] j) { y = Relu(x)  j = Abs(i) }")
    prepared(model)
