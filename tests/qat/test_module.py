"""From whatever holds Q/DQ pairs to a module, and back to an INT8 model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

import quantlab
from quantlab.affine import Encoding, Encodings, Range, encoding_from_range
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError, RecipeError
from quantlab.graph.model import Model
from quantlab.graph.save import save, to_bytes
from quantlab.plan import Plan, Point, Reader
from quantlab.qat import finish, prepare
from quantlab.qat.module import QuantizedModule
from quantlab.qat.start import Start
from quantlab.qat.without_pairs import without_pairs
from quantlab.qdq import bake, insert, read
from quantlab.scheme import Scheme
from quantlab.targets import TARGETS
from tests.models import ACTIVATION, BIAS, model_from_text, noise, two_convs, two_convs_plan
from tests.qat.networks import digits, integers_of

IMAGES = noise(6, 3, 8, 8)


def outputs_of(model: Model, images: np.ndarray = IMAGES) -> np.ndarray:
    with OnnxRuntime(1, optimization="none").open(model) as session:
        return session.run({model.inputs[0].name: images})[model.outputs[0]]


def encodings_of_two_convs() -> Encodings:
    model, plan = two_convs(), two_convs_plan()
    encodings: dict[str, Encoding] = {}
    for point in plan.points:
        if point.role == "weight":
            bound = np.abs(model.constant(point.tensor)).max(axis=(1, 2, 3)).astype(np.float64)
            encodings[point.tensor] = encoding_from_range(Range(-bound, bound), point.scheme)
        elif point.role == "activation":
            encodings[point.tensor] = encoding_from_range(
                Range.of(-6.0 * (point.tensor != "hidden"), 6.0), point.scheme
            )
    return encodings


@pytest.fixture
def qdq() -> Model:
    return insert(two_convs(), two_convs_plan(), encodings_of_two_convs())


@pytest.mark.parametrize("target", TARGETS)
def test_finishing_an_untrained_run_gives_its_int8_model_bit_for_bit(target):
    run = quantlab.ptq(
        two_convs(channels=32), noise(24, 3, 8, 8), threads=1, samples=16, latency_batches=(), targets=(target,)
    )
    assert to_bytes(finish(prepare(run))) == to_bytes(run.quantized[target].model)


def test_a_run_of_several_targets_needs_one_named():
    run = quantlab.ptq(
        two_convs(channels=32), noise(24, 3, 8, 8), threads=1, samples=16, latency_batches=(), targets=tuple(TARGETS)
    )
    assert prepare(run, target="tensorrt").plan.target == "tensorrt"
    with pytest.raises(RecipeError, match="onnxruntime, tensorrt; name one"):
        prepare(run)


def test_a_qdq_model_goes_through_unchanged(qdq: Model):
    np.testing.assert_array_equal(outputs_of(finish(prepare(qdq))), outputs_of(bake(qdq, read(qdq)[0])))


def test_a_baked_model_becomes_floats_and_the_same_integers_again(qdq: Model, tmp_path: Path):
    baked = bake(qdq, two_convs_plan())
    save(baked, tmp_path / "baked.onnx")
    module = prepare(tmp_path / "baked.onnx")
    assert {"w1", "b1", "w2", "b2"} <= set(module.parameters_by_name)
    finished = finish(module)
    assert integers_of(finished) == integers_of(baked)
    np.testing.assert_array_equal(outputs_of(finished), outputs_of(baked))


def foreign(baked: Model) -> Model:
    """Return an INT8 model as other tools write it: other names, some nodes without one, constants in nodes."""
    clone = baked.clone()
    graph = clone.graph
    for name, value in list(graph.initializers.items()):
        value.name = f"tensor::{name.replace('_quantized', '_q')}"
    for node in list(graph):
        if node.op_type == "DequantizeLinear":
            node.name = None
    name, weight = next(item for item in graph.initializers.items() if item[0].endswith("w1_q"))
    constant = ir.node("Constant", [], {"value": weight.const_value}, name="held")
    graph.insert_before(graph[0], constant)
    weight.replace_all_uses_with(constant.outputs[0])
    del graph.initializers[name]
    del clone.ir_model.metadata_props["quantlab.target"]
    return clone


def test_an_int8_model_of_another_tool_is_trained_and_comes_back_integer(qdq: Model):
    model = foreign(bake(qdq, two_convs_plan()))
    module = prepare(model)
    shapes = sorted(tuple(p.shape) for p in module.parameters_by_name.values())
    assert shapes == [(4,), (4,), (4, 3, 3, 3), (4, 4, 3, 3)]
    finished = finish(module)
    np.testing.assert_array_equal(outputs_of(finished), outputs_of(model))
    assert integers_of(finished) == integers_of(bake(qdq, two_convs_plan()))


def test_weights_that_another_tool_left_float_among_integers_stay_float(qdq: Model):
    module = prepare(bake(qdq, replace(two_convs_plan(), unbaked=("w2",))))
    assert module.plan.unbaked == ("w2",)
    assert finish(module).constant("w2").dtype == np.float32


@pytest.mark.parametrize("target", TARGETS)
def test_a_float_model_with_samples_becomes_the_module_of_its_ptq_run(target):
    model, samples = two_convs(channels=32), noise(24, 3, 8, 8)
    settings: Any = {"calibrator": "percentile", "threads": 1, "samples": 24}
    module = prepare(model, samples, target=target, **settings)
    run = quantlab.ptq(model, samples, eval_data=samples, targets=(target,), latency_batches=(), **settings)
    assert to_bytes(finish(module)) == to_bytes(run.quantized[target].model)


def test_a_torch_module_with_a_loader_becomes_a_module_to_train():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3))
    images = torch.from_numpy(noise(24, 3, 8, 8))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size=8)
    module = prepare((network, images[:1]), loader, threads=1, learn_scales=True)
    # The first convolution is too small to gain anything in integers.
    assert [point.tensor for point in module.plan.of_role("weight")] == ["2.weight"]
    assert module.scales
    (output,) = module(images).values()
    with torch.no_grad():
        expected = network(images)
        # Far above what eight bits round, far below what a wrong weight would leave.
        assert (output - expected).square().mean() < 1e-3 * expected.square().mean()


def test_a_float_model_without_samples_is_refused_with_both_ways():
    with pytest.raises(ModelError, match=r"no Q/DQ pairs to train; .*prepare\(model, data\), or what quantlab\.ptq"):
        prepare(two_convs())


def test_a_model_in_which_nothing_is_quantized_cannot_be_trained():
    with pytest.raises(ModelError, match="nothing to train; target onnxruntime: nothing is quantized"):
        prepare(two_convs(), noise(8, 3, 8, 8), threads=1, keep_float=("*",))


def test_what_only_a_float_model_takes_is_refused_elsewhere(qdq: Model):
    for given in ({"data": noise(8, 3, 8, 8)}, {"calibrator": "mse"}):
        with pytest.raises(RecipeError, match=f"prepare: {next(iter(given))}: only a float model is calibrated"):
            prepare(qdq, **given)
    with pytest.raises(RecipeError, match="a Q/DQ model has its own"):
        prepare(qdq, target="tensorrt")
    with pytest.raises(RecipeError, match="give target=NAME"):
        prepare(two_convs(), noise(8, 3, 8, 8), targets=("tensorrt",))
    with pytest.raises(RecipeError, match="calibrater"):
        prepare(two_convs(), noise(8, 3, 8, 8), calibrater="mse")


@pytest.mark.parametrize("given", [3, None, [1]])
def test_what_is_no_model_is_refused(given):
    with pytest.raises(ModelError, match=f"prepare: {type(given).__name__} is not"):
        prepare(given)


def test_a_loop_of_ones_own_can_train_it(start: Start):
    images, _ = digits("train")
    module = QuantizedModule(start, learn_scales=True)
    feeds = {"image": torch.from_numpy(images[:32])}
    with torch.no_grad():
        wanted = module(feeds)["scores"] + 1.0
    optimizer = torch.optim.Adam(module.parameters(), 1e-3)
    losses = []
    for _ in range(5):
        loss = (module(feeds)["scores"] - wanted).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        module.keep_scales_positive()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    trained = outputs_of(finish(module), images[:32])
    # Torch and the runtime may round a hidden value on a tie to neighbouring integers: one step of a late tensor.
    with torch.no_grad():
        np.testing.assert_allclose(trained, module(feeds)["scores"], atol=0.2)


def test_without_its_pairs_a_model_computes_what_the_float_model_does(qdq: Model):
    stripped = without_pairs(Start(qdq, two_convs_plan()))
    assert stripped.outputs == ("scores",)
    assert not any("Quantize" in node.op_type or "Dequantize" in node.op_type for node in stripped.graph)
    np.testing.assert_array_equal(outputs_of(stripped), outputs_of(two_convs()))


def test_a_qdq_model_that_training_left_knows_its_plan(qdq: Model):
    module = QuantizedModule(Start(qdq, replace(two_convs_plan(), fences=("before",))))
    again = prepare(to_bytes(module.qdq_model()))
    assert again.plan == module.plan
    assert to_bytes(finish(again)) == to_bytes(finish(module))


def test_the_bias_of_a_matmul_is_found_behind_it():
    model = model_from_text(
        """<ir_version: 10, opset_import: ["": 18]>
        g (float[N, 3] x, float[3, 4] w, float[4] b) => (float[N, 4] y) {
          [mm] a = MatMul(x, w) [add] y = Add(a, b) }""",
        {"w": noise(3, 4), "b": noise(4)},
    )
    weight = Scheme("int8", axis=1, narrow=True)
    points = (
        Point("x", ACTIVATION, "activation", (Reader("mm", 0),)),
        Point("w", weight, "weight", (Reader("mm", 1),)),
        Point("b", BIAS, "bias", (Reader("add", 1),), derived_from=("x", "w")),
        Point("y", ACTIVATION, "activation", (), is_output=True),
    )
    plan = Plan("onnxruntime", points)
    wide = np.full(4, 3.0)
    encodings = {name: encoding_from_range(Range.of(-6.0, 6.0), ACTIVATION) for name in "xy"}
    encodings["w"] = encoding_from_range(Range(-wide, wide), weight)
    baked = bake(insert(model, plan, encodings), plan)
    assert integers_of(finish(prepare(baked))) == integers_of(baked)


def test_a_bias_that_training_made_too_large_for_int32_raises_its_weights_scale(qdq: Model):
    module = QuantizedModule(Start(qdq, two_convs_plan()))
    with torch.no_grad():
        module.parameters_by_name["w2"][1].zero_()
        module.parameters_by_name["b2"][1] = 1e6
    finished = finish(module)
    integers = finished.constant("b2_quantized").astype(np.int64)
    assert abs(integers[1]) <= 2**30
    scale = finished.constant("hidden_scale") * finished.constant("w2_scale")
    # Half a step of int32 below 2^30, and the rounding of float32.
    np.testing.assert_allclose(integers[1] * scale[1], 1e6, rtol=1e-6)
