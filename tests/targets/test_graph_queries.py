"""The questions that placement rules ask, on graphs written as text."""

import math

import onnx_ir as ir
import pytest

from quantlab.graph.model import Model
from quantlab.plan import Reader
from quantlab.targets import graph_queries as ask

HEADER = '<ir_version: 10, opset_import: ["": 21]>'


def model(signature: str, body: str) -> Model:
    return Model(ir.from_onnx_text(f"{HEADER} g {signature} {{ {body} }}"))


def node(m: Model, name: str) -> ir.Node:
    return next(n for n in m.graph if n.name == name)


@pytest.mark.parametrize(
    ("call", "shape", "axis"),
    [
        ("Conv(x, w)", "4,2,1,1", 0),
        ("ConvTranspose(x, w)", "4,2,1,1", 1),
        ("ConvTranspose<group = 2>(x, w)", "4,2,1,1", None),
        ("MatMul(x, w)", "4,2", 1),
        ("MatMul(x, w)", "3,4,2", None),
        ("Gemm(x, w)", "4,2", 1),
        ("Gemm<transB = 1>(x, w)", "4,2", 0),
        ("Add(x, w)", "4,2", None),
    ],
)
def test_the_weight_axis_is_the_one_that_counts_output_channels(call: str, shape: str, axis: int | None) -> None:
    m = model(f"(float[N] x, float[{shape}] w) => (y)", f"[n] y = {call}")
    assert ask.weight_axis(node(m, "n")) == axis


@pytest.mark.parametrize(
    ("call", "bounds"),
    [
        ("Relu(x)", (0.0, math.inf)),
        ("Clip(x, zero, six)", (0.0, 6.0)),
        ("Clip(x, , six)", (-math.inf, 6.0)),
        ("Clip(x, fed, six)", None),
        ("Sigmoid(x)", None),
    ],
)
def test_clip_bounds_are_known_when_constant(call: str, bounds: tuple[float, float] | None) -> None:
    m = model("(float[N] x, float fed) => (y) <float zero = {0.0}, float six = {6.0}>", f"[n] y = {call}")
    assert ask.clip_bounds(node(m, "n")) == bounds


def test_readers_list_every_edge_and_only_reader_wants_exactly_one() -> None:
    m = model("(float[N] x) => (b, d)", "[a] b = Add(x, x) [c] c = Relu(b) [d] d = Relu(c)")
    assert ask.readers(m, node(m, "a").inputs[0]) == (Reader("a", 0), Reader("a", 1))  # type: ignore[arg-type]
    assert ask.only_reader(node(m, "a").inputs[0]) is None  # type: ignore[arg-type]
    assert ask.only_reader(node(m, "a").outputs[0]) is None, "a graph output is read by the caller too"
    assert ask.only_reader(node(m, "c").outputs[0]) is node(m, "d")


def test_an_initializer_that_callers_may_feed_is_not_constant() -> None:
    m = model("(float[2] x, float[2] w = {1, 2}) => (y) <float[2] v = {1, 2}>", "[n] h = Add(x, w) [o] y = Add(h, v)")
    assert ask.constant_array(node(m, "o").inputs[1]) is not None
    assert ask.constant(node(m, "n").inputs[1]) is None
    assert [index for index, _ in ask.activations_of(node(m, "o"))] == [0]


def test_a_value_read_inside_a_body_is_recognised() -> None:
    m = model(
        "(float[2] x, bool c) => (y)",
        "[a] h = Relu(x) [i] y = If(c) <then_branch = t () => (float[2] p) { p = Relu(h) }, "
        "else_branch = e () => (float[2] q) { q = Identity(h) }>",
    )
    assert ask.is_read_in_body(m, node(m, "a").outputs[0])
    assert not ask.is_read_in_body(m, node(m, "a").inputs[0])  # type: ignore[arg-type]
    assert ask.readers(m, node(m, "a").outputs[0]) == ()


def test_sizes_take_a_free_batch_as_one_and_give_up_on_other_free_axes() -> None:
    m = model("(float[N, 3, 4] x, float[N, M] z) => (y)", "[n] y = Add(x, z)")
    first, second = node(m, "n").inputs
    assert (ask.shape_of(first), ask.size_of_sample(first)) == ((None, 3, 4), 12)
    assert ask.size_of_sample(second) is None
    assert ask.shape_of(node(m, "n").outputs[0]) is None


def test_depthwise_means_one_input_channel_per_group() -> None:
    m = model(
        "(float[1, 4, 8, 8] x, float[4, 1, 3, 3] w, float[4, 2, 3, 3] v) => (y, z)",
        "[d] y = Conv<group = 4>(x, w) [g] z = Conv<group = 2>(x, v)",
    )
    assert ask.is_depthwise(node(m, "d"))
    assert not ask.is_depthwise(node(m, "g"))
