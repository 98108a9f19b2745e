"""A baked model becomes one that can be trained, and bakes back to the same integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes
from quantlab.qdq import bake, read
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.unbake import unbake
from quantlab.torchgraph.write_back import write_back
from tests.graph.models import outputs_of, parsed
from tests.models import noise
from tests.torchgraph.quantized import FEEDS, two_convs_qdq

pytestmark = pytest.mark.torch


def baked() -> Model:
    model, plan, _ = two_convs_qdq()
    return bake(model, plan)


def test_the_outputs_stay_the_same() -> None:
    model = baked()
    before = to_bytes(model)
    wanted, got = outputs_of(model, FEEDS)["scores"], outputs_of(unbake(model), FEEDS)["scores"]
    assert np.array_equal(wanted, got)
    assert to_bytes(model) == before


def test_weights_and_biases_are_floats_under_their_old_names() -> None:
    model = unbake(baked())
    assert sorted(GraphModule(model, learn_scales=True).parameters_by_name) == sorted(
        ["b1", "b2", "w1", "w2", "image_scale", "w1_scale", "hidden_scale", "w2_scale", "scores_scale"]
    )


def test_it_bakes_back_to_the_same_integers() -> None:
    model = baked()
    plan, _ = read(model)
    again = bake(write_back(GraphModule(unbake(model)), unbake(model)), plan)
    for point in plan.points:
        if point.role != "activation":
            first = reader_constant(model, point.readers[0].node, point.readers[0].index)
            assert np.array_equal(first, reader_constant(again, point.readers[0].node, point.readers[0].index))
    assert np.array_equal(outputs_of(model, FEEDS)["scores"], outputs_of(again, FEEDS)["scores"])


def reader_constant(model: Model, node: str, index: int) -> np.ndarray:
    """Return the integers that a DequantizeLinear node before a node's input reads."""
    value = model.nodes_by_name()[node].inputs[index]
    assert value is not None
    producer = value.producer()
    assert producer is not None
    integers = producer.inputs[0]
    assert integers is not None
    assert integers.const_value is not None
    return np.asarray(integers.const_value.numpy())


def test_a_weight_of_another_tool_without_a_zero_point_and_read_twice_is_one_parameter() -> None:
    model = parsed(
        """g (float[N, 3] x) => (float[N, 3] y) {
            w1 = DequantizeLinear<axis=1>(w, s) w2 = DequantizeLinear<axis=1>(w, s)
            a = MatMul(x, w1) y = MatMul(a, w2) }""",
        w=np.arange(-4, 5, dtype=np.int8).reshape(3, 3),
        s=np.asarray([0.5, 0.25, 1.0], np.float32),
    )
    free = unbake(model)
    feeds = {"x": noise(2, 3)}
    assert np.array_equal(outputs_of(model, feeds)["y"], outputs_of(free, feeds)["y"])
    module = GraphModule(free)
    module(torch.from_numpy(feeds["x"]))["y"].sum().backward()
    (parameter,) = module.parameters()
    assert parameter.grad is not None
    assert float(parameter.grad.abs().sum()) > 0


def test_a_float_model_stays_as_it_is() -> None:
    model = parsed("g (float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }", w=noise(2, 2))
    assert to_bytes(unbake(model)) == to_bytes(model)
