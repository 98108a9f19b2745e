from __future__ import annotations

import numpy as np
import onnx
import pytest

from quantlab.errors import ModelError
from quantlab.graph.load import load
from quantlab.graph.passes.raise_opset import raise_opset
from quantlab.graph.prepare import prepare
from tests.graph.models import assert_same_outputs, ops, parsed, prepared, random_feeds

IMAGE = "g (float[N,3,9,9] x) => (float[N,3,A,B] y)"
ROWS = "g (float[N,3,4] x) => (float[N,A,B] y)"
MATRIX = "g (float[N,4] x) => (float[N,A] y)"

# One graph for each thing that changed its form between opsets 7 and 13.
CHANGED = {
    "clip limits": (9, f"{MATRIX} {{ y = Clip<min = 0.0, max = 1.0>(x) }}"),
    "dropout ratio": (7, f"{MATRIX} {{ y = Dropout<ratio = 0.5>(x) }}"),
    "softmax over many axes": (8, f"{ROWS} {{ y = Softmax<axis = 1>(x) }}"),
    "log softmax over many axes": (12, f"{ROWS} {{ y = LogSoftmax<axis = 1>(x) }}"),
    "pads": (9, f"{ROWS} {{ y = Pad<pads = [0, 0, 1, 0, 0, 2], value = 1.5>(x) }}"),
    "slice axes": (9, f"{ROWS} {{ y = Slice<axes = [2], starts = [1], ends = [3]>(x) }}"),
    "split sizes": (
        11,
        "g (float[N,4] x) => (float[N,1] y, float[N,3] z) { y, z = Split<axis = 1, split = [1, 3]>(x) }",
    ),
    "squeezed axes": (11, f"{ROWS} {{ t = Unsqueeze<axes = [1]>(x)  y = Squeeze<axes = [1]>(t) }}"),
    "summed axes": (11, "g (float[N,3,4] x) => (float[N,3] y) { y = ReduceSum<axes = [2], keepdims = 0>(x) }"),
    "top k": (9, "g (float[N,4] x) => (float[N,2] y, int64[N,2] i) { y, i = TopK<k = 2>(x) }"),
    "upsample scales": (7, f'{IMAGE} {{ y = Upsample<mode = "nearest", scales = [1.0, 1.0, 2.0, 3.0]>(x) }}'),
    "upsample linear": (9, f'{IMAGE} <float[4] s = {{1, 1, 2, 2}}> {{ y = Upsample<mode = "linear">(x, s) }}'),
    "resize linear": (10, f'{IMAGE} <float[4] s = {{1, 1, 1.75, 0.7}}> {{ y = Resize<mode = "linear">(x, s) }}'),
    "resize up": (10, f'{IMAGE} <float[4] s = {{1, 1, 1.75, 1.5}}> {{ y = Resize<mode = "nearest">(x, s) }}'),
    "resize down": (10, f'{IMAGE} <float[4] s = {{1, 1, 0.7, 0.5}}> {{ y = Resize<mode = "nearest">(x, s) }}'),
    "average pool": (
        9,
        f"{IMAGE} {{ y = AveragePool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(x) }}",
    ),
    "operator of another domain": (9, f"{MATRIX} {{ t = com.microsoft.Gelu(x)  y = Clip<min = 0.0, max = 1.0>(t) }}"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_raised_model_computes_the_same(what):
    opset, graph = CHANGED[what]
    model = parsed(graph, opset, ir_version=3)
    raised = model.clone()
    note = raise_opset(raised.ir_model)
    assert raised.opset == 13
    assert note == (f"opset {opset} was raised to 13, the first with per-channel quantization",)
    assert_same_outputs(model, raised)
    prepared(model)


@pytest.mark.parametrize("opset", [13, 15, 17, 19, 21, 22, 23])
def test_a_model_of_opset_13_or_later_keeps_its_opset(opset):
    model = parsed(f"{MATRIX} {{ t = Identity(x)  y = Relu(t) }}", opset, ir_version=10)
    assert prepared(model).opset == opset


def test_a_model_of_another_domain_only_is_left_as_it_is():
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["own" : 1]> g (float[N] x) => (float[N] y) { y = own.Mystery(x) }'
    )
    after = prepare(load(proto.SerializeToString()))
    assert (ops(after), after.notes) == (["Mystery"], ())


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12])
def test_a_convolution_network_can_be_raised_from_every_opset(opset):
    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "v": random.normal(size=(5, 8)).astype(np.float32),
        "u": np.zeros(5, np.float32),
        **{name: random.uniform(0.5, 1, 8).astype(np.float32) for name in ("scale", "shift", "mean", "variance")},
    }
    model = parsed(
        """g (float[N,3,8,8] x) => (float[N,5] y) { c = Conv(x, w)
        b = BatchNormalization(c, scale, shift, mean, variance)  r = Relu(b)  p = GlobalAveragePool(r)
        f = Flatten(p)  g = Gemm<transB = 1>(f, v, u)  y = Softmax(g) }""",
        opset,
        3,
        **weights,
    )
    after = prepared(model)
    assert ops(after) == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    assert after.ir_model.ir_version == 7


