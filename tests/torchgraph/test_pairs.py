"""Q/DQ pairs of a graph: one call with a gradient, one parameter per encoding."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir
import pytest
import torch

from quantlab import affine
from quantlab.graph.model import Model
from quantlab.qdq import bake, insert
from quantlab.torchgraph.module import GraphModule
from tests.graph.models import outputs_of, parsed
from tests.models import noise, two_convs
from tests.torchgraph.quantized import FEEDS, plan_and_encodings, two_convs_qdq

pytestmark = pytest.mark.torch

IMAGE = torch.from_numpy(FEEDS["image"])


def steps_of(module: GraphModule) -> list[str]:
    return [step.label for step in module._program.steps]


def test_a_pair_is_one_step_and_computes_the_reference_bit_for_bit() -> None:
    model, plan, encodings = two_convs_qdq()
    module = GraphModule(model)
    assert len(steps_of(module)) == 3 + len(encodings)
    taps = {point.tensor: f"{point.tensor}_dequantized" for point in plan.points if point.tensor in ("image", "w1")}
    got = module.run({"image": IMAGE}, tuple(taps.values()))
    for tensor, tap in taps.items():
        values = FEEDS["image"] if tensor == "image" else model.constant(tensor)
        encoding = encodings[tensor]
        # ONNX knows no range without -128: where a weight is clipped, the graph says otherwise than the scheme.
        scheme = dataclasses.replace(encoding.scheme, narrow=False)
        wanted = affine.fake_quantize(values, dataclasses.replace(encoding, scheme=scheme))
        assert got[tap].detach().numpy().tobytes() == wanted.tobytes()


@pytest.mark.parametrize("form", ["inserted", "baked"])
def test_a_quantized_model_computes_what_onnx_runtime_computes_literally(form: str) -> None:
    model, plan, encodings = two_convs_qdq()
    model = bake(model, plan) if form == "baked" else model
    wanted = outputs_of(model, FEEDS)["scores"]
    got = GraphModule(model)(IMAGE)["scores"].detach().numpy()
    # Convolutions differ in the last bits, so a value on the border of two steps may fall to either side.
    step = float(encodings["scores"].scale)
    difference = np.abs(got - wanted)
    assert difference.max() <= 1.01 * step
    assert (difference > 1e-3 * step).mean() < 0.01


def test_weights_and_biases_learn_through_the_quantization() -> None:
    model, _, _ = two_convs_qdq()
    module = GraphModule(model)
    assert sorted(module.parameters_by_name) == ["b1", "b2", "w1", "w2"]
    module(IMAGE)["scores"].square().sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().sum()) > 0


def test_scales_learn_when_asked() -> None:
    model, _, encodings = two_convs_qdq()
    module = GraphModule(model, learn_scales=True)
    assert sorted(module.scales) == sorted(f"{name}_scale" for name in encodings)
    before = GraphModule(model)(IMAGE)["scores"]
    result = module(IMAGE)["scores"]
    assert torch.equal(before, result)
    result.square().sum().backward()
    for name, scale in module.scales.items():
        assert scale.grad is not None, name
        assert bool((scale.grad != 0).any()), name


def test_scales_stay_positive_after_a_step_that_is_too_long() -> None:
    model, _, _ = two_convs_qdq()
    module = GraphModule(model, learn_scales=True)
    optimizer = torch.optim.SGD(module.scales.values(), lr=1e3)
    module(IMAGE)["scores"].square().sum().backward()
    optimizer.step()
    assert any(bool((scale <= 0).any()) for scale in module.scales.values())
    assert bool(torch.isfinite(module(IMAGE)["scores"]).all())
    module.keep_scales_positive()
    assert all(bool((scale >= affine.SMALLEST_SCALE).all()) for scale in module.scales.values())


def test_a_shared_encoding_is_one_parameter() -> None:
    model = two_convs()
    plan, encodings = plan_and_encodings(model)
    points = tuple(
        dataclasses.replace(point, shared_with="image") if point.tensor == "hidden" else point for point in plan.points
    )
    shared = insert(model, dataclasses.replace(plan, points=points), encodings)
    module = GraphModule(shared, learn_scales=True)
    assert "image_scale" in module.scales
    assert "hidden_scale" not in module.scales
    module(IMAGE)["scores"].sum().backward()
    assert module.scales["image_scale"].grad is not None


def pair_with_a_move_in_between(move: str, readers: str) -> Model:
    return parsed(
        f"""g (float[N, 4] x) => (float[N, M] y) {{
            q = QuantizeLinear(x, s, z) {move} {readers} }}""",
        opset=17,
        ir_version=8,
        s=np.asarray(0.05, np.float32),
        z=np.asarray(3, np.int8),
        zero=np.asarray(0.0, np.float32),
        w=noise(4, 2),
    )


def test_the_gradient_passes_integers_that_are_only_moved() -> None:
    direct = pair_with_a_move_in_between("", "d = DequantizeLinear(q, s, z) y = Transpose(d)")
    moved = pair_with_a_move_in_between("t = Transpose(q)", "y = DequantizeLinear(t, s, z)")
    outcomes = []
    for model in (direct, moved):
        module = GraphModule(model, learn_scales=True)
        # As many samples as features, so that LSQ counts the same before and after the transposition.
        x = torch.from_numpy(noise(4, 4) * 5).requires_grad_()
        y = module(x)["y"]
        (y * torch.arange(16.0).reshape(4, 4)).sum().backward()
        outcomes.append((y, x.grad, module.scales["s"].grad))
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    # Not exact: 1 / s times s is not 1.
    torch.testing.assert_close(outcomes[0][1:], outcomes[1][1:], rtol=1e-5, atol=1e-5)


def test_pairs_of_onnx_runtimes_own_domain_count_too() -> None:
    model = load(
        """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (float[N] x) => (float[N] y) <float s = {0.5}, uint16 z = {3}> {
            q = com.microsoft.QuantizeLinear(x, s, z) y = com.microsoft.DequantizeLinear(q, s, z) }"""
    )
    module = GraphModule(model)
    x = torch.tensor([0.25, 0.75, -100.0], requires_grad=True)
    y = module(x)["y"]
    y.sum().backward()
    assert y.tolist() == [0.0, 1.0, -1.5]
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0, 0.0]


def load(text: str) -> Model:
    return Model(ir.from_onnx_text(text))


def test_integers_that_something_reads_are_integers() -> None:
    model = parsed(
        "g (float[N] x) => (int8[N] q, float[N] y) { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",
        s=np.asarray(0.5, np.float32),
        z=np.asarray(0, np.int8),
    )
    got = GraphModule(model)(torch.tensor([0.25, 0.75, -100.0]))
    assert got["q"].dtype == torch.int8
    assert got["q"].tolist() == [0, 2, -128]
    assert got["y"].tolist() == [0.0, 1.0, -64.0]
