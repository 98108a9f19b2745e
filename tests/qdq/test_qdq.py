from dataclasses import replace

import numpy as np
import pytest

from quantlab.affine import Range, encoding_from_range, fake_quantize
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import PlanError
from quantlab.plan import Plan, Point, Reader
from quantlab.qdq import bake, insert, read
from tests.models import ACTIVATION, WEIGHT, noise, two_convs, two_convs_plan


def encodings_of_two_convs():
    model = two_convs()
    encodings = {name: encoding_from_range(Range.of(-3.0, 5.0), ACTIVATION) for name in ("image", "scores")}
    encodings["hidden"] = encoding_from_range(Range.of(0.0, 6.0), ACTIVATION)
    for name in ("w1", "w2"):
        array = model.constant(name)
        high = np.abs(array).max(axis=(1, 2, 3))
        encodings[name] = encoding_from_range(Range.of(-high, high), WEIGHT)
    return encodings


def plan_of(*points: Point) -> Plan:
    return Plan("onnxruntime", points)


def test_insert_leaves_the_model_it_was_given_unchanged():
    model = two_convs()
    before = str(model.graph)
    insert(model, two_convs_plan(), encodings_of_two_convs())
    assert str(model.graph) == before


def test_insert_then_read_returns_the_same_points_and_encodings():
    plan, encodings = two_convs_plan(), encodings_of_two_convs()
    found, values = read(insert(two_convs(), plan, encodings))
    expected = [p for p in plan.points if p.role != "bias"]
    assert sorted(map(str, found.points)) == sorted(map(str, expected))
    assert found.target == plan.target
    assert values.keys() == encodings.keys()
    assert all(values[name].same_as(encodings[name]) for name in encodings)


def test_bake_then_read_returns_the_biases_too():
    plan, encodings = two_convs_plan(), encodings_of_two_convs()
    found, values = read(bake(insert(two_convs(), plan, encodings), plan))
    assert sorted(map(str, found.points)) == sorted(map(str, plan.points))
    np.testing.assert_array_equal(values["b1"].scale, encodings["image"].scale * encodings["w1"].scale)


def test_baking_twice_changes_nothing():
    plan = two_convs_plan()
    once = bake(insert(two_convs(), plan, encodings_of_two_convs()), plan)
    assert str(bake(once, plan).graph) == str(once.graph)


def test_an_unbaked_weight_stays_float_behind_its_pair():
    plan = replace(two_convs_plan(), unbaked=("w1",))
    baked = bake(insert(two_convs(), plan, encodings_of_two_convs()), plan)
    np.testing.assert_array_equal(baked.constant("w1"), two_convs().constant("w1"))
    assert baked.constant("w2_quantized").dtype == np.int8
    assert str(bake(baked, plan).graph) == str(baked.graph)


def test_baked_weights_are_the_integers_of_affine():
    plan, encodings = two_convs_plan(), encodings_of_two_convs()
    baked = bake(insert(two_convs(), plan, encodings), plan)
    integers = baked.constant("w1_quantized")
    weight = two_convs().constant("w1")
    restored = integers.astype(np.float32) * encodings["w1"].scale.reshape(-1, 1, 1, 1)
    assert integers.dtype == np.int8
    np.testing.assert_array_equal(restored, fake_quantize(weight, encodings["w1"]))
    assert "w1" not in baked.graph.initializers


def test_graph_output_keeps_its_name_when_it_is_quantized():
    quantized = insert(two_convs(), two_convs_plan(), encodings_of_two_convs())
    assert quantized.outputs == ("scores",)
    producer = quantized.graph.outputs[0].producer()
    assert producer is not None
    assert producer.op_type == "DequantizeLinear"


def test_only_the_planned_readers_see_the_quantized_value():
    point = Point("image", ACTIVATION, "activation", ())
    quantized = insert(two_convs(), plan_of(point), encodings_of_two_convs())
    assert quantized.nodes_by_name()["conv1"].inputs[0] is quantized.graph.inputs[0]


def test_shared_points_use_the_same_two_initializers():
    points = (
        Point("image", ACTIVATION, "activation", (Reader("conv1", 0),)),
        Point("hidden", ACTIVATION, "activation", (Reader("conv2", 0),), shared_with="image"),
    )
    quantized = insert(two_convs(), plan_of(*points), encodings_of_two_convs())
    nodes = quantized.nodes_by_name()
    assert nodes["hidden_QuantizeLinear"].inputs[1] is nodes["image_QuantizeLinear"].inputs[1]
    assert read(quantized)[0].points == points


def test_scale_and_zero_point_of_an_activation_have_rank_zero():
    quantized = insert(two_convs(), two_convs_plan(), encodings_of_two_convs())
    for name in ("image_scale", "image_zero_point"):
        assert quantized.constant(name).shape == ()


def test_taken_names_are_numbered_instead_of_overwritten():
    model = two_convs()
    model.graph.initializers["w1"].name = "image_scale"
    quantized = insert(model, plan_of(two_convs_plan().points[0]), encodings_of_two_convs())
    assert quantized.constant("image_scale").shape == (4, 3, 3, 3)
    assert quantized.constant("image_scale_2").shape == ()


@pytest.mark.parametrize(
    ("point", "complaint"),
    [
        (Point("nowhere", ACTIVATION, "activation", ()), "no tensor 'nowhere'"),
        (Point("image", ACTIVATION, "activation", (Reader("conv2", 0),)), r"not read by conv2\[0\]"),
        (Point("before", ACTIVATION, "activation", ()), "no encoding for 'before'"),
    ],
)
def test_insert_refuses_a_plan_of_another_model(point, complaint):
    with pytest.raises(PlanError, match=complaint):
        insert(two_convs(), plan_of(point), encodings_of_two_convs())


def test_a_weight_beyond_its_range_bakes_to_what_quantize_linear_gives():
    plan, encodings = two_convs_plan(), encodings_of_two_convs()
    encodings["w1"] = replace(encodings["w1"], scale=encodings["w1"].scale / 2)  # as a clipping calibrator may choose
    inserted = insert(two_convs(), plan, encodings)
    assert bake(inserted, plan).constant("w1_quantized").min() == -128
    image = {"image": noise(2, 3, 8, 8)}
    engine = OnnxRuntime(threads=1, optimization="none")
    biases_apart = Plan("onnxruntime", tuple(point for point in plan.points if point.role != "bias"))
    with engine.open(inserted) as unbaked, engine.open(bake(inserted, biases_apart)) as baked:
        np.testing.assert_array_equal(unbaked.run(image)["scores"], baked.run(image)["scores"])
