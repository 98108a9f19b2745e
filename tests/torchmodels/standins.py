"""Small packages in the place of torchvision and timm: the same functions, tiny networks."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn


class Tiny(nn.Module):
    """A network of one convolution."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.relu(self.conv(x)).mean((2, 3)))
        return logits


class Segmenter(nn.Module):
    """A network that answers with a dictionary, as those of torchvision do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": self.conv(x), "aux": self.conv(x).relu()}


def _published(*, is_fetchable: bool) -> list[Any]:
    transforms = SimpleNamespace(
        crop_size=[32],
        resize_size=[36],
        mean=[0.4, 0.5, 0.6],
        std=[0.2, 0.2, 0.2],
        interpolation=SimpleNamespace(value="bicubic"),
    )
    return [SimpleNamespace(transforms=lambda: transforms, is_fetchable=is_fetchable)]


class _Weights(list[Any]):
    """An enumeration of published weights, of which one is the default."""

    @property
    def DEFAULT(self) -> Any:  # noqa: N802 - torchvision calls it so
        return self[0]


def install_torchvision(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Put a small torchvision in the place of the real one."""
    package = ModuleType("torchvision")
    networks = {"tiny": Tiny, "far_away": Tiny, "fcn_tiny": Segmenter, "unpublished": Tiny}

    def get_model(name: str, weights: Any = None, weights_backbone: Any = "some", num_classes: int = 4) -> nn.Module:
        if weights is not None and not weights.is_fetchable:
            raise OSError("<urlopen error no network>")
        if name.startswith("fcn_"):
            assert weights_backbone is None, "it would be fetched"
            return Segmenter()
        return Tiny(num_classes)

    def get_model_weights(name: str) -> Any:
        return _Weights([] if name == "unpublished" else _published(is_fetchable=name != "far_away"))

    package.models = SimpleNamespace(  # type: ignore[attr-defined]
        list_models=lambda: sorted(networks), get_model=get_model, get_model_weights=get_model_weights
    )
    monkeypatch.setitem(sys.modules, "torchvision", package)
    return package


def install_timm(monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
    """Put a small timm in the place of the real one; `config` changes what it says about preprocessing."""
    package, data = ModuleType("timm"), ModuleType("timm.data")
    settings = {"input_size": (3, 32, 32), "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop_pct": 0.9}
    settings |= {"interpolation": "bicubic", "crop_mode": "center", **config}

    def create_model(name: str, *, pretrained: bool, exportable: bool, num_classes: int = 4) -> nn.Module:
        assert exportable
        if pretrained and name == "far_away":
            raise RuntimeError("cannot reach the hub\nand more")
        return Tiny(num_classes)

    package.is_model = lambda name: name in ("tiny", "far_away")  # type: ignore[attr-defined]
    package.list_models = lambda: ["far_away", "tiny"]  # type: ignore[attr-defined]
    package.create_model = create_model  # type: ignore[attr-defined]
    package.data = data  # type: ignore[attr-defined]
    data.resolve_model_data_config = lambda model: settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", package)
    monkeypatch.setitem(sys.modules, "timm.data", data)
