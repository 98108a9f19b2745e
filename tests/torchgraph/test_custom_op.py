"""The documented example of an operator of one's own: exported, calibrated, trained and written as ONNX again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.affine import Encoding, Range, encoding_from_range
from quantlab.errors import ModelError
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.save import save
from quantlab.plan import Plan, Point, Reader
from quantlab.qdq import bake, insert
from quantlab.scheme import Scheme
from quantlab.torchgraph import registry
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.registry import register_op
from quantlab.torchgraph.write_back import write_back

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class HSwish(torch.autograd.Function):
    """What a TensorRT plugin computes, with the ONNX operator that stands for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return nn.functional.hardswish(x)

    @staticmethod
    def symbolic(graph: Any, x: Any) -> Any:
        return graph.op("my.plugins::HSwish", x).setType(x.type())


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        activated: Tensor = HSwish.apply(self.first(image))
        result: Tensor = self.second(activated)
        return result


@pytest.fixture
def hswish() -> Iterator[None]:
    @register_op("my.plugins", "HSwish")
    def compute(x: Tensor) -> Tensor:
        return x * torch.clamp(x + 3, 0, 6) / 6

    yield
    del registry._ops["my.plugins", "HSwish"]


def exported(path: Path) -> Model:
    torch.onnx.export(
        Network().eval(),
        (IMAGES[:2],),
        path,
        dynamo=False,
        opset_version=17,
        custom_opsets={"my.plugins": 1},
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}},
    )
    return prepare(load(path))


def quantized(model: Model) -> tuple[Model, Plan]:
    """Calibrate by the largest values that the float network computes, and insert Q/DQ pairs."""
    convolutions = [node for node in model.graph if node.op_type == "Conv"]
    points, encodings = [], dict[str, Encoding]()
    for node in convolutions:
        source, weight = node.inputs[0], node.inputs[1]
        assert source is not None
        assert weight is not None
        name, taps = source.name or "", () if source.is_graph_input() else (source.name or "",)
        values = {"image": IMAGES, **GraphModule(model).run({"image": IMAGES}, taps)}[name].detach()
        scheme = Scheme("uint8", symmetric=False)
        encodings[name] = encoding_from_range(Range.of(float(values.min()), float(values.max())), scheme)
        points.append(Point(name, scheme, "activation", (Reader(node.name or "", 0),)))
        weight_scheme = Scheme("int8", axis=0, narrow=True)
        limit = np.abs(model.constant(weight.name or "")).max(axis=(1, 2, 3))
        encodings[weight.name or ""] = encoding_from_range(Range.of(-limit, limit), weight_scheme)
        points.append(Point(weight.name or "", weight_scheme, "weight", (Reader(node.name or "", 1),)))
    plan = Plan("onnxruntime", tuple(points))
    return insert(model, plan, encodings), plan


def test_without_a_function_the_operator_is_named(tmp_path: Path) -> None:
    model = exported(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"my\.plugins\.HSwish"):
        GraphModule(model)


@pytest.mark.usefixtures("hswish")
def test_a_network_with_an_operator_of_ones_own_goes_the_whole_way(tmp_path: Path) -> None:
    model = exported(tmp_path / "model.onnx")
    expected = Network()(IMAGES).detach()
    # The formula rounds otherwise than torch's own function.
    torch.testing.assert_close(GraphModule(model)(IMAGES)["scores"].detach(), expected, rtol=0, atol=1e-5)

    with_pairs, plan = quantized(model)
    module = GraphModule(with_pairs, learn_scales=True)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        loss = (module(IMAGES)["scores"] - expected).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]

    baked = bake(write_back(module, with_pairs), plan)
    save(baked, tmp_path / "int8.onnx")
    again = load(tmp_path / "int8.onnx")
    assert [node.domain for node in again.graph if node.op_type == "HSwish"] == ["my.plugins"]
    got = GraphModule(again)(IMAGES)["scores"]
    assert torch.equal(got, module(IMAGES)["scores"])
