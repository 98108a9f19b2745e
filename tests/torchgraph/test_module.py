"""A graph as a module: what it computes, what its parameters are, what it refuses."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from quantlab.errors import DataError, EngineError, ModelError
from quantlab.torchgraph.execute import compute
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.program import Step
from tests.graph.models import parsed
from tests.models import noise, two_convs

pytestmark = pytest.mark.torch


def test_feeds_go_in_by_name_or_in_order() -> None:
    module = GraphModule(two_convs())
    image = torch.from_numpy(noise(2, 3, 8, 8))
    by_name, in_order = module({"image": image}), module(image)
    assert list(by_name) == ["scores"]
    assert torch.equal(by_name["scores"], in_order["scores"])


def test_wrong_feeds_are_refused_by_name() -> None:
    module = GraphModule(two_convs())
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(DataError, match="input 'other': the model has no such input; the model's inputs are image"):
        module({"image": image, "other": image})
    with pytest.raises(DataError, match="input 'image': no data for it"):
        module({})
    with pytest.raises(DataError, match="2 tensors were fed; the model's inputs are image"):
        module(image, image)


def test_a_failing_node_is_named() -> None:
    with pytest.raises(EngineError, match="Conv 'conv1': torch failed"):
        GraphModule(two_convs())(torch.zeros(1, 4, 8, 8))


def test_taps_give_inner_tensors() -> None:
    module = GraphModule(two_convs())
    image = torch.from_numpy(noise(2, 3, 8, 8))
    tapped = module.run({"image": image}, taps=("hidden",))
    assert list(tapped) == ["scores", "hidden"]
    assert bool((tapped["hidden"] >= 0).all())
    assert torch.equal(tapped["scores"], module(image)["scores"])
    with pytest.raises(ModelError, match="tap 'nothing': the graph computes no such tensor"):
        module.run({"image": image}, taps=("nothing",))


def test_dead_tensors_are_let_go() -> None:
    module = GraphModule(two_convs())
    dead = [slot for step in module._program.steps for slot in step.dead]
    slots = module._program.slots
    assert sorted(dead) == sorted(slots.values())
    assert slots["before"] in module._program.steps[1].dead


def test_no_more_tensors_are_alive_than_what_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    model = parsed("""g (float[N] x) => (float[N] y) {
        [a] a = Relu(x) [b] b = Neg(a) [c] c = Abs(b) [d] d = Add(c, a) [e] e = Sigmoid(d) [f] y = Tanh(e) }""")
    made: dict[str, weakref.ref[torch.Tensor]] = {}
    alive: dict[str, list[str]] = {}

    def watched(step: Step, values: list[Any]) -> None:
        alive[step.label] = [name for name, reference in made.items() if reference() is not None]
        compute(step, values)
        (slot,) = step.outputs
        assert slot is not None
        made[step.label] = weakref.ref(values[slot])

    monkeypatch.setattr("quantlab.torchgraph.module.compute", watched)
    module = GraphModule(model)
    a, b, c, d, e, f = (step.label for step in module._program.steps)
    with torch.no_grad():
        module(torch.ones(3))
    assert alive == {a: [], b: [a], c: [a, b], d: [a, c], e: [d], f: [e]}


def test_parameters_have_onnx_names_even_with_dots() -> None:
    weights = {"layer.0.weight": noise(4, 3), "layer/0/weight": noise(4, 4), "forward": noise(4)}
    model = parsed(
        """g (float[N, 3] x) => (float[N, 4] y) {
            a = Gemm<transB=1>(x, "layer.0.weight") b = Gemm<transB=1>(a, "layer/0/weight", forward) y = Relu(b) }""",
        opset=17,
        ir_version=8,
        **weights,
    )
    module = GraphModule(model)
    assert list(module.parameters_by_name) == list(weights)
    assert all(np.array_equal(module.parameters_by_name[name].detach(), weights[name]) for name in weights)
    assert len(module.state_dict()) == len(weights)


def test_a_weight_that_two_nodes_read_is_one_parameter() -> None:
    model = parsed(
        "g (float[N, 3] x) => (float[N, 3] y) { a = MatMul(x, w) b = Relu(a) y = MatMul(b, w) }", w=noise(3, 3)
    )
    assert len(list(GraphModule(model).parameters())) == 1


def test_numbers_that_say_how_to_compute_are_not_trained() -> None:
    model = parsed(
        """g (float[N, 4] x) => (float[N, 4] y) {
            a = Mul(x, half) b = Add(a, grid) c = Clip(b, low)
            d = MatMul(c, w) e = Add(d, bias) y = PRelu(e, slope) }""",
        half=np.asarray(0.5, np.float32),
        grid=noise(1, 4),
        low=np.asarray(0.0, np.float32),
        w=noise(4, 4),
        bias=noise(4),
        slope=noise(4),
    )
    assert list(GraphModule(model).parameters_by_name) == ["w", "bias", "slope"]


def test_a_weight_that_is_cut_before_it_is_used_is_trained() -> None:
    model = parsed(
        """g (float[N, 3] x) => (float[N, 2] a, float[N, 2] b) {
            left, right = Split<axis=1>(w, parts) a = MatMul(x, left) b = MatMul(x, right) }""",
        w=noise(3, 4),
        parts=np.asarray([2, 2]),
    )
    assert list(GraphModule(model).parameters_by_name) == ["w"]


def test_a_copy_is_a_module_of_its_own() -> None:
    module = GraphModule(two_convs())
    kept = copy.deepcopy(module)
    image = torch.from_numpy(noise(1, 3, 8, 8))
    before = module(image)["scores"]
    with torch.no_grad():
        module.parameters_by_name["w1"].zero_()
    assert torch.equal(kept(image)["scores"], before)
    module.load_state_dict(kept.state_dict())
    assert torch.equal(module(image)["scores"], before)


def test_an_input_that_is_an_output_too_comes_back() -> None:
    model = parsed("g (float[N] x) => (float[N] x, float[N] y) { y = Relu(x) }")
    got = GraphModule(model)(torch.tensor([-1.0, 1.0]))
    assert got["x"].tolist() == [-1.0, 1.0]
    assert got["y"].tolist() == [0.0, 1.0]


def test_branches_are_refused_with_what_to_do() -> None:
    model = parsed("""g (bool c, float[N] x) => (float[N] y) {
        [branch] y = If<then_branch = t () => (float[N] a) { a = Relu(x) },
                        else_branch = e () => (float[N] b) { b = Neg(x) }>(c) }""")
    with pytest.raises(ModelError, match=r"control flow \(If 'branch'\) decides at run time"):
        GraphModule(model)


def test_loops_are_refused_with_what_to_do() -> None:
    model = parsed("""g (int64 times, bool go, float[N] x) => (float[N] y) {
        [loop] y = Loop<body = body (int64 i, bool on, float[N] v) => (bool again, float[N] w) {
            again = Identity(on) w = Relu(v) }>(times, go, x) }""")
    with pytest.raises(ModelError, match=r"control flow \(Loop 'loop'\) .*export the model without it"):
        GraphModule(model)


@pytest.mark.parametrize("opset", [12, 29])
def test_an_opset_that_was_not_checked_is_refused(opset: int) -> None:
    model = two_convs()
    model.ir_model.opset_imports[""] = opset
    with pytest.raises(ModelError, match=f"opset {opset}, torchgraph knows 13 to 28"):
        GraphModule(model)


def test_an_attribute_that_an_operator_does_not_know_is_refused() -> None:
    model = two_convs()
    node = model.nodes_by_name()["relu1"]
    node.attributes.add(model.nodes_by_name()["conv1"].attributes["pads"])
    with pytest.raises(ModelError, match=r"Relu 'relu1': .*'pads'"):
        GraphModule(model)