def test_subgraphs_are_raised_with_their_graph():
    model = parsed(
        """g (float[N,4] x, bool c) => (float[N,4] y) { a = Relu(x)  y = If(c) <
        then_branch = t () => (float[N,4] p) { p = Clip<min = 0.0, max = 0.5>(a) },
        else_branch = e () => (float[N,4] q) { q = Add(a, k) }> }""",
        9,
        6,
        k=np.ones(4, np.float32),
    )
    after = prepare(model)
    for choice in (True, False):
        feeds = {"x": random_feeds(model)["x"], "c": np.array(choice)}
        assert_same_outputs(model, after, feeds)


def test_a_softmax_along_the_last_axis_needs_no_nodes_around_it():
    model = parsed("g (float[N,3,4] x) => (float[N,3,4] y) { a = Relu(x)  y = Softmax<axis = 2>(a) }", 11, 6)
    assert ops(prepared(model)) == ["Relu", "Softmax"]


def test_the_shape_that_a_softmax_had_in_a_run_serves_as_well():
    model = parsed(
        """g (float[N,3,4] x, int64[3] s) => (float[A,B,C] y) { r = Reshape(x, s)  y = Softmax<axis = 2>(r) }""", 11, 6
    )
    assert ops(prepare(model)) == ["Reshape", "Shape", "Flatten", "Softmax", "Reshape"]
    assert ops(prepare(model, shapes={"r": (2, 3, 4)})) == ["Reshape", "Softmax"]


def test_weights_do_not_pass_through_the_converter():
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    model = parsed("g (float[N,64] x) => (float[N,64] y) { y = MatMul(x, w) }", 9, 4, w=weight)
    before = model.graph.initializers["w"].const_value
    raised = model.clone()
    raise_opset(raised.ir_model)
    assert raised.graph.initializers["w"].const_value is before
    assert [value.name for value in raised.graph.inputs] == ["x"]


@pytest.mark.parametrize(
    ("opset", "graph", "name"),
    [
        (8, f"{ROWS} {{ [odd] y = Hardmax<axis = 1>(x) }}", "Hardmax 'odd'"),
        (10, "g (float[N,4] x) => (float[N,4] y, bool[N,4] m) { [drop] y, m = Dropout(x) }", "Dropout 'drop'"),
        (
            7,
            """g (float[N,2,1] x) => (float[N,2,1] y) <float[2,1] p = {1, 1}> {
            r = Relu(x)  [old] y = BatchNormalization<spatial = 0>(r, p, p, p, p) }""",
            "BatchNormalization 'old'",
        ),
        (
            10,
            f'{IMAGE} <float[4] s = {{1, 1, 2, 0.5}}> {{ [both] y = Resize<mode = "nearest">(x, s) }}',
            "Resize 'both'",
        ),
        (
            10,
            'g (float[N,3,9,9] x, float[4] s) => (float[N,3,A,B] y) { [free] y = Resize<mode = "nearest">(x, s) }',
            "Resize 'free'",
        ),
    ],
)
def test_what_cannot_be_raised_is_refused_by_name(opset, graph, name):
    with pytest.raises(ModelError, match=name) as caught:
        prepare(parsed(graph, opset, 3))
    assert "\n" not in str(caught.value)
    assert "opset 13" in str(caught.value)
