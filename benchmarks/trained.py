"""Networks trained here, in float32, to tell photographs apart: what quantization has something to lose of.

Trained with AdamW and a cosine that falls to zero, on crops that are shifted and dimmed anew in every epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.architectures import OPSET, config_of, logits_of, network_of
from benchmarks.picture_task import Samples
from quantlab.engines.torch_device import device_named
from quantlab.graph.export_torch import export_torch
from quantlab.graph.model import Model

if TYPE_CHECKING:
    import torch

_BATCH_SIZE = 64
_SEED = 0
_LARGEST_SHIFT = 8


@dataclass(frozen=True, slots=True)
class Trainable:
    """One network to train.

    Attributes:
        title: what readers call it.
        build: (side, classes) -> the module, with fresh weights.
        epochs: passes over the training samples.
        learning_rate: of AdamW, at its highest.
    """

    title: str
    build: Callable[[int, int], torch.nn.Module]
    epochs: int
    learning_rate: float


def train_float(network: Trainable, samples: Samples, *, classes: int, epochs: int, device: str) -> Model:
    """Train a network and return it as an ONNX model with the input `pixels` and the output `logits`."""
    import torch
    from torch.nn import functional

    torch.manual_seed(_SEED)
    side = samples.pixels.shape[-1]
    module = logits_of(network.build(side, classes)).to(device_named(device)).train()
    steps = epochs * len(range(0, len(samples.labels), _BATCH_SIZE))
    optimizer = torch.optim.AdamW(module.parameters(), lr=network.learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, network.learning_rate, total_steps=steps)
    for pixels, labels in _batches(samples, epochs, device):
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(module(pixels), labels, label_smoothing=0.05))
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    example = torch.zeros(2, 3, side, side)
    return export_torch(module.cpu().eval(), example, input_names=["pixels"], output_names=["logits"], opset=OPSET)


def _batches(samples: Samples, epochs: int, device: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    import torch

    chosen = device_named(device)
    everything = torch.from_numpy(samples.pixels).to(chosen), torch.from_numpy(samples.labels).to(chosen)
    rng = np.random.default_rng(_SEED)
    for _ in range(epochs):
        order = rng.permutation(len(samples.labels))
        for start in range(0, len(order), _BATCH_SIZE):
            rows = torch.from_numpy(order[start : start + _BATCH_SIZE]).to(chosen)
            pixels, labels = (tensor[rows] for tensor in everything)
            shifts = [int(shift) for shift in rng.integers(-_LARGEST_SHIFT, _LARGEST_SHIFT + 1, 2)]
            yield torch.roll(pixels, shifts, (2, 3)) * float(rng.uniform(0.8, 1.2)), labels


def _mobilenet_v2(side: int, classes: int) -> torch.nn.Module:
    config = config_of("MobileNetV2Config", image_size=side)
    config.num_labels = classes
    return network_of("MobileNetV2ForImageClassification", config)


def _vit_tiny(side: int, classes: int) -> torch.nn.Module:
    sizes = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3, "num_hidden_layers": 12}
    config = config_of("ViTConfig", image_size=side, patch_size=16, **sizes)
    config.num_labels = classes
    return network_of("ViTForImageClassification", config)


TRAINABLE: Mapping[str, Trainable] = {
    "mobilenet_v2": Trainable("MobileNetV2", _mobilenet_v2, epochs=20, learning_rate=2e-3),
    "vit_tiny": Trainable("ViT-Tiny/16", _vit_tiny, epochs=40, learning_rate=1e-3),
}
