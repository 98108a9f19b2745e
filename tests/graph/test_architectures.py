"""Whole networks, as users export them, with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from tests.graph.models import assert_same_outputs, ops, outputs_of, random_feeds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    # Importing transformers and its models warns about what this project does not use.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

# Class name, settings of its configuration, height and width of its input.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any], int]] = {
    "resnet": ("ResNetForImageClassification", {}, 96),
    "mobilenet_v2": ("MobileNetV2ForImageClassification", {"image_size": 96}, 96),
    "efficientnet": (
        "EfficientNetForImageClassification",
        {"hidden_dim": 1280, "width_coefficient": 1.0, "depth_coefficient": 1.0},
        96,
    ),
    "convnext": ("ConvNextForImageClassification", {}, 96),
    "vit": ("ViTForImageClassification", {"num_hidden_layers": 3, "image_size": 96}, 96),
    "segformer": ("SegformerForSemanticSegmentation", {}, 64),
}


def draw_statistics(part: Any) -> None:
    """Draw what a batch normalization learns; as made, it does nothing, and any fold of it would be right."""
    from torch.nn import init

    init.uniform_(part.running_mean, -0.2, 0.2)
    init.uniform_(part.running_var, 0.5, 1.5)
    init.uniform_(part.weight, 0.8, 1.2)
    init.uniform_(part.bias, -0.2, 0.2)


def exported(name: str, attention: str, opset: int) -> tuple[Any, Model]:
    """Return a module of transformers and its export."""
    torch = pytest.importorskip("torch", reason="needs the torch extra")
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    from quantlab.graph.export_torch import export_torch
    from quantlab.torchmodels.transformers import draw_anew

    torch.manual_seed(0)
    torch.set_num_threads(2)
    class_name, settings, size = ARCHITECTURES[name]
    head = getattr(transformers, class_name)
    module = head._from_config(head.config_class(num_labels=10, **settings), attn_implementation=attention)
    draw_anew(module)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            draw_statistics(part)

    class Logits(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixel_values):
            return self.module(pixel_values).logits

    return Logits().eval(), export_torch(Logits(), torch.randn(2, 3, size, size), opset=opset)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_exported_architecture_is_prepared_without_changing_its_outputs(name):
    import torch

    module, model = exported(name, "eager", 18)
    feeds = random_feeds(model, batch=3)
    after = prepare(model)
    assert_same_outputs(model, after, feeds)
    with torch.no_grad():
        expected = module(torch.from_numpy(feeds["pixel_values"])).numpy()
    scale = float(np.abs(expected).max())
    assert np.ptp(expected) > 1e-4, "near float32's smallest numbers only roundings would be compared"
    # torch and ONNX Runtime sum in different orders over up to a hundred layers.
    np.testing.assert_allclose(outputs_of(after, feeds)["output"], expected, rtol=0, atol=1e-4 * scale)
    assert not {"BatchNormalization", "Dropout", "Identity", "AveragePool"} & set(ops(after))
    if name in ("resnet", "mobilenet_v2", "efficientnet"):
        assert "ReduceMean" not in ops(after)
    assert all(value.shape is not None for node in after.graph for value in node.outputs)


@pytest.mark.parametrize("opset", [18, 23])
def test_fused_attention_ends_up_as_matmul_and_softmax(opset):
    _, model = exported("vit", "sdpa", opset)
    after = prepare(model)
    assert_same_outputs(model, after, random_feeds(model, batch=3))
    assert ops(after).count("Softmax") == 3
    assert not {"Attention", "IsNaN"} & set(ops(after))
