"""Real architectures of `transformers` as ONNX files: the published settings, weights drawn at random.

No weights are downloaded. Random weights make the predictions meaningless and leave everything else as it is deployed:
operators, shapes, and the kind of tensors that flow. For these to be reasonable, weights are drawn as Kaiming has it
and ten batches of photographs settle the statistics of batch norm:

    w ~ N(0, 2 / fan_in)      running mean and variance = the plain average over the ten batches

An export takes up to a minute, so files are kept in `benchmarks/runs/`, named after what made them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.photographs import crops
from quantlab.graph.export_torch import export_torch
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import save

if TYPE_CHECKING:
    import torch

CACHE = Path(__file__).parent / "runs"
OPSET = 18
CLASSES = 1000
_SETTLING_BATCHES = 10
_SETTLING_PIXELS = 8 * 224 * 224
_SEED = 0


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture.

    Attributes:
        name: what it is called here.
        title: what readers call it.
        side: height and width of the input image.
        build: () -> the module, with whatever weights.
    """

    name: str
    title: str
    side: int
    build: Callable[[], torch.nn.Module]

    def model(self) -> Model:
        """Return the ONNX model, from the cache if it is there."""
        path = self._path()
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            save(self._export(), path)
        return load(path)

    def _path(self) -> Path:
        made_by = Path(__file__).read_bytes() + (Path(__file__).parent / "photographs.py").read_bytes()
        versions = f"{version('torch')} {version('transformers')}".encode()
        return CACHE / f"{self.name}-{hashlib.sha256(made_by + versions).hexdigest()[:12]}.onnx"

    def _export(self) -> Model:
        import torch

        torch.manual_seed(_SEED)
        module = self.build()
        _draw_weights(module)
        _settle_batch_norm(module, self.side)
        example = torch.from_numpy(crops(2, self.side))
        logits = logits_of(module)
        return export_torch(logits, example, input_names=["pixels"], output_names=["logits"], opset=OPSET)


def logits_of(module: torch.nn.Module) -> torch.nn.Module:
    """Return a module that returns only the logits of another."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, pixels: torch.Tensor) -> Any:  # noqa: ANN401 - transformers has no types
            return self.inner(pixel_values=pixels).logits

    return Logits()


def _draw_weights(module: torch.nn.Module) -> None:
    import torch

    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                torch.nn.init.zeros_(part.bias)


def _settle_batch_norm(module: torch.nn.Module, side: int) -> None:
    import torch

    norms = [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average, in place of one that forgets
    batch_size = max(2, _SETTLING_PIXELS // side**2)
    module.train()
    with torch.no_grad():
        for number in range(_SETTLING_BATCHES):
            module(pixel_values=torch.from_numpy(crops(batch_size, side, seed=number + 1)))
    module.eval()


def config_of(name: str, **settings: Any) -> Any:  # noqa: ANN401 - each architecture has its own
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import transformers

    return getattr(transformers, name)(num_labels=CLASSES, attn_implementation="eager", **settings)


def network_of(name: str, config: Any) -> torch.nn.Module:  # noqa: ANN401 - each architecture has its own
    import transformers

    network: torch.nn.Module = getattr(transformers, name)(config)
    return network


def _resnet50() -> torch.nn.Module:
    return network_of("ResNetForImageClassification", config_of("ResNetConfig"))


def _mobilenet_v2() -> torch.nn.Module:
    return network_of("MobileNetV2ForImageClassification", config_of("MobileNetV2Config"))


def _efficientnet_b0() -> torch.nn.Module:
    # The defaults of transformers are those of B7.
    settings = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "image_size": 224}
    settings |= {"hidden_dim": 1280, "dropout_rate": 0.2}
    return network_of("EfficientNetForImageClassification", config_of("EfficientNetConfig", **settings))


def _vit_b() -> torch.nn.Module:
    return network_of("ViTForImageClassification", config_of("ViTConfig"))


def _segformer_b0() -> torch.nn.Module:
    config = config_of("SegformerConfig", image_size=512)
    config.num_labels = 150  # as trained on ADE20K
    return network_of("SegformerForSemanticSegmentation", config)


ARCHITECTURES: Mapping[str, Architecture] = {
    each.name: each
    for each in (
        Architecture("resnet50", "ResNet-50", 224, _resnet50),
        Architecture("mobilenet_v2", "MobileNetV2", 224, _mobilenet_v2),
        Architecture("efficientnet_b0", "EfficientNet-B0", 224, _efficientnet_b0),
        Architecture("vit_b", "ViT-B/16", 224, _vit_b),
        Architecture("segformer_b0", "SegFormer-B0", 512, _segformer_b0),
    )
}
