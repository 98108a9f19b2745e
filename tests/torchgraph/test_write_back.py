"""What training changed comes back into the model, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
import torch

from quantlab import affine
from quantlab.errors import ModelError
from quantlab.graph.save import to_bytes
from quantlab.qdq import bake
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.write_back import write_back
from tests.graph.models import outputs_of, parsed
from tests.models import noise, two_convs
from tests.torchgraph.quantized import FEEDS, two_convs_qdq

pytestmark = pytest.mark.torch

IMAGE = torch.from_numpy(FEEDS["image"])


def train(module: GraphModule, rate: float = 1e-5) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=rate)
    module(IMAGE)["scores"].square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("options", [{}, {"learn_scales": True}])
def test_without_training_it_is_the_identity(options: dict[str, bool]) -> None:
    model, _, _ = two_convs_qdq()
    written = write_back(GraphModule(model, **options), model)
    assert written is not model
    assert to_bytes(written) == to_bytes(model)


def test_trained_weights_and_scales_come_back_and_bake() -> None:
    model, plan, _ = two_convs_qdq()
    module = GraphModule(model, learn_scales=True)
    before = to_bytes(model)
    train(module)
    written = write_back(module, model)
    assert to_bytes(model) == before
    for name, parameter in module.parameters_by_name.items():
        assert np.array_equal(written.constant(name), parameter.detach().numpy())
        assert not np.array_equal(written.constant(name), model.constant(name))
    baked = bake(written, plan)
    integers = affine.quantize(written.constant("w1"), weight_encoding(written, "w1", plan))
    assert np.array_equal(baked.constant("w1_quantized"), integers)
    assert np.isfinite(outputs_of(baked, FEEDS)["scores"]).all()


def weight_encoding(model, name, plan):
    scheme = replace(plan.by_tensor[name].scheme, narrow=False)  # QuantizeLinear reaches down to -128
    return affine.Encoding(model.constant(f"{name}_scale"), model.constant(f"{name}_zero_point"), scheme)


def test_a_scale_is_written_at_least_as_large_as_allowed() -> None:
    model, _, _ = two_convs_qdq()
    module = GraphModule(model, learn_scales=True)
    with torch.no_grad():
        module.scales["image_scale"].fill_(-1.0)
    assert float(write_back(module, model).constant("image_scale")) == affine.SMALLEST_SCALE


def test_constants_of_constant_nodes_come_back_too() -> None:
    model = parsed(
        "g (float[N, 2] x) => (float[N, 2] y) { w = Constant<value = float[2, 2] {1, 2, 3, 4}>() y = MatMul(x, w) }"
    )
    module = GraphModule(model)
    with torch.no_grad():
        module.parameters_by_name["w"].mul_(2)
    written = write_back(module, model)
    feeds = {"x": np.eye(2, dtype=np.float32)}
    assert outputs_of(written, feeds)["y"].tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert outputs_of(model, feeds)["y"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_half_precision_weights_come_back_in_their_type() -> None:
    model = parsed("g (float16[N, 2] x) => (float16[N, 2] y) { y = MatMul(x, w) }", w=noise(2, 2).astype(np.float16))
    module = GraphModule(model).float()
    with torch.no_grad():
        module.parameters_by_name["w"].add_(1)
    tensor = write_back(module, model).graph.initializers["w"].const_value
    assert tensor is not None
    assert tensor.dtype == ir.DataType.FLOAT16


def test_another_model_is_refused() -> None:
    module = GraphModule(two_convs())
    other = parsed("g (float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }", w=noise(2, 2))
    with pytest.raises(ModelError, match="no constant 'w1' to write back to"):
        write_back(module, other)
    with pytest.raises(ModelError, match=r"'w1': the model has shape \[5, 3, 3, 3\], the module \[4, 3, 3, 3\]"):
        write_back(module, two_convs(channels=5))


def test_a_weight_that_training_ruined_is_refused() -> None:
    model = two_convs()
    module = GraphModule(model)
    with torch.no_grad():
        module.parameters_by_name["w2"][0] = float("nan")
    with pytest.raises(ModelError, match="constant 'w2': training left NaN or infinity"):
        write_back(module, model)
