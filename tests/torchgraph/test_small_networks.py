"""Networks in the manner of MobileNet V3 and FCN, at opsets old and new: the outputs of ONNX Runtime, and gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.graph.export_torch import export_torch
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.torchgraph.module import GraphModule
from tests.graph.models import outputs_of, random_feeds

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

# float32 keeps 24 bits; both sum some hundred products in an order of their own, over about ten layers.
TOLERANCE = 1e-5


class Excitation(nn.Module):
    """Channels weighted by what their means say, through a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = nn.functional.adaptive_avg_pool2d(x, 1)
        return x * nn.functional.hardsigmoid(self.excite(self.squeeze(means).relu()))


class InvertedResidual(nn.Module):
    """The block of MobileNet V3: expansion, depthwise convolution, excitation, projection."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish()),
            *(nn.Conv2d(wide, wide, 5, stride, 2, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.Hardswish()),
            *(Excitation(wide), nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)),
        )
        self.is_residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return x + result if self.is_residual else result


def mobilenet_v3() -> nn.Module:
    """Return a classifier of two such blocks."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish(), InvertedResidual(8, 1), InvertedResidual(8, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16), nn.Hardswish(), nn.Dropout(), nn.Linear(16, 5)),
    )


class Segmenter(nn.Module):
    """A backbone with dilation, a head, and its result enlarged to the image's size, as FCN does."""

    def __init__(self, *, aligns_corners: bool) -> None:
        super().__init__()
        self.aligns_corners = aligns_corners
        self.backbone = nn.Sequential(
            *(nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
            *(nn.Conv2d(8, 16, 3, 1, 2, dilation=2), nn.BatchNorm2d(16), nn.ReLU()),
        )
        self.head = nn.Sequential(nn.Conv2d(16, 8, 3, 1, 1), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(8, 5, 1))

    def forward(self, image: Tensor) -> Tensor:
        scores = self.head(self.backbone(image))
        size = image.shape[-2:]
        return nn.functional.interpolate(scores, size, mode="bilinear", align_corners=self.aligns_corners)


NETWORKS = {
    "mobilenet_v3": mobilenet_v3,
    "fcn": lambda: Segmenter(aligns_corners=False),
    "fcn_with_aligned_corners": lambda: Segmenter(aligns_corners=True),
}


def drawn(name: str) -> nn.Module:
    """Return a network whose batch normalizations do something."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.uniform_(part.weight, 0.8, 1.2)
    return network


def exported(network: nn.Module, opset: int, folder: Path) -> Model:
    """Export with a free batch; below opset 18 with the older exporter of torch, which alone writes that."""
    image = torch.randn(2, 3, 32, 40)
    if opset >= 18:
        return export_torch(network, image, opset=opset, input_names=["image"])
    path = folder / "network.onnx"
    axes = {"image": {0: "batch"}}
    torch.onnx.export(
        network, (image,), path, opset_version=opset, dynamo=False, input_names=["image"], dynamic_axes=axes
    )
    return load(path)


def check(model: Model, network: nn.Module) -> None:
    """Check a model in torch against ONNX Runtime and the network itself, and that gradients reach every parameter."""
    feeds = random_feeds(model, batch=3)
    (wanted,) = outputs_of(model, feeds).values()
    module = GraphModule(model)
    image = torch.from_numpy(feeds["image"])
    (got,) = module(image).values()
    limit = TOLERANCE * float(np.abs(wanted).max())
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=0, atol=limit)
    np.testing.assert_allclose(got.detach().numpy(), network(image).detach().numpy(), rtol=0, atol=limit)
    got.square().sum().backward()
    assert list(module.parameters())
    assert not [name for name, parameter in module.parameters_by_name.items() if parameter.grad is None]


@pytest.mark.parametrize("opset", [13, 16, 18, pytest.param(21, marks=pytest.mark.slow), 23])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_network_computes_and_trains_at_an_opset(name: str, opset: int, tmp_path: Path) -> None:
    network = drawn(name)
    model = exported(network, opset, tmp_path)
    assert model.opset == opset
    check(model, network)
    check(prepare(model), network)
