"""Real architectures with random weights, prepared; for slow tests that need the graphs and not the accuracy.

Weights are Kaiming normal, and batch norms have seen ten batches of noise, so that activations have sane sizes.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import pytest

from quantlab.graph.export_torch import export_torch
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare

requires_networks = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
    reason="the packages torch and transformers are not both installed",
)

# By name: the class and the configuration in transformers, and its settings.
NETWORKS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "resnet50": ("ResNetForImageClassification", "ResNetConfig", {"num_labels": 1000}),
    "mobilenet_v2": ("MobileNetV2ForImageClassification", "MobileNetV2Config", {"num_labels": 1000}),
    "efficientnet_b0": (
        "EfficientNetForImageClassification",
        "EfficientNetConfig",  # its defaults are those of B7
        {"num_labels": 1000, "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": 224},
    ),
    "vit_b": ("ViTForImageClassification", "ViTConfig", {"num_labels": 1000, "attn_implementation": "eager"}),
    "segformer_b0": (
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        {"num_labels": 150, "attn_implementation": "eager"},
    ),
}


def network(name: str) -> Model:
    """Return a prepared network for images of 224 x 224 pixels, its batch size free."""
    import torch

    transformers = importlib.import_module("transformers")
    head, config, settings = NETWORKS[name]
    torch.manual_seed(0)
    module = getattr(transformers, head)(getattr(transformers, config)(**settings))
    for part in module.modules():
        if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
    _settle_batch_norms(module)
    return prepare(export_torch(module.eval(), torch.randn(2, 3, 224, 224)))


def _settle_batch_norms(module: Any) -> None:
    import torch

    if not any(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules()):
        return
    module.train()
    with torch.no_grad():
        for _ in range(10):
            module(torch.randn(8, 3, 64, 64))
