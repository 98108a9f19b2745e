"""Q/DQ models of any form lose their Q/DQ nodes and keep their names and what they compute."""

import numpy as np
import pytest

from quantlab.graph.model import Model
from quantlab.graph.quantized import quantized_nodes
from quantlab.interop.strip import strip
from quantlab.plan import Reader
from quantlab.qdq import insert, read
from quantlab.targets import target_named
from tests.lint.build import IMAGE, KERNEL, conv, model, pair, weight
from tests.lint.valid import VALID, integer_interface
from tests.models import two_convs, two_convs_plan
from tests.patterns import PATTERNS
from tests.targets.quantize import ENGINE, LITERALLY, noise_for, quantized


def outputs(model: Model, seed: int = 0) -> list[np.ndarray]:
    with LITERALLY.open(model) as session:
        found = session.run(noise_for(model, seed=seed))
    return [np.asarray(found[name]) for name in model.outputs]


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_stripped_model_has_the_nodes_and_names_of_the_float_model(pattern, target):
    float_model = PATTERNS[pattern]()
    plan = target_named(target).place(float_model)
    stripped = strip(quantized(float_model, plan))
    fences = {f"{name}_fence" for name in plan.fences}
    assert set(stripped.model.nodes_by_name()) - fences == set(float_model.nodes_by_name())
    assert not quantized_nodes(stripped.model)
    assert stripped.model.outputs == float_model.outputs
    assert stripped.model.inputs == float_model.inputs


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("pattern", ["residual_projection", "concat", "attention", "resize_concat", "multi_output"])
def test_the_sites_are_the_points_of_the_plan(pattern, target):
    float_model = PATTERNS[pattern]()
    plan = target_named(target).place(float_model)
    stripped = strip(quantized(float_model, plan))
    sites = {(site.tensor, site.role): set(site.readers) for site in stripped.sites}
    assert sites == {(point.tensor, point.role): set(point.readers) for point in plan.points}
    assert {site.tensor for site in stripped.sites if site.is_output} == {p.tensor for p in plan.points if p.is_output}


def test_stripping_what_was_inserted_gives_the_float_model_bit_for_bit():
    float_model = two_convs()
    plan, encodings = read(quantized(float_model, two_convs_plan()))
    stripped = strip(insert(float_model, plan, encodings))
    for left, right in zip(outputs(stripped.model), outputs(float_model), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    "form", [name for name in VALID if name not in ("integer_interface", "half_precision", "cast_around")]
)
def test_a_stripped_model_of_another_tool_computes_about_the_same(form):
    original = VALID[form]()
    stripped = strip(original)
    assert not quantized_nodes(stripped.model)
    for left, right in zip(outputs(stripped.model), outputs(original), strict=True):
        # Inputs of unit size are rounded in steps of 0.02, or clipped at 2.54; the outputs add up hundreds of them.
        assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.98


def test_integers_that_are_moved_become_floats():
    nodes = "[q_x] x_q = QuantizeLinear(x, s, z) [pool] p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x_q)\n"
    nodes += "[dq_p] p_d = DequantizeLinear(p, s, z)\n" + weight() + conv("y", "p_d")
    stripped = strip(model(f"{IMAGE} {{ {nodes} }}", w=KERNEL))
    assert {site.tensor: site.readers for site in stripped.sites if site.role == "activation"} == {
        "x": (Reader("pool", 0),),
        "p": (Reader("conv", 0),),
    }
    with ENGINE.open(stripped.model) as session:
        assert session.run(noise_for(stripped.model))["y"].dtype == np.float32


def test_a_pair_of_a_pair_is_seen_through():
    nodes = pair("x") + "[again] a = QuantizeLinear(x_d, t, z) [back] b = DequantizeLinear(a, t, z)\n" + weight()
    stripped = strip(model(f"{IMAGE} {{ {nodes} {conv('y', 'b')} }}", w=KERNEL))
    assert [site.readers for site in stripped.by_tensor["x"]] == [(), (Reader("conv", 0),)]
    assert not quantized_nodes(stripped.model)


def test_an_output_that_is_an_input_too_keeps_both_names():
    stripped = strip(model(f"(float[N,32] x) => (float[N,32] x_d) {{ {pair('x')} }}"))
    assert [spec.name for spec in stripped.model.inputs] == ["x"]
    assert stripped.model.outputs == ("x_d",)
    assert [node.op_type for node in stripped.model.graph] == ["Identity"]


def test_what_cannot_be_stripped_stays():
    stripped = strip(integer_interface())
    assert [node.split()[0] for node in quantized_nodes(stripped.model)] == ["DequantizeLinear", "QuantizeLinear"]
    assert len(stripped.sites) == 3
