"""Which few nodes are to blame, and which come float with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from quantlab.data.batch import Batches
from quantlab.evaluation.agreement import Sqnr
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.plan import Plan
from quantlab.search import KeptFloat, NodeSensitivity, OutputNoise, Sensitivity, few_to_blame, try_kept_float
from quantlab.targets import target_named
from quantlab.zoo import digits_model_path
from tests.runs import classifier
from tests.targets.quantize import LITERALLY, OneBatch, noise_for


def decibels(value: float) -> Sqnr:
    return Sqnr(10 ** (value / 10), 1.0, 1)


def kept(*values: float) -> tuple[KeptFloat, ...]:
    """Return plans with one node more float each, and the ratios they leave."""
    return tuple(KeptFloat(tuple("abcdef"[: n + 1]), 9 - n, decibels(value)) for n, value in enumerate(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((30.0, 31.0, 40.0), "a"),  # the others make what is left, but less of a difference
        ((11.0, 32.0, 33.0), "ab"),  # two are as bad as each other: without one of them nothing is gained
        ((12.0, 14.0, 16.0, 18.0, 20.0), None),  # spread over many
        ((), None),
    ],
)
def test_the_few_to_blame_are_those_whose_last_takes_away_most(values: Sequence[float], expected: str | None):
    found = few_to_blame(decibels(10.0), kept(*values))
    assert (None if found is None else "".join(found.nodes)) == expected


def test_ratios_without_end_gain_nothing_over_each_other():
    nothing_left, exact = Sqnr(1.0, math.inf, 1), Sqnr(1.0, 0.0, 1)
    tried = (KeptFloat(("a",), 3, nothing_left), KeptFloat(("a", "b"), 2, exact), KeptFloat(("a", "b", "c"), 2, exact))
    found = few_to_blame(nothing_left, tried)
    assert found is not None
    assert found.nodes == ("a", "b")


def sensitivity_of(plan: Plan, *worst: str) -> Sensitivity:
    """Return that the nodes named cost most, in this order, and the others nothing."""
    rest = [node for node in plan.integer_nodes if node not in worst]
    rows = [NodeSensitivity(node, "Conv", decibels(number)) for number, node in enumerate(worst)]
    rows += [NodeSensitivity(node, "Conv", Sqnr(1.0, 0.0, 1)) for node in rest]
    return Sensitivity(plan.target, "y", 1, tuple(rows), decibels(0.0))


def tried(model: Model, target: str, *worst: str) -> list[tuple[str, ...]]:
    """Return the nodes kept float one after the other, without quantizing anything."""
    placing = target_named(target)
    outputs = OutputNoise(model, LITERALLY, Batches(OneBatch(noise_for(model))))
    found = try_kept_float(
        sensitivity_of(placing.place(model), *worst),
        outputs,
        lambda nodes: placing.place(model, keep_float=nodes),
        lambda plan: model,
    )
    assert all(each.sqnr.is_identical for each in found)
    return [each.nodes for each in found]


def test_a_node_that_would_read_integers_takes_their_producer_along():
    model = prepare(load(digits_model_path()))
    # A Relu lies between the two convolutions: for ONNX Runtime the first writes integers, for TensorRT it does not.
    assert tried(model, "onnxruntime", "node_conv2d_2") == [("node_conv2d_2", "node_conv2d_1")]
    assert tried(model, "tensorrt", "node_conv2d_2") == [("node_conv2d_2",)]


def test_equal_sets_are_tried_once_and_nodes_that_cost_nothing_never():
    model = prepare(load(digits_model_path()))
    found = tried(model, "onnxruntime", "node_conv2d_2", "node_conv2d_1", "node_conv2d_14")
    assert [set(nodes) for nodes in found][:1] == [{"node_conv2d_2", "node_conv2d_1"}]
    assert len(found) == 2


def test_it_ends_where_less_than_half_of_the_plan_would_be_left():
    model = prepare(classifier())
    assert target_named("tensorrt").place(model).integer_nodes == ("conv1", "conv2")
    assert tried(model, "tensorrt", "conv2", "conv1") == [("conv2",)]
    assert tried(model, "onnxruntime", "conv2", "conv1") == []
